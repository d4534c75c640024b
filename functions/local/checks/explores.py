"""The fields of explores, for the checks of pulls."""

from common.looker.client import LookerClient
from common.looker.explore import fields_of
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError


class CheckedExplore:
    """Reads each explore once, however many pulls use it."""

    def __init__(self, looker: LookerClient) -> None:
        self._looker = looker
        self._cache: dict[tuple[str, str], dict[str, str] | BridgeError] = {}

    def types(self, query: LookerQuery) -> dict[str, str] | BridgeError:
        """Return the types of the fields of a query's explore by name, or the error if it cannot be read."""
        key = (query.model, query.view)
        if key not in self._cache:
            try:
                fields = fields_of(self._looker, query).by_name()
                self._cache[key] = {name: field.type or "" for name, field in fields.items()}
            except BridgeError as error:
                self._cache[key] = error
        return self._cache[key]
