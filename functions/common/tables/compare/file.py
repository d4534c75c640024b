"""A checked CSV in the bucket, read again as it lies there: its header and its records, a few megabytes at a time."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from common.platform.errors import StorageRefused
from common.storage.store import Store
from common.tables.csv import end_of_complete_records, end_of_first_record


class File:
    """May be read several times; the bucket gives the same bytes each time."""

    def __init__(self, store: Store, path: str, delimiter: str) -> None:
        self._store = store
        self.path = path
        self.delimiter = delimiter

    @cached_property
    def header_record(self) -> bytes:
        """As it lies there, with its line end."""
        for records in self._records():
            return records[: end_of_first_record(records)]
        raise self.refusal()

    @cached_property
    def header(self) -> list[str]:
        return self.cells(self.header_record)

    @cached_property
    def columns(self) -> list[tuple[str, int]]:
        """Each by its name and, as a header may repeat one, by how many of that name stand before it."""
        seen: Counter[str] = Counter()
        columns = []
        for name in self.header:
            columns.append((name, seen[name]))
            seen[name] += 1
        return columns

    def pieces(self) -> Iterator[bytes]:
        """All its records but the header: whole ones, many at a time.

        Raises:
            StorageRefused: it does not end as a checked file does.
        """
        pieces = self._records()
        first = next(pieces, b"")
        if rest := first[end_of_first_record(first) :]:
            yield rest
        yield from pieces

    def records_at(self, places: Iterable[int]) -> dict[int, list[str]]:
        """The cells of the records that stand at these places, the first of which is 0."""
        wanted = sorted(places, reverse=True)
        found = {}
        begin = 0
        pieces = self.pieces()
        while wanted:
            records = split(next(pieces))
            while wanted and wanted[-1] < begin + len(records):
                place = wanted.pop()
                found[place] = self.cells(records[place - begin])
            begin += len(records)
        return found

    def cells(self, record: bytes) -> list[str]:
        # Of a single column, an empty line is a record.
        return next(csv.reader(io.StringIO(record.decode(), newline=""), delimiter=self.delimiter), None) or [""]

    def refusal(self) -> StorageRefused:
        return StorageRefused(
            f"The file {self.path} in the bucket is not the one that was checked when it was written.",
            next_step="Delete the job's object under cursors/ and run again: every row then counts as new.",
        )

    def _records(self) -> Iterator[bytes]:
        tail = b""
        for block in self._store.reading(self.path).blocks():
            pending = tail + block
            end = end_of_complete_records(pending, len(tail))
            tail = pending[end:]
            if end:
                yield pending[:end]
        if tail:
            raise self.refusal()


def split(records: bytes) -> list[bytes]:
    """Whole records one by one, without the line feed that ends each."""
    lines = records.split(b"\n")
    lines.pop()
    if b'"' not in records:
        return lines
    # A line feed between quotes is content: a record is whole once its quotes are in pairs.
    unpaired = [number for number, line in enumerate(lines) if line.count(b'"') % 2]
    return _joined(lines, unpaired) if unpaired else lines


def _joined(lines: list[bytes], unpaired: list[int]) -> list[bytes]:
    """Lines as records, each of which that has several begins and ends with an unpaired one."""
    records: list[bytes] = []
    begin = 0
    for first, last in zip(unpaired[::2], unpaired[1::2], strict=True):
        records += lines[begin:first]
        records.append(b"\n".join(lines[first : last + 1]))
        begin = last + 1
    return records + lines[begin:]
