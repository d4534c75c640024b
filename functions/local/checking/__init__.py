"""Everything that bridge.yaml names, tried for real and left as it was.

What depends on something that failed is not tried; all else is. Whoever runs it is whose access to secrets and buckets
is tried: the functions have service accounts of their own.
"""

from collections.abc import Iterator
from pathlib import Path

from common import bridge_yaml
from common.platform.errors import BridgeFileInvalid
from common.runs.instance import Instance
from local import bridge_file
from local.checking import buckets, expiry, looker, pigment
from local.checking.finding import Finding, green, red, table, yellow
from local.checking.secrets import try_secret

__all__ = ["Finding", "every_finding", "findings_offline", "table"]

_FILE = "bridge.yaml"


def every_finding(config_path: Path, instance: Instance) -> Iterator[Finding]:
    """One after the other, each as soon as it is made."""
    try:
        raw = bridge_file.read(config_path)
        bridge = bridge_yaml.decode(raw)
    except BridgeFileInvalid as error:
        yield from _faults(error)
        yield from buckets.findings(None, None, instance)
        return
    yield from _said(bridge)
    yield from looker.findings(bridge, instance)
    yield from pigment.findings(bridge, instance)
    if bridge.webhook.token:
        yield try_secret(instance, "webhook.token", bridge.webhook.token)
    yield from expiry.findings(bridge, instance.clock.now().date())
    yield from buckets.findings(bridge, raw, instance)


def findings_offline(config_path: Path) -> Iterator[Finding]:
    """What the file alone tells: no secret is read, and nobody is asked.

    It is read with the functions' own code, so what is red here would stop every function; a warning stops none.
    """
    try:
        yield from _said(bridge_file.load(config_path))
    except BridgeFileInvalid as error:
        yield from _faults(error)


def _faults(error: BridgeFileInvalid) -> Iterator[Finding]:
    for line in error.cause.splitlines():
        yield red(*_parts(line, error.next_step))


def _said(bridge: bridge_yaml.Bridge) -> Iterator[Finding]:
    yield green(_FILE, f"It says what it has to, of {_counted(bridge)}.")
    for line in bridge.warnings:
        yield yellow(*_parts(line, "Change it, unless it is meant."))


def _parts(line: str, next_step: str) -> tuple[str, str, str]:
    """Of a fault or a warning: where, what is wrong, and what to write instead."""
    said, _, instead = line.partition("; write ")
    where, _, what = said.partition(": ")
    return where, f"{what[:1].upper()}{what[1:]}.", f"Write {instead}." if instead else next_step


def _counted(bridge: bridge_yaml.Bridge) -> str:
    jobs = ((len(bridge.pulls), "pull"), (len(bridge.relays), "relay"), (len(bridge.exports), "export"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in jobs if count) or "no job"
