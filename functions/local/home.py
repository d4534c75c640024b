"""A bridge at home in a folder of this machine: its bucket as plain files, its secrets from an env file.

One process at a time lives in the folder. Others (the command line beside `bridge serve`) reach its bucket and secrets
through the addresses it left there.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from google.api_core.exceptions import Conflict

from common.bridge_yaml import Bridge, Pull, Relay, decode
from common.platform.clock import stamp
from common.platform.errors import OurFault, SecretUnreadable
from common.runs.leases import Journal
from common.storage import paths
from common.storage.store import Store, open_client
from local import bridge_file
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import Notice, SandboxStorage
from local.sandbox.wire import Server

BUCKET = "bucket"
PROJECT = "local"

_ADDRESSES = "addresses.json"


class Home(msgspec.Struct, frozen=True):
    """Where a bridge's bucket and secrets answer."""

    storage: str
    secrets: str

    def environment(self) -> dict[str, str]:
        """What a function needs in its environment to live here."""
        return {
            "BRIDGE_BUCKET": BUCKET,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "STORAGE_EMULATOR_HOST": self.storage,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets,
        }


@contextlib.contextmanager
def occupied(
    folder: Path, env_file: Path | Mapping[str, str], on_arrival: Callable[[Notice], None] | None = None
) -> Iterator[Home]:
    """Live in a folder: its bucket and secrets answer while the context lasts.

    Args:
        on_arrival: told of every object that is written, as a bucket notification would.

    Raises:
        OurFault: another process lives there.
        SecretUnreadable: the env file is not as it has to be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    secrets = _read(env_file) if isinstance(env_file, Path) else SandboxSecrets(env_file)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OurFault(
                f"Another bridge lives in {folder}.", next_step="Stop it, or give this one a folder of its own."
            ) from None
        with contextlib.closing(SandboxStorage(folder)) as storage, Server(storage) as bucket, Server(secrets) as safe:
            storage.create_bucket(BUCKET)
            if on_arrival:
                storage.on_finalize.append(on_arrival)
            home = Home(bucket.url, safe.url)
            os.environ.update(home.environment())
            _expire_leases(Store(BUCKET))
            addresses = folder / _ADDRESSES
            addresses.write_bytes(msgspec.json.encode(home))
            try:
                yield home
            finally:
                addresses.unlink(missing_ok=True)


@contextlib.contextmanager
def visited(folder: Path, env_file: Path | Mapping[str, str]) -> Iterator[Home]:
    """The bridge in a folder: beside the process that lives there, or as the one that does."""
    neighbour = _neighbour(folder)
    if neighbour is None:
        with occupied(folder, env_file) as home:
            yield home
    else:
        os.environ.update(neighbour.environment())
        yield neighbour


def _read(env_file: Path) -> SandboxSecrets:
    try:
        return SandboxSecrets.from_file(env_file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretUnreadable(
            f"The secrets file {env_file} cannot be read: {reason}",
            next_step="Name a file of NAME=VALUE lines, by the secrets' names in bridge.yaml, with --env-file.",
        ) from None


def _neighbour(folder: Path) -> Home | None:
    """The process that lives in the folder now, if there is one."""
    try:
        with (folder / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return msgspec.json.decode((folder / _ADDRESSES).read_bytes(), type=Home)


def install(config: Path) -> None:
    """Put bridge.yaml into the bucket, as Terraform does in the cloud.

    Raises:
        BridgeFileInvalid: it is not valid.
    """
    raw = bridge_file.read(config)
    bridge = decode(raw)
    _make_buckets(bridge)
    Store(os.environ["BRIDGE_BUCKET"]).write_json(paths.CONFIG, raw, over=None)


def _make_buckets(bridge: Bridge) -> None:
    """Buckets of the user's own, which in the cloud are there before the bridge is."""
    named = {job.target.bucket for job in bridge.jobs() if isinstance(job, Pull | Relay)}
    named |= {export.bucket for export in bridge.exports.values()}
    client = open_client()
    for name in sorted(named - {""}):
        with contextlib.suppress(Conflict):
            client.create_bucket(name)


def _expire_leases(store: Store) -> None:
    """A hold found at the start belongs to a process that is gone, since nobody else may live in the folder."""
    for path in store.names(paths.LEASES):
        stored = store.read_json(path, Journal)
        if stored is not None:
            lapsed = msgspec.structs.replace(stored.value, expires_at=stamp(datetime.now(UTC)))
            store.write_json(path, lapsed, over=stored.generation)
