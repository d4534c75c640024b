"""The rules of bridge.yaml beyond single values: which keys exclude or require each other.

A rule is a pure function that yields findings for one section or for the whole file. A value with a fault of its own is
UNSET. A rule for a section is skipped if a value that it reads is UNSET; the rules for the whole file skip such values.
One pass therefore reports every fault.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET, Struct

from common.bridge_yaml.model import (
    AllOf,
    AnyOf,
    Approval,
    Bridge,
    Changes,
    Condition,
    Export,
    Incremental,
    InlineQuery,
    Known,
    LookerSettings,
    Pull,
    Relay,
    ResourceSource,
    Signal,
    TableField,
    Target,
    Verify,
    ViewSource,
)
from common.platform import lookalikes

LONGEST_KEY = 63
_PLAIN_KEY = re.compile(rf"[\w.-]{{1,{LONGEST_KEY}}}")
_LONGEST_LIST = 3
_PARTITION = "dt={date}/"
"What `infra/bigquery.tf` makes a column of."
_ONLY_WITH_HOST = "is only allowed with host"
_UNITS_OF_AN_AGE = ("second", "minute", "hour", "day", "week")


def path_of(path: str, key: str) -> str:
    """Return the path of a key in a section, such as `pulls.flights`. An unusual key is quoted and shortened."""
    if not key:
        return path
    step = key if _PLAIN_KEY.fullmatch(key) else repr(key[:LONGEST_KEY])
    return f"{path}.{step}" if path else step


class RuleFinding(NamedTuple):
    """A fault or a warning."""

    path: str
    "Relative to the section, such as `source.look`."
    problem: str
    "The rest of a sentence whose subject is the path."
    advice: str
    "The suggested replacement."


Findings = Iterator[RuleFinding]


class SectionRule(NamedTuple):
    """A check of one section."""

    fields: tuple[str, ...]
    "The fields that it reads."
    check: Callable[[Any], Findings]


def faults_of_section(section: Struct) -> Findings:
    """Check the rules for a section, except those that read a field with a fault."""
    for rule in _SECTION_RULES.get(type(section), ()):
        if _is_set(*(getattr(section, name) for name in rule.fields)):
            yield from rule.check(section)


def faults(bridge: Bridge) -> Findings:
    """Check the rules between sections."""
    yield from _check_names_are_unique(bridge)
    yield from _check_paths_of_relays(bridge)
    yield from _check_signals(bridge)
    yield from _check_settings_of_jobs(bridge)
    yield from _check_paths_are_unique(bridge)
    yield from _check_secrets_are_used(bridge)


def warnings(bridge: Bridge) -> Findings:
    """Find settings that are valid but probably wrong. Every value of the file must be valid."""
    yield from _warn_of_region(bridge)
    yield from shared_configurations(bridge)
    for name, pull in bridge.pulls.items():
        for path, problem, advice in _warnings_of_load(pull):
            yield RuleFinding(f"pulls.{name}.{path}", problem, advice)
    for name, export in bridge.exports.items():
        other = "parquet" if export.format == "csv" else "csv"
        if export.path.endswith(f".{other}"):
            problem = f"ends in .{other}, but format is {export.format}"
            yield RuleFinding(f"exports.{name}.path", problem, "the same in both")
    if not list(bridge.jobs()):
        yield RuleFinding("", "has no jobs", "at least one under pulls, relays or exports")


def _is_set(*values: object) -> bool:
    return UNSET not in values


def _repeated(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(filter(_is_set, values)).items() if count > 1)


def _check_address(looker: LookerSettings) -> Findings:
    # One finding: which keys are too many depends on what is meant by the others.
    beside = [name for name in ("port", "region") if getattr(looker, name)]
    if looker.url and looker.host:
        advice = f"host with {' or '.join(beside)}, or url alone" if beside else "one of them"
        yield RuleFinding("", "has both url and host", advice)
    elif beside and looker.url:
        advice = "everything into url, as in https://acme.looker.com:19999, or host in its place"
        others = f", as is {beside[1]}" if beside[1:] else ""
        yield RuleFinding(beside[0], f"{_ONLY_WITH_HOST}{others}", advice)
    elif len(beside) > 1:
        yield RuleFinding("", "has both port and region", "one of them")
    elif beside and not looker.host:
        yield RuleFinding(beside[0], _ONLY_WITH_HOST, "host too, or everything in url")


def _check_one_licence(looker: LookerSettings) -> Findings:
    if looker.licence and looker.calls_per_month:
        yield RuleFinding("", "has both licence and calls_per_month", "one of them")


def _check_steps_match_start(load: Incremental) -> Findings:
    start_is_number = isinstance(load.start, int)
    for name, step in (("window", load.window), ("overlap", load.overlap), ("delay", load.delay)):
        if isinstance(step, Struct) and start_is_number != (step.unit == "number"):
            yield RuleFinding(
                name,
                "does not match start",
                "a number if start is a number, or a duration such as 1 day if start is a date or time",
            )


def _check_overlap(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and pull.load.overlap and pull.target.repeatable is False:
        yield RuleFinding(
            "load.incremental.overlap",
            "sends rows twice, but the target is not repeatable",
            "target.repeatable: true if rows can safely be sent twice, or remove overlap",
        )


def _check_keys_are_unique(load: Changes) -> Findings:
    for column in _repeated(load.key):
        yield RuleFinding("key", f"has {column!r} twice", "each column once")


def _check_keys_are_sent(pull: Pull) -> Findings:
    if not isinstance(pull.load, Changes) or not pull.target.columns:
        return
    for column in pull.load.key:
        if _is_set(column) and column not in pull.target.columns:
            advice = "Looker's headers of columns that are sent, or add the column to target.columns"
            problem = f"has {column!r}, which is not in target.columns"
            if alike := lookalikes.of([column], list(pull.target.columns)):
                problem, advice = f"{problem}: {lookalikes.differences(alike).rstrip('.')}", lookalikes.advice(alike)
            yield RuleFinding("load.changes.key", problem, advice)


def _check_verify(job: Pull | Relay) -> Findings:
    """Check the columns of `verify`, which are named by Looker's headers."""
    verify = job.verify
    if verify is None or not _is_set(verify, verify.key, verify.columns, verify.ignore):
        return
    if not verify.key and not (isinstance(job, Pull) and isinstance(job.load, Changes)):
        yield RuleFinding("verify.key", "is missing", "the columns that identify a row, by their headers in Looker")
    for name, used in (("key", verify.key), ("columns", verify.columns), ("ignore", verify.ignore)):
        for column in used:
            if job.target.columns and _is_set(column) and column not in job.target.columns:
                advice = "Looker's headers of columns that are sent"
                yield RuleFinding(f"verify.{name}", f"has {column!r}, which is not in target.columns", advice)
    for column in {*verify.key} & {*verify.ignore}:
        yield RuleFinding("verify.ignore", f"has {column!r}, which is in verify.key", "other columns")


