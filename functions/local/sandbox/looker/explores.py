"""Explores over CSV files, and their tables."""

# ruff: noqa: S608  # statements contain only quoted names, quoted literals and SQL of the sandbox's user

import contextlib
import dataclasses
import itertools
import pathlib
import re
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import duckdb

from local.sandbox import duckdb_engine
from local.sandbox.duckdb_engine import literal
from local.sandbox.looker.filters import Kind


@dataclasses.dataclass(frozen=True)
class LookerField:
    """A dimension or a measure."""

    name: str
    "`view.field`."
    label: str
    "The header in a CSV: the label of the view, then the label of the field."
    sql: str
    sql_type: str
    measure: bool = False
    description: str = ""

    @property
    def kind(self) -> Kind:
        if self.sql_type in {"DATE", "BOOLEAN"}:
            return Kind.DATE if self.sql_type == "DATE" else Kind.YESNO
        if self.sql_type.startswith("TIMESTAMP"):
            return Kind.TIME
        return Kind.STRING if self.sql_type == "VARCHAR" else Kind.NUMBER


class Warehouse:
    """The database of the explores: a file in a temporary folder, to save memory."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="looker-sandbox-")
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._database = duckdb_engine.Database(pathlib.Path(self._folder, "rows.duckdb"))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Open a connection for one thread."""
        return self._database.cursor()

    def close(self) -> None:
        self._database.close()
        self._remove()

    def fill(self, table: str, paths: Sequence[pathlib.Path], types: Mapping[str, str], nulls: Sequence[str]) -> None:
        """Load CSV files with the same columns into a table; `.gz` and `.zip` are unpacked."""
        with self._unpack(paths) as files, self.cursor() as cursor:
            cursor.begin()
            cursor.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS SELECT * FROM {_csv(files, types, nulls)}")
            for name, kind in _described(cursor, f"SELECT * FROM {quoted(table)}"):
                if stored := _stored_column(name, kind):
                    cursor.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(name)} TYPE {stored}")
            cursor.commit()

    def columns(self, table: str) -> list[tuple[str, str]]:
        return self._columns(f"SELECT * FROM {quoted(table)}")

    def has_word(self, table: str, sql: str) -> bool:
        """Return whether a numeric column has a value that is no number: nan or inf."""
        select = f"SELECT coalesce(bool_or(NOT isfinite({sql})), false) FROM {quoted(table)}"
        return bool(self.cursor().execute(select).fetchall()[0][0])

    def count_rows(self, table: str) -> tuple[int, int]:
        """Return the number of rows and of different rows."""
        different = f"SELECT count(*) FROM (SELECT DISTINCT * FROM {quoted(table)})"
        found = self.cursor().execute(f"SELECT count(*), ({different}) FROM {quoted(table)}").fetchall()
        return found[0][0], found[0][1]

    def type_of(self, sql: str, table: str) -> str:
        return _field_type(self._columns(f"SELECT {sql} AS it FROM {quoted(table)}")[0][1])

    def _columns(self, select: str) -> list[tuple[str, str]]:
        with self.cursor() as cursor:
            return _described(cursor, select)

    @contextlib.contextmanager
    def _unpack(self, paths: Sequence[pathlib.Path]) -> Iterator[list[pathlib.Path]]:
        with tempfile.TemporaryDirectory(dir=self._folder) as unpacked:
            yield [file for path in paths for file in _unzip(path, pathlib.Path(unpacked))]


