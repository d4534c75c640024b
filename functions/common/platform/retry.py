"""The retry policy: retry temporary errors within the time budget, and never earlier than the vendor asked.

If a wait does not fit into the remaining budget, the error is raised immediately. It contains the time after which a
new attempt makes sense, and becomes a 503 with `Retry-After`.
"""

import contextlib
import email.utils
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from common.platform.clock import Deadline
from common.platform.errors import BridgeError, Busy

ATTEMPTS = 7
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
"With the waits before it, one more doubling would exceed Pigment's rate limit window of 5 minutes."

T = TypeVar("T")


class Wait(NamedTuple):
    """A wait before another attempt."""

    cause: str
    "The error of the last attempt."
    attempt: int
    "The next one, of at most `ATTEMPTS`."
    wait_s: float


_observers: list[Callable[[Wait], None]] = [lambda _: None]


@contextlib.contextmanager
def observed(observer: Callable[[Wait], None]) -> Iterator[None]:
    """Call the observer before each wait, for a person who sees only that nothing happens."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def retry(
    act: Callable[[], T],
    deadline: Deadline,
    chance: random.Random,
    *,
    on: type[BridgeError] | tuple[type[BridgeError], ...] = Busy,
    but_not: type[Busy] | tuple[()] = (),
) -> T:
    """Call `act` until it does not raise an error of `on`, and return its result.

    Raises the last of these errors if the attempts or the time are used up. An error in `but_not` is raised
    immediately, because a second attempt could do harm. While the vendor may still work on the first attempt, there is
    one more at most.
    """
    attempt = 1
    was_left_working = False
    while True:
        try:
            return act()
        except on as error:
            asked_s = error.retry_after_s if isinstance(error, Busy) else None
            wait_s = wait_before_next_s(attempt, asked_s, chance.random())
            is_left_working = isinstance(error, Busy) and error.is_still_working
            is_last = attempt == ATTEMPTS or (is_left_working and was_left_working)
            if isinstance(error, but_not) or is_last or not deadline.allows(wait_s):
                raise
            was_left_working |= is_left_working
            attempt += 1
            _observers[-1](Wait(error.cause, attempt, wait_s))
        deadline.clock.sleep(wait_s)


def wait_before_next_s(attempt: int, retry_after_s: float | None, chance: float) -> float:
    """Return a wait that doubles with each attempt, with jitter in its upper half; at least `retry_after_s`."""
    full_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
    backoff_s = full_s * (0.5 + chance / 2)
    return backoff_s if retry_after_s is None else max(backoff_s, retry_after_s)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Parse a `Retry-After` header in either form, a number or a date (RFC 9110, 10.2.3); None if it is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    # HTTP dates are in UTC, also when they name no zone.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
