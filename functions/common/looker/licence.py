"""The calls of Looker's API that a licence holds in a month, and what the schedules of bridge.yaml need of them.

A forecast counts what a run of each kind needs when all goes well. Not in it: what is started by hand, by a delivery or
for a range again, what is repeated while Looker is busy, pages after the first 1,000 rows of a list, and the first
load of many windows. The receipts have what was really used (`common.looker.calls`).
"""

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from common import bridge_yaml
from common.bridge_yaml.cron import count_due
from common.bridge_yaml.model import CallLimits
from common.bridge_yaml.rules import RuleFinding
from common.looker.calls import LookerCalls

LIMITS: Mapping[str, CallLimits] = {
    "standard": CallLimits(query=1_000, administrative=1_000),
    "enterprise": CallLimits(query=100_000, administrative=10_000),
    "embed": CallLimits(query=500_000, administrative=100_000),
}
"Of Looker (Google Cloud core): https://cloud.google.com/looker/pricing and Looker's licensing terms, as of 2026-11."

CountedKind = Literal["query", "administrative"]
COUNTED: tuple[tuple[CountedKind, str], ...] = (("query", "query-based"), ("administrative", "administrative"))
"The kinds that licences count, and their names."

_MONTHS_AHEAD = 12
_MOST_JOBS_TOLD = 5


class JobCalls(Struct, frozen=True):
    """What the scheduled runs of a pull need in a span of time."""

    job: str
    runs: int
    of_run: LookerCalls
    windows: int
    "How many more windows than runs a load in windows has, each of which is one query."

    @property
    def calls(self) -> LookerCalls:
        return self.of_run.times(self.runs).plus(LookerCalls(query=self.windows))

    def arithmetic(self, kind: CountedKind) -> str:
        more = f" + {self.windows:,}" if self.windows and kind == "query" else ""
        return f"{self.job} {self.runs:,} × {getattr(self.of_run, kind)}{more} = {getattr(self.calls, kind):,}"


class LicenceUse(Struct, frozen=True):
    """A calendar month of the licence."""

    month: str
    "Such as 2026-11, in UTC."
    limits: CallLimits
    used: LookerCalls
    "In this month until now."
    coming: LookerCalls
    "By schedule, from now to the end of the month."

    @property
    def forecast(self) -> LookerCalls:
        """What the month will have used at its end."""
        return self.used.plus(self.coming)

    @property
    def left(self) -> CallLimits:
        """What is left now; 0 if it is used up."""
        left = {kind: max(0, getattr(self.limits, kind) - getattr(self.used, kind)) for kind, _ in COUNTED}
        return CallLimits(**left)

    @property
    def is_exceeded(self) -> bool:
        """Whether the month will need more than the licence holds."""
        return any(getattr(self.forecast, kind) > getattr(self.limits, kind) for kind, _ in COUNTED)

    def in_words(self) -> str:
        """Say what is used, forecast and left of each kind of calls."""
        told = [
            f"{getattr(self.used, kind):,} of {getattr(self.limits, kind):,} {name} calls used, "
            f"{getattr(self.forecast, kind):,} by the end of the month, {getattr(self.left, kind):,} left"
            for kind, name in COUNTED
        ]
        beyond = " That is more than the licence holds." if self.is_exceeded else ""
        return f"Looker's licence in {self.month}: {'; '.join(told)}.{beyond}"


class LicenceMonth(Struct, frozen=True):
    """The forecast of a whole month."""

    begin: dt.datetime
    jobs: tuple[JobCalls, ...]

    def needs(self, kind: CountedKind) -> int:
        return sum(getattr(job.calls, kind) for job in self.jobs)


def limits_of(looker: bridge_yaml.LookerSettings) -> CallLimits | None:
    """Return what the licence holds; None if bridge.yaml does not say it."""
    return LIMITS[looker.licence] if looker.licence else looker.calls_per_month


def use_of_month(bridge: bridge_yaml.Bridge, used: LookerCalls, now: dt.datetime) -> LicenceUse | None:
    """Return used, forecast and left of the month of `now`, in UTC; None if bridge.yaml names no licence.

    Args:
        used: what all jobs have used in this month (`common.runs.usage`).
    """
    limits = limits_of(bridge.looker)
    if limits is None:
        return None
    coming = LookerCalls()
    for job in forecast(bridge, now, _next_month(now)):
        coming = coming.plus(job.calls)
    return LicenceUse(f"{now.astimezone(dt.UTC):%Y-%m}", limits, used, coming)


