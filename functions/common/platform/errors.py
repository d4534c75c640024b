"""Every way a run can go wrong, with what the person who reads the message can do about it.

    BridgeError
    ├── MalformedRequest           400  the call itself
    ├── TokenRefused               401
    ├── NoSuchJob                  404
    ├── ConfigurationOccupied      409  one flight per configuration
    ├── BodyTooLong                413
    ├── Refused                    422  a guard or the column contract said no
    │   ├── CannotStream
    │   ├── TruncatedAtLimit
    │   ├── TooFewRows
    │   ├── Shrunk
    │   ├── ColumnsChanged
    │   ├── CursorUnfit
    │   ├── WindowIgnored
    │   ├── KeysNotUnique
    │   ├── TooManySkipped
    │   └── DeliveryNotUsable
    ├── OurFault                   500  this deployment
    │   ├── BridgeFileInvalid
    │   ├── SettingMissing
    │   ├── SecretUnreadable
    │   ├── StorageRefused
    │   ├── LeaseLost
    │   ├── RunInterrupted
    │   ├── LandingUnknown
    │   └── Internal
    ├── VendorRefused              502  Looker or Pigment said no, or said something broken
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
    │   ├── PigmentRefused
    │   └── ImportFailed
    └── Busy                       503  worth trying again, and when
        ├── LookerBusy
        ├── PigmentBusy
        ├── StorageBusy
        └── OutOfTime

An error's code is its class name in snake case and never changes; its docstring is its meaning, `next_step` what to do.
The cause is given where it is raised, and never holds a secret or the content of a row.
"""

import re
from collections.abc import Iterator
from typing import ClassVar


