"""The fields of an explore, as Looker describes them (API 4.0, `lookml_model_explore`)."""

import urllib.parse

import msgspec

from common.looker.client import LookerClient, Query


class ExploreField(msgspec.Struct, frozen=True):
    """A field, as far as the bridge asks for it."""

    name: str
    type: str | None = None
    label: str | None = None
    "Its header in a CSV."


class Fields(msgspec.Struct, frozen=True):
    dimensions: list[ExploreField] | None = None
    measures: list[ExploreField] | None = None
    filters: list[ExploreField] | None = None
    parameters: list[ExploreField] | None = None

    def by_name(self) -> dict[str, ExploreField]:
        kinds = (self.dimensions, self.measures, self.filters, self.parameters)
        return {field.name: field for kind in kinds for field in kind or []}


class _Explore(msgspec.Struct, frozen=True):
    fields: Fields


def fields_of(looker: LookerClient, query: Query) -> Fields:
    """What there is to ask of a query's explore.

    Raises:
        LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, AnswerNotUnderstood.
    """
    model, view = (urllib.parse.quote(name, safe="") for name in (query.model, query.view))
    path = f"/lookml_models/{model}/explores/{view}"
    return looker.get_as(_Explore, path, query.explore, fields="fields").fields
