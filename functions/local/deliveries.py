"""Webhook deliveries as `bridge deliveries` lists, shows and replays them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec
from rich.text import Text

from common import bridge_yaml
from common.platform.errors import (
    MalformedRequest,
    NotEqual,
    NotFound,
    TooManyDeleted,
    TooManySkipped,
    code_of,
    every_error,
)
from common.runs import cursors
from common.storage import inbox, paths
from common.storage.bucket import Bucket
from common.storage.claims import PLACES, PLAN
from common.storage.objects import ListedObject
from local import listing, next_steps
from local.listing import ListedColumn, ListedItem

_STATES = {"inbox": "waiting", "delivered": "delivered", "dead": "dead"}
"By the first part of an object's path."
_OUTDATED = "not replayed, because a newer delivery has landed"
_LANDED_IN_PART = (
    "not replayed, because rows of it have landed, and would be doubled: `bridge deliveries replay ID --yes`"
)
_LANDED = ("landed", "landed_with_skips")
_CODES_IN_PART = {code_of(kind) for kind in (TooManySkipped, TooManyDeleted, NotEqual)}
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
            fitting = next_steps.fitting(kind, details.get("reason", ""), kind.next_step)
            details["next-step"] = next_steps.of_dead_delivery(fitting, identifier) if state == "dead" else fitting
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


def replay(
    bucket: Bucket, bridge: Callable[[], bridge_yaml.Bridge], identifier: str, now: datetime, *, may_double: bool
) -> ReplayedDelivery:
    """Put a delivery into the inbox again.

    Args:
        bridge: reads bridge.yaml.
        may_double: whether rows that have landed may land again in a target that is not repeatable.

    Raises:
        NotFound: there is no such delivery.
        MalformedRequest: it is still waiting, more than one matches, or its rows would be doubled.
    """
    folder, entry = find(bucket, identifier)
    if folder == "inbox":
        raise MalformedRequest(
            f"The delivery {identifier} is still waiting.",
            next_step="No action needed: it is delivered automatically.",
        )
    relay = entry.name.split("/")[1]
    if not may_double and _would_double(bucket, bridge(), relay, entry):
        cause = f"The target of {relay} is not repeatable: rows of {identifier} that have landed would be doubled."
        raise MalformedRequest(cause, next_step="Look at the block in Pigment. To import them again, add --yes.")
    return _replay(bucket, folder, entry, now, _landed(bucket, relay))


def replay_dead(bucket: Bucket, bridge: bridge_yaml.Bridge, relay: str, now: datetime) -> list[ReplayedDelivery]:
    """Put the dead deliveries of a relay, or of all, into the inbox again, in the order in which they arrived.

    Those that were replayed before are left out: if such a copy has died as well, it is dead itself. Two kinds are left
    there: with `keep: latest`, those that are older than the last landing, which they would replace; and those of which
    rows have landed in a target that is not repeatable.
    """
    dead = sorted(inbox.to_replay(bucket, relay), key=lambda entry: entry.name.rpartition("/")[2])
    newest = {name: _landed(bucket, name) for name in {entry.name.split("/")[1] for entry in dead}}
    replayed = []
    for entry in dead:
        _, name, arrival = entry.name.split("/")
        if _keeps_latest(bridge, name) and arrival < (newest[name] or ""):
            replayed.append(ReplayedDelivery(f"{name}/{arrival}", "", _OUTDATED))
        elif _would_double(bucket, bridge, name, entry):
            replayed.append(ReplayedDelivery(f"{name}/{arrival}", "", _LANDED_IN_PART))
        else:
            replayed.append(_replay(bucket, "dead", entry, now, newest[name]))
            # The next one follows it, even if it lands at once.
            newest[name] = replayed[-1].new_id.rpartition("/")[2]
    return replayed


def _keeps_latest(bridge: bridge_yaml.Bridge, relay: str) -> bool:
    found = bridge.relays.get(relay)
    return isinstance(found, bridge_yaml.Relay) and found.keep == "latest"


def _landed(bucket: Bucket, relay: str) -> str | None:
    """Return the delivery that a relay landed last."""
    return cursors.newest_delivery(cursors.read(bucket, relay))


def _would_double(bucket: Bucket, bridge: bridge_yaml.Bridge, relay: str, entry: ListedObject) -> bool:
    """Whether rows of a closed delivery, or of a copy of it, have landed or will, and would land once more."""
    found = bridge.relays.get(relay)
    if not isinstance(found, bridge_yaml.Relay) or found.target.repeatable:
        return False
    if entry.metadata.get("outcome") in _LANDED or entry.metadata.get("code") in _CODES_IN_PART:
        return True
    copy = bucket.find(paths.delivery("dead", relay, entry.metadata.get(inbox.REPLAYED_AS) or entry.name))
    if copy is not None and copy.metadata.get("code") not in _CODES_IN_PART:
        # The copy was refused as well, and nothing of it has landed.
        return False
    return inbox.is_replayed(bucket, entry)


def _replay(bucket: Bucket, folder: str, entry: ListedObject, now: datetime, landed: str | None) -> ReplayedDelivery:
    identifier = entry.name.partition("/")[2]
    relay, _, name = identifier.rpartition("/")
    again = inbox.replay(bucket, folder, relay, name, now, landed)
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
