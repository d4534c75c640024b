"""`load: incremental`: window by window along a cursor, each landed before the next is read.

    what is known of the cursor → up to where rows have settled → the window after what has landed → read it
    → see that every row lies within → (landed) → the cursor moves to the window's end

The cursor's value is asked for with the rows even where the Look does not select it, to see that Looker did filter, and
left out of the file again.
"""

import hashlib
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from common import bridge_yaml
from common.loads import sources, windows
from common.loads.load import FOR_LANDING_S, Batch, note_header
from common.loads.windows import Grain, Position, Window
from common.looker.client import LookerClient, Query
from common.looker.explore import Fields, fields_of
from common.platform.errors import ColumnsChanged, CursorUnfit, MalformedRequest
from common.runs import cursors, guards
from common.runs.cursors import Backfill, CursorColumn, LastLanding
from common.runs.receipts import CursorMove, Progress
from common.runs.run import Run
from common.tables import staging
from common.tables.csv import Contract, Watched
from common.tables.staging import Staged

GRAINS: dict[str, Grain] = {
    "date": "day",
    "date_date": "day",
    "date_hour": "hour",
    "date_minute": "minute",
    "date_second": "second",
    "date_time": "second",
    "number": "number",
}
"By a dimension's type (Looker docs, `dimension_group`, timeframes); `raw` times are shown in no query's time zone."


class RequestedRange(msgspec.Struct, frozen=True):
    """What a caller asks for beside what is new."""

    begin: Position | None = None
    "Load again from here, without moving the cursor; None: go on from the cursor."
    end: Position | None = None
    "No further than this."
    most_windows: int | None = None
    "No more of them in one call."


