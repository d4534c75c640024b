"""Rows become CSV inside DuckDB, one text per row: 10 million rows pass in seconds, and none through Python."""

import csv
import dataclasses
import io

from local.sandbox.duckdb_engine import literal
from local.sandbox.pigment.exporting.request_bodies import DateFormat, DelimiterName
from local.sandbox.pigment.model import Block, PropertyType

_DELIMITERS: dict[DelimiterName, str] = {"Semicolon": ";", "Comma": ","}


@dataclasses.dataclass(frozen=True)
class ExportedField:
    """One column of the file."""

    header: str
    sql: str
    type: PropertyType


@dataclasses.dataclass(frozen=True)
class Extract:
    """What a file holds, whatever it looks like."""

    fields: list[ExportedField]
    sources: list[str]
    "What stands in SQL after FROM; each adds its rows to the file."

    def counts(self) -> list[str]:
        return self.select("count(*)")

    def select(self, what: str) -> list[str]:
        """Nothing where there are no columns: a block without properties has no rows."""
        return [f"SELECT {what} FROM {source}" for source in self.sources if self.fields]  # noqa: S608  # our own SQL


@dataclasses.dataclass(frozen=True)
class Style:
    """How a file looks."""

    dates: DateFormat
    delimiter: DelimiterName = "Semicolon"
    legacy_time: bool = True
    "Dates of tables and metrics carry a time and its offset in the legacy format; those of lists do not."
    decimal_comma: bool = False
    byte_order_mark: bool = False

    def header(self, extract: Extract) -> bytes:
        line = io.StringIO()
        csv.writer(line, delimiter=self._delimiter, lineterminator="\n").writerow(
            [field.header for field in extract.fields]
        )
        return line.getvalue().encode("utf-8-sig" if self.byte_order_mark else "utf-8")

    def queries(self, extract: Extract) -> list[str]:
        """One line per row, with its end."""
        delimiter = f", {literal(self._delimiter)}, "
        line = f"concat({delimiter.join(self._text(field) for field in extract.fields)}, chr(10))"
        return extract.select(line)

    def of(self, block: Block) -> "Style":
        """Legacy dates are not the same for every kind of block."""
        return dataclasses.replace(self, legacy_time=block.type in ("Metric", "Table"))

    @property
    def _delimiter(self) -> str:
        return _DELIMITERS[self.delimiter]

    def _text(self, field: ExportedField) -> str:
        """SQL for a value as it stands in the file; blank where there is none."""
        match field.type:
            case "date" if self.dates == "Iso8601":
                return f"strftime({field.sql}, '%Y-%m-%d')"
            case "date":
                time = " 00:00:00 +00:00" if self.legacy_time else ""
                return f"strftime({field.sql}, '%m/%d/%Y{time}')"
            case "boolean":
                return f"CASE {field.sql} WHEN true THEN 'TRUE' WHEN false THEN 'FALSE' END"
            case "number" if self.decimal_comma:
                return self._quoted(f"replace(CAST({field.sql} AS VARCHAR), '.', ',')")
            case "number" | "integer":
                return field.sql
            case _:
                return self._quoted(field.sql)

    def _quoted(self, text: str) -> str:
        """RFC 4180, 2.6 and 2.7."""
        signs = (literal(self._delimiter), "'\"'", "chr(10)", "chr(13)")
        reasons = " OR ".join(f"contains({text}, {sign})" for sign in signs)
        return f"CASE WHEN {reasons} THEN '\"' || replace({text}, '\"', '\"\"') || '\"' ELSE {text} END"
