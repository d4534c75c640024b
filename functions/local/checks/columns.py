"""The check of the columns that a pull names in bridge.yaml: whether its query selects a field with this header."""

from collections.abc import Collection, Iterator

from common import bridge_yaml
from common.looker.explore import ExploreFields
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError
from common.platform.text import listed
from local.checks.finding import Finding, nearest, yellow


def findings(pull: bridge_yaml.Pull, query: LookerQuery, fields: ExploreFields | BridgeError) -> Iterator[Finding]:
    """Yield a finding for each column that a pull would not find. A finding is yellow, because Looker can be set to
    write other headers than the labels of the explore.
    """
    labels = [] if isinstance(fields, BridgeError) else _labels(query, fields)
    if not labels:
        return
    for key, names in _named_columns(pull):
        for name in names:
            if name not in labels:
                yield _not_selected(f"pulls.{pull.name}.{key}", name, labels, query)


def _labels(query: LookerQuery, fields: ExploreFields) -> list[str]:
    """Return the headers of all columns; none if some are not known: those of pivots, and fields of the query's own."""
    known, selected = fields.by_name(), query.fields or []
    if query.pivots or not all(name in known for name in selected):
        return []
    return [known[name].label or name for name in selected]


def _named_columns(pull: bridge_yaml.Pull) -> Iterator[tuple[str, Collection[str]]]:
    yield "target.columns", pull.target.columns
    if isinstance(pull.load, bridge_yaml.Changes):
        yield "load.changes.key", pull.load.key
    if pull.known:
        yield "known.columns", pull.known.columns
    if pull.verify:
        yield "verify.key", pull.verify.key
        yield "verify.columns", pull.verify.columns
        yield "verify.ignore", pull.verify.ignore


def _not_selected(subject: str, name: str, labels: list[str], query: LookerQuery) -> Finding:
    what = f"The query selects no field of {query.explore} whose label is {name}."
    told, advice = nearest(name, labels, "Write a header of the file.")
    if told:
        return yellow(subject, f"{what} {told}", advice)
    return yellow(subject, what, f"{advice} The labels are {listed(labels)}.")
