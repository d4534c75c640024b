"""The bridge that a command works on, and the options that select it."""

import contextlib
import dataclasses
import functools
import inspect
import os
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from common import bridge_yaml
from common.platform import log
from common.platform.errors import BridgeFileInvalid, NotFound
from common.runs import instance

_ENV_FILE = Path(".env")


@dataclasses.dataclass(frozen=True)
class SelectedBridge:
    """The deployed bridge if `BRIDGE_BUCKET` is set, otherwise the local bridge in a folder."""

    env_file: Annotated[
        Path,
        typer.Option(
            help="A file with the secrets of a local bridge: lines of NAME=VALUE, where NAME is a secret that "
            "bridge.yaml names. Not used if BRIDGE_BUCKET is set."
        ),
    ] = _ENV_FILE
    state: Annotated[
        Path,
        typer.Option(help="The folder that stores the bucket of a local bridge. Not used if BRIDGE_BUCKET is set."),
    ] = Path(".bridge")

    @property
    def is_deployed(self) -> bool:
        return bool(os.environ.get("BRIDGE_BUCKET"))

    @contextlib.contextmanager
    def open(
        self,
        *,
        install: Path | None = None,
        needs_secrets: bool = False,
        create: bool = True,
        alone: bool = False,
    ) -> Iterator[Path | None]:
        """Connect this process to the bridge.

        Args:
            install: a bridge.yaml to write into the bucket of a local bridge.
            needs_secrets: without it, an env file that was named may be missing.
            create: whether a local bridge may be created.
            alone: whether other commands wait until this one has closed a local bridge, because it reads for a moment
                while they may run a job for an hour.

        Yields:
            The folder that stores the buckets of a local bridge as plain files; None for a deployed bridge.
        """
        # The person who started the command reads its receipt rather than logs, and may wait for an hour.
        os.environ.setdefault("BRIDGE_LOG_LEVEL", "CRITICAL")
        os.environ.setdefault("BRIDGE_DEADLINE_S", "3600")
        log.configure()
        if self.is_deployed:
            yield None
            return
        if not (create or self.state.exists()):
            next_step = (
                "Run a job, or name the folder of a local bridge with --state; BRIDGE_BUCKET names a deployed one."
            )
            raise NotFound(f"There is no bridge in the folder {self.state}.", next_step=next_step)
        from local import bridge_file, state_folder  # noqa: PLC0415  # a deployed bridge needs no storage server

        # All faults of bridge.yaml come before those of secrets, which a person may not have yet.
        checked = None if install is None else bridge_file.load_file(install)
        with state_folder.connect(self.state, self._secrets(needs_secrets=needs_secrets), alone=alone):
            if checked is not None:
                state_folder.install(checked)
            yield self.state

    def _secrets(self, *, needs_secrets: bool) -> Path | dict[str, str]:
        """Return the env file; nothing in place of one that is not there, unless the person has named it.

        Whatever needs a secret then says which line is missing.
        """
        is_expected = needs_secrets and self.env_file != _ENV_FILE
        return self.env_file if is_expected or self.env_file.exists() else {}


@dataclasses.dataclass(frozen=True)
class ConfiguredBridge(SelectedBridge):
    """The same with the bridge.yaml on this machine."""

    config: Annotated[Path, typer.Option(help="The path of bridge.yaml.")] = Path("bridge.yaml")

    @contextlib.contextmanager
    def open_to_run(self) -> Iterator[Path | None]:
        """Connect this process to the bridge to run jobs. A local bridge gets the bridge.yaml and needs its secrets."""
        from local import stopping  # noqa: PLC0415  # other commands leave nothing

        with self.open(install=self.config, needs_secrets=True) as files, stopping.between_runs():
            yield files

    def known_jobs(self, files: Path | None) -> bridge_yaml.Bridge:
        """Return the jobs of the open bridge: those of the bridge.yaml on this machine, which the next run of a local
        bridge reads; those that it has read, if there is no such file, or if it has faults.

        Args:
            files: the folder of a local bridge; None for a deployed one.
        """
        from local import bridge_file  # noqa: PLC0415  # a deployed bridge has its file in the bucket

        if files is not None and self.config.exists():
            with contextlib.suppress(BridgeFileInvalid):
                return bridge_file.load(self.config)
        return instance.current.config()


def with_bridge(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select a bridge to a command, which takes it as its first argument."""
    (name, parameter), *own = inspect.signature(command).parameters.items()
    bridge_type = parameter.annotation
    fields = dataclasses.fields(bridge_type)

    @functools.wraps(command)
    def with_options(**values: typing.Any) -> None:
        bridge = bridge_type(**{field.name: values.pop(field.name) for field in fields})
        command(**{name: bridge}, **values)

    hints = typing.get_type_hints(command, include_extras=True)
    hints |= typing.get_type_hints(bridge_type, include_extras=True)
    parameters = [
        *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for _, each in own),
        *(inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default) for each in fields),
    ]
    with_options.__annotations__ = {each.name: hints[each.name] for each in parameters}
    with_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # Typer reads it
        [each.replace(annotation=hints[each.name]) for each in parameters]
    )
    return with_options
