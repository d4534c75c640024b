"""Results of a query, streamed in each format that Looker offers."""

# ruff: noqa: S608  # statements contain only quoted names, quoted literals and SQL of the sandbox's user

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb

from local.sandbox.duckdb_engine import literal
from local.sandbox.looker.explores import LookerField, quoted
from local.sandbox.looker.filters import Kind
from local.sandbox.looker.queries import Statement

_BLOCK_BYTES = 512 * 1024
_FETCHED_ROWS = 2048
_SEVERED = "SQL Error: connection severed"
_CONTENT_TYPES = {
    "csv": "text/csv;charset=utf-8",
    "txt": "text/plain;charset=utf-8",
    "sql": "text/plain;charset=utf-8",
    "json": "application/json",
    "json_detail": "application/json",
}
FORMATS = tuple(_CONTENT_TYPES)


def content_type(result_format: str) -> str:
    return _CONTENT_TYPES[result_format]


@dataclasses.dataclass
class Readings:
    """What Looker does not document, one way or the other."""

    header_without_rows: bool = True
    "Whether a CSV without rows has a header. If not, it is empty."
    totals_row: bool = True
    "Whether a CSV ends in the totals that its query asks for."
    refuses_before_rows: bool = True
    "Whether a query that cannot run is answered with an error status. If not, with 200 and its text in place of rows."


def blocks(
    result_format: str,
    statement: Statement,
    cursor: duckdb.DuckDBPyConnection,
    *,
    formatted: bool,
    fails_after_rows: int | None,
    readings: Readings,
) -> Iterator[bytes]:
    """Return the body. The database fails after the 200, so an error can only appear in the text."""
    if result_format == "sql":
        return iter([statement.sql.encode()])
    writers: dict[str, Callable[[], Iterator[str]]] = {
        "csv": lambda: _lines(statement, cursor, ",", formatted, fails_after_rows, readings),
        "txt": lambda: _lines(statement, cursor, "\t", formatted, fails_after_rows, readings),
        "json": lambda: _objects(statement, cursor, formatted, fails_after_rows),
        "json_detail": lambda: _details(statement, cursor),
    }
    return _encode(writers[result_format]())


