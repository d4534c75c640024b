"""The import of one file into one block: read, check, clear, write, and count each row.

A million rows take seconds because DuckDB reads and checks them; no row passes through Python.
"""

# ruff: noqa: S608  # names consist of positions and UUIDs; literal() quotes every text from outside
import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from local.sandbox.duckdb_engine import literal
from local.sandbox.pigment.database import comparable, table
from local.sandbox.pigment.model import (
    AutoCreated,
    Block,
    BlockColumn,
    Configuration,
    DetailedReport,
    ImportFailure,
    ReportedBlock,
    SkippedData,
    SkipReason,
    Summary,
)

_SAMPLES = 3


@dataclasses.dataclass(frozen=True)
class DeliberateSkip:
    """An instruction to skip the first valid rows of a file, with the given reason."""

    rows: int
    reason: SkipReason
    column: str | None


@dataclasses.dataclass(frozen=True)
class RowEdit:
    """A change of rows of which no report tells, as a person makes in Pigment, or a fault."""

    where: Mapping[str, str]
    "The values of properties, as text, that select the rows."
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    "The new values, by property."
    doubles: bool = False
    "Whether the rows are there twice afterwards; otherwise rows without new values are deleted."

    def make(self, cursor: duckdb.DuckDBPyConnection, block: Block) -> int:
        """Change the rows and return their number."""

        def column(name: str) -> str:
            return f"p{block.position(name)}"

        chosen = " AND ".join(
            f"CAST({column(name)} AS VARCHAR) = {literal(value)}" for name, value in self.where.items()
        )
        values = ", ".join(f"{column(name)} = {literal(value)}" for name, value in self.values.items())
        if self.doubles:
            change = f"INSERT INTO {table(block)} SELECT * FROM {table(block)}"
        else:
            change = f"UPDATE {table(block)} SET {values}" if values else f"DELETE FROM {table(block)}"
        return int(cursor.execute(f"{change} WHERE {chosen or 'true'}").fetchall()[0][0])


def read_header(file: Path, delimiter: str) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            header = next(csv.reader(lines, delimiter=delimiter), [])
        "".join(header).encode()
    except UnicodeEncodeError:
        raise ImportFailure("InvalidEncoding", "The header is not encoded in UTF-8.") from None
    except csv.Error as error:
        raise ImportFailure("InvalidFile", f"The header cannot be read: {error}.") from None
    if not header:
        raise ImportFailure("EmptyFile", "The file is empty.")
    return header


