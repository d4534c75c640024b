"""Check that a CSV is complete and regular while it streams, in bounded memory, and rewrite it if necessary.

Looker appends an error text to a stream that it has begun with status 200, and a broken connection can look like the
end. A file is therefore complete only if every record has as many fields as the header, the last record is complete,
and no record is an error text.

The check works on blocks of bytes. One regular expression removes quoted fields, and the rest is reduced to delimiters
and line feeds and compared with those of regular records. It takes no step in Python for each record.
"""

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import msgspec

from common.platform import lookalikes
from common.platform.errors import AnswerNotUnderstood, ColumnsChanged, QueryFailed, RowsMalformed, StreamCut
from common.platform.text import listed
from common.tables import error_text
from common.tables.header import header_changes
from common.tables.records import (
    RecordSplitter,
    begin_of_last_record,
    end_of_complete_records,
    end_of_first_record,
    write_records,
)
from common.tables.rewrite import Rewriter

LONGEST_RECORD_BYTES = 16 * 1024 * 1024
MOST_COLUMNS = 10_000

# By default the reader refuses fields over 128 KiB; here the length of records is limited before they reach it.
csv.field_size_limit(2 * LONGEST_RECORD_BYTES)

_LONE_CR = re.compile(rb"\r(?!\n)")

# Looker's protection puts an apostrophe before = - + @, which turns -5 into text (Looker docs, "formula injection").
_GUARDED_CELL = re.compile(rb"'(?:(?<![^,\n]')|(?<=\"')(?<![^,\n]\"'))[=+\-@]")

_LINES_OF_AN_ERROR = 5
_EARLIER_BYTES = 64 * 1024
"How much of the first rows is kept to compare the last one with."
_DATA_INSTEAD = "If the last row is data, set guards.accept_error_text: true for this job."
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEPARATOR_LINE = re.compile(rb'(?i)"?sep=(.)"?\r?\n')
_QUOTED = re.compile(rb'"[^"]*"')
_NOT_CSV = re.compile(rb'(?i)\s*(?:<(?:!doctype|html|\?xml)|\[\s*\{|\{\s*")')


class Origin(msgspec.Struct, frozen=True):
    writer: str
    delimiter: str = ","
    puts_errors_into_files: bool = False


LOOKER = Origin("Looker", puts_errors_into_files=True)


class Checked(msgspec.Struct, frozen=True):
    header: list[str]
    "As it is sent on."
    rows: int
    warnings: list[str]


class Watched(msgspec.Struct, frozen=True):
    """A column whose values are checked while they stream."""

    header: str
    expect: Callable[[Sequence[str]], None]
    "Takes values of the column; raises an error if they are not as expected."
    is_left_out: bool
    "It was requested only for the check; it is sent on only if the contract's columns contain it."


class Contract(msgspec.Struct, frozen=True):
    """The form in which the target needs the file."""

    columns: Mapping[str, str] | None = None
    "Column in the file: column in Pigment, in Pigment's order. None does not change the header."
    delimiter: str = ","
    watched: Watched | None = None
    width: int | None = None
    "How many columns the query selects, if that is certain."
    accepts_error_text: bool = False
    "Whether a last row that looks like an error text is data."


