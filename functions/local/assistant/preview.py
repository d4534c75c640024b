"""A preview of a pull that writes nothing to the bridge: it works in a bucket of its own, in a temporary folder."""

import contextlib
import dataclasses
import secrets as tokens
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from google.cloud import storage as google_storage
from google.oauth2.credentials import Credentials

from common import bridge_yaml
from common.flows.pull import pull
from common.runs import cursors
from common.runs.instance import Instance
from common.runs.receipts import Receipt
from common.storage import paths
from common.storage.bucket import Bucket
from common.tables.compare import ChangeCounts
from local import state_folder
from local.assistant.opening import is_deployed, looking_at, opened
from local.commands.connection import ConfiguredBridge
from local.sandbox.access import TokenRequired
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Server

_CURSOR, _LANDED = "cursor", "landed"
"The files of the last landing in the temporary folder."


class PullPreview(msgspec.Struct, frozen=True):
    """What a pull would send, without any row."""

    job: str
    rows: int | None
    bytes: int | None
    header: list[str]
    window: list[str] | None
    "Of an incremental load: a run goes on with the windows after it."
    changes: ChangeCounts | None
    checks: list[str]
    "The checks that the file went through, if there is no error; else those that the job has."
    warnings: list[str]
    code: str | None
    why: str
    next_step: str


def preview(bridge: ConfiguredBridge, job: bridge_yaml.Pull, jobs: bridge_yaml.Bridge, scratch: Path) -> PullPreview:
    """Read and check all rows of a pull, and send and store nothing.

    Args:
        scratch: the folder in which the preview has its own for as long as it takes.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        if is_deployed() or bridge.state.exists():
            with looking_at(bridge) as here:
                _copy_last_landing(here.bucket, job, folder)
        with _scratch(bridge, folder / "state") as here:
            _restore_last_landing(here.bucket, job, folder)
            return _told(pull(here, jobs, job, preview=True), job)


@contextlib.contextmanager
def _scratch(bridge: ConfiguredBridge, folder: Path) -> Iterator[Instance]:
    """Yield an instance with the secrets of the bridge, and an empty bucket in a folder."""
    if not is_deployed():
        with opened(dataclasses.replace(bridge, state=folder), needs_secrets=True) as here:
            yield here
        return
    token = tokens.token_urlsafe(32)
    with (
        opened(bridge) as here,
        contextlib.closing(SandboxStorage(folder)) as storage,
        Server(TokenRequired(storage, token)) as server,
    ):
        storage.create_bucket(state_folder.BUCKET)
        client = google_storage.Client(
            project=state_folder.PROJECT, credentials=Credentials(token), client_options={"api_endpoint": server.url}
        )
        here.bucket = Bucket(state_folder.BUCKET, client)
        yield here


def _copy_last_landing(bucket: Bucket, job: bridge_yaml.Pull, folder: Path) -> None:
    """Copy what the checks compare with: the cursor, and if they compare rows, the file that landed last."""
    previous = cursors.read(bucket, job.name)
    if previous is None:
        return
    (folder / _CURSOR).write_bytes(bucket.read(paths.cursor(job.name)))
    compares = isinstance(job.load, bridge_yaml.Changes) or job.guards.approve is not None
    if compares and bucket.exists(previous.staged):
        with (folder / _LANDED).open("wb") as file:
            file.writelines(bucket.blocks(previous.staged))


def _restore_last_landing(bucket: Bucket, job: bridge_yaml.Pull, folder: Path) -> None:
    if not (folder / _CURSOR).exists():
        return
    bucket.replace(paths.cursor(job.name), (folder / _CURSOR).read_bytes())
    previous = cursors.read(bucket, job.name)
    if previous is not None and (folder / _LANDED).exists():
        with (folder / _LANDED).open("rb") as file, bucket.writing(previous.staged) as copy:
            shutil.copyfileobj(file, copy)


def _told(receipt: Receipt, job: bridge_yaml.Pull) -> PullPreview:
    sample, error = receipt.preview, receipt.error
    return PullPreview(
        job=job.name,
        rows=receipt.rows.read,
        bytes=receipt.bytes,
        header=[] if isinstance(sample, msgspec.UnsetType) else sample.header,
        window=receipt.window,
        changes=receipt.changes,
        checks=list(_checks(job)),
        warnings=receipt.warnings,
        code=error.code if error else None,
        why=error.message if error else "",
        next_step=error.next_step if error else f"`bridge pull {job.name}` sends the file.",
    )


def _checks(job: bridge_yaml.Pull) -> Iterator[str]:
    yield "the file is complete and regular, and no limit of Looker cut it"
    if job.target.columns:
        yield "the header has the columns of target.columns"
    yield f"guards.min_rows: {job.guards.min_rows}"
    for name in ("max_shrink", "approve"):
        if (limit := getattr(job.guards, name)) is not None:
            yield f"guards.{name}: {msgspec.to_builtins(limit)}"
    if job.known:
        yield f"every value of {', '.join(job.known.columns)} is an item in Pigment"
