"""Checks of everything that bridge.yaml names. They change nothing.

A check is skipped if it needs something whose own check failed. Secrets and buckets are tried with the permissions of
the person who runs the check; the functions have service accounts of their own.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from common import bridge_yaml
from common.platform.errors import BridgeFileInvalid
from common.runs.instance import Instance
from local import deployment, overlay
from local.bridge_file import BridgeFile
from local.checks import buckets, licence, looker, pigment, queries, secrets
from local.checks.deep import Observation, observations
from local.checks.finding import Finding, green, red, table, yellow

__all__ = [
    "Finding",
    "Observation",
    "findings",
    "findings_of_looker",
    "findings_of_vendors",
    "findings_offline",
    "observations",
    "table",
]

_FILE = "bridge.yaml"
_PLACE = re.compile(r"line (?P<line>\d+)(?P<column>, column \d+: )?(, )?")
"Where a fault is, as `bridge_file` writes it: before the path of a key or, in YAML that cannot be read, with a column."


def findings(config_path: Path, instance: Instance, overlay_path: Path | None = None) -> Iterator[Finding]:
    """Run all checks of bridge.yaml, or with an overlay, of another environment. Yield each finding as soon as it is
    made.
    """
    loaded = _load(config_path, overlay_path)
    if isinstance(loaded, BridgeFileInvalid):
        yield from _fault_findings(loaded)
        yield from buckets.findings(None, None, instance)
        return
    raw, bridge = loaded
    yield from _file_findings(bridge)
    yield from licence.findings(bridge, instance.clock.now().date())
    yield from findings_of_vendors(bridge, instance)
    if bridge.webhook.token:
        yield secrets.try_secret(instance, "webhook.token", bridge.webhook.token)
    for name in sorted(bridge.notify_secrets()):
        yield secrets.try_secret(instance, f"notify.webhook {name}", name)
    yield from secrets.expiry_findings(bridge, instance.clock.now().date())
    yield from buckets.findings(bridge, raw, instance, _plan_of(overlay_path))
    yield from queries.findings(bridge, instance)


def _load(config_path: Path, overlay_path: Path | None) -> BridgeFile | BridgeFileInvalid:
    """Return the file or its faults: what is checked after an `except` block is not caused by them."""
    try:
        return overlay.load_environment(config_path, overlay_path)
    except BridgeFileInvalid as error:
        return error


def _plan_of(overlay_path: Path | None) -> str:
    """Return the command that plans an environment, such as that of bridge.dev.yaml."""
    name = overlay_path.stem.partition(".")[2] if overlay_path else ""
    return f"make plan ENVIRONMENT={name}" if name else "make plan"


def findings_of_looker(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    """Check what Looker says of its key and of what the pulls read."""
    yield from looker.findings(bridge, instance)


def findings_of_vendors(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    """Check what Looker and Pigment say of the keys and ids."""
    yield from findings_of_looker(bridge, instance)
    yield from pigment.findings(bridge, instance)


def is_valid(config_path: Path, overlay_path: Path | None = None) -> bool:
    """Whether the file, and what an overlay makes of it, has no fault of its own."""
    return not isinstance(_load(config_path, overlay_path), BridgeFileInvalid)


def findings_offline(config_path: Path, out: Path | None = None, overlay_path: Path | None = None) -> Iterator[Finding]:
    """Check only the file, with the code of the functions. No secret is read and no request is sent.

    A red finding would stop every function, or use up Looker's licence. A yellow one would stop none.

    Args:
        out: where to write what Terraform needs to know of the file, if nothing is red. A shared import configuration
            is then red.
        overlay_path: what another environment changes in the file.
    """
    try:
        bridge = overlay.load_environment(config_path, overlay_path).bridge
        if out:
            deployment.write(deployment.read(config_path, overlay_path), out)
        yield from _file_findings(bridge)
        yield from licence.findings(bridge, datetime.now(UTC).date())
    except BridgeFileInvalid as error:
        yield from _fault_findings(error)


def _fault_findings(error: BridgeFileInvalid) -> Iterator[Finding]:
    for text in error.cause.splitlines():
        place = _PLACE.match(text)
        fault = text[place.end() :] if place else text
        if place and place["column"]:
            fault = f"{_FILE}: {fault}"
        finding = red(*_split(fault, error.next_step))
        yield msgspec.structs.replace(finding, line=int(place["line"])) if place else finding


def _file_findings(bridge: bridge_yaml.Bridge) -> Iterator[Finding]:
    yield green(_FILE, f"The file is valid and has {_job_counts(bridge)}.")
    for line in bridge.warnings:
        yield yellow(*_split(line, "Change it unless it is intended."))


def _split(line: str, next_step: str) -> tuple[str, str, str]:
    """Split a fault or a warning into the key, the problem and the next step."""
    fault, _, advice = line.partition("; write ")
    key, _, problem = fault.partition(": ")
    return key, f"{problem[:1].upper()}{problem[1:]}.", f"Write {advice}." if advice else next_step


def _job_counts(bridge: bridge_yaml.Bridge) -> str:
    jobs = ((len(bridge.pulls), "pull"), (len(bridge.relays), "relay"), (len(bridge.exports), "export"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in jobs if count) or "no jobs"
