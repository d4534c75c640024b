"""How many calls of Looker's API a licence counts.

Licences hold a number of query-based and of administrative calls a month (Looker's licensing terms). Looker's API
description names the activity of each operation: `db_query`, `non_query`, or `none` for the login and the logout. That
these are what the licences count is not documented word for word.
"""

import threading
from typing import Literal

import msgspec

CallKind = Literal["query", "administrative", "uncounted"]

_KINDS: dict[str, CallKind] = {
    "login": "uncounted",
    "logout": "uncounted",
    "versions": "uncounted",
    "queries": "query",
}
"By the first part of the path, for the operations that runs use; every other one is administrative."


class LookerCalls(msgspec.Struct, frozen=True):
    """Requests to Looker's API, also those that were repeated."""

    query: int = 0
    "Those that read or run a query."
    administrative: int = 0
    "Those that read a Look, an explore or a list."
    uncounted: int = 0
    "Logins and logouts, which no licence counts."

    def plus(self, other: "LookerCalls") -> "LookerCalls":
        counts = (getattr(self, name) + getattr(other, name) for name in self.__struct_fields__)
        return LookerCalls(*counts)

    def times(self, number: int) -> "LookerCalls":
        return LookerCalls(*(getattr(self, name) * number for name in self.__struct_fields__))


def kind_of(path: str) -> CallKind:
    """Return how a licence counts a path below `/api/4.0`."""
    return _KINDS.get(path.strip("/").partition("/")[0], "administrative")


class CallCounter:
    """Counts the requests of one session. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = LookerCalls()
        self.total = LookerCalls()
        "Also of what was taken."

    def count(self, path: str) -> None:
        one = LookerCalls(**{kind_of(path): 1})
        with self._lock:
            self._counted, self.total = self._counted.plus(one), self.total.plus(one)

    def take(self) -> LookerCalls:
        """Return what was counted since the last time."""
        with self._lock:
            taken, self._counted = self._counted, LookerCalls()
        return taken
