"""How far a job has landed: one object per job, moved only after a landing, under a generation precondition."""

import msgspec

from common.loads.windows import Grain
from common.platform.errors import LeaseLost
from common.storage.store import Stale, Store
from common.tables.staging import Staged


class CursorColumn(msgspec.Struct, frozen=True):
    """What an incremental pull has learnt of its cursor, so that not every run has to ask for it."""

    field: str
    header: str
    "As a CSV heads it."
    grain: Grain
    time_zone: str
    "Whose clocks `value` and `backfill` are by."
    asked: str
    "Of which query it was learnt."


class Backfill(msgspec.Struct, frozen=True):
    """A stretch that is loaded again, beside the cursor: how far that has come."""

    begin: str
    end: str
    value: str


class LastLanding(msgspec.Struct, frozen=True):
    """The last landing of a job: what the next run is compared with."""

    run: str
    landed_at: str
    rows: int
    sha256: str
    header: list[str]
    staged: str
    "Where the file lies that Pigment got."
    value: str | None = None
    "The cursor of an incremental pull: up to where rows have landed."
    column: CursorColumn | None = None
    backfill: Backfill | None = None
    tick: str | None = None
    "What the run answered: a time of Cloud Scheduler, or a delivery."
    configuration: str | None = None
    "Where it landed."


def of(staged: Staged, run: str, tick: str | None = None) -> LastLanding:
    """What the cursor will say once a staged file has landed."""
    checked = staged.checked
    return LastLanding(run, "", checked.rows, staged.sha256, checked.header, staged.path, tick=tick)


def path_of(job: str) -> str:
    return f"cursors/{job}.json"


def read(store: Store, job: str) -> LastLanding | None:
    stored = store.read_json(path_of(job), LastLanding)
    return stored.value if stored else None


def move(store: Store, job: str, landed: LastLanding) -> None:
    """Note a landing; one that was noted before stays as it is.

    Raises:
        LeaseLost: another run moved it meanwhile.
    """
    before = store.read_json(path_of(job), LastLanding)
    if before is not None and before.value.run == landed.run:
        return
    try:
        store.write_json(path_of(job), landed, over=before.generation if before else 0)
    except Stale:
        raise LeaseLost(f"Another run moved the cursor of {job} at the same moment.") from None
