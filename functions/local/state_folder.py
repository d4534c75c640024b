"""The folder of a local bridge: its bucket as plain files, served beside its secrets.

One process at a time serves a folder. Other processes, such as a command beside `bridge serve`, use the addresses that
this process has written into the folder.
"""

import contextlib
import fcntl
import os
import secrets as tokens
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO

import msgspec
from google.api_core.exceptions import Conflict

from common.bridge_yaml import Bridge, Pull, Relay
from common.platform.errors import DiskFull, OurFault, SecretUnreadable
from common.runs.leases import Journal
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.client import open_client
from local import terminal
from local.bridge_file import BridgeFile
from local.sandbox.access import TokenRequired
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import Notice, SandboxStorage
from local.sandbox.storage.refusal import full_disk, is_full
from local.sandbox.wire import Request, Response, Server, Site

BUCKET = "bucket"
PROJECT = "local"

_CONTENT = "with one line NAME=VALUE for each secret that bridge.yaml names"
_ADDRESSES = "addresses.json"
_LOCK = ".lock"
_USERS = ".users"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_READING_S = 30.0
_LOCK_CHECK_S = 0.05


class StateServices(msgspec.Struct, frozen=True):
    """The addresses and the token of the servers for a folder's bucket and secrets, and for queries over its files."""

    storage: str
    secrets: str
    token: str = ""
    "Every request to them needs it."
    bigquery: str = ""

    def environment(self) -> dict[str, str]:
        """The environment variables of a function that uses them."""
        return {
            "BRIDGE_BUCKET": BUCKET,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "STORAGE_EMULATOR_HOST": self.storage,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets,
            "BIGQUERY_EMULATOR_HOST": self.bigquery,
            "BRIDGE_EMULATOR_TOKEN": self.token,
        }


@contextlib.contextmanager
def serve(
    folder: Path,
    env_file: Path | Mapping[str, str],
    on_finalize: Callable[[Notice], None] | None = None,
    *,
    alone: bool = False,
) -> Iterator[StateServices]:
    """Serve the bucket and the secrets of a folder, and set the environment of this process to use them.

    Args:
        env_file: a file with the secrets, or the secrets by name.
        on_finalize: called for every object that is written, as bucket notifications are sent.
        alone: do not tell other processes the addresses, so that they wait until this one has ended.

    Raises:
        OurFault: another process serves this folder, or the folder belongs to another user.
        SecretUnreadable: the env file cannot be read or is malformed.
    """
    secrets = _read_secrets(env_file) if isinstance(env_file, Path) else SandboxSecrets(env_file)
    token = tokens.token_urlsafe(32)
    with (
        contextlib.ExitStack() as until_unlocked,
        _space_in(folder),
        _files_for_owner_alone(),
        _locked(folder),
        contextlib.closing(SandboxStorage(folder)) as storage,
        Server(TokenRequired(storage, token)) as storage_server,
        Server(TokenRequired(secrets, token)) as secrets_server,
        contextlib.closing(_BigQueryOnDemand(storage)) as bigquery,
        Server(TokenRequired(bigquery, token)) as bigquery_server,
    ):
        storage.create_bucket(BUCKET)
        if on_finalize:
            storage.on_finalize.append(on_finalize)
        services = StateServices(storage_server.url, secrets_server.url, token, bigquery_server.url)
        os.environ.update(services.environment())
        _expire_leases(Bucket(BUCKET))
        addresses = folder / _ADDRESSES
        if not alone:
            addresses.write_bytes(msgspec.json.encode(services))
        try:
            yield services
        finally:
            if not alone:
                until_unlocked.enter_context(_without_users(folder))
            addresses.unlink(missing_ok=True)


class _BigQueryOnDemand:
    """Opens BigQuery with the first request, because it imports DuckDB, which few commands need."""

    def __init__(self, storage: SandboxStorage) -> None:
        self._storage = storage
        self._until_closed = contextlib.ExitStack()

    @cached_property
    def _site(self) -> Site:
        from local.sandbox.bigquery import SandboxBigQuery  # noqa: PLC0415

        return self._until_closed.enter_context(contextlib.closing(SandboxBigQuery(self._storage)))

    def answer(self, request: Request) -> Response:
        return self._site.answer(request)

    def close(self) -> None:
        self._until_closed.close()


@contextlib.contextmanager
def connect(folder: Path, env_file: Path | Mapping[str, str], *, alone: bool = False) -> Iterator[StateServices]:
    """Use the process that serves a folder; if there is none, serve it, as `serve` does."""
    with contextlib.ExitStack() as stack:
        # From before the look: the other process cannot end its servers between that and their use.
        stack.enter_context(_using(folder))
        running = _running_services(folder)
        if running is None:
            stack.close()
            running = stack.enter_context(serve(folder, env_file, alone=alone))
        else:
            os.environ.update(running.environment())
        yield running


