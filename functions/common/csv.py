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
from collections.abc import Mapping, Sequence

import msgspec

from common.errors import ColumnsChanged, QueryFailed, RowsMalformed, StreamCut

LONGEST_RECORD_BYTES = 16 * 1024 * 1024

# What is left of regular records when everything else is deleted: the same few bytes, over and over.
_ALL_BUT_SHAPE = bytes(byte for byte in range(256) if byte not in b",\n")

# A quoted field stands between delimiters; a quote that does not is left over and found.
_QUOTED_FIELD = re.compile(rb'(?<![^,\n])"[^"]*(?:""[^"]*)*"(?![^,\r\n])')

# Looker's formula guard puts an apostrophe before = - + @, which turns -5 into text (Looker docs, "formula injection").
_GUARDED_CELL = re.compile(rb"(?:^|,)\"?'[=+\-@]", re.MULTILINE)

# The exact form of the text Looker appends is documented nowhere; these are the ones seen in public.
_ERROR_TEXT = re.compile(
    rb'(?i)\s*(?:[\["{\s]*looker_error\b|"?(?:sql |query |database |looker )?(?:error|exception)\s*:)'
)
_LINES_OF_AN_ERROR = 5
_NOT_CSV = re.compile(rb'(?i)\s*(?:<(?:!doctype|html|\?xml)|\[\s*\{|\{\s*")')


class Checked(msgspec.Struct, frozen=True):
    """What a whole file turned out to be."""

    header: list[str]
    "As it goes to Pigment."
    rows: int
    warnings: list[str]


class Contract(msgspec.Struct, frozen=True):
    """What the target wants made of the file."""

    columns: Mapping[str, str] | None = None
    "Column in the file: column in Pigment, in Pigment's order; None leaves the header as it is."
    delimiter: str = ","


