"""Faults during a call, as values that Hypothesis draws and shrinks.

A kill is simulated from outside: after its nth write, no request of the process has an effect.
"""

import dataclasses
from collections.abc import Callable

from hypothesis import strategies as st

from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Fault, Response, Server
from tests.support.world import PULL_RUN, PUSH, STATUS, World

_WRITES = r"(POST|PUT|DELETE) /"
_ANY = r"[A-Z]+ /"
_REFUSED = Response(403, b"{}", {"Content-Type": "application/json"})
_BUSY = Response(503, b"{}", {"Content-Type": "application/json"})

STORAGE = (
    "busy once",
    "down",
    "answer lost",
    "answer lost, overtaken",
    "connection reset",
    "killed before",
    "killed after",
    "overtaken",
    "stalled before",
    "stalled after",
)
PIGMENT = (
    "push answered 429",
    "push answered 429 for good",
    "push answered 503",
    "push accepted and answered 503",
    "push reset before",
    "push reset after",
    "killed before the push",
    "killed after the push",
    "stalled before the push",
    "stalled after the push",
    "status answered 503",
    "status answered 401",
)
LOOKER = (
    "rows cut short",
    "rows reset",
    "rows answered 503",
    "an error in place of rows",
    "an error after some rows",
    "looker answered 401",
)


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A fault at the nth request of its kind."""

    kind: str
    nth: int

    @property
    def stalls(self) -> bool:
        return "stalled" in self.kind


def storage() -> st.SearchStrategy[Trouble]:
    return st.builds(Trouble, st.sampled_from(STORAGE), st.integers(0, 11))


def pigment() -> st.SearchStrategy[Trouble]:
    return st.builds(Trouble, st.sampled_from(PIGMENT), st.integers(0, 2))


def looker() -> st.SearchStrategy[Trouble]:
    return st.builds(Trouble, st.sampled_from(LOOKER), st.integers(0, 3))


def strike(world: World, trouble: Trouble, other_deliverer: Callable[[], None]) -> None:
    """Add a fault to the world.

    Args:
        other_deliverer: a complete call of another instance, during the call with the fault.
    """
    storage_server, pigment_server, nth = world.storage_server, world.pigment_server, trouble.nth

    def die() -> None:
        for server in (storage_server, pigment_server):
            server.faults.insert(0, Fault(_ANY, times=-1, refuse=_REFUSED))

    def stall() -> None:
        world.clock.advance(LIFETIME_S + 1)
        other_deliverer()

    def fault(server: Server, on: str) -> Callable[..., Fault]:
        return lambda **how: server.fault(on, after=nth, **how)

    write, push = fault(storage_server, _WRITES), fault(pigment_server, PUSH)
    rows = fault(world.looker_server, PULL_RUN)
    csv = {"Content-Type": "text/csv"}
    strikes: dict[str, Callable[[], Fault]] = {
        "busy once": lambda: storage_server.fault(_ANY, after=nth, refuse=_BUSY),
        "down": lambda: storage_server.fault(_ANY, after=nth, times=-1, refuse=_BUSY),
        "answer lost": lambda: write(answer_instead=_BUSY),
        "answer lost, overtaken": lambda: write(then=other_deliverer, answer_instead=_BUSY),
        "connection reset": lambda: write(reset_after=True),
        "killed before": lambda: write(act=die, reset_before=True),
        "killed after": lambda: write(then=die, reset_after=True),
        "overtaken": lambda: write(act=other_deliverer),
        "stalled before": lambda: write(act=stall),
        "stalled after": lambda: write(then=stall),
        "push answered 429": lambda: push(refuse=Response(429, headers={"Retry-After": "7"})),
        "push answered 429 for good": lambda: push(times=-1, refuse=Response(429)),
        "push answered 503": lambda: push(refuse=Response(503)),
        "push accepted and answered 503": lambda: push(answer_instead=Response(503)),
        "push reset before": lambda: push(reset_before=True),
        "push reset after": lambda: push(reset_after=True),
        "killed before the push": lambda: push(act=die, reset_before=True),
        "killed after the push": lambda: push(then=die, reset_after=True),
        "stalled before the push": lambda: push(act=stall),
        "stalled after the push": lambda: push(then=stall),
        "status answered 503": lambda: pigment_server.fault(STATUS, after=nth, times=3, refuse=Response(503)),
        "status answered 401": lambda: pigment_server.fault(STATUS, after=nth, times=-1, refuse=Response(401)),
        "rows cut short": lambda: rows(cut_after_bytes=30),
        "rows reset": lambda: rows(reset_before=True),
        "rows answered 503": lambda: rows(times=2, refuse=_BUSY),
        "an error in place of rows": lambda: rows(refuse=Response(200, b'[{"looker_error": "SQL"}]', csv)),
        "an error after some rows": lambda: rows(append=b"SQL error: gone\n"),
        "looker answered 401": lambda: world.looker_server.fault(r"[A-Z]+ /api", after=nth, refuse=Response(401)),
    }
    strikes[trouble.kind]()
