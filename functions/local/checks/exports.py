"""Checks of what is exported, by exports, to read blocks back and to look up known items: each id is looked up in
Pigment's catalogue.

Nothing is exported: Pigment has no request that only validates an export.
"""

from collections.abc import Collection, Iterator

import msgspec

from common import bridge_yaml
from common.bridge_yaml.rules import path_of
from common.platform.errors import BridgeError, PigmentKeyRefused
from common.runs.instance import Instance
from local import catalogue
from local.catalogue import Catalogue
from local.checks.finding import Finding, green, red, yellow

_KINDS = {
    "Table": "table",
    "Metric": "metric",
    "DimensionList": "list",
    "TransactionList": "list",
}
"The key of a source for each type of block (Pigment's API description, `BlockMetadataType`)."
_COMMANDS = {"view": "views", "list": "blocks", "metric": "blocks", "table": "blocks"}
"The command that lists the ids of each kind."


def findings(bridge: bridge_yaml.Bridge, instance: Instance, keys: Collection[str]) -> Iterator[Finding]:
    """Check the source and the fallback of each export, the blocks of `verify`, and the lists of known items.

    Args:
        keys: the names of secrets with keys that Pigment accepts. The first one with the scope is used.
    """
    sources = list(_sources(bridge))
    if not sources or not keys:
        return
    lookup = _look_up({source.id for source in sources}, bridge.pigment, instance, keys)
    for source in sources:
        yield _finding(source, lookup)


class _ExportedObject(msgspec.Struct, frozen=True):
    """A source or a fallback, a block that is read back, or a list of known items, in bridge.yaml."""

    subject: str
    "`exports.revenue.source.view`"
    command: str
    "The command that exports it and changes nothing."
    kind: str
    "view, list, metric or table"
    id: str


def _sources(bridge: bridge_yaml.Bridge) -> Iterator[_ExportedObject]:
    for name, export in bridge.exports.items():
        for key, source in (("source", export.source), ("fallback", export.fallback)):
            if source is not None:
                yield _object(f"exports.{name}.{key}", source, f"bridge export {name} --preview")
    for name, pull in bridge.pulls.items():
        yield from _of_import(f"pulls.{name}", pull, f"bridge pull {name} --preview")
    for name, relay in bridge.relays.items():
        if isinstance(relay, bridge_yaml.Relay):
            yield from _of_import(f"relays.{name}", relay, "bridge deliver")


def _object(path: str, source: bridge_yaml.ExportSource, command: str) -> _ExportedObject:
    kind, identifier = kind_and_id(source)
    return _ExportedObject(f"{path}.{kind}", command, kind, identifier)


def kind_and_id(source: bridge_yaml.ExportSource) -> tuple[str, str]:
    """Return the key of a source, which is the kind of what it names, and the id of that."""
    kind = type(source).__name__.removesuffix("Source").lower()
    return kind, getattr(source, kind)


def _of_import(path: str, job: bridge_yaml.AnyImport, command: str) -> Iterator[_ExportedObject]:
    if job.verify is not None:
        yield _object(f"{path}.verify.source", job.verify.source, f"bridge verify {job.name}")
    yield from _known_lists(path, job.known, command)


def _known_lists(job: str, known: bridge_yaml.Known | None, command: str) -> Iterator[_ExportedObject]:
    for name, column in known.columns.items() if known else ():
        yield _ExportedObject(f"{path_of(f'{job}.known.columns', name)}.list", command, "list", column.list)


class _Match(msgspec.Struct, frozen=True):
    """The object in Pigment that has an id."""

    kind: str
    name: str


class _ExportLookup(msgspec.Struct, frozen=True):
    """The result of looking up ids in Pigment."""

    matches: dict[str, _Match]
    "By id."
    with_export_key: bool = False
    "False if the import key was used. Its owner may see other objects than the owner of the export key."
    obstacle: str = ""
    "Why not everything could be read; empty if it could."


def _look_up(
    ids: set[str], settings: bridge_yaml.PigmentSettings, instance: Instance, keys: Collection[str]
) -> _ExportLookup:
    matches: dict[str, _Match] = {}
    try:
        with catalogue.open_catalogue(settings, instance, keys) as (opened, key):
            for id_, match in _objects(opened):
                if id_ in ids:
                    matches[id_] = match
                if matches.keys() == ids:
                    break
            return _ExportLookup(matches, with_export_key=key == settings.export_key)
    except PigmentKeyRefused:
        return _ExportLookup(matches, obstacle=f"no key has the scope {catalogue.SCOPE}")
    except BridgeError as error:
        return _ExportLookup(matches, obstacle=error.cause.rstrip("."))


def _objects(opened: Catalogue) -> Iterator[tuple[str, _Match]]:
    for application, view in opened.views():
        yield view.id.lower(), _Match("view", f"{view.name}, in {application.name}")
    for application, block in opened.blocks():
        yield block.id.lower(), _Match(_KINDS.get(block.type, block.type), f"{block.name}, in {application.name}")


def _finding(source: _ExportedObject, lookup: _ExportLookup) -> Finding:
    match = lookup.matches.get(source.id)
    if match and match.kind == source.kind:
        return green(source.subject, f"The id belongs to the {match.kind} {match.name}.")
    if match:
        what = f"The id belongs to the {match.kind} {match.name}. It is not a {source.kind}."
        return red(source.subject, what, f"Write {match.kind}: instead of {source.kind}: if this is the right id.")
    preview = f"`{source.command}` tries the export itself."
    if lookup.obstacle:
        return yellow(
            source.subject,
            f"The id cannot be checked: {lookup.obstacle}.",
            f"Add the scope {catalogue.SCOPE} to the export key. Without it, {preview}",
        )
    next_step = f"`bridge {_COMMANDS[source.kind]}` lists all ids."
    if lookup.with_export_key:
        what = f"Pigment shows no {source.kind} with this id to the owner of the export key."
        return red(source.subject, what, next_step)
    what = f"Pigment shows no {source.kind} with this id to the owner of the import key."
    return yellow(source.subject, what, f"{next_step} {preview} It uses the export key, whose owner may see more.")
