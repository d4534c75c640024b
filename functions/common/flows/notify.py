"""Notify: tell people when the state of a job changes, once for each change.

    what is told of each job → what stands now → note what is about to be told → send → note that it was told

A sweep does it, after everything else; no run waits for a message, and none fails by one. After a kill before the first
note, the next sweep tells; after one between the two notes, it tells a second time, and then no more.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import requests
from requests import exceptions
from urllib3.exceptions import LocationValueError, NewConnectionError

from common import bridge_yaml
from common.flows.status import BucketLinks
from common.notify.changes import ToldState, about_to_tell, event_to_tell, state_after, told
from common.notify.messages import JobNews, message
from common.platform import emulator
from common.platform.causes import cause_of
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, StorageBusy, StorageRefused, as_bridge_error
from common.platform.http import accepted, open_session
from common.platform.log import log
from common.runs.instance import Instance
from common.status.record import JobRecord
from common.status.standing import Standing, standing_of
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale

_TIMEOUT_S = 5.0
_LEGACY_FAILURES = ("webhook message delivery failed", "delivery failed")
'Microsoft\'s older connectors answer 200 with such a text (Create incoming webhooks, "Rate limiting").'
_BEFORE_A_CONNECTION = (
    exceptions.ConnectTimeout,
    exceptions.InvalidSchema,
    exceptions.InvalidURL,
    exceptions.MissingSchema,
    exceptions.ProxyError,
    exceptions.SSLError,
    LocationValueError,
)


class _Channel(NamedTuple):
    """Where messages go."""

    secret: str
    format: bridge_yaml.NotifyFormat


class _Undelivered(Exception):  # a signal within this module
    """The service did not accept the message."""

    def __init__(self, cause: str, *, is_certain: bool) -> None:
        super().__init__(cause)
        self.is_certain = is_certain
        "Whether nobody has seen the message."


def notify(instance: Instance, bridge: bridge_yaml.Bridge, jobs: Mapping[str, JobRecord], deadline: Deadline) -> None:
    """Tell of the jobs whose state changed since people were told last. It raises nothing: it follows other work.

    Args:
        jobs: as a sweep found them.
    """
    if not bridge.notify_secrets():
        return
    try:
        _notify(instance, bridge, jobs, deadline)
    except Exception as error:  # noqa: BLE001  # the sweep has done its work
        failure = as_bridge_error(error)
        log.error("notification not sent", code=failure.code, cause=failure.cause)


def _notify(instance: Instance, bridge: bridge_yaml.Bridge, jobs: Mapping[str, JobRecord], deadline: Deadline) -> None:
    states, wanted = _States(instance.bucket), dict(_settings(bridge))
    news: dict[_Channel, list[JobNews]] = defaultdict(list)
    for name, settings in wanted.items():
        if name not in jobs:
            continue
        standing = standing_of(jobs[name], instance.clock.now())
        before = states.of(name)
        event = event_to_tell(before, standing.name, settings.events)
        if event is None:
            states.note({name: state_after(before, standing.name, settings.events)})
        else:
            news[_Channel(settings.webhook, settings.format)].append(_news(name, jobs[name], standing, event))
    states.keep(set(wanted))
    # In random order, so that a service that takes all the time does not always keep the same others waiting.
    for channel in instance.chance.sample(list(news), len(news)):
        if not deadline.allows(_TIMEOUT_S):
            break
        _tell(instance, states, channel, news[channel], deadline)
    states.store()


def _tell(instance: Instance, states: "_States", channel: _Channel, news: list[JobNews], deadline: Deadline) -> None:
    """Send one message about several jobs, and note before and after it that they are told."""
    before = {each.job: states.of(each.job) for each in news}
    noted = {each.job: about_to_tell(before[each.job], each.event) for each in news}
    states.note(noted)
    states.store()
    try:
        _send(instance, channel, message(news, channel.format, _page(instance)), deadline)
    except _Undelivered as failure:
        instance.secrets.forget(channel.secret)  # a new address is read by the next sweep
        # If it is not certain, the note stays: the next sweep tells once more.
        if failure.is_certain:
            states.note(before)
        log.error("notification not sent", secret=channel.secret, jobs=[each.job for each in news], cause=str(failure))
    else:
        states.note({job: told(state) for job, state in noted.items()})
        log.info("notification sent", format=channel.format, jobs=[each.job for each in news])


def _send(instance: Instance, channel: _Channel, body: object, deadline: Deadline) -> None:
    """Post a message. Its address is a secret, so no cause shows it."""
    try:
        address = instance.secrets.read(channel.secret)
    except BridgeError as error:
        raise _Undelivered(error.cause, is_certain=True) from None
    timeout_s = min(_TIMEOUT_S, max(1.0, deadline.remaining_s()))
    try:
        with open_session() as session:
            answer = session.post(address.reveal(), json=body, timeout=timeout_s, allow_redirects=False)
    except (requests.RequestException, LocationValueError) as error:
        cause = f"It could not be reached, or did not answer: {cause_of(error)}."
        raise _Undelivered(cause, is_certain=_was_never_connected(error)) from None
    # At its beginning: other services answer with the message, which may name a job so.
    if not accepted(answer) or answer.text.strip().lower().startswith(_LEGACY_FAILURES):
        # A gateway that gives up does not know whether the service behind it has the message.
        is_certain = answer.status_code not in (requests.codes.bad_gateway, requests.codes.gateway_timeout)
        raise _Undelivered(f"It answered {answer.status_code}.", is_certain=is_certain)


def _was_never_connected(error: Exception) -> bool:
    """Whether a message cannot have been sent: its address is none, or no connection with its service was made."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, _BEFORE_A_CONNECTION) or isinstance(reason, NewConnectionError)


