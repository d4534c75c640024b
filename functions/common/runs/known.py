"""`known`: the values of a staged file must be items of lists in Pigment, or their rows are not sent.

    the items, as cached → the values that are not among them → if there are any, the items as they are now
    → refuse the file, or write it without the rows (`missing: hold`)

Pigment skips a row whose item does not exist, or leaves the cell empty, and says so only after the import. The items
are exported with the export key, and cached for all jobs under `staged/_known/`, for `max_age`. A value that is missing
from the cache is looked up once more before anything is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.errors import ColumnsChanged, UnknownItems
from common.platform.text import listed
from common.runs import guards
from common.runs.cursors import LastLanding
from common.runs.receipts import ItemCheck, Skip, UnknownItem
from common.runs.run import Run
from common.storage import paths
from common.storage.bucket import Bucket
from common.tables import compare
from common.tables.compare.file import CheckedCsv
from common.tables.staging import Staged

HELD_BACK = "HeldBackUnknownItem"
"The reason for which the bridge itself skips a row; the other reasons are Pigment's."

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MOST_NAMED = 50


class _Items(msgspec.Struct, frozen=True):
    values: Any
    "Of `common.tables.known_values`."
    age_s: float
    is_cached: bool


class _ItemsOfLists:
    """The items of lists, each read once; a later reading replaces the earlier one."""

    def __init__(self, run: Run, pigment: PigmentClient, max_age_s: float) -> None:
        self._run, self._pigment, self._max_age_s = run, pigment, max_age_s
        self._read: dict[bridge_yaml.KnownColumn, _Items] = {}

    def of(self, source: bridge_yaml.KnownColumn) -> _Items:
        if source not in self._read:
            self._read[source] = self._cached(source) or self._exported(source)
        return self._read[source]

    def now(self, source: bridge_yaml.KnownColumn) -> _Items:
        """Return the items as they are now, even if they are cached."""
        if self.of(source).is_cached:
            self._read[source] = self._exported(source)
        return self._read[source]

    def _cached(self, source: bridge_yaml.KnownColumn) -> _Items | None:
        from common.tables import known_values  # noqa: PLC0415  # Arrow takes a third of a second to import

        bucket, path = self._run.instance.bucket, paths.known(source.list, source.property)
        age_s = bucket.age_s(path)
        if age_s is None or age_s > self._max_age_s:
            return None
        values = known_values.decode(bucket.read(path))
        return None if values is None else _Items(values, age_s, is_cached=True)

    def _exported(self, source: bridge_yaml.KnownColumn) -> _Items:
        from common.pigment import items  # noqa: PLC0415
        from common.tables import known_values  # noqa: PLC0415

        instance, pigment = self._run.instance, self._pigment
        with self._run.timed("pigment"):
            values = items.export(source, pigment.settings, instance.secrets, pigment.deadline, pigment.chance)
        # Another run may write the same at this moment; either is as new. After a kill, the older one is still there.
        instance.bucket.replace(paths.known(source.list, source.property), known_values.encode(values))
        return _Items(values, 0.0, is_cached=False)


def expect_known(
    run: Run,
    pigment: PigmentClient,
    job: bridge_yaml.AnyImport,
    staged: Staged,
    landed: LastLanding,
) -> tuple[Staged, LastLanding]:
    """Return the file to send, and the cursor once it has landed; without the rows that are held back. The receipt
    names the unknown items.

    Raises UnknownItems if the file may not be sent, or if no row of it is left, ColumnsChanged if it does not have the
    columns, BlockNotFound and the other errors of an export if the items cannot be read.
    """
    if job.known is None or not staged.checked.rows:
        return staged, landed
    from common.tables import known_values  # noqa: PLC0415

    file = CheckedCsv(run.instance.bucket, staged.path, job.target.delimiter)
    sources = _by_header(job.known, job.target, file.header)
    lists = _ItemsOfLists(run, pigment, _seconds(job.known.max_age))
    unknown = known_values.find_unknown(file, {header: lists.of(each).values for header, each in sources.items()})
    if missing := {header: lists.now(sources[header]).values for header, found in unknown.items() if found.rows}:
        unknown |= known_values.find_unknown(file, missing)
    run.note_known([_check(header, lists.of(each), unknown[header]) for header, each in sources.items()])
    counts = {header: found.rows for header, found in unknown.items() if found.rows}
    if not counts:
        return staged, landed
    cause = _cause(counts, sources)
    if job.known.missing == "refuse":
        raise UnknownItems(cause)
    known = {header: lists.of(sources[header]).values for header in counts}
    sent, base = _hold_back(run.instance.bucket, file, known, landed.staged)
    if sent is None or base is None:
        raise UnknownItems(f"{cause} No row is left to send.")
    held = staged.checked.rows - sent.checked.rows
    run.note_file(sent)
    run.note_held_back(held, [Skip(HELD_BACK, header, rows) for header, rows in counts.items()])
    run.warn(f"{held:,} rows were held back. {cause}")
    return sent, msgspec.structs.replace(landed, rows=base.checked.rows, sha256=base.sha256)


def expect_enough_left(job: bridge_yaml.AnyImport, read: Staged, left: Staged, previous: LastLanding | None) -> None:
    """Raise TooFewRows or Shrunk if too few rows are left of a file, which is all that the block then has."""
    rows, writer = left.checked.rows, "Without the rows that are held back, Looker"
    if rows == read.checked.rows:
        return
    guards.expect_rows(rows, job.guards.min_rows, writer)
    guards.expect_no_shrinking(rows, previous.rows if previous else None, job.guards.max_shrink, writer)


def _hold_back(
    bucket: Bucket, file: CheckedCsv, known: Mapping[str, Any], base_path: str
) -> tuple[Staged, Staged] | tuple[None, None]:
    """Leave the rows with unknown values out of a file, and out of the complete file with which the next run compares:
    to that one they are new. Return both, or None if no row would be left.
    """
    from common.tables import known_values  # noqa: PLC0415

    sent = known_values.write_known(bucket, file, known, _beside(file.path))
    if not sent.checked.rows:
        bucket.delete(sent.path)
        return None, None
    if base_path == file.path:
        sent = _moved(bucket, sent, file.path)
        return sent, sent
    whole = CheckedCsv(bucket, base_path, file.delimiter)
    # While the file still has the rows that are to be left out.
    base = known_values.write_without_unknown(bucket, whole, file, known, _beside(base_path))
    return _moved(bucket, sent, file.path), _moved(bucket, base, base_path)


def _beside(path: str) -> str:
    return f"{path}.known"


def _moved(bucket: Bucket, staged: Staged, path: str) -> Staged:
    """Replace a file by another one. After a kill between the steps, nothing was sent, and the next run starts over."""
    found = bucket.find(path)
    bucket.copy(staged.path, bucket, path, over=found.generation if found else 0)
    bucket.delete(staged.path)
    return msgspec.structs.replace(staged, path=path)


def _by_header(
    known: bridge_yaml.Known, target: bridge_yaml.Target, header: Sequence[str]
) -> dict[str, bridge_yaml.KnownColumn]:
    """Return the lists by the columns of the staged file. Raises ColumnsChanged if it has not each of them once."""
    in_file = compare.key_in_file(list(known.columns), target.columns)
    missing = [name for name in in_file if header.count(name) != 1]
    if missing:
        next_step = "Write known.columns with the column names of Looker's header, then run again."
        cause = f"known.columns has {listed(missing)}, but the header does not contain each of them exactly once"
        raise ColumnsChanged(f"{cause}: {', '.join(header)}.", next_step=next_step)
    return dict(zip(in_file, known.columns.values(), strict=True))


def _seconds(age: bridge_yaml.Step) -> int:
    return age.amount * _SECONDS[age.unit]


def _cause(counts: Mapping[str, int], sources: Mapping[str, bridge_yaml.KnownColumn]) -> str:
    """Name the columns; the items are content, and stand on the receipt alone."""
    found = [
        f"{rows:,} rows have a {header} that is no {sources[header].property} of the list {sources[header].list}"
        for header, rows in counts.items()
    ]
    return f"{'; '.join(found)}."


def _check(header: str, items: _Items, unknown: Any) -> ItemCheck:
    from common.tables import known_values  # noqa: PLC0415

    named = unknown.rows_by_value.most_common(_MOST_NAMED)
    rest = unknown.rows - sum(rows for _, rows in named)
    alike = known_values.find_alike([value for value, _ in named], items.values)
    found = [UnknownItem(value, rows, alike.get(value)).shortened() for value, rows in named]
    if rest:
        found.append(UnknownItem("all others", rest))
    return ItemCheck(header, len(items.values), round(items.age_s), found)
