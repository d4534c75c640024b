"""Checked CSV: its header and its records, half a megabyte at a time.

A file of the bucket can be read again; one that arrives, and is written to the bucket meanwhile, is read once.
"""

import csv
import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from common.platform.errors import StorageRefused
from common.storage.bucket import Bucket
from common.tables.records import RecordSplitter, end_of_first_record, split

PIECE_BYTES = 512 * 1024
"Arrow and DuckDB need about fifteen times the memory of the records that they are given at once."


class ReadableCsv(ABC):
    def __init__(self, path: str, delimiter: str) -> None:
        self.path = path
        self.delimiter = delimiter

    @abstractmethod
    def _first_records(self) -> bytes:
        """Return the first records, which begin with the header."""

    @abstractmethod
    def beginning(self) -> bytes:
        """Return the first records after the header."""

    @abstractmethod
    def pieces(self) -> Iterator[bytes]:
        """Yield the records after the header, many at a time."""

    @cached_property
    def header_record(self) -> bytes:
        """The header as bytes, with its line end."""
        records = self._first_records()
        return records[: end_of_first_record(records)]

    @cached_property
    def header(self) -> list[str]:
        return self.cells(self.header_record)

    @cached_property
    def columns(self) -> list[tuple[str, int]]:
        """Each column's name and, because a header may repeat one, how many columns before it have that name."""
        seen: Counter[str] = Counter()
        columns = []
        for name in self.header:
            columns.append((name, seen[name]))
            seen[name] += 1
        return columns

    def has_once(self, names: Iterable[str]) -> bool:
        """Whether the header has each of these names exactly once."""
        return all(self.header.count(name) == 1 for name in names)

    def records_at(self, places: Iterable[int]) -> dict[int, list[str]]:
        """Return the cells of the records at these places; the first record after the header is 0."""
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
        # With a single column, an empty line is a record.
        return next(csv.reader(io.StringIO(record.decode(), newline=""), delimiter=self.delimiter), None) or [""]

    def refusal(self) -> StorageRefused:
        next_step = "Delete the job's object under cursors/ and run again: every row then counts as new."
        return StorageRefused(
            f"The file {self.path} in the bucket is not the one that was checked.", next_step=next_step
        )


class CheckedCsv(ReadableCsv):
    """It can be read several times; the bucket returns the same bytes each time."""

    def __init__(self, bucket: Bucket, path: str, delimiter: str) -> None:
        super().__init__(path, delimiter)
        self._bucket = bucket

    def beginning(self) -> bytes:
        return next(self.pieces(), b"")

    def pieces(self) -> Iterator[bytes]:
        """Yield the records after the header, many at a time. Raises StorageRefused if the last one is not complete."""
        pieces = self._records()
        first = next(pieces, b"")
        if rest := first[end_of_first_record(first) :]:
            yield rest
        yield from pieces

    def _first_records(self) -> bytes:
        for records in self._records():
            return records
        raise self.refusal()

    def _records(self) -> Iterator[bytes]:
        splitter = RecordSplitter()
        for block in self._bucket.blocks(self.path):
            for begin in range(0, len(block), PIECE_BYTES):
                if records := splitter.feed(block[begin : begin + PIECE_BYTES]):
                    yield records
        if splitter.rest:
            raise self.refusal()


class ArrivingCsv(ReadableCsv):
    """It is read once, while it arrives.

    Args:
        pieces: complete records; the first ones begin with the header.
    """

    def __init__(self, path: str, delimiter: str, pieces: Iterator[bytes]) -> None:
        super().__init__(path, delimiter)
        self._first = next(pieces)
        self._following = pieces

    def beginning(self) -> bytes:
        return self._first[len(self.header_record) :]

    def pieces(self) -> Iterator[bytes]:
        if rest := self.beginning():
            yield rest
        yield from self._following

    def _first_records(self) -> bytes:
        return self._first
