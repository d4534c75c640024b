"""One run of a job: its receipt as it grows, its time budget, and how it ends."""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from common.platform.clock import Deadline
from common.platform.errors import BridgeError, Internal, Refused, status_of
from common.platform.log import bind, log
from common.runs import receipts
from common.runs.instance import Instance
from common.runs.receipts import ErrorReport, Receipt, Rows, Seconds
from common.storage.store import Store


class Run:
    """A run under way."""

    def __init__(
        self, instance: Instance, job: str, kind: str, time_zone: str = "UTC", deadline: Deadline | None = None
    ) -> None:
        self.instance = instance
        self.started_at = instance.clock.now().astimezone(ZoneInfo(time_zone))
        "In the job's own time zone: that is the day its files are named for."
        self.deadline = deadline or instance.deadline()
        self._budget_s = self.deadline.remaining_s()
        self._began_s = instance.clock.monotonic_s()
        self._seconds: dict[str, float] = {"looker": 0.0, "pigment": 0.0}
        run = receipts.run_id(instance.clock.now(), instance.chance.random())
        self.receipt = receipts.begin(run, job, kind, self.started_at)
        bind(run=self.receipt.run, job=job)

    def keep_back(self, share: float, at_most_s: float) -> Deadline:
        """The run's deadline, less a part of its budget for what comes after."""
        return self.deadline.earlier(min(at_most_s, self._budget_s * share))

    @contextlib.contextmanager
    def timed(self, vendor: Literal["looker", "pigment"]) -> Iterator[None]:
        """Time spent with a vendor, which the receipt shows."""
        began_s = self.instance.clock.monotonic_s()
        try:
            yield
        finally:
            self._seconds[vendor] += self.instance.clock.monotonic_s() - began_s

    def note(self, *, rows: Rows | None = None, warnings: list[str] | None = None, **fields: Any) -> None:
        """Add to the receipt; of `rows`, what is known now joins what was known before."""
        if rows is not None:
            known = {name: value for name, value in msgspec.structs.asdict(rows).items() if value is not None}
            fields["rows"] = msgspec.structs.replace(self.receipt.rows, **known)
        if warnings:
            said = self.receipt.warnings
            fields["warnings"] = [*said, *(warning for warning in warnings if warning not in said)]
        self.receipt = msgspec.structs.replace(self.receipt, **fields)

    def clocked(self, receipt: Receipt) -> Receipt:
        """A receipt with the time as far as it has gone."""
        total_s = self.instance.clock.monotonic_s() - self._began_s
        spent = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
        return msgspec.structs.replace(receipt, seconds=Seconds(**spent, total=round(total_s, 3)))

    def end(self, receipt: Receipt) -> Receipt:
        """File this run's receipt and say in the log how it ended."""
        return keep(self.instance.store, self.clocked(receipt))

    def failed(self, error: BridgeError) -> Receipt:
        """The receipt of a run that an error ended before anything was accepted."""
        outcome: receipts.Outcome = "refused" if isinstance(error, Refused) else "failed"
        return msgspec.structs.replace(self.receipt, outcome=outcome, error=ErrorReport.of(error))


def keep(store: Store, receipt: Receipt) -> Receipt:
    """File a receipt and log it.

    A bucket that cannot keep it does not turn a landing into a failure: the receipt is answered, and says so.
    """
    try:
        receipt = receipts.file(store, receipt)
    except BridgeError as error:
        log.error("receipt not saved", code=error.code, cause=error.cause)
        said = [*receipt.warnings, f"This receipt could not be kept: {error.cause}"]
        receipt = msgspec.structs.replace(receipt, warnings=said)
    tell(receipt)
    return receipt


def as_bridge_error(error: Exception) -> BridgeError:
    """Any exception as one of the bridge's; a fault of our own leaves its trace in the log, not in the answer."""
    if isinstance(error, BridgeError):
        return error
    log.exception("internal error", exc_info=error)
    return Internal(f"The bridge failed with {type(error).__name__}.")


def status_of_receipt(receipt: Receipt) -> int:
    """The HTTP status a receipt is answered with."""
    if receipt.error is not None:
        return status_of(receipt.error.code)
    return 202 if receipt.outcome == "importing" else 200


def tell(receipt: Receipt) -> None:
    """One line per run: the metrics and alerts read its fields."""
    fields: dict[str, Any] = {
        "job": receipt.job,
        "run": receipt.run,
        "kind": receipt.kind,
        "outcome": receipt.outcome,
        "rows": msgspec.structs.asdict(receipt.rows),
        "bytes": receipt.bytes,
        "configuration": receipt.configuration,
        "import_id": receipt.import_id,
        "object": receipt.object,
        "seconds": msgspec.structs.asdict(receipt.seconds),
        "warnings": receipt.warnings,
    }
    if receipt.error is None:
        log.info("run ended", **fields)
    else:
        log.error("run ended", **fields, error=msgspec.structs.asdict(receipt.error))
