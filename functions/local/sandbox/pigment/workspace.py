"""A workspace as a person sets it up in Pigment's web interface: keys, applications, blocks, import configurations."""

import hashlib
import secrets
import shutil
import string
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import msgspec

from local.sandbox.pigment import database
from local.sandbox.pigment.model import (
    ApiKey,
    Block,
    BlockColumn,
    BlockType,
    Clear,
    Configuration,
    PropertyType,
    SandboxApplication,
    Scenario,
    Scope,
    View,
    ViewType,
    add_properties,
    check,
)
from local.sandbox.pigment.records import Records

_EVERY_SCOPE: tuple[Scope, ...] = ("Import", "Export", "Modeling metadata")

FileSource = Callable[[], Path | Iterable[bytes]]
"Reads the file of an integration import, for example the newest file of a bucket."


class Workspace:
    """A workspace. With a root folder it persists; otherwise rows are in memory and files in a temporary folder.

    An object that is declared again with the same name or UUID is changed in place.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.folder = root or Path(tempfile.mkdtemp(prefix="pigment-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        if root is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.database = database.WorkspaceDatabase(root and root / "pigment.duckdb")
        self.records = Records(self.database)
        self.sources: dict[str, FileSource] = {}

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def key(self, scopes: Collection[Scope] = _EVERY_SCOPE, value: str | None = None) -> str:
        """Create an API key and return it. Only its digest is stored."""
        alphabet = string.ascii_letters + string.digits
        value = value or "pgmt_" + "".join(secrets.choice(alphabet) for _ in range(46))
        self.records.save(ApiKey(_digest(value), frozenset(scopes)))
        return value

    def revoke(self, value: str) -> None:
        key = self.records.get(ApiKey, _digest(value))
        self.records.save(msgspec.structs.replace(key, scopes=frozenset()))

    def accepts(self, value: str, scope: str) -> bool:
        key = self.records.find(ApiKey, _digest(value))
        return key is not None and scope in key.scopes

    def application(self, name: str, *, uuid: str | None = None) -> str:
        known = next((one.id for one in self.records.all(SandboxApplication) if one.name == name), None)
        return self.records.save(SandboxApplication(_id(uuid or known), name))

    def block(
        self,
        application: str,
        name: str,
        kind: BlockType = "TransactionList",
        properties: Mapping[str, PropertyType] | None = None,
        *,
        uuid: str | None = None,
    ) -> str:
        """Declare a block. Import configurations add the properties that they fill."""
        known = next((one for one in self.blocks(application) if one.name == name), None)
        block_id = _id(uuid or (known.id if known else None))
        block = Block(block_id, application, name, kind, known.properties if known else {})
        return self._save_block(
            add_properties(block, [BlockColumn(each, to) for each, to in (properties or {}).items()])
        )

    def table(self, application: str, name: str, metrics: Iterable[str], *, uuid: str | None = None) -> str:
        """Declare a Table of several metrics, given by their blocks."""
        block_id = self.block(application, name, "Table", uuid=uuid)
        return self.records.save(msgspec.structs.replace(self.records.get(Block, block_id), metrics=tuple(metrics)))

    def view(
        self,
        block: str,
        name: str,
        *,
        uuid: str | None = None,
        kind: ViewType = "Public",
        exportable: bool = True,
    ) -> str:
        """Declare a view of a block. If it is not exportable, it does not show a list, metric or table."""
        known = next((each.id for each in self.views(block=block) if each.name == name), None)
        return self.records.save(View(_id(uuid or known), block, name, kind, exportable))

    def scenario(
        self, application: str, name: str, blocks: Mapping[str, str] | None = None, *, uuid: str | None = None
    ) -> str:
        """Declare a scenario. `blocks` maps metrics to the blocks with their own values in this scenario."""
        every = self.records.all(Scenario)
        known = next((each.id for each in every if (each.application, each.name) == (application, name)), None)
        return self.records.save(Scenario(_id(uuid or known), application, name, dict(blocks or {})))

    def items(self, block: str, names: Iterable[str]) -> None:
        """Add items to a DimensionList by name."""
        table = database.table(self.records.get(Block, block))
        with self.database.transaction() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} (p0) VALUES (?)",  # noqa: S608  # the table's name consists of a UUID
                [[name] for name in names],
            )

    def configuration(
        self,
        block: str,
        columns: Iterable[BlockColumn | str] = (),
        *,
        name: str | None = None,
        uuid: str | None = None,
        delimiter: str = ",",
        unique: Iterable[str] | None = None,
        clear: Clear = "none",
        scope: Iterable[str] = (),
        learn: bool = False,
        source: FileSource | None = None,
    ) -> str:
        """Save an import configuration. With a `source` it is an integration import, which `trigger` starts.

        Raises ValueError if Pigment would refuse the configuration.
        """
        configuration = Configuration(
            _id(uuid),
            block,
            name or f"{self.records.get(Block, block).name} import",
            tuple(BlockColumn(column) if isinstance(column, str) else column for column in columns),
            delimiter,
            tuple(unique or ()),
            clear,
            tuple(scope),
            learn,
        )
        if source:
            self.sources[configuration.id] = source
        return self.records.save(configuration) if learn else self.complete(configuration)

    def configuration_from_header(
        self, block: str, header: Sequence[str], types: Mapping[str, PropertyType] | None = None, **options: Any
    ) -> str:
        """Save a configuration with one property per column; the default type is text."""
        columns = [BlockColumn(name, (types or {}).get(name, "text")) for name in header]
        return self.configuration(block, columns, **options)

    def complete(self, configuration: Configuration) -> str:
        """Save a configuration whose columns are all known, and add their properties to its block.

        Raises ValueError if Pigment would refuse the configuration.
        """
        block = add_properties(self.records.get(Block, configuration.block), configuration.columns)
        check(configuration, block)
        for column in configuration.columns:
            if column.to and not self.records.get(Block, column.to).properties:
                raise ValueError(
                    f"The list that {column.header!r} refers to has no property, so its items have no names."
                )
        self._save_block(block)
        return self.records.save(configuration)

    def blocks(self, application: str | None = None) -> list[Block]:
        return [block for block in self.records.all(Block) if application in (None, block.application)]

    def views(self, application: str | None = None, block: str | None = None) -> list[View]:
        within = {each.id for each in self.blocks(application) if block in (None, each.id)}
        return [each for each in self.records.all(View) if each.block in within]

    def configurations(self, application: str | None = None, block: str | None = None) -> list[Configuration]:
        within = {each.id for each in self.blocks(application) if block in (None, each.id)}
        return [each for each in self.records.all(Configuration) if each.block in within]

    def rows(self, configuration_or_block: str) -> list[dict[str, Any]]:
        return self.database.rows(self._block_of(configuration_or_block))

    def count(self, configuration_or_block: str) -> int:
        return self.database.count(self._block_of(configuration_or_block))

    def _save_block(self, block: Block) -> str:
        self.database.shape(block)
        return self.records.save(block)

    def _block_of(self, configuration_or_block: str) -> Block:
        configuration = self.records.find(Configuration, configuration_or_block)
        return self.records.get(Block, configuration.block if configuration else configuration_or_block)


def _id(text: str | None) -> str:
    """Return the UUID in its usual form, or a new one. Raises ValueError if the text is not a UUID."""
    return str(UUID(text) if text else uuid4())


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
