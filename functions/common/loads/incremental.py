"""`load: incremental`: window by window along a cursor. Each window lands before the next one is read.

    the cursor's column → the horizon, up to which all rows are in Looker → the window after what has landed
    → read it → check that every row is inside → (landed) → the cursor moves to the window's end

The query always selects the cursor, so that the load can check that Looker applied the filter. If the Look does not
select it, the column is left out of the file.
"""

import msgspec

from common import bridge_yaml
from common.loads import cursor_column, positions, sources, windows
from common.loads.load import FOR_LANDING_S, Batch, Loader, note_header
from common.loads.positions import CursorPosition, Number
from common.loads.windows import Window
from common.looker.client import LookerClient
from common.looker.query import LookerQuery
from common.platform.errors import ColumnsChanged, CursorUnfit, MalformedRequest, TruncatedAtLimit
from common.platform.text import listed
from common.runs import cursors, guards, kept_files
from common.runs.cursors import Backfill, CursorColumn, LastLanding
from common.runs.receipts import CursorMove, Progress
from common.runs.run import Run
from common.storage import paths
from common.tables.check import Contract, Watched
from common.tables.staging import Staged

_MOST_HALVINGS = 3
"Looker has three limits. Truncated rows stay at the same one, and each attempt is a query that licences count."


class RequestedRange(msgspec.Struct, frozen=True):
    """The part of the cursor that a caller asks for."""

    begin: bridge_yaml.Position | None = None
    "Load again from here and leave the cursor alone. None: continue from the cursor."
    end: bridge_yaml.Position | None = None
    most_windows: int | None = None
    "In one call."
    restarts: bool = False
    "Load all of the range, also what an interrupted load of the same range has landed again."


class _CursorQuery(msgspec.Struct, frozen=True):
    query: LookerQuery
    column: CursorColumn
    start: CursorPosition