class IncrementalLoad:
    """One call's way along the cursor: where it may go is settled once, where it stands is read before each window."""

    def __init__(
        self,
        job: bridge_yaml.Pull,
        load: bridge_yaml.Incremental,
        looker: LookerClient,
        stretch: RequestedRange | None = None,
    ) -> None:
        self._job = job
        self._load = load
        self._looker = looker
        self._stretch = stretch or RequestedRange()
        self._query: Query | None = None
        self._horizon: Position | None = None
        self._progress: Progress | None = None
        self._windows = 0

    def progress(self) -> Progress | None:
        return self._progress

    def may_go_on(self) -> bool:
        most = self._stretch.most_windows
        return self._progress is not None and not self._progress.done and (most is None or self._windows < most)

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """The window after what has landed, as a checked file.

        Raises:
            CursorUnfit: windows cannot be read along this cursor.
            WindowIgnored: rows came from outside the window.
            MalformedRequest: the stretch that was asked for would double what an append has.
        """
        reach_back = self._query is None and self._stretch.begin is None
        query = self._query = self._query or self._find(run)
        column = self._known(previous, query) or self._learn(run, query)
        reached = self._reached(run, previous, column, preview=preview)
        end = self._end(run, previous, query, column)
        window = self._window_after(reached, end, column, reach_back=reach_back)
        if window is None:
            stands = windows.floored(self._load.start, column.grain) if reached is None else reached
            self._tell(stands, stands, column.grain)
            return None
        window, staged, column = self._read_until_rows(run, query, column, window, end)
        note_header(run, self._job, previous, staged.checked.header)
        if staged.checked.rows:
            guards.expect_rows(staged.checked.rows, self._job.guards.min_rows)
        self._tell(window.end, end, column.grain)
        landed = self._landed(run, previous, staged, column, window, end)
        before = previous.value if previous else None
        run.note_window(window.texts(), CursorMove(before, landed.value))
        return Batch(staged, landed, moves_without_rows=True)

    def _window_after(
        self, reached: Position | None, end: Position, column: CursorColumn, *, reach_back: bool
    ) -> Window | None:
        zone = ZoneInfo(column.time_zone)
        return windows.next_window(self._load, column.grain, zone, reached, end, reach_back=reach_back)

    def _read_until_rows(
        self, run: Run, query: Query, column: CursorColumn, window: Window, end: Position
    ) -> tuple[Window, Staged, CursorColumn]:
        """The next window that has rows, joined to the empty ones before it, or as far as the time goes."""
        longest_s = 0.0
        while True:
            began_s = run.instance.clock.monotonic_s()
            self._windows += 1
            staged, column = self._read(run, query, column, window)
            longest_s = max(longest_s, run.instance.clock.monotonic_s() - began_s)
            following = self._window_after(window.end, end, column, reach_back=False)
            enough = self._stretch.most_windows is not None and self._windows >= self._stretch.most_windows
            if (
                staged.checked.rows
                or following is None
                or enough
                or not run.deadline.allows(2 * longest_s + FOR_LANDING_S)
            ):
                return window, staged, column
            run.instance.store.delete(staged.path)
            window = msgspec.structs.replace(following, begin=window.begin)

    def _find(self, run: Run) -> Query:
        query = sources.find(run, self._looker, self._job.source)
        if not isinstance(query, Query):
            raise CursorUnfit(f"{query} of Looker have no field to read windows of.")
        # A filter of times is read by the clocks of the query's zone: it is sent, whatever a user's own may be.
        return msgspec.structs.replace(query, query_timezone=query.query_timezone or "UTC")

    def _known(self, previous: LastLanding | None, query: Query) -> CursorColumn | None:
        """What an earlier run has learnt, if that is still what is asked for."""
        column = previous.column if previous else None
        if column is None or column.asked != _digest(query) or column.field != self._load.cursor:
            return None
        return msgspec.structs.replace(column, time_zone=str(query.query_timezone))

    def _learn(self, run: Run, query: Query) -> CursorColumn:
        with run.timed("looker"):
            fields = fields_of(self._looker, query)
        cursor, zone = self._load.cursor, str(query.query_timezone)
        dimension = {field.name: field for field in fields.dimensions or []}.get(cursor)
        if dimension is None or not dimension.label:
            raise CursorUnfit(f"There is no dimension {cursor} in {query.explore}.")
        grain = GRAINS.get(dimension.type or "")
        if grain is None:
            raise CursorUnfit(f"The dimension {cursor} is of the type {dimension.type}, not a date, time or number.")
        if not windows.fits(self._load.start, grain):
            raise CursorUnfit(f"The dimension {cursor} is of the type {dimension.type}, and its start is not.")
        _expect_zone(zone)
        self._expect_no_partial_sums(query, fields)
        return CursorColumn(cursor, dimension.label, grain, zone, _digest(query))

    def _expect_no_partial_sums(self, query: Query, fields: Fields) -> None:
        """A measure beside a cursor that nobody sees would be the sum of one moment, row after row."""
        measures = {field.name for field in fields.measures or []}
        summed = [name for name in query.fields or [] if name in measures]
        if summed and self._load.cursor not in (query.fields or []):
            raise CursorUnfit(
                f"The query has measures ({', '.join(summed)}) and does not select its cursor {self._load.cursor}.",
                next_step="Select the cursor in the Look as well, so that each row says what it sums, or leave the "
                "measures out.",
            )

    def _reached(
        self, run: Run, previous: LastLanding | None, column: CursorColumn, *, preview: bool
    ) -> Position | None:
        """Where the next window begins; None at the very start."""
        if self._stretch.begin is not None:
            return self._reached_again(previous, column, self._stretch.begin, preview=preview)
        if previous is None or previous.value is None or previous.column is None:
            return None
        before, value = previous.column, windows.read(previous.value)
        if previous.configuration not in (None, self._job.target.configuration):
            said = f"Rows before {previous.value} landed through another configuration, {previous.configuration}, and"
            run.warn(f"{said} are not sent again: `bridge backfill {self._job.name} --from …` does that.")
        if before.field != column.field or not windows.fits(value, column.grain):
            self._expect_restart(run, previous, f"its cursor was {before.field}, and is {column.field}")
            return None
        if before.time_zone == column.time_zone or column.grain in ("number", "day"):
            return value
        if not self._job.target.repeatable:
            self._expect_restart(run, previous, f"its clocks were {before.time_zone}'s")
        return windows.rezoned(value, column.grain, before.time_zone, ZoneInfo(column.time_zone))

    def _expect_restart(self, run: Run, previous: LastLanding, why: str) -> None:
        """See that beginning again from the start does no harm."""
        if self._job.target.repeatable:
            run.warn(f"The load begins again from its start: {why}.")
            return
        raise CursorUnfit(
            f"This load stands at {previous.value}, and {why}: an append cannot go on from there.",
            next_step="Put back what bridge.yaml said, or make a new job of another name, whose start is the moment "
            "up to which rows have landed.",
        )

    def _reached_again(
        self, previous: LastLanding | None, column: CursorColumn, begin: Position, *, preview: bool
    ) -> Position:
        """Where loading a stretch again has come to."""
        if not (self._job.target.repeatable or preview):
            raise MalformedRequest(
                f"`from` loads rows again, and the target of {self._job.name} is not repeatable.",
                next_step="Leave `from` out: the load then goes on from its cursor.",
            )
        if not windows.fits(begin, column.grain):
            raise MalformedRequest(f"`from` is not of the kind of {column.field}.")
        under_way = previous.backfill if previous and not preview else None
        if under_way is not None and under_way.begin == windows.written(begin, column.grain):
            return windows.read(under_way.value)
        return windows.floored(begin, column.grain)

    def _end(self, run: Run, previous: LastLanding | None, query: Query, column: CursorColumn) -> Position:
        """What must not be read beyond. What comes while a call is under way is left to the next one."""
        if self._horizon is None:
            self._horizon = self._settled(run, query, column)
        end = self._stretch.end
        if end is None and self._stretch.begin is not None and previous and previous.value:
            end = windows.read(previous.value)
        if end is None:
            return self._horizon
        if not windows.fits(end, column.grain):
            raise MalformedRequest(f"`to` is not of the kind of {column.field}.")
        return min(
            windows.clear(windows.floored(end, column.grain), column.grain, ZoneInfo(column.time_zone)), self._horizon
        )

    def _settled(self, run: Run, query: Query, column: CursorColumn) -> Position:
        load = self._load
        if column.grain != "number":
            return windows.horizon_of(run.instance.clock.now(), load.delay, column.grain, ZoneInfo(column.time_zone))
        with run.timed("looker"):
            greatest = self._looker.greatest(query, load.cursor)
        if greatest is None:
            return load.start
        return greatest + 1 - (load.delay.amount if load.delay else 0)

    def _read(self, run: Run, query: Query, column: CursorColumn, window: Window) -> tuple[Staged, CursorColumn]:
        """A window's rows. Should the cursor have another header by now, it is learnt again."""
        try:
            return self._read_as(run, query, column, window), column
        except ColumnsChanged:
            learnt = self._learn(run, query)
            if learnt == column:
                raise
            return self._read_as(run, query, learnt, window), learnt

    def _read_as(self, run: Run, query: Query, column: CursorColumn, window: Window) -> Staged:
        fields, target = query.fields or [], self._job.target
        is_added = column.field not in fields
        windowed = msgspec.structs.replace(
            query,
            fields=[*fields, column.field] if is_added else fields,
            filters={**(query.filters or {}), column.field: window.expression()},
        )
        watched = Watched(column.header, window.expect, is_left_out=is_added)
        contract = Contract(target.columns or None, target.delimiter, watched)
        path = staging.path_of(self._job.name, run.receipt.run)
        accept_cap = self._job.guards.accept_cap
        return sources.read(run, self._looker, windowed, contract, path, accept_cap=accept_cap)

    def _tell(self, reached: Position, until: Position, grain: Grain) -> None:
        done = not reached < until
        self._progress = Progress(windows.written(reached, grain), windows.written(until, grain), done)

    def _landed(
        self,
        run: Run,
        previous: LastLanding | None,
        staged: Staged,
        column: CursorColumn,
        window: Window,
        end: Position,
    ) -> LastLanding:
        # When it has landed is written over this; of a window without rows it stays.
        landed_at = previous.landed_at if previous else ""
        landed = msgspec.structs.replace(cursors.of(staged, run.receipt.run), landed_at=landed_at, column=column)
        reached = windows.written(window.end, column.grain)
        if self._stretch.begin is None:
            return msgspec.structs.replace(landed, value=reached, backfill=previous.backfill if previous else None)
        begin, until = windows.written(self._stretch.begin, column.grain), windows.written(end, column.grain)
        backfill = Backfill(begin, until, reached) if window.end < end else None
        return msgspec.structs.replace(landed, value=previous.value if previous else None, backfill=backfill)


def _expect_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise CursorUnfit(
            f"The Look's time zone {name} is not known here.",
            next_step="Set source.query_timezone to a name such as Europe/Paris.",
        ) from None


def _digest(query: Query) -> str:
    asked = msgspec.json.encode([query.model, query.view, query.fields, query.dynamic_fields])
    return hashlib.sha256(asked).hexdigest()[:16]
