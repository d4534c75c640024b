"""The bridge, opened for as long as one tool reads, in a process that goes on afterwards."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from common.runs.instance import Instance
from local.commands.connection import ConfiguredBridge


def is_deployed() -> bool:
    """Whether the tools are about a deployed bridge. To be asked while no bridge is open."""
    return bool(os.environ.get("BRIDGE_BUCKET"))


@contextlib.contextmanager
def opened(bridge: ConfiguredBridge, **how: Any) -> Iterator[Instance]:
    """Open the bridge, and restore the environment at the end: a local bridge has other addresses each time.

    Raises NotFound if there is no bridge in the folder.
    """
    before = dict(os.environ)
    try:
        with bridge.open(**how):
            yield Instance()
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def looking_at(bridge: ConfiguredBridge) -> Iterator[Instance]:
    """Open the bridge to read from it alone, so that no other command can rely on this process."""
    with opened(bridge, create=False, alone=True) as here:
        yield here
