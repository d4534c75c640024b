"""The status pages: written after each run and by each sweep, from one record in the bucket.

    read the record → add what is known → write it over the generation that was read → write the pages made from it

A run adds its own receipts. The sweep adds those of runs that were killed before they came this far, and all that only
time changes. Two writers at the same moment both write: the second finds another generation and adds to that. A page
bears the generation of its record, so that a slower writer does not replace a newer page.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from common import bridge_yaml
from common.looker.calls import LookerCalls
from common.looker.licence import LicenceUse, limits_of, use_of_month
from common.platform import emulator
from common.platform.clock import Deadline, stamp
from common.platform.errors import BridgeError, StorageBusy, StorageRefused, as_bridge_error
from common.platform.log import log
from common.runs import cursors, receipts, usage
from common.runs.instance import Instance
from common.runs.receipts import Receipt
from common.status.page import index_page, job_page, shown_on_page
from common.status.record import MOST_RUNS, JobRecord, StatusRecord, Waiting, shown_jobs
from common.status.standing import overdue_since
from common.storage import claims, inbox, paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale

_PATIENCE_S = 5.0
"After that, a run answers without the page; the next sweep writes it."
_MOST_ATTEMPTS = 5
_LONGEST_RUN = timedelta(hours=2)
"A run that began so much earlier than another may have ended after it."
_MOST_READ = 60
"How many receipts of a job a sweep reads at most."
_GENERATION = "record"
"Metadata of a page: the generation of the record from which it was made."
_SHOWS = "shows"
"Metadata of the page of a job: a digest of what it shows, whenever it is written."
_MOST_PAGES = 60
"How many pages a sweep writes at most; the next one writes the others."

Merge = Callable[[StatusRecord], StatusRecord]


class _StatusPage(NamedTuple):
    shows: str
    "Empty for a page that is always written."
    render: Callable[[], str]


class BucketLinks:
    """The addresses of pages that a browser opens with a Google login.

    Links are absolute: Google redirects an authenticated download to an address of its own, from which a relative link
    leads nowhere (Cloud Storage documentation, "Authenticated browser downloads").
    """

    def __init__(self, bucket: str) -> None:
        self._base = f"https://storage.cloud.google.com/{bucket}/"

    def index(self) -> str:
        return self._base + paths.STATUS_PAGE

    def job(self, name: str) -> str:
        return self._base + paths.status_page(name)


class RelativeLinks:
    """The addresses of pages in the folder of a bridge on this machine."""

    def index(self) -> str:
        return "../index.html"

    def job(self, name: str) -> str:
        return f"jobs/{name}.html"


def note(instance: Instance, bridge: bridge_yaml.Bridge, ended: Sequence[Receipt]) -> None:
    """Show runs on the pages. It raises nothing, and soon gives up: the runs have ended and have their receipts."""
    shown = [each for each in ended if each.outcome != "previewed"]
    if shown:
        _note(instance, bridge, lambda record: record.with_receipts(shown), {each.job for each in shown})


def note_comparison(instance: Instance, bridge: bridge_yaml.Bridge, receipt: Receipt) -> None:
    """Show the verdict of a comparison that a person asked for, although the run has had one before. As `note`, it
    raises nothing.
    """
    _note(instance, bridge, lambda record: record.with_comparison(receipt), {receipt.job})


def _note(instance: Instance, bridge: bridge_yaml.Bridge, merge: Merge, jobs: set[str]) -> None:
    try:
        _update(instance, bridge, merge, jobs)
    except Exception as error:  # noqa: BLE001  # the outcome of the runs stays
        failure = as_bridge_error(error)
        log.warning("status page not written", code=failure.code, cause=failure.cause)


def catch_up(instance: Instance, bridge: bridge_yaml.Bridge, deadline: Deadline) -> dict[str, JobRecord]:
    """Return the jobs as their receipts, cursors and deliveries say now.

    A job that cannot be read is left out, and logged. So are jobs for which time is too short; the order is random, so
    that these are not always the same. Raises StorageBusy or StorageRefused if the record cannot be read.
    """
    known = _read(instance.bucket)[0].of(bridge).jobs
    is_first = not any(job.seen_at for job in known.values())
    jobs: dict[str, JobRecord] = {}
    for place, name in enumerate(instance.chance.sample(list(known), len(known))):
        if not deadline.allows(0):
            log.warning("overdue check incomplete", left=len(known) - place)
            break
        try:
            jobs[name] = _catch_up_job(instance, name, known[name], is_first=is_first)
        except BridgeError as error:
            log.error("overdue check failed", code=error.code, cause=error.cause, job=name)
    return jobs


def unread(bridge: bridge_yaml.Bridge, jobs: Mapping[str, JobRecord]) -> list[str]:
    """Return the jobs that `catch_up` left out."""
    return sorted({job.name for job in shown_jobs(bridge)} - jobs.keys())


def show(instance: Instance, bridge: bridge_yaml.Bridge, jobs: dict[str, JobRecord]) -> None:
    """Store what is known of jobs, and write the pages. Raises StorageBusy or StorageRefused."""
    used = licence_use(instance, bridge)

    def merge(record: StatusRecord) -> StatusRecord:
        return msgspec.structs.replace(record.with_jobs(jobs), licence=used)

    _update(instance, bridge, merge, {job.name for job in shown_jobs(bridge)})


def licence_use(instance: Instance, bridge: bridge_yaml.Bridge) -> LicenceUse | None:
    """Return this month of Looker's licence; None if bridge.yaml names none. Raises StorageBusy or StorageRefused."""
    if limits_of(bridge.looker) is None:
        return None
    now = instance.clock.now()
    used = usage.of_month(instance.bucket, usage.month_of(now)).values()
    return use_of_month(bridge, functools.reduce(LookerCalls.plus, used, LookerCalls()), now)


