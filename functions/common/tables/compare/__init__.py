"""Find the rows that are new or changed since the last landed file (`compare`), and write them (`write_delta`); or only
count the rows that it still has (`count_kept`).
"""

from common.tables.compare.base import BaseDigests
from common.tables.compare.comparing import BadKeys, FileComparison, compare, key_in_file
from common.tables.compare.delta import write_delta
from common.tables.compare.diff import ChangeCounts, Diff
from common.tables.compare.kept import ChangeSize, count_kept

__all__ = [
    "BadKeys",
    "BaseDigests",
    "ChangeCounts",
    "ChangeSize",
    "Diff",
    "FileComparison",
    "compare",
    "count_kept",
    "key_in_file",
    "write_delta",
]