@dataclasses.dataclass
class FileImport:
    """The import of one file into one block, inside one transaction."""

    cursor: duckdb.DuckDBPyConnection
    configuration: Configuration
    blocks: Mapping[str, Block]
    deliberate_skip: DeliberateSkip | None = None
    rows: int = dataclasses.field(default=0, init=False)
    "Data rows in the file."

    def __post_init__(self) -> None:
        self.block = self.blocks[self.configuration.block]

    def run(self, file: Path) -> DetailedReport:
        """Import the file. Raises ImportFailure, after which the caller must roll the transaction back."""
        header = read_header(file, self.configuration.delimiter)
        _check_header(header, [column.header for column in self._columns])
        self._stage(file, header)
        skipped = [*self._malformed_rows(), *self._skip_problems(), *self._blanked_values()]
        created = self._create_items()
        self._settle_duplicates()
        deleted = self._clear()
        inserted, updated = self._write()
        return DetailedReport(
            "Metric" if self.block.type == "Metric" else "List",
            Summary(inserted, updated, deleted, sum(skip.count for skip in skipped)),
            [ReportedBlock(self.block.id, inserted, updated, deleted, skipped)],
            created,
        )

    @property
    def _columns(self) -> Sequence[BlockColumn]:
        return self.configuration.columns

    @property
    def _key(self) -> Sequence[str]:
        return self.configuration.key(self.block)

    def _stage(self, file: Path, header: Sequence[str]) -> None:
        """Load each row once: raw texts `r`, typed values `v`, and the first column with a `problem`."""
        raw = [f"nullif(c{header.index(column.header)}, '') AS r{n}" for n, column in enumerate(self._columns)]
        values = [f"{self._parsed(f'r{n}', column)} AS v{n}" for n, column in enumerate(self._columns)]
        problems = [f"WHEN {self._is_problem(n, column)} THEN {n}" for n, column in enumerate(self._columns)]
        samples = [f"WHEN {n} THEN r{n}" for n in range(len(self._columns))]
        kept = [f"v{n}" for n in range(len(self._columns))] + [f"r{n}" for n, _ in self._blankable()]
        self._run(
            f"CREATE TEMP TABLE staged AS SELECT {', '.join(kept)}, "
            f"CASE {' '.join(problems)} END AS problem, CASE problem {' '.join(samples)} END AS sample "
            f"FROM (SELECT *, {', '.join(values)} FROM (SELECT {', '.join(raw)} FROM {self._csv(file, len(header))}))"
        )

    def _csv(self, file: Path, width: int) -> str:
        names = ", ".join(f"c{position}: 'VARCHAR'" for position in range(width))
        return (
            f"read_csv({literal(str(file))}, columns = {{{names}}}, auto_detect = false, header = true, "
            f"delim = {literal(self.configuration.delimiter)}, quote = '\"', escape = '\"', store_rejects = true)"
        )

    def _parsed(self, raw: str, column: BlockColumn) -> str:
        """Return SQL for the stored value, NULL if it is invalid. DuckDB alone would read 1.5 as the integer 2."""
        match column.type:
            case "number":
                number = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
                is_number = f"regexp_full_match({raw}, '{number}') AND TRY_CAST({raw} AS DOUBLE) IS NOT NULL"
                return f"CASE WHEN {is_number} THEN {raw} END"
            case "integer":
                return f"CASE WHEN regexp_full_match({raw}, '[+-]?\\d+') THEN TRY_CAST({raw} AS BIGINT) END"
            case "date":
                return f"CAST(try_strptime({raw}, {literal(column.format)}) AS DATE)"
            case "boolean":
                return (
                    f"CASE WHEN lower({raw}) IN ('true', 'yes', '1') THEN true "
                    f"WHEN lower({raw}) IN ('false', 'no', '0') THEN false END"
                )
            case "dimension" if column.missing != "create":
                return f"CASE WHEN {raw} IN (SELECT CAST(p0 AS VARCHAR) FROM {self._items(column)}) THEN {raw} END"
            case _:
                return raw

    def _items(self, column: BlockColumn) -> str:
        return table(self.blocks[str(column.to)])

    def _is_problem(self, n: int, column: BlockColumn) -> str:
        if column.property in self._key:
            return f"v{n} IS NULL"
        if column.type == "dimension" and column.missing == "blank":
            return "false"
        return f"r{n} IS NOT NULL AND v{n} IS NULL"

    def _blankable(self) -> Iterable[tuple[int, BlockColumn]]:
        return [(n, column) for n, column in enumerate(self._columns) if column.missing == "blank"]

    def _malformed_rows(self) -> list[SkippedData]:
        """Count rows of a wrong width or encoding. An unclosed quote fails the file, because it can hide the rest."""
        count, samples, unclosed = self._one(
            f"SELECT count(*), arg_min(csv_line, line, {_SAMPLES}), min(line) FILTER (unclosed) FROM (SELECT line, "
            "any_value(csv_line) AS csv_line, bool_or(error_type = 'UNQUOTED VALUE') AS unclosed "
            "FROM reject_errors GROUP BY line)"
        )
        if unclosed:
            raise ImportFailure("InvalidFile", f"Line {unclosed}: a quoted value is malformed.")
        self.rows += count
        return [SkippedData(count, "ParsingError", None, samples)] if count else []

    def _skip_problems(self) -> list[SkippedData]:
        """Count the rows with a problem and delete them."""
        causes: list[tuple[SkipReason, str | None]] = [
            ("MissingModalitySkippedDataRow" if column.type == "dimension" else "ParsingError", column.header)
            for column in self._columns
        ]
        if self.deliberate_skip:
            self._skip_deliberately(self.deliberate_skip, len(causes))
            causes.append((self.deliberate_skip.reason, self.deliberate_skip.column))
        found = self._run(
            f"SELECT problem, count(*), arg_min(coalesce(sample, ''), rowid, {_SAMPLES}) FILTER (problem IS NOT NULL) "
            "FROM staged GROUP BY problem ORDER BY problem"
        ).fetchall()
        self.rows += sum(count for _, count, _ in found)
        bad = [(causes[n], count, samples) for n, count, samples in found if n is not None]
        if bad:
            self._run("DELETE FROM staged WHERE problem IS NOT NULL")
        return [SkippedData(count, reason, column, samples) for (reason, column), count, samples in bad]

    def _skip_deliberately(self, skip: DeliberateSkip, problem: int) -> None:
        headers = [column.header for column in self._columns]
        sample = f"CAST(v{headers.index(skip.column)} AS VARCHAR)" if skip.column in headers else "NULL"
        self._run(
            f"UPDATE staged SET problem = {problem}, sample = {sample} WHERE rowid IN "
            f"(SELECT rowid FROM staged WHERE problem IS NULL ORDER BY rowid LIMIT {skip.rows})"
        )

    def _blanked_values(self) -> Iterable[SkippedData]:
        """Count the rows with a blank instead of an item that does not exist in the dimension."""
        for n, column in self._blankable():
            count, samples = self._one(
                f"SELECT count(*), arg_min(r{n}, rowid, {_SAMPLES}) FROM staged WHERE r{n} IS NOT NULL AND v{n} IS NULL"
            )
            if count:
                yield SkippedData(count, "MissingModalityUseDefaultOrNullModality", column.header, samples)

    def _create_items(self) -> list[AutoCreated]:
        created = []
        for n, column in enumerate(self._columns):
            if column.type == "dimension" and column.missing == "create":
                items = self._items(column)
                count = self._number(
                    f"INSERT INTO {items} (p0) SELECT v{n} FROM staged WHERE v{n} IS NOT NULL "
                    f"AND NOT EXISTS (FROM {items} WHERE p0 = staged.v{n}) GROUP BY v{n} ORDER BY min(staged.rowid)"
                )
                created += [AutoCreated(str(column.to), count)] if count else []
        return created

    def _settle_duplicates(self) -> None:
        """A duplicate unique ID fails the import into a list; in a metric's cell, the last value wins."""
        if not self._key:
            return
        key = ", ".join(self._comparable(f"v{self._columns_of([name])[0]}", name) for name in self._key)
        twice = self._run(f"SELECT {key} FROM staged GROUP BY {key} HAVING count(*) > 1 LIMIT 1").fetchone()
        if twice and self.block.type != "Metric":
            values = ", ".join(str(value) for value in twice)
            raise ImportFailure("DuplicateUniqueIdentifier", f"{', '.join(self._key)}: {values} occurs more than once.")
        if twice:
            self._run(f"DELETE FROM staged WHERE rowid NOT IN (SELECT max(rowid) FROM staged GROUP BY {key})")

    def _clear(self) -> int:
        """Delete what the configuration clears: rows that are not in the file, or all rows without a unique id."""
        if self.configuration.clear == "none":
            return 0
        conditions = ["true"]
        if self.configuration.clear == "scope":
            conditions.append(f"EXISTS (FROM staged WHERE {self._same(self.configuration.scope)})")
        if self._key:
            conditions.append(f"NOT EXISTS (FROM staged WHERE {self._same(self._key)})")
        return self._number(f"DELETE FROM {table(self.block)} AS kept WHERE {' AND '.join(conditions)}")

    def _write(self) -> tuple[int, int]:
        """Append rows in the file's order, or update them by key; an unchanged row counts as updated."""
        into = ", ".join(f"p{self.block.position(name)}" for name in self.configuration.properties)
        values = ", ".join(f"v{n}" for n in range(len(self._columns)))
        if not self._key:
            return self._number(f"INSERT INTO {table(self.block)} ({into}) SELECT {values} FROM staged"), 0
        is_known = f"EXISTS (FROM {table(self.block)} AS kept WHERE {self._same(self._key)})"
        updated = self._number(f"SELECT count(*) FROM staged WHERE {is_known}")
        changes = [
            f"p{self.block.position(column.property)} = v{n}"
            for n, column in enumerate(self._columns)
            if column.property not in self._key
        ]
        if changes and updated:
            self._run(
                f"UPDATE {table(self.block)} AS kept SET {', '.join(changes)} FROM staged WHERE {self._same(self._key)}"
            )
        inserted = self._number(
            f"INSERT INTO {table(self.block)} ({into}) SELECT {values} FROM staged WHERE NOT {is_known} ORDER BY rowid"
        )
        return inserted, updated

    def _same(self, names: Sequence[str]) -> str:
        return " AND ".join(
            f"{self._comparable(f'kept.p{self.block.position(name)}', name)} IS NOT DISTINCT FROM "
            f"{self._comparable(f'staged.v{n}', name)}"
            for name, n in zip(names, self._columns_of(names), strict=True)
        )

    def _comparable(self, sql: str, name: str) -> str:
        return comparable(sql, self.block.properties[name])

    def _columns_of(self, names: Sequence[str]) -> list[int]:
        return [self.configuration.properties.index(name) for name in names]

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        return self.cursor.execute(sql)

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self._run(sql).fetchall()[0]

    def _number(self, sql: str) -> int:
        """Return the number that a statement yields: rows inserted or deleted, or a count."""
        return int(self._one(sql)[0])


def _check_header(header: Sequence[str], wanted: Sequence[str]) -> None:
    faults = {
        "missing": [name for name in wanted if name not in header],
        "occurs more than once": [name for name in wanted if header.count(name) > 1],
    }
    found = [f"{', '.join(names)}: {fault}." for fault, names in faults.items() if names]
    if found:
        raise ImportFailure("InvalidColumns", f"{' '.join(found)} The file's columns: {', '.join(header)}.")
