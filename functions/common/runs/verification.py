"""Verification: read a block back from Pigment, and compare it with what was sent.

What the block should have depends on the load: the file of the last landing for `full` and for relays, the whole file
with which `changes` compares, and the files of all windows (`kept_files`) for `incremental`.

Pigment's counts describe what an import changed. Only the block itself shows what is there; and it shows whether a push
was accepted whose answer was lost.
"""

from functools import partial
from typing import Literal

import msgspec

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.errors import NotEqual
from common.runs import kept_files
from common.runs.cursors import LastLanding
from common.runs.ends import End, Landed, LandedInPart
from common.runs.landing import land
from common.runs.leases import Journal, Lease
from common.runs.read_back import NotVerified, ReadBack
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.storage import paths
from common.tables.equality.result import SentFile
from common.tables.staging import Staged

_IMPORTED_WITHIN_S = 3600
"""Pigment imports a file within minutes. Rows that are not there an hour later will not come any more; if they do, they
are in the block twice, which the next comparison finds."""


class FoundRows(msgspec.Struct, frozen=True):
    """What a block has of the rows of one file."""

    presence: Literal["all", "none", "none_yet", "some"]
    in_words: str


def land_and_verify(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.AnyImport,
    lease: Lease,
    pigment: PigmentClient,
    staged: Staged,
    landed: LastLanding,
) -> End:
    """Land a file as `landing.land` does and, if the job says so, read the block back, as `verify_landing` does."""
    if job.verify is None:
        return land(run, lease, pigment, job.target, staged, landed)
    with ReadBack(run, bridge, job, job.verify, partial(_expected, run, job, landed)) as read_back:
        end = land(run, lease, pigment, job.target, staged, landed, while_importing=read_back.read_ahead)
        return _verified(run, job, job.verify, landed, end, read_back)


def verify_landing(
    run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.AnyImport, verify: bridge_yaml.Verify, landed: LastLanding
) -> End:
    """Read the block back after a landing and note the verdict. Return the end of the run, which fails if the block
    does not have what was sent.
    """
    read_back = ReadBack(run, bridge, job, verify, partial(_expected, run, job, landed))
    return _verified(run, job, verify, landed, Landed(), read_back)


def find_rows(run: Run, bridge: bridge_yaml.Bridge, journal: Journal) -> FoundRows | None:
    """Read back whether the file of an earlier run is in its block; None if that cannot be told.

    A key identifies a row of the block. So a file whose rows are all there must not be sent again, whether this run or
    an earlier one has sent them; and one of which no row is there can be, once Pigment cannot be importing it any more.
    """
    earlier, job = journal.receipt, bridge.job(journal.receipt.job)
    if (
        not isinstance(job, bridge_yaml.AnyImport)
        or job.verify is None
        or job.target.configuration != earlier.configuration
    ):
        return None
    file = SentFile(paths.staged(job.name, earlier.run), job.target.delimiter)
    found = ReadBack(run, bridge, job, job.verify, lambda: [file]).compare()
    if isinstance(found, NotVerified):
        return None
    if found.has_all:
        return FoundRows("all", f"The block has all {found.sent:,} rows of the file.")
    if not found.has_none:
        return FoundRows("some", found.in_words(accepts_extra=True))
    # The receipt is stored when a run ends as unknown, or by the first run that finds it open. Its age is judged by the
    # clock of Cloud Storage: another instance's clock may be an hour off.
    stored = run.instance.bucket.read_dated(paths.receipt(job.name, earlier.run), Receipt)
    is_over = stored is not None and stored.age_s > _IMPORTED_WITHIN_S
    return FoundRows("none" if is_over else "none_yet", f"The block has none of the {found.sent:,} rows of the file.")


def _verified(
    run: Run,
    job: bridge_yaml.AnyImport,
    verify: bridge_yaml.Verify,
    landed: LastLanding,
    end: End,
    read_back: ReadBack,
) -> End:
    if not isinstance(end, Landed):
        return end
    found = read_back.compare()
    if isinstance(found, NotVerified):
        run.note_verified(found.verdict)
        return msgspec.structs.replace(end, warnings=(*end.warnings, found.warning))
    accepts_extra = _accepts_extra(job, verify, landed)
    if not found.differs(accepts_extra=accepts_extra):
        run.note_verified("equal", found)
        return end
    run.note_verified("differs", found)
    return LandedInPart(NotEqual(found.in_words(accepts_extra=accepts_extra)), end.counts, end.skips, end.warnings)


def _expected(run: Run, job: bridge_yaml.AnyImport, landed: LastLanding) -> list[SentFile]:
    """Return the files that together are what the block should have."""
    bucket, names = run.instance.bucket, [landed.staged]
    if _is_incremental(job):
        names = kept_files.all_landed(bucket, job.name, landed)
    return [SentFile(name, landed.delimiter or job.target.delimiter) for name in names]


def _is_incremental(job: bridge_yaml.AnyImport) -> bool:
    return isinstance(job, bridge_yaml.Pull) and isinstance(job.load, bridge_yaml.Incremental)


def _accepts_extra(job: bridge_yaml.AnyImport, verify: bridge_yaml.Verify, landed: LastLanding) -> bool:
    """Whether the block may have rows that these files do not have: an append keeps those of earlier runs."""
    if verify.accept_extra:
        return True
    return landed.kept == 0 if _is_incremental(job) else not job.target.repeatable
