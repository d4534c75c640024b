"""The applications, blocks, views and import configurations in Pigment, with their ids.

Pigment's metadata API has no pagination, and lists by application or by block, so listing a whole workspace takes one
request per application or block. Its answers name neither the application of a block nor the block of a view; both
follow from the request.
"""

import contextlib
import difflib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
from rich.table import Table

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.errors import BridgeFileInvalid, MalformedRequest, PigmentKeyRefused, SecretUnreadable
from common.runs.instance import Instance
from local import bridge_file, next_steps
from local.interactive_deadline import InteractiveDeadline

SCOPE = "Modeling metadata"
"The scope of a key that may list these."
MAX_BLOCKS = 300
"Each takes a request. Pigment allows 500 per 5 minutes and address, including those of running jobs."

_ID_WIDTH = 36

CatalogueKind = Literal["applications", "blocks", "views", "configurations"]
USES: dict[CatalogueKind, str] = {
    "applications": "`bridge blocks --application NAME` lists the blocks of one, by its name or id.",
    "blocks": "Use the id of a list, metric or table in an export: source: {list: ID}, {metric: ID} or {table: ID}.",
    "views": "Use the id of a view in an export: source: {view: ID}.",
    "configurations": "Use the id of a configuration in a pull or relay: target: {configuration: ID}.",
}
"How to use the ids in bridge.yaml."


class PigmentObject(msgspec.Struct, frozen=True):
    """An application, block, view or import configuration as Pigment lists it."""

    id: str
    name: str = "without a name"
    type: str = ""
    "Of a block: DimensionList, TransactionList, Metric or Table. Of a view: Public or Personal."

    def matches(self, name_or_id: str) -> bool:
        return not name_or_id or name_or_id.strip().casefold() in (self.name.casefold(), self.id.casefold())


class CatalogueEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object in Pigment with the block and the application that it belongs to."""

    name: str
    id: str
    type: str = ""
    block: str = ""
    application: str = ""


class Listing(msgspec.Struct, frozen=True):
    """The result of a search."""

    entries: list[CatalogueEntry]
    is_complete: bool = True
    "False if there are more blocks than were read."


class Catalogue:
    """What Pigment shows to the owner of one key."""

    def __init__(self, pigment: PigmentClient) -> None:
        self._pigment = pigment

    @cached_property
    def applications(self) -> list[PigmentObject]:
        return self._pigment.get_as(list[PigmentObject], "/applications", "its applications")

    def blocks(
        self, applications: Iterable[PigmentObject] | None = None
    ) -> Iterator[tuple[PigmentObject, PigmentObject]]:
        """Yield each block with its application, with one request per application as needed."""
        for application in self.applications if applications is None else applications:
            yield from ((application, block) for block in self._in_application(application, "/blocks"))

    def views(self) -> Iterator[tuple[PigmentObject, PigmentObject]]:
        """Yield each view with its application, with one request per application as needed."""
        for application in self.applications:
            yield from ((application, view) for view in self._in_application(application, "/views"))

    def in_block(
        self, application: PigmentObject, block: PigmentObject, path: Literal["/views", "/importConfigurations"]
    ) -> list[PigmentObject]:
        parameters = {"applicationId": application.id, "blockId": block.id}
        return self._pigment.get_as(list[PigmentObject], path, f"the block {block.id}", **parameters)

    def listing(
        self,
        kind: CatalogueKind,
        application: str = "",
        block: str = "",
        on_block: Callable[[str], object] = str,
    ) -> Listing:
        """List all objects of one kind.

        Args:
            application: the name or id of an application, to list only what it contains.
            block: the name or id of a block, to list only what belongs to it.
            on_block: called with the name of each block before it is read.

        Raises:
            MalformedRequest: there is no such application or block.
        """
        applications = _select(application, self.applications, "application")
        if kind == "applications":
            return Listing([CatalogueEntry(each.name, each.id) for each in applications])
        blocks = self._select_blocks(applications, block)
        if kind == "blocks":
            return Listing(
                [CatalogueEntry(each.name, each.id, each.type, application=app.name) for app, each in blocks]
            )
        path: Literal["/views", "/importConfigurations"] = "/views" if kind == "views" else "/importConfigurations"
        entries = []
        for app, each in itertools.islice(blocks, MAX_BLOCKS):
            on_block(f"{app.name}: {each.name}")
            found = self.in_block(app, each, path)
            entries += [CatalogueEntry(one.name, one.id, one.type, each.name, app.name) for one in found]
        return Listing(entries, is_complete=next(blocks, None) is None)

    def _select_blocks(
        self, applications: Sequence[PigmentObject], name_or_id: str
    ) -> Iterator[tuple[PigmentObject, PigmentObject]]:
        if not name_or_id:
            return self.blocks(applications)
        blocks = list(self.blocks(applications))
        selected = _select(name_or_id, [block for _, block in blocks], "block")
        return iter([(application, block) for application, block in blocks if block in selected])

    def _in_application(self, application: PigmentObject, path: str) -> list[PigmentObject]:
        name = f"the application {application.id}"
        return self._pigment.get_as(list[PigmentObject], path, name, applicationId=application.id)


@contextlib.contextmanager
def open_catalogue(
    settings: bridge_yaml.PigmentSettings, instance: Instance, keys: Collection[str] | None = None
) -> Iterator[tuple[Catalogue, str]]:
    """Open the catalogue with the first key that has the scope. Yield it with the name of the secret of this key.

    Args:
        keys: the names of secrets to try, in this order; by default the export key and then the import key.

    Raises:
        PigmentKeyRefused: no key has the scope.
        SecretUnreadable: no secret can be read.
        BridgeFileInvalid: bridge.yaml names no key.
    """
    unreadable: SecretUnreadable | None = None
    refused = []
    # Most commands look for views, which belong to exports.
    default = [key for key in (settings.export_key, settings.import_key) if key]
    for key in dict.fromkeys(default if keys is None else keys):
        with open_client(settings, instance, key) as client:
            catalogue = Catalogue(client)
            try:
                _ = catalogue.applications
            except PigmentKeyRefused:
                refused.append(key)
                continue
            except SecretUnreadable as error:
                unreadable = unreadable or error
                continue
            yield catalogue, key
            return
    raise _no_usable_key(refused, unreadable)


def open_client(settings: bridge_yaml.PigmentSettings, instance: Instance, key: str) -> PigmentClient:
    """Return a client for a command that a person is waiting for.

    Args:
        key: the name of a secret. The client uses it for every request, whatever it is for.
    """
    with_key = msgspec.structs.replace(settings, import_key=key)
    return PigmentClient(with_key, instance.secrets, InteractiveDeadline(instance.clock), instance.chance)


def read_settings(path: Path) -> bridge_yaml.PigmentSettings:
    """Read the section `pigment` of bridge.yaml. Its jobs may still be unfinished, as their ids are being looked up.

    Raises:
        BridgeFileInvalid: the file cannot be read, or the section is missing or invalid.
    """
    return bridge_file.load_section(path, "pigment").pigment


def table(listing: Listing, kind: CatalogueKind) -> Table:
    """A listing as a table. Ids are never wrapped, so that they can be copied."""
    columns = {
        "applications": ("name", "id"),
        "blocks": ("name", "type", "id", "application"),
        "views": ("name", "type", "id", "block", "application"),
        "configurations": ("name", "id", "block", "application"),
    }[kind]
    out = Table(box=None)
    for column in columns:
        is_id = column == "id"
        out.add_column(column, no_wrap=is_id, min_width=_ID_WIDTH if is_id else None, overflow="fold")
    for entry in listing.entries:
        out.add_row(*(getattr(entry, column) for column in columns))
    return out


def _no_usable_key(refused: Sequence[str], unreadable: SecretUnreadable | None) -> Exception:
    if refused:
        # Pigment answers 401, never 403, to a key without the scope.
        return PigmentKeyRefused(
            f"Pigment answered 401 to the key in the secret {' and to that in '.join(refused)}.",
            next_step=f"A key needs the scope {SCOPE} for this, beside Import or Export. Create such a key in Pigment "
            f"and {next_steps.place_of_new_key(' or '.join(refused))}. If the key has the scope, it has "
            "expired, its allow list does not contain the address it is used from, or its owner was deactivated.",
        )
    return unreadable or BridgeFileInvalid(
        "pigment: names no key",
        next_step=f"Write export_key: or import_key: there, with the name of a secret whose key has the scope {SCOPE}.",
    )


def _select(name_or_id: str, objects: Sequence[PigmentObject], noun: str) -> list[PigmentObject]:
    """Return the objects with a name or id. Names need not be unique, so there may be several."""
    found = [each for each in objects if each.matches(name_or_id)]
    if found or not name_or_id:
        return found
    similar = difflib.get_close_matches(name_or_id, [each.name for each in objects], n=1)
    suggestion = f"Did you mean {similar[0]!r}? " if similar else ""
    raise MalformedRequest(
        f"Pigment shows no {noun} named {name_or_id!r} to the owner of the key.",
        next_step=f"{suggestion}`bridge {noun}s` lists all {noun}s.",
    )
