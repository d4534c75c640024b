"""The cursor of a job: its last landing. It moves only after a landing, under a generation precondition."""

import contextlib
import itertools

import msgspec

from common.bridge_yaml import Grain
from common.pigment.pace import ImportTime
from common.platform.errors import LeaseLost
from common.storage import claims, paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale, Stored
from common.tables.staging import CheckedFile

_MOST_ANSWERED = 50
"Cloud Scheduler and Pub/Sub repeat a call within minutes."


class CursorColumn(msgspec.Struct, frozen=True):
    """The column of an incremental pull's cursor, as a run found it in Looker; later runs need not ask again."""

    field: str
    header: str
    "Its name in the header of a CSV."
    grain: Grain
    time_zone: str
    "The time zone of `value` and `backfill`."
    asked: str
    "A digest of the query for which it was found."


class Backfill(msgspec.Struct, frozen=True):
    """A range that is being loaded again; it does not move the cursor."""

    begin: str
    end: str
    value: str
    rows: int = 0
    "How many rows of the range have landed again."
    to: str | None = None
    "The end that was asked for; None for that of the cursor, which moves."
    configuration: str | None = None
    "The import configuration; None in an object of an earlier version."


class LastLanding(msgspec.Struct, frozen=True):
    """The last landing of a job, with which the next run is compared."""

    run: str
    landed_at: str
    rows: int
    sha256: str
    header: list[str]
    staged: str
    "The path of the file that was sent to Pigment."
    value: str | None = None
    "The cursor of an incremental pull: rows before it have landed."
    column: CursorColumn | None = None
    backfill: Backfill | None = None
    tick: str | None = None
    "The call that the run answered: a time of Cloud Scheduler, or a delivery."
    answered: dict[str, str] = {}
    "The runs that landed before it, by the calls that they answered; the newest first."
    configuration: str | None = None
    previous: str | msgspec.UnsetType | None = msgspec.UNSET
    "The run of the landing that this one follows; unset in an object of an earlier version."
    earlier: str = ""
    "The run that landed rows last, if this one only moved the cursor."
    kept: int = 0
    "How many landings of an incremental load `kept/` has, with this one; 0 if it does not have all of them."
    deleted: int = 0
    "How many rows Pigment deleted, if that was more than the job allowed."
    imported: ImportTime | None = None
    "How long Pigment took to import the rows that landed last, if that is known."
    delimiter: str | None = None
    "What separates the columns of the file; None in an object of an earlier version, and of an export."
    differs: bool = False
    "Whether a later comparison has found that the block does not have what was sent."
    types: dict[str, list[str]] = {}
    "By column of an export as Parquet, the forms that all its cells have had; later runs keep the type."

    def run_that_answered(self, call: str | None) -> str | None:
        """Return the run that landed for a call; None for another call, or one without an id."""
        if call is None:
            return None
        return self.run if call == self.tick else self.answered.get(call)

    def has_delimiter(self, delimiter: str) -> bool:
        """Whether the file can be read, and compared, with this delimiter."""
        return self.delimiter in (None, delimiter)

    @property
    def run_with_rows(self) -> str:
        """The run that landed rows last."""
        return self.earlier or self.run

    def deleted_through(self, configuration: str) -> int:
        """Return how many rows this landing deleted, if it landed through this import configuration."""
        return self.deleted if self.configuration == configuration else 0


def of(file: CheckedFile, run: str, previous: LastLanding | None, *, tick: str | None = None) -> LastLanding:
    """Return the cursor as it will be once a checked file has landed."""
    checked, before = file.checked, previous.run if previous else None
    earlier = previous.run_with_rows if previous and not checked.rows else ""
    imported = previous.imported if previous else None
    landed = LastLanding(run, "", checked.rows, file.sha256, checked.header, file.path, tick=tick, previous=before)
    return msgspec.structs.replace(landed, earlier=earlier, imported=imported, answered=_answered(previous))


def _answered(previous: LastLanding | None) -> dict[str, str]:
    """Return the calls that a landing and those before it have answered: a call can be repeated after a later one."""
    if previous is None:
        return {}
    last = {previous.tick: previous.run} if previous.tick else {}
    return dict(itertools.islice({**last, **previous.answered}.items(), _MOST_ANSWERED))


def read(bucket: Bucket, job: str) -> LastLanding | None:
    stored = bucket.read_json(paths.cursor(job), LastLanding)
    return stored.value if stored else None


def newest_delivery(landing: LastLanding | None) -> str | None:
    """Return the name of the delivery that a relay landed last; None if the cursor records another kind of call, as
    that of an earlier job with the same name does.
    """
    tick = landing.tick if landing else None
    return tick if tick is not None and claims.arrival_of(tick) is not None else None


def move(bucket: Bucket, job: str, landed: LastLanding) -> None:
    """Store a landing, unless it or a later one is stored. Raises LeaseLost if another run moved the cursor at the
    same time.
    """
    before = bucket.read_json(paths.cursor(job), LastLanding)
    if before is not None and not _follows(landed, before.value):
        # It is this landing; or another run settled this one and has landed since, and the cursor never moves back.
        return
    try:
        bucket.write_json(paths.cursor(job), landed, over=before.generation if before else 0)
    except Stale:
        raise LeaseLost(f"Another run moved the cursor of {job} at the same moment.") from None


def note_comparison(bucket: Bucket, job: str, run: str, *, differs: bool) -> None:
    """Note whether the block still has what landed, unless a later run has landed since."""
    there = bucket.read_json(paths.cursor(job), LastLanding)
    if there is None or there.value.run != run or there.value.differs == differs:
        return
    with contextlib.suppress(Stale):
        bucket.write_json(
            paths.cursor(job), msgspec.structs.replace(there.value, differs=differs), over=there.generation
        )


class KnownCursors:
    """Cursors that are read once, and then known as long as this call has one lease: nobody else moves them then.

    A call whose lease was taken by another run finds that out when it writes its next step, before it sends anything.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._stored: dict[str, Stored[LastLanding] | None] = {}

    def read(self, job: str) -> LastLanding | None:
        if job not in self._stored:
            self._stored[job] = self._bucket.read_json(paths.cursor(job), LastLanding)
        stored = self._stored[job]
        return stored.value if stored else None

    def move(self, job: str, landed: LastLanding) -> None:
        """Store a landing as `move` does, without reading the cursor again if nobody else has moved it."""
        known = job in self._stored
        before = self._stored.pop(job, None)
        if known and (before is None or _follows(landed, before.value)):
            with contextlib.suppress(Stale):
                over = before.generation if before else 0
                generation = self._bucket.write_json(paths.cursor(job), landed, over=over)
                self._stored[job] = Stored(landed, generation)
                return
        move(self._bucket, job, landed)


def _follows(landed: LastLanding, before: LastLanding) -> bool:
    return before.run != landed.run if landed.previous is msgspec.UNSET else before.run == landed.previous
