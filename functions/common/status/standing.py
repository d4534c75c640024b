"""How a job stands: whether its numbers are up to date and, if not, why and what to do."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from common.bridge_yaml.cron import last_due, next_due
from common.runs.receipts import Outcome, run_id
from common.status.record import JobRecord, PastRun

StandingName = Literal[
    "equal",
    "landed",
    "published",
    "on_demand",
    "skipped",
    "not_compared",
    "new",
    "waiting",
    "late",
    "held",
    "unknown",
    "not_equal",
    "failed",
]
"""The verdict on a job: its block was read back and is equal; its rows landed; its object was published; nothing runs
it, and its last run was over a day ago; its rows landed without some; they landed, and cannot be read back; it has not
run yet; rows are on their way; it has not landed in time; a person has to decide; its rows may have landed; its block
has other rows; its last run failed."""

GRACE = timedelta(hours=1)
"""Twice the half hour that Cloud Scheduler waits for a run: one for a run that is in progress when the job is due,
and one for the run after it."""
SKEW = timedelta(minutes=1)
"How much earlier than its call a run may seem to have begun."

_GOOD: frozenset[StandingName] = frozenset({"equal", "landed", "published"})
_CALM: frozenset[StandingName] = _GOOD | {"on_demand", "skipped", "not_compared", "new", "waiting"}

_FRESH = timedelta(days=1)
"For how long the last run vouches for the numbers of a job that nothing runs by itself."


class Standing(msgspec.Struct, frozen=True):
    name: StandingName
    reason: str = ""
    next_step: str = ""
    run: PastRun | None = None
    "The run that it follows from, if it does."
    due_at: datetime | None = None
    "When the job is due next."

    @property
    def is_up_to_date(self) -> bool:
        """Whether all rows of the last run are there, and the last run was in time."""
        return self.name in _GOOD

    @property
    def needs_someone(self) -> bool:
        return self.name not in _CALM


def standing_of(job: JobRecord, now: datetime) -> Standing:
    """Return how a job stands at a moment."""
    found = _standing(job, now)
    if found.is_up_to_date and _is_old(job, now):
        last = local_time(datetime.fromisoformat(job.last_good_at), job.time_zone)
        found = Standing("on_demand", f"No schedule runs it. Its last run began at {last}.", run=found.run)
    return msgspec.structs.replace(found, due_at=_next_due(job, now))


def overdue_since(job: JobRecord, now: datetime) -> datetime | None:
    """Return the time for which the job should have landed and has not; None if it is not overdue."""
    due = last_due(job.schedule, job.time_zone, now - GRACE) if job.schedule and job.since else None
    if due is None or due <= datetime.fromisoformat(job.since):
        return None
    first = run_id(due - SKEW, 0)
    has_ended_well = any(run.run >= first and run.has_ended_well for run in job.runs)
    return None if has_ended_well or _landed_without_receipt(job, first) else due


def _landed_without_receipt(job: JobRecord, first: str) -> bool:
    """Whether the cursor says that a run landed whose receipt was not stored, or deleted after its time."""
    landing = job.landing
    return landing is not None and landing.run >= first and all(run.run != landing.run for run in job.runs)


def _standing(job: JobRecord, now: datetime) -> Standing:
    newest = next(iter(job.decided_runs), None)
    due = overdue_since(job, now)
    failed = _failed(job)
    if failed is not None:
        return _after_failure(failed)
    if due is not None:
        was_due = f"It was due at {local_time(due, job.time_zone)} and has not landed since."
        return Standing("late", was_due, _LATE_STEP, newest)
    if newest is not None and newest.outcome in _LEAVES_OPEN:
        return Standing("waiting", newest.cause or "Pigment is importing its rows.", run=newest)
    if job.waiting is not None:
        deliveries = f"{job.waiting.count:,} deliver{'y' if job.waiting.count == 1 else 'ies'}"
        since = local_time(datetime.fromisoformat(job.waiting.since), job.time_zone)
        return Standing("waiting", f"{deliveries} from Looker: the oldest has waited since {since}.", run=newest)
    if newest is None:
        return Standing("landed", run=None) if job.landing else Standing("new", "It has not run yet.")
    return _after_success(job, newest)


def _is_old(job: JobRecord, now: datetime) -> bool:
    """Whether nothing runs a job by itself, and nobody has for a day: its numbers may be of any age."""
    runs_by_itself = job.schedule or job.kind == "relay"
    return not runs_by_itself and bool(job.last_good_at) and datetime.fromisoformat(job.last_good_at) < now - _FRESH


_LEAVES_OPEN: frozenset[Outcome] = frozenset({"importing", "occupied"})
"Another run says how it goes on."
_IN_PART = {"not_equal", "too_many_skipped", "too_many_deleted"}


def _failed(job: JobRecord) -> PastRun | None:
    """Return the run that keeps the job from being up to date: the newest, or the last one that sent rows, if Pigment
    then had others than were sent. A run without new rows does not change that.
    """
    newest = next(iter(job.decided_runs), None)
    if newest is not None and newest.outcome == "nothing_new" and not newest.code:
        # A run that failed before it sent anything does not change that either.
        sent = next((run for run in job.decided_runs if run.landed is not None or run.code in _IN_PART), None)
        return sent if sent is not None and sent.code in _IN_PART else None
    return newest if newest and not newest.has_ended_well and newest.outcome not in _LEAVES_OPEN else None


_LATE_STEP = "If no run of the job is listed since then, see whether its schedule is paused in Cloud Scheduler."


def _after_failure(newest: PastRun) -> Standing:
    if newest.code == "not_equal":
        return Standing("not_equal", newest.cause, newest.next_step, newest)
    names: dict[Outcome, StandingName] = {"held": "held", "unknown": "unknown"}
    name = names.get(newest.outcome, "failed")
    return Standing(name, newest.cause or f"The run ended as {newest.outcome}.", newest.next_step, newest)


def _after_success(job: JobRecord, newest: PastRun) -> Standing:
    """Return the standing by the last run that moved rows: a run without new rows changes nothing."""
    if newest.left:
        return Standing("waiting", f"It has loaded {newest.left}. The next run continues.", run=newest)
    landed = next((run for run in job.runs if run.landed is not None), newest)
    if landed.skipped or landed.held:
        parts = [(landed.skipped, "skipped by Pigment"), (landed.held, "held back")]
        counts = " and ".join(f"{count:,} rows were {what}" for count, what in parts if count)
        return Standing("skipped", f"{counts}. The receipt says why.", run=landed)
    if landed.verified == "impossible":
        return Standing("not_compared", landed.cause, run=landed)
    if job.kind == "export":
        return Standing("published", run=landed)
    return Standing("equal" if landed.verified == "equal" else "landed", run=landed)


def _next_due(job: JobRecord, now: datetime) -> datetime | None:
    return next_due(job.schedule, job.time_zone, now) if job.schedule else None


def sentence_of(standings: Iterable[tuple[str, Standing]], now: str, unread: Sequence[str] = ()) -> str:
    """Return one sentence that says whether all jobs are up to date and, if not, which are not.

    Args:
        standings: of each job by name.
        now: the time in words.
        unread: more jobs, whose records could not be read.
    """
    all_jobs = list(standings)
    behind = [(name, _VERBS[each.name]) for name, each in all_jobs if not each.is_up_to_date]
    behind += [(name, "could not be read") for name in unread]
    count = len(all_jobs) + len(unread)
    if not count:
        return "bridge.yaml has no jobs."
    if not behind:
        subject = "The only job is" if count == 1 else f"All {count} jobs are"
        return f"{subject} up to date as of {now}."
    named = ", ".join(f"{name} {verb}" for name, verb in behind[:_MOST_NAMED])
    more = len(behind) - _MOST_NAMED
    rest = f", and {more} more" if more > 0 else ""
    current = count - len(behind)
    verb = "is" if current == 1 else "are"
    return f"{current} of {count} jobs {verb} up to date as of {now}: {named}{rest}."


_MOST_NAMED = 5
_VERBS: dict[StandingName, str] = {
    "equal": "is up to date",
    "landed": "is up to date",
    "published": "is up to date",
    "on_demand": "has no schedule",
    "skipped": "landed without some rows",
    "not_compared": "landed and cannot be compared",
    "new": "has not run yet",
    "waiting": "is waiting",
    "late": "is late",
    "held": "waits for approval",
    "unknown": "may have landed or not",
    "not_equal": "differs from what was sent",
    "failed": "failed",
}


def zone_of(jobs: Iterable[JobRecord]) -> str:
    """Return the time zone of all jobs that have a schedule, or UTC if they differ."""
    zones = {job.time_zone for job in jobs if job.schedule}
    return zones.pop() if len(zones) == 1 else "UTC"


def local_time(moment: datetime, time_zone: str) -> str:
    """Return a moment as a clock in a time zone shows it, with the zone."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} {time_zone}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment is, in its largest unit: `3 h ago`."""
    seconds = max(0, int((now.astimezone(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length * (2 if unit == "d" else 1):
            return f"{seconds // length} {unit} ago"
    return "just now"