class Checker:
    """Feed it a file as it comes; what it gives back is checked and ready for Pigment."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._tail = b""
        self._begun = False
        self._source_header: list[str] = []
        self._header: list[str] = []
        self._record_shape = b""
        self._rewriter: _Rewriter | None = None
        self._last_record = b""
        self._guarded_cells = 0
        self._warnings: list[str] = []
        self.rows = 0

    def feed(self, block: bytes) -> bytes:
        """Take a block; give what is complete and checked, which may be nothing yet.

        Raises:
            QueryFailed: an error text stands where a record should.
            RowsMalformed: a record of another width, a stray quote, a lone CR, a NUL, bytes that are not UTF-8.
            ColumnsChanged: the header is not what the contract says.
        """
        self._expect_text(block)
        pending = self._tail + block if self._tail else block
        if not self._begun and pending.startswith(codecs.BOM_UTF8):
            pending = pending[len(codecs.BOM_UTF8) :]
        end = _end_of_complete_records(pending)
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
            raise StreamCut(f"Looker's answer ends in the middle of the record after row {self.rows}.")
        if not self._begun:
            raise StreamCut("Looker's answer is empty: not even a header came.")
        if self.rows:
            self._refuse_error_text(self._last_record, after=self.rows - 1)
        if self._guarded_cells:
            self._warnings.append(
                f"{self._guarded_cells} cells begin with an apostrophe before =, +, - or @: Looker's formula guard is "
                "on and turns negative numbers into text."
            )
        return Checked(self._header, self.rows, self._warnings)

    def _begin(self, records: bytes) -> bytes:
        end = _end_of_first_record(records)
        line, rest = records[:end], records[end:]
        self._refuse_other_content(line)
        self._source_header = _fields(line)
        self._record_shape = b"," * (len(self._source_header) - 1) + b"\n"
        self._begun = True
        self._header = self._agree_on_header()
        if self._contract.columns is not None or self._contract.delimiter != ",":
            line = _line(self._header, self._contract.delimiter)
        return line + self._check(rest) if rest else line

    def _agree_on_header(self) -> list[str]:
        header, columns = self._source_header, self._contract.columns
        repeated = sorted({name for name in header if header.count(name) > 1})
        if columns is None:
            if repeated:
                self._warnings.append(f"The header names {', '.join(repeated)} more than once.")
            if self._contract.delimiter != ",":
                self._rewriter = _Rewriter(None, self._contract.delimiter)
            return header
        missing = [name for name in columns if name not in header]
        if missing or any(name in columns for name in repeated):
            raise ColumnsChanged(_differences(list(columns), header, repeated))
        left_out = [name for name in header if name not in columns]
        if left_out:
            self._warnings.append(f"Columns that target.columns does not choose were left out: {', '.join(left_out)}.")
        order = [header.index(name) for name in columns]
        if order != list(range(len(header))) or self._contract.delimiter != ",":
            self._rewriter = _Rewriter(order, self._contract.delimiter)
        return list(columns.values())

    def _check(self, records: bytes) -> bytes:
        bare = records
        if b'"' in records:
            bare = _QUOTED_FIELD.sub(b"", records)
            if b'"' in bare:
                position = bare.count(b"\n", 0, bare.index(b'"'))
                raise RowsMalformed(f"Row {self.rows + position + 1} has a quote in the middle of a field.")
        if b"\r" in bare and bare.count(b"\r") != bare.count(b"\r\n"):
            position = bare.count(b"\n", 0, re.search(rb"\r(?!\n)", bare).start())  # type: ignore[union-attr]
            raise RowsMalformed(f"Row {self.rows + position + 1} has a carriage return in the middle of a record.")
        shape = bare.translate(None, _ALL_BUT_SHAPE)
        rows = shape.count(b"\n")
        if shape != self._record_shape * rows:
            self._refuse_odd_width(records, bare, shape)
        self.rows += rows
        self._last_record = records[records.rfind(b"\n", 0, -1) + 1 :]
        if b"'" in records:
            self._guarded_cells += len(_GUARDED_CELL.findall(records))
        return self._rewriter.rewrite(records) if self._rewriter else records

    def _refuse_odd_width(self, records: bytes, bare: bytes, shape: bytes) -> None:
        odd = next(i for i, line in enumerate(shape.splitlines(keepends=True)) if line != self._record_shape)
        # An error text may begin with an empty line, and may not end with one.
        for line in [*bare.split(b"\n")[odd : odd + _LINES_OF_AN_ERROR], self._tail]:
            self._refuse_error_text(line, after=self.rows + odd)
        fields = next(itertools.islice(csv.reader(io.StringIO(records.decode(), newline="")), odd, None))
        raise RowsMalformed(
            f"Row {self.rows + odd + 1} has {len(fields)} fields, the header has {len(self._source_header)}."
        )

    def _refuse_other_content(self, record: bytes) -> None:
        self._refuse_error_text(record, after=self.rows)
        if not self._begun and _NOT_CSV.match(record):
            raise QueryFailed("Looker sent JSON or a web page in place of rows.")

    def _refuse_error_text(self, record: bytes, after: int) -> None:
        if _ERROR_TEXT.match(record):
            raise QueryFailed(f"Looker put an error text after row {after}: the database failed while it answered.")

    def _expect_text(self, block: bytes) -> None:
        if b"\0" in block:
            raise RowsMalformed(f"There is a NUL byte after row {self.rows}.")
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError as error:
            raise RowsMalformed(f"After row {self.rows} there are bytes that are not UTF-8: {error.reason}.") from None


class _Rewriter:
    """Chooses, orders and delimits anew: the only path with a Python step per record."""

    def __init__(self, order: Sequence[int] | None, delimiter: str) -> None:
        self._order = order
        self._delimiter = delimiter

    def rewrite(self, records: bytes) -> bytes:
        delimiter = self._delimiter.encode()
        if self._order is None and b'"' not in records and delimiter not in records:
            return records.replace(b",", delimiter)
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=self._delimiter, lineterminator="\n")
        reader = csv.reader(io.StringIO(records.decode(), newline=""))
        if self._order is None:
            writer.writerows(reader)
        elif len(self._order) == 1:
            only = self._order[0]
            writer.writerows((fields[only],) for fields in reader)
        else:
            writer.writerows(map(operator.itemgetter(*self._order), reader))
        return out.getvalue().encode()


def _end_of_complete_records(pending: bytes) -> int:
    """Where the last line end outside quotes is: as many quotes stand before it as to make pairs."""
    end = pending.rfind(b"\n") + 1
    if b'"' not in pending:
        return end
    quotes = pending.count(b'"', 0, end)
    while end and quotes % 2:
        earlier = pending.rfind(b"\n", 0, end - 1) + 1
        quotes -= pending.count(b'"', earlier, end)
        end = earlier
    return end


def _end_of_first_record(records: bytes) -> int:
    end = records.find(b"\n") + 1
    while records.count(b'"', 0, end) % 2:
        end = records.find(b"\n", end) + 1
    return end


def _fields(line: bytes) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line.decode(), newline=""), strict=True), [])
    except csv.Error:
        raise RowsMalformed("The header has a quote in the middle of a name.") from None


def _line(fields: Sequence[str], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(fields)
    return out.getvalue().encode()


def _differences(wanted: Sequence[str], found: Sequence[str], repeated: Sequence[str]) -> str:
    if repeated:
        return (
            f"Looker's header names {', '.join(repeated)} more than once, so target.columns cannot tell which is meant."
        )
    missing = ", ".join(name for name in wanted if name not in found)
    return (
        f"Looker's header lacks {missing}. target.columns wants: {', '.join(wanted)}. Looker sent: {', '.join(found)}."
    )