class Checker:
    """Checks a file block by block, and returns what is checked and ready for the target."""

    def __init__(self, contract: Contract, origin: Origin = LOOKER) -> None:
        self._contract = contract
        self._origin = origin
        self._regular = _Regular.of(origin.delimiter)
        self._is_rewritten = contract.delimiter != origin.delimiter
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._splitter = RecordSplitter()
        self._begun = False
        self._source_header: list[str] = []
        self.header: list[str] = []
        "As it is sent on; empty until it has arrived."
        self._record_shape = b""
        self._rewriter: Rewriter | None = None
        self._watched_place = 0
        self._earlier = self._last_records = b""
        self._guarded_cells = 0
        self._warnings: list[str] = []
        self.rows = 0

    def feed(self, block: bytes) -> bytes:
        """Take a block, and return the records that are complete and checked, if any.

        Raises:
            QueryFailed, AnswerNotUnderstood: a record is an error text, or the answer is not CSV.
            RowsMalformed: another number of fields, a stray quote, a lone CR, a NUL, or bytes that are not UTF-8.
            ColumnsChanged: the header does not match the contract.
        """
        self._expect_text(block)
        records = self._splitter.feed(block)
        if records:
            return self._check(records) if self._begun else self._begin(records)
        if len(self._splitter.rest) > LONGEST_RECORD_BYTES:
            too_long = f"The record after row {self.rows} does not end within {LONGEST_RECORD_BYTES} bytes"
            raise RowsMalformed(f"{too_long}: a quote is not closed, or this is not CSV.")
        return b""

    def finish(self) -> Checked:
        """Check the end of the file. Raises QueryFailed if it is an error text, StreamCut if it is not complete."""
        if self._splitter.rest:
            self._refuse_other_content(self._splitter.rest)
            raise StreamCut(f"{self._origin.writer}'s answer ends in the middle of the record after row {self.rows}.")
        if not self._begun:
            raise StreamCut(f"{self._origin.writer}'s answer is empty: it has no header.")
        if self.rows and self._origin.puts_errors_into_files and not self._contract.accepts_error_text:
            self._refuse_error_at_the_end()
        if self._guarded_cells:
            guarded = f"{self._guarded_cells} cells begin with an apostrophe before =, +, - or @"
            because = "Looker's protection against formulas is on and turns negative numbers into text"
            self._warnings.append(f"{guarded}: {because}.")
        return Checked(self.header, self.rows, self._warnings)

    def _begin(self, records: bytes) -> bytes:
        end = end_of_first_record(records)
        line, rest = records[:end].removeprefix(codecs.BOM_UTF8), records[end:]
        self._refuse_other_content(line)
        self._refuse_other_separator(line)
        if self._regular.without_quoted(line, first_row=0).count(self._regular.delimiter) >= MOST_COLUMNS:
            raise RowsMalformed(f"The header has more than {MOST_COLUMNS} columns.")
        self._source_header = next(self._records(line))
        if not self._source_header:
            raise RowsMalformed("The header is an empty line.")
        self._expect_width()
        self._record_shape = self._regular.delimiter * (len(self._source_header) - 1) + b"\n"
        self._begun = True
        self.header = self._agree_on_header()
        if self._rewriter or self.header != self._source_header:
            line = write_records([self.header], self._contract.delimiter)
        return line + self._check(rest) if rest else line

    def _refuse_other_separator(self, line: bytes) -> None:
        """Refuse a header of one column with signs that separate columns. Looker writes what it is asked for, and its
        labels may hold any sign.
        """
        asked = self._origin.delimiter
        if self._origin.puts_errors_into_files:
            return
        if _SEPARATOR_LINE.fullmatch(line):
            found = f"begins with the line {line.decode().strip()}, which names a separator for Excel"
            raise self._other_separator(found)
        bare = _QUOTED.sub(b"", line).decode(errors="replace")
        if asked in bare:
            return
        for sign, signs in _SEPARATORS.items():
            if sign in bare:
                raise self._other_separator(f"has one column with {signs} in its name")

    def _other_separator(self, found: str) -> AnswerNotUnderstood:
        asked = _SEPARATORS.get(self._origin.delimiter, self._origin.delimiter)
        return AnswerNotUnderstood(
            f"{self._origin.writer}'s answer {found}, where {asked} were asked for as the separator.",
            next_step="Write the separator that Pigment uses as `delimiter` of the export's source in bridge.yaml.",
        )

    def _expect_width(self) -> None:
        found, expected = len(self._source_header), self._contract.width
        # Columns that the contract names are found by their names.
        if expected is None or self._contract.columns is not None or found == expected:
            return
        cause = f"{self._origin.writer}'s answer does not begin with the query's header: it has {found} columns, the "
        next_step = f"{QueryFailed.next_step} If these columns are right, name them in target.columns."
        raise QueryFailed(f"{cause}query selects {expected} fields.", next_step=next_step)

    def _agree_on_header(self) -> list[str]:
        header, columns = self._source_header, self._contract.columns
        repeated = sorted(name for name, times in Counter(header).items() if times > 1)
        unsent = self._place_watched()
        if columns is None:
            if repeated:
                self._warnings.append(f"The header contains {listed(repeated)} more than once.")
            order = [place for place in range(len(header)) if place != unsent]
            self._rewrite_in(order)
            return [header[place] for place in order]
        missing = [name for name in columns if name not in header]
        if missing or any(name in columns for name in repeated):
            raise _changed_columns(self._origin.writer, list(columns), header, repeated)
        left_out = [name for place, name in enumerate(header) if name not in columns and place != unsent]
        if left_out:
            self._warnings.append(f"Columns that are not in target.columns were left out: {listed(left_out)}.")
        self._rewrite_in([header.index(name) for name in columns])
        return list(columns.values())

    def _place_watched(self) -> int | None:
        """Find the watched column, and return its place if it is not sent on."""
        watched, header = self._contract.watched, self._source_header
        if watched is None:
            return None
        if header.count(watched.header) != 1:
            raise _lost_column(self._origin.writer, watched.header, header)
        self._watched_place = header.index(watched.header)
        return self._watched_place if watched.is_left_out else None

    def _rewrite_in(self, order: list[int]) -> None:
        is_same = order == list(range(len(self._source_header)))
        if self._is_rewritten or not is_same:
            every = is_same and self._contract.columns is None
            self._rewriter = Rewriter(None if every else order, self._origin.delimiter, self._contract.delimiter)

    def _check(self, records: bytes) -> bytes:
        bare = self._regular.without_quoted(records, first_row=self.rows + 1)
        shape = bare.translate(None, self._regular.all_but_shape)
        rows = shape.count(b"\n")
        # With many very short lines, the expected shape would fill the memory: the lengths are compared first.
        if len(shape) != len(self._record_shape) * rows or shape != self._record_shape * rows:
            self._refuse_odd_width(records, bare, shape)
        self.rows += rows
        if self._origin.puts_errors_into_files:
            self._remember(records)
            if b"'" in records:
                self._guarded_cells += len(_GUARDED_CELL.findall(records))
        if self._contract.watched:
            return self._watch(self._contract.watched, records)
        return self._rewriter.rewrite(records) if self._rewriter else records

    def _remember(self, records: bytes) -> None:
        if len(self._earlier) < _EARLIER_BYTES:
            beginning = records[:_EARLIER_BYTES]
            self._earlier += beginning[: end_of_complete_records(beginning)]
        # Of one column, each line of an error text is a record.
        count = _LINES_OF_AN_ERROR if len(self._source_header) == 1 else 1
        begin = begin_of_last_record(records, count)
        self._last_records = records[begin:] if begin or count == 1 else self._last_records + records
        if len(self._last_records) > len(records):
            self._last_records = self._last_records[begin_of_last_record(self._last_records, count) :]

    def _watch(self, watched: Watched, records: bytes) -> bytes:
        """Check the watched column, and rewrite the records from the same reading."""
        found, place = list(self._records(records)), self._watched_place
        watched.expect([record[place] if record else "" for record in found])
        return self._rewriter.write(found) if self._rewriter else records

    def _refuse_odd_width(self, records: bytes, bare: bytes, shape: bytes) -> None:
        odd = next(i for i, line in enumerate(shape.splitlines(keepends=True)) if line != self._record_shape)
        # An error text may begin with an empty line, and need not end with a line end.
        for line in [*bare.split(b"\n")[odd : odd + _LINES_OF_AN_ERROR], self._splitter.rest]:
            self._refuse_error_text(line, after=self.rows + odd)
        fields, expected = next(itertools.islice(self._records(records), odd, None)), len(self._source_header)
        raise RowsMalformed(f"Row {self.rows + odd + 1} has {len(fields)} fields, the header has {expected}.")

    def _refuse_other_content(self, record: bytes) -> None:
        record = record.removeprefix(codecs.BOM_UTF8)
        self._refuse_error_text(record, after=self.rows)
        if not self._begun and _NOT_CSV.match(record):
            if not self._origin.puts_errors_into_files:
                raise AnswerNotUnderstood(f"{self._origin.writer} sent JSON or a web page instead of CSV.")
            raise QueryFailed(f"{self._origin.writer} sent JSON or a web page instead of rows.")

    def _refuse_error_text(self, record: bytes, after: int) -> None:
        text = record.decode(errors="replace")
        # A header of several columns can have labels that read like a sentence.
        is_header = not self._begun and self._regular.delimiter in record
        is_error = error_text.has_the_form(text) if is_header else error_text.has_the_words(text)
        if self._origin.puts_errors_into_files and is_error:
            raise self._error_text(after)

    def _refuse_error_at_the_end(self) -> None:
        last = [record or [""] for record in self._records(self._last_records)]
        earlier = [record or [""] for record in self._records(self._earlier)][: self.rows - len(last)]
        if error_text.ends_in_an_error(last, earlier):
            raise self._error_text(self.rows - 1, next_step=f"{QueryFailed.next_step} {_DATA_INSTEAD}")

    def _error_text(self, after: int, *, next_step: str | None = None) -> QueryFailed:
        text = f"{self._origin.writer} put an error text after row {after}"
        return QueryFailed(f"{text}: its database failed during the answer.", next_step=next_step)

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
    """Patterns of regular records with one delimiter."""

    delimiter: bytes
    all_but_shape: bytes
    "All bytes but the delimiter and the line feed. Without them, every regular record leaves the same bytes."
    quoted_field: re.Pattern[bytes]
    "A field between delimiters. Any other quote remains, and is found."

    @classmethod
    def of(cls, delimiter: str) -> Self:
        sign = re.escape(delimiter).encode()
        # The pattern begins with the quote and looks behind afterwards, so that `re` can search for that character:
        # twelve times faster than the reverse.
        quoted_field = re.compile(rb'"(?<![^%b\n]")[^"]*(?:""[^"]*)*"(?![^%b\r\n])' % (sign, sign))
        shape = delimiter.encode() + b"\n"
        return cls(delimiter.encode(), bytes(byte for byte in range(256) if byte not in shape), quoted_field)

    def without_quoted(self, records: bytes, first_row: int) -> bytes:
        """Return records without quoted fields. Raises RowsMalformed if the rest has a quote or a lone CR."""
        bare = self.quoted_field.sub(b"", records) if b'"' in records else records
        stray = bare.find(b'"')
        if stray >= 0:
            raise RowsMalformed(f"{_place(bare, stray, first_row)} has a quote in the middle of a field.")
        if b"\r" in bare and (lone := _LONE_CR.search(bare)):
            row = _place(bare, lone.start(), first_row)
            raise RowsMalformed(f"{row} has a carriage return in the middle of a record.")
        return bare


