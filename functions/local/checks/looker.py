"""Checks of Looker: the login, the permissions of its user, and what each pull reads. No query is run.

Licences limit the number of API calls. The checks make one for the user, the release and the roles, and one for each
Look, query and explore.
"""

from collections.abc import Collection, Iterator

import msgspec

from common import bridge_yaml
from common.loads import cursor_column
from common.loads.sources import find_query
from common.looker import obstacles, resources
from common.looker.client import LookerClient
from common.looker.explore import ExploreFields
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError, CannotStream, CursorUnfit, LookerLoginRefused, SecretUnreadable
from common.runs.instance import Instance
from local.checks import columns, download_permission
from local.checks.download_permission import DownloadPermission, read_permission
from local.checks.explores import CheckedExplore
from local.checks.finding import Finding, from_error, green, nearest, red, yellow
from local.checks.secrets import try_secret
from local.interactive_deadline import InteractiveDeadline

_CREDENTIALS = "looker.credentials"
_COMPUTED_BY_LOOKER = {"percent_of_previous", "percent_of_total", "running_total"}
"Measures that Looker computes from all rows, so it cannot stream them (Looker docs, `Downloading content`)."

_QueryBasedSource = bridge_yaml.LookSource | bridge_yaml.QuerySource | bridge_yaml.ExploreSource


def findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    if not bridge.looker.credentials:
        return
    readable = try_secret(instance, _CREDENTIALS, bridge.looker.credentials)
    yield readable
    if readable.colour == "red":
        return
    with LookerClient(bridge.looker, instance.secrets, InteractiveDeadline(instance.clock), instance.chance) as looker:
        address = "looker.url" if bridge.looker.url else "looker.host"
        try:
            user = looker.get_as(_LookerUser, "/user", "its own user", fields="display_name,role_ids")
            versions = looker.get_as(_LookerVersions, "/versions", "its release", fields="looker_release_version")
        except BridgeError as error:
            is_login = isinstance(error, LookerLoginRefused | SecretUnreadable)
            yield from_error(_CREDENTIALS if is_login else address, error)
            return
        yield green(address, f"Looker {versions.looker_release_version} answers.")
        yield green(_CREDENTIALS, f"Looker accepts the login, as {user.display_name or 'a user without a name'}.")
        permission = read_permission(looker, user.role_ids or [])
        yield permission.finding(_CREDENTIALS)
        explores = CheckedExplore(looker)
        for pull in bridge.pulls.values():
            yield from _pull_findings(pull, looker, explores, permission)


class _LookerUser(msgspec.Struct, frozen=True):
    display_name: str | None = None
    role_ids: list[str] | None = None


class _LookerVersions(msgspec.Struct, frozen=True):
    looker_release_version: str = "of an unknown release"


def _pull_findings(
    pull: bridge_yaml.Pull, looker: LookerClient, explores: CheckedExplore, permission: DownloadPermission
) -> Iterator[Finding]:
    subject = f"pulls.{pull.name}.source"
    if isinstance(pull.source, bridge_yaml.ResourceSource):
        yield _try_resource(f"{subject}.resource", pull.source.resource, looker, explores, permission)
        return
    subject = f"{subject}.{_kind_of(pull.source)}"
    try:
        query = find_query(looker, pull.source)
    except BridgeError as error:
        yield from_error(subject, error)
        return
    types = explores.types(query)
    if isinstance(types, BridgeError) and isinstance(pull.source, bridge_yaml.ExploreSource):
        yield red(subject, types.cause, "Check model and view, and that the bridge's Looker user may see this model.")
        return
    yield _stream_finding(subject, query, types)
    if permission.excludes(query.model):
        what = f"The user may not download without limit from the model {query.model}."
        yield red(subject, what, download_permission.NEXT_STEP)
    for key, names in _named_fields(pull):
        yield from _field_findings(f"pulls.{pull.name}.{key}", names, query, types)
    yield from columns.findings(pull, query, explores.fields(query))
    if isinstance(pull.load, bridge_yaml.Incremental):
        subject, repeatable = f"pulls.{pull.name}.load.incremental", pull.target.repeatable
        yield from _cursor_findings(subject, pull.load, query, explores.fields(query), repeatable=repeatable)


def _cursor_findings(
    subject: str,
    load: bridge_yaml.Incremental,
    query: LookerQuery,
    fields: ExploreFields | BridgeError,
    *,
    repeatable: bool,
) -> Iterator[Finding]:
    """Check the cursor as a pull does."""
    if isinstance(fields, BridgeError):
        # A pull reads the explore to find the cursor's column, and fails with it.
        yield from_error(f"{subject}.cursor", fields)
        return
    # A query without a time zone is read in UTC.
    query = msgspec.structs.replace(query, query_timezone=query.query_timezone or "UTC")
    try:
        cursor_column.start_of(load, cursor_column.column_in(fields, query, load, repeatable=repeatable))
        yield green(f"{subject}.cursor", f"{query.explore} has {load.cursor}.")
    except CursorUnfit as error:
        yield from_error(f"{subject}.cursor", error)


