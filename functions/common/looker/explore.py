"""The fields of an explore, as Looker describes them (API 4.0, `lookml_model_explore`)."""

import urllib.parse

import msgspec

from common.looker.client import LookerClient
from common.looker.query import LookerQuery


class ExploreField(msgspec.Struct, frozen=True):
    name: str
    type: str | None = None
    label: str | None = None
    "Its header in a CSV."
    view: str | None = None
    primary_key: bool | None = None


class ExploreFields(msgspec.Struct, frozen=True):
    dimensions: list[ExploreField] | None = None
    measures: list[ExploreField] | None = None
    filters: list[ExploreField] | None = None
    parameters: list[ExploreField] | None = None

    def by_name(self) -> dict[str, ExploreField]:
        kinds = (self.dimensions, self.measures, self.filters, self.parameters)
        return {field.name: field for kind in kinds for field in kind or []}


class _ExploreAnswer(msgspec.Struct, frozen=True):
    fields: ExploreFields


def fields_of(looker: LookerClient, query: LookerQuery) -> ExploreFields:
    """Return the fields of a query's explore. Raises as `LookerClient.look_query` does."""
    model, view = (urllib.parse.quote(name, safe="") for name in (query.model, query.view))
    path = f"/lookml_models/{model}/explores/{view}"
    return looker.get_as(_ExploreAnswer, path, query.explore, fields="fields").fields
