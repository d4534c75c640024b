"""A comparison of files of a bucket, as a run does it: the block's rows are summed while they arrive, then matched."""

from collections.abc import Sequence

from common.storage.bucket import Bucket
from common.tables.compare.file import ArrivingCsv, CheckedCsv
from common.tables.equality.comparing import BlockComparison
from common.tables.equality.result import BlockEquality, Pairing, SentFile
from common.tables.records import complete_records

_PIECE_BYTES = 4096


def compare_with_block(
    bucket: Bucket,
    sent: Sequence[SentFile],
    block: SentFile,
    pairing: Pairing,
    rows: int,
    *,
    shows_values: bool = False,
) -> BlockEquality:
    comparison = BlockComparison(bucket, sent, pairing, lambda *_: None)
    pieces = complete_records(bucket.blocks(block.path), _PIECE_BYTES)
    same = comparison.count_same(ArrivingCsv(block.path, block.delimiter, pieces))
    if same is not None:
        return BlockEquality(same, same)
    return comparison.match(CheckedCsv(bucket, block.path, block.delimiter), rows, shows_values=shows_values)
