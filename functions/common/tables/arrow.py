"""Read CSV records with Arrow. Importing this module takes a third of a second: only what needs it imports it."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_records(
    records: bytes, types: Sequence[Any], delimiter: str, *, with_header: bool = False, **conversion: Any
) -> pa.Table:
    """Read complete records as a table whose columns are named by their numbers, because a header may repeat a name.

    Args:
        types: the Arrow type of each column.
        with_header: the first record is a header, and is skipped.
        conversion: further options of `pyarrow.csv.ConvertOptions`.

    Raises:
        pyarrow.ArrowInvalid: they are not CSV with these columns. Its message quotes the record.
    """
    numbers = [str(place) for place in range(len(types))]
    # Arrow removes a byte order mark, which here is part of a cell: it gets one to remove.
    if records.startswith(_BYTE_ORDER_MARK) and not with_header:
        records = _BYTE_ORDER_MARK + records
    return arrow_csv.read_csv(
        pa.BufferReader(records),
        arrow_csv.ReadOptions(
            use_threads=False,
            block_size=max(len(records), 1),
            column_names=numbers,
            skip_rows_after_names=int(with_header),
        ),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
        arrow_csv.ConvertOptions(column_types=dict(zip(numbers, types, strict=True)), **conversion),
    )
