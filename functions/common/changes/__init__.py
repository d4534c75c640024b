"""Only the rows that are new or changed since the last landed file: `compare` finds them, `write_delta` writes them."""

from common.changes.comparing import BadKeys, Comparison, compare, key_in_file
from common.changes.delta import write_delta

__all__ = ["BadKeys", "Comparison", "compare", "key_in_file", "write_delta"]
