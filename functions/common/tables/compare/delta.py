"""Copy the header and the rows to send out of the complete file, byte for byte and in its order."""

from collections.abc import Iterator
from itertools import compress

from common.storage.bucket import Bucket
from common.tables.check import Checked
from common.tables.compare.comparing import FileComparison
from common.tables.compare.file import CheckedCsv
from common.tables.records import split
from common.tables.staging import ProgressCallback, Staged, StagingWriter


def write_delta(
    bucket: Bucket, after: str, comparison: FileComparison, to: str, delimiter: str, progress: ProgressCallback
) -> Staged:
    """Write the new and changed rows of the compared file, `after`, to a file of their own."""
    file = CheckedCsv(bucket, after, delimiter)
    with bucket.writing(to) as delta:
        staging = StagingWriter(delta.write)
        for records in _chosen(file, comparison.is_sent):
            staging.write(records)
            progress("bytes written", staging.bytes)
    checked = Checked(file.header, comparison.is_sent.count(1), comparison.warnings)
    return staging.staged(to, checked, delimiter)


def _chosen(file: CheckedCsv, is_sent: bytearray) -> Iterator[bytes]:
    yield file.header_record
    begin = 0
    for records in file.pieces():
        each = split(records)
        end = begin + len(each)
        if chosen := list(compress(each, is_sent[begin:end])):
            yield b"\n".join(chosen) + b"\n"
        begin = end
    if begin != len(is_sent):
        raise file.refusal()
