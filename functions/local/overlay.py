"""The bridge.yaml of another environment: bridge.yaml with what an overlay such as bridge.dev.yaml changes.

The jobs are those of bridge.yaml. Their schedules are off, unless the overlay sets them. An overlay cannot name an
import configuration of bridge.yaml, because a test would then change the real plan.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.bridge_yaml import Bridge, decode
from common.bridge_yaml.model import Signal
from common.platform.errors import BridgeFileInvalid
from local import bridge_file
from local.bridge_file import BridgeFile

_JOBS = ("pulls", "relays", "exports")


def load_environment(path: Path, overlay_path: Path | None) -> BridgeFile:
    """Read and decode the bridge.yaml of an environment; without an overlay, bridge.yaml itself. Raises as
    `environment`, and BridgeFileInvalid if a file cannot be read.
    """
    return environment(bridge_file.content(path), content_of(overlay_path) if overlay_path else None)


def content_of(path: Path) -> bytes:
    """Return the bytes of an overlay. Raises BridgeFileInvalid if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BridgeFileInvalid(
            f"overlay: {path} cannot be read: {error.strerror}", next_step="Give its path with --overlay."
        ) from None


def environment(content: bytes, changes: bytes | None) -> BridgeFile:
    """Decode the bridge.yaml of an environment.

    Args:
        content: of bridge.yaml.
        changes: the content of the overlay.

    Raises:
        BridgeFileInvalid: one of both, or both together, are not valid, or a job has an import configuration of
            bridge.yaml itself.
    """
    base = bridge_file.decode_file(content)
    if changes is None:
        return base
    raw = merged(base.raw, _parse(changes))
    bridge = decode(raw)
    if taken := shared_configurations(base.bridge, bridge):
        raise BridgeFileInvalid("\n".join(taken))
    return BridgeFile(raw, bridge)


def _parse(changes: bytes) -> object:
    try:
        return bridge_file.parse(changes)
    except BridgeFileInvalid as error:
        # Otherwise its lines would be taken for those of bridge.yaml.
        faults = [f"overlay: {fault}" for fault in error.cause.splitlines()]
        raise BridgeFileInvalid("\n".join(faults), next_step="Correct the file that --overlay names.") from None


def merged(base: object, overlay: object) -> object:
    """Return the plain data of bridge.yaml with an overlay: its values replace those of the same path, null removes.

    Raises:
        BridgeFileInvalid: the overlay is not a mapping, or has a job that bridge.yaml lacks.
    """
    if not isinstance(base, Mapping):
        return base  # its own faults are reported when it is decoded
    if not isinstance(overlay, Mapping):
        raise BridgeFileInvalid("overlay: is not a mapping; write the keys of bridge.yaml that differ")
    if faults := list(_unknown_jobs(base, overlay)):
        raise BridgeFileInvalid("\n".join(faults))
    return _patched(_without_schedules(base), overlay)


def shared_configurations(base: Bridge, environment: Bridge) -> list[str]:
    """Return a fault for each import configuration of an environment that is also one of bridge.yaml."""
    taken = {configuration for _, configuration in _configurations(base)}
    return [
        f"{path}: {configuration} is an import configuration of bridge.yaml itself; "
        "write the configuration of this environment into the overlay"
        for path, configuration in _configurations(environment)
        if configuration in taken
    ]


def _configurations(bridge: Bridge) -> Iterator[tuple[str, str]]:
    for section, jobs in (("pulls", bridge.pulls), ("relays", bridge.relays)):
        for name, job in jobs.items():
            if not isinstance(job, Signal):
                yield f"{section}.{name}.target.configuration", job.target.configuration


def _unknown_jobs(base: Mapping[Any, Any], overlay: Mapping[Any, Any]) -> Iterator[str]:
    for section in _JOBS:
        given, known = overlay.get(section), base.get(section)
        for name in given if isinstance(given, Mapping) else ():
            if not isinstance(known, Mapping) or name not in known:
                yield f"{section}.{name}: is not a job of bridge.yaml; write it there, or take it out of the overlay"


def _without_schedules(base: Mapping[Any, Any]) -> dict[Any, Any]:
    changed = dict(base)
    for section in _JOBS:
        if isinstance(jobs := base.get(section), Mapping):
            changed[section] = {
                name: {key: value for key, value in job.items() if key != "schedule"}
                if isinstance(job, Mapping)
                else job
                for name, job in jobs.items()
            }
    return changed


def _patched(value: object, patch: object) -> object:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    changed = dict(value) if isinstance(value, Mapping) else {}
    for key, wanted in patch.items():
        if wanted is None:
            changed.pop(key, None)
        else:
            changed[key] = _patched(changed.get(key), wanted)
    return changed
