"""Every way a run can fail, and what the person who reads the message can do about it.

    BridgeError
    ├── MalformedRequest           400  the call itself
    ├── TokenRefused               401
    ├── NoSuchJob                  404
    ├── NotFound                   404
    ├── BodyTooSlow                408
    ├── ConfigurationOccupied      409  one run per configuration
    ├── BodyTooLong                413
    ├── Refused                    422  a guard or the column contract refused the data
    │   ├── CannotStream
    │   ├── TruncatedAtLimit
    │   ├── TooFewRows
    │   ├── Shrunk
    │   ├── ColumnsChanged
    │   ├── TypeMismatch
    │   ├── CursorUnfit
    │   ├── WindowIgnored
    │   ├── KeysNotUnique
    │   ├── TooManySkipped
    │   ├── TooManyDeleted
    │   ├── NotEqual
    │   ├── AwaitingApproval
    │   ├── NotApproved
    │   ├── UnknownItems
    │   └── DeliveryNotUsable
    ├── OurFault                   500  this deployment
    │   ├── BridgeFileInvalid
    │   ├── SettingMissing
    │   ├── SecretUnreadable
    │   ├── StorageRefused
    │   ├── BigqueryRefused
    │   ├── LeaseLost
    │   ├── RunInterrupted
    │   ├── LandingUnknown
    │   └── Internal
    ├── VendorRefused              502  Looker or Pigment refused, or sent an invalid answer
    │   ├── LookerLoginRefused
    │   ├── LookNotFound
    │   ├── LookerRefused
    │   ├── QueryFailed
    │   ├── StreamCut
    │   ├── RowsMalformed
    │   ├── AnswerNotUnderstood
    │   ├── PigmentKeyRefused
    │   ├── ImportConfigurationNotFound
    │   ├── BlockNotFound
    │   ├── ViewTooBig
    │   ├── ViewNotSupported
    │   ├── FileTooBig
    │   ├── FileRefused
    │   ├── PigmentRefused
    │   └── ImportFailed
    └── Busy                       503  temporary: a later attempt can succeed
        ├── LookerBusy
        ├── PigmentBusy
        ├── LandingUnconfirmed
        ├── StorageBusy
        ├── BigqueryBusy
        ├── DiskFull
        └── OutOfTime

An error's code is its class name in snake case and never changes. Its docstring is its meaning, `next_step` is what to
do. The cause is given where the error is raised; it never holds a secret or the content of a row.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from common.platform.causes import in_words
from common.platform.log import log
from common.platform.text import shorten

SIGN_IN = (
    "On a machine of your own, run `gcloud auth application-default login`. A function signs in as its service "
    "account: check that it has one."
)
"""The next step if there are no credentials for Google at all."""

_DEFAULT_RETRY_AFTER_S = 60.0


class BridgeError(Exception):
    """The base of every error that a run can end with."""

    status: ClassVar[int]
    "The HTTP status of the answer."
    concerns_content: ClassVar[bool] = False
    """Whether the same content fails again at every attempt. A webhook delivery that fails so goes to `dead/`, so only
    an error that its bytes or an answer about them have caused is marked.
    """
    longest_cause_bytes: ClassVar[int] = 2000
    "A cause can quote a vendor or the header of a file. It is logged, and stored in receipts and in metadata."
    next_step: str

    def __init__(self, cause: str, *, next_step: str | None = None) -> None:
        self.cause = shorten(cause, self.longest_cause_bytes)
        super().__init__(self.cause)
        if next_step is not None:
            self.next_step = shorten(next_step, self.longest_cause_bytes)

    @property
    def code(self) -> str:
        return code_of(type(self))


class ErrorReport(msgspec.Struct, frozen=True):
    """An error as it is answered and stored in a receipt."""

    code: str
    message: str
    next_step: str
    retry_after_s: float | None = None
    "After how many seconds the vendor accepts a new attempt, if it said so."

    @property
    def kind(self) -> type[BridgeError]:
        return class_of(self.code)

    @property
    def next_attempt_after_s(self) -> float | None:
        """After how many seconds a new attempt makes sense; None if the error is not temporary."""
        return (self.retry_after_s or _DEFAULT_RETRY_AFTER_S) if issubclass(self.kind, Busy) else None

    @classmethod
    def of(cls, error: BridgeError) -> "ErrorReport":
        wait_s = error.retry_after_s if isinstance(error, Busy) else None
        return cls(error.code, error.cause, error.next_step, wait_s)


def as_bridge_error(error: BaseException) -> BridgeError:
    """Return any exception as a `BridgeError`. The trace of an unexpected one goes to the log, not into the answer."""
    if isinstance(error, BridgeError):
        return error
    log.exception("internal error", error)
    return Internal(f"The bridge itself failed: {in_words(type(error).__name__)}.")


def code_of(kind: type[BridgeError]) -> str:
    """Return the code of an error class: `LookNotFound` is `look_not_found`.

    A private subclass of another module has the code of its public base.
    """
    kind = next(public for public in kind.__mro__ if not public.__name__.startswith("_"))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def meaning_of(kind: type[BridgeError]) -> str:
    """Return the meaning of an error class as one line; whether Python keeps the indentation depends on its version."""
    return " ".join((kind.__doc__ or "").split())


def class_of(code: str) -> type[BridgeError]:
    """Return the error class of a stored code; `Internal` for a code that this version does not have."""
    return next((kind for kind in every_error() if code_of(kind) == code), Internal)


def every_error(kind: type[BridgeError] | None = None) -> Iterator[type[BridgeError]]:
    """Yield the leaves of the tree, in the order of the drawing."""
    kind = kind or BridgeError
    children = [child for child in kind.__subclasses__() if not child.__name__.startswith("_")]
    if not children:
        yield kind
    for child in children:
        yield from every_error(child)


class MalformedRequest(BridgeError):
    """The request is not valid for this function."""

    status = 400
    next_step = 'Send POST with a JSON object such as {"job": "flights"}.'


class TokenRefused(BridgeError):
    """The request does not carry the webhook token."""

    status = 401
    next_step = "Looker shows the token at Admin > Webhooks. Add it as a version of the secret named in webhook.token."


class NoSuchJob(BridgeError):
    """bridge.yaml names no such job."""

    status = 404
    next_step = "Check the name in bridge.yaml. After a change, run Terraform, which copies the file into the bucket."


class NotFound(BridgeError):
    """There is no such run, delivery or bridge, or not any more."""

    status = 404
    next_step = "`bridge runs` lists the ids of runs, and `bridge deliveries --all` those of deliveries."


class BodyTooSlow(BridgeError):
    """The body of the request did not arrive in time."""

    status = 408
    next_step = (
        "Send the delivery again: Looker does not repeat it. If this recurs, check the network between Looker and the "
        "function, or change the relay to start a pull (start: JOB)."
    )


class ConfigurationOccupied(BridgeError):
    """Another run uses this import configuration, or this export."""

    status = 409
    next_step = "Wait for that run to end. If it was killed, its lease expires after 90 seconds."


class BodyTooLong(BridgeError):
    """The delivery is longer than 32 MiB, the most that Cloud Run takes."""

    status = 413
    next_step = "Change the relay to start a pull (start: JOB), which reads all rows through Looker's API."


class Refused(BridgeError):
    """A guard or the column contract refused the data."""

    status = 422
    concerns_content = True


class CannotStream(Refused):
    """Looker cannot stream this query: the result would be truncated or contain rows that are not data."""

    next_step = "Save a copy of the Look without the parts named here, and use the copy in bridge.yaml."


class TruncatedAtLimit(Refused):
    """The number of rows equals one of Looker's row limits, although all rows were requested."""

    next_step = (
        "Give the Looker user the permission download_without_limit and make sure the Look can stream. "
        "If the number is a coincidence, set guards.accept_cap: true for this job."
    )


