"""Watching: report scheduled jobs that have not landed in time, and secrets that expire soon.

    for each job: when was it last due → has a run since then ended well → if not, write a line to the log

The status pages show the same, so the watch brings their record up to date and writes them. Alerts read these lines.
The watch is part of the sweep, because a missing sweep causes an alert of its own.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime

import msgspec

from common import bridge_yaml
from common.flows.notify import notify
from common.flows.status import catch_up, show
from common.platform.clock import Deadline, stamp
from common.platform.errors import as_bridge_error
from common.platform.log import log
from common.runs.instance import Instance
from common.status.record import JobRecord
from common.status.standing import overdue_since

NEAR_DAYS = 30
"How many days before its expiry a secret is reported: some people need weeks to get a new key."

_AT_MOST_S = 10.0
"It fits into the margin that every call keeps: deliveries may have used the rest of the time."


class SecretExpiry(msgspec.Struct, frozen=True):
    """The remaining lifetime of a secret."""

    secret: str
    expires: date
    "The first day on which it no longer works."
    days_left: int
    "Including today; 0 or less if it no longer works."


def watch(instance: Instance, bridge: bridge_yaml.Bridge) -> None:
    """Log which jobs are overdue and which secrets expire soon, and bring the status pages up to date. It raises
    nothing, because it follows other work.
    """
    for expiry in expiries(bridge.secrets, instance.clock.now().date()):
        if expiry.days_left <= NEAR_DAYS:
            _log_expiry(expiry)
    try:
        jobs = catch_up(instance, bridge, Deadline.after(instance.clock, _AT_MOST_S))
        for name, job in jobs.items():
            _log_overdue(name, job, instance.clock.now())
        show(instance, bridge, jobs)
        notify(instance, bridge, jobs, Deadline.after(instance.clock, _AT_MOST_S))
    except Exception as error:  # noqa: BLE001  # the deliveries that were landed are answered all the same
        failure = as_bridge_error(error)
        log.error("overdue check failed", code=failure.code, cause=failure.cause)


def expiries(secrets: Mapping[str, bridge_yaml.SecretSettings], today: date) -> Iterator[SecretExpiry]:
    """Yield the expiry of each secret that has one. Today is in UTC: Pigment does not say the zone of its days."""
    for name, care in secrets.items():
        yield SecretExpiry(name, care.expires, (care.expires - today).days)


def _log_expiry(expiry: SecretExpiry) -> None:
    write, day = log.warning if expiry.days_left > 0 else log.error, expiry.expires.isoformat()
    write("secret expires soon", secret=expiry.secret, expires=day, days_left=expiry.days_left)


def _log_overdue(name: str, job: JobRecord, now: datetime) -> None:
    due = overdue_since(job, now)
    if due is not None:
        last_good_at = job.landing.at if job.landing else None
        log.error("landing overdue", job=name, kind=job.kind, due_at=stamp(due), last_good_at=last_good_at)
