"""What Pigment shows the owner of a key: applications, blocks, views and import configurations, by name and id.

Pigment's metadata API has no pages and lists by application or block, so more than one application's is a walk. It says
neither whose a block is nor of which block a view: what was asked for says that.
"""

import contextlib
import difflib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
from rich.markup import escape
from rich.table import Table

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.errors import BridgeFileInvalid, MalformedRequest, PigmentKeyRefused, SecretUnreadable
from common.runs.instance import Instance
from local import bridge_file
from local.patience import Patience

SCOPE = "Modeling metadata"
MOST_BLOCKS = 300
"Each costs a call, and Pigment takes 500 in 5 minutes from one address, those of running jobs included."

_ID_WIDTH = 36

Kind = Literal["applications", "blocks", "views", "configurations"]
USES: dict[Kind, str] = {
    "applications": "`bridge blocks --application NAME` shows what is in one; its id does as well as its name.",
    "blocks": "An export reads the id of a list, metric or table: source: {list: ID}, {metric: ID} or {table: ID}.",
    "views": "An export reads a view's id: source: {view: ID}.",
    "configurations": "A pull's or relay's target has a configuration's id: target: {configuration: ID}.",
}
"What the ids of each kind are good for in bridge.yaml."


class Named(msgspec.Struct, frozen=True):
    """An application, block, view or import configuration, as Pigment lists it."""

    id: str
    name: str = "without a name"
    type: str = ""
    "DimensionList, TransactionList, Metric or Table; Public or Personal; the other two have none."

    def answers_to(self, name_or_id: str) -> bool:
        return not name_or_id or name_or_id.strip().casefold() in (self.name.casefold(), self.id.casefold())


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person looks for the id of, and where it is."""

    name: str
    id: str
    type: str = ""
    block: str = ""
    application: str = ""


class Listing(msgspec.Struct, frozen=True):
    """What was found."""

    items: list[Item]
    is_whole: bool = True
    "Whether every block was looked into."


class Catalogue:
    """A walk through what one key shows."""

    def __init__(self, pigment: PigmentClient) -> None:
        self._pigment = pigment

    @cached_property
    def every_application(self) -> list[Named]:
        return self._pigment.get_as(list[Named], "/applications", "its applications")

    def blocks(self, applications: Iterable[Named] | None = None) -> Iterator[tuple[Named, Named]]:
        """Each block with its application, as far as somebody asks for the next."""
        for application in self.every_application if applications is None else applications:
            yield from ((application, block) for block in self._within(application, "/blocks"))

    def views(self) -> Iterator[tuple[Named, Named]]:
        """Each view with its application, in one call for each of these."""
        for application in self.every_application:
            yield from ((application, view) for view in self._within(application, "/views"))

    def of_block(
        self, application: Named, block: Named, path: Literal["/views", "/importConfigurations"]
    ) -> list[Named]:
        within = {"applicationId": application.id, "blockId": block.id}
        return self._pigment.get_as(list[Named], path, f"the block {block.id}", **within)

    def listed(
        self, kind: Kind, application: str = "", block: str = "", tell: Callable[[str], object] = str
    ) -> Listing:
        """All of one kind, within an application or block where one is named, by name or id.

        Args:
            tell: told which block is looked into.

        Raises:
            MalformedRequest: there is no such application or block.
        """
        homes = _named(application, self.every_application, "application")
        if kind == "applications":
            return Listing([Item(each.name, each.id) for each in homes])
        blocks = self._blocks_named(homes, block)
        if kind == "blocks":
            return Listing([Item(each.name, each.id, each.type, application=home.name) for home, each in blocks])
        items = []
        for home, each in itertools.islice(blocks, MOST_BLOCKS):
            tell(f"{home.name}: {each.name}")
            found = self.of_block(home, each, "/views" if kind == "views" else "/importConfigurations")
            items += [Item(one.name, one.id, one.type, each.name, home.name) for one in found]
        return Listing(items, is_whole=next(blocks, None) is None)

    def _blocks_named(self, homes: Sequence[Named], name_or_id: str) -> Iterator[tuple[Named, Named]]:
        if not name_or_id:
            return self.blocks(homes)
        every = list(self.blocks(homes))
        wanted = _named(name_or_id, [block for _, block in every], "block")
        return iter([(home, block) for home, block in every if block in wanted])

    def _within(self, application: Named, path: str) -> list[Named]:
        what = f"the application {application.id}"
        return self._pigment.get_as(list[Named], path, what, applicationId=application.id)


@contextlib.contextmanager
def opened(
    pigment: bridge_yaml.PigmentSettings, instance: Instance, keys: Collection[str] | None = None
) -> Iterator[tuple[Catalogue, str]]:
    """The catalogue of the first key that may see it, and the name of that key's secret.

    Args:
        keys: the secrets to try, in this order; without it, the export key and then the import key.

    Raises:
        PigmentKeyRefused: none of them may.
        SecretUnreadable: none can be read.
        BridgeFileInvalid: bridge.yaml names none.
    """
    unreadable: SecretUnreadable | None = None
    refused = []
    for key in dict.fromkeys(keys_of(pigment) if keys is None else keys):
        # The client knows one key, whatever it is for.
        seeing = msgspec.structs.replace(pigment, import_key=key)
        with PigmentClient(seeing, instance.secrets, Patience(instance.clock), instance.chance) as session:
            catalogue = Catalogue(session)
            try:
                _ = catalogue.every_application
            except PigmentKeyRefused:
                refused.append(key)
                continue
            except SecretUnreadable as error:
                unreadable = unreadable or error
                continue
            yield catalogue, key
            return
    raise _closed(refused, unreadable)


def where(path: Path) -> bridge_yaml.PigmentSettings:
    """What bridge.yaml says of Pigment, whatever its jobs lack: ids are looked up while they are being written.

    Raises:
        BridgeFileInvalid: it cannot be read, or says nothing usable of Pigment.
    """
    raw = bridge_file.read(path)
    section = raw.get("pigment") if isinstance(raw, dict) else None
    return bridge_yaml.decode({"pigment": {} if section is None else section}).pigment


def keys_of(pigment: bridge_yaml.PigmentSettings) -> list[str]:
    """The secrets with a key that may carry the scope: that for exports first, as views are looked for most."""
    return [key for key in (pigment.export_key, pigment.import_key) if key]


def _closed(refused: Sequence[str], unreadable: SecretUnreadable | None) -> Exception:
    if refused:
        # Pigment answers 401, never 403, to a key without the scope.
        return PigmentKeyRefused(
            f"Pigment answered 401 to the key in the secret {' and to that in '.join(refused)}.",
            next_step=f"A key needs the scope {SCOPE} to show what there is: make one in Pigment that has it beside "
            f"Import or Export, and add it as a new version of the secret {' or '.join(refused)}. If it has the scope, "
            "it has expired, is used from an address that its allow list lacks, or its owner was deactivated.",
        )
    return unreadable or BridgeFileInvalid(
        "pigment: names no key",
        next_step=f"Write export_key: or import_key: there: the secret with a key that has the scope {SCOPE}.",
    )


def table(listing: Listing, kind: Kind) -> Table:
    """Names and ids; an id is never broken over two lines, so that it can be copied."""
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
    for item in listing.items:
        out.add_row(*(escape(getattr(item, column)) for column in columns))
    return out


def _named(wanted: str, every: Sequence[Named], what: str) -> list[Named]:
    """Those a person means by a name or an id: two of the same name are both meant."""
    found = [each for each in every if each.answers_to(wanted)]
    if found or not wanted:
        return found
    near = difflib.get_close_matches(wanted, [each.name for each in every], n=1)
    instead = f"Write {near[0]!r}, if that is meant; " if near else ""
    raise MalformedRequest(
        f"Pigment shows the owner of the key no {what} named {wanted!r}.",
        next_step=f"{instead}`bridge {what}s` shows those there are.",
    )
