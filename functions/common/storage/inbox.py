"""Webhook deliveries between the moment they are safe and the moment they have landed.

    seen/<relay>/<identity>              which name a delivery got: the same delivery gets the same name
    inbox/<relay>/<time>-<identity>      safe and not landed yet; names sort by time of arrival
    delivered/<relay>/<time>-<identity>  landed, or replaced by a newer one
    dead/<relay>/<time>-<identity>       refused for good, with the reason in its metadata

A delivery is put into the inbox in two writes, either of which may be repeated: the mark that ties its identity to a
name, and the object of that name. Killed between them, nothing was acknowledged; the next attempt finds the mark, sees
that no object bears the name, and writes it.

Rows that can be fetched only once are marked before they are fetched, so that a second call for a delivery that is safe
does not spend a second address. Killed while they arrive, no object comes into being and nothing was acknowledged: the
rows are still in Looker, and a person sends them again, which makes a delivery of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from common.platform.clock import stamp
from common.storage.store import ListedObject, Stale, Store

_SAME_CONTENT_FOR = timedelta(hours=1)
"How long equal content without a webhook id counts as the same delivery: a schedule may rightly send it again later."

PLACES = ("inbox", "delivered", "dead")

_ARRIVAL = "%Y%m%dT%H%M%S%f"
"How a name begins, in UTC: names sort by time."


class Mark(msgspec.Struct, frozen=True):
    """Which name a delivery got, and when."""

    name: str
    received_at: str
    by_id: bool
    "Whether Looker named the event, or its content has to."


class Waiting(msgspec.Struct, frozen=True):
    """A delivery in the inbox."""

    relay: str
    name: str
    "Without the folder: `<time>-<identity>`."
    size_bytes: int
    metadata: dict[str, str]
    content_type: str
    "`application/json` as Looker's webhooks post it, or `text/csv`: rows and nothing else."

    @property
    def path(self) -> str:
        return path_of("inbox", self.relay, self.name)


class Arriving(Protocol):
    """Rows on their way."""

    warnings: list[str]

    def blocks(self) -> Iterator[bytes]:
        """CSV; an error where it is not whole."""
        ...


def path_of(place: str, relay: str, name: str) -> str:
    return f"{place}/{relay}/{name}"


def put(store: Store, relay: str, identity: str, body: bytes, now: datetime, *, by_id: bool) -> bool:
    """Make a delivery durable; whether it is a new one.

    Args:
        identity: what tells it from others: a digest of the webhook's id, or of plan and content.

    Raises:
        StorageBusy, StorageRefused: it is not durable.
    """
    mark = _claim(store, relay, identity, now, by_id=by_id)
    if mark is None:
        return False
    metadata = {"received-at": mark.received_at}
    try:
        return store.create(path_of("inbox", relay, mark.name), body, metadata, content_type="application/json")
    except Stale:
        # The same event at the same moment, in other bytes: whichever was first is kept.
        return False


def put_rows(
    store: Store, relay: str, identity: str, fetch: Callable[[], AbstractContextManager[Arriving]], now: datetime
) -> bool:
    """Make rows durable while they arrive, whole or not at all; whether they are new. Fetches only what is new.

    Args:
        identity: of the event, since the content is not known before it is fetched.

    Raises:
        BridgeError: they did not come whole, or are not durable.
    """
    mark = _claim(store, relay, identity, now, by_id=True)
    if mark is None:
        return False
    with fetch() as rows:
        metadata = {"received-at": mark.received_at} | ({"warnings": " ".join(rows.warnings)} if rows.warnings else {})
        with store.writing(path_of("inbox", relay, mark.name), metadata, content_type="text/csv") as file:
            for block in rows.blocks():
                file.write(block)
    return True


def _claim(store: Store, relay: str, identity: str, now: datetime, *, by_id: bool) -> Mark | None:
    """The name under which a delivery is to be kept; None where it lies under it already."""
    mark = Mark(f"{now:{_ARRIVAL}}-{identity}", stamp(now), by_id)
    earlier = _mark(store, f"seen/{relay}/{identity}", mark)
    if earlier and any(store.exists(path_of(place, relay, earlier.name)) for place in PLACES):
        return None
    return earlier or mark


def _mark(store: Store, path: str, mark: Mark) -> Mark | None:
    """Mark a delivery's identity as seen; the earlier mark, where there is one that still holds."""
    over = 0
    while True:
        try:
            store.write_json(path, mark, over=over)
        except Stale:
            there = store.read_json(path, Mark)
            if there is not None and _holds(there.value, mark):
                return there.value
            over = there.generation if there else 0
        else:
            return None


def _holds(earlier: Mark, mark: Mark) -> bool:
    age = datetime.fromisoformat(mark.received_at) - datetime.fromisoformat(earlier.received_at)
    return earlier.by_id or age <= _SAME_CONTENT_FOR


def waiting(store: Store, relay: str) -> Iterator[Waiting]:
    """What has not landed yet, oldest first."""
    for entry in store.entries(f"inbox/{relay}/"):
        name = entry.name.rpartition("/")[2]
        yield Waiting(relay, name, entry.size_bytes, entry.metadata, entry.content_type)


def relays(store: Store) -> Iterator[str]:
    """The relay of each delivery that waits."""
    for name in store.names("inbox/"):
        yield name.split("/")[1]


def oldest(store: Store) -> datetime | None:
    """When the delivery arrived that has waited longest; None where none waits."""
    return min(filter(None, map(_arrival, store.names("inbox/"))), default=None)


def _arrival(path: str) -> datetime | None:
    """None for what somebody else put into the inbox."""
    try:
        return datetime.strptime(path.rpartition("/")[2].partition("-")[0], _ARRIVAL).replace(tzinfo=UTC)
    except ValueError:
        return None


def close(store: Store, relay: str, name: str, place: str, metadata: dict[str, str]) -> None:
    """Take a delivery out of the inbox, its end in its metadata. Repeated, it does what is left to do."""
    path = path_of("inbox", relay, name)
    # Killed after the copy: the delivery lies in both places, and whoever finds it in the inbox closes it again.
    if store.copy_with(path, path_of(place, relay, name), metadata):
        store.delete(path)


def closed(store: Store, relay: str, name: str) -> bool:
    """Whether a delivery that lies in the inbox has in truth come to its end already."""
    return any(store.exists(path_of(place, relay, name)) for place in ("delivered", "dead"))


def replay(store: Store, place: str, relay: str, name: str, now: datetime) -> str | None:
    """Put a delivery that has come to its end into the inbox again, to land once more; its new name.

    Returns:
        None where there is no such delivery.
    """
    again = f"{now:{_ARRIVAL}}-{name.rpartition('-')[2]}"
    # A name of its own: the end of the first time must not count as the end of the second.
    copied = store.copy_with(path_of(place, relay, name), path_of("inbox", relay, again), {"replay-of": name})
    return again if copied else None


def every(store: Store, place: str, relay: str = "") -> Iterator[ListedObject]:
    """The deliveries of one place, oldest first within each relay."""
    return store.entries(f"{place}/{relay}/" if relay else f"{place}/")
