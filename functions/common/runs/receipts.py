"""Landing receipts: what one run read, sent, landed and skipped, and why.

A receipt is written once, when its run has ended. The outcomes `importing` and `unknown` are not final: a receipt with
one of them is replaced once, when a later run or a person has settled how the import ended. A receipt with `held` is
replaced once as well, when a person has decided or a later run has superseded it (`common.runs.holds`). A receipt whose
block was not read back yet is replaced once it was.

A receipt is one line of JSON, so that BigQuery reads all receipts as a table (infra/receipts.tf).
"""

import itertools
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Literal, Self

import msgspec

from common.looker.calls import LookerCalls
from common.platform.clock import stamp
from common.platform.errors import ErrorReport, NotFound
from common.platform.text import shorten
from common.storage import paths
from common.storage.bucket import Bucket
from common.tables.compare import ChangeCounts, Diff
from common.tables.equality.result import BlockEquality
from common.tables.staging import Sample

BlockVerdict = Literal["equal", "differs", "not_yet", "impossible"]
"""How a block that was read back compares with what was sent: it has exactly these rows; it does not; it was not read
yet; it cannot be compared."""
Outcome = Literal[
    "landed",
    "landed_with_skips",
    "nothing_new",
    "previewed",
    "published",
    "importing",
    "held",
    "approved",
    "occupied",
    "refused",
    "failed",
    "unknown",
]


RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")
"What `run_id` returns."

_AT_ONCE = 10
"Requests: Google's client keeps so many connections."
_LONGEST_WARNING_BYTES = 2000
_MOST_WARNINGS = 50
_WARNINGS_LEFT_OUT = "There were more warnings, which are left out."
_MOST_SKIPS = 50
_LONGEST_REASON_BYTES = 200
_MOST_SAMPLES = 100


class Rows(msgspec.Struct, frozen=True):
    """Numbers of records without headers; None if a number is not known, or not yet."""

    read: int | None = None
    sent: int | None = None
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    skipped: int | None = None
    held: int | None = None
    "Rows that the bridge itself held back, so that they were not sent."

    def joined(self, other: "Rows") -> "Rows":
        """Return these numbers, replaced by those that `other` knows."""
        known = {name: number for name, number in msgspec.structs.asdict(other).items() if number is not None}
        return msgspec.structs.replace(self, **known)

    def plus(self, other: "Rows") -> "Rows":
        """Return the sums of the numbers that are known on either side."""
        mine, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        pairs = {name: (mine[name], theirs[name]) for name in mine}
        return Rows(**{name: sum(n or 0 for n in pair) for name, pair in pairs.items() if pair != (None, None)})