def install(checked: BridgeFile) -> None:
    """Write bridge.yaml into the bucket, as Terraform does in the cloud."""
    _create_buckets(checked.bridge)
    Bucket(os.environ["BRIDGE_BUCKET"]).write_json(paths.CONFIG, checked.raw, over=None)


@contextlib.contextmanager
def _space_in(folder: Path) -> Iterator[None]:
    """Raise DiskFull if the folder cannot be written for want of space."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if not is_full(error):
            raise
        raise DiskFull(full_disk(folder)) from None


@contextlib.contextmanager
def _files_for_owner_alone() -> Iterator[None]:
    """Create all files and folders without rights for other users."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create the folder, lock it against other processes, and take all rights on it from other users."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / _LOCK).open("w"))
            _acquire(lock, fcntl.LOCK_EX, folder)
            (folder / _ADDRESSES).unlink(missing_ok=True)  # a killed process left it, perhaps with other rights
            if folder.stat().st_mode & _OTHERS:
                _take_from_others(folder)
        except BlockingIOError:
            raise _used(folder) from None
        except PermissionError:
            raise _not_own(folder) from None
        yield


@contextlib.contextmanager
def _using(folder: Path) -> Iterator[None]:
    """Keep the process that serves a folder from ending its servers."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield
        return
    with _files_for_owner_alone():
        users = (folder / _USERS).open("a")
    with users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def _without_users(folder: Path) -> Iterator[None]:
    """Wait until no other command uses the servers of this process, and let none begin to."""
    with (folder / _USERS).open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            terminal.say(f"Another command still uses the folder {folder}. Waiting for its end.", errors=True)
            fcntl.flock(users, fcntl.LOCK_EX)
        yield


def _take_from_others(folder: Path) -> None:
    """Deliveries, staged files and exports are in the folder, and the token of its servers."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    # Last: after a kill before this line, the next start begins again.
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~_OTHERS)


def _not_own(folder: Path) -> OurFault:
    return OurFault(
        f"The folder {folder}, or a file in it, belongs to another user.",
        next_step="Name a folder of your own with --state, or make this one yours with chown -R.",
    )


def _running_services(folder: Path) -> StateServices | None:
    try:
        with (folder / _LOCK).open("r") as lock:
            _acquire(lock, fcntl.LOCK_SH, folder)
            return None
    except FileNotFoundError:
        return None
    except PermissionError:
        raise _not_own(folder) from None
    except BlockingIOError:
        return msgspec.json.decode((folder / _ADDRESSES).read_bytes(), type=StateServices)


def _acquire(lock: IO[str], kind: int, folder: Path) -> None:
    """Lock a folder. While its process has told no addresses, it starts, or reads for a moment: wait.

    Raises BlockingIOError if a process serves the folder to others.
    """
    deadline_s = time.monotonic() + _LONGEST_READING_S
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if (folder / _ADDRESSES).exists():
                raise
            if time.monotonic() > deadline_s:
                raise _used(folder) from None
            time.sleep(_LOCK_CHECK_S)
        else:
            return


def _used(folder: Path) -> OurFault:
    return OurFault(
        f"Another bridge uses the folder {folder}.",
        next_step="Stop it, or name another folder with --state.",
    )


def _read_secrets(env_file: Path) -> SandboxSecrets:
    try:
        return SandboxSecrets.from_file(env_file)
    except FileNotFoundError:
        raise SecretUnreadable(
            f"There is no file {env_file}.", next_step=f"Write it, {_CONTENT}, or name another one with --env-file."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretUnreadable(
            f"The secrets file {env_file} cannot be read: {reason}",
            next_step=f"Correct it, {_CONTENT}, or name another one with --env-file.",
        ) from None


def _create_buckets(bridge: Bridge) -> None:
    """Create the user's own buckets. In the cloud they exist before the bridge is deployed."""
    names = {job.target.bucket for job in bridge.jobs() if isinstance(job, Pull | Relay)}
    names |= {export.bucket for export in bridge.exports.values()}
    client = open_client()
    for name in sorted(names - {""}):
        with contextlib.suppress(Conflict):
            client.create_bucket(name)


def _expire_leases(bucket: Bucket) -> None:
    """Expire all leases. Only one process uses a folder, so each belongs to a process that no longer runs."""
    for path in bucket.names(paths.LEASES):
        stored = bucket.read_json(path, Journal)
        if stored is not None:
            expired = msgspec.structs.replace(stored.value, lifetime_s=0)
            bucket.write_json(path, expired, over=stored.generation)
