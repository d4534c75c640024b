"""The inbox: webhook deliveries from their arrival until they have landed.

    seen/<relay>/<event>                 the name of the delivery with this webhook id, and a digest of its content
    seen/<relay>/plan-<plan>             the same of the latest delivery of a schedule that came without an id
    inbox/<relay>/<time>-<identity>      stored and not landed yet; names sort by time of arrival
    delivered/<relay>/<time>-<identity>  landed, or replaced by a newer one
    dead/<relay>/<time>-<identity>       refused permanently, with the reason in its metadata

A delivery is stored by two writes, each of which can be repeated: the mark in `seen/` that gives it its name (see
`common.storage.claims`), and the object with that name. After a kill between them, nothing was acknowledged; the next
attempt finds the mark but no object, and writes the object.

Rows that can be fetched only once are marked before they are fetched, so that a second call for a stored delivery does
not use a second address. After a kill while they arrive, there is no object and nothing was acknowledged: the rows are
still in Looker, and a person sends them again, as a new delivery.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

import msgspec

from common.storage import claims, paths
from common.storage.bucket import Bucket
from common.storage.claims import PLAN, REPLAY_OF, Arrival, Claim
from common.storage.client import answered_at
from common.storage.objects import Described, ListedObject, Stale

ROW_LIMIT = "row-limit"
WIDTH = "width"
WARNINGS = "warnings"
REPLAYED_AS = "replayed-as"
RESENT_BY = "resent-by"
"""Metadata of a delivery: of rows alone, limit and width of the query; what its receipt is to say; its last copy; the
run that sent its file again."""

MOST_COUNTED = 1000
"One call lists so many names."
_PAGE_SIZE = 100
_REPLAYS_SHOW_FOR = timedelta(hours=1)
_FIRST_STEP = timedelta(seconds=1)
_LEAST_STEP = timedelta(milliseconds=1)
_NEXT = timedelta(microseconds=1)


class WaitingDelivery(msgspec.Struct, frozen=True):
    relay: str
    name: str
    "Without the folder: `<time>-<identity>`."
    size_bytes: int
    metadata: dict[str, str]
    content_type: str
    "`application/json` for the body of a webhook, or `text/csv` for rows alone."

    @property
    def path(self) -> str:
        return paths.delivery("inbox", self.relay, self.name)


class StoredDelivery(msgspec.Struct, frozen=True):
    """What became of a delivery that arrived."""

    is_new: bool
    warning: str | None = None


class IncomingRows(Protocol):
    warnings: list[str]

    def blocks(self) -> Iterator[bytes]:
        """Yield CSV; raise an error if it is not complete."""


def put(bucket: Bucket, relay: str, arrival: Arrival, body: bytes, now: datetime) -> StoredDelivery:
    """Store a delivery, unless it is stored already. Raises StorageBusy or StorageRefused if it is not stored."""
    claim = (
        claims.claim_event(bucket, relay, arrival.event, arrival.content, now)
        if arrival.event
        else claims.claim_content(bucket, relay, arrival, now)
    )
    if claim is None:
        return StoredDelivery(is_new=False)
    metadata, path = _metadata(claim, arrival.plan), paths.delivery("inbox", relay, claim.mark.name)
    try:
        is_created = bucket.create(path, body, metadata, content_type="application/json")
    except Stale:
        # Another call stored the same rows at the same moment, in a body that differs in other bytes.
        return StoredDelivery(is_new=False)
    # Under a name of its own, an object that is there already is this call's, whose first answer was lost.
    return StoredDelivery(is_created or claim.is_first, claim.warning)


def put_rows(
    bucket: Bucket,
    relay: str,
    event: str,
    fetch: Callable[[], AbstractContextManager[IncomingRows]],
    now: datetime,
    *,
    plan: str = "",
    details: Mapping[str, str] = MappingProxyType({}),
) -> StoredDelivery:
    """Fetch rows and store them, unless the rows of this event are stored already.

    The event alone identifies them: their content is not known before they are fetched. Raises BridgeError if the rows
    are not complete, or are not stored.

    Args:
        details: more metadata.
    """
    claim = claims.claim_event(bucket, relay, event, None, now)
    if claim is None:
        return StoredDelivery(is_new=False)
    with fetch() as rows:
        warnings = {WARNINGS: " ".join(rows.warnings)} if rows.warnings else {}
        metadata = {**_metadata(claim, plan), **details, **warnings}
        path = paths.delivery("inbox", relay, claim.mark.name)
        with bucket.writing(path, metadata, content_type="text/csv") as file:
            for block in rows.blocks():
                file.write(block)
    return StoredDelivery(is_new=True)


def _metadata(claim: Claim, plan: str) -> dict[str, str]:
    warnings = {WARNINGS: claim.warning} if claim.warning else {}
    return {"received-at": claim.mark.received_at, PLAN: plan, **warnings}


def waiting(bucket: Bucket, relay: str) -> Iterator[WaitingDelivery]:
    """Yield the deliveries that have not landed yet, the oldest first."""
    return (_delivery(relay, entry) for entry in bucket.entries(paths.deliveries("inbox", relay)))


def next_of(bucket: Bucket, relays: Iterable[str]) -> list[WaitingDelivery]:
    """Return the oldest deliveries that some relays have in the inbox, in order. One call for each relay lists them."""
    pages = [_Page.read(bucket, relay) for relay in relays]
    # Beyond the end of a page that is not the last one, the next delivery may be one that is not listed yet.
    end = min((page.deliveries[-1].name for page in pages if not page.is_last), default=None)
    listed = sorted((each for page in pages for each in page.deliveries), key=lambda each: each.name)
    return [each for each in listed if end is None or each.name <= end]


def newest(bucket: Bucket, relay: str) -> WaitingDelivery | None:
    """Return the newest delivery of a relay that waits.

    Cloud Storage lists names in ascending order only. The time in a name is searched in growing, then shrinking steps,
    so that the number of calls hardly depends on the number of deliveries.
    """
    page, step = _Page.read(bucket, relay), _FIRST_STEP
    while not page.is_last:
        last = page.deliveries[-1].name
        arrived_at = claims.arrival_of(last)
        further = _Page.read(bucket, relay, since=claims.name_at(arrived_at + step, "")) if arrived_at else None
        if further and further.deliveries:
            page, step = further, step * 2
        elif arrived_at and step > _LEAST_STEP:
            step /= 4
        else:
            page = _Page.read(bucket, relay, since=last)
    return page.deliveries[-1] if page.deliveries else None


def count(bucket: Bucket, relays: Iterable[str]) -> int:
    """Return how many deliveries of some relays wait, or `MOST_COUNTED` if there are more."""
    total = 0
    for relay in relays:
        total += bucket.count(paths.deliveries("inbox", relay), MOST_COUNTED - total)
        if total >= MOST_COUNTED:
            break
    return total


def relays(bucket: Bucket) -> list[str]:
    """Return the relays that have a delivery in the inbox."""
    return [folder.split("/")[1] for folder in bucket.folders(paths.deliveries("inbox"))]


def oldest(bucket: Bucket) -> datetime | None:
    """Return when the oldest waiting delivery arrived; None if no delivery is waiting."""
    firsts = [_Page.read(bucket, relay, size=1).deliveries for relay in relays(bucket)]
    return min(filter(None, (claims.arrival_of(first.name) for (first,) in filter(None, firsts))), default=None)


class _Page(msgspec.Struct, frozen=True):
    deliveries: list[WaitingDelivery]
    is_last: bool

    @classmethod
    def read(cls, bucket: Bucket, relay: str, *, since: str = "", size: int = _PAGE_SIZE) -> "_Page":
        """Read one page of a relay's deliveries, from the first name that does not sort before `since`."""
        folder = paths.deliveries("inbox", relay)
        entries, is_last = bucket.page(folder, size, since=folder + since)
        return cls([_delivery(relay, entry) for entry in entries], is_last)


