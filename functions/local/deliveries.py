"""Webhook deliveries as `bridge deliveries` lists, shows and replays them."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from common.platform.errors import NoSuchJob
from common.storage import inbox
from common.storage.bucket import Bucket, ListedObject
from common.storage.claims import PLACES, PLAN

_STATES = {"inbox": "waiting", "delivered": "delivered", "dead": "dead"}
"By the first part of an object's path."
_COLOURS = {"waiting": "yellow", "delivered": "green", "dead": "red"}


class DeliverySummary(msgspec.Struct, frozen=True):
    """One delivery without its content."""

    id: str
    "The relay and the object's name: `sales/20260301T061500000000-1f0c…`."
    state: str
    received_at: str
    size_bytes: int
    details: dict[str, str]

    @classmethod
    def from_object(cls, entry: ListedObject) -> "DeliverySummary":
        folder, _, identifier = entry.name.partition("/")
        details = {name: value for name, value in entry.metadata.items() if name != PLAN}
        return cls(identifier, _STATES[folder], details.pop("received-at", ""), entry.size_bytes, details)


def summaries(bucket: Bucket, relay: str, states: Iterable[str]) -> list[DeliverySummary]:
    """Return the deliveries in the given states, oldest first.

    Args:
        relay: the name of a relay, or empty for all relays.
    """
    folders = [folder for folder, state in _STATES.items() if state in states]
    found = [DeliverySummary.from_object(entry) for folder in folders for entry in inbox.every(bucket, folder, relay)]
    return sorted(found, key=lambda summary: summary.id.rpartition("/")[2])


def find(bucket: Bucket, identifier: str) -> tuple[str, ListedObject]:
    """Return a delivery and the folder that contains it.

    Args:
        identifier: the id of a delivery or a unique part of it.

    Raises:
        NoSuchJob: no delivery matches, or more than one.
    """
    matches = list(_matching(bucket, identifier))
    if len(matches) == 1:
        return matches[0]
    message = f"{len(matches)} deliveries match {identifier}." if matches else f"No delivery matches {identifier}."
    raise NoSuchJob(message, next_step="`bridge deliveries --all` lists the ids.")


def content(bucket: Bucket, entry: ListedObject) -> Any:
    """Return the content that Looker sent, decoded if it is JSON, otherwise its first 2000 bytes as text."""
    body = bucket.read(entry.name)
    try:
        return json.loads(body)
    except ValueError:
        return body[:2000].decode("utf-8", "replace")


def replay(bucket: Bucket, identifier: str) -> str:
    """Put a delivery into the inbox again and return its new id.

    Raises:
        NoSuchJob: there is no such delivery, or it is still waiting.
    """
    folder, entry = find(bucket, identifier)
    relay, _, name = entry.name.partition("/")[2].rpartition("/")
    if folder == "inbox":
        raise NoSuchJob(
            f"The delivery {identifier} is still waiting.",
            next_step="No action needed: it is delivered automatically.",
        )
    return f"{relay}/{inbox.replay(bucket, folder, relay, name, datetime.now(UTC))}"


def table(summaries: Iterable[DeliverySummary], now: datetime) -> Table:
    """One line per delivery, in the given order."""
    out = Table("id", "state", "age", "bytes", "details", box=None)
    for each in summaries:
        details = ", ".join(f"{name} {value}" for name, value in each.details.items())
        state = Text(each.state, _COLOURS[each.state])
        out.add_row(each.id, state, _age(each, now), f"{each.size_bytes:,}", details)
    return out


def _matching(bucket: Bucket, identifier: str) -> Iterator[tuple[str, ListedObject]]:
    for folder in PLACES:
        for entry in inbox.every(bucket, folder):
            if identifier in entry.name:
                yield folder, entry


def _age(summary: DeliverySummary, now: datetime) -> str:
    if not summary.received_at:
        return ""
    minutes = int((now - datetime.fromisoformat(summary.received_at)).total_seconds() // 60)
    days, minutes = divmod(minutes, 24 * 60)
    return f"{days} d {minutes // 60} h" if days else f"{minutes // 60} h {minutes % 60} min"
