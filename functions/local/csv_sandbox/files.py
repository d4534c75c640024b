"""The bridge.yaml and .env with which the commands of a bridge use the sandbox, in the current folder."""

import urllib.parse
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import msgspec

from common.bridge_yaml import LookSource
from common.looker.session import Credentials
from common.platform.errors import BridgeError
from local import bridge_file, job_text, own_files
from local.csv_sandbox.looks import SandboxLook
from local.sandbox.secrets import values_of
from local.sandbox.vendors import SandboxVendors, VendorAccess

BRIDGE_FILE = Path("bridge.yaml")
ENV_FILE = Path(".env")

FilesState = Literal["written", "known", "left"]
"`known`: they are of an earlier sandbox in this folder. `left`: they are of something else and were not changed."

_HEADER = (
    "Written by `bridge sandbox`, for Looker and Pigment on this machine. Their keys are in .env.",
    "",
    "bridge check                lists what works and what does not",
    "bridge pull JOB --preview   reads and checks the rows, and sends nothing",
    "bridge pull JOB             imports the rows",
)


def access_of_earlier() -> VendorAccess | None:
    """Return the ports and keys in the files of an earlier sandbox, so that they work with the next one too."""
    try:
        bridge, values = bridge_file.load(BRIDGE_FILE), values_of(ENV_FILE.read_text(encoding="utf-8"))
        looker_port, pigment_port = _port(bridge.looker.url), _port(bridge.pigment.url)
        credentials = msgspec.json.decode(values[bridge.looker.credentials], type=Credentials)
        import_key, export_key = values[bridge.pigment.import_key], values[bridge.pigment.export_key]
    except (BridgeError, OSError, ValueError, KeyError):
        return None
    return VendorAccess(
        credentials.client_id, credentials.client_secret, import_key, export_key, looker_port, pigment_port
    )


def write(vendors: SandboxVendors, looks: Collection[SandboxLook]) -> FilesState:
    """Write both files, unless one of them is there."""
    if BRIDGE_FILE.exists() or ENV_FILE.exists():
        return "left"
    text = job_text.new_file(_HEADER, vendors.sections(), [look.draft() for look in looks])
    own_files.create(ENV_FILE, own_files.env_lines(vendors.secrets), is_secret=True)
    own_files.create(BRIDGE_FILE, text)
    return "written"


def jobs_by_look() -> dict[str, str]:
    """Return the names of the pulls in bridge.yaml by the Looks that they read."""
    bridge = bridge_file.load(BRIDGE_FILE)
    return {pull.source.look: pull.name for pull in bridge.pulls.values() if isinstance(pull.source, LookSource)}


def _port(url: str) -> int:
    """Return the port of an address of this machine. Raises ValueError for another one."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname != "127.0.0.1" or not parts.port:
        raise ValueError(url)
    return parts.port
