"""CSV records in a stream of bytes: where they begin and end, and how they are written."""

import csv
from collections.abc import Iterable, Iterator, Sequence


class RecordSplitter:
    """Splits a stream into complete records. A line feed between quotes does not end a record."""

    def __init__(self) -> None:
        self.rest = b""
        "The beginning of a record that is not complete yet."

    def feed(self, block: bytes) -> bytes:
        """Take the next block and return the records that are complete now, which may be none."""
        end = end_of_complete_records(block, self.rest.count(b'"'))
        if not end:
            self.rest += block
            return b""
        # One copy: of a large block, each takes as long as to look for quotes.
        records = b"".join([self.rest, memoryview(block)[:end]])
        self.rest = block[end:]
        return records


def complete_records(blocks: Iterable[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Yield a file in pieces of complete records; the pieces are the same however the blocks are cut."""
    splitter = RecordSplitter()
    for chunk in _chunks(blocks, piece_bytes):
        if records := splitter.feed(chunk):
            yield records
    if splitter.rest:
        yield splitter.rest


def with_last_line_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a file with a line end after its last record, which some writers leave out.

    Only of a file that has come whole: of another one, the last field may be truncated.
    """
    last = b"\n"
    for block in blocks:
        last = block[-1:] or last
        yield block
    if last != b"\n":
        yield b"\n"


def _chunks(blocks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    parts: list[memoryview] = []
    missing_bytes = size_bytes
    for block in blocks:
        rest = memoryview(block)
        while len(rest) >= missing_bytes:
            yield b"".join([*parts, rest[:missing_bytes]])
            rest = rest[missing_bytes:]
            parts, missing_bytes = [], size_bytes
        parts.append(rest)
        missing_bytes -= len(rest)
    yield b"".join(parts)


def end_of_complete_records(block: bytes, quotes_before: int = 0) -> int:
    """Return the position after the last line feed outside quotes: before it, the number of quotes is even."""
    end = block.rfind(b"\n") + 1
    if not quotes_before and b'"' not in block:
        return end
    quotes = quotes_before + block.count(b'"', 0, end)
    while end and quotes % 2:
        earlier = block.rfind(b"\n", 0, end - 1) + 1
        quotes -= block.count(b'"', earlier, end)
        end = earlier
    return end


def end_of_first_record(records: bytes) -> int:
    """Return the position after the first of complete records."""
    end = quotes = 0
    while not end or quotes % 2:
        begin, end = end, records.find(b"\n", end) + 1
        quotes += records.count(b'"', begin, end)
    return end


def begin_of_last_record(records: bytes, count: int = 1) -> int:
    """Return the position of the last of complete records, or of the last few; 0 if there are no more."""
    begin = len(records)
    while begin and count:
        begin, count = _begin_of_record(records, begin), count - 1
    return begin


def _begin_of_record(records: bytes, end: int) -> int:
    """Return the position of the record that ends there."""
    begin = records.rfind(b"\n", 0, end - 1) + 1
    quotes = records.count(b'"', begin, end)
    while begin and quotes % 2:
        earlier = records.rfind(b"\n", 0, begin - 1) + 1
        quotes += records.count(b'"', earlier, begin)
        begin = earlier
    return begin


def split(records: bytes) -> list[bytes]:
    """Split complete records into single ones, without the line feed at the end of each."""
    lines = records.split(b"\n")
    lines.pop()
    if b'"' not in records:
        return lines
    # A line with an odd number of quotes begins or ends a record of several lines.
    unpaired = [number for number, line in enumerate(lines) if line.count(b'"') % 2]
    found: list[bytes] = []
    begin = 0
    for first, last in zip(unpaired[::2], unpaired[1::2], strict=True):
        found += lines[begin:first]
        found.append(b"\n".join(lines[first : last + 1]))
        begin = last + 1
    return found + lines[begin:]


def write_records(records: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """Write records as CSV: each ends with LF, and fields are quoted only if necessary."""
    lines = _Lines()
    # Before Python 3.13 it quotes a field with a carriage return only if its own line end has one.
    csv.writer(lines, delimiter=delimiter, lineterminator="\r\n").writerows(records)
    return "".join(lines).encode()


class _Lines(list[str]):
    """The list to which `csv.writer` writes its lines."""

    def write(self, record: str) -> None:
        self.append(record[:-2] + "\n")
