"""Is this CSV whole? Checked while it streams, in bounded memory, and rewritten only where the target asks for it.

Looker appends an error text to a stream it has begun with status 200, and a broken connection can look like an end, so
a file is whole only if every record has the header's width, the last one is complete, and no record is an error text.

The check works on bytes a block at a time: quoted fields are blanked out with one regular expression, and what remains
is reduced to delimiters and line ends and compared with what regular records leave, without a Python step per record.
"""

import codecs
import csv
import io
import itertools
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self

import msgspec

from common.platform.errors import AnswerNotUnderstood, ColumnsChanged, QueryFailed, RowsMalformed, StreamCut

LONGEST_RECORD_BYTES = 16 * 1024 * 1024
MOST_COLUMNS = 10_000

# The reader's own limit is 128 KiB a field; a record's length has been looked after before it gets there.
csv.field_size_limit(2 * LONGEST_RECORD_BYTES)

_LONE_CR = re.compile(rb"\r(?!\n)")

# Looker's formula guard puts an apostrophe before = - + @, which turns -5 into text (Looker docs, "formula injection").
_GUARDED_CELL = re.compile(rb"'(?:(?<![^,\n]')|(?<=\"')(?<![^,\n]\"'))[=+\-@]")

# The exact form of the text Looker appends is documented nowhere; these are the ones seen in public.
_ERROR_TEXT = re.compile(
    rb'(?i)\s*(?:[\["{\s]*looker_error\b|"?(?:sql |query |database |looker )?(?:error|exception)\s*:)'
)
_LINES_OF_AN_ERROR = 5
_NOT_CSV = re.compile(rb'(?i)\s*(?:<(?:!doctype|html|\?xml)|\[\s*\{|\{\s*")')


class Origin(msgspec.Struct, frozen=True):
    """Who wrote a file, and how."""

    writer: str
    delimiter: str = ","
    puts_errors_into_files: bool = False


LOOKER = Origin("Looker", puts_errors_into_files=True)


class Checked(msgspec.Struct, frozen=True):
    """What a whole file turned out to be."""

    header: list[str]
    "As it goes to Pigment."
    rows: int
    warnings: list[str]


class Watched(msgspec.Struct, frozen=True):
    """A column whose values are looked at as they come by."""

    header: str
    expect: Callable[[Sequence[str]], None]
    "Given its values, raises what is to be raised."
    is_left_out: bool
    "It was only asked for to be looked at: it goes on if the contract's columns choose it."


class Contract(msgspec.Struct, frozen=True):
    """What the target wants made of the file."""

    columns: Mapping[str, str] | None = None
    "Column in the file: column in Pigment, in Pigment's order; None leaves the header as it is."
    delimiter: str = ","
    watched: Watched | None = None


