"""The loop of `bridge backfill`: calls of the pull function until all windows of an incremental pull have landed.

The function stores its own cursor. A backfill that was stopped therefore continues where it was when it is started
again.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from common import bridge_yaml
from common.loads import positions
from common.platform.errors import ConfigurationOccupied
from common.runs.receipts import Progress, Receipt
from local.deployed_function import PullFunction
from looker_pull import PullCall

_CALL_S = 15.0
"The intended duration of one call, so that the progress is updated about this often."
_MAX_WINDOWS = 50
"Per call."
_MAX_WAITS = 10
"How often in a row to wait for a busy vendor or another run."
_IMPORTING_WAIT_S = 5.0
_OCCUPIED_WAIT_S = 30.0


class BackfillStep(msgspec.Struct, frozen=True):
    """The windows that one call has landed."""

    receipt: Receipt
    progress: Progress
    rows: int
    "Rows read by all calls so far."


def load(
    function: PullFunction, call: PullCall, wait: Callable[[float], None] = time.sleep
) -> Iterator[BackfillStep | Receipt]:
    """Call the function until everything has landed.

    Args:
        call: the job, and `from` and `to` to load a range again.

    Yields:
        A step for each call that landed windows. If the backfill cannot continue, the last item is the receipt of the
        failed run instead.
    """
    rows, window_count, waits_left = 0, 1, _MAX_WAITS
    while True:
        began_s = time.monotonic()
        receipt = function(msgspec.structs.replace(call, windows=window_count))
        if isinstance(receipt.progress, Progress):
            # The following calls continue what this one has begun.
            call = msgspec.structs.replace(call, restart=False)
            progress = receipt.progress
            rows += progress.rows.read or 0
            yield BackfillStep(receipt, progress, rows)
            if progress.done:
                return
            window_count = _next_window_count(time.monotonic() - began_s, progress.windows)
            waits_left = _MAX_WAITS
        elif receipt.outcome == "importing":
            call = msgspec.structs.replace(call, restart=False)
        wait_s = _wait_s(receipt)
        if wait_s is None or not waits_left:
            yield receipt
            return
        if wait_s:
            waits_left -= 1
            wait(wait_s)


def preview(function: PullFunction, call: PullCall) -> Iterator[Receipt]:
    """Read and check each window without sending it; yield one receipt per window."""
    begin: str | int | None = call.from_
    end: str | int | None = call.to
    while True:
        receipt = function(msgspec.structs.replace(call, preview=True, from_=begin, to=end, windows=1))
        yield receipt
        progress = receipt.progress
        if receipt.error or not isinstance(progress, Progress) or progress.done:
            return
        begin, end = progress.reached, progress.until


def is_continued(call: PullCall, since: str) -> bool:
    """Whether a range that was to be loaded again begins later than at its `from`."""
    if call.from_ is None:
        return False
    begin, first = bridge_yaml.parse_position(call.from_), positions.parse_value(since)
    return isinstance(begin, int) == isinstance(first, int) and begin < first  # type: ignore[operator]  # of one kind


def completed_share(progress: Progress, since: str) -> float:
    """Return how much of the range from `since` to its end has landed, from 0 to 1."""
    begin, reached, until = (_number(text) for text in (since, progress.reached, progress.until))
    return 1.0 if until <= begin else min(1.0, max(0.0, (reached - begin) / (until - begin)))


def _next_window_count(took_s: float, windows: int) -> int:
    """How many windows fit into the intended duration of one call."""
    window_s = max(took_s / max(1, windows), 0.01)
    return min(_MAX_WINDOWS, max(1, int(_CALL_S / window_s)))


def _wait_s(receipt: Receipt) -> float | None:
    """How long to wait before the next call; None if another call cannot help."""
    if receipt.outcome == "importing":
        return _IMPORTING_WAIT_S
    if receipt.error is None:
        return 0.0
    if issubclass(receipt.error.kind, ConfigurationOccupied):
        return _OCCUPIED_WAIT_S
    return receipt.error.next_attempt_after_s


def _number(text: str) -> float:
    position = positions.parse_value(text)
    return position.timestamp() if isinstance(position, datetime) else float(position)
