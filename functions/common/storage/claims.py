"""The name under which a delivery is stored: the same delivery gets the same name, by a mark in `seen/`.

With Looker's id of the event, the same content is the same delivery, whatever became of it: an event comes twice only
after a lost answer. Other content under the same id is a delivery of its own, with a warning.

Without an id, equal content is the same delivery for an hour, and only while that one is the latest of its schedule and
waits or has landed. What is dead or was replaced does not count, nor does a signal whose pull has begun.
"""

import contextlib
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from common.platform.clock import stamp
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale

_SAME_CONTENT_FOR = timedelta(hours=1)
"For how long equal content without an id is the same delivery: a schedule may send it again later."

PLACES = ("inbox", "delivered", "dead")
REPLACED = "replaced"
"The outcome of a delivery that did not land, because a newer one was to land in its place."

PLAN = "plan"
REPLAY_OF = "replay-of"
"Metadata of a delivery: a digest of its schedule; the delivery of which it is a copy."

_NO_PLAN = "any"
"In place of the digest of a schedule: all signals of a relay start the same pull."

_ID_USED_AGAIN = "An earlier delivery with other content had the same webhook id. Both were stored."

_ARRIVAL = "%Y%m%dT%H%M%S%f"
"The beginning of a name, in UTC: names sort by time."


class Arrival(msgspec.Struct, frozen=True):
    """What identifies a webhook delivery."""

    content: str
    "A digest of the schedule and the rows; of a signal, of the body."
    plan: str
    "A digest of the schedule."
    event: str | None
    "A digest of Looker's id of the event, if it sent one."
    is_signal: bool = False

    @classmethod
    def of_signal(cls, content: str, event: str | None) -> "Arrival":
        return cls(content, _NO_PLAN, event, is_signal=True)


class DeliveryMark(msgspec.Struct, frozen=True):
    name: str
    received_at: str
    by_id: bool
    "Whether it marks an event, and not the latest delivery of a schedule."
    content: str | None = None
    "None if the content was not known, and in marks of earlier versions."
    call: str | None = None
    "Of the call that made the mark: two calls at the same moment make different marks."


class Claim(msgspec.Struct, frozen=True):
    """The right to store a delivery under the name of its mark."""

    mark: DeliveryMark
    is_first: bool
    "Whether this call made the mark; if not, an earlier call was killed, or another one is storing the delivery."
    warning: str | None = None


def name_at(moment: datetime, identity: str) -> str:
    return f"{moment:{_ARRIVAL}}-{identity}"


def arrival_of(name: str) -> datetime | None:
    """Return the time in the name of a delivery; None for an object that the bridge did not write."""
    try:
        return datetime.strptime(name.partition("-")[0], _ARRIVAL).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_of_signal(metadata: Mapping[str, str]) -> bool:
    """Whether a delivery arrived as a signal, by its metadata."""
    return metadata.get(PLAN) == _NO_PLAN


def is_stored(bucket: Bucket, relay: str, name: str, places: Iterable[str] = PLACES) -> bool:
    """Whether a delivery is in one of these places."""
    return any(bucket.exists(paths.delivery(place, relay, name)) for place in places)


def claim_event(bucket: Bucket, relay: str, event: str, content: str | None, now: datetime) -> Claim | None:
    """Return the name for the delivery of an event; None if it is stored already.

    Args:
        content: None if it is not known: then the event alone identifies the delivery.
    """
    first = _mark_event(bucket, relay, event, content, now)
    if content is None or first.mark.content in (None, content):
        return _unless_stored(bucket, relay, first)
    own = _mark_event(bucket, relay, hashlib.sha256(f"{event} {content}".encode()).hexdigest()[:32], content, now)
    return _unless_stored(bucket, relay, msgspec.structs.replace(own, warning=_ID_USED_AGAIN))


def claim_content(bucket: Bucket, relay: str, arrival: Arrival, now: datetime) -> Claim | None:
    """Return the name for a delivery without an id; None if the latest of its schedule is the same delivery."""
    path = paths.latest(relay, arrival.plan)
    while True:
        stored = bucket.read_json(path, DeliveryMark)
        latest = stored.value if stored else _earlier_mark(bucket, relay, arrival)
        if latest and latest.content == arrival.content and _age(latest, now) <= _SAME_CONTENT_FOR:
            counts = _counts(bucket, relay, latest.name, arrival)
            if counts is None:
                return Claim(latest, is_first=False)
            if counts and _is_latest(bucket, relay, latest.name, arrival.plan):
                return None
        mark = _mark_after(latest, arrival.content, now)
        try:
            bucket.write_json(path, mark, over=stored.generation if stored else 0)
        except Stale:
            continue
        return Claim(mark, is_first=True)


def forget_signals(bucket: Bucket, relay: str) -> None:
    """Let the next signal count, whatever it contains: a pull begins, which may not read what that one announces."""
    path = paths.latest(relay, _NO_PLAN)
    while (stored := bucket.read_json(path, DeliveryMark)) is not None and stored.value.content:
        with contextlib.suppress(Stale):
            bucket.write_json(path, msgspec.structs.replace(stored.value, content=None), over=stored.generation)


def _mark_event(bucket: Bucket, relay: str, event: str, content: str | None, now: datetime) -> Claim:
    mark = DeliveryMark(name_at(now, event), stamp(now), by_id=True, content=content, call=uuid.uuid4().hex)
    there = bucket.write_json_unless(paths.seen(relay, event), mark, lambda _: True)
    return Claim(there, is_first=there is mark)


def _unless_stored(bucket: Bucket, relay: str, claim: Claim) -> Claim | None:
    return None if not claim.is_first and is_stored(bucket, relay, claim.mark.name) else claim


def _mark_after(latest: DeliveryMark | None, content: str, now: datetime) -> DeliveryMark:
    """Return a mark whose name sorts after the latest, even if another instance's clock is ahead."""
    before = arrival_of(latest.name) if latest else None
    moment = max(now, before + timedelta(microseconds=1)) if before else now
    return DeliveryMark(name_at(moment, content), stamp(now), by_id=False, content=content, call=uuid.uuid4().hex)


def _earlier_mark(bucket: Bucket, relay: str, arrival: Arrival) -> DeliveryMark | None:
    """Return the mark of this content as earlier versions wrote it: one for each content."""
    stored = bucket.read_json(paths.seen(relay, arrival.content), DeliveryMark)
    return msgspec.structs.replace(stored.value, content=arrival.content) if stored else None


def _age(mark: DeliveryMark, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(mark.received_at)


def _counts(bucket: Bucket, relay: str, name: str, arrival: Arrival) -> bool | None:
    """Whether a delivery waits or has landed; None if it is not stored, after a kill or by a call under way."""
    # In the order in which a delivery moves, so that it is found at least once.
    found = {place: bucket.find(paths.delivery(place, relay, name)) for place in PLACES}
    if not any(found.values()):
        return None
    delivered = found["delivered"]
    has_landed = delivered is not None and not arrival.is_signal and delivered.metadata.get("outcome") != REPLACED
    return found["dead"] is None and (has_landed or delivered is None)


def _is_latest(bucket: Bucket, relay: str, name: str, plan: str) -> bool:
    """Whether no delivery of the same schedule came later with an id: it does not change the mark of the schedule."""
    moment = name.partition("-")[0]
    return not any(
        entry.metadata.get(PLAN) == plan and REPLAY_OF not in entry.metadata and not entry.name.endswith(name)
        for place in PLACES
        for entry in bucket.entries(paths.deliveries(place, relay), since=paths.delivery(place, relay, moment))
    )