class Checker:
    """Feed it a file as it comes; what it gives back is checked and ready for its target."""

    def __init__(self, contract: Contract, origin: Origin = LOOKER) -> None:
        self._contract = contract
        self._origin = origin
        self._regular = _Regular.of(origin.delimiter)
        self._is_rewritten = contract.delimiter != origin.delimiter
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._tail = b""
        self._begun = False
        self._source_header: list[str] = []
        self._header: list[str] = []
        self._record_shape = b""
        self._rewriter: _Rewriter | None = None
        self._watched_place = 0
        self._last_record = b""
        self._guarded_cells = 0
        self._warnings: list[str] = []
        self.rows = 0

    @property
    def header(self) -> list[str]:
        """As it goes on; empty until it has come."""
        return self._header

    def feed(self, block: bytes) -> bytes:
        """Take a block; give what is complete and checked, which may be nothing yet.

        Raises:
            QueryFailed, AnswerNotUnderstood: an error text, or no CSV at all, stands where a record should.
            RowsMalformed: a record of another width, a stray quote, a lone CR, a NUL, bytes that are not UTF-8.
            ColumnsChanged: the header is not what the contract says.
        """
        self._expect_text(block)
        pending = self._tail + block if self._tail else block
        end = end_of_complete_records(pending, len(self._tail))
        if end == 0:
            if len(pending) > LONGEST_RECORD_BYTES:
                raise RowsMalformed(
                    f"The record after row {self.rows} does not end within {LONGEST_RECORD_BYTES} bytes: "
                    "a quote that never closes, or no CSV at all."
                )
            self._tail = pending
            return b""
        self._tail = pending[end:]
        records = pending[:end]
        if self._begun:
            return self._check(records)
        return self._begin(records)

    def finish(self) -> Checked:
        """The file has ended.

        Raises:
            QueryFailed, StreamCut: its last record is an error text, or is not complete.
        """
        if self._tail:
            self._refuse_other_content(self._tail)
            raise StreamCut(f"{self._origin.writer}'s answer ends in the middle of the record after row {self.rows}.")
        if not self._begun:
            raise StreamCut(f"{self._origin.writer}'s answer is empty: not even a header came.")
        if self.rows:
            self._refuse_error_text(self._last_record, after=self.rows - 1)
        if self._guarded_cells:
            self._warnings.append(
                f"{self._guarded_cells} cells begin with an apostrophe before =, +, - or @: Looker's formula guard is "
                "on and turns negative numbers into text."
            )
        return Checked(self._header, self.rows, self._warnings)

    def _begin(self, records: bytes) -> bytes:
        end = end_of_first_record(records)
        line, rest = records[:end].removeprefix(codecs.BOM_UTF8), records[end:]
        self._refuse_other_content(line)
        if self._regular.without_quoted(line, first_row=0).count(self._regular.delimiter) >= MOST_COLUMNS:
            raise RowsMalformed(f"The header has more than {MOST_COLUMNS} columns.")
        self._source_header = next(self._records(line))
        if not self._source_header:
            raise RowsMalformed("The header is an empty line.")
        self._record_shape = self._regular.delimiter * (len(self._source_header) - 1) + b"\n"
        self._begun = True
        self._header = self._agree_on_header()
        if self._rewriter or self._header != self._source_header:
            line = written([self._header], self._contract.delimiter)
        return line + self._check(rest) if rest else line

    def _agree_on_header(self) -> list[str]:
        header, columns = self._source_header, self._contract.columns
        repeated = sorted(name for name, times in Counter(header).items() if times > 1)
        unsent = self._place_watched()
        if columns is None:
            if repeated:
                self._warnings.append(f"The header names {', '.join(repeated)} more than once.")
            order = [place for place in range(len(header)) if place != unsent]
            self._rewrite_in(order)
            return [header[place] for place in order]
        missing = [name for name in columns if name not in header]
        if missing or any(name in columns for name in repeated):
            raise ColumnsChanged(_differences(self._origin.writer, list(columns), header, repeated))
        left_out = [name for place, name in enumerate(header) if name not in columns and place != unsent]
        if left_out:
            self._warnings.append(f"Columns that target.columns does not choose were left out: {', '.join(left_out)}.")
        self._rewrite_in([header.index(name) for name in columns])
        return list(columns.values())

    def _place_watched(self) -> int | None:
        """Find the watched column; where it is one that is not sent on, its place.

        Raises:
            ColumnsChanged: it is not there, or not alone.
        """
        watched = self._contract.watched
        if watched is None:
            return None
        if self._source_header.count(watched.header) != 1:
            there = ", ".join(self._source_header)
            raise ColumnsChanged(f"{self._origin.writer}'s header does not hold {watched.header} once: {there}.")
        self._watched_place = self._source_header.index(watched.header)
        return self._watched_place if watched.is_left_out else None

    def _rewrite_in(self, order: list[int]) -> None:
        chosen = self._contract.columns is not None and self._is_rewritten
        if chosen or order != list(range(len(self._source_header))):
            self._rewriter = _Rewriter(order, self._origin.delimiter, self._contract.delimiter)
        elif self._is_rewritten:
            self._rewriter = _Rewriter(None, self._origin.delimiter, self._contract.delimiter)

    def _check(self, records: bytes) -> bytes:
        bare = self._regular.without_quoted(records, first_row=self.rows + 1)
        shape = bare.translate(None, self._regular.all_but_shape)
        rows = shape.count(b"\n")
        # Of lines much shorter than the header, what is expected would fill the memory.
        if len(shape) != len(self._record_shape) * rows or shape != self._record_shape * rows:
            self._refuse_odd_width(records, bare, shape)
        self.rows += rows
        if self._origin.puts_errors_into_files:
            self._last_record = records[_begin_of_last_record(records) :]
            if b"'" in records:
                self._guarded_cells += len(_GUARDED_CELL.findall(records))
        if self._contract.watched:
            return self._watch(self._contract.watched, records)
        return self._rewriter.rewrite(records) if self._rewriter else records

    def _watch(self, watched: Watched, records: bytes) -> bytes:
        """Records whose watched values are as expected, read once for that and for rewriting them."""
        found, place = list(self._records(records)), self._watched_place
        watched.expect([record[place] if record else "" for record in found])
        return self._rewriter.written(found) if self._rewriter else records

    def _refuse_odd_width(self, records: bytes, bare: bytes, shape: bytes) -> None:
        odd = next(i for i, line in enumerate(shape.splitlines(keepends=True)) if line != self._record_shape)
        # An error text may begin with an empty line, and may not end with one.
        for line in [*bare.split(b"\n")[odd : odd + _LINES_OF_AN_ERROR], self._tail]:
            self._refuse_error_text(line, after=self.rows + odd)
        fields = next(itertools.islice(self._records(records), odd, None))
        raise RowsMalformed(
            f"Row {self.rows + odd + 1} has {len(fields)} fields, the header has {len(self._source_header)}."
        )

    def _refuse_other_content(self, record: bytes) -> None:
        record = record.removeprefix(codecs.BOM_UTF8)
        self._refuse_error_text(record, after=self.rows)
        if not self._begun and _NOT_CSV.match(record):
            if not self._origin.puts_errors_into_files:
                raise AnswerNotUnderstood(f"{self._origin.writer} sent JSON or a web page in place of CSV.")
            raise QueryFailed(f"{self._origin.writer} sent JSON or a web page in place of rows.")

    def _refuse_error_text(self, record: bytes, after: int) -> None:
        if self._origin.puts_errors_into_files and _ERROR_TEXT.match(record):
            raise QueryFailed(
                f"{self._origin.writer} put an error text after row {after}: the database failed while it answered."
            )

    def _records(self, records: bytes) -> Iterator[list[str]]:
        return csv.reader(io.StringIO(records.decode(), newline=""), delimiter=self._origin.delimiter)

    def _expect_text(self, block: bytes) -> None:
        if b"\0" in block:
            raise RowsMalformed(f"There is a NUL byte after row {self.rows}.")
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError as error:
            raise RowsMalformed(f"After row {self.rows} there are bytes that are not UTF-8: {error.reason}.") from None