class TooFewRows(Refused):
    """Fewer rows than guards.min_rows; nothing was sent or published."""

    next_step = "Open the Look or view. If so few rows are correct, lower guards.min_rows. If not, fix the source."


class Shrunk(Refused):
    """Far fewer rows than the last run landed or published; nothing was sent or published."""

    next_step = "Open the Look or view. If that is right, raise guards.max_shrink for one run. If not, fix the source."


class ColumnsChanged(Refused):
    """The header does not match the columns in bridge.yaml; nothing was sent or published."""

    next_step = "Make target.columns and the Look's fields match, then check the import configuration in Pigment."


class TypeMismatch(Refused):
    """A value does not have the type that `columns` of the export names; nothing was published."""

    next_step = (
        "Fix the value in Pigment, in the row of the export that is named here. If it is right, give the column "
        "another type in columns: text takes every value."
    )


class CursorUnfit(Refused):
    """Rows cannot be loaded in windows over this cursor."""

    next_step = (
        "Set load.incremental.cursor to a dimension of the explore: a date, a time, or a number that increases. Give "
        "start, window and overlap values of the same kind."
    )


class WindowIgnored(Refused):
    """Looker returned rows outside the requested window; nothing was sent."""

    next_step = (
        "Run the Look in Looker with a filter on the cursor. If Looker ignores it too, set load.incremental.cursor to "
        "another field. If dates are hours off, set source.query_timezone to the zone in which they are shown."
    )


