"""Compares the files of the demo: byte by byte, or row by row in any order."""

import csv
import hashlib
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.platform.errors import OurFault


class RowDigest(NamedTuple):
    """The rows of a file regardless of their order."""

    rows: int
    digest: int
    "The sum of the digests of all rows. It does not depend on their order, and it changes if a row is repeated."


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def row_digest(file: Path, columns: Sequence[str] = ()) -> tuple[Sequence[str], RowDigest]:
    """Digest the rows of a CSV file. Return the columns and the digest.

    Args:
        columns: the columns to digest, in this order; by default all columns.
    """
    with file.open(newline="", encoding="utf-8-sig") as lines:
        records = csv.reader(lines)
        header = next(records)
        columns = columns or header
        missing = set(columns) - set(header)
        if missing:
            raise OurFault(
                f"{file} does not have the columns {', '.join(sorted(missing))}.", next_step="Read the logs."
            )
        pick = operator.itemgetter(*(header.index(column) for column in columns))
        rows = digest = 0
        for record in records:
            rows += 1
            row = "\0".join(pick(record)).encode()
            digest += int.from_bytes(hashlib.blake2b(row, digest_size=16).digest())
    return columns, RowDigest(rows, digest)
