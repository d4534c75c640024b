"""Preconditions of a request, and other values that requests contain."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

from local.sandbox.storage.refusal import condition_not_met, malformed, not_modified


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The preconditions of the JSON API; generation 0 means that there is no live object."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, list[str]], prefix: str = "if") -> Self:
        """Read the preconditions of a query; those of a copy's source begin with `ifSource`."""
        names = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")
        return cls(*(integer_value(query, prefix + name) for name in names))

    def check(self, generation: int, metageneration: int) -> None:
        """Check the preconditions of a change. Raises StorageRefusal 412."""
        if self._mismatches(generation, metageneration) or self._unchanged(generation, metageneration):
            raise condition_not_met()

    def check_reading(self, generation: int, metageneration: int) -> None:
        """Check the preconditions of a read; 304 means that the client already has the object.

        Raises StorageRefusal 412 or 304.
        """
        if self._mismatches(generation, metageneration):
            raise condition_not_met()
        if self._unchanged(generation, metageneration):
            raise not_modified()

    def _mismatches(self, generation: int, metageneration: int) -> bool:
        return self.generation not in (None, generation) or self.metageneration not in (None, metageneration)

    def _unchanged(self, generation: int, metageneration: int) -> bool:
        return self.not_generation == generation or self.not_metageneration == metageneration


def integer_value(values: Mapping[str, Any], name: str) -> int | None:
    """Return a number of a query or JSON object; the API writes 64-bit numbers as text. Raises StorageRefusal 400."""
    value = values.get(name)
    if isinstance(value, list):
        value = value[0]
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise malformed(f"Invalid value for {name}: {value}") from None


def json_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; an empty text is an empty object. Raises StorageRefusal 400."""
    value = json.loads(text or b"{}")
    if not isinstance(value, dict):
        raise malformed("A JSON object was expected.")
    return value
