"""Landing receipts: what one run read, sent, landed and left out, and why.

A receipt is written once, when its run has ended. Two outcomes are not an end, `importing` and `unknown`: theirs is
replaced, once, by what the import is found (or settled by a person) to have become.
"""

from datetime import datetime
from typing import Literal

import msgspec

from common.platform.clock import stamp
from common.platform.errors import BridgeError, Busy
from common.storage.store import Stale, Store

Outcome = Literal[
    "landed",
    "landed_with_skips",
    "nothing_new",
    "previewed",
    "published",
    "importing",
    "refused",
    "failed",
    "unknown",
]

_COME_BACK_S = 60.0

OPEN: frozenset[Outcome] = frozenset({"importing", "unknown"})


class Rows(msgspec.Struct, frozen=True):
    """Counts of records, headers not counted; None: not known, or not come to."""

    read: int | None = None
    sent: int | None = None
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    skipped: int | None = None

    def plus(self, other: "Rows") -> "Rows":
        """The sum, of what is known on either side."""
        mine, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        known = {name: (mine[name], theirs[name]) for name in mine}
        return Rows(
            **{name: sum(n or 0 for n in pair) if pair != (None, None) else None for name, pair in known.items()}
        )


class Skip(msgspec.Struct, frozen=True):
    """Rows that Pigment left out for one reason."""

    reason: str
    column: str | None
    count: int


class CursorMove(msgspec.Struct, frozen=True):
    """How far the job had landed before the run and after it."""

    before: str | None = None
    after: str | None = None


class Seconds(msgspec.Struct, frozen=True):
    """Where the time went."""

    looker: float = 0
    pigment: float = 0
    total: float = 0


class ErrorReport(msgspec.Struct, frozen=True):
    """An error, as it is answered and kept."""

    code: str
    message: str
    next_step: str
    retry_after_s: float | None = None
    "When trying again makes sense; only for what is busy."

    @classmethod
    def of(cls, error: BridgeError) -> "ErrorReport":
        wait_s = (error.retry_after_s or _COME_BACK_S) if isinstance(error, Busy) else None
        return cls(error.code, error.cause, error.next_step, wait_s)


class Sample(msgspec.Struct, frozen=True):
    """What a preview shows of the file; answered, never kept or logged."""

    header: list[str]
    first_rows: list[list[str]]


class Progress(msgspec.Struct, frozen=True):
    """How far a load in windows has come; answered, never kept: each window has a receipt of its own."""

    reached: str
    "Where the next window begins."
    until: str
    "Where the last one will end."
    done: bool
    flights: int = 0
    "Windows of this call."
    rows: Rows = Rows()
    "Of all of them."


class ChangeCounts(msgspec.Struct, frozen=True):
    """How a file differs from the one that landed before it, in rows."""

    added: int
    changed: int
    gone: int
    "No longer in Looker; Pigment still has them."
    unchanged: int


class ChangedCell(msgspec.Struct, frozen=True):
    """One cell of a row that is not what it was."""

    column: str
    before: str
    after: str


class ChangedRow(msgspec.Struct, frozen=True):
    """A row that is not what it was."""

    key: list[str]
    cells: list[ChangedCell]


class Diff(msgspec.Struct, frozen=True):
    """What a preview shows of a difference; answered, never kept or logged."""

    key: list[str]
    "The columns that tell rows apart."
    header: list[str] = []
    changed_rows: list[ChangedRow] = []
    new_rows: list[list[str]] = []
    gone_keys: list[list[str]] = []
    bad_keys: list[list[str]] = []
    "Empty, or there twice."


class Receipt(msgspec.Struct, frozen=True, omit_defaults=False):
    """The record of one run."""

    run: str
    job: str
    kind: str
    started_at: str
    outcome: Outcome = "failed"
    rows: Rows = Rows()
    skips: list[Skip] = []
    bytes: int | None = None
    sha256: str | None = None
    configuration: str | None = None
    import_id: str | None = None
    object: str | None = None
    "What an export published: `gs://bucket/name`."
    window: list[str] | None = None
    cursor: CursorMove = CursorMove()
    seconds: Seconds = Seconds()
    warnings: list[str] = []
    error: ErrorReport | None = None
    changes: ChangeCounts | None = None
    preview: Sample | msgspec.UnsetType = msgspec.UNSET
    diff: Diff | msgspec.UnsetType = msgspec.UNSET
    progress: Progress | msgspec.UnsetType = msgspec.UNSET


def run_id(now: datetime, chance: float) -> str:
    """Ids sort by time, and name no two runs alike: `20260301T061503-1f0c9a2b`."""
    return f"{now:%Y%m%dT%H%M%S}-{int(chance * 2**32):08x}"


def begin(run: str, job: str, kind: str, now: datetime) -> Receipt:
    return Receipt(run, job, kind, stamp(now))


def path_of(job: str, run: str) -> str:
    """`receipts/<job>/<date>/<run>.json`; the date is the run's start, in UTC."""
    return f"receipts/{job}/{run[:4]}-{run[4:6]}-{run[6:8]}/{run}.json"


def read(store: Store, job: str, run: str) -> Receipt | None:
    stored = store.read_json(path_of(job, run), Receipt)
    return stored.value if stored else None


def file(store: Store, receipt: Receipt) -> Receipt:
    """Keep a receipt; one that has already ended stays as it was and is given back.

    Raises:
        StorageRefused, StorageBusy: it could not be kept.
    """
    path = path_of(receipt.job, receipt.run)
    kept = msgspec.structs.replace(receipt, preview=msgspec.UNSET, diff=msgspec.UNSET, progress=msgspec.UNSET)
    over = 0
    while True:
        try:
            store.write_json(path, kept, over=over)
        except Stale:
            there = store.read_json(path, Receipt)
            if there is not None and there.value.outcome not in OPEN:
                return there.value
            over = there.generation if there else 0
        else:
            return receipt