class _Regular(msgspec.Struct, frozen=True):
    """What regular records look like under a delimiter."""

    delimiter: bytes
    all_but_shape: bytes
    "Everything else, deleted: of regular records remain the same few bytes, over and over."
    quoted_field: re.Pattern[bytes]
    "It stands between delimiters; a quote that does not is left over and found."

    @classmethod
    def of(cls, delimiter: str) -> Self:
        sign = re.escape(delimiter).encode()
        # It begins with the character it looks for and looks behind afterwards, so that `re` can jump to it: twelve
        # times faster than the reverse.
        quoted_field = re.compile(rb'"(?<![^%b\n]")[^"]*(?:""[^"]*)*"(?![^%b\r\n])' % (sign, sign))
        shape = delimiter.encode() + b"\n"
        return cls(delimiter.encode(), bytes(byte for byte in range(256) if byte not in shape), quoted_field)

    def without_quoted(self, records: bytes, first_row: int) -> bytes:
        """Records with their quoted fields blanked out.

        Raises:
            RowsMalformed: what is left has a quote, or a carriage return that is no part of a line end.
        """
        bare = self.quoted_field.sub(b"", records) if b'"' in records else records
        stray = bare.find(b'"')
        if stray >= 0:
            raise RowsMalformed(f"{_place(bare, stray, first_row)} has a quote in the middle of a field.")
        if b"\r" in bare and (lone := _LONE_CR.search(bare)):
            raise RowsMalformed(
                f"{_place(bare, lone.start(), first_row)} has a carriage return in the middle of a record."
            )
        return bare


