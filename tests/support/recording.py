"""The recording in functions/docs/commands.md: a sandbox over a file of one's own, then `bridge init`, `check`, `pull`.

`python -m tests.support.recording` plays it again and updates the document.
"""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from local.sandbox.secrets import values_of
from tests.support.command_line import BRIDGE
from tests.support.documents import COMMANDS as PAGE
from tests.support.documents import text

FILE = """Order ID,Day,Region,Postcode,Amount
1001,2026-01-02,North,01234,1250.50
1002,2026-01-02,South,80331,980
1003,2026-01-03,North,01234,15.75
1004,2026-01-04,West,50667,310.20
"""
SANDBOX = "sandbox --look 12=sales.csv"
COMMANDS = ("check", "pull sales --preview", "pull sales", "runs")
WIDTH = "110"

_BLOCK = re.compile(r"(## A recording\n.*?```text\n)(.*?)(```\n)", re.DOTALL)
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

CommandRunner = Callable[[Path, Sequence[str]], str]
"Runs a command in a folder and returns what it prints."


def recorded() -> str:
    """Return the recording in the document."""
    found = _BLOCK.search(text(PAGE))
    assert found
    return found[2]


def play(folder: Path, run: CommandRunner) -> str:
    """Play both terminals, and return what they show, with times and without keys."""
    sandbox, own = folder / "sandbox", folder / "own"
    sandbox.mkdir()
    own.mkdir()
    (sandbox / "sales.csv").write_text(FILE)
    began_s = time.monotonic()
    with _at_terminal(sandbox, SANDBOX.split()) as (process, controller):
        announced = wait_for(controller, "bridge runs\r\n")
        parts = [f"$ cat sales.csv\n{FILE}", _part(SANDBOX, began_s, announced)]
        secrets = values_of((sandbox / ".env").read_text())
        parts.append(_init(own, announced, secrets))
        for command in COMMANDS:
            began_s = time.monotonic()
            parts.append(_part(command, began_s, run(own, command.split())))
        _interrupt(process)
    shown = "\n".join(parts)
    for secret in (_looker_secret(secrets), *secrets.values()):
        shown = shown.replace(secret, "…")
    return shown


def comparable(recording: str) -> list[str]:
    """Return the lines of a recording without what differs each time: times, runs, ids and ports."""
    for pattern, word in (
        (r"\d{8}T\d{6}-[0-9a-f]{8}", "RUN"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"127\.0\.0\.1:\d+", "ADDRESS"),
        (r"\d{4}-\d\d-\d\dT[\d:]{8}", "TIME"),
        (r" +# [\d.]+ s$", ""),
        (r"^ ?seconds .*$", ""),
    ):
        recording = re.sub(pattern, word, recording, flags=re.MULTILINE)
    return [" ".join(line.split()) for line in recording.splitlines() if line.strip()]


def wait_for(controller: int, words: str) -> str:
    """Return what a terminal shows up to some words. Fails if the program ends before."""
    shown = b""
    while words.encode() not in shown:
        shown += os.read(controller, 65536)
    return shown.decode()


def _init(own: Path, announced: str, secrets: dict[str, str]) -> str:
    looker, pigment = re.findall(r"http://127\.0\.0\.1:\d+", announced)
    command = f"init --pigment-url {pigment}"
    answers = {
        "Looker's address, such as https://acme.cloud.looker.com: ": looker,
        "Client ID: ": "bridge",
        "Client secret (is not shown): ": _looker_secret(secrets),
        "Modeling metadata (is not shown): ": secrets["pigment-import-key"],
        "[y/N]: ": "y",
        "[Y/n]: ": "n",
    }
    began_s = time.monotonic()
    shown = ""
    with _at_terminal(own, command.split()) as (process, controller):
        for question, answer in answers.items():
            shown += wait_for(controller, question)
            os.write(controller, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # the end of the program
            while True:
                shown += os.read(controller, 65536).decode()
        assert process.wait() == 0, shown
    return _part(command, began_s, shown)


@contextlib.contextmanager
def _at_terminal(folder: Path, arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a command at a terminal of its own. Give the process and the descriptor of the person at it."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": WIDTH, "TERM": "xterm"}
    with subprocess.Popen(
        [BRIDGE, *arguments], cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        try:
            yield process, controller
        finally:
            process.kill()
            os.close(controller)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def _part(command: str, began_s: float, shown: str) -> str:
    lines = _COLOURS.sub("", shown.replace("\r\n", "\n")).strip("\n").split("\n")
    body = "\n".join(line.rstrip() for line in lines)
    return f"$ bridge {command}  # {time.monotonic() - began_s:.1f} s\n{body}\n"


def _looker_secret(secrets: dict[str, str]) -> str:
    return str(json.loads(secrets["looker-api"])["client_secret"])


def _run_process(folder: Path, arguments: Sequence[str]) -> str:
    done = subprocess.run([BRIDGE, *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        recording = play(Path(temporary), _run_process)
    PAGE.write_text(_BLOCK.sub(lambda found: f"{found[1]}{recording}{found[3]}", text(PAGE)), "utf-8")
