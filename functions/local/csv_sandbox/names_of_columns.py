"""Whether a CSV file was read with the columns that its first line names.

DuckDB guesses how a file is to be read. To make sense of one with uneven lines, it skips the first ones, or takes each
line for one column, without a word.
"""

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_SEPARATORS = ",;\t|"


def expect_read(path: Path, columns: Sequence[str]) -> None:
    """Raise ValueError if the columns are not those of the first line."""
    with _open(path) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as lines:
        named = _record(lines)
    if not any(named):
        raise ValueError("its first line is empty.")
    if len(named) != len(columns):
        raise ValueError(f"its first line names {_count(named)}, and other lines have {_count(columns)}.")
    # DuckDB gives a name that is empty, or differs from another one in case alone, an ending.
    unchanged = {name.strip().casefold(): name.strip() for name in reversed(named) if name.strip()}
    if not {*unchanged.values()} <= {*columns}:
        raise ValueError("its first line does not name the columns of the other lines.")


def _record(lines: IO[str]) -> list[str]:
    """Return the first record, read with the separator that makes the most of it."""
    text = lines.read(1024 * 1024)
    records = (next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), []) for separator in _SEPARATORS)
    return max(records, key=len)


def _count(columns: Sequence[str]) -> str:
    return f"{len(columns)} column{'' if len(columns) == 1 else 's'}"


def _open(path: Path) -> IO[bytes]:
    match path.suffix.lower():
        case ".gz":
            return io.BufferedReader(gzip.open(path))
        case ".zip":
            archive = zipfile.ZipFile(path)
            members = [name for name in archive.namelist() if name.endswith(".csv") and not name.startswith("__MACOSX")]
            if not members:
                raise ValueError("the archive contains no .csv file.")
            return archive.open(members[0])
        case _:
            return path.open("rb")
