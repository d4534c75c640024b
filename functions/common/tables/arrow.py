"""Read CSV records with Arrow. Importing this module takes a third of a second: only what needs it imports it."""

from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_records(records: bytes, columns: int, delimiter: str, **conversion: Any) -> pa.Table:
    """Read complete records as a table of text whose columns are named by their numbers, because a header may repeat a
    name.

    `conversion` has further options of `pyarrow.csv.ConvertOptions`.
    Raises ArrowInvalid, whose message quotes the record, if they are not CSV with these columns.
    """
    numbers = [str(place) for place in range(columns)]
    # Arrow removes a byte order mark, which here is part of a cell: it gets one to remove.
    if records.startswith(_BYTE_ORDER_MARK):
        records = _BYTE_ORDER_MARK + records
    size = {"use_threads": False, "block_size": max(len(records), 1)}
    return arrow_csv.read_csv(
        pa.BufferReader(records),
        arrow_csv.ReadOptions(column_names=numbers, **size),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
        # Arrow checks each cell, which takes a third of the time.
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()), check_utf8=not records.isascii(), **conversion
        ),
    )
