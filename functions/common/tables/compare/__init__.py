"""Find the rows that are new or changed since the last landed file (`compare`), and write them (`write_delta`)."""

from common.tables.compare.comparing import BadKeys, FileComparison, compare, key_in_file
from common.tables.compare.delta import write_delta
from common.tables.compare.diff import ChangeCounts, Diff

__all__ = ["BadKeys", "ChangeCounts", "Diff", "FileComparison", "compare", "key_in_file", "write_delta"]
