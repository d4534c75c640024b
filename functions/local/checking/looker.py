"""Looker: the login, what its user may do, and what each pull reads; no query is run.

It costs calls that licences count: the user, its roles, and one for each Look, query and explore.
"""

import difflib
from collections.abc import Collection, Iterator

import msgspec

from common import bridge_yaml
from common.loads import positions
from common.loads.cursor_column import GRAINS
from common.loads.sources import find_query
from common.looker import resources
from common.looker.client import LookerClient
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError, CannotStream, CursorUnfit, LookerLoginRefused, SecretUnreadable
from common.runs.instance import Instance
from local.checking import permission
from local.checking.explores import Explores
from local.checking.finding import Finding, green, red, refused, yellow
from local.checking.permission import Grant, find_grant
from local.checking.secrets import try_secret
from local.patience import Patience

_CREDENTIALS = "looker.credentials"
_COMPUTED_BY_LOOKER = {"percent_of_previous", "percent_of_total", "running_total"}
"Measures that Looker computes from all rows, so that it cannot stream them (Looker docs, `Downloading content`)."


_Asked = bridge_yaml.LookSource | bridge_yaml.QuerySource | bridge_yaml.ExploreSource


def findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    if not bridge.looker.credentials:
        return
    readable = try_secret(instance, _CREDENTIALS, bridge.looker.credentials)
    yield readable
    if readable.colour == "red":
        return
    with LookerClient(bridge.looker, instance.secrets, Patience(instance.clock), instance.chance) as looker:
        address = "looker.url" if bridge.looker.url else "looker.host"
        try:
            user = looker.get_as(_User, "/user", "its own user", fields="display_name,role_ids")
            versions = looker.get_as(_Versions, "/versions", "its release", fields="looker_release_version")
        except BridgeError as error:
            is_login = isinstance(error, LookerLoginRefused | SecretUnreadable)
            yield refused(_CREDENTIALS if is_login else address, error)
            return
        yield green(address, f"Looker {versions.looker_release_version} answers.")
        yield green(_CREDENTIALS, f"Looker accepts the login, as {user.display_name or 'a user without a name'}.")
        grant = find_grant(looker, user.role_ids or [])
        yield grant.finding(_CREDENTIALS)
        explores = Explores(looker)
        for pull in bridge.pulls.values():
            yield from _pull_findings(pull, looker, explores, grant)


class _User(msgspec.Struct, frozen=True):
    display_name: str | None = None
    role_ids: list[str] | None = None


class _Versions(msgspec.Struct, frozen=True):
    looker_release_version: str = "of an unknown release"


def _pull_findings(pull: bridge_yaml.Pull, looker: LookerClient, explores: Explores, grant: Grant) -> Iterator[Finding]:
    subject = f"pulls.{pull.name}.source"
    if isinstance(pull.source, bridge_yaml.ResourceSource):
        yield _try_resource(f"{subject}.resource", pull.source.resource, looker, explores, grant)
        return
    subject = f"{subject}.{_kind_of(pull.source)}"
    try:
        query = find_query(looker, pull.source)
    except BridgeError as error:
        yield refused(subject, error)
        return
    types = explores.types(query)
    if isinstance(types, BridgeError) and isinstance(pull.source, bridge_yaml.ExploreSource):
        yield red(subject, types.cause, "Check model and view, and that the bridge's Looker user may see the model.")
        return
    yield _stream_finding(subject, query, types)
    if grant.roles and grant.certain and not grant.covers(query.model):
        what = f"The user may not download without limit from the model {query.model}."
        yield red(subject, what, permission.NEXT_STEP)
    for where, names in _fields_named(pull):
        yield from _field_findings(f"pulls.{pull.name}.{where}", names, query, types)
    if isinstance(pull.load, bridge_yaml.Incremental) and not isinstance(types, BridgeError):
        yield from _cursor_findings(f"pulls.{pull.name}.load.incremental", pull.load, types)


def _cursor_findings(subject: str, load: bridge_yaml.Incremental, types: dict[str, str]) -> Iterator[Finding]:
    """Whether windows can be read along a cursor, where it is a field at all."""
    kind = types.get(load.cursor)
    if kind is None:
        return
    grain = GRAINS.get(kind)
    if grain is None:
        what = f"The field {load.cursor} is of the type {kind}: no date, time or number to read windows of."
        yield red(f"{subject}.cursor", what, CursorUnfit.next_step)
    elif not positions.fits(load.start, grain):
        yield red(f"{subject}.start", f"It is not of the type of {load.cursor}, {kind}.", CursorUnfit.next_step)


