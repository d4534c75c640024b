"""The calls of Looker's API in a calendar month, by job.

The receipts have the same numbers, but a month can have tens of thousands of receipts, while the cost of reading this
is bounded by the number of jobs: the numbers are metadata of one object per job and month, and one listing shows up to
1,000 of them. A call of a function adds to its job's object once, so that jobs do not wait for each other.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from common.looker.calls import LookerCalls
from common.platform.clock import Deadline
from common.platform.errors import BridgeError
from common.platform.log import log
from common.runs.instance import Instance
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale

_CALLS = "calls"
_ATTEMPTS = 5
"Calls for one job are seldom made at the same time: a lease keeps most of them apart."


class UsedCalls(msgspec.Struct, frozen=True):
    """The content of an object."""

    calls: LookerCalls
    last_run: str
    "It tells this write from another one with the same numbers."


def record(instance: Instance, job: str, run: str, calls: LookerCalls, deadline: Deadline) -> None:
    """Add what one call of a function has used. It raises nothing: the run has ended, and its receipt has the numbers.

    After a kill before this, the month lacks these calls.
    """
    if calls == LookerCalls():
        return
    path = paths.usage(month_of(instance.clock.now()), job)
    try:
        if deadline.allows(0) and _add(instance.bucket, path, run, calls):
            return
        log.warning("calls not counted", job=job, cause="other calls of the job, or the end of the time budget")
    except BridgeError as error:
        log.warning("calls not counted", job=job, code=error.code, cause=error.cause)


def of_month(bucket: Bucket, month: str) -> Mapping[str, LookerCalls]:
    """Return what each job has used in a month. Raises StorageBusy or StorageRefused."""
    folder = paths.usage(month)
    return {each.name.removeprefix(folder): _calls_in(each.metadata) for each in bucket.entries(folder)}


def month_of(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m}"


def _add(bucket: Bucket, path: str, run: str, calls: LookerCalls) -> bool:
    for _ in range(_ATTEMPTS):
        before = bucket.find(path)
        total = calls.plus(_calls_in(before.metadata)) if before else calls
        metadata = {_CALLS: msgspec.json.encode(total).decode()}
        try:
            bucket.write_json(path, UsedCalls(total, run), over=before.generation if before else 0, metadata=metadata)
        except Stale:
            continue
        return True
    return False


def _calls_in(metadata: Mapping[str, str]) -> LookerCalls:
    try:
        return msgspec.json.decode(metadata[_CALLS], type=LookerCalls)
    except (KeyError, msgspec.DecodeError):
        return LookerCalls()
