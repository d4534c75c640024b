"""The one retry policy: only for what was not handed on, never longer than the budget, never sooner than asked.

A wait that does not fit into what is left of the budget is not slept: the error goes up as it is, with the time after
which trying again makes sense, and becomes a 503 with `Retry-After`.
"""

import email.utils
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from common.platform.clock import Deadline
from common.platform.errors import Busy

ATTEMPTS = 7
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
"One more doubling would pass Pigment's window of 5 minutes together with the waits before it."

T = TypeVar("T")


def retry(act: Callable[[], T], deadline: Deadline, chance: random.Random) -> T:
    """What `act` returns, once it does not raise `Busy`.

    Raises:
        Busy: the last one, when the attempts or the time are used up.
    """
    attempt = 1
    while True:
        try:
            return act()
        except Busy as busy:
            wait_s = wait_before_next_s(attempt, busy.retry_after_s, chance.random())
            if attempt == ATTEMPTS or not deadline.allows(wait_s):
                raise
        deadline.clock.sleep(wait_s)
        attempt += 1


def wait_before_next_s(attempt: int, retry_after_s: float | None, chance: float) -> float:
    """Doubling waits with jitter in their upper half; what the vendor asked for is a floor, never shortened."""
    full_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
    backoff_s = full_s * (0.5 + chance / 2)
    return backoff_s if retry_after_s is None else max(backoff_s, retry_after_s)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds from a `Retry-After` of either form: a number, or a date (RFC 9110, 10.2.3); None for neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone is read as UTC, which is what HTTP dates are in.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
