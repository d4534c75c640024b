"""What an assistant is told of jobs, runs and deliveries."""

import difflib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from common import bridge_yaml
from common.flows.status import catch_up, unread
from common.platform.clock import Deadline
from common.platform.errors import NoSuchJob
from common.runs import receipts
from common.runs.instance import Instance
from common.runs.receipts import Receipt, Rows
from common.storage.bucket import Bucket
from local import deliveries, explanations, open_runs, waiting
from local.deliveries import DeliverySummary
from local.status_table import StandingJob, standing_jobs

_MOST_DELIVERIES = 100
_AT_MOST_S = 120.0
"As long as `bridge status` takes at most."


class ToldJob(msgspec.Struct, frozen=True):
    name: str
    kind: str
    definition: dict[str, Any]
    "As bridge.yaml has it, with the defaults."


class ToldRun(msgspec.Struct, frozen=True):
    run: str
    job: str
    kind: str
    started_at: str
    outcome: str
    rows: Rows
    code: str | None
    why: str

    @classmethod
    def of(cls, receipt: Receipt, outcome: str, why: str) -> "ToldRun":
        code = receipt.error.code if receipt.error else None
        return cls(receipt.run, receipt.job, receipt.kind, receipt.started_at, outcome, receipt.rows, code, why)


class ToldDelivery(msgspec.Struct, frozen=True):
    """A webhook delivery that has not landed, without its content."""

    id: str
    state: str
    age_s: int
    size_bytes: int
    why: str
    next_step: str

    @classmethod
    def of(cls, summary: DeliverySummary, now: datetime) -> "ToldDelivery":
        details, received = summary.details, summary.received_at
        age_s = int((now - datetime.fromisoformat(received)).total_seconds()) if received else 0
        why = details.get("waits-because") or details.get("reason") or "It waits for its turn."
        next_step = details.get("next-step") or "`bridge deliver` imports what waits."
        return cls(summary.id, summary.state, age_s, summary.size_bytes, why, next_step)


class Advice(msgspec.Struct, frozen=True):
    """Something that a person should do, or decide not to do."""

    about: str
    why: str
    next_step: str


def jobs(bridge: bridge_yaml.Bridge) -> list[ToldJob]:
    return [ToldJob(job.name, job.kind, msgspec.to_builtins(job)) for job in bridge.jobs()]


def runs(bucket: Bucket, bridge: bridge_yaml.Bridge, job: str, last: int) -> list[ToldRun]:
    """Return the runs of a job, or of all: those that have not ended, then the newest. Raises NoSuchJob."""
    begun = list(open_runs.every(bucket, job))
    unsettled = {each.receipt.run for each in begun}
    ended = [each for each in receipts.newest(bucket, job, last) if each.run not in unsettled]
    if job and not (begun or ended):
        expect_job(bridge, job)
    told = [ToldRun.of(each.receipt, each.state, each.details) for each in begun]
    return [*told, *(ToldRun.of(each, each.outcome, _why(each)) for each in ended)][:last]


def expect_job(bridge: bridge_yaml.Bridge, name: str) -> None:
    """Raise NoSuchJob, with the nearest name, if bridge.yaml has no job of this name."""
    names = [job.name for job in bridge.jobs()]
    if name not in names:
        alike = difflib.get_close_matches(name, names, 1)
        hint = f"Did you mean {alike[0]}? " if alike else ""
        raise NoSuchJob(f"There is no job {name}.", next_step=f"{hint}The jobs are: {', '.join(names) or 'none'}.")


def not_landed(instance: Instance, relay: str) -> list[ToldDelivery]:
    """Return the deliveries that wait or are dead, of a relay or of all, oldest first, at most a hundred."""
    found = deliveries.summaries(instance.bucket, relay, ("waiting", "dead"), waiting.reasons(instance))
    return [ToldDelivery.of(each, instance.clock.now()) for each in found[:_MOST_DELIVERIES]]


def standing(instance: Instance, bridge: bridge_yaml.Bridge) -> tuple[list[StandingJob], list[str]]:
    """Return how each job stands: whether its numbers are up to date, and if not, why; and the jobs that could not be
    read.
    """
    known = catch_up(instance, bridge, Deadline.after(instance.clock, _AT_MOST_S))
    return standing_jobs({name: known[name] for name in sorted(known)}, instance.clock.now()), unread(bridge, known)


def advice(instance: Instance, bridge: bridge_yaml.Bridge) -> list[Advice]:
    """Return what a person should do next: about runs that have not ended, failed and late jobs, and deliveries."""
    jobs, not_read = standing(instance, bridge)
    late = [
        Advice(f"{each.name} is late", each.standing.reason, each.standing.next_step)
        for each in jobs
        if each.standing.name == "late"
    ]
    late += [Advice(f"{name} could not be read", "", "`bridge runs` says why.") for name in not_read]
    return [*_about_runs(instance.bucket, bridge), *late, *_about_deliveries(instance)]


def _about_runs(bucket: Bucket, bridge: bridge_yaml.Bridge) -> Iterator[Advice]:
    begun = [each for each in open_runs.every(bucket) if each.state != "running"]
    for each in begun:
        explained = explanations.of_run(bucket, each.receipt.run)
        yield Advice(f"run {explained.run} of {explained.job}, {explained.outcome}", each.details, explained.next_step)
    told = {each.receipt.run for each in begun}
    for job in bridge.jobs():
        for receipt in receipts.newest(bucket, job.name, 1):
            if receipt.error is not None and receipt.run not in told:
                explained = explanations.of_receipt(receipt)
                about = f"the last run of {job.name}, {receipt.run}, {receipt.outcome}"
                yield Advice(about, receipt.error.message, explained.next_step)


def _about_deliveries(instance: Instance) -> Iterator[Advice]:
    by_cause: dict[tuple[str, str, str, str], int] = {}
    for each in not_landed(instance, ""):
        cause = (each.id.partition("/")[0], each.state, each.why, each.next_step)
        by_cause[cause] = by_cause.get(cause, 0) + 1
    for (relay, state, why, next_step), count in by_cause.items():
        again = " Then `bridge deliveries replay --all` imports them." if state == "dead" else ""
        yield Advice(f"deliveries of {relay} that are {state}: {count}", why, f"{next_step}{again}")


def _why(receipt: Receipt) -> str:
    return receipt.error.message if receipt.error else "; ".join(receipt.warnings)