def _try_resource(subject: str, resource: str, looker: LookerClient, explores: Explores, grant: Grant) -> Finding:
    query = resources.query_of(resource)
    if query is not None:
        return _activity_finding(subject, query, explores, grant)
    try:
        count = len(resources.ResourceListing(looker, resource).first())
    except BridgeError as error:
        return refused(subject, error)
    if count:
        return green(subject, f"Looker shows {resource}: {count:,} in its first answer.")
    return yellow(
        subject,
        f"Looker shows no {resource}; a missing permission looks the same.",
        f"Check in Looker that there are {resource} which the bridge's user may see: it needs "
        f"{resources.RESOURCES[resource].permission}.",
    )


def _activity_finding(subject: str, query: LookerQuery, explores: Explores, grant: Grant) -> Finding:
    """Queries are rows of System Activity, read like those of any explore."""
    types = explores.types(query)
    if isinstance(types, BridgeError):
        what = f"Looker does not show System Activity to its user: {types.cause}"
        return red(subject, what, f"Give the bridge's Looker user the permission {resources.ACTIVITY_PERMISSION}.")
    unknown = [name for name in query.fields or [] if name not in types]
    if unknown:
        what = f"This Looker's System Activity has no {', '.join(unknown)}."
        next_step = (
            f"Name the fields it has: source: {{explore: {{model: {query.model}, view: {query.view}, fields: …}}}}."
        )
        return red(subject, what, next_step)
    if grant.roles and grant.certain and not grant.covers(query.model):
        # No document says whether the model sets of roles count for System Activity.
        what = f"No role that may download without limit names the model {query.model}: files may end at 5,000 rows."
        return yellow(subject, what, permission.NEXT_STEP)
    return green(subject, f"Looker shows its user {query.explore}, whose rows are queries.")


def _kind_of(source: _Asked) -> str:
    return type(source).__name__.removesuffix("Source").lower()


def _stream_finding(subject: str, query: LookerQuery, types: dict[str, str] | BridgeError) -> Finding:
    obstacles = query.obstacles()
    if obstacles:
        return red(
            subject, f"Looker cannot stream all its rows: it has {'; '.join(obstacles)}.", CannotStream.next_step
        )
    known = {} if isinstance(types, BridgeError) else types
    computed = [name for name in query.fields or [] if known.get(name) in _COMPUTED_BY_LOOKER]
    if computed:
        what = f"Looker computes {', '.join(computed)} from all rows, so it may not stream them."
        return yellow(subject, what, CannotStream.next_step)
    set_aside = [f"its limit of {query.own_limit():,}"] if query.own_limit() else []
    set_aside += ["its totals"] if query.total or query.subtotals else []
    aside = f" ({' and '.join(set_aside)} left aside)" if set_aside else ""
    return green(subject, f"Looker can stream all rows of {query.explore}{aside}.")


def _fields_named(pull: bridge_yaml.Pull) -> Iterator[tuple[str, Collection[str]]]:
    """The fields that bridge.yaml itself names, and where."""
    source = pull.source
    if isinstance(source, bridge_yaml.ExploreSource):
        yield "source.explore.fields", source.explore.fields
        yield "source.explore.filters", source.explore.filters
        yield "source.explore.sorts", [sort.partition(" ")[0] for sort in source.explore.sorts]
    if not isinstance(source, bridge_yaml.ResourceSource):
        yield "source.filters", source.filters
    if isinstance(pull.load, bridge_yaml.Incremental):
        yield "load.incremental.cursor", [pull.load.cursor]


def _field_findings(
    subject: str, names: Collection[str], query: LookerQuery, types: dict[str, str] | BridgeError
) -> Iterator[Finding]:
    if not names:
        return
    if isinstance(types, BridgeError):
        what = f"The fields of {query.explore} cannot be read: {types.cause}"
        yield yellow(subject, what, f"Check in Looker that the explore has {', '.join(names)}.")
        return
    known = types.keys() | _custom_fields(query)
    unknown = [name for name in names if name not in known]
    if not unknown:
        yield green(subject, f"{', '.join(names)}: known to {query.explore}.")
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        instead = f"Write {near[0]}, if that is meant" if near else "Write a field of the explore, as view.field"
        yield red(subject, f"There is no field {name} in {query.explore}.", f"{instead}.")


class _CustomField(msgspec.Struct, frozen=True):
    dimension: str | None = None
    measure: str | None = None


def _custom_fields(query: LookerQuery) -> set[str]:
    """Names of fields that a query brings along itself."""
    try:
        brought = msgspec.json.decode(query.dynamic_fields or "[]", type=list[_CustomField])
    except msgspec.DecodeError:
        return set()
    return {name for field in brought for name in (field.dimension, field.measure) if name}