class _States:
    """What people were told of each job, as the bucket has it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._states, self._generation = _read(bucket)
        self._stored = dict(self._states)

    def of(self, job: str) -> ToldState:
        return self._states.get(job, ToldState())

    def note(self, states: Mapping[str, ToldState]) -> None:
        self._states |= states

    def keep(self, jobs: set[str]) -> None:
        """Forget the jobs that bridge.yaml no longer has."""
        self._states = {job: state for job, state in self._states.items() if job in jobs}

    def store(self) -> None:
        """Write the states if they changed. Raises StorageBusy if another sweep did, which then tells."""
        if self._states == self._stored:
            return
        try:
            self._generation = self._bucket.write_json(paths.TOLD, self._states, over=self._generation)
        except Stale:
            raise StorageBusy(f"Another sweep changed {paths.TOLD}.") from None
        self._stored = dict(self._states)


def _read(bucket: Bucket) -> tuple[dict[str, ToldState], int]:
    """Return the states and their generation; none in the place of an object that cannot be read, which is replaced:
    people are rather told once more than never again.
    """
    try:
        stored = bucket.read_json(paths.TOLD, dict[str, ToldState])
    except StorageRefused:
        there = bucket.find(paths.TOLD)
        return {}, there.generation if there else 0
    return (dict(stored.value), stored.generation) if stored else ({}, 0)


def _settings(bridge: bridge_yaml.Bridge) -> Iterator[tuple[str, bridge_yaml.Notify]]:
    """Yield the jobs of which people want to be told, and how."""
    for job in bridge.jobs():
        settings = None if isinstance(job, bridge_yaml.Signal) else job.notify or bridge.notify
        if settings is not None:
            yield job.name, settings


def _news(name: str, job: JobRecord, standing: Standing, event: bridge_yaml.NotifyEvent) -> JobNews:
    run = standing.run
    return JobNews(
        job=name,
        event=event,
        kind=job.kind,
        title=job.title,
        reason=standing.reason,
        next_step=standing.next_step,
        run=run.run if run else "",
        rows_read=run.read if run else None,
        rows_landed=run.landed if run else None,
        rows_skipped=run.skipped if run else 0,
        last_landing_at=job.landing.at if job.landing else "",
    )


def _page(instance: Instance) -> str:
    return "" if emulator.has_storage() else BucketLinks(instance.bucket.name).index()
