"""The fields of explores, for the checks of pulls."""

from common.looker.client import LookerClient
from common.looker.explore import ExploreFields, fields_of
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError


class CheckedExplore:
    """Reads each explore once, however many pulls use it."""

    def __init__(self, looker: LookerClient) -> None:
        self._looker = looker
        self._cache: dict[tuple[str, str], ExploreFields | BridgeError] = {}

    def types(self, query: LookerQuery) -> dict[str, str] | BridgeError:
        """Return the types of the fields of a query's explore by name, or the error if it cannot be read."""
        fields = self.fields(query)
        if isinstance(fields, BridgeError):
            return fields
        return {name: field.type or "" for name, field in fields.by_name().items()}

    def fields(self, query: LookerQuery) -> ExploreFields | BridgeError:
        """Return the fields of a query's explore, or the error if it cannot be read."""
        key = (query.model, query.view)
        if key not in self._cache:
            try:
                self._cache[key] = fields_of(self._looker, query)
            except BridgeError as error:
                self._cache[key] = error
        return self._cache[key]