class Explore:
    """An explore over one set of CSV files."""

    def __init__(
        self,
        warehouse: Warehouse,
        model: str,
        name: str,
        paths: Sequence[pathlib.Path],
        *,
        label: str | None = None,
        labels: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        nulls: Sequence[str] = ("",),
        fails_after_rows: int | None = None,
        fields: Mapping[str, LookerField] | None = None,
    ) -> None:
        self.model = model
        self.name = name
        self.label = label or title_of(name)
        self.fails_after_rows = fails_after_rows
        "The database connection breaks after this many rows: Looker answers 200, and the body ends with an error text."
        self.table = f"{model}.{name}"
        self.fields: dict[str, LookerField] = dict(fields or {})
        self._warehouse = warehouse
        warehouse.fill(self.table, paths, types or {}, nulls)
        if fields is not None:
            return
        for column, kind in warehouse.columns(self.table):
            self._add(self._new_name(column), quoted(column), kind, label=(labels or {}).get(column))
        if f"{name}.count" not in self.fields:
            self._add("count", "COUNT(*)", "BIGINT", label=None, measure=True)

    def dimension(self, name: str, sql: str, *, label: str | None = None, description: str = "") -> Self:
        """Add a field that is computed per row: `explore.dimension("route", "origin || '-' || dest")`."""
        self._add(name, f"({sql})", self._warehouse.type_of(sql, self.table), label=label, description=description)
        return self

    def measure(self, name: str, sql: str, *, label: str | None = None, description: str = "") -> Self:
        """Add an aggregate: `explore.measure("miles", "SUM(distance)")`."""
        kind = self._warehouse.type_of(sql, self.table)
        self._add(name, sql, kind, label=label, description=description, measure=True)
        return self

    def has_word(self, field: LookerField) -> bool:
        """Return whether a dimension of the type DOUBLE has a value that is no number: nan or inf."""
        return field.sql_type == "DOUBLE" and self._warehouse.has_word(self.table, field.sql)

    def columns(self) -> list[str]:
        """Return the names of the columns of the files."""
        return [name for name, _ in self._warehouse.columns(self.table)]

    def count_rows(self) -> tuple[int, int]:
        """Return the number of rows in the files, and of different rows. A query without measures shows the latter."""
        return self._warehouse.count_rows(self.table)

    def _new_name(self, column: str) -> str:
        """Return the name of a column's dimension: "Order ID" becomes `order_id`, or `order_id_2` beside another."""
        name = _identifier(column) or "column"
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        return next(each for each in names if f"{self.name}.{each}" not in self.fields)

    def _add(
        self, name: str, sql: str, sql_type: str, *, label: str | None, description: str = "", measure: bool = False
    ) -> None:
        """Add a field. A label from the caller is the complete header."""
        whole = label or f"{self.label} {title_of(name)}"
        field = LookerField(f"{self.name}.{name}", whole, sql, sql_type, measure, description)
        self.fields[field.name] = field

    def describe(self) -> dict[str, Any]:
        """Return the answer of `GET /lookml_models/{model}/explores/{explore}`."""
        fields = [self._describe_field(field) for field in self.fields.values()]
        return {
            "id": f"{self.model}::{self.name}",
            "name": self.name,
            "label": self.label,
            "title": self.label,
            "description": None,
            "hidden": False,
            "model_name": self.model,
            "project_name": self.model,
            "view_name": self.name,
            "connection_name": "sandbox",
            "dialect_name": "duckdb",
            "has_timezone_support": True,
            "can_total": True,
            "can_pivot_in_db": False,
            "can_subtotal": False,
            "scopes": [self.name],
            "tags": [],
            "errors": [],
            "joins": [],
            "fields": {
                "dimensions": [field for field in fields if not field["measure"]],
                "measures": [field for field in fields if field["measure"]],
                "filters": [],
                "parameters": [],
            },
        }

    def _describe_field(self, field: LookerField) -> dict[str, Any]:
        numeric = field.kind is Kind.NUMBER
        return {
            "name": field.name,
            "label": field.label,
            "label_short": field.label.removeprefix(f"{self.label} "),
            "description": field.description or None,
            "view": self.name,
            "view_label": self.label,
            "original_view": self.name,
            "scope": self.name,
            "category": "measure" if field.measure else "dimension",
            "measure": field.measure,
            "dynamic": False,
            "parameter": False,
            "hidden": False,
            "is_filter": False,
            "is_numeric": numeric,
            "is_timeframe": field.kind in {Kind.DATE, Kind.TIME},
            "can_filter": True,
            "sortable": True,
            # As in the LookML that Looker generates from a table.
            "primary_key": field.name == f"{self.name}.id" and not field.measure,
            "type": str(field.kind),
            "align": "right" if numeric else "left",
            "sql": field.sql,
            "value_format": None,
            "tags": [],
        }


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _field_type(sql_type: str) -> str:
    """Reduce a database type to those that fields distinguish; all others are text."""
    known = r"DATE|BOOLEAN|TIMESTAMP\w*|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*\)"
    return sql_type if re.fullmatch(known, sql_type) else "VARCHAR"


def _described(cursor: duckdb.DuckDBPyConnection, select: str) -> list[tuple[str, str]]:
    return [(str(name), str(kind)) for name, kind, *_ in cursor.execute(f"DESCRIBE {select}").fetchall()]


def _stored_column(name: str, sql_type: str) -> str | None:
    """Return SQL for the stored type if it is another; timestamps are stored in UTC, without a zone."""
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        return f"TIMESTAMP USING timezone('UTC', {quoted(name)})"
    return "VARCHAR" if _field_type(sql_type) != sql_type else None


def _unzip(path: pathlib.Path, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    if path.suffix != ".zip":
        yield path
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".csv") and not member.filename.startswith("__MACOSX"):
                file = folder / f"{len(list(folder.iterdir()))}.csv"
                with archive.open(member) as packed, file.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1024 * 1024)
                yield file


def _identifier(column: str) -> str:
    return re.sub(r"\W+", "_", column).strip("_").lower()


def title_of(name: str) -> str:
    return name.replace("_", " ").title()


def _csv(files: Sequence[pathlib.Path], types: Mapping[str, str], nulls: Sequence[str]) -> str:
    """Return SQL for the rows of CSV files. DuckDB would take brackets and stars in their names for patterns."""
    names = [re.sub(r"[\[*?]", r"[\g<0>]", str(file)) for file in files]
    return f"read_csv({_list(names)}, header = true, sample_size = -1, nullstr = {_list(nulls)}, types = {_map(types)})"


def _list(values: Any) -> str:
    return "[" + ", ".join(map(literal, values)) + "]"


def _map(types: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items()) + "}"
