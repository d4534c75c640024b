"""Rewrite checked records: choose and order columns, and change the delimiter."""

import csv
import io
import operator
from collections.abc import Callable, Iterable, Sequence

from common.tables.records import write_records


class Rewriter:
    """Rewrites records; only this path takes a step in Python for each record.

    Args:
        order: the columns to write, by their number in the source; None writes all of them as they are.
        before, after: the delimiters of the source and of the result.
    """

    def __init__(self, order: Sequence[int] | None, before: str, after: str) -> None:
        self._order, self._before, self._after = order, before, after

    def rewrite(self, records: bytes) -> bytes:
        after = self._after.encode()
        if self._order is None and b'"' not in records and after not in records:
            return records.replace(self._before.encode(), after)
        return self.write(csv.reader(io.StringIO(records.decode(), newline=""), delimiter=self._before))

    def write(self, found: Iterable[list[str]]) -> bytes:
        chosen: Iterable[Sequence[str]] = found if self._order is None else map(_chooser(self._order), found)
        return write_records(chosen, self._after)


def _chooser(order: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    if len(order) > 1:
        return operator.itemgetter(*order)
    only = order[0]
    # With a single column, an empty line is a record.
    return lambda fields: fields[only : only + 1] or [""]
