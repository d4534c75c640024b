"""The fields of explores, each explore read once, however many pulls use it."""

from common.looker.client import LookerClient
from common.looker.explore import fields_of
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError


class Explores:
    def __init__(self, looker: LookerClient) -> None:
        self._looker = looker
        self._known: dict[tuple[str, str], dict[str, str] | BridgeError] = {}

    def types(self, query: LookerQuery) -> dict[str, str] | BridgeError:
        """Of a query's explore, the types of the fields by their names, or why it cannot be read."""
        place = (query.model, query.view)
        if place not in self._known:
            try:
                fields = fields_of(self._looker, query).by_name()
                self._known[place] = {name: field.type or "" for name, field in fields.items()}
            except BridgeError as error:
                self._known[place] = error
        return self._known[place]