def _catch_up_job(instance: Instance, name: str, job: JobRecord, *, is_first: bool) -> JobRecord:
    """Return what is known of a job now.

    Args:
        is_first: whether no sweep has left a record, of any job.
    """
    bucket, now = instance.bucket, instance.clock.now()
    record = StatusRecord(jobs={name: job}).with_receipts(_new_receipts(bucket, name, job)).jobs[name]
    if not job.seen_at or overdue_since(record, now):
        record = record.with_cursor(cursors.read(bucket, name))
    if record.schedule and not record.since:
        # A new schedule applies from now on. If the whole record was lost, it is not new: a late job stays late.
        since = record.last_good_at if is_first else ""
        record = msgspec.structs.replace(record, since=since or stamp(now))
    waiting = _waiting(bucket, name) if record.kind == "relay" else None
    return msgspec.structs.replace(record, seen_at=stamp(now), waiting=waiting)


def _new_receipts(bucket: Bucket, name: str, job: JobRecord) -> list[Receipt]:
    """Return the receipts that the record does not have, or not in their last form."""
    if not job.seen_at:
        return receipts.newest(bucket, name, MOST_RUNS)
    final = {each.run for each in job.runs} - {*job.open_runs()}
    runs = [run for run in receipts.runs_since(bucket, name, _first_to_list(job)) if run not in final]
    stored = [receipts.read(bucket, name, run) for run in runs[-_MOST_READ:]]
    return [each for each in stored if each]


def _first_to_list(job: JobRecord) -> str:
    first = receipts.run_id(datetime.fromisoformat(job.seen_at) - _LONGEST_RUN, 0)
    return min((first, *job.open_runs()))


def _waiting(bucket: Bucket, relay: str) -> Waiting | None:
    waiting, _ = bucket.page(paths.deliveries("inbox", relay), inbox.MOST_COUNTED)
    arrivals = [claims.arrival_of(each.name.rpartition("/")[2]) for each in waiting]
    since = min(filter(None, arrivals), default=None)
    return Waiting(len(waiting), stamp(since)) if since else None


def _update(instance: Instance, bridge: bridge_yaml.Bridge, merge: Merge, names: set[str]) -> StatusRecord:
    """Change the record, write the page of all jobs and those of the named ones, and return the record."""
    bucket, now = instance.bucket.with_patience(_PATIENCE_S), instance.clock.now()
    for _ in range(_MOST_ATTEMPTS):
        stored, generation = _read(bucket)
        record = msgspec.structs.replace(merge(stored.of(bridge)), written_at=stamp(now))
        try:
            written = bucket.write_json(paths.STATUS_RECORD, record, over=generation)
        except Stale:
            continue
        # After a kill here the pages are those of an earlier record, until the next run or sweep.
        _publish(bucket, written, _pages(record, now, names & record.jobs.keys(), _links(bucket)))
        return record
    raise StorageBusy(f"Other writers changed {paths.STATUS_RECORD} {_MOST_ATTEMPTS} times.")


def _read(bucket: Bucket) -> tuple[StatusRecord, int]:
    """Return the record and its generation; an empty one in the place of one that cannot be read, which is replaced."""
    try:
        stored = bucket.read_json(paths.STATUS_RECORD, StatusRecord)
    except StorageRefused:
        there = bucket.find(paths.STATUS_RECORD)
        return StatusRecord(), there.generation if there else 0
    return (stored.value, stored.generation) if stored else (StatusRecord(), 0)


def _links(bucket: Bucket) -> BucketLinks | RelativeLinks:
    return RelativeLinks() if emulator.has_storage() else BucketLinks(bucket.name)


def _pages(
    record: StatusRecord, now: datetime, names: set[str], links: BucketLinks | RelativeLinks
) -> dict[str, _StatusPage]:
    def page_of(name: str) -> _StatusPage:
        job = record.jobs[name]
        return _StatusPage(shown_on_page(job, now), lambda: job_page(name, job, now, links))

    pages = {paths.status_page(name): page_of(name) for name in sorted(names)}
    pages[paths.STATUS_PAGE] = _StatusPage("", lambda: index_page(record, now, links))
    return pages


def _publish(bucket: Bucket, generation: int, pages: dict[str, _StatusPage]) -> None:
    for _ in range(_MOST_ATTEMPTS):
        there = {each.name: each for each in bucket.entries(paths.STATUS)}
        metadata = {path: each.metadata for path, each in there.items()}
        differ = [path for path, page in pages.items() if _differs(metadata.get(path, {}), page, generation)]
        try:
            for path in differ[-_MOST_PAGES:]:
                over = there[path].generation if path in there else 0
                described = {_GENERATION: str(generation), _SHOWS: pages[path].shows}
                bucket.put_page(path, pages[path].render().encode(), described, over=over)
        except Stale:
            continue
        return


def _differs(metadata: Mapping[str, str], page: _StatusPage, generation: int) -> bool:
    """Whether a page is to be written over one with this metadata: not over a newer one, nor over one that shows the
    same.
    """
    is_same = bool(page.shows) and metadata.get(_SHOWS) == page.shows
    return not is_same and int(metadata.get(_GENERATION, 0)) <= generation