def _delivery(relay: str, entry: ListedObject) -> WaitingDelivery:
    name = entry.name.rpartition("/")[2]
    return WaitingDelivery(relay, name, entry.size_bytes, entry.metadata, entry.content_type)


def close(
    bucket: Bucket,
    relay: str,
    name: str,
    place: str,
    metadata: dict[str, str],
    listed: WaitingDelivery | None = None,
) -> None:
    """Move a delivery out of the inbox, with additional metadata. Repeated, it does what is left to do.

    Args:
        listed: the delivery as it was listed; nobody changes one that waits.
    """
    path = paths.delivery("inbox", relay, name)
    described = Described(listed.metadata, listed.content_type) if listed else None
    # After a kill between copy and deletion, the delivery is in both places; the next run closes it again.
    if bucket.copy_with(path, paths.delivery(place, relay, name), metadata, described):
        bucket.delete(path)


def closed_among(bucket: Bucket, listed: list[WaitingDelivery]) -> set[str] | None:
    """Return the names of those deliveries of one relay that have been closed, although they are still in the inbox.

    The delivered and the dead of the same time are listed. Returns None if that are too many for one call each.
    """
    if not listed:
        return set()
    names, found = {each.name for each in listed}, set[str]()
    for place in ("delivered", "dead"):
        folder = paths.deliveries(place, listed[0].relay)
        # No name goes on with this sign after the last one.
        first, end = folder + min(names), f"{folder}{max(names)}~"
        entries, is_last = bucket.page(folder, MOST_COUNTED, since=first, before=end)
        if not is_last:
            return None
        found |= {each.name.removeprefix(folder) for each in entries}
    return found & names


