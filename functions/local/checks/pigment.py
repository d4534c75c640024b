"""Checks of Pigment: both keys and the import configurations. Nothing is pushed, triggered or exported."""

import itertools
import re
import uuid
from collections.abc import Iterator

import msgspec
import requests

from common import bridge_yaml
from common.platform import http
from common.platform.errors import BridgeError, ImportConfigurationNotFound, PigmentKeyRefused
from common.runs.instance import Instance
from local import next_steps
from local.catalogue import MAX_BLOCKS, SCOPE, Catalogue, open_client
from local.checks import exports
from local.checks.finding import Finding, from_error, green, red, yellow
from local.checks.secrets import try_secret

_OLD_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    settings = bridge.pigment
    accepted = []
    if settings.import_key:
        # Pigment answers 404 to an accepted key that asks for an unknown import, and 401 to any other key.
        unknown_import = f"/import/{uuid.uuid4()}/status"
        tried = _try_key(instance, settings, "import_key", settings.import_key, "Import", unknown_import)
        yield from tried
        if tried[-1].colour != "red":
            accepted.append(settings.import_key)
            yield from _configuration_findings(bridge, instance)
    if settings.export_key:
        # The request for a view reads nothing. The export of a list, metric or table takes a body and starts work.
        unknown_view = f"/export/view/{uuid.uuid4()}"
        tried = _try_key(instance, settings, "export_key", settings.export_key, "Export", unknown_view)
        yield from tried
        if tried[-1].colour != "red":
            accepted.insert(0, settings.export_key)
        yield from exports.findings(bridge, instance, accepted)


def _try_key(
    instance: Instance, settings: bridge_yaml.PigmentSettings, name: str, secret: str, scope: str, unknown_path: str
) -> list[Finding]:
    """Check a secret and, if it can be read, the key in it.

    Args:
        unknown_path: a path that needs the scope and names something that does not exist.
    """
    subject = f"pigment.{name}"
    readable = try_secret(instance, subject, secret)
    if readable.colour == "red":
        return [readable]
    # Pigment's articles on import and export ask customers to replace keys of this format.
    is_old = bool(_OLD_KEY.fullmatch(instance.secrets.read(secret).reveal()))
    try:
        with open_client(settings, instance, secret) as pigment:
            pigment.get(unknown_path, "an unknown id")
    except ImportConfigurationNotFound:
        if not _requires_key(settings, unknown_path):
            what = "The server at this address is not Pigment's API: it does not require a key."
            return [readable, red("pigment.url", what, "Remove it, or write https://pigment.app.")]
    except PigmentKeyRefused as error:
        return [readable, red(subject, error.cause, _refused_next_step(scope, secret, is_old=is_old))]
    except BridgeError as error:
        return [readable, from_error("pigment.url", error)]
    if is_old:
        renew = next_steps.place_of_new_key(secret)
        what = f"Pigment accepts the key in the secret {secret}, but it has the old format, a UUID with dashes."
        return [readable, yellow(subject, what, f"Create a new key with the scope {scope} in Pigment and {renew}.")]
    return [readable, green(subject, f"Pigment accepts the key in the secret {secret} for {scope}.")]


def _requires_key(settings: bridge_yaml.PigmentSettings, unknown_path: str) -> bool:
    """Return whether the server answers 401 without a key. If it does not, its 404 says nothing about the key."""
    with http.open_session() as session:
        try:
            answer = session.get(
                f"{settings.url}/api/v1{unknown_path}",
                timeout=http.CONNECT_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException:
            return False
    return bool(answer.status_code == requests.codes.unauthorized)


def _refused_next_step(scope: str, secret: str, *, is_old: bool) -> str:
    old = "The key has the old format, a UUID with dashes, which Pigment no longer creates. " if is_old else ""
    reasons = PigmentKeyRefused.reasons.replace(PigmentKeyRefused.scopes, f" {scope}")
    return f"{old}{reasons} Create a new key in Pigment and {next_steps.place_of_new_key(secret)}."


def _configuration_findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    jobs = [job for job in bridge.jobs() if isinstance(job, bridge_yaml.AnyImport)]
    if not jobs:
        return
    with open_client(bridge.pigment, instance, bridge.pigment.import_key) as pigment:
        lookup = _look_up({job.target.configuration for job in jobs}, Catalogue(pigment))
    for job in jobs:
        yield _configuration_finding(f"{job.kind}s.{job.name}.target.configuration", job.target, lookup)
        if other := _read_back_elsewhere(job, lookup.found.get(job.target.configuration)):
            yield other


class _FoundConfiguration(msgspec.Struct, frozen=True):
    name: str
    block_id: str
    block: str
    "Its name, and that of its application."


class _ConfigurationLookup(msgspec.Struct, frozen=True):
    """The result of looking up import configurations in Pigment."""

    found: dict[str, _FoundConfiguration]
    "By id."
    obstacle: str
    "Why not every block could be read; empty if all could."


def _look_up(ids: set[str], catalogue: Catalogue) -> _ConfigurationLookup:
    """Read the configurations of one block after another, as Pigment cannot look one up by its id."""
    found: dict[str, _FoundConfiguration] = {}
    blocks = catalogue.blocks()
    try:
        for application, block in itertools.islice(blocks, MAX_BLOCKS):
            for each in catalogue.in_block(application, block, "/importConfigurations"):
                if each.id.lower() in ids:
                    of_block = f"{block.name} in {application.name}"
                    found[each.id.lower()] = _FoundConfiguration(each.name, block.id.lower(), of_block)
            if found.keys() == ids:
                return _ConfigurationLookup(found, "")
        is_complete = next(blocks, None) is None
    except PigmentKeyRefused:
        return _ConfigurationLookup(found, f"the key lacks the scope {SCOPE}")
    except BridgeError as error:
        return _ConfigurationLookup(found, error.cause.rstrip("."))
    obstacle = "" if is_complete else f"the first {MAX_BLOCKS} blocks do not contain it, and no others were read"
    return _ConfigurationLookup(found, obstacle)


def _read_back_elsewhere(job: bridge_yaml.AnyImport, configuration: _FoundConfiguration | None) -> Finding | None:
    """Return a finding if another list or metric is read back than the one that the import fills."""
    source = job.verify.source if job.verify else None
    if configuration is None or not isinstance(source, bridge_yaml.ListSource | bridge_yaml.MetricSource):
        return None
    kind, block_id = exports.kind_and_id(source)
    if block_id == configuration.block_id:
        return None
    what = f"The import fills another block than this {kind}: {configuration.block}."
    next_step = f"Write {configuration.block_id}, unless Pigment derives this {kind} from that block."
    return yellow(f"{job.kind}s.{job.name}.verify.source.{kind}", what, next_step)


def _configuration_finding(subject: str, target: bridge_yaml.Target, lookup: _ConfigurationLookup) -> Finding:
    found = lookup.found.get(target.configuration)
    if found:
        return green(subject, f"The id belongs to {found.name}, of the block {found.block}.")
    if lookup.obstacle:
        return yellow(
            subject,
            f"The id cannot be checked: {lookup.obstacle}.",
            "Compare it with Block > Settings > Import configurations > … > Copy ID in Pigment, or add the scope "
            f"{SCOPE} to the import key.",
        )
    what = "Pigment shows no import configuration with this id to the owner of the import key."
    if target.via == "storage":
        # Pigment's API description does not say whether configurations with a connector are listed.
        return yellow(subject, f"{what} It may not list those with a connector.", ImportConfigurationNotFound.next_step)
    return red(subject, what, ImportConfigurationNotFound.next_step)
