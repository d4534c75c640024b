"""What bridge.yaml must say beyond each single value: which keys go together, and what a job needs elsewhere.

A rule is a pure function of one section that yields what is wrong. Where a value could not be read, msgspec's UNSET
stands in its place: a rule on a section runs only when the values it names are sound, and the rules on the whole file
leave alone what is not, so one reading names every fault.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET, Struct

from common.bridge_yaml.model import (
    AllOf,
    AnyOf,
    Bridge,
    Changes,
    Condition,
    Export,
    Incremental,
    InlineQuery,
    LookerSettings,
    Pull,
    ResourceSource,
    Signal,
    TableField,
    Target,
    ViewSource,
)

LONGEST_KEY = 63
_PLAIN_KEY = re.compile(rf"[\w.-]{{1,{LONGEST_KEY}}}")


def under(path: str, key: str) -> str:
    """`pulls.flights`; a key that would not read as one is quoted, and cut if it is long."""
    if not key:
        return path
    step = key if _PLAIN_KEY.fullmatch(key) else repr(key[:LONGEST_KEY])
    return f"{path}.{step}" if path else step


class RuleFinding(NamedTuple):
    """A fault, or a word of warning, at a path in the section (`source.look`)."""

    path: str
    wrong: str
    instead: str


Findings = Iterator[RuleFinding]


class Rule(NamedTuple):
    """What a section must be, and the fields it looks at."""

    fields: tuple[str, ...]
    find: Callable[[Any], Findings]

    def applies_to(self, section: Struct) -> bool:
        return _read(*(getattr(section, name) for name in self.fields))


def _read(*values: object) -> bool:
    """Whether these values could be read."""
    return UNSET not in values


def _one_address(looker: LookerSettings) -> Findings:
    if looker.url and looker.host:
        yield RuleFinding("", "holds both url and host", "one of them")
    if looker.port and looker.region:
        yield RuleFinding("", "holds both port and region", "one of them: an instance has either")
    for name in ("port", "region"):
        if getattr(looker, name) and not looker.host:
            yield RuleFinding(name, "only goes with host", "host, or an url that holds it all")


def _window_fits_start(load: Incremental) -> Findings:
    counts = isinstance(load.start, int)
    for name, step in (("window", load.window), ("overlap", load.overlap), ("delay", load.delay)):
        if isinstance(step, Struct) and counts != (step.unit == "number"):
            kinds = ("a number", "a time such as 1 day") if counts else ("a time", "a number such as 500000")
            yield RuleFinding(name, f"is not {kinds[0]}, as start is", f"{kinds[0]} here, or {kinds[1]} as start")


def _overlap_is_harmless(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and pull.load.overlap and pull.target.repeatable is False:
        yield RuleFinding(
            "load.incremental.overlap",
            "sends rows a second time to a target that is not repeatable",
            "target.repeatable: true if that does no harm, or leave overlap out",
        )


def _keys_differ(load: Changes) -> Findings:
    for twice in sorted({name for name in load.key if _read(name) and load.key.count(name) > 1}):
        yield RuleFinding("key", f"names {twice!r} twice", "each column once")


def _keys_are_sent(pull: Pull) -> Findings:
    if not isinstance(pull.load, Changes) or not pull.target.columns:
        return
    for column in pull.load.key:
        if _read(column) and column not in pull.target.columns:
            yield RuleFinding(
                "load.changes.key",
                f"names {column!r}, which target.columns leaves out",
                "columns that are sent, by Looker's names, or add it to target.columns",
            )


def _cursor_needs_a_query(pull: Pull) -> Findings:
    if isinstance(pull.load, Incremental) and isinstance(pull.source, ResourceSource):
        yield RuleFinding(
            "load.incremental", "needs a field to filter, and a resource has none", "load: full or changes"
        )


def _storage_is_whole(target: Target) -> Findings:
    for name in ("bucket", "path"):
        given = bool(getattr(target, name))
        if target.via == "storage" and not given:
            yield RuleFinding(name, "is missing, and via: storage needs it", "where Pigment's connector reads")
        if target.via == "push" and given:
            yield RuleFinding(name, "only goes with via: storage", "via: storage, or leave it out")


def _headers_differ(target: Target) -> Findings:
    headers = [header for header in target.columns.values() if _read(header)]
    for twice in sorted({header for header in headers if headers.count(header) > 1}):
        yield RuleFinding("columns", f"gives two columns the header {twice!r}", "a header of its own for each")


def _fallback_is_of_use(export: Export) -> Findings:
    if export.fallback and not isinstance(export.source, ViewSource):
        yield RuleFinding(
            "fallback", "is never used: only a view can be too big", "a view under source, or leave it out"
        )


def _parquet_is_compressed(export: Export) -> Findings:
    if export.format == "parquet" and export.compress:
        yield RuleFinding("compress", "does not go with parquet, which is compressed as it is", "nothing here")


def _condition_is_whole(condition: Condition) -> Findings:
    if (condition.value is None) != (condition.type == "IsNotBlank"):
        yield RuleFinding(
            "value", "goes with every type but IsNotBlank", "a value to compare with, or IsNotBlank alone"
        )


def _column_has_a_source(column: TableField) -> Findings:
    if (column.source_id is None) != (column.type == "ScenarioField"):
        yield RuleFinding("source_id", "goes with every type but ScenarioField", "the dimension's or the metric's id")


def _not_empty(name: str) -> Rule:
    def find(section: Struct) -> Findings:
        if not getattr(section, name):
            yield RuleFinding(name.rstrip("_"), "is empty", "at least one")

    return Rule((name,), find)


RULES: Mapping[type[Struct], tuple[Rule, ...]] = {
    LookerSettings: (Rule(("url", "host", "port", "region"), _one_address),),
    InlineQuery: (_not_empty("fields"),),
    Incremental: (Rule(("start",), _window_fits_start),),
    Changes: (_not_empty("key"), Rule(("key",), _keys_differ)),
    Target: (Rule(("via", "bucket", "path"), _storage_is_whole), Rule(("columns",), _headers_differ)),
    Pull: (
        Rule(("load", "target"), _overlap_is_harmless),
        Rule(("load", "source"), _cursor_needs_a_query),
        Rule(("load", "target"), _keys_are_sent),
    ),
    Export: (
        Rule(("source", "fallback"), _fallback_is_of_use),
        Rule(("format", "compress"), _parquet_is_compressed),
    ),
    Condition: (Rule(("type", "value"), _condition_is_whole),),
    TableField: (Rule(("type", "source_id"), _column_has_a_source),),
    AllOf: (_not_empty("and_"),),
    AnyOf: (_not_empty("or_"),),
}


def faults(bridge: Bridge) -> Findings:
    """What is wrong between one section and another."""
    yield from _names_are_unique(bridge)
    yield from _signals_start_pulls(bridge)
    yield from _jobs_have_what_they_need(bridge)
    yield from _files_have_names_of_their_own(bridge)
    yield from _cared_for_secrets_are_used(bridge)


def warnings(bridge: Bridge) -> Findings:
    """What is allowed and worth a word."""
    yield from _region_is_a_domain(bridge)
    yield from _configurations_are_shared(bridge)
    yield from _cursors_have_a_time_zone(bridge)
    yield from _late_rows_are_caught(bridge)
    yield from _windows_do_not_shrink(bridge)
    yield from _changes_are_repeatable(bridge)
    yield from _formats_match_names(bridge)
    if not list(bridge.jobs()):
        yield RuleFinding("", "holds no job", "one under pulls, relays or exports")


def _named(bridge: Bridge) -> Iterator[tuple[str, Any]]:
    for section, jobs in (("pulls", bridge.pulls), ("relays", bridge.relays), ("exports", bridge.exports)):
        for name, job in jobs.items():
            yield under(section, name), job


def _targets(bridge: Bridge) -> Iterator[tuple[str, Target]]:
    for path, job in _named(bridge):
        target = getattr(job, "target", None)
        if isinstance(target, Target):
            yield f"{path}.target", target


def _names_are_unique(bridge: Bridge) -> Findings:
    seen: dict[str, str] = {}
    for path, _ in _named(bridge):
        name = path.partition(".")[2]
        if name in seen:
            yield RuleFinding(path, f"has the name of {seen[name]}", "a name of its own: receipts are kept by it")
        seen.setdefault(name, path)


def _signals_start_pulls(bridge: Bridge) -> Findings:
    for path, job in _named(bridge):
        if isinstance(job, Signal) and _read(job.start) and job.start not in bridge.pulls:
            known = ", ".join(under("", name) for name in bridge.pulls) or "there is none yet"
            yield RuleFinding(f"{path}.start", "names no pull", f"one of the pulls: {known}")


def _jobs_have_what_they_need(bridge: Bridge) -> Findings:
    pulls = [path for path, _ in _named(bridge) if path.startswith("pulls.")]
    relays = [path for path, _ in _named(bridge) if path.startswith("relays.")]
    exports = [path for path, _ in _named(bridge) if path.startswith("exports.")]
    landings = [path for path, job in _named(bridge) if hasattr(job, "target")]
    needs = (
        ((bridge.looker.url, bridge.looker.host), "looker.url", pulls, "the address of your Looker instance"),
        ((bridge.looker.credentials,), "looker.credentials", pulls, "the name of the secret with Looker's API key"),
        ((bridge.pigment.import_key,), "pigment.import_key", landings, "the name of the secret with an Import key"),
        ((bridge.pigment.export_key,), "pigment.export_key", exports, "the name of the secret with an Export key"),
        ((bridge.webhook.token,), "webhook.token", relays, "the name of the secret with Looker's webhook token"),
    )
    for given, path, jobs, instead in needs:
        if jobs and _read(*given) and not any(given):
            yield RuleFinding(path, f"is missing, and {_list(jobs)} cannot do without it", instead)


def _list(paths: list[str]) -> str:
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"  # noqa: PLR2004  # enough to find them


def _files_have_names_of_their_own(bridge: Bridge) -> Findings:
    seen: dict[tuple[str, str], str] = {}
    for path, job in _named(bridge):
        file: Any = job if isinstance(job, Export) else getattr(job, "target", UNSET)
        if not _read(file) or not _read(file.bucket, file.path) or not file.path:
            continue
        first = seen.setdefault((file.bucket, file.path), path)
        if first != path:
            yield RuleFinding(path, f"writes the same object as {first}", "a path of its own")


def _cared_for_secrets_are_used(bridge: Bridge) -> Findings:
    used = {bridge.looker.credentials, bridge.pigment.import_key, bridge.pigment.export_key, bridge.webhook.token}
    for name in bridge.secrets:
        if _read(*used) and name not in used:
            yield RuleFinding(under("secrets", name), "is no secret that is used above", "the name as it stands there")


def _region_is_a_domain(bridge: Bridge) -> Findings:
    region = bridge.looker.region
    if region and "." not in region:
        yield RuleFinding(
            "looker.region", f"makes the address {bridge.looker.base_url}", f"{region}.looker.com if that is its end"
        )


def _configurations_are_shared(bridge: Bridge) -> Findings:
    seen: dict[str, tuple[str, Target]] = {}
    for path, target in _targets(bridge):
        first, other = seen.setdefault(target.configuration, (path, target))
        if first != path and not (target.shared and other.shared):
            yield RuleFinding(
                f"{path}.configuration",
                f"is that of {first} too: they wait for each other, and a clearing import drops the other's rows",
                "a configuration of its own, or shared: true in both if that is meant",
            )


def _cursors_have_a_time_zone(bridge: Bridge) -> Findings:
    for name, pull in bridge.pulls.items():
        timed = isinstance(pull.load, Incremental) and isinstance(pull.load.start, dt.datetime)
        if timed and not isinstance(pull.source, ResourceSource) and not pull.source.query_timezone:
            yield RuleFinding(
                f"pulls.{name}.source.query_timezone",
                "is missing: windows then begin and end in whatever time zone the Look or the user has",
                "such as UTC",
            )


def _late_rows_are_caught(bridge: Bridge) -> Findings:
    for name, pull in bridge.pulls.items():
        if not isinstance(pull.load, Incremental) or pull.load.overlap or pull.load.delay:
            continue
        path = f"pulls.{name}.load.incremental"
        if pull.target.repeatable:
            yield RuleFinding(path, "misses rows that appear after their time was read", "such as overlap: 2 hours")
        else:
            yield RuleFinding(
                path,
                "misses rows that appear after their time was read, and an append cannot read them again",
                "such as delay: 15 minutes, by when every row is there",
            )


def _windows_do_not_shrink(bridge: Bridge) -> Findings:
    for name, pull in bridge.pulls.items():
        if isinstance(pull.load, Incremental) and pull.guards.max_shrink is not None:
            yield RuleFinding(
                f"pulls.{name}.guards.max_shrink", "is not looked at: windows differ in size", "it for full loads only"
            )


def _changes_are_repeatable(bridge: Bridge) -> Findings:
    for name, pull in bridge.pulls.items():
        if isinstance(pull.load, Changes) and not pull.target.repeatable:
            yield RuleFinding(
                f"pulls.{name}.load.changes",
                "sends a changed row again, and its target is not repeatable: a list that appends holds both",
                "target.repeatable: true if the list has a unique id",
            )


def _formats_match_names(bridge: Bridge) -> Findings:
    for name, export in bridge.exports.items():
        other = "parquet" if export.format == "csv" else "csv"
        if export.path.endswith(f".{other}"):
            yield RuleFinding(
                f"exports.{name}.path", f"ends in .{other}, and format is {export.format}", "one and the same"
            )
