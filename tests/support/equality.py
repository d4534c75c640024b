"""A comparison of files of a bucket, as a run does it: the block's rows are summed while they arrive, then matched."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from common.storage.bucket import Bucket
from common.tables.compare.file import ArrivingCsv, CheckedCsv
from common.tables.equality.comparing import BlockComparison
from common.tables.equality.forms import Reading
from common.tables.equality.matching import have_same_rows
from common.tables.equality.result import BlockEquality, Pairing, SentFile
from common.tables.equality.sides import Side
from common.tables.records import complete_records

_PIECE_BYTES = 4096
_ENDLESS_PIECES = 10_000


def ignore(_what: str, _count: int) -> None:
    """Show no progress."""


def compare_with_block(
    bucket: Bucket,
    sent: Sequence[SentFile],
    block: SentFile,
    pairing: Pairing,
    rows: int,
    *,
    shows_values: bool = False,
) -> BlockEquality:
    comparison, ahead = BlockComparison(bucket, sent, pairing), BlockComparison(bucket, sent, pairing)
    ahead.read_ahead(ignore)
    same = comparison.count_same(_arriving(bucket, block), ignore)
    assert ahead.count_same(_arriving(bucket, block), ignore) == same
    if same is not None:
        return BlockEquality(same, same)
    return comparison.match(CheckedCsv(bucket, block.path, block.delimiter), rows, ignore, shows_values=shows_values)


def _arriving(bucket: Bucket, block: SentFile) -> ArrivingCsv:
    return ArrivingCsv(block.path, block.delimiter, complete_records(bucket.blocks(block.path), _PIECE_BYTES))


class EndlessFile:
    """A bucket with a file of one column that is far longer than is read until somebody stops it."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.is_read_whole = False

    def blocks(self, _path: str) -> Iterator[bytes]:
        yield b"Id\n"
        for _ in range(_ENDLESS_PIECES):
            yield b"1\n" * 1000
            self.has_begun.set()
        self.is_read_whole = True


def compare_rows(bucket: Any, arriving: Iterator[bytes]) -> None:
    """Compare a file of this bucket with a block while it arrives."""
    readings = [Reading("text")]
    sent = Side([CheckedCsv(bucket, "sent", ",")], ["Id"], readings, [0])
    block = Side([ArrivingCsv("block", ",", arriving)], ["Id"], readings, [0])
    have_same_rows(sent, block, ignore)