class KeysNotUnique(Refused):
    """load.changes.key does not identify rows: some keys are empty or occur twice; nothing was sent."""

    next_step = "`bridge pull JOB --preview` shows some of them. Fix them at the source, or extend load.changes.key."


class TooManySkipped(Refused):
    """Pigment skipped more rows than guards.max_skipped allows; the other rows have landed."""

    next_step = (
        "The receipt lists reasons and columns. Add the missing items in Pigment or fix the values. If the target is "
        "repeatable, run again then; otherwise the skipped rows are not sent again, and have to be entered in Pigment."
    )


class TooManyDeleted(Refused):
    """An import deleted more rows than guards.max_deleted allows; until a person has acted, no run sends anything."""

    # It is not the content that fails: the deliveries after it wait.
    concerns_content = False
    next_step = (
        "In Pigment, set the import configuration not to clear. Then load the deleted rows again: an incremental load "
        "with `bridge backfill JOB --from START`; a changes load by raising guards.max_deleted to their number, after "
        "which every row is sent; an append by emptying the list and renaming the job. If the rows may be deleted, "
        "raise guards.max_deleted."
    )


class NotEqual(Refused):
    """The block in Pigment does not have what was sent."""

    # The rows have landed, and it is not they that are wrong.
    concerns_content = False
    next_step = (
        "Look at the keys in the receipt (`bridge runs RUN`) in Pigment: an import configuration that clears, maps a "
        "column to another property or reads a date or number in another format makes them differ, and so does a "
        "person who edits the block. Correct that and, if the target is repeatable, run the job again. `bridge verify "
        "JOB` compares without sending."
    )


class AwaitingApproval(Refused):
    """More has changed than guards.approve allows; nothing is sent until a person has decided."""

    # The file is stored, and its delivery and those after it wait.
    concerns_content = False
    next_step = (
        "Look at the source. `bridge approve RUN` sends exactly the file that was read; `bridge reject RUN` discards "
        "it. It is stored for retention_days.staged, unless a later run supersedes it."
    )


class NotApproved(Refused):
    """A person rejected a file that awaited approval, or a later run superseded it; nothing was sent."""

    next_step = "If it was rejected, fix the source: the job's next run reads it again, and compares again."


class UnknownItems(Refused):
    """The file has values that are no items of a list in Pigment; nothing was sent."""

    next_step = (
        "The receipt names them. Add the items in Pigment or fix the values in Looker, then run again, or replay the "
        "delivery. With known.missing: hold, only the rows that have them are not sent."
    )


class DeliveryNotUsable(Refused):
    """Looker's webhook delivery contains no rows that can be landed."""

    next_step = "In Looker, edit the schedule: deliver the Look, not a dashboard, and choose the format CSV."