class Skip(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows that Pigment skipped for one reason."""

    reason: str
    column: str | None
    count: int
    samples: list[str] = []
    "Some of the rows, as Pigment quotes them; only if the job asks for them, because they contain data."

    def shortened(self) -> "Skip":
        column = None if self.column is None else shorten(self.column, _LONGEST_REASON_BYTES)
        samples = [shorten(sample, _LONGEST_REASON_BYTES) for sample in self.samples[:_MOST_SAMPLES]]
        return Skip(shorten(self.reason, _LONGEST_REASON_BYTES), column, self.count, samples)


class UnknownItem(msgspec.Struct, frozen=True):
    item: str
    rows: int
    alike: str | None = None
    "The item of the list from which it differs only in case or in the spaces around it."

    def shortened(self) -> "UnknownItem":
        alike = None if self.alike is None else shorten(self.alike, _LONGEST_REASON_BYTES)
        return UnknownItem(shorten(self.item, _LONGEST_REASON_BYTES), self.rows, alike)


class ItemCheck(msgspec.Struct, frozen=True):
    """A column whose values were looked up in a list in Pigment."""

    column: str
    items: int
    "How many items the list has."
    age_s: int
    "How old they were."
    unknown: list[UnknownItem]
    "The values that are no items; of many, those with most rows, and the sum of the others. They are never logged."


class CursorMove(msgspec.Struct, frozen=True):
    before: str | None = None
    after: str | None = None


class Seconds(msgspec.Struct, frozen=True):
    """The time spent waiting for each vendor, and in all."""

    looker: float = 0
    pigment: float = 0
    total: float = 0


class Progress(msgspec.Struct, frozen=True):
    """The progress of a load in windows. It is part of the answer only: each window has a receipt of its own."""

    reached: str
    "The beginning of the next window."
    until: str
    "The end of the last one."
    done: bool
    windows: int = 0
    "The number of windows that this call has landed."
    rows: Rows = Rows()
    "Their sum."


NOT_COMPARED = "The rows in Pigment were not compared with those that were sent."
"How the warning begins of a block that was not read back."


class Receipt(msgspec.Struct, frozen=True, omit_defaults=False):
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
    call: str | None = None
    "The time of Cloud Scheduler, or the delivery, that called for it; the same if the call is repeated."
    import_id: str | None = None
    object: str | None = None
    "The object of an export: `gs://bucket/name`."
    window: list[str] | None = None
    cursor: CursorMove = CursorMove()
    seconds: Seconds = Seconds()
    calls: LookerCalls | None = None
    "Of a pull: the calls of Looker's API; those of a load in windows are on the receipt of the window."
    warnings: list[str] = []
    error: ErrorReport | None = None
    changes: ChangeCounts | None = None
    verified: BlockVerdict | None = None
    "None: the job does not read its block back, or nothing has landed."
    verification: BlockEquality | None = None
    bytes_billed: int | None = None
    "By BigQuery, for all comparisons with `engine: bigquery` of this run; None if there was none."
    known: list[ItemCheck] = []
    preview: Sample | msgspec.UnsetType = msgspec.UNSET
    diff: Diff | msgspec.UnsetType = msgspec.UNSET
    progress: Progress | msgspec.UnsetType = msgspec.UNSET

    @property
    def why_not_compared(self) -> str:
        """Why the block cannot be compared with what was sent; empty if it can, or was not to be."""
        reasons = (each for each in self.warnings if each.startswith(NOT_COMPARED))
        return next(reasons, "") if self.verified == "impossible" else ""

    def warned(self, *warnings: str) -> Self:
        """Return the receipt with more warnings, each of them once, short enough to be stored and logged."""
        known = list(dict.fromkeys([*self.warnings, *(shorten(each, _LONGEST_WARNING_BYTES) for each in warnings)]))
        left_out = [_WARNINGS_LEFT_OUT] if len(known) > _MOST_WARNINGS else []
        return msgspec.structs.replace(self, warnings=[*known[: _MOST_WARNINGS - len(left_out)], *left_out])

    def with_skips(self, skips: Sequence[Skip]) -> Self:
        """Return the receipt with the skips of most rows, and the sum of the others."""
        if len(skips) > _MOST_SKIPS:
            by_count = sorted(skips, key=lambda skip: -skip.count)
            others = by_count[_MOST_SKIPS - 1 :]
            rest = Skip(f"{len(others):,} other reasons", None, sum(skip.count for skip in others))
            skips = [*by_count[: _MOST_SKIPS - 1], rest]
        return msgspec.structs.replace(self, skips=[skip.shortened() for skip in skips])

    @property
    def is_final(self) -> bool:
        return self.outcome not in ("importing", "unknown")

    @property
    def is_complete(self) -> bool:
        """Whether nothing about the run can become known any more."""
        return self.is_final and self.verified != "not_yet"

    @property
    def has_ended_well(self) -> bool:
        return self.error is None and self.is_final

    @property
    def status(self) -> int:
        if self.error is not None:
            return self.error.kind.status
        return 202 if self.outcome == "importing" else 200


def run_id(now: datetime, chance: float) -> str:
    """Return a unique id that sorts by time: `20260301T061503-1f0c9a2b`."""
    return f"{now:%Y%m%dT%H%M%S}-{int(chance * 2**32):08x}"


def begin(run: str, job: str, kind: str, now: datetime) -> Receipt:
    return Receipt(run, job, kind, stamp(now))


def read(bucket: Bucket, job: str, run: str) -> Receipt | None:
    stored = bucket.read_json(paths.receipt(job, run), Receipt)
    return stored.value if stored else None


def find(bucket: Bucket, run: str) -> Receipt:
    """Return the receipt of a run of any job. Raises NotFound if there is none."""
    for folder in bucket.folders(paths.receipts()):
        found = read(bucket, folder.rstrip("/").rpartition("/")[2], run)
        if found is not None:
            return found
    raise NotFound(f"There is no receipt of a run {run}.", next_step="`bridge runs` shows the ids of runs.")


def newest(bucket: Bucket, job: str, count: int) -> list[Receipt]:
    """Return the newest receipts, newest first.

    The days are listed one after the other from the newest, so that the number of earlier days does not matter. What
    does not depend on each other is asked at the same time: a bucket has a folder for each job.

    Args:
        job: the name of a job, or empty for all jobs.
        count: how many at most.
    """
    jobs = [paths.receipts(job)] if job else list(bucket.folders(paths.receipts()))
    found: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        folders = itertools.chain.from_iterable(pool.map(lambda each: list(bucket.folders(each)), jobs))
        for _, of_day in itertools.groupby(sorted(folders, key=_last_part, reverse=True), key=_last_part):
            if len(found) >= count:
                break
            found += itertools.chain.from_iterable(pool.map(lambda each: list(bucket.names(each)), of_day))
        newest_first = sorted(found, key=_last_part, reverse=True)[:count]
        stored = list(pool.map(lambda name: bucket.read_json(name, Receipt), newest_first))
    # Names sort by second only.
    return sorted((each.value for each in stored if each), key=lambda receipt: receipt.started_at, reverse=True)


def runs_since(bucket: Bucket, job: str, run: str) -> list[str]:
    """Return the runs of a job from one on, the oldest first, with one listing however many days there are."""
    names = bucket.names(paths.receipts(job), since=paths.receipt(job, run))
    return [_last_part(name).removesuffix(".json") for name in names]


def _last_part(path: str) -> str:
    """The day of a folder, or the run of a receipt."""
    return path.rstrip("/").rpartition("/")[2]


def decide(bucket: Bucket, receipt: Receipt) -> Receipt:
    """Replace the receipt of a held run, and return the one that is stored: what was decided before stays."""
    return _write_unless(bucket, receipt, lambda earlier: earlier.outcome != "held")


def file(bucket: Bucket, receipt: Receipt) -> Receipt:
    """Write a receipt and return it, or the stored one if it is final. Raises StorageBusy or StorageRefused."""
    stored = msgspec.structs.replace(receipt, preview=msgspec.UNSET, diff=msgspec.UNSET, progress=msgspec.UNSET)
    there = _write_unless(bucket, stored, lambda earlier: earlier.is_complete)
    return receipt if there is stored else there


def _write_unless(bucket: Bucket, receipt: Receipt, is_kept: Callable[[Receipt], bool]) -> Receipt:
    return bucket.write_json_unless(paths.receipt(receipt.job, receipt.run), receipt, is_kept, in_one_line=True)
