"""What a run does now, on one line of a terminal: rows or bytes, their rate, the time left, and what it waits for."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from common.platform import retry
from common.platform.retry import ATTEMPTS, Wait
from common.runs import instance
from local import terminal

_SHORTEST_MEASURED_S = 1.0
"A rate over less time says nothing."
_SECONDS_OF_A_MINUTE = 60
_BYTES_OF_A_MEGABYTE = 1_000_000


class RunDisplay:
    """Turns what a run reports into the line to show."""

    def __init__(self, job: str, show: Callable[[str], None], now_s: Callable[[], float] = time.monotonic) -> None:
        self._job = job
        self._show = show
        self._now_s = now_s
        self._expected: dict[str, int] = {}
        self._what = ""
        self._began_s = 0.0
        self._began_at = 0

    def expect(self, what: str, count: int) -> None:
        self._expected[what] = count

    def count(self, what: str, count: int) -> None:
        now_s = self._now_s()
        if what != self._what or count < self._began_at:
            self._what, self._began_s, self._began_at = what, now_s, count
        took_s = now_s - self._began_s
        rate = (count - self._began_at) / took_s if took_s >= _SHORTEST_MEASURED_S else 0.0
        self.wait_for(progress_text(what, count, rate, self._expected.get(what)))

    def wait_for(self, what: str) -> None:
        self._show(f"{self._job}: {what}")

    def wait_again(self, wait: Wait) -> None:
        # The cause comes last, because a narrow terminal may cut it.
        self.wait_for(f"attempt {wait.attempt} of {ATTEMPTS} in {_duration(wait.wait_s)}. {wait.cause}")


def progress_text(what: str, count: int, rate: float, expected: int | None) -> str:
    """Return the progress in words.

    Args:
        what: such as `rows read` or `bytes sent`.
        rate: per second; 0 if it is not known yet.
        expected: how many in all, if that is known.
    """
    parts = [f"{count:,} {what}", f"{rate:,.0f}/s" if rate else ""]
    if what.startswith("bytes"):
        megabytes, rate_in_megabytes = count / _BYTES_OF_A_MEGABYTE, rate / _BYTES_OF_A_MEGABYTE
        parts = [f"{megabytes:,.1f} MB{what.removeprefix('bytes')}", f"{rate_in_megabytes:,.1f} MB/s" if rate else ""]
    if rate and expected and expected > count:
        parts.append(f"about {_duration((expected - count) / rate)} left")
    return ", ".join(filter(None, parts))


def _duration(seconds: float) -> str:
    if seconds < 2 * _SECONDS_OF_A_MINUTE:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / _SECONDS_OF_A_MINUTE:.0f} min"


@contextlib.contextmanager
def shown(job: str, first_step: str) -> Iterator[None]:
    """Show what the runs of this process do, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    here = instance.current
    with Progress(*columns, console=terminal.console(errors=True), transient=True) as bar:
        task = bar.add_task(f"{job}: {first_step}")
        display = RunDisplay(job, lambda text: bar.update(task, description=text))
        here.progress, here.expected, here.waits_for = display.count, display.expect, display.wait_for
        with retry.observed(display.wait_again):
            yield
