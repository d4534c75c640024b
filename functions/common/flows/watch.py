"""Watching: report scheduled jobs that have not landed in time, and secrets that expire soon.

    for each job: when was it last due → has a run since then ended well → if not, write a line to the log

Alerts read these lines. The watch is part of the sweep, because a missing sweep causes an alert of its own.
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice

import msgspec

from common import bridge_yaml
from common.bridge_yaml.cron import last_due
from common.platform.clock import Deadline, stamp
from common.platform.errors import BridgeError, as_bridge_error
from common.platform.log import log
from common.runs import cursors, receipts
from common.runs.cursors import LastLanding
from common.runs.instance import Instance
from common.runs.receipts import Outcome
from common.storage import paths
from common.storage.bucket import Bucket, Stale

ENDED_WELL: frozenset[Outcome] = frozenset({"landed", "landed_with_skips", "nothing_new", "published"})
"Without previews, which send nothing, and without runs that are still importing."
NEAR_DAYS = 30
"How many days before its expiry a secret is reported: some people need weeks to get a new key."

_GRACE = timedelta(hours=1)
"""Twice the half hour that Cloud Scheduler waits for a run: one for a run that is in progress when the job is due,
and one for the run after it."""
_SKEW = timedelta(minutes=1)
"How much earlier than its call a run may seem to have begun."
_AT_MOST_S = 10.0
"It fits into the margin that every call keeps: deliveries may have used the rest of the time."
_FEW_RUNS = 20
_FEW_DAYS = 31
"How many receipts of how many days are read to find a run that had nothing to land."

WatchedJob = bridge_yaml.Pull | bridge_yaml.Export


class Schedule(msgspec.Struct, frozen=True):
    """The schedule of a job, and since when it applies."""

    schedule: str
    time_zone: str
    since: str


class SecretExpiry(msgspec.Struct, frozen=True):
    """The remaining lifetime of a secret."""

    secret: str
    expires: date
    "The first day on which it no longer works."
    days_left: int
    "Including today; 0 or less if it no longer works."


def watch(instance: Instance, bridge: bridge_yaml.Bridge) -> None:
    """Log which jobs are overdue and which secrets expire soon. It raises nothing, because it follows other work."""
    for expiry in expiries(bridge.secrets, instance.clock.now().date()):
        if expiry.days_left <= NEAR_DAYS:
            _log_expiry(expiry)
    try:
        _check_jobs(instance, bridge, Deadline.after(instance.clock, _AT_MOST_S))
    except Exception as error:  # noqa: BLE001  # the deliveries that were landed are answered all the same
        _log_failure(as_bridge_error(error))


def expiries(secrets: Mapping[str, bridge_yaml.SecretSettings], today: date) -> Iterator[SecretExpiry]:
    """Yield the expiry of each secret that has one. Today is in UTC: Pigment does not say the zone of its days."""
    for name, care in secrets.items():
        yield SecretExpiry(name, care.expires, (care.expires - today).days)


def _log_expiry(expiry: SecretExpiry) -> None:
    write, day = log.warning if expiry.days_left > 0 else log.error, expiry.expires.isoformat()
    write("secret expires soon", secret=expiry.secret, expires=day, days_left=expiry.days_left)


def _check_jobs(instance: Instance, bridge: bridge_yaml.Bridge, deadline: Deadline) -> None:
    bucket, now = instance.bucket, instance.clock.now()
    jobs: list[WatchedJob] = [job for job in bridge.pulls.values() if job.schedule]
    jobs += [job for job in bridge.exports.values() if job.schedule]
    schedules = _in_force(bucket, jobs, now)
    # In random order, so that it is not always the same job that is left out when time is short.
    for place, job in enumerate(instance.chance.sample(jobs, len(jobs))):
        if not deadline.allows(0):
            log.warning("overdue check incomplete", left=len(jobs) - place)
            return
        due = _due(schedules[job.name], now)
        if due is None:
            continue
        try:
            _check_job(bucket, job, due, now)
        except BridgeError as error:
            _log_failure(error, job=job.name)


def _log_failure(error: BridgeError, **fields: str) -> None:
    log.error("overdue check failed", code=error.code, cause=error.cause, **fields)


def _in_force(bucket: Bucket, jobs: list[WatchedJob], now: datetime) -> dict[str, Schedule]:
    """Return each job's schedule; a new or changed one applies from now on. The bucket stores since when a schedule
    applies, because receipts do not show it.
    """
    stored = bucket.read_json(paths.SCHEDULES, dict[str, Schedule])
    before = stored.value if stored else {}
    schedules = {job.name: _schedule_of(job, before.get(job.name), now) for job in jobs}
    if schedules != before:
        # After a kill before this line, or if another sweep was faster, the next sweep stores the same.
        with contextlib.suppress(Stale):
            bucket.write_json(paths.SCHEDULES, schedules, over=stored.generation if stored else 0)
    return schedules


def _schedule_of(job: WatchedJob, before: Schedule | None, now: datetime) -> Schedule:
    fresh = Schedule(job.schedule or "", job.time_zone, stamp(now))
    return before if before and msgspec.structs.replace(before, since=fresh.since) == fresh else fresh


def _due(schedule: Schedule, now: datetime) -> datetime | None:
    """Return the time after which a run should have ended well; None if the job was not due yet."""
    due = last_due(schedule.schedule, schedule.time_zone, now - _GRACE)
    return due if due is not None and due > datetime.fromisoformat(schedule.since) else None


def _check_job(bucket: Bucket, job: WatchedJob, due: datetime, now: datetime) -> None:
    landed = cursors.read(bucket, job.name)
    if any(outcome in ENDED_WELL for outcome in _outcomes_since(bucket, job.name, landed, due - _SKEW, now)):
        return
    last_good_at = landed.landed_at if landed else None
    log.error("landing overdue", job=job.name, kind=job.kind, due_at=stamp(due), last_good_at=last_good_at)


def _outcomes_since(
    bucket: Bucket, job: str, landed: LastLanding | None, begin: datetime, now: datetime
) -> Iterator[Outcome]:
    """Yield outcomes of runs since a moment: the last landing's, which costs one read, and then a few others, because a
    run that had nothing to land does not move the cursor.
    """
    if landed and landed.run >= _first_run(begin):
        receipt = receipts.read(bucket, job, landed.run)
        # The lifecycle of the bucket may have deleted the receipt of a job that seldom runs; the cursor says it landed.
        yield receipt.outcome if receipt else "landed"
    for run in islice(_runs_since(bucket, job, begin, now), _FEW_RUNS):
        receipt = receipts.read(bucket, job, run)
        if receipt is not None:
            yield receipt.outcome


def _runs_since(bucket: Bucket, job: str, begin: datetime, now: datetime) -> Iterator[str]:
    """Yield runs, beginning with the day on which the job was due; of each day, the newest run first."""
    days = (now.date() - begin.date()).days
    for day in range(min(days, _FEW_DAYS) + 1):
        folder, _, _ = paths.receipt(job, _first_run(begin + timedelta(day))).rpartition("/")
        runs_of_day = [name.rpartition("/")[2].removesuffix(".json") for name in bucket.names(f"{folder}/")]
        yield from (run for run in reversed(runs_of_day) if run >= _first_run(begin))


def _first_run(moment: datetime) -> str:
    """Return an id that sorts before the ids of all runs that began later."""
    return receipts.run_id(moment, 0)