def _place(bare: bytes, position: int, first_row: int) -> str:
    row = first_row + bare.count(b"\n", 0, position)
    return f"Row {row}" if row else "The header"


def _changed_columns(
    writer: str, wanted: Sequence[str], found: Sequence[str], repeated: Sequence[str]
) -> ColumnsChanged:
    if repeated:
        what = f"{writer}'s header contains {listed(repeated)} more than once, so target.columns is ambiguous."
        return ColumnsChanged(what)
    alike = lookalikes.of(wanted, found)
    next_step = f"In target.columns, write {lookalikes.advice(alike)}." if alike else None
    # The differences come first: the headers can be too long to be shown whole.
    parts = [f"{writer}'s header does not match target.columns.", header_changes(wanted, found)]
    parts += [lookalikes.differences(alike)] if alike else []
    parts += [f"target.columns: {', '.join(wanted)}. {writer} sent: {', '.join(found)}."]
    return ColumnsChanged(" ".join(parts), next_step=next_step)


def _lost_column(writer: str, wanted: str, found: Sequence[str]) -> ColumnsChanged:
    """The error for a column whose header comes from Looker's explore, not from bridge.yaml."""
    cause = f"{writer} did not send {wanted} exactly once: {', '.join(found)}."
    if alike := lookalikes.of([wanted], found):
        next_step = "In LookML, write the label of the cursor without signs that cannot be seen, then run again."
        return ColumnsChanged(f"{cause} {lookalikes.differences(alike)}", next_step=next_step)
    return ColumnsChanged(cause)
