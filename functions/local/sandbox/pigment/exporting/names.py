"""Names and IDs that Pigment generates. Here they are derived from the named object, so they never change."""

import hashlib
import re
import string
from uuid import UUID

from local.sandbox.duckdb_engine import literal

_SUFFIX_LETTERS = string.ascii_uppercase + string.digits


def technical(owner: str, name: str) -> str:
    """Return the technical name of a property, dimension or metric: `origin_GDBAK8`."""
    number = int.from_bytes(hashlib.sha256(f"{owner} {name}".encode()).digest())
    suffix = "".join(_SUFFIX_LETTERS[number // 36**place % 36] for place in range(6))
    return f"{re.sub('[^a-z0-9]+', '_', name.lower())}_{suffix}"


def modality_id(block: str, name: str) -> UUID:
    """Return the ID of an item of a list, from the list's first property."""
    return UUID(hashlib.md5(f"{block}{name}".encode(), usedforsecurity=False).hexdigest())


def is_modality(block: str, name: str, wanted: list[UUID]) -> str:
    """Return an SQL condition: the item in the column `name` is one of those wanted."""
    ids = ", ".join(literal(each.hex) for each in wanted) or "NULL"
    return f"md5({literal(block)} || CAST({name} AS VARCHAR)) IN ({ids})"
