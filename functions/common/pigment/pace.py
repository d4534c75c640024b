"""When to ask Pigment how an import ended."""

_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
_SHORTEST_OF_ALL_S = 0.01
_LONGEST_FIRST_WAIT_S = 2.0
"The last import may have been much larger than this one."
_SOONER, _LATER = 0.9, 1.3
"Between these parts of the last import's time, this one is expected to end. Imports can become faster."


class ImportPace:
    """How long the last import by a configuration took, which tells when to ask for the next one.

    Pigment allows 500 requests in five minutes, and most of them are such questions.
    """

    def __init__(self) -> None:
        self.took_s = 0.0
        "How long the last import took; 0 if that is not known."

    def expect(self, took_s: float) -> None:
        """Use the time of an import that another instance has followed, unless this one has followed one."""
        self.took_s = self.took_s or took_s

    def note(self, took_s: float) -> None:
        self.took_s = took_s

    def first_wait_s(self) -> float:
        return min(_LONGEST_FIRST_WAIT_S, self.took_s * _SOONER)

    def next_wait_s(self, elapsed_s: float) -> float:
        """Return how long to wait after a question.

        The end is noticed late by at most a quarter of the import's time, and if the import takes about as long as the
        last one, by a twentieth. A long import costs about fifty requests.
        """
        shortest_s = _SHORTEST_WAIT_S
        if self.took_s:
            shortest_s = min(shortest_s, max(_SHORTEST_OF_ALL_S, self.took_s / 4))
        wait_s = min(_LONGEST_WAIT_S, max(shortest_s, elapsed_s / 4))
        is_expected_in_s = self.took_s * _SOONER - elapsed_s
        if is_expected_in_s > 0:
            return min(wait_s, max(shortest_s, is_expected_in_s))
        if elapsed_s < self.took_s * _LATER:
            return min(wait_s, max(shortest_s, self.took_s / 20))
        return wait_s