def _try_resource(
    subject: str, resource: str, looker: LookerClient, explores: CheckedExplore, permission: DownloadPermission
) -> Finding:
    query = resources.query_of(resource)
    if query is not None:
        return _activity_finding(subject, query, explores, permission)
    try:
        count = len(resources.ResourceListing(looker, resource).first())
    except BridgeError as error:
        return from_error(subject, error)
    if count:
        return green(subject, f"Looker shows {resource}; its first answer has {count:,}.")
    return yellow(
        subject,
        f"Looker shows no {resource}. Either there are none, or the user lacks a permission.",
        f"Check in Looker that there are {resource} which the bridge's user may see. It needs "
        f"{resources.RESOURCES[resource].permission}.",
    )


def _activity_finding(
    subject: str, query: LookerQuery, explores: CheckedExplore, permission: DownloadPermission
) -> Finding:
    """Check the resource `queries`, which is an explore of System Activity."""
    types = explores.types(query)
    if isinstance(types, BridgeError):
        what = f"System Activity cannot be read: {types.cause}"
        return red(subject, what, f"Give the bridge's Looker user the permission {resources.ACTIVITY_PERMISSION}.")
    unknown = [name for name in query.fields or [] if name not in types]
    if unknown:
        what = f"System Activity of this Looker instance has no field {', '.join(unknown)}."
        next_step = (
            f"Name its fields yourself: source: {{explore: {{model: {query.model}, view: {query.view}, fields: …}}}}."
        )
        return red(subject, what, next_step)
    if permission.excludes(query.model):
        # Looker does not document whether the model sets of roles apply to System Activity.
        what = f"No role with download_without_limit names the model {query.model}. Files may end at 5,000 rows."
        return yellow(subject, what, download_permission.NEXT_STEP)
    return green(subject, f"The user may read queries from {query.explore}.")


def _kind_of(source: _QueryBasedSource) -> str:
    return type(source).__name__.removesuffix("Source").lower()


def _stream_finding(subject: str, query: LookerQuery, types: dict[str, str] | BridgeError) -> Finding:
    found = obstacles.of_pull(query)
    if found:
        return red(
            subject,
            f"Looker cannot stream all of its rows, because it has {'; '.join(found)}.",
            CannotStream.next_step,
        )
    types_by_name = {} if isinstance(types, BridgeError) else types
    computed = [name for name in query.fields or [] if types_by_name.get(name) in _COMPUTED_BY_LOOKER]
    if computed:
        what = f"Looker computes {', '.join(computed)} from all rows, so it may be unable to stream them."
        return yellow(subject, what, CannotStream.next_step)
    ignored = [f"its limit of {query.own_limit():,}"] if query.own_limit() and not query.keeps_limit else []
    ignored += ["its totals"] if obstacles.has_totals(query) else []
    note = f" ({' and '.join(ignored)} ignored)" if ignored else ""
    return green(subject, f"Looker can stream all rows of {query.explore}{note}.")


def _named_fields(pull: bridge_yaml.Pull) -> Iterator[tuple[str, Collection[str]]]:
    """Yield the fields that bridge.yaml names, by the key that names them."""
    source = pull.source
    if isinstance(source, bridge_yaml.ExploreSource):
        yield "source.explore.fields", source.explore.fields
        yield "source.explore.filters", source.explore.filters
        yield "source.explore.sorts", [sort.partition(" ")[0] for sort in source.explore.sorts]
    if not isinstance(source, bridge_yaml.ResourceSource):
        yield "source.filters", source.filters


def _field_findings(
    subject: str, names: Collection[str], query: LookerQuery, types: dict[str, str] | BridgeError
) -> Iterator[Finding]:
    if not names:
        return
    if isinstance(types, BridgeError):
        what = f"The fields of {query.explore} cannot be read: {types.cause}"
        yield yellow(subject, what, f"Check in Looker that the explore has {', '.join(names)}.")
        return
    known = sorted(types.keys() | _custom_fields(query))
    unknown = [name for name in names if name not in known]
    if not unknown:
        yield green(subject, f"{query.explore} has {', '.join(names)}.")
    for name in unknown:
        yield _unknown_field(subject, name, known, query)


def _unknown_field(subject: str, name: str, known: Collection[str], query: LookerQuery) -> Finding:
    told, advice = nearest(name, known, "Write a field of the explore, such as view.field.")
    what = f"{query.explore} has no field {name}."
    return red(subject, f"{what} {told}" if told else what, advice)


class _CustomField(msgspec.Struct, frozen=True):
    dimension: str | None = None
    measure: str | None = None


def _custom_fields(query: LookerQuery) -> set[str]:
    """Return the names of the fields that the query itself defines."""
    try:
        defined = msgspec.json.decode(query.dynamic_fields or "[]", type=list[_CustomField])
    except msgspec.DecodeError:
        return set()
    return {name for field in defined for name in (field.dimension, field.measure) if name}
