"""The bucket and the secrets that a command works with."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from common.platform import log


@contextlib.contextmanager
def open_bridge(
    env_file: Path, state: Path, *, config: Path | None = None, needs_secrets: bool = True
) -> Iterator[Path | None]:
    """Connect to the deployed bridge if `BRIDGE_BUCKET` is set, otherwise to the local bridge in a folder.

    Args:
        config: a bridge.yaml to install into the bucket of a local bridge.
        needs_secrets: without it, the env file may be missing.

    Yields:
        The folder that stores the buckets of a local bridge as plain files; None for a deployed bridge.
    """
    # The person who started the command reads its receipt rather than logs, and may wait for an hour.
    os.environ.setdefault("BRIDGE_LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("BRIDGE_DEADLINE_S", "3600")
    log.configure()
    if os.environ.get("BRIDGE_BUCKET"):
        yield None
        return
    from local import state_folder  # noqa: PLC0415  # a deployed bridge needs no storage server

    secrets: Path | dict[str, str] = env_file if needs_secrets or env_file.exists() else {}
    with state_folder.connect(state, secrets):
        if config is not None:
            state_folder.install(config)
        yield state
