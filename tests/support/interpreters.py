"""Runs the suite on each Python that pyproject.toml names and this machine has, and says which ones it does not have.

`make matrix` starts this file with the Python of the machine, before there is an environment with any package.
"""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ("~/.pyenv/versions/{version}.*/bin", "~/.local/share/uv/python/cpython-{version}.*/bin")
"Where pyenv and uv have their interpreters."

_CLASSIFIER = "Programming Language :: Python :: 3."


def versions() -> list[str]:
    """Return the versions that the package is made for: `3.11` and so on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [each.rpartition(" ")[2] for each in project["classifiers"] if each.startswith(_CLASSIFIER)]


def find(version: str, places: Sequence[str] = PLACES) -> str | None:
    """Return an interpreter of a version that starts. A shim of pyenv on the PATH may start none."""
    return next((path for path in _candidates(version, places) if _is_of(version, path)), None)


def version_of_the_suite() -> str:
    """Return the version with which `make test` runs; empty if it has not run."""
    settings = ROOT / ".venv" / "pyvenv.cfg"
    lines = settings.read_text(encoding="utf-8").splitlines() if settings.exists() else []
    full = next((line.partition("=")[2].strip() for line in lines if line.startswith("version")), "")
    return ".".join(full.split(".")[:2])


def _candidates(version: str, places: Sequence[str]) -> Iterator[str]:
    name = f"python{version}"
    if on_path := shutil.which(name):
        yield on_path
    for place in places:
        pattern = Path(place.format(version=version)).expanduser()
        anchor = Path(pattern.anchor)
        yield from (str(folder / name) for folder in sorted(anchor.glob(str(pattern.relative_to(anchor)))))


def _is_of(version: str, path: str) -> bool:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return False
    return said.returncode == 0 and said.stdout.startswith(f"Python {version}.")


def run(tests: str) -> bool:
    """Run the suite, or some of its files, on each interpreter but that of `make test`; return whether all passed."""
    results: dict[str, str] = {}
    for version in versions():
        interpreter = find(version)
        if version == version_of_the_suite():
            results[version] = "is what `make test` runs on"
        elif interpreter is None:
            results[version] = "is not installed: nothing was run"
        else:
            print(f"Python {version}: {interpreter}", flush=True)  # noqa: T201  # it is a program
            command = ["make", "test", f"VENV=.venv-{version}", f"PYTHON={interpreter}", f"TESTS={tests}"]
            passed = subprocess.run(command, cwd=ROOT, check=False).returncode == 0
            results[version] = "passed" if passed else "FAILED"
    for version, result in results.items():
        print(f"Python {version} {result}")  # noqa: T201
    return "FAILED" not in results.values()


if __name__ == "__main__":
    sys.exit(0 if run(" ".join(sys.argv[1:])) else 1)
