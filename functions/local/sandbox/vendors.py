"""Looker and Pigment on ports of this machine, with the keys of a bridge that uses them."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.wire import Server

LOOKER_SECRET = "looker-api"  # noqa: S105  # the name of a secret
IMPORT_SECRET = "pigment-import-key"  # noqa: S105
EXPORT_SECRET = "pigment-export-key"  # noqa: S105


class VendorAccess(msgspec.Struct, frozen=True):
    """The ports and keys of the sandboxes."""

    client_id: str
    client_secret: str
    import_key: str
    export_key: str
    looker_port: int = 0
    "0 selects a free one."
    pigment_port: int = 0

    @classmethod
    def random(cls) -> "VendorAccess":
        """Return new random keys, on free ports."""
        return cls("bridge", secrets.token_urlsafe(), f"pgmt_{secrets.token_hex(23)}", f"pgmt_{secrets.token_hex(23)}")

    def __repr__(self) -> str:
        return "VendorAccess(…)"


class SandboxVendors(NamedTuple):
    """The running sandboxes."""

    looker: SandboxLooker
    looker_server: Server
    pigment: SandboxPigment
    pigment_server: Server
    secrets: dict[str, str]
    "The secrets of a bridge that uses them, by the names in `sections`."

    def sections(self) -> dict[str, dict[str, str]]:
        """The sections of a bridge.yaml that name the sandboxes and the secrets."""
        return {
            "looker": {"url": self.looker_server.url, "credentials": LOOKER_SECRET},
            "pigment": {
                "url": self.pigment_server.url,
                "import_key": IMPORT_SECRET,
                "export_key": EXPORT_SECRET,
            },
        }


@contextlib.contextmanager
def start(pigment_folder: Path, access: VendorAccess | None = None) -> Iterator[SandboxVendors]:
    """Start both sandboxes, which are empty except for what Pigment has stored in its folder.

    Args:
        access: by default, new random keys on free ports.

    Raises:
        OSError: a port cannot be used.
    """
    access = access or VendorAccess.random()
    looker = SandboxLooker(client_id=access.client_id, client_secret=access.client_secret)
    with (
        contextlib.closing(looker),
        contextlib.closing(SandboxPigment(pigment_folder)) as pigment,
        Server(looker, port=access.looker_port) as looker_server,
        Server(pigment, port=access.pigment_port) as pigment_server,
    ):
        credentials = {"client_id": access.client_id, "client_secret": access.client_secret}
        by_name = {
            LOOKER_SECRET: msgspec.json.encode(credentials).decode(),
            IMPORT_SECRET: pigment.key(["Import", "Modeling metadata"], access.import_key),
            EXPORT_SECRET: pigment.key(["Export", "Modeling metadata"], access.export_key),
        }
        yield SandboxVendors(looker, looker_server, pigment, pigment_server, by_name)