class _Rewriter:
    """Chooses, orders and delimits anew: the only path with a Python step per record."""

    def __init__(self, order: Sequence[int] | None, before: str, after: str) -> None:
        self._order = order
        self._before = before
        self._after = after

    def rewrite(self, records: bytes) -> bytes:
        after = self._after.encode()
        if self._order is None and b'"' not in records and after not in records:
            return records.replace(self._before.encode(), after)
        return self.written(csv.reader(io.StringIO(records.decode(), newline=""), delimiter=self._before))

    def written(self, found: Iterable[list[str]]) -> bytes:
        chosen: Iterable[Sequence[str]] = found if self._order is None else map(_chooser(self._order), found)
        return written(chosen, self._after)


class _Lines(list[str]):
    """Where `csv.writer` leaves its records."""

    def write(self, record: str) -> None:
        self.append(record[:-2] + "\n")


def written(records: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """Records as they are written here: LF ends each, quotes only where they are needed."""
    lines = _Lines()
    # Before Python 3.13 it quotes a field for a carriage return only if its own line end has one.
    csv.writer(lines, delimiter=delimiter, lineterminator="\r\n").writerows(records)
    return "".join(lines).encode()


def _chooser(order: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    if len(order) > 1:
        return operator.itemgetter(*order)
    only = order[0]
    # Of a single column, an empty line is a record.
    return lambda fields: fields[only : only + 1] or [""]


def _place(bare: bytes, position: int, first_row: int) -> str:
    row = first_row + bare.count(b"\n", 0, position)
    return f"Row {row}" if row else "The header"


def end_of_complete_records(pending: bytes, known: int = 0) -> int:
    """Where the last line end outside quotes is: as many quotes stand before it as to make pairs.

    Args:
        known: how many bytes at the beginning are known to hold none.
    """
    end = pending.rfind(b"\n", known) + 1
    if b'"' not in pending:
        return end
    quotes = pending.count(b'"', 0, end)
    while end and quotes % 2:
        earlier = pending.rfind(b"\n", known, end - 1) + 1
        quotes -= pending.count(b'"', earlier, end)
        end = earlier
    return end


def _begin_of_last_record(records: bytes) -> int:
    """Of whole records, each of which has quotes in pairs."""
    begin = records.rfind(b"\n", 0, -1) + 1
    quotes = records.count(b'"', begin)
    while begin and quotes % 2:
        earlier = records.rfind(b"\n", 0, begin - 1) + 1
        quotes += records.count(b'"', earlier, begin)
        begin = earlier
    return begin


def end_of_first_record(records: bytes) -> int:
    end = quotes = 0
    while not end or quotes % 2:
        begin, end = end, records.find(b"\n", end) + 1
        quotes += records.count(b'"', begin, end)
    return end


def _differences(writer: str, wanted: Sequence[str], found: Sequence[str], repeated: Sequence[str]) -> str:
    if repeated:
        names = ", ".join(repeated)
        return f"{writer}'s header names {names} more than once, so target.columns cannot tell which is meant."
    missing = ", ".join(name for name in wanted if name not in found)
    return (
        f"{writer}'s header lacks {missing}. target.columns wants: {', '.join(wanted)}. "
        f"{writer} sent: {', '.join(found)}."
    )
