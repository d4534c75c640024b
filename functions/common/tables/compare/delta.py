"""The rows to send, copied out of the whole file byte for byte and in its order, header first."""

from collections.abc import Callable, Iterator
from itertools import compress

from common.storage.store import Store
from common.tables.compare.comparing import Comparison
from common.tables.compare.file import File, split
from common.tables.csv import Checked
from common.tables.staging import Staged, Staging


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
    with store.writing(to) as delta:
        staging = Staging(delta)
        for records in _chosen(file, comparison.is_sent):
            staging.write(records)
            progress("bytes written", staging.bytes)
    checked = Checked(file.header, comparison.is_sent.count(1), comparison.warnings)
    return staging.staged(to, checked, delimiter)


def _chosen(file: File, is_sent: bytearray) -> Iterator[bytes]:
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
