"""Match the rows of what was sent with those of a block, by the digests of their keys and of what their cells mean."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import msgspec

from common.tables.compare.background import Background
from common.tables.compare.digests import Digests
from common.tables.compare.matching import ROWS_AT_ONCE
from common.tables.compare.scan import open_database
from common.tables.equality.sides import RowTotals, Side
from common.tables.staging import ProgressCallback

_MOST_CHANGED = 1_000_000

_CHANGE = """
    CASE
        WHEN times > 1 AND NOT $replaces THEN 'repeated'
        WHEN times = 0 THEN 'extra'
        WHEN times_before = 0 THEN 'missing'
        WHEN times_before > 1 THEN 'doubled'
        WHEN arg_max(row, place) FILTER (is_new) = min(row) FILTER (NOT is_new) THEN 'equal'
        ELSE 'changed'
    END
"""
"A row that was sent counts as new, and one of the block as the one before."

Pair = tuple[int, int]
"The places of a row in what was sent and in the block; -1: it is not there."


class Matched(msgspec.Struct):
    rows_sent: int = 0
    rows_in_block: int = 0
    keys: Counter[str] = msgspec.field(default_factory=Counter)
    "The number of keys that are missing, extra, doubled, changed, equal or repeated."
    changed: list[Pair] = []
    "The rows whose digests differ; a million at most."
    samples: dict[str, list[Pair]] = {}
    "The first rows that are missing, doubled or extra."

    def first(self, problem: str, most: int) -> list[Pair]:
        return sorted(self.samples.get(problem, []), key=max)[:most]


def have_same_rows(
    sent: Side, block: Side, progress: ProgressCallback, sent_totals: RowTotals | None = None
) -> int | None:
    """Return the number of rows if both sides have the same ones; None if rows have to be matched to tell.

    Args:
        sent_totals: those of what was sent, if they are known already.
    """
    with open_database() as database:

        def totals_of_sent(note: ProgressCallback) -> RowTotals:
            return sent_totals or sent.totals(database.cursor(), note)

        # A block that arrives can break off, and Ctrl-C can come. Nobody waits then for the rest of a long file.
        with Background("reading again", totals_of_sent, progress) as of_sent:
            of_sent.begin()
            totals = block.totals(database, progress)
            return totals.rows if totals == of_sent.result() else None


def match(sent: Side, block: Side, rows: int, progress: ProgressCallback, samples: int, *, replaces: bool) -> Matched:
    """Match all rows of both sides.

    Args:
        rows: about how many both have together; more than fit into the memory are matched in shares of the keys.
        samples: how many rows of each problem to name.
        replaces: whether the last of several rows with one key counts.
    """
    matched = Matched()
    shares = rows // ROWS_AT_ONCE + 1
    for share in range(shares):
        with (
            Digests(share, shares) as digests,
            ThreadPoolExecutor(1, "reading back") as pool,
        ):
            in_block = pool.submit(block.digest, digests, progress, is_new=False)
            matched.rows_sent = sent.digest(digests, progress, is_new=True)
            matched.rows_in_block = in_block.result()
            for matches in digests.matches(_CHANGE, "equal", replaces=replaces):
                matched.keys[matches.change] += matches.keys
                if matches.change in ("missing", "doubled", "extra"):
                    matched.samples.setdefault(matches.change, []).extend(matches.first(samples))
                elif matches.change == "changed":
                    matched.changed += islice(matches.pairs(), _MOST_CHANGED - len(matched.changed))
    return matched
