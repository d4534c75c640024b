"""The inbox: webhook deliveries from their arrival until they have landed.

    seen/<relay>/<identity>              the name of a delivery: the same delivery gets the same name
    inbox/<relay>/<time>-<identity>      stored and not landed yet; names sort by time of arrival
    delivered/<relay>/<time>-<identity>  landed, or replaced by a newer one
    dead/<relay>/<time>-<identity>       refused permanently, with the reason in its metadata

A delivery is stored by two writes, each of which can be repeated: the mark that gives its identity a name, and the
object with that name. After a kill between them, nothing was acknowledged; the next attempt finds the mark but no
object, and writes the object.

Rows that can be fetched only once are marked before they are fetched, so that a second call for a stored delivery does
not use a second address. After a kill while they arrive, there is no object and nothing was acknowledged: the rows are
still in Looker, and a person sends them again, as a new delivery.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Protocol

import msgspec

from common.platform.clock import stamp
from common.storage import paths
from common.storage.bucket import Bucket, ListedObject, Stale

_SAME_CONTENT_FOR = timedelta(hours=1)
"For how long equal content without a webhook id is the same delivery: a schedule may send it again later."

ROW_LIMIT = "row-limit"
"Metadata of rows alone: the limit of their query."

PLACES = ("inbox", "delivered", "dead")

_ARRIVAL = "%Y%m%dT%H%M%S%f"
"The beginning of a name, in UTC: names sort by time."


class DeliveryMark(msgspec.Struct, frozen=True):
    name: str
    received_at: str
    by_id: bool
    "Whether its identity is Looker's id of the event, and not its content."


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


class IncomingRows(Protocol):
    warnings: list[str]

    def blocks(self) -> Iterator[bytes]:
        """Yield CSV; raise an error if it is not complete."""


def put(bucket: Bucket, relay: str, identity: str, body: bytes, now: datetime, *, by_id: bool) -> bool:
    """Store a delivery, and return whether it is new. Raises StorageBusy or StorageRefused if it is not stored.

    Args:
        identity: a digest of the webhook's id, or of plan and content.
    """
    mark = _claim(bucket, relay, identity, now, by_id=by_id)
    if mark is None:
        return False
    metadata = {"received-at": mark.received_at}
    try:
        return bucket.create(paths.delivery("inbox", relay, mark.name), body, metadata, content_type="application/json")
    except Stale:
        # The same event with other content at the same moment: the first one stays.
        return False


def put_rows(
    bucket: Bucket,
    relay: str,
    identity: str,
    fetch: Callable[[], AbstractContextManager[IncomingRows]],
    now: datetime,
    details: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Fetch rows and store them, unless they are stored already, and return whether they are new.

    The identity is that of the event: the content is not known before it is fetched. Raises BridgeError if the rows are
    not complete, or are not stored.
    """
    mark = _claim(bucket, relay, identity, now, by_id=True)
    if mark is None:
        return False
    with fetch() as rows:
        warnings = {"warnings": " ".join(rows.warnings)} if rows.warnings else {}
        metadata = {"received-at": mark.received_at, **details, **warnings}
        with bucket.writing(paths.delivery("inbox", relay, mark.name), metadata, content_type="text/csv") as file:
            for block in rows.blocks():
                file.write(block)
    return True


def _claim(bucket: Bucket, relay: str, identity: str, now: datetime, *, by_id: bool) -> DeliveryMark | None:
    """Return the name for a delivery; None if the delivery is already stored under its name."""
    mark = DeliveryMark(f"{now:{_ARRIVAL}}-{identity}", stamp(now), by_id)
    earlier = _mark(bucket, paths.seen(relay, identity), mark)
    if earlier and any(bucket.exists(paths.delivery(place, relay, earlier.name)) for place in PLACES):
        return None
    return earlier or mark


def _mark(bucket: Bucket, path: str, mark: DeliveryMark) -> DeliveryMark | None:
    """Mark a delivery's identity as seen, and return the earlier mark if there is a valid one."""

    def is_valid(earlier: DeliveryMark) -> bool:
        age = datetime.fromisoformat(mark.received_at) - datetime.fromisoformat(earlier.received_at)
        return earlier.by_id or age <= _SAME_CONTENT_FOR

    there = bucket.write_json_unless(path, mark, is_valid)
    return None if there is mark else there


def waiting(bucket: Bucket, relay: str) -> Iterator[WaitingDelivery]:
    """Yield the deliveries that have not landed yet, the oldest first."""
    for entry in bucket.entries(paths.deliveries("inbox", relay)):
        name = entry.name.rpartition("/")[2]
        yield WaitingDelivery(relay, name, entry.size_bytes, entry.metadata, entry.content_type)


def relays(bucket: Bucket) -> Iterator[str]:
    """Yield the relay of each waiting delivery."""
    for name in bucket.names(paths.deliveries("inbox")):
        yield name.split("/")[1]


def oldest(bucket: Bucket) -> datetime | None:
    """Return when the oldest waiting delivery arrived; None if no delivery is waiting."""
    return min(filter(None, map(_arrival, bucket.names(paths.deliveries("inbox")))), default=None)


def _arrival(path: str) -> datetime | None:
    """Return the time in a name; None for an object that the bridge did not write."""
    try:
        return datetime.strptime(path.rpartition("/")[2].partition("-")[0], _ARRIVAL).replace(tzinfo=UTC)
    except ValueError:
        return None


def close(bucket: Bucket, relay: str, name: str, place: str, metadata: dict[str, str]) -> None:
    """Move a delivery out of the inbox, with additional metadata. Repeated, it does what is left to do."""
    path = paths.delivery("inbox", relay, name)
    # After a kill between copy and deletion, the delivery is in both places; the next run closes it again.
    if bucket.copy_with(path, paths.delivery(place, relay, name), metadata):
        bucket.delete(path)


def is_closed(bucket: Bucket, relay: str, name: str) -> bool:
    """Whether a delivery that is still in the inbox has already been closed."""
    return any(bucket.exists(paths.delivery(place, relay, name)) for place in ("delivered", "dead"))


def replay(bucket: Bucket, place: str, relay: str, name: str, now: datetime) -> str | None:
    """Copy a closed delivery into the inbox, to land it again; return its new name, or None if there is no delivery."""
    # It gets a new name, because the name of a closed delivery counts as closed.
    again = f"{now:{_ARRIVAL}}-{name.rpartition('-')[2]}"
    closed, waiting_again = paths.delivery(place, relay, name), paths.delivery("inbox", relay, again)
    return again if bucket.copy_with(closed, waiting_again, {"replay-of": name}) else None


def every(bucket: Bucket, place: str, relay: str = "") -> Iterator[ListedObject]:
    """Yield the deliveries of one place, the oldest of each relay first."""
    return bucket.entries(paths.deliveries(place, relay))