def _check_engine_is_possible(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and isinstance(pull.verify, Verify) and pull.verify.engine == "bigquery":
        # Of two rows with one key the later one counts, and a table has no order.
        yield RuleFinding(
            "verify.engine",
            "compares one file, but an incremental load has one for each window",
            "engine: function, or load: full or changes",
        )


def _check_known_columns_are_sent(job: Pull | Relay) -> Findings:
    if not isinstance(job.known, Known) or not _is_set(job.known.columns, job.target.columns):
        return
    for column in job.known.columns:
        if job.target.columns and column not in job.target.columns:
            yield RuleFinding(
                path_of("known.columns", column),
                "is not in target.columns",
                "Looker's header of a column that is sent, or add the column to target.columns",
            )


def _check_age(known: Known) -> Findings:
    if known.max_age.unit not in _UNITS_OF_AN_AGE:
        yield RuleFinding("max_age", "is not a duration of seconds to weeks", "a duration such as 1 hour")


def _check_cursor_is_possible(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and isinstance(pull.source, ResourceSource):
        yield RuleFinding(
            "load.incremental", "needs a field to filter by, but a resource has no fields", "load: full or changes"
        )


def _check_limit_is_possible(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and getattr(pull.source, "limit", "all") == "look":
        yield RuleFinding("source.limit", "would cut every window of an incremental load", "load: full, or limit: all")


def _check_approval_is_possible(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and _is_set(pull.guards.approve) and pull.guards.approve:
        yield RuleFinding(
            "guards.approve",
            "compares whole files, but an incremental load sends windows",
            "load: full or changes, or remove approve",
        )


def _check_approval_has_a_limit(approval: Approval) -> Findings:
    if approval.max_changed is None and approval.max_deleted is None:
        yield RuleFinding("", "has no limit", "max_changed, max_deleted or both")


def _check_connector(target: Target) -> Findings:
    for name in ("bucket", "path"):
        is_given = bool(getattr(target, name))
        if target.via == "storage" and not is_given:
            yield RuleFinding(
                name, "is missing, but via: storage needs it", f"the {name} that Pigment's connector reads"
            )
        if target.via == "push" and is_given:
            yield RuleFinding(name, "is only allowed with via: storage", f"via: storage, or remove {name}")


def _check_headers_are_unique(target: Target) -> Findings:
    for header in _repeated(target.columns.values()):
        yield RuleFinding("columns", f"gives two columns the header {header!r}", "a different header for each column")


def _check_fallback(export: Export) -> Findings:
    if export.fallback and not isinstance(export.source, ViewSource):
        yield RuleFinding(
            "fallback", "is never used, because only a view can be too big", "a view as source, or remove fallback"
        )


def _check_compression(export: Export) -> Findings:
    if export.format == "parquet" and export.compress:
        yield RuleFinding(
            "compress", "is not allowed with parquet, which is always compressed", "format: csv, or remove compress"
        )


def _check_pinned_types(export: Export) -> Findings:
    """Check that the file can have values of the pinned types, and that BigQuery can read them."""
    is_table_of_csv = export.bigquery and export.format == "csv"
    has_commas = any(getattr(each, "decimal_separator", "") == "Comma" for each in (export.source, export.fallback))
    for column, kind in export.columns.items():
        path = path_of("columns", column)
        if export.date_format == "Legacy" and kind == "datetime":
            yield RuleFinding(
                path, "is datetime, which date_format: Legacy has not", "timestamp, or date_format: Iso8601"
            )
        elif is_table_of_csv and export.date_format == "Legacy" and kind in ("date", "timestamp"):
            problem = "is in the order month, day, year, which BigQuery does not read from CSV"
            yield RuleFinding(path, problem, "date_format: Iso8601, or format: parquet, or text")
        elif is_table_of_csv and has_commas and kind in ("number", "decimal"):
            problem = "has decimal commas, which BigQuery does not read from CSV"
            yield RuleFinding(path, problem, "decimal_separator: Dot, or format: parquet, or text")


def _check_partition_of_a_table(export: Export) -> Findings:
    """Refuse a column that has the name of the one which BigQuery makes of dt={date} in the path."""
    if export.bigquery and _PARTITION in export.path:
        for column in export.columns:
            if column.casefold() == "dt":
                advice = "another name before ={date} in path, or another header in Pigment"
                yield RuleFinding(path_of("columns", column), "is also the column that BigQuery makes of path", advice)


def _check_separators_of_a_table(export: Export) -> Findings:
    """Refuse two separators in the objects of one table."""
    if not export.bigquery or export.format != "csv" or export.fallback is None:
        return
    delimiters = export.source.delimiter, export.fallback.delimiter
    if _is_set(*delimiters) and len({*delimiters}) > 1:
        yield RuleFinding("fallback.delimiter", "is not that of source, but one table reads both", "the same in both")


def _check_condition(condition: Condition) -> Findings:
    if (condition.value is None) != (condition.type == "IsNotBlank"):
        yield RuleFinding(
            "value",
            "is required for every type except IsNotBlank",
            "a value to compare with, or IsNotBlank without a value",
        )


def _check_table_field(column: TableField) -> Findings:
    if (column.source_id is None) != (column.type == "ScenarioField"):
        yield RuleFinding(
            "source_id",
            "is required for every type except ScenarioField",
            "the ID of the dimension or metric, or ScenarioField without it",
        )


def _not_empty(name: str) -> SectionRule:
    def check(section: Struct) -> Findings:
        if not getattr(section, name):
            yield RuleFinding(name.rstrip("_"), "is empty", "at least one item")

    return SectionRule((name,), check)


_SECTION_RULES: Mapping[type[Struct], tuple[SectionRule, ...]] = {
    LookerSettings: (
        SectionRule(("url", "host", "port", "region"), _check_address),
        SectionRule(("licence", "calls_per_month"), _check_one_licence),
    ),
    InlineQuery: (_not_empty("fields"),),
    Incremental: (SectionRule(("start",), _check_steps_match_start),),
    Approval: (SectionRule(("max_changed", "max_deleted"), _check_approval_has_a_limit),),
    Changes: (_not_empty("key"), SectionRule(("key",), _check_keys_are_unique)),
    Target: (
        SectionRule(("via", "bucket", "path"), _check_connector),
        SectionRule(("columns",), _check_headers_are_unique),
    ),
    Pull: (
        SectionRule(("load", "target"), _check_overlap),
        SectionRule(("load", "source"), _check_cursor_is_possible),
        SectionRule(("load", "source"), _check_limit_is_possible),
        SectionRule(("load", "target"), _check_keys_are_sent),
        SectionRule(("load", "target", "verify"), _check_verify),
        SectionRule(("load", "verify"), _check_engine_is_possible),
        SectionRule(("load", "guards"), _check_approval_is_possible),
        SectionRule(("known", "target"), _check_known_columns_are_sent),
    ),
    Relay: (
        SectionRule(("target", "verify"), _check_verify),
        SectionRule(("known", "target"), _check_known_columns_are_sent),
    ),
    Known: (_not_empty("columns"), SectionRule(("max_age",), _check_age)),
    Export: (
        SectionRule(("source", "fallback"), _check_fallback),
        SectionRule(("format", "compress"), _check_compression),
        SectionRule(("source", "fallback", "columns", "date_format", "format", "bigquery"), _check_pinned_types),
        SectionRule(("source", "fallback", "format", "bigquery"), _check_separators_of_a_table),
        SectionRule(("path", "columns", "bigquery"), _check_partition_of_a_table),
    ),
    Condition: (SectionRule(("type", "value"), _check_condition),),
    TableField: (SectionRule(("type", "source_id"), _check_table_field),),
    AllOf: (_not_empty("and_"),),
    AnyOf: (_not_empty("or_"),),
}


def _jobs_by_path(bridge: Bridge) -> Iterator[tuple[str, Any]]:
    for section, jobs in (("pulls", bridge.pulls), ("relays", bridge.relays), ("exports", bridge.exports)):
        for name, job in jobs.items():
            yield path_of(section, name), job


def _check_names_are_unique(bridge: Bridge) -> Findings:
    seen: dict[str, str] = {}
    for path, _ in _jobs_by_path(bridge):
        first = seen.setdefault(path.partition(".")[2], path)
        if first != path:
            advice = "a unique name, because receipts are stored by job name"
            yield RuleFinding(path, f"has the same name as {first}", advice)


def _check_paths_of_relays(bridge: Bridge) -> Findings:
    """Refuse a relay that no delivery can reach, because Cloud Run reserves its path.

    https://cloud.google.com/run/docs/known-issues: `/eventlog`, paths that start with `/_ah/`, and some that end in z.
    Google does not say which, and advises against all of them. No job name starts with `_`.
    """
    for name in bridge.relays:
        if name == "eventlog" or name.endswith("z"):
            problem = "is a path that Cloud Run reserves, so that no delivery may arrive"
            yield RuleFinding(path_of("relays", name), problem, "a name other than eventlog that does not end in z")


def _check_signals(bridge: Bridge) -> Findings:
    known = ", ".join(path_of("", name) for name in bridge.pulls)
    for path, job in _jobs_by_path(bridge):
        if isinstance(job, Signal) and _is_set(job.start) and job.start not in bridge.pulls:
            advice = f"the name of a pull: {known}" if known else "the name of a pull, and add this pull"
            yield RuleFinding(f"{path}.start", "is not the name of a pull", advice)


def _check_settings_of_jobs(bridge: Bridge) -> Findings:
    pulls, relays, exports = (
        [path for path, _ in _jobs_by_path(bridge) if path.startswith(section)]
        for section in ("pulls.", "relays.", "exports.")
    )
    imports = [path for path, job in _jobs_by_path(bridge) if hasattr(job, "target")]
    exports += [
        f"{path}.{key}"
        for path, job in _jobs_by_path(bridge)
        for key in ("verify", "known")
        if _is_set(job) and getattr(job, key, None)
    ]
    needs = (
        ((bridge.looker.url, bridge.looker.host), "looker.url", pulls, "the URL of your Looker instance"),
        ((bridge.looker.credentials,), "looker.credentials", pulls, "the name of the secret with Looker's API key"),
        ((bridge.pigment.import_key,), "pigment.import_key", imports, "the name of the secret with an Import key"),
        ((bridge.pigment.export_key,), "pigment.export_key", exports, "the name of the secret with an Export key"),
        ((bridge.webhook.token,), "webhook.token", relays, "the name of the secret with Looker's webhook token"),
    )
    for given, path, jobs, advice in needs:
        if jobs and _is_set(*given) and not any(given):
            yield RuleFinding(path, f"is missing, but required by {_shortened(jobs)}", advice)


def _shortened(paths: list[str]) -> str:
    shown, more = ", ".join(paths[:_LONGEST_LIST]), len(paths) - _LONGEST_LIST
    return f"{shown} and {more} more" if more > 0 else shown


def _check_paths_are_unique(bridge: Bridge) -> Findings:
    seen: dict[tuple[str, str], str] = {}
    for path, job in _jobs_by_path(bridge):
        file: Any = job if isinstance(job, Export) else getattr(job, "target", UNSET)
        if not _is_set(file) or not _is_set(file.bucket, file.path) or not file.path:
            continue
        first = seen.setdefault((file.bucket, file.path), path)
        if first != path:
            yield RuleFinding(path, f"writes the same object as {first}", "a unique path")


def _check_secrets_are_used(bridge: Bridge) -> Findings:
    used = {bridge.looker.credentials, bridge.pigment.import_key, bridge.pigment.export_key, bridge.webhook.token}
    notify = [bridge.notify, *(getattr(job, "notify", None) for _, job in _jobs_by_path(bridge))]
    used |= {each.webhook for each in notify if each and _is_set(each)}
    for name in bridge.secrets:
        if _is_set(*used) and name not in used:
            yield RuleFinding(
                path_of("secrets", name),
                "is not the name of a secret in looker, pigment, webhook or notify",
                "the same name as there",
            )


def _warn_of_region(bridge: Bridge) -> Findings:
    region = bridge.looker.region
    if region and "." not in region:
        problem = f"gives the URL {bridge.looker.base_url}, which is not a public one"
        yield RuleFinding("looker.region", problem, f"{region}.looker.com if the host name ends like this")


def shared_configurations(bridge: Bridge) -> Findings:
    """Find import configurations that several jobs use without saying so: a warning, except before a deployment."""
    seen: dict[str, tuple[str, Target]] = {}
    for path, job in _jobs_by_path(bridge):
        target = getattr(job, "target", None)
        if not isinstance(target, Target):
            continue
        first, other = seen.setdefault(target.configuration, (f"{path}.target", target))
        if other is not target and not (target.shared and other.shared):
            yield RuleFinding(
                f"{path}.target.configuration",
                f"is also used by {first}: the jobs wait for each other, and an import that clears deletes the rows of "
                "the other",
                "another configuration, or shared: true in both targets if this is intended",
            )


def _warnings_of_load(pull: Pull) -> Findings:
    match pull.load:
        case Incremental():
            yield from _warnings_of_incremental(pull, pull.load)
        case Changes() if not pull.target.repeatable:
            yield RuleFinding(
                "load.changes",
                "sends changed rows again, but the target is not repeatable: a list that appends keeps both versions",
                "target.repeatable: true if the list has a unique ID",
            )


def _warnings_of_incremental(pull: Pull, load: Incremental) -> Findings:
    is_timed = isinstance(load.start, dt.datetime)
    if is_timed and not isinstance(pull.source, ResourceSource) and not pull.source.query_timezone:
        yield RuleFinding(
            "source.query_timezone",
            "is missing, so windows depend on the time zone of the Look or of the Looker user",
            "a time zone such as UTC",
        )
    if not load.overlap and not load.delay:
        problem = "misses rows that appear in Looker after their window was read"
        if pull.target.repeatable:
            yield RuleFinding("load.incremental", problem, "an overlap such as overlap: 2 hours")
        else:
            yield RuleFinding(
                "load.incremental",
                f"{problem}, and an append cannot load them later",
                "a delay such as delay: 15 minutes, after which every row has appeared",
            )
    if pull.known and pull.known.missing == "hold":
        yield RuleFinding(
            "known.missing",
            "holds back rows that no later window reads",
            "refuse, or load the rows with `bridge backfill JOB --from` once their items exist",
        )
    if pull.guards.max_shrink is not None:
        yield RuleFinding(
            "guards.max_shrink",
            "is ignored for incremental loads, because windows differ in size",
            "it only for full loads",
        )
