"""How all jobs stand, for a terminal and for a program."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from common.platform.errors import ErrorReport
from common.status.markup import LABELS
from common.status.record import JobRecord
from common.status.standing import Standing, ago, local_time, sentence_of, standing_of, zone_of
from local import next_steps


class StandingJob(msgspec.Struct, frozen=True):
    """A job and how it stands at one moment."""

    name: str
    job: JobRecord
    standing: Standing

    def to_builtins(self) -> dict[str, Any]:
        job, standing = self.job, self.standing
        return {
            "job": self.name,
            "kind": job.kind,
            "title": job.title,
            "fills": job.fills,
            "verdict": standing.name,
            "up_to_date": standing.is_up_to_date,
            "reason": standing.reason,
            "next_step": standing.next_step,
            "last_landing": msgspec.to_builtins(job.landing),
            "next_due": standing.due_at.isoformat() if standing.due_at else None,
            "waiting": msgspec.to_builtins(job.waiting),
        }


def standing_jobs(jobs: Mapping[str, JobRecord], now: datetime) -> list[StandingJob]:
    return [StandingJob(name, job, _fitted(standing_of(job, now))) for name, job in jobs.items()]


def _fitted(standing: Standing) -> Standing:
    """Return how a job stands with the next step for the person who started the command."""
    run = standing.run
    if run is None or not (run.code and standing.next_step):
        return standing
    report = ErrorReport(run.code, standing.reason, standing.next_step)
    return msgspec.structs.replace(standing, next_step=next_steps.of(report))


def sentence(jobs: list[StandingJob], now: datetime, unread: Sequence[str]) -> str:
    return sentence_of([(each.name, each.standing) for each in jobs], local_time(now, _zone(jobs)), unread)


def table(jobs: list[StandingJob], now: datetime) -> Table:
    """A table with a line for each job, and below it the reason where one is not up to date."""
    out = Table("job", "verdict", "last landing", "rows", "next due", box=None)
    out.columns[0].overflow = "fold"
    out.columns[3].justify = "right"
    zone = _zone(jobs)
    for each in jobs:
        landing, due = each.job.landing, each.standing.due_at
        landed = ago(datetime.fromisoformat(landing.at), now) if landing else "never"
        out.add_row(
            Text(each.name),
            Text(LABELS[each.standing.name], _style(each.standing)),
            landed,
            f"{landing.rows:,}" if landing else "",
            local_time(due, zone) if due else "on demand",
        )
    return out


def reasons(jobs: list[StandingJob]) -> list[str]:
    """Return a line for each job that has a reason: why it is not up to date, and what to do."""
    return [
        f"{each.name}: {each.standing.reason}" + (f"\n→ {each.standing.next_step}" if each.standing.next_step else "")
        for each in jobs
        if each.standing.reason
    ]


def _zone(jobs: Iterable[StandingJob]) -> str:
    return zone_of(each.job for each in jobs)


def _style(standing: Standing) -> str:
    if standing.is_up_to_date:
        return "green"
    return "red" if standing.needs_someone else "yellow"
