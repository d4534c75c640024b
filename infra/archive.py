"""Writes build/functions.zip: what Google Cloud builds the functions from, and nothing else.

The same files make the same bytes, on any machine and at any time, so that Terraform, which names the archive by its
digest, deploys only what changed. Any Python from 3.11 on runs this: `python3 infra/archive.py`.
"""
# ruff: noqa: INP001  # a program, in no package

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
ARCHIVE = ROOT / "build" / "functions.zip"

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"The first moment that a zip can hold."
_READABLE_FILE = 0o100644 << 16
_UNIX = 3


def files() -> Iterator[Path]:
    """The entry files, what they share, and what they need; sorted by name."""
    shared = (file for file in (FUNCTIONS / "common").rglob("*") if file.is_file() and not _is_leftover(file))
    yield from sorted([*FUNCTIONS.glob("*.py"), *shared, FUNCTIONS / "requirements.txt"], key=_name)


def write(archive: Path) -> str:
    """The archive's sha256, in hexadecimal.

    A build that is killed leaves the archive of before: the new one gets its name when it is whole.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w") as zipped:
        for file in files():
            zipped.writestr(_entry(_name(file)), file.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    unfinished.replace(archive)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _is_leftover(file: Path) -> bool:
    """Compiled code and hidden files are of this machine, and none of the functions' own."""
    return any(part == "__pycache__" or part.startswith(".") for part in file.relative_to(FUNCTIONS).parts)


def _name(file: Path) -> str:
    return file.relative_to(FUNCTIONS).as_posix()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.create_system = _UNIX
    entry.external_attr = _READABLE_FILE
    return entry


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE
    sys.stdout.write(f"{write(target)}  {target}\n")
