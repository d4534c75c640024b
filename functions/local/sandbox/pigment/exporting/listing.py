"""The export of a list: one row per item, one column per property."""

from collections.abc import Callable

from local.sandbox.pigment.database import table
from local.sandbox.pigment.exporting import names
from local.sandbox.pigment.exporting.csv_text import ExportedField, Extract
from local.sandbox.pigment.exporting.request_bodies import ListRequest, RequestedPropertyFilter, Unanswerable
from local.sandbox.pigment.model import Block

ListOf = Callable[[Block, str], str | None]
"Returns the list that a property of a block refers to."


def for_view(block: Block) -> Extract:
    """Return the extract of a view: every property by its display name, in the block's order."""
    return Extract(_fields(block, list(block.properties), friendly=True), [_source(block, [])])


def for_request(block: Block, requested: ListRequest, list_of: ListOf) -> Extract:
    """Return the extract of a request. Raises Unanswerable if the list lacks a property or dimension."""
    by_technical_name = {names.technical(block.id, name): name for name in block.properties}
    wanted = requested.property_technical_names
    unknown = set(wanted or ()) - set(by_technical_name)
    if unknown:
        raise Unanswerable(f"{block.name} has no property {', '.join(sorted(unknown))}.")
    # "If null, all properties of the list will be exported ordered by their technical name."
    properties = [by_technical_name[name] for name in (sorted(by_technical_name) if wanted is None else wanted)]
    conditions = [_condition(block, each, by_technical_name, list_of) for each in requested.property_filters or ()]
    if requested.list_filter:
        conditions.append(names.is_modality(block.id, "p0", requested.list_filter))
    return Extract(_fields(block, properties, friendly=bool(requested.friendly_headers)), [_source(block, conditions)])


def _fields(block: Block, properties: list[str], *, friendly: bool) -> list[ExportedField]:
    return [
        ExportedField(
            name if friendly else names.technical(block.id, name), f"p{block.position(name)}", block.properties[name]
        )
        for name in properties
    ]


def _source(block: Block, conditions: list[str]) -> str:
    return f"{table(block)} WHERE {' AND '.join(conditions) or 'true'}"


def _condition(
    block: Block, requested: RequestedPropertyFilter, by_technical_name: dict[str, str], list_of: ListOf
) -> str:
    name = by_technical_name.get(requested.property_technical_name)
    to = list_of(block, name) if name else None
    if name is None or to is None:
        raise Unanswerable(f"{block.name} has no dimension {requested.property_technical_name}.")
    return names.is_modality(to, f"p{block.position(name)}", requested.modality_ids)
