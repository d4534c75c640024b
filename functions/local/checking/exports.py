"""What exports read, looked for in Pigment's lists: nothing is exported, as Pigment has no way to only try that."""

from collections.abc import Collection, Iterator

import msgspec

from common import bridge_yaml
from common.platform.errors import BridgeError, PigmentKeyRefused
from common.runs.instance import Instance
from local import catalogue
from local.catalogue import Catalogue
from local.checking.finding import Finding, green, red, yellow

_KINDS = {
    "Table": "table",
    "Metric": "metric",
    "DimensionList": "list",
    "TransactionList": "list",
}
"The key of a source for each type of block (Pigment's API description, `BlockMetadataType`)."


def findings(bridge: bridge_yaml.Bridge, instance: Instance, keys: Collection[str]) -> Iterator[Finding]:
    """What came of each; the first of the keys that may look does.

    Args:
        keys: the secrets with a key that Pigment accepts, for whatever scope.
    """
    sources = list(_sources(bridge))
    if not sources or not keys:
        return
    seen = _look_for({source.id for source in sources}, bridge.pigment, instance, keys)
    for source in sources:
        yield _finding(source, seen)


class _Source(msgspec.Struct, frozen=True):
    subject: str
    "`exports.revenue.source.view`"
    job: str
    kind: str
    "view, list, metric or table"
    id: str


def _sources(bridge: bridge_yaml.Bridge) -> Iterator[_Source]:
    for name, export in bridge.exports.items():
        for where, source in (("source", export.source), ("fallback", export.fallback)):
            if source is not None:
                kind = type(source).__name__.removesuffix("Source").lower()
                yield _Source(f"exports.{name}.{where}.{kind}", name, kind, getattr(source, kind))


class _Place(msgspec.Struct, frozen=True):
    """What an id stands for."""

    kind: str
    name: str


class _Seen(msgspec.Struct, frozen=True):
    """What a walk through Pigment came by."""

    places: dict[str, _Place]
    "By id, as far as it was looked for."
    as_exported: bool = False
    "Whether the export key showed it; the import key may have another owner, who sees something else."
    unseen: str = ""
    "Why not all could be looked at."


def _look_for(wanted: set[str], where: bridge_yaml.PigmentSettings, instance: Instance, keys: Collection[str]) -> _Seen:
    places: dict[str, _Place] = {}
    try:
        with catalogue.opened(where, instance, keys) as (seen, key):
            for id_, place in _places(seen):
                if id_ in wanted:
                    places[id_] = place
                if places.keys() == wanted:
                    break
            return _Seen(places, as_exported=key == where.export_key)
    except PigmentKeyRefused:
        return _Seen(places, unseen=f"no key has the scope {catalogue.SCOPE}")
    except BridgeError as error:
        return _Seen(places, unseen=error.cause.rstrip("."))


def _places(seen: Catalogue) -> Iterator[tuple[str, _Place]]:
    for application, view in seen.views():
        yield view.id.lower(), _Place("view", f"{view.name}, in {application.name}")
    for application, block in seen.blocks():
        yield block.id.lower(), _Place(_KINDS.get(block.type, block.type), f"{block.name}, in {application.name}")


def _finding(source: _Source, seen: _Seen) -> Finding:
    place = seen.places.get(source.id)
    for_real = f"`bridge export {source.job} --preview` tries it for real"
    if place and place.kind == source.kind:
        return green(source.subject, f"It is the {place.kind} {place.name}.")
    if place:
        what = f"It is the {place.kind} {place.name}, and no {source.kind}."
        return red(source.subject, what, f"Write {place.kind}: in place of {source.kind}:, if that is meant.")
    if seen.unseen:
        return yellow(
            source.subject,
            f"Whether it exists cannot be seen: {seen.unseen}.",
            f"Add the scope {catalogue.SCOPE} to the export key, or leave it: {for_real}.",
        )
    next_step = f"`bridge {_LISTED[source.kind]}` shows those there are, with their ids"
    if seen.as_exported:
        what = f"Pigment shows the owner of the export key no {source.kind} with this id."
        return red(source.subject, what, f"{next_step}.")
    what = f"Pigment shows the owner of the import key no {source.kind} with this id."
    return yellow(source.subject, what, f"{next_step}; {for_real}, as the owner of the export key.")


_LISTED = {"view": "views", "list": "blocks", "metric": "blocks", "table": "blocks"}
