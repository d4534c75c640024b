"""The fields of explores, each explore read once, however many pulls use it."""

import urllib.parse

import msgspec

from common.errors import BridgeError
from common.looker import Looker, Query


class _Field(msgspec.Struct, frozen=True):
    name: str
    type: str | None = None


class _Fields(msgspec.Struct, frozen=True):
    dimensions: list[_Field] | None = None
    measures: list[_Field] | None = None
    filters: list[_Field] | None = None
    parameters: list[_Field] | None = None


class _Explore(msgspec.Struct, frozen=True):
    fields: _Fields

    def types(self) -> dict[str, str]:
        """Of every field, by its name."""
        kinds = (self.fields.dimensions, self.fields.measures, self.fields.filters, self.fields.parameters)
        return {field.name: field.type or "" for kind in kinds for field in kind or []}


class Explores:
    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._known: dict[str, dict[str, str] | BridgeError] = {}

    def types(self, query: Query) -> dict[str, str] | BridgeError:
        """Of a query's explore, the types of the fields by their names, or why it cannot be read."""
        model, view = (urllib.parse.quote(name, safe="") for name in (query.model, query.view))
        path = f"/lookml_models/{model}/explores/{view}"
        if path not in self._known:
            try:
                explore = self._looker.get_as(_Explore, path, name_of(query), fields="fields")
                self._known[path] = explore.types()
            except BridgeError as error:
                self._known[path] = error
        return self._known[path]


def name_of(query: Query) -> str:
    return f"the explore {query.model}/{query.view}"
