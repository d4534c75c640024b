"""Which changes of jobs to tell of, so that each is told once.

A message is noted before it is sent, and again once it was accepted. After a kill between the two nobody knows whether
it was sent: it is sent once more, and then no more. After a message that was refused for certain, the state is what it
was before, so that the next sweep sends it again.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from common.bridge_yaml import NotifyEvent
from common.status.standing import StandingName

Told = NotifyEvent | Literal["good"]

_EVENTS: Mapping[StandingName, Told] = {
    "equal": "good",
    "landed": "good",
    "published": "good",
    "on_demand": "good",
    "skipped": "good",
    "not_compared": "good",
    "late": "late",
    "held": "held",
    "not_equal": "not_equal",
    "unknown": "failed",
    "failed": "failed",
}
"The others are on the way to one of these, and change nothing."
_MOST_TRIES = 2


class ToldState(msgspec.Struct, frozen=True):
    """What people know of the state of a job, and what they were about to be told."""

    known: Told = "good"
    about: Told | None = None
    "The state in a message of which it is not known whether it was accepted."
    tries: int = 0
    "How often that message was sent, or may have been."


def event_to_tell(before: ToldState, standing: StandingName, events: tuple[NotifyEvent, ...]) -> NotifyEvent | None:
    """Return what to tell of a job; None if there is nothing to tell, or people know it."""
    now = _state_of(standing, before)
    if now is None or not _is_news(before, now):
        return None
    event: NotifyEvent = "recovered" if now == "good" else now
    return event if event in events else None


def _state_of(standing: StandingName, before: ToldState) -> Told | None:
    # A block that was not equal and cannot be compared now has not recovered.
    if standing == "not_compared" and before.known == "not_equal":
        return None
    return _EVENTS.get(standing)


def _is_news(before: ToldState, now: Told) -> bool:
    if before.about == now:
        return before.tries < _MOST_TRIES
    # People may have read a message about another state.
    return before.tries > 0 or now != before.known


def state_after(before: ToldState, standing: StandingName, events: tuple[NotifyEvent, ...]) -> ToldState:
    """Return the state of a job of which there is nothing to tell: what people do not want to be told, they do not
    know, so that no recovery from it is news.
    """
    now = _state_of(standing, before)
    return ToldState(now) if now == "good" or now in events else before


def about_to_tell(before: ToldState, event: NotifyEvent) -> ToldState:
    """Return the state to note before a message is sent."""
    state: Told = "good" if event == "recovered" else event
    return ToldState(before.known, state, before.tries + 1 if before.about == state else 1)


def told(noted: ToldState) -> ToldState:
    return ToldState(noted.about or noted.known)