class BridgeError(Exception):
    """Anything a run can end with that is not a landing."""

    status: ClassVar[int]
    "The HTTP status it is answered with."
    next_step: str

    def __init__(self, cause: str, *, next_step: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        if next_step is not None:
            self.next_step = next_step

    @property
    def code(self) -> str:
        return code_of(type(self))


def code_of(kind: type[BridgeError]) -> str:
    """`LookNotFound` is `look_not_found`; a module's private kind goes by the name of its public one."""
    kind = next(public for public in kind.__mro__ if not public.__name__.startswith("_"))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def status_of(code: str) -> int:
    """The HTTP status of an error that was kept by its code; 500 for one this version does not know."""
    return next((kind.status for kind in every_error() if code_of(kind) == code), 500)


def every_error(kind: type[BridgeError] | None = None) -> Iterator[type[BridgeError]]:
    """The leaves of the tree, in the order they are drawn."""
    kind = kind or BridgeError
    children = [child for child in kind.__subclasses__() if not child.__name__.startswith("_")]
    if not children:
        yield kind
    for child in children:
        yield from every_error(child)


class MalformedRequest(BridgeError):
    """The request is not one this function takes."""

    status = 400
    next_step = 'Send POST with a JSON object such as {"job": "flights"}.'


class TokenRefused(BridgeError):
    """The call does not bear the webhook token."""

    status = 401
    next_step = "In Looker: Admin > Webhooks shows the token; add it as a version of the secret webhook.token names."


class NoSuchJob(BridgeError):
    """bridge.yaml names no such job."""

    status = 404
    next_step = (
        "Check the name against bridge.yaml; after a change, run Terraform so that the bucket holds the new file."
    )


class ConfigurationOccupied(BridgeError):
    """Another run holds this import configuration, or this export."""

    status = 409
    next_step = "Wait for that run to end; if it was killed, its hold lapses by itself at the time given."


class BodyTooLong(BridgeError):
    """The delivery is longer than 32 MiB, the most that Cloud Run takes."""

    status = 413
    next_step = "Let the relay start a pull instead (start: JOB), which reads all rows through Looker's API."


class Refused(BridgeError):
    """A guard or the column contract said no."""

    status = 422


class CannotStream(Refused):
    """Looker cannot stream this query, so it would come cut short or with rows that are not data."""

    next_step = "Save a copy of the Look without what is named here, and name the copy in bridge.yaml."


class TruncatedAtLimit(Refused):
    """The number of rows is exactly one of Looker's caps, though all rows were asked for."""

    next_step = (
        "Give the Looker user the permission download_without_limit and make sure the Look can stream. "
        "If the number is a coincidence, set guards.accept_cap: true for this job."
    )


class TooFewRows(Refused):
    """Fewer rows than guards.min_rows; nothing was sent or published."""

    next_step = (
        "Open the Look or the view: if so few rows are right, lower guards.min_rows; if not, mend the source and run "
        "again."
    )


class Shrunk(Refused):
    """Far fewer rows than the last run landed or published; nothing was sent or published."""

    next_step = (
        "Open the Look or the view: if the fall is right, raise guards.max_shrink for one run; if not, mend the source."
    )


class ColumnsChanged(Refused):
    """The header is not what `columns` in bridge.yaml promises Pigment; nothing was sent."""

    next_step = (
        "Bring target.columns and the Look's fields together again, then check the Pigment import configuration."
    )


class CursorUnfit(Refused):
    """The cursor of an incremental load is not what rows can be read in windows of."""

    next_step = (
        "Name a dimension of the explore under load.incremental.cursor: a date, a time, or a number that grows; and a "
        "start, window and overlap of its kind."
    )


class WindowIgnored(Refused):
    """Looker sent rows from outside the window it was asked for; nothing was sent."""

    next_step = (
        "Run the Look in Looker with a filter on the cursor: if that is ignored there too, name another field under "
        "load.incremental.cursor; if dates are hours off, set source.query_timezone to the zone they are shown in."
    )


class KeysNotUnique(Refused):
    """`load.changes.key` does not tell rows apart: some keys are empty or there twice; nothing was sent."""

    next_step = (
        "`bridge pull JOB --preview` shows some of these keys: mend them at their source, or name more columns under "
        "load.changes.key."
    )


class TooManySkipped(Refused):
    """Pigment skipped more rows than guards.max_skipped; the rest has landed."""

    next_step = (
        "The receipt's skips name the reason and the column: add the missing items to their dimension in Pigment or "
        "mend the values, then run again."
    )


class DeliveryNotUsable(Refused):
    """Looker's webhook delivery holds nothing that can be landed as rows."""

    next_step = "In Looker, edit the schedule: deliver the Look itself, not a dashboard, and choose CSV as its format."


class OurFault(BridgeError):
    """This deployment."""

    status = 500


class BridgeFileInvalid(OurFault):
    """bridge.yaml does not say what it has to."""

    next_step = "Mend each line named, then run `bridge check`."


class SettingMissing(OurFault):
    """The function's environment lacks a setting."""

    next_step = "Run Terraform again, or set the variable named here."


class SecretUnreadable(OurFault):
    """A secret cannot be read, or does not hold what it has to."""

    next_step = "Add a version to the secret named here, and let this function's service account read it."


class StorageRefused(OurFault):
    """Cloud Storage refused or does not have what the bridge keeps there."""

    next_step = "Check that the bucket exists and that this function's service account may read and write its objects."


class LeaseLost(OurFault):
    """This run was silent for so long that another one took its place; it stopped before sending."""

    next_step = "Nothing to do: the other run carries on. If it happens often, give the function more memory and CPU."


class RunInterrupted(OurFault):
    """The run ended without a word before anything was sent: killed, or silent for too long."""

    next_step = (
        "Nothing to do: the next run starts afresh. If it happens often, raise the function's memory or timeout."
    )


class LandingUnknown(OurFault):
    """Pigment may have taken the file, and gave no word of it; sending again could double the rows."""

    next_step = (
        "Look at the import history of the block in Pigment, then run `bridge settle RUN --landed` or "
        "`bridge settle RUN --not-landed`. If sending twice does no harm, set target.repeatable: true."
    )


class Internal(OurFault):
    """A fault in the bridge itself."""

    next_step = "Look up the run in the logs, where the whole trace is, and report it."


class VendorRefused(BridgeError):
    """Looker or Pigment said no, or said something broken."""

    status = 502


class LookerLoginRefused(VendorRefused):
    """Looker does not accept the client id and secret (it answers 404 to a wrong pair)."""

    next_step = "Make a new API key for the bridge's Looker user, add it as a new version of the secret, and run again."


class LookNotFound(VendorRefused):
    """Looker has no such Look or query, or its user may not see it (Looker answers 404 to both)."""

    next_step = "Check the id in bridge.yaml, and that the bridge's Looker user may see the Look and its model."


class LookerRefused(VendorRefused):
    """Looker refused a request."""

    next_step = "Read Looker's own words above; `bridge check` tries every permission the job needs."


class QueryFailed(VendorRefused):
    """Looker's database failed, and Looker sent the error text in place of rows; nothing was sent."""

    next_step = "Run the Look in Looker: it shows the database's own message there."


class StreamCut(VendorRefused):
    """The answer ended before its end; nothing was sent or published."""

    next_step = "Run again. If it happens every time, filter the source, or load a Look in windows."


class RowsMalformed(VendorRefused):
    """The file from Looker or Pigment is not a whole, regular CSV; nothing was sent or published."""

    next_step = "Open the record named here at its source, and mend the field or leave it out."


class AnswerNotUnderstood(VendorRefused):
    """A vendor's answer is not what its API description says."""

    next_step = "Check the address in bridge.yaml: a proxy or login page may answer in the vendor's place."


class PigmentKeyRefused(VendorRefused):
    """Pigment answered 401 to the key."""

    next_step = (
        "One of four: the key has expired (the expiry day itself no longer counts), lacks the scope (Import for pulls "
        "and relays, Export for exports), is used from an address that its allow list lacks, or its owner was "
        "deactivated. Add a new key as a new version of the secret."
    )


class ImportConfigurationNotFound(VendorRefused):
    """Pigment has no import configuration with this id."""

    next_step = "In Pigment: Block > Settings > Import configurations > … > Copy ID; put it into target.configuration."


class BlockNotFound(VendorRefused):
    """Pigment has no such view, list, metric or table, or the key's owner may not see it."""

    next_step = (
        "`bridge views` and `bridge blocks` list the ids that the key's owner sees; put the right one into source."
    )


class ViewTooBig(VendorRefused):
    """Pigment does not export a view of this size (413)."""

    next_step = (
        "Name the block behind the view, which Pigment exports whole: fallback: {table: ID}, or list or metric. "
        "`bridge views` shows each view's block; the view's address in Pigment holds its id too (…/tables/ID?…)."
    )


class ViewNotSupported(VendorRefused):
    """Pigment exports views of lists, metrics and tables alone (422)."""

    next_step = "Make a view of a list, metric or table for the export, and put its id into source.view."


class FileTooBig(VendorRefused):
    """Pigment refused the file for its size."""

    next_step = "Set target.via: storage (Pigment's own Cloud Storage connector), or load incrementally in windows."


class PigmentRefused(VendorRefused):
    """Pigment refused a request."""

    next_step = (
        "Read Pigment's own words above; check that header and delimiter match the import configuration's sample."
    )


class ImportFailed(VendorRefused):
    """Pigment took the file and its import failed."""

    next_step = "Read Pigment's reasons above, mend the file's source or the import configuration, and run again."


class Busy(BridgeError):
    """Worth trying again, and when."""

    status = 503

    def __init__(self, cause: str, *, retry_after_s: float | None = None, next_step: str | None = None) -> None:
        super().__init__(cause, next_step=next_step)
        self.retry_after_s = retry_after_s
        "What the vendor asked for; None where it asked for nothing."


class LookerBusy(Busy):
    """Looker is busy or cannot be reached."""

    next_step = "Nothing at once: the next run tries again. If it lasts, check Looker's status and its IP allow list."


class PigmentBusy(Busy):
    """Pigment is busy or cannot be reached; it has not taken the file."""

    next_step = "Nothing at once: the next run tries again. Pigment takes 500 requests per 5 minutes and address."


class StorageBusy(Busy):
    """Cloud Storage is busy or cannot be reached."""

    next_step = "Nothing at once: the next run tries again."


class OutOfTime(Busy):
    """The time budget ended before anything was sent."""

    next_step = "Raise the function's timeout and the schedule's attempt deadline, or load in windows."
