"""The names that Pigment gives by itself; here they follow from what they name, so that they never change."""

import hashlib
import re
import string
from uuid import UUID

from local.sandbox.duckdb_engine import literal

_SUFFIX_LETTERS = string.ascii_uppercase + string.digits


def technical(owner: str, name: str) -> str:
    """The technical name of a property, dimension or metric: `origin_GDBAK8`."""
    number = int.from_bytes(hashlib.sha256(f"{owner} {name}".encode()).digest())
    suffix = "".join(_SUFFIX_LETTERS[number // 36**place % 36] for place in range(6))
    return f"{re.sub('[^a-z0-9]+', '_', name.lower())}_{suffix}"


def modality_id(block: str, name: str) -> UUID:
    """The id of an item of a list, by the first property of the list."""
    return UUID(hashlib.md5(f"{block}{name}".encode(), usedforsecurity=False).hexdigest())


def is_modality(block: str, name: str, wanted: list[UUID]) -> str:
    """SQL for whether the item that `name` gives is one of those."""
    ids = ", ".join(literal(each.hex) for each in wanted) or "NULL"
    return f"md5({literal(block)} || CAST({name} AS VARCHAR)) IN ({ids})"
