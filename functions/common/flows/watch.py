"""What should have happened and has not: a scheduled job without a landing, a secret about to end.

since when each schedule is in force → when it last came round → whether a run since then ended well → if not, a line

Each look says what is so at the time, and alerts read the lines. It is part of the sweep: that is the one call whose
absence is an alert by itself, so that somebody watches the watch.
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import chain, islice

import msgspec

from common import bridge_yaml
from common.bridge_yaml.cron import last_due
from common.platform.clock import Deadline, stamp
from common.platform.errors import BridgeError, as_bridge_error
from common.platform.log import log
from common.runs import cursors, receipts
from common.runs.cursors import LastLanding
from common.runs.instance import Instance
from common.runs.receipts import Outcome, Receipt
from common.storage.store import Stale, Store

ENDED_WELL: frozenset[Outcome] = frozenset({"landed", "landed_with_skips", "nothing_new", "published"})
"A preview sends nothing, and what is still importing has not landed."
NEAR_DAYS = 30
"How long before its end a secret is spoken of: new keys take some people weeks to get."
SCHEDULES_PATH = "watch/schedules.json"

_GRACE = timedelta(hours=1)
"""Twice the half hour that Cloud Scheduler waits for a run at most: for one that is still under way when the schedule
comes round, and for the one after it."""
_SKEW = timedelta(minutes=1)
"By how much a run may seem to have begun before it was called."
_AT_MOST_S = 10.0
"Within what every call keeps back from its timeout: deliveries may have taken all the rest."
_FEW_RUNS = 20
_FEW_DAYS = 31
"How many receipts, and of how many days, are looked at for a run that had nothing to land."

Scheduled = bridge_yaml.Pull | bridge_yaml.Export


class Schedule(msgspec.Struct, frozen=True):
    """When a job runs, and since when that is known here."""

    schedule: str
    time_zone: str
    since: str


class Ending(msgspec.Struct, frozen=True):
    """How long a secret still works."""

    secret: str
    expires: date
    "The first day on which it does not."
    days_left: int
    "Today included; nothing is left at 0."


def watch(here: Instance, bridge: bridge_yaml.Bridge) -> None:
    """Say in the log which jobs are overdue and which secrets end. Raises nothing: it comes along with other work."""
    for ending in endings(bridge.secrets, here.clock.now().date()):
        if ending.days_left <= NEAR_DAYS:
            _tell_of(ending)
    try:
        _look_for_landings(here, bridge, Deadline.after(here.clock, _AT_MOST_S))
    except Exception as error:  # noqa: BLE001  # whatever it is, the deliveries that were made are answered
        _give_up(as_bridge_error(error))


def endings(secrets: Mapping[str, bridge_yaml.SecretCare], today: date) -> Iterator[Ending]:
    """For each secret of which an end is known.

    Args:
        today: in UTC; Pigment does not say by whose clocks its days end.
    """
    for name, care in secrets.items():
        yield Ending(name, care.expires, (care.expires - today).days)


def _tell_of(ending: Ending) -> None:
    say = log.warning if ending.days_left > 0 else log.error
    say(
        "secret expires soon",
        secret=ending.secret,
        expires=ending.expires.isoformat(),
        days_left=ending.days_left,
    )


def _look_for_landings(here: Instance, bridge: bridge_yaml.Bridge, deadline: Deadline) -> None:
    store, now = here.store, here.clock.now()
    jobs: list[Scheduled] = [job for job in bridge.pulls.values() if job.schedule]
    jobs += [job for job in bridge.exports.values() if job.schedule]
    schedules = _in_force(store, jobs, now)
    # In any order, so that where time is short no job is always the one left out.
    for place, job in enumerate(here.chance.sample(jobs, len(jobs))):
        if not deadline.allows(0):
            log.warning("overdue check incomplete", left=len(jobs) - place)
            return
        due = _due(schedules[job.name], now)
        if due is None:
            continue
        try:
            _look_for_landing(store, job, due, now)
        except BridgeError as error:
            _give_up(error, job=job.name)


def _give_up(error: BridgeError, **of: str) -> None:
    log.error("overdue check failed", code=error.code, cause=error.cause, **of)


def _in_force(store: Store, jobs: list[Scheduled], now: datetime) -> dict[str, Schedule]:
    """By job, the schedules of bridge.yaml: one that is new, or another than before, counts from now on.

    The bucket keeps them, since a receipt does not say by which schedule its run came, nor the lack of one since when
    there should be some.
    """
    stored = store.read_json(SCHEDULES_PATH, dict[str, Schedule])
    before = stored.value if stored else {}
    schedules = {job.name: _kept(before.get(job.name), job, now) for job in jobs}
    if schedules != before:
        # Killed before this, or overtaken by another sweep: the next one finds the same and notes it.
        with contextlib.suppress(Stale):
            store.write_json(SCHEDULES_PATH, schedules, over=stored.generation if stored else 0)
    return schedules


def _kept(before: Schedule | None, job: Scheduled, now: datetime) -> Schedule:
    fresh = Schedule(job.schedule or "", job.time_zone, stamp(now))
    if before is None or msgspec.structs.replace(before, since=fresh.since) != fresh:
        return fresh
    return before


def _due(schedule: Schedule, now: datetime) -> datetime | None:
    """Since when a run should have ended well; None where none should yet."""
    due = last_due(schedule.schedule, schedule.time_zone, now - _GRACE)
    return due if due is not None and due > datetime.fromisoformat(schedule.since) else None


def _look_for_landing(store: Store, job: Scheduled, due: datetime, now: datetime) -> None:
    landed = cursors.read(store, job.name)
    if any(receipt.outcome in ENDED_WELL for receipt in _receipts_since(store, job.name, landed, due - _SKEW, now)):
        return
    last_good_at = landed.landed_at if landed else None
    log.error("landing overdue", job=job.name, kind=job.kind, due_at=stamp(due), last_good_at=last_good_at)


def _receipts_since(
    store: Store, job: str, landed: LastLanding | None, begin: datetime, now: datetime
) -> Iterator[Receipt]:
    """Of runs that began since a moment.

    First the one that landed last, which is one read; then a few of all, for a run that had nothing to land moves no
    cursor.
    """
    latest = [landed.run] if landed and landed.run >= _first_run(begin) else []
    for run in chain(latest, islice(_runs_since(store, job, begin, now), _FEW_RUNS)):
        receipt = receipts.read(store, job, run)
        if receipt is not None:
            yield receipt


def _runs_since(store: Store, job: str, begin: datetime, now: datetime) -> Iterator[str]:
    """The first day first, on which the schedule called; of each day the newest first, which is the last try."""
    days = (now.date() - begin.date()).days
    for day in range(min(days, _FEW_DAYS) + 1):
        folder, _, _ = receipts.path_of(job, _first_run(begin + timedelta(day))).rpartition("/")
        runs_of_day = [name.rpartition("/")[2].removesuffix(".json") for name in store.names(f"{folder}/")]
        yield from (run for run in reversed(runs_of_day) if run >= _first_run(begin))


def _first_run(moment: datetime) -> str:
    """No run that began later has an id that sorts before this one."""
    return receipts.run_id(moment, 0)
