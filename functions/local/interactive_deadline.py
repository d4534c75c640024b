"""The time limits of requests whose answers a person is waiting for."""

import math

from common.platform.clock import Clock, Deadline

_ANSWER_TIMEOUT_S = 30.0
_MAX_WAIT_S = 5.0


class InteractiveDeadline(Deadline):
    """A limit per request. A run instead has one budget for all of its requests.

    A command such as `bridge check` sends as many requests as there are objects to check, so a total would be wrong
    for large workspaces.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, math.inf)

    def remaining_s(self) -> float:
        return _ANSWER_TIMEOUT_S

    def allows(self, seconds: float) -> bool:
        return seconds < _MAX_WAIT_S