def is_closed(bucket: Bucket, relay: str, name: str) -> bool:
    """Whether a delivery that is still in the inbox has already been closed."""
    return claims.is_stored(bucket, relay, name, ("delivered", "dead"))


def replay(bucket: Bucket, place: str, relay: str, name: str, now: datetime, landed: str | None = None) -> str | None:
    """Copy a closed delivery into the inbox, to land it again; return its new name, or None if there is no delivery.

    Args:
        now: the time on this machine, of which only the fraction of a second counts.
        landed: the delivery that landed last.
    """
    # It gets a new name, because the name of a closed delivery counts as closed.
    again = claims.name_at(_after_all(bucket, relay, now, landed), name.rpartition("-")[2])
    closed = paths.delivery(place, relay, name)
    if place == "dead" and bucket.exists(closed):
        # After a kill between the two, there is no copy; the person sees no new id, and repeats the command.
        bucket.add_metadata(closed, {REPLAYED_AS: again})
    copied = {REPLAY_OF: name, REPLAYED_AS: ""}
    return again if bucket.copy_with(closed, paths.delivery("inbox", relay, again), copied) else None


def _after_all(bucket: Bucket, relay: str, now: datetime, landed: str | None) -> datetime:
    """Return a time after those in the names of a relay's deliveries, by the clock of Cloud Storage.

    With `keep: latest`, a name from a slow clock would count as replaced, and after one from a fast clock, those of the
    deliveries that follow.
    """
    waiting = newest(bucket, relay)
    times = [claims.arrival_of(name) for name in (waiting.name if waiting else None, landed) if name]
    stored_at = answered_at().replace(microsecond=now.microsecond)
    return max([stored_at, *(time + _NEXT for time in times if time)])


def to_replay(bucket: Bucket, relay: str = "") -> Iterator[ListedObject]:
    """Yield the dead deliveries that were not replayed, the oldest of each relay first."""
    return (entry for entry in every(bucket, "dead", relay) if not is_replayed(bucket, entry))


def note_resent(bucket: Bucket, relay: str, name: str, run: str) -> None:
    """Note that a run has sent the file of a dead delivery again."""
    dead = paths.delivery("dead", relay, name)
    if bucket.exists(dead):
        bucket.add_metadata(dead, {RESENT_BY: run})


def is_replayed(bucket: Bucket, dead: ListedObject) -> bool:
    """Whether a copy of a dead delivery waits, has landed or has died, or its file was sent again."""
    relay, again = dead.name.split("/")[1], dead.metadata.get(REPLAYED_AS)
    if dead.metadata.get(RESENT_BY):
        return True
    if not again:
        return False
    replayed_at = claims.arrival_of(again)
    # A copy that has landed is deleted one day. Until then, it shows whether a kill prevented the replay.
    is_old = replayed_at is not None and answered_at() - replayed_at > _REPLAYS_SHOW_FOR
    return is_old or claims.is_stored(bucket, relay, again)


def every(bucket: Bucket, place: str, relay: str = "") -> Iterator[ListedObject]:
    """Yield the deliveries of one place, the oldest of each relay first."""
    return bucket.entries(paths.deliveries(place, relay))