class IncrementalLoad(Loader):
    """The windows of one call. The horizon is found once; how far rows have landed is read before each window."""

    def __init__(
        self,
        job: bridge_yaml.Pull,
        load: bridge_yaml.Incremental,
        looker: LookerClient,
        requested: RequestedRange | None = None,
    ) -> None:
        self._job, self._load, self._looker = job, load, looker
        self._requested = requested or RequestedRange()
        self._query: LookerQuery | None = None
        self._horizon: CursorPosition | None = None
        self._progress: Progress | None = None
        self._windows = 0
        self._keeps_all = False
        self._restarts = False

    def progress(self) -> Progress | None:
        return self._progress

    def begins_again(self) -> bool:
        return self._requested.begin is not None

    def may_go_on(self) -> bool:
        return self._progress is not None and not self._progress.done and not self._is_last_window()

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """Stage the window after the one that landed last.

        Raises:
            CursorUnfit: rows cannot be loaded in windows over this cursor.
            WindowIgnored: rows came from outside the window.
            MalformedRequest: the requested range is of another type.
        """
        is_first = self._query is None
        overlap = self._load.overlap if is_first and self._requested.begin is None else None
        self._restarts = self._requested.restarts and is_first
        query = self._query = self._query or self._find_query(run)
        if not preview:
            self._keep_file(run, previous)
        column = self._stored_column(previous, query) or self._read_column(run, query)
        reading = _CursorQuery(query, column, cursor_column.start_of(self._load, column))
        reached = self._reached(run, previous, column, preview=preview)
        end = self._end(run, previous, reading)
        window = windows.next_window(reading.start, reached, end, self._load.window, overlap)
        if window is None:
            self._set_progress(reached or reading.start, reached or reading.start)
            return None
        reading, window, staged = self._read_until_rows(run, reading, window, end, reached or reading.start)
        note_header(run, self._job, previous, staged.checked.header)
        if staged.checked.rows:
            guards.expect_rows(staged.checked.rows, self._job.guards.min_rows)
        self._set_progress(window.end, end)
        landed = self._landed(previous, reading.column, cursors.of(staged, run.id, previous), window, end)
        run.note_window(window.texts(), CursorMove(previous.value if previous else None, landed.value))
        return Batch(staged, landed, rows_before=self._rows_before(previous, column), moves_without_rows=True)

    def _keep_file(self, run: Run, previous: LastLanding | None) -> None:
        """Keep the file of the last landing, if the block is read back: it has to have the rows of all windows."""
        job, bucket = self._job, run.instance.bucket
        if job.verify is None:
            return
        if previous is None or previous.column is None:
            kept_files.forget(bucket, job.name)
            self._keeps_all = True
        elif previous.configuration not in (None, job.target.configuration) or not previous.has_delimiter(
            job.target.delimiter
        ):
            kept_files.forget(bucket, job.name)
        else:
            self._keeps_all = kept_files.keep(bucket, job.name, previous, job.target.delimiter)

    def _kept(self, previous: LastLanding | None, rows: int) -> int:
        """Return how many files will be kept once this window has landed; 0 if they are not those of all landings."""
        if not self._keeps_all:
            return 0
        before = previous.kept if previous else 0
        return before + bool(rows) if before else 1

    def _is_last_window(self) -> bool:
        return self._requested.most_windows is not None and self._windows >= self._requested.most_windows

    def _set_progress(self, reached: CursorPosition, until: CursorPosition) -> None:
        self._progress = Progress(str(reached), str(until), done=not reached < until)

    def _find_query(self, run: Run) -> LookerQuery:
        query = sources.resolve(run, self._looker, self._job.source)
        if not isinstance(query, LookerQuery):
            raise CursorUnfit(f"Looker's {query} have no field to load windows over.")
        if query.fill_fields:
            # Looker would fill a window with every date of its range, and answer the question for the greatest cursor
            # with a filled one: rows that are not in the data, and that land again once the data has them.
            run.warn(f"Missing values of {listed(query.fill_fields)} are not filled in, because the load has windows.")
        # Looker reads a filter of times in the query's time zone. It is always sent: the user may have another one.
        zone = query.query_timezone or "UTC"
        return msgspec.structs.replace(query, query_timezone=zone, fill_fields=None)

    def _stored_column(self, previous: LastLanding | None, query: LookerQuery) -> CursorColumn | None:
        repeatable = self._job.target.repeatable
        return cursor_column.stored_column(previous, query, self._load.cursor, repeatable=repeatable)

    def _read_column(self, run: Run, query: LookerQuery) -> CursorColumn:
        repeatable = self._job.target.repeatable
        with run.timed("looker"):
            return cursor_column.read_column(self._looker, query, self._load, repeatable=repeatable)

    def _reached(
        self, run: Run, previous: LastLanding | None, column: CursorColumn, *, preview: bool
    ) -> CursorPosition | None:
        """Return where the next window begins; None at the very start."""
        if self._requested.begin is not None:
            return self._reached_again(previous, column, self._requested.begin, preview=preview)
        return self._reached_by(run, previous, column) if previous else None

    def _reached_by(self, run: Run, previous: LastLanding, column: CursorColumn) -> CursorPosition | None:
        """Return where the last landing ended, on this cursor; None if the load begins again from its start."""
        before = previous.column
        if before is None:
            self._expect_restart(run, previous, "the load was not incremental until now")
            return None
        if previous.value is None:
            self._expect_restart(run, previous, "only a range was loaded until now")
            return None
        if previous.configuration not in (None, self._job.target.configuration):
            self._warn_of_configuration(run, previous)
        reached = _position_on(column, previous)
        if reached is None:
            self._expect_restart(run, previous, f"its cursor was {before.field} and is now {column.field}")
        elif before.time_zone != column.time_zone and column.grain != "number" and not self._job.target.repeatable:
            self._expect_restart(run, previous, f"its time zone was {before.time_zone}")
        return reached

    def _warn_of_configuration(self, run: Run, previous: LastLanding) -> None:
        name = self._job.name
        landed = f"Rows before {previous.value} landed through another configuration, {previous.configuration}"
        way = f"run `bridge backfill {name} --from …`" if self._job.target.repeatable else "add a job of another name"
        run.warn(f"{landed}. They are not sent again: {way} for that.")

    def _expect_restart(self, run: Run, previous: LastLanding, why: str) -> None:
        """Refuse to begin again from the start unless the target is repeatable."""
        if self._job.target.repeatable:
            run.warn(f"The load begins again from its start: {why}.")
            return
        next_step = "Restore the earlier bridge.yaml, or make a new job that starts where these rows end."
        reached = f"This load has reached {previous.value}" if previous.value else f"Run {previous.run} has landed rows"
        raise CursorUnfit(f"{reached}, and {why}: an append cannot continue from there.", next_step=next_step)

    def _reached_again(
        self, previous: LastLanding | None, column: CursorColumn, begin: bridge_yaml.Position, *, preview: bool
    ) -> CursorPosition:
        """Return how far loading the requested range again has come."""
        first = self._requested_position("from", begin, column)
        backfill = None if preview else self._continued(previous, column, first)
        return (backfill and positions.parse(backfill.value, column)) or first

    def _continued(self, previous: LastLanding | None, column: CursorColumn, first: CursorPosition) -> Backfill | None:
        """Return how far earlier calls have loaded the same range again, through the same configuration."""
        backfill = self._open_backfill(previous, column)
        if backfill is None or self._restarts:
            return None
        # An earlier version did not store the end and the configuration of a range: that one begins again.
        is_here = backfill.configuration == self._job.target.configuration
        return backfill if is_here and (backfill.begin, backfill.to) == (str(first), self._asked_end(column)) else None

    def _open_backfill(self, previous: LastLanding | None, column: CursorColumn) -> Backfill | None:
        """Return the range whose loading was interrupted; none if its positions are of another cursor."""
        before = previous.column if previous else None
        if previous is None or before is None or (before.field, before.time_zone) != (column.field, column.time_zone):
            return None
        return previous.backfill

    def _asked_end(self, column: CursorColumn) -> str | None:
        end = self._requested.end
        return None if end is None else str(self._requested_position("to", end, column))

    def _rows_before(self, previous: LastLanding | None, column: CursorColumn) -> int:
        if self._requested.begin is None:
            return 0
        backfill = self._continued(previous, column, self._requested_position("from", self._requested.begin, column))
        return backfill.rows if backfill else 0

    def _end(self, run: Run, previous: LastLanding | None, reading: _CursorQuery) -> CursorPosition:
        """Return where this call stops. Rows that appear during the call are left to the next one."""
        if self._horizon is None:
            self._horizon = self._find_horizon(run, reading)
        end = None
        if self._requested.end is not None:
            end = self._requested_position("to", self._requested.end, reading.column)
        elif self._requested.begin is not None and previous:
            end = _position_on(reading.column, previous)
        return min(end.shown_once(), self._horizon) if end else self._horizon

    def _requested_position(self, name: str, value: bridge_yaml.Position, column: CursorColumn) -> CursorPosition:
        position = positions.position(value, column)
        if position is None:
            raise MalformedRequest(f"`{name}` does not have the type of the cursor {column.field}.")
        return position

    def _find_horizon(self, run: Run, reading: _CursorQuery) -> CursorPosition:
        """Return the position before which all rows are in Looker, as far as `delay` can tell."""
        if reading.column.grain != "number":
            return positions.now(run.instance.clock.now(), reading.column).go_back(self._load.delay)
        with run.timed("looker"):
            greatest = self._looker.greatest(reading.query, self._load.cursor)
        return reading.start if greatest is None else Number(greatest + 1).go_back(self._load.delay)

    def _read_until_rows(
        self, run: Run, reading: _CursorQuery, window: Window, end: CursorPosition, reached: CursorPosition | None
    ) -> tuple[_CursorQuery, Window, Staged]:
        """Read the next window that has rows, joined to the empty ones before it, while the time budget allows."""
        longest_s = 0.0
        while True:
            began_s = run.instance.clock.monotonic_s()
            self._windows += 1
            asked = window
            reading, window, staged = self._read_all(run, reading, asked, reached)
            if window != asked:
                # If this half has no rows, the whole window is read again, and would be halved without end.
                reached = None
            longest_s = max(longest_s, run.instance.clock.monotonic_s() - began_s)
            following = windows.next_window(reading.start, window.end, end, self._load.window)
            has_time = run.deadline.allows(2 * longest_s + FOR_LANDING_S)
            if staged.checked.rows or following is None or self._is_last_window() or not has_time:
                return reading, window, staged
            run.instance.bucket.delete(staged.path)
            window = Window(window.begin, following.end)

    def _read_all(
        self, run: Run, reading: _CursorQuery, window: Window, reached: CursorPosition | None
    ) -> tuple[_CursorQuery, Window, Staged]:
        """Stage a window's rows. A window that has exactly as many rows as one of Looker's limits may be truncated, or
        have so many: then its first half is read, and the rest is left to the next window.
        """
        halvings = 0
        while True:
            try:
                reading, staged = self._read(run, reading, window)
            except TruncatedAtLimit as truncated:
                run.instance.bucket.delete(self._path(run))
                half = window.first_half(reached) if reached and halvings < _MOST_HALVINGS else None
                if half is None:
                    return reading, window, self._read_beyond(run, reading, window)
                run.warn(f"{truncated.cause} The first half of the window is read instead.")
                window = half
                halvings += 1
            else:
                return reading, window, staged

    def _read_beyond(self, run: Run, reading: _CursorQuery, window: Window) -> Staged:
        """Stage a window's rows if Looker sends more of them for a wider window, so that their number is no limit.
        Raises TruncatedAtLimit if it does not.
        """
        wider = self._stage(run, reading, window.widened(self._load.window), accept_cap=True)
        run.instance.bucket.delete(wider.path)
        staged = self._stage(run, reading, window, accept_cap=True)
        if wider.checked.rows <= staged.checked.rows:
            raise TruncatedAtLimit(
                f"Looker returned exactly {staged.checked.rows:,} rows, one of its limits, for {window.filter()} and "
                "for a wider window."
            )
        return staged

    def _read(self, run: Run, reading: _CursorQuery, window: Window) -> tuple[_CursorQuery, Staged]:
        """Stage a window's rows. If they do not have the stored header of the cursor, ask Looker for it again."""
        try:
            return reading, self._stage(run, reading, window)
        except ColumnsChanged:
            column = self._read_column(run, reading.query)
            if column == reading.column:
                raise
            reading = msgspec.structs.replace(reading, column=column)
            return reading, self._stage(run, reading, window)

    def _stage(self, run: Run, reading: _CursorQuery, window: Window, *, accept_cap: bool = False) -> Staged:
        query, column, job = reading.query, reading.column, self._job
        fields = query.fields or []
        is_added = column.field not in fields
        filters = {**(query.filters or {}), column.field: window.filter()}
        selected = [*fields, column.field] if is_added else fields
        windowed = msgspec.structs.replace(query, fields=selected, filters=filters)
        watched = Watched(column.header, window.expect, is_left_out=is_added)
        accepts = job.guards.accept_error_text
        contract = Contract(job.target.columns or None, job.target.delimiter, watched, accepts_error_text=accepts)
        path = self._path(run)
        return sources.stage(
            run, self._looker, windowed, contract, path, accept_cap=accept_cap or job.guards.accept_cap
        )

    def _path(self, run: Run) -> str:
        return paths.staged(self._job.name, run.receipt.run)

    def _landed(
        self,
        previous: LastLanding | None,
        column: CursorColumn,
        landed: LastLanding,
        window: Window,
        end: CursorPosition,
    ) -> LastLanding:
        # Landing sets the time. A window without rows leaves the earlier one.
        landed_at = previous.landed_at if previous else ""
        landed = msgspec.structs.replace(
            landed, landed_at=landed_at, column=column, kept=self._kept(previous, landed.rows)
        )
        if self._requested.begin is None:
            backfill = self._open_backfill(previous, column)
            return msgspec.structs.replace(landed, value=str(window.end), backfill=backfill)
        begin = self._requested_position("from", self._requested.begin, column)
        rows = self._rows_before(previous, column) + landed.rows
        asked, configuration = self._asked_end(column), self._job.target.configuration
        rest = Backfill(str(begin), str(end), str(window.end), rows, asked, configuration)
        backfill = rest if window.end < end else None
        # In another time zone, or on another cursor, its text would mean another moment.
        value = _position_on(column, previous) if previous else None
        return msgspec.structs.replace(landed, value=None if value is None else str(value), backfill=backfill)


def _position_on(column: CursorColumn, previous: LastLanding) -> CursorPosition | None:
    """Return where a landing ended, in the time zone of this cursor; None if that was on another cursor."""
    before = previous.column
    if previous.value is None or before is None or before.field != column.field:
        return None
    value = positions.parse(previous.value, msgspec.structs.replace(column, time_zone=before.time_zone))
    if value is None or before.time_zone == column.time_zone:
        return value
    return value.in_zone(positions.zone_named(column.time_zone))
