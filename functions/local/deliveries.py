"""The operator's view of the inbox: what waits, what landed, what is dead and why, and landing one again."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from common.platform.errors import NoSuchJob
from common.storage import inbox
from common.storage.store import ListedObject, Store

_COLOURS = {"inbox": "yellow", "delivered": "green", "dead": "red"}
_STATES = {"inbox": "waiting", "delivered": "delivered", "dead": "dead"}


class Shown(msgspec.Struct, frozen=True):
    """One delivery."""

    id: str
    "The relay and the object's name: `sales/20260301T061500000000-1f0c…`."
    state: str
    received_at: str
    size_bytes: int
    details: dict[str, str]

    @classmethod
    def of(cls, entry: ListedObject) -> "Shown":
        place, _, rest = entry.name.partition("/")
        details = dict(entry.metadata)
        return cls(rest, _STATES[place], details.pop("received-at", ""), entry.size_bytes, details)


def every(store: Store, relay: str, states: Iterable[str]) -> list[Shown]:
    """Deliveries in the states asked for, oldest first."""
    places = [place for place, state in _STATES.items() if state in states]
    found = [Shown.of(entry) for place in places for entry in inbox.every(store, place, relay)]
    return sorted(found, key=lambda each: each.id.rpartition("/")[2])


def find(store: Store, identifier: str) -> tuple[str, ListedObject]:
    """Where a delivery lies, by its id or an unambiguous part of it.

    Raises:
        NoSuchJob: none, or more than one, is meant.
    """
    found = list(_matching(store, identifier))
    if len(found) == 1:
        return found[0]
    what = "No delivery" if not found else f"{len(found)} deliveries"
    raise NoSuchJob(f"{what} named {identifier}.", next_step="`bridge deliveries --all` shows their ids.")


def content(store: Store, entry: ListedObject) -> Any:
    """What Looker sent: an object where it is JSON, else its first lines."""
    body = store.read(entry.name)
    try:
        return json.loads(body)
    except ValueError:
        return body[:2000].decode("utf-8", "replace")


def replay(store: Store, identifier: str) -> str:
    """Land a delivery again; the id it has this time.

    Raises:
        NoSuchJob: it is not there, or still waits.
    """
    place, entry = find(store, identifier)
    relay, _, name = entry.name.partition("/")[2].rpartition("/")
    if place == "inbox":
        raise NoSuchJob(f"The delivery {identifier} has not landed yet.", next_step="Nothing: it lands by itself.")
    again = inbox.replay(store, place, relay, name, datetime.now(UTC))
    return f"{relay}/{again}"


def table(shown: Iterable[Shown], now: datetime) -> Table:
    out = Table("id", "state", "age", "bytes", "what", box=None)
    for each in shown:
        place = next(place for place, state in _STATES.items() if state == each.state)
        details = ", ".join(f"{name} {value}" for name, value in each.details.items())
        out.add_row(
            each.id, f"[{_COLOURS[place]}]{each.state}[/]", _age(each, now), f"{each.size_bytes:,}", escape(details)
        )
    return out


def _matching(store: Store, identifier: str) -> Iterator[tuple[str, ListedObject]]:
    for place in inbox.PLACES:
        for entry in inbox.every(store, place):
            if identifier in entry.name:
                yield place, entry


def _age(shown: Shown, now: datetime) -> str:
    if not shown.received_at:
        return ""
    minutes = int((now - datetime.fromisoformat(shown.received_at)).total_seconds() // 60)
    days, minutes = divmod(minutes, 24 * 60)
    return f"{days} d {minutes // 60} h" if days else f"{minutes // 60} h {minutes % 60} min"
