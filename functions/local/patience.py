"""How long a look around waits: a person is watching, and there are as many calls as there are things to see."""

import math

from common.platform.clock import Clock, Deadline

_LONGEST_ANSWER_S = 30.0
_LONGEST_WAIT_S = 5.0


class Patience(Deadline):
    """The same for every call, where a run has one budget for all of them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, math.inf)

    def remaining_s(self) -> float:
        return _LONGEST_ANSWER_S

    def allows(self, seconds: float) -> bool:
        return seconds < _LONGEST_WAIT_S
