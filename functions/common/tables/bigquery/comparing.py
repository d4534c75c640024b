"""Compare a file that was sent with a block's file in BigQuery, with the verdicts of `tables.equality.comparing`.

The function reads the headers, and the first megabyte of the block for the forms of its columns. BigQuery reads both
files whole, once; and once more only if numbers were sent with commas, or if the key does not identify rows.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from common.platform.errors import AnswerNotUnderstood
from common.storage.bucket import Bucket
from common.tables.bigquery import statements
from common.tables.bigquery.query_context import QueryContext, table_of
from common.tables.bigquery.statements import BLOCK, SENT, ComparedColumn
from common.tables.compare.file import CheckedCsv
from common.tables.equality.comparing import MOST_SHOWN, compared_columns
from common.tables.equality.forms import Commas, Form, Reading, forms_of
from common.tables.equality.result import (
    BlockEquality,
    DifferentCell,
    DifferentRow,
    NotComparable,
    Pairing,
    Problem,
    SentFile,
)

_SHOWN_IN_ORDER: Sequence[Problem] = ("changed", "missing", "doubled", "extra")


class Change(msgspec.Struct, frozen=True):
    """The keys with one kind of change."""

    keys: int
    sent: int
    "The number of their rows that were sent."
    block: int
    numbers: Mapping[str, int]
    "Of cells, by the names that the statement gives them."
    samples: Sequence[Sequence[str]]


def compare_with_block(
    bucket: Bucket,
    sent: SentFile,
    block: SentFile,
    pairing: Pairing,
    rows_in_block: int,
    context: QueryContext,
    *,
    shows_values: bool = False,
) -> BlockEquality:
    """Compare all rows of the file that was sent with all rows of the block's file.

    Args:
        rows_in_block: how many the block's file has; BigQuery has to find as many.
        shows_values: whether the result has the values of changed rows.

    Raises NotComparable if the columns or the key do not allow it, StorageRefused if a file is missing, RowsMalformed,
    and the errors of `BigQuery.query`.
    """
    here, there = (CheckedCsv(bucket, file.path, file.delimiter) for file in (sent, block))
    names = _compared(here, there, pairing)
    forms = forms_of(there, list(names.values()), pairing.decimal_sign)
    key = [list(names).index(name) for name in pairing.key]
    tables = {SENT: table_of(bucket, here), BLOCK: table_of(bucket, there)}
    columns = _columns(here, there, names, forms, pairing, {})
    changes = _changes(context.ask(statements.comparison(columns, key, MOST_SHOWN), tables))
    _expect_whole(changes, rows_in_block)
    if "repeated" in changes and not pairing.may_have_extra:
        # Whatever the key: with the same rows, nothing is missing or more than once.
        [same] = context.ask(statements.same_rows(columns), tables)
        if int(same["different"]) == 0:
            return BlockEquality(rows_in_block, rows_in_block)
    if commas := _commas_in(changes, columns, list(names)):
        # Every number with a comma looked different. Only those rows show what the commas mean.
        columns = _columns(here, there, names, forms, pairing, commas)
        changes = _changes(context.ask(statements.comparison(columns, key, MOST_SHOWN), tables))
    if repeated := changes.get("repeated"):
        raise NotComparable(
            f"verify.key does not identify rows: {repeated.keys:,} of its keys were sent more than once."
        )
    return _equality(changes, list(names), key, shows_values=shows_values)


def _compared(sent: CheckedCsv, block: CheckedCsv, pairing: Pairing) -> dict[str, str]:
    """Return the columns to compare: the name as sent and the name in the block. Raises NotComparable."""
    columns = compared_columns([sent], block, pairing)
    if min(len(sent.header), len(block.header)) == 1:
        # An empty cell is then an empty line, of which BigQuery does not say whether it is a row.
        raise NotComparable("A file of one column is not compared in BigQuery. Remove engine: bigquery.")
    return columns


def _columns(
    sent: CheckedCsv,
    block: CheckedCsv,
    names: Mapping[str, str],
    forms: Mapping[str, Form],
    pairing: Pairing,
    commas: Mapping[str, Commas],
) -> list[ComparedColumn]:
    in_block: Commas = "decimals" if pairing.decimal_sign == "," else "none"
    return [
        ComparedColumn(
            sent.header.index(name),
            block.header.index(there),
            Reading(forms[there], commas.get(name, "none"), pairing.is_day_first),
            Reading(forms[there], in_block),
        )
        for name, there in names.items()
    ]


def _changes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Change]:
    others = ("change", "keys", "sent", "block", "samples")
    return {
        str(row["change"]): Change(
            int(row["keys"]),
            int(row["sent"]),
            int(row["block"]),
            {name: int(value) for name, value in row.items() if name not in others},
            [json.loads(sample) for sample in row["samples"] or ()],
        )
        for row in rows
    }


def _expect_whole(changes: Mapping[str, Change], rows_in_block: int) -> None:
    """Raise AnswerNotUnderstood if BigQuery reads another number of rows out of a file than the bridge has counted."""
    found = sum(change.block for change in changes.values())
    if found != rows_in_block:
        cause = f"BigQuery found {found:,} rows in the block's file, which has {rows_in_block:,}."
        raise AnswerNotUnderstood(cause, next_step="Remove engine: bigquery, and report it.")


def _commas_in(
    changes: Mapping[str, Change], columns: Sequence[ComparedColumn], names: Sequence[str]
) -> dict[str, Commas]:
    """Return what commas mean in the columns of numbers that have some in changed or missing rows."""
    numbers: Counter[str] = Counter()
    for change in ("changed", "missing"):
        numbers.update(changes[change].numbers if change in changes else {})
    return {
        names[at]: "decimals" if numbers[f"decimal{at}"] else "thousands"
        for at in statements.numbers_of(columns)
        if numbers[f"comma{at}"]
    }


def _equality(
    changes: Mapping[str, Change], names: Sequence[str], key: Sequence[int], *, shows_values: bool
) -> BlockEquality:
    keys = Counter({change: found.keys for change, found in changes.items()})
    changed = changes["changed"].numbers if "changed" in changes else {}
    by_column = {name: changed[f"n{at}"] for at, name in enumerate(names) if changed.get(f"n{at}")}
    rows = [
        _row(problem, sample, names, key, shows_values=shows_values)
        for problem in _SHOWN_IN_ORDER
        if problem in changes
        for sample in changes[problem].samples
    ]
    sent = sum(keys[each] for each in ("missing", "doubled", "changed", "equal"))
    block = sum(change.block for change in changes.values())
    counts = keys["missing"], keys["extra"], keys["doubled"], keys["changed"]
    return BlockEquality(sent, block, *counts, by_column, rows[:MOST_SHOWN])


def _row(
    problem: Problem, sample: Sequence[str], names: Sequence[str], key: Sequence[int], *, shows_values: bool
) -> DifferentRow:
    width = len(names)
    sent, block, differs = sample[:width], sample[width : 2 * width], sample[2 * width :]
    mine = block if problem == "extra" else sent
    different = [at for at in range(width) if differs[at]] if problem == "changed" else []
    cells = [DifferentCell(names[at], sent[at], block[at]) for at in different]
    return DifferentRow(
        problem, [mine[at] for at in key], [names[at] for at in different], cells if shows_values else []
    )
