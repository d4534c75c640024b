"""When to ask Pigment how an import ended."""

import msgspec

_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
_SHORTEST_OF_ALL_S = 0.01
_LONGEST_FIRST_WAIT_S = 5.0
"The import may end sooner than the last one."
_SOONER, _LATER = 0.9, 1.3
"Between these parts of the last import's time, this one is expected to end. Imports can become faster."
_ALIKE_ROWS = 1_000
"Imports whose rows differ by no more take about the same time, which is mostly that of starting."


class ImportTime(msgspec.Struct, frozen=True):
    """How long an import took."""

    rows: int
    took_s: float

    def is_like(self, rows: int) -> bool:
        """Whether an import of so many rows may take about as long."""
        return abs(rows - self.rows) <= max(_ALIKE_ROWS, self.rows // 2)


class ImportPace:
    """How long the last import by a configuration took, which tells when to ask for the next one.

    Pigment allows 500 requests in five minutes, and most of them are such questions.
    """

    def __init__(self, last: ImportTime | None = None) -> None:
        self.last = last

    def first_wait_s(self, rows: int) -> float:
        """Return how long to wait before the first question about an import of so many rows."""
        return min(_LONGEST_FIRST_WAIT_S, self._expected_s(rows) * _SOONER)

    def next_wait_s(self, rows: int, elapsed_s: float) -> float:
        """Return how long to wait after a question.

        The end is noticed late by at most a quarter of the import's time, and if the import takes about as long as the
        last one, by a twentieth. A long import costs about fifty requests.
        """
        expected_s = self._expected_s(rows)
        shortest_s = min(_SHORTEST_WAIT_S, max(_SHORTEST_OF_ALL_S, expected_s / 4)) if expected_s else _SHORTEST_WAIT_S
        wait_s = min(_LONGEST_WAIT_S, max(shortest_s, elapsed_s / 4))
        begins_in_s = expected_s * _SOONER - elapsed_s
        if begins_in_s > 0:
            return min(wait_s, max(shortest_s, begins_in_s))
        if elapsed_s < expected_s * _LATER:
            return min(wait_s, max(shortest_s, expected_s / 20))
        return wait_s

    def _expected_s(self, rows: int) -> float:
        """Return 0 if nothing is known."""
        return max(0.0, self.last.took_s) if self.last and self.last.is_like(rows) else 0.0