def busiest_month(bridge: bridge_yaml.Bridge, kind: CountedKind, today: dt.date) -> LicenceMonth:
    """Return the month that needs most calls of a kind, of twelve that begin with the current one."""
    begin = dt.datetime(today.year, today.month, 1, tzinfo=dt.UTC)
    months = []
    for _ in range(_MONTHS_AHEAD):
        end = _next_month(begin)
        months.append(LicenceMonth(begin, tuple(forecast(bridge, begin, end))))
        begin = end
    return max(months, key=lambda month: month.needs(kind))


def faults(bridge: bridge_yaml.Bridge, today: dt.date) -> Iterator[RuleFinding]:
    """Find what the schedules need beyond the licence. A running bridge does not ask: it would stop for it."""
    limits, key = limits_of(bridge.looker), "licence" if bridge.looker.licence else "calls_per_month"
    for kind, name in COUNTED if limits else ():
        month = busiest_month(bridge, kind, today)
        limit, needed = getattr(limits, kind), month.needs(kind)
        if needed > limit:
            needs = f"the schedules of pulls need {needed:,} in {month.begin:%B %Y}: {_told(month.jobs, kind)}"
            yield RuleFinding(
                f"looker.{key}",
                f"holds {limit:,} {name} calls a month, and {needs}",
                "schedules with fewer runs, or the calls in your contract as looker.calls_per_month",
            )


def forecast(bridge: bridge_yaml.Bridge, begin: dt.datetime, end: dt.datetime) -> Iterator[JobCalls]:
    """Yield what the runs of each scheduled pull need from `begin` until before `end`."""
    for pull in bridge.pulls.values():
        if pull.schedule is None:
            continue
        runs = count_due(pull.schedule, pull.time_zone, begin, end)
        yield JobCalls(pull.name, runs, calls_of_run(pull), _more_windows(pull.load, runs, (end - begin).days))


def calls_of_run(pull: bridge_yaml.Pull) -> LookerCalls:
    """Return what a run needs that reads everything at once, or one window of a load that is up to date."""
    login_and_logout = LookerCalls(uncounted=2)
    load = pull.load
    greatest = isinstance(load, bridge_yaml.Incremental) and isinstance(load.start, int)
    return login_and_logout.plus(_calls_of_source(pull.source)).plus(LookerCalls(query=int(greatest)))


def _calls_of_source(source: bridge_yaml.Source) -> LookerCalls:
    match source:
        case bridge_yaml.LookSource():
            return LookerCalls(query=1, administrative=1)
        case bridge_yaml.QuerySource():
            return LookerCalls(query=2)
        case bridge_yaml.ExploreSource():
            return LookerCalls(query=1)
        case bridge_yaml.ResourceSource(resource="queries"):
            return LookerCalls(query=1, administrative=1)
        case bridge_yaml.ResourceSource():
            return LookerCalls(administrative=1)


def _more_windows(load: bridge_yaml.Load, runs: int, days: int) -> int:
    """Return how many windows a load has beyond one for each run: a run reads one more for each end of a window
    between it and the run before, and goes back by the overlap. Those of numbers are not known.
    """
    if not isinstance(load, bridge_yaml.Incremental) or load.window.unit == "number" or not runs:
        return 0
    back_days = load.overlap.days if load.overlap else 0
    return math.ceil(days / load.window.days) + runs * math.floor(back_days / load.window.days)


def _next_month(moment: dt.datetime) -> dt.datetime:
    """Return the beginning of the following month, in UTC."""
    utc = moment.astimezone(dt.UTC)
    return dt.datetime(utc.year + utc.month // 12, utc.month % 12 + 1, 1, tzinfo=dt.UTC)


def _told(jobs: tuple[JobCalls, ...], kind: CountedKind) -> str:
    """Name the jobs that need most, each with its runs and the calls of one."""
    needing = sorted((job for job in jobs if getattr(job.calls, kind)), key=lambda job: -getattr(job.calls, kind))
    told = [job.arithmetic(kind) for job in needing[:_MOST_JOBS_TOLD]]
    others = needing[_MOST_JOBS_TOLD:]
    rest = [f"{len(others)} more {sum(getattr(job.calls, kind) for job in others):,}"] if others else []
    return ", ".join([*told, *rest])
