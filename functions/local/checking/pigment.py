"""Pigment: both keys, and the import configurations; nothing is pushed, triggered or exported."""

import itertools
import re
import uuid
from collections.abc import Iterator

import msgspec
import requests

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform import http
from common.platform.errors import BridgeError, ImportConfigurationNotFound, PigmentKeyRefused
from common.runs.instance import Instance
from local.catalogue import MOST_BLOCKS, SCOPE, Catalogue
from local.checking import exports
from local.checking.finding import Finding, green, red, refused, yellow
from local.checking.secrets import try_secret
from local.patience import Patience

_OLD_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RENEW = "add it as a new version of the secret"


def findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    where = bridge.pigment
    accepted = []
    if where.import_key:
        # Of what never was an accepted key learns that it is not known (404), and any other one gets 401.
        tried = _try_key(instance, where, "import_key", "Import", f"/import/{uuid.uuid4()}/status")
        yield from tried
        if tried[-1].colour != "red":
            accepted.append(where.import_key)
            yield from _configuration_findings(bridge, instance)
    if where.export_key:
        # The client knows one key, whatever it is for.
        exporting = msgspec.structs.replace(where, import_key=where.export_key)
        # Looking for a view reads nothing, where a list's, metric's or table's export takes a body and works on it.
        tried = _try_key(instance, exporting, "export_key", "Export", f"/export/view/{uuid.uuid4()}")
        yield from tried
        if tried[-1].colour != "red":
            accepted.insert(0, where.export_key)
        yield from exports.findings(bridge, instance, accepted)


def _try_key(
    instance: Instance, where: bridge_yaml.PigmentSettings, name: str, scope: str, unknown: str
) -> list[Finding]:
    """What came of its secret and, where that can be read, of the key."""
    subject, secret = f"pigment.{name}", where.import_key
    readable = try_secret(instance, subject, secret)
    if readable.colour == "red":
        return [readable]
    # Pigment's articles on import and export ask that keys of this form be made anew.
    is_old = bool(_OLD_KEY.fullmatch(instance.secrets.read(secret).reveal()))
    try:
        with _open(instance, where) as pigment:
            pigment.get(unknown, "something that never was")
    except ImportConfigurationNotFound:
        if not _asks_for_a_key(where, unknown):
            what = "What answers there is not Pigment's API: it asks for no key."
            return [readable, red("pigment.url", what, "Leave it out, or write https://pigment.app.")]
    except PigmentKeyRefused as error:
        return [readable, red(subject, error.cause, _step_for_refused(scope, is_old=is_old))]
    except BridgeError as error:
        return [readable, refused("pigment.url", error)]
    if is_old:
        what = f"Pigment accepts the key in the secret {secret}, but it is of the old format, a UUID with dashes."
        return [readable, yellow(subject, what, f"Make a new key with the scope {scope} in Pigment and {_RENEW}.")]
    return [readable, green(subject, f"Pigment accepts the key in the secret {secret} for {scope}.")]


def _asks_for_a_key(where: bridge_yaml.PigmentSettings, unknown: str) -> bool:
    """Whether the same question without a key is refused: else an answer of 404 says nothing about the key."""
    with http.open_session() as session:
        try:
            answer = session.get(
                f"{where.url}/api/v1{unknown}", timeout=http.CONNECT_TIMEOUT_S, allow_redirects=False, stream=True
            )
        except requests.RequestException:
            return False
    return bool(answer.status_code == requests.codes.unauthorized)


def _step_for_refused(scope: str, *, is_old: bool) -> str:
    old = "The key is of the old format, a UUID with dashes, which Pigment no longer makes. " if is_old else ""
    return (
        f"{old}One of four: the key has expired (the expiry day itself no longer counts), lacks the scope {scope}, is "
        "used from an address that its allow list lacks, or its owner was deactivated. Make a new key in Pigment and "
        f"{_RENEW}."
    )


def _configuration_findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    targets = list(_targets(bridge))
    if not targets:
        return
    with _open(instance, bridge.pigment) as pigment:
        seen = _look_for({target.configuration for _, target in targets}, pigment)
    for subject, target in targets:
        yield _configuration_finding(subject, target, seen)


def _targets(bridge: bridge_yaml.Bridge) -> Iterator[tuple[str, bridge_yaml.Target]]:
    for name, pull in bridge.pulls.items():
        yield f"pulls.{name}.target.configuration", pull.target
    for name, relay in bridge.relays.items():
        if isinstance(relay, bridge_yaml.Relay):
            yield f"relays.{name}.target.configuration", relay.target


class _Seen(msgspec.Struct, frozen=True):
    """What a walk through Pigment came by."""

    places: dict[str, str]
    "The name and block of each import configuration that was looked for, by its id."
    unseen: str
    "Why not all could be looked at; empty where every block was."


def _look_for(wanted: set[str], pigment: PigmentClient) -> _Seen:
    """Look for import configurations block by block: Pigment has no way to ask for one by its id."""
    places: dict[str, str] = {}
    catalogue = Catalogue(pigment)
    blocks = catalogue.blocks()
    try:
        for application, block in itertools.islice(blocks, MOST_BLOCKS):
            for each in catalogue.of_block(application, block, "/importConfigurations"):
                if each.id.lower() in wanted:
                    places[each.id.lower()] = f"{each.name}, of the block {block.name} in {application.name}"
            if places.keys() == wanted:
                return _Seen(places, "")
        is_whole = next(blocks, None) is None
    except PigmentKeyRefused:
        return _Seen(places, f"the key lacks the scope {SCOPE}")
    except BridgeError as error:
        return _Seen(places, error.cause.rstrip("."))
    return _Seen(places, "" if is_whole else f"it is in none of the first {MOST_BLOCKS} blocks")


def _configuration_finding(subject: str, target: bridge_yaml.Target, seen: _Seen) -> Finding:
    place = seen.places.get(target.configuration)
    if place:
        return green(subject, f"It is {place}.")
    if seen.unseen:
        return yellow(
            subject,
            f"Whether it exists cannot be seen: {seen.unseen}.",
            "Compare it with Block > Settings > Import configurations > … > Copy ID in Pigment, or add the scope "
            f"{SCOPE} to the import key.",
        )
    what = "Pigment shows the owner of the import key no import configuration with this id."
    if target.via == "storage":
        # The API's description does not say whether configurations with a connector are listed.
        return yellow(subject, f"{what} It may list none with a connector.", ImportConfigurationNotFound.next_step)
    return red(subject, what, ImportConfigurationNotFound.next_step)


def _open(instance: Instance, where: bridge_yaml.PigmentSettings) -> PigmentClient:
    return PigmentClient(where, instance.secrets, Patience(instance.clock), instance.chance)
