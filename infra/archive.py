"""Writes build/functions.zip, the source from which Google Cloud builds the functions.

The archive is reproducible: the same files give the same bytes. Terraform names it by its digest, so it deploys the
functions only after a change. Any Python from 3.11 runs this file: `python3 infra/archive.py`.
"""
# ruff: noqa: INP001  # a script outside of any package

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
ARCHIVE = ROOT / "build" / "functions.zip"

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"The earliest time that a zip file can store."
_READABLE_FILE = 0o100644 << 16
_UNIX = 3


def files() -> Iterator[Path]:
    """Yield the entry files, the package `common` and requirements.txt, sorted by name."""
    shared = (file for file in (FUNCTIONS / "common").rglob("*") if file.is_file() and not _is_leftover(file))
    yield from sorted([*FUNCTIONS.glob("*.py"), *shared, FUNCTIONS / "requirements.txt"], key=_name)


def write(archive: Path) -> str:
    """Write the archive and return its sha256 in hexadecimal. If this is interrupted, the previous archive remains."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w") as zipped:
        for file in files():
            zipped.writestr(_entry(_name(file)), file.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    unfinished.replace(archive)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _is_leftover(file: Path) -> bool:
    """Whether a file is compiled code or a hidden file, which are not deployed."""
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
