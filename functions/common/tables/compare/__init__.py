"""Only the rows that are new or changed since the last landed file: `compare` finds them, `write_delta` writes them."""

from common.tables.compare.comparing import BadKeys, Comparison, compare, key_in_file
from common.tables.compare.delta import write_delta

__all__ = ["BadKeys", "Comparison", "compare", "key_in_file", "write_delta"]