class OurFault(BridgeError):
    """This deployment has a fault."""

    status = 500


class BridgeFileInvalid(OurFault):
    """bridge.yaml is not valid."""

    # All faults are reported together.
    longest_cause_bytes = 50_000
    next_step = "Fix each line named here, then run `bridge check`."


class SettingMissing(OurFault):
    """The function's environment lacks a setting."""

    next_step = "Run Terraform again, or set the variable named here."


class SecretUnreadable(OurFault):
    """A secret cannot be read, or its content is not valid."""

    next_step = (
        "Add a version to the secret named here, and allow this function's service account to read it. "
        "For a bridge on this machine, add the secret to .env."
    )


class StorageRefused(OurFault):
    """Cloud Storage refused a request, or an object that the bridge needs is missing."""

    next_step = "Check that the bucket exists and that this function's service account may read and write its objects."


class BigqueryRefused(OurFault):
    """BigQuery did not run a comparison (engine: bigquery)."""

    next_step = (
        "Read BigQuery's explanation. `bridge check` tries whether queries may be run. Without engine: bigquery, the "
        "function compares."
    )


class LeaseLost(OurFault):
    """This run did not renew its lease in time and another run took it; this run stopped before sending."""

    next_step = "No action needed: the other run continues. If it happens often, give the function more memory and CPU."


class RunInterrupted(OurFault):
    """The run was killed, or did not renew its lease, before it sent anything."""

    next_step = "No action needed: the next run starts over. If this recurs, raise the function's memory or timeout."


class LandingUnknown(OurFault):
    """Pigment may have accepted the file but did not confirm it; sending it again could double the rows."""

    next_step = (
        "`bridge settle RUN` asks Pigment, and reads the block back if the job has `verify`. If neither tells: look in "
        "the block's import history for an import at the time of the run with as many rows, then run "
        "`bridge settle RUN --landed` or `bridge settle RUN --not-landed`. If sending a file twice is safe, set "
        "target.repeatable: true and run the job again."
    )


class Internal(OurFault):
    """The bridge itself has a fault."""

    next_step = "Find the run in the logs, which contain the full trace, and report it."


class VendorRefused(BridgeError):
    """Looker or Pigment refused, or sent an invalid answer."""

    status = 502


class LookerLoginRefused(VendorRefused):
    """Looker did not accept the client ID and secret (it answers 404 to a wrong pair)."""

    next_step = "Create a new API key for the bridge's Looker user, add it as a version of the secret, and run again."


class LookNotFound(VendorRefused):
    """Looker has no such Look or query, its user may not see it (Looker answers 404 in both cases), or the Look is in
    the trash.
    """

    next_step = "Check the ID in bridge.yaml, and that the bridge's Looker user has access to the Look and its model."


class LookerRefused(VendorRefused):
    """Looker refused a request."""

    next_step = "Read Looker's explanation in the message. `bridge check` tests every permission that the job needs."


class QueryFailed(VendorRefused):
    """Looker's database failed, and Looker returned the error text instead of rows; nothing was sent."""

    concerns_content = True
    next_step = "Run the Look in Looker, which shows the database's message."


class StreamCut(VendorRefused):
    """The answer ended too early; nothing was sent or published."""

    concerns_content = True
    next_step = "Run again. If it happens every time, filter the source, or load the Look in windows."


class RowsMalformed(VendorRefused):
    """The file from Looker or Pigment is not a complete, regular CSV; nothing was sent or published."""

    concerns_content = True
    next_step = "Open the record named here at its source, and fix the field or leave it out."


class AnswerNotUnderstood(VendorRefused):
    """A vendor's answer does not match its API description."""

    next_step = (
        "Check the address in bridge.yaml, and what is before it: a proxy, a firewall, or a page for logins or "
        "maintenance may answer instead of the vendor."
    )


