"""The files that an incremental load has landed: together they are what its block should have.

A file is copied here when the next run begins, so that the cursor has said before that it landed. Its name is its
number among the landings, which `LastLanding.kept` counts. Many small files are merged into one, whose name says up to
which landing it goes: after a kill between the merge and the deletion of the small files, they no longer count.
"""

import contextlib
from collections.abc import Iterator

from common.runs.cursors import LastLanding
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale
from common.tables.compare.file import CheckedCsv

_MERGED = "-and-before.csv"
_MOST_FILES = 50


def keep(bucket: Bucket, job: str, landed: LastLanding, delimiter: str) -> bool:
    """Keep the file of the last landing. Return whether the files of all landings are kept: the bucket may have deleted
    the file of a load that seldom runs.
    """
    known = _files(bucket, job)
    if any(_number_of(name) >= landed.kept for name in known):
        return True
    if landed.kept == 0 or not bucket.exists(landed.staged):
        forget(bucket, job)
        return False
    path = f"{paths.kept(job)}{landed.kept:08d}.csv"
    with contextlib.suppress(Stale):
        bucket.copy(landed.staged, bucket, path, over=0)
    if len(known) >= _MOST_FILES:
        _merge(bucket, job, [*known, path], delimiter)
    return True


def all_landed(bucket: Bucket, job: str, landed: LastLanding) -> list[str]:
    """Return the paths of the files of all landings up to this one, in their order."""
    known = _files(bucket, job) if landed.kept else []
    is_kept = any(_number_of(name) >= landed.kept for name in known)
    return known if is_kept else [*known, landed.staged]


def forget(bucket: Bucket, job: str) -> None:
    """Delete all files: they no longer are what a block should have."""
    for name in list(bucket.names(paths.kept(job))):
        bucket.delete(name)


def _files(bucket: Bucket, job: str) -> list[str]:
    names = sorted(bucket.names(paths.kept(job)))
    merged = max((name for name in names if name.endswith(_MERGED)), default="")
    return [merged] * bool(merged) + [name for name in names if _number_of(name) > _number_of(merged)]


def _number_of(path: str) -> int:
    return int(path.rpartition("/")[2][:8] or 0)


def _merge(bucket: Bucket, job: str, names: list[str], delimiter: str) -> None:
    """Write all files into one, unless their headers differ."""
    parts = [CheckedCsv(bucket, name, delimiter) for name in names]
    if len({part.header_record for part in parts}) > 1:
        return
    with bucket.writing(f"{paths.kept(job)}{_number_of(names[-1]):08d}{_MERGED}") as file:
        for records in _records(parts):
            file.write(records)
    for name in names:
        bucket.delete(name)


def _records(parts: list[CheckedCsv]) -> Iterator[bytes]:
    yield parts[0].header_record
    for part in parts:
        yield from part.pieces()