def _encode(pieces: Iterator[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    waiting_characters = 0
    for piece in pieces:
        waiting.append(piece)
        waiting_characters += len(piece)
        if waiting_characters >= _BLOCK_BYTES:
            yield "".join(waiting).encode()
            waiting, waiting_characters = [], 0
    if waiting:
        yield "".join(waiting).encode()


def _lines(
    statement: Statement,
    cursor: duckdb.DuckDBPyConnection,
    delimiter: str,
    formatted: bool,
    fails_after_rows: int | None,
    readings: Readings,
) -> Iterator[str]:
    """Let the database write the lines: 1 million rows of 15 columns take half a second."""
    columns = [_quoted_where_needed(_text(field, formatted), field, formatted, delimiter) for field in statement.fields]
    separator = f", {_character(delimiter)}, "
    line = f"concat({separator.join(columns)}, chr(10))"
    header = delimiter.join(_header(field.label, delimiter) for field in statement.fields) + "\n"
    if readings.header_without_rows:
        yield header
        header = ""
    try:
        for rows in _fetch(cursor, f"SELECT {line} FROM ({statement.sql})", fails_after_rows):
            yield header + "".join([row[0] for row in rows])
            header = ""
        if fails_after_rows is not None:
            yield f"\nError: {_SEVERED}"
        elif statement.totals and readings.totals_row and not header:
            yield cursor.execute(f"SELECT {line} FROM ({statement.totals})").fetchall()[0][0]
    except duckdb.Error as error:
        yield f"\nError: {_error_text(error)}"


def _objects(
    statement: Statement, cursor: duckdb.DuckDBPyConnection, formatted: bool, fails_after_rows: int | None
) -> Iterator[str]:
    names = [field.name for field in statement.fields]
    columns = ", ".join(_json_value(field, formatted) for field in statement.fields)
    start = "["
    try:
        for rows in _fetch(cursor, f"SELECT {columns} FROM ({statement.sql})", fails_after_rows):
            yield start + ",\n".join([json.dumps(dict(zip(names, row, strict=True))) for row in rows])
            start = ",\n"
        if fails_after_rows is not None:
            yield start + json.dumps({"looker_error": _SEVERED})
            start = ""
    except duckdb.Error as error:
        yield start + json.dumps({"looker_error": _error_text(error)})
        start = ""
    yield "[]" if start == "[" else "]"


def _details(statement: Statement, cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
    columns = ", ".join(_json_value(field, formatted=False) for field in statement.fields)
    rows: list[tuple[Any, ...]] = []
    errors = []
    try:
        rows = cursor.execute(f"SELECT {columns} FROM ({statement.sql})").fetchall()
    except duckdb.Error as error:
        errors = [{"message": "SQL Error", "message_details": _error_text(error)}]
    yield json.dumps(
        {
            "fields": {
                "dimensions": [_detail(field) for field in statement.fields if not field.measure],
                "measures": [_detail(field) for field in statement.fields if field.measure],
                "table_calculations": [],
                "pivots": [],
            },
            "sql": statement.sql,
            "has_totals": statement.totals is not None,
            "has_row_totals": False,
            "errors": errors,
            "data": [
                {field.name: {"value": value} for field, value in zip(statement.fields, row, strict=True)}
                for row in rows
            ],
        }
    )


def _detail(field: LookerField) -> dict[str, Any]:
    return {"name": field.name, "label": field.label, "type": str(field.kind), "measure": field.measure}


def _fetch(cursor: duckdb.DuckDBPyConnection, sql: str, only_rows: int | None) -> Iterator[Sequence[tuple[Any, ...]]]:
    cursor.execute(sql if only_rows is None else f"{sql} LIMIT {only_rows}")
    while rows := cursor.fetchmany(_FETCHED_ROWS):
        yield rows


def _text(field: LookerField, formatted: bool) -> str:
    """Return SQL for the text of a value: plain numbers, ISO dates, Yes and No."""
    column = quoted(field.name)
    if field.kind is Kind.YESNO:
        return f"CASE WHEN {column} THEN 'Yes' ELSE 'No' END"
    if field.kind is Kind.TIME:
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S')"
    if field.kind is Kind.NUMBER and formatted:
        return f"format('{{:,}}', {column})" if "INT" in field.sql_type else f"format('{{:,.2f}}', {column}::DOUBLE)"
    return f"{column}::VARCHAR"


def _json_value(field: LookerField, formatted: bool) -> str:
    column = quoted(field.name)
    if field.kind is not Kind.NUMBER or formatted:
        return _text(field, formatted)
    if "INT" in field.sql_type:
        return column
    return f"CASE WHEN isfinite({column}::DOUBLE) THEN {column}::DOUBLE END"  # JSON has no infinity


def _quoted_where_needed(text: str, field: LookerField, formatted: bool, delimiter: str) -> str:
    if field.kind is not Kind.STRING and not (field.kind is Kind.NUMBER and formatted):
        return text
    needed = " OR ".join(f"contains({text}, {_character(character)})" for character in f'"\r\n{delimiter}')
    return f"""CASE WHEN {needed} THEN '"' || replace({text}, '"', '""') || '"' ELSE {text} END"""


def _header(label: str, delimiter: str) -> str:
    if not any(character in label for character in f'"\r\n{delimiter}'):
        return label
    return '"' + label.replace('"', '""') + '"'


def _character(character: str) -> str:
    return literal(character) if character.isprintable() else f"chr({ord(character)})"


def _error_text(error: duckdb.Error) -> str:
    return f"SQL Error: {str(error).splitlines()[0]}"