class PigmentKeyRefused(VendorRefused):
    """Pigment answered 401 to the key."""

    scopes = ": Import for pulls and relays, Export for exports"
    reasons = (
        "There are five possible reasons. The key is not complete. It has expired; it does not work on the expiry day "
        f"itself. It lacks the scope{scopes}. Its allow list does not contain this address. Its owner was deactivated."
    )
    next_step = f"{reasons} Add a new key as a new version of the secret."


class ImportConfigurationNotFound(VendorRefused):
    """Pigment has no import configuration with this ID."""

    next_step = (
        "`bridge configurations` lists their IDs, and Pigment shows one at Block > Settings > Import configurations > "
        "… > Copy ID. Set target.configuration to it."
    )


class BlockNotFound(VendorRefused):
    """Pigment has no such view, list, metric or table, or the key's owner may not see it."""

    next_step = "`bridge views` and `bridge blocks` list the IDs that the key's owner sees. Set source to one of them."


class ViewTooBig(VendorRefused):
    """Pigment does not export a view of this size (413)."""

    next_step = (
        "Set a fallback to the block behind the view, which Pigment exports without this limit: "
        "fallback: {table: ID}, or list or metric. `bridge views` shows the block of each view; the view's address in "
        "Pigment also contains its ID (…/tables/ID?…)."
    )


class ViewNotSupported(VendorRefused):
    """Pigment exports only views of lists, metrics and tables (422)."""

    next_step = "Create a view of a list, metric or table for the export, and set source.view to its ID."


class FileTooBig(VendorRefused):
    """Pigment refused the file because of its size."""

    concerns_content = True
    next_step = "Set target.via: storage (Pigment's own Cloud Storage connector), or load incrementally in windows."


class FileRefused(VendorRefused):
    """Pigment refused the file."""

    concerns_content = True
    next_step = "Read Pigment's explanation. Check that header and delimiter match the import configuration's sample."


class PigmentRefused(VendorRefused):
    """Pigment refused a request that carries no file: an export, a trigger or a question."""

    next_step = "Read Pigment's explanation. `bridge check` tests the key, the import configuration and the source."


class ImportFailed(VendorRefused):
    """Pigment accepted the file, but the import failed."""

    concerns_content = True
    next_step = "Read Pigment's reasons in the message, fix the source or the import configuration, and run again."


class Busy(BridgeError):
    """Temporary: a later attempt can succeed."""

    status = 503

    def __init__(
        self,
        cause: str,
        *,
        retry_after_s: float | None = None,
        next_step: str | None = None,
        is_still_working: bool = False,
    ) -> None:
        super().__init__(cause, next_step=next_step)
        self.retry_after_s = retry_after_s
        "The wait that the vendor asked for; None if it asked for none."
        self.is_still_working = is_still_working
        "Whether the vendor may still work on the request, so that every repetition adds to its load."


class LookerBusy(Busy):
    """Looker is busy or cannot be reached."""

    next_step = "No action needed yet; the next run retries. If it persists, check Looker's status and IP allow list."


class PigmentBusy(Busy):
    """Pigment is busy or cannot be reached; it has not accepted the file."""

    next_step = (
        "No action needed yet; the next run retries. If it persists, check pigment.url and Pigment's status. "
        "Pigment allows 500 requests in 5 minutes per IP address."
    )


class LandingUnconfirmed(Busy):
    """Pigment may have accepted the file but did not confirm it."""

    next_step = "No action needed: the next run sends the file again, which is safe because the target is repeatable."


class StorageBusy(Busy):
    """Cloud Storage is busy or cannot be reached."""

    next_step = "No action needed yet; the next run retries."


class BigqueryBusy(Busy):
    """BigQuery is busy or cannot be reached."""

    next_step = "No action needed yet; the next sweep compares again."


class DiskFull(Busy):
    """The disk of a bridge on this machine is full or cannot be written."""

    next_step = "Free space there, then run again. Deliveries that were acknowledged are stored."


class OutOfTime(Busy):
    """The time budget ended before anything was sent."""

    next_step = "Raise the function's timeout and the schedule's attempt deadline, or load in windows."
