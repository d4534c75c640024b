"""Webhook deliveries as `bridge deliveries` lists, shows and replays them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
from rich.text import Text

from common import bridge_yaml
from common.platform.errors import MalformedRequest, NotFound, code_of, every_error
from common.runs import cursors
from common.storage import inbox
from common.storage.bucket import Bucket
from common.storage.claims import PLACES, PLAN
from common.storage.objects import ListedObject
from local import listing, next_steps
from local.listing import ListedColumn, ListedItem

_STATES = {"inbox": "waiting", "delivered": "delivered", "dead": "dead"}
"By the first part of an object's path."
_OUTDATED = "not replayed, because a newer delivery has landed"
_KINDS = {code_of(kind): kind for kind in every_error()}
_IDS = "`bridge deliveries --all` lists the ids."
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
    def from_object(cls, entry: ListedObject, blocked: Mapping[str, str] = MappingProxyType({})) -> "DeliverySummary":
        """Describe a delivery; `blocked` says by relay why its deliveries wait."""
        folder, _, identifier = entry.name.partition("/")
        state, relay = _STATES[folder], identifier.partition("/")[0]
        details = {name: value for name, value in entry.metadata.items() if value and name != PLAN}
        if state == "waiting" and relay in blocked:
            details["waits-because"] = blocked[relay]
        if kind := _KINDS.get(details.get("code", "")):
            details["next-step"] = next_steps.fitting(kind, details.get("reason", ""), kind.next_step)
        return cls(identifier, state, details.pop("received-at", ""), entry.size_bytes, details)


class ReplayedDelivery(msgspec.Struct, frozen=True):
    """A delivery that waits again, or that was left where it is."""

    id: str
    new_id: str
    "Empty if it was left where it is."
    reason: str
    "Why it was dead, or was left; empty if it had landed."


def summaries(
    bucket: Bucket, relay: str, states: Iterable[str], blocked: Mapping[str, str] = MappingProxyType({})
) -> list[DeliverySummary]:
    """Return the deliveries in the given states, oldest first.

    Args:
        relay: the name of a relay, or empty for all relays.
        blocked: why the deliveries of a relay wait, by its name.
    """
    entries = (
        each for folder, state in _STATES.items() if state in states for each in inbox.every(bucket, folder, relay)
    )
    found = [DeliverySummary.from_object(entry, blocked) for entry in entries]
    return sorted(found, key=lambda summary: summary.id.rpartition("/")[2])


def find(bucket: Bucket, identifier: str) -> tuple[str, ListedObject]:
    """Return a delivery and the folder that contains it.

    Args:
        identifier: the id of a delivery or a unique part of it.

    Raises:
        NotFound: no delivery matches.
        MalformedRequest: more than one matches.
    """
    matches = list(_matching(bucket, identifier))
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise MalformedRequest(f"{len(matches)} deliveries match {identifier}.", next_step=_IDS)
    raise NotFound(f"No delivery matches {identifier}.", next_step=_IDS)


def content(bucket: Bucket, entry: ListedObject) -> Any:
    """Return the content that Looker sent, decoded if it is JSON, otherwise its first 2000 bytes as text."""
    body = bucket.read(entry.name)
    try:
        return json.loads(body)
    except ValueError:
        return body[:2000].decode("utf-8", "replace")


def replay(bucket: Bucket, identifier: str, now: datetime) -> ReplayedDelivery:
    """Put a delivery into the inbox again.

    Raises:
        NotFound: there is no such delivery.
        MalformedRequest: it is still waiting, or more than one matches.
    """
    folder, entry = find(bucket, identifier)
    if folder == "inbox":
        raise MalformedRequest(
            f"The delivery {identifier} is still waiting.",
            next_step="No action needed: it is delivered automatically.",
        )
    return _replay(bucket, folder, entry, now)


def replay_dead(bucket: Bucket, bridge: bridge_yaml.Bridge, relay: str, now: datetime) -> list[ReplayedDelivery]:
    """Put the dead deliveries of a relay, or of all, into the inbox again, in the order in which they arrived.

    Those that were replayed before are left out: if such a copy has died as well, it is dead itself. With
    `keep: latest`, those are left there that are older than the last landing, which they would replace.
    """
    dead = sorted(inbox.to_replay(bucket, now, relay), key=lambda entry: entry.name.rpartition("/")[2])
    newest = {name: _kept(bucket, bridge, name) for name in {entry.name.split("/")[1] for entry in dead}}
    replayed = []
    for number, entry in enumerate(dead):
        _, name, arrival = entry.name.split("/")
        if arrival < newest[name]:
            replayed.append(ReplayedDelivery(f"{name}/{arrival}", "", _OUTDATED))
        else:
            replayed.append(_replay(bucket, "dead", entry, now + timedelta(microseconds=number)))
    return replayed


def _kept(bucket: Bucket, bridge: bridge_yaml.Bridge, relay: str) -> str:
    """Return the delivery that a relay with `keep: latest` landed last; empty if there is none."""
    found = bridge.relays.get(relay)
    if not isinstance(found, bridge_yaml.Relay) or found.keep != "latest":
        return ""
    return cursors.newest_delivery(cursors.read(bucket, relay)) or ""


def _replay(bucket: Bucket, folder: str, entry: ListedObject, now: datetime) -> ReplayedDelivery:
    identifier = entry.name.partition("/")[2]
    relay, _, name = identifier.rpartition("/")
    again = inbox.replay(bucket, folder, relay, name, now)
    if again is None:
        raise NotFound(f"The delivery {identifier} is gone.", next_step=_IDS)
    return ReplayedDelivery(identifier, f"{relay}/{again}", entry.metadata.get("reason", ""))


def print_replays(replayed: Iterable[ReplayedDelivery]) -> None:
    """Print which deliveries wait again, under which id, and which were left where they are."""
    items = [
        ListedItem(
            ("replayed" if each.new_id else "left",), each.id, " ".join(filter(None, (each.new_id, each.reason)))
        )
        for each in replayed
    ]
    listing.print_list(
        [ListedColumn("state")], items, identifier="id", details="new id, and why it was dead or is left"
    )


def print_table(summaries: Iterable[DeliverySummary], now: datetime) -> None:
    """Print one item per delivery, in the given order."""
    columns = [ListedColumn("state"), ListedColumn("age"), ListedColumn("bytes", is_number=True)]
    items = []
    for each in summaries:
        details = ", ".join(f"{name} {value}" for name, value in each.details.items())
        state = Text(each.state, _COLOURS[each.state])
        items.append(ListedItem((state, _age(each, now), f"{each.size_bytes:,}"), each.id, details))
    listing.print_list(columns, items, identifier="id", details="details")


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
