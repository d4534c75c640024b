"""The record of the last runs of all jobs, from which the pages are made.

It is one object that many writers change: each adds what it knows, and nothing that another has added is lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from common import bridge_yaml
from common.looker.licence import LicenceUse, limits_of
from common.platform.clock import stamp
from common.platform.text import shorten
from common.runs.cursors import LastLanding
from common.runs.receipts import BlockVerdict, Outcome, Progress, Receipt

MOST_RUNS = 30
"How many runs of a job are kept."

_LONGEST_WORDS_BYTES = 600
_LANDED: frozenset[Outcome] = frozenset({"landed", "landed_with_skips", "published"})
ENDED_WELL: frozenset[Outcome] = _LANDED | {"nothing_new"}
"Without previews, which send nothing, and without runs that are still importing."

_FINAL = 2
_GOOGLE_STORAGE = "gs://"
"What the cursor of an export names; that of an earlier job of the same name may have been a pull's."

ShownJob = bridge_yaml.Pull | bridge_yaml.Relay | bridge_yaml.Export


class PastRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the pages show of a receipt: counts and causes, never a value of a row."""

    run: str
    started_at: str
    outcome: Outcome
    seconds: float = 0
    read: int | None = None
    landed: int | None = None
    "None if nothing has landed, or it is not known how much."
    skipped: int = 0
    held: int = 0
    verified: BlockVerdict | None = None
    code: str = ""
    cause: str = ""
    next_step: str = ""
    warnings: int = 0
    left: str = ""
    "How far a load of several windows has come, if windows are left: `up to 2026-02-01 of 2026-03-01`."

    @property
    def has_ended_well(self) -> bool:
        return self.outcome in ENDED_WELL and not self.code

    def was_kept_out(self, runs: Iterable["PastRun"]) -> bool:
        """Whether it changed nothing, because another run had the configuration, or one of these is not settled."""
        if self.outcome == "failed" and self.code == "landing_unknown" and self.read is None:
            return any(each.run in self.cause for each in runs if each is not self)
        return self.outcome == "occupied"

    @property
    def may_change(self) -> bool:
        """Whether its receipt can still be replaced: an import may end, a block be read, and a person decide."""
        return self.progress < _FINAL

    @property
    def progress(self) -> int:
        """How final its receipt is: of two forms of a receipt, the later one never has less."""
        if self.outcome in ("importing", "unknown", "held"):
            return 0
        return 1 if self.verified == "not_yet" else _FINAL

    @property
    def ended_at(self) -> str:
        return stamp(datetime.fromisoformat(self.started_at) + timedelta(seconds=self.seconds))


class Landing(msgspec.Struct, frozen=True):
    """The last time that rows of a job arrived."""

    run: str
    at: str
    rows: int


def _second_of(landing: Landing) -> str:
    return landing.run.partition("-")[0]


class Waiting(msgspec.Struct, frozen=True):
    """The deliveries of a relay that are stored and not imported yet."""

    count: int
    since: str


class JobRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one job."""

    kind: str
    runs: list[PastRun] = []
    "The newest first."
    seen_at: str = ""
    "When a sweep last listed the job's receipts."
    landing: Landing | None = None
    schedule: str = ""
    time_zone: str = "UTC"
    since: str = ""
    "Since when the schedule applies; empty if no sweep has seen it."
    title: str = ""
    fills: str = ""
    waiting: Waiting | None = None

    @property
    def decided_runs(self) -> list[PastRun]:
        """The runs from which follows how the job stands. Of one that a person approved, another landed the file; one
        that was kept out by another changed nothing, and that one says how it went, also once a person has settled it.
        """
        runs = [each for each in self.runs if each.outcome != "approved"]
        return [each for each in runs if not each.was_kept_out(runs)] or runs

    @property
    def last_good_at(self) -> str:
        """When the last run began that ended well; when rows last landed, if no such run is known; empty if neither."""
        known = next((each.started_at for each in self.runs if each.has_ended_well), "")
        return known or (self.landing.at if self.landing else "")

    def open_runs(self) -> list[str]:
        """Return the runs whose receipts a sweep reads again. Of several windows, the last is read back for all."""
        last = next((each.run for each in self.runs if each.landed is not None), "")
        return [each.run for each in self.runs if each.may_change and (each.outcome not in _LANDED or each.run == last)]

    def with_runs(self, runs: Iterable[PastRun]) -> "JobRecord":
        """Return the record with these runs, of which an earlier one may have had another outcome."""
        known = {each.run: each for each in self.runs}
        for each in runs:
            before = known.get(each.run)
            if before is None or (before.may_change and each.progress >= before.progress):
                known[each.run] = each
        # The ids of runs sort by second only.
        newest = sorted(known.values(), key=lambda each: (each.started_at, each.run), reverse=True)[:MOST_RUNS]
        landings = [Landing(each.run, each.ended_at, each.landed) for each in newest if each.landed is not None]
        landing = max((*landings, *filter(None, [self.landing])), key=_second_of, default=None)
        return msgspec.structs.replace(self, runs=newest, landing=landing)

    def with_comparison(self, run: PastRun) -> "JobRecord":
        """Return the record with a run whose block was compared once more, whatever it said before."""
        runs = [each for each in self.runs if each.run != run.run]
        return msgspec.structs.replace(self, runs=runs).with_runs([run])

    def with_cursor(self, cursor: LastLanding | None) -> "JobRecord":
        """Return the record with a landing whose receipt may have been deleted since."""
        if (
            cursor is None
            or not (cursor.landed_at and cursor.rows)
            or cursor.staged.startswith(_GOOGLE_STORAGE) != (self.kind == "export")
            or (self.landing and self.landing.run >= cursor.run)
        ):
            return self
        return msgspec.structs.replace(self, landing=Landing(cursor.run, cursor.landed_at, cursor.rows))


class StatusRecord(msgspec.Struct, frozen=True):
    """What is known of all jobs, as `status/status.json` in the bucket says."""

    written_at: str = ""
    jobs: dict[str, JobRecord] = {}
    licence: LicenceUse | None = None
    "What the last sweep knew of the calls of Looker's API; None if bridge.yaml names no licence."

    def of(self, bridge: bridge_yaml.Bridge) -> "StatusRecord":
        """Return the record of the jobs that bridge.yaml has now, as it describes them."""
        jobs = {job.name: _described(job, self.jobs.get(job.name)) for job in shown_jobs(bridge)}
        licence = self.licence if limits_of(bridge.looker) else None
        return msgspec.structs.replace(self, jobs=jobs, licence=licence)

    def with_jobs(self, jobs: Mapping[str, JobRecord]) -> "StatusRecord":
        """Return the record with what is known of jobs, and with the runs that it has meanwhile."""
        joined = {name: _joined(job, jobs[name]) if name in jobs else job for name, job in self.jobs.items()}
        return msgspec.structs.replace(self, jobs=joined)

    def with_receipts(self, receipts: Iterable[Receipt]) -> "StatusRecord":
        jobs = dict(self.jobs)
        for receipt in receipts:
            job = jobs.get(receipt.job)
            # An earlier job of the same name may have been of another kind.
            if job is not None and receipt.kind == job.kind and receipt.outcome != "previewed":
                jobs[receipt.job] = jobs[receipt.job].with_runs([past_run(receipt)])
        return msgspec.structs.replace(self, jobs=jobs)

    def with_comparison(self, receipt: Receipt) -> "StatusRecord":
        """Return the record with the verdict of a later comparison."""
        job = self.jobs.get(receipt.job)
        if job is None or receipt.kind != job.kind:
            return self
        jobs = {**self.jobs, receipt.job: job.with_comparison(past_run(receipt))}
        return msgspec.structs.replace(self, jobs=jobs)


def _joined(stored: JobRecord, found: JobRecord) -> JobRecord:
    """Return what a sweep found of a job, over the runs that the record has meanwhile."""
    return msgspec.structs.replace(found, runs=stored.runs).with_runs(found.runs)


def shown_jobs(bridge: bridge_yaml.Bridge) -> Iterator[ShownJob]:
    """Yield the jobs that fill something; a relay that starts a pull is part of the pull."""
    yield from (job for job in bridge.jobs() if not isinstance(job, bridge_yaml.Signal))


def past_run(receipt: Receipt) -> PastRun:
    """Return what the pages show of a receipt."""
    error, rows = receipt.error, receipt.rows
    return PastRun(
        run=receipt.run,
        started_at=receipt.started_at,
        outcome=receipt.outcome,
        seconds=receipt.seconds.total,
        read=rows.read,
        landed=_landed_rows(receipt),
        skipped=rows.skipped or 0,
        held=rows.held or 0,
        verified=receipt.verified,
        code=error.code if error else "",
        cause=shorten(error.message if error else receipt.why_not_compared, _LONGEST_WORDS_BYTES),
        next_step=shorten(error.next_step, _LONGEST_WORDS_BYTES) if error else "",
        warnings=len(receipt.warnings),
        left=_left(receipt.progress),
    )


def _left(progress: Progress | msgspec.UnsetType) -> str:
    if progress is msgspec.UNSET or progress.done:
        return ""
    return f"up to {progress.reached} of {progress.until}"


def _landed_rows(receipt: Receipt) -> int | None:
    if receipt.outcome not in _LANDED:
        return None
    rows = receipt.rows
    sent = rows.read if receipt.kind == "export" else rows.sent
    return None if sent is None else max(0, sent - (rows.skipped or 0))


def _described(job: ShownJob, before: JobRecord | None) -> JobRecord:
    record = before if before and before.kind == job.kind else JobRecord(job.kind)
    schedule = "" if isinstance(job, bridge_yaml.Relay) else job.schedule or ""
    zone = "UTC" if isinstance(job, bridge_yaml.Relay) else job.time_zone
    since = record.since if (record.schedule, record.time_zone) == (schedule, zone) else ""
    return msgspec.structs.replace(
        record, schedule=schedule, time_zone=zone, since=since, title=job.title, fills=_fills(job)
    )


def _fills(job: ShownJob) -> str:
    """Return what a job fills, by its ids, for those who have bridge.yaml at hand."""
    if isinstance(job, bridge_yaml.Export):
        return f"gs://{job.bucket}/{job.path}" if job.bucket else f"exports/{job.path}"
    return f"import configuration {job.target.configuration}"
