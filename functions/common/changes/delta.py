"""The rows to send, copied out of the whole file byte for byte and in its order, header first."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import compress

from common import staging
from common.changes.comparing import Comparison
from common.changes.file import File, count, split
from common.csv import Checked
from common.staging import SAMPLE_BYTES, Staged
from common.store import Store


def write_delta(
    store: Store,
    after: str,
    comparison: Comparison,
    to: str,
    delimiter: str,
    progress: Callable[[str, int], None],
) -> Staged:
    """Write the new and changed rows of a file into one of their own.

    Args:
        after: the file that was compared.

    Raises:
        StorageRefused, StorageBusy: one could not be read or the other not be kept.
    """
    file = File(store, after, delimiter)
    digest = hashlib.sha256()
    size = 0
    beginning = b""
    with store.writing(to) as delta:
        for records in _chosen(file, comparison.is_sent):
            digest.update(records)
            size += len(records)
            if len(beginning) < SAMPLE_BYTES:
                beginning += records[: SAMPLE_BYTES - len(beginning)]
            delta.write(records)
            progress("bytes written", size)

    checked = Checked(file.header, comparison.is_sent.count(1), comparison.warnings)
    return Staged(to, digest.hexdigest(), size, checked, staging.sample(beginning, delimiter))


def _chosen(file: File, is_sent: bytearray) -> Iterator[bytes]:
    yield file.header_record
    begin = 0
    for records in file.pieces():
        end = begin + count(records)
        if is_sent.find(1, begin, end) >= 0:
            yield b"".join(record + b"\n" for record in compress(split(records), is_sent[begin:end]))
        begin = end
    if begin != len(is_sent):
        raise file.refusal()
