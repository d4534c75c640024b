"""When to ask Pigment how an import ended."""

_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
_SHORTEST_OF_ALL_S = 0.01
_LONGEST_FIRST_WAIT_S = 2.0
"The last import may have been much larger than this one."
_SOONER = 0.8
"Below 1, so that imports that become faster are noticed."


class ImportPace:
    """How long the last import by a configuration took, which tells when to ask for the next one.

    Pigment allows 500 requests in five minutes, and most of them are such questions.
    """

    def __init__(self) -> None:
        self._took_s: float | None = None

    def note(self, took_s: float) -> None:
        self._took_s = took_s

    def first_wait_s(self) -> float:
        return min(_LONGEST_FIRST_WAIT_S, (self._took_s or 0.0) * _SOONER)

    def next_wait_s(self, elapsed_s: float) -> float:
        """Return how long to wait after a question.

        The end is noticed late by at most a quarter of the import's time; a long import costs about forty requests.
        """
        shortest_s = _SHORTEST_WAIT_S
        if self._took_s is not None:
            shortest_s = min(shortest_s, max(_SHORTEST_OF_ALL_S, self._took_s / 4))
        return min(_LONGEST_WAIT_S, max(shortest_s, elapsed_s / 4))
