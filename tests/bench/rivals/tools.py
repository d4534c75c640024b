"""The compared tools: what a user writes for each, and how it is started."""

import os
import re
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench import contenders

PACKAGES = ("drt-core==1.2.1", "dlt==1.31.0")
_HERE = Path(__file__).parent
_NOT_WRITTEN = re.compile(r'\s*(#.*)?|"""[^"]*|[^"]*"""')
"A blank line or a comment."


class Tool(NamedTuple):
    name: str
    files: Mapping[str, str]
    "What a user writes: a file beside this module, and its place below the folder of a run."
    command: Sequence[str]
    header: tuple[str, ...]
    "The columns of the file that Pigment gets from it."
    verdict: str
    "A regular expression: what its output says of how the run ended."

    @property
    def lines(self) -> int:
        texts = [(_HERE / name).read_text() for name in self.files]
        return sum(not _NOT_WRITTEN.fullmatch(line) for text in texts for line in text.splitlines())


class Ended(msgspec.Struct, frozen=True):
    """How a run of a tool ended."""

    exit_code: int
    said: str
    cost: contenders.Cost

    @property
    def wall_s(self) -> float:
        return self.cost.wall_s


def bridge() -> Tool:
    return Tool(
        "bridge",
        {"bridge.yaml": "bridge.yaml"},
        [str(Path(sys.executable).parent / "bridge"), "pull", "flights"],
        ("Flights Id", "Flights Carrier", "Flights Delay"),
        r"(?m)^ *(?:outcome|verified|error) +(\S.*?) *$",
    )


def others(python: str) -> list[Tool]:
    """Return the other tools.

    Args:
        python: an interpreter that has drt and dlt.
    """
    scripts = Path(python).parent
    return [
        Tool(
            "drt",
            {
                "drt_project.yml": "drt_project.yml",
                "drt_profiles.yml": ".drt/profiles.yml",
                "drt_sync.yml": "syncs/flights.yml",
            },
            [str(scripts / "drt"), "run"],
            ("flights.id", "flights.carrier", "flights.delay"),
            r"([✓✗] .*|\w+Error: [^│\n]*)",
        ),
        Tool(
            "dlt",
            {"dlt_flights.py": "flights.py"},
            [python, "flights.py"],
            ("flights.id", "flights.carrier", "flights.delay"),
            r"(?m)^(?:Load package \S+ (is .*)|.*?\w+(?:Error|Exception): (.*))$",
        ),
    ]


def run(tool: Tool, folder: Path, environment: Mapping[str, str], secrets: Mapping[str, str]) -> Ended:
    """Set a tool up in a folder as a user does, and run it there."""
    for name, place in tool.files.items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(string.Template((_HERE / name).read_text()).safe_substitute(environment))
        file.chmod(0o600)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    launch = Path(contenders.__file__).parent / "launch.py"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(launch), *tool.command],
        cwd=folder,
        env={**_plain_environment(), **environment, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    *errors, last = ended.stderr.splitlines()
    cost = msgspec.json.decode(last, type=contenders.Cost)
    return Ended(ended.returncode, _said(tool, "\n".join([ended.stdout, *errors])), cost)


def _plain_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "STORAGE_"))}
    return kept | {"COLUMNS": "200", "NO_COLOR": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", "DRT_TELEMETRY": "0"}


def _said(tool: Tool, output: str) -> str:
    found = ["".join(filter(None, match.groups())).strip() for match in re.finditer(tool.verdict, output)]
    return "; ".join(dict.fromkeys(found)) or output.strip().splitlines()[-1]
