"""What a Look's answers look like: `bridge check --deep LOOK` runs it with five rows, and shows what Looker's documents
leave open, and what the bridge makes of it.

    as a pull sends it → with totals → with its pivots → with a filter that no row fits → with a field that is unknown

Each is one query, which licences count. No cell of a row is shown.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from common import bridge_yaml
from common.looker import obstacles, resources
from common.looker.client import LookerClient
from common.looker.explore import ExploreFields, fields_of
from common.looker.query import LookerQuery
from common.platform.errors import BridgeError
from common.platform.text import listed
from common.runs.instance import Instance
from common.tables.check import Checker, Contract
from local.checks.answer_sample import AnswerSample, sample_of
from local.checks.finding import Finding

_ROWS = 5
_UNKNOWN_FIELD = "bridge_check_no_such_field"
_REPORT = "Show this line to whoever maintains the bridge."

# A value that no row has, by what a field's type begins with. Texts come first: every database compares them alike.
_FITS_NO_ROW = {"string": "bridge-check-no-such-value", "number": ">1 AND <0", "date": "1823-05-06 to 1823-05-07"}


class Observation(Finding, frozen=True):
    """What Looker did. Green: the bridge handles it. Yellow: it could not be seen. Red: a pull would fail."""

    seen: str = "not_tried"
    "The same in one word, for a program."


class _Look(msgspec.Struct, frozen=True):
    looker: LookerClient
    query: LookerQuery
    fields: ExploreFields

    def run(self, **changes: Any) -> AnswerSample:
        """Run the query as a pull does, but for so many rows and for these parts."""
        body = {**self.query.body(), "limit": str(_ROWS), **changes}
        return sample_of(self.looker.run_body(self.query.explore, body))

    def selected(self) -> list[str]:
        names: list[str] = self.query.body()["fields"]
        return list(dict.fromkeys(names))

    def labels(self) -> list[str]:
        """Return the labels of the selected fields that the explore has."""
        known = self.fields.by_name()
        return [known[name].label or name for name in self.selected() if name in known]


def observations(settings: bridge_yaml.LookerSettings, look_id: str, instance: Instance) -> Iterator[Observation]:
    """Yield what is seen, as soon as it is. Raises the error of a pull if Looker does not run the Look at all."""
    with LookerClient(settings, instance.secrets, instance.deadline(), instance.chance) as looker:
        query = looker.look_query(look_id)
        look = _Look(looker, query, fields_of(looker, query))
        plain = look.run()
        yield _header(look, plain)
        yield _limit(plain)
        yield from _form(plain)
        yield _totals(look, plain)
        yield _pivots(look)
        yield _empty_answer(look)
        yield _error_before_rows(look)
        yield _error_between_rows()
        yield _streaming(query)
        yield _activity_ids(looker)


def _header(look: _Look, plain: AnswerSample) -> Observation:
    try:
        checker = Checker(Contract(width=obstacles.width(look.query), accepts_error_text=True))
        checker.feed(plain.content)
        checker.finish()
    except BridgeError as error:
        return Observation("red", "header", error.cause, error.next_step, "refused")
    count, labels = len(checker.header), look.labels()
    if checker.header == look.selected():
        what = f"The header has {count} columns, named by fields such as {checker.header[0]}, not by labels."
        step = "Name columns by fields in bridge.yaml. An incremental load cannot find its cursor's column."
        return Observation("red", "header", what, step, "names")
    if missing := [label for label in labels if label not in checker.header]:
        what = f"The header has {count} columns, but not {listed(missing)}, which the explore has as labels."
        step = "Name columns in bridge.yaml as the header has them. A cursor among these cannot be loaded by."
        return Observation("red", "header", f"{what} It has: {listed(checker.header)}.", step, "other_labels")
    what = f"The header has {count} columns, as the query has fields, with the labels of the explore."
    return Observation("green", "header", what, seen="labels")


def _limit(plain: AnswerSample) -> Observation:
    rows = len(plain.rows)
    if rows > _ROWS:
        what = f"Asked for {_ROWS} rows, Looker sent {rows}: {rows - _ROWS} more than the limit."
        step = "Do not use source.limit: look. A delivery at its limit cannot be told from a whole one."
        return Observation("red", "limit", what, step, "exceeded")
    return Observation("green", "limit", f"Asked for {_ROWS} rows, Looker sent {rows}.", seen="kept")


def _form(plain: AnswerSample) -> Iterator[Observation]:
    if plain.end == "unannounced":
        what = "Looker announces neither the length nor the chunks of its answer: a cut could pass for the end."
        step = "Let requests to Looker pass without the proxy that removes Transfer-Encoding."
        yield Observation("yellow", "end_of_answer", what, step, plain.end)
    else:
        what = f"The end of an answer is proven ({plain.end}), so a cut is found."
        yield Observation("green", "end_of_answer", what, seen=plain.end)
    what = f"The answer is {plain.content_type or 'of no type'}, its lines end in {plain.line_ends.upper()}."
    yield Observation("green", "line_ends", what, seen=plain.line_ends)


def _totals(look: _Look, plain: AnswerSample) -> Observation:
    def seen(word: str, what: str) -> Observation:
        after = "A pull leaves totals out, and deliveries of a Look with totals are refused."
        return Observation("green", "totals", f"{what} {after}", seen=word)

    dimensions = {field.name for field in look.fields.dimensions or []}
    if not any(name not in dimensions for name in look.selected()) or not plain.rows:
        what = "The Look has no measures or no rows, so there is nothing to total."
        return Observation("yellow", "totals", what, "Try a Look with measures.")
    try:
        with_totals = look.run(total=True)
    except BridgeError as error:
        return _refused("totals", error)
    rows, more = with_totals.rows, len(with_totals.rows) - len(plain.rows)
    if more == 0 and rows == plain.rows:
        return seen("no_row", "With totals, the answer has the same rows and no totals row.")
    if more == 0 and len(rows) == _ROWS and rows[:-1] == plain.rows[:-1]:
        return seen("within_limit", "With totals, the last of the rows is replaced by a totals row.")
    if more == 1:
        place = "after the last row" if rows[:-1] == plain.rows else "at a place that cannot be told"
        lines = f"{len(rows)} rows where the limit is {_ROWS}" if len(rows) > _ROWS else f"{len(rows)} rows"
        return seen("one_more_row", f"With totals, the answer has one more row, {place}: {lines}.")
    what = f"With totals, {len(rows)} rows came, without them {len(plain.rows)}: they cannot be compared."
    return Observation("yellow", "totals", what, "Give the Look sorts that fix the order of its rows.", "unclear")


def _pivots(look: _Look) -> Observation:
    if not look.query.pivots:
        what = "The Look has no pivots, so their header was not seen."
        return Observation("yellow", "pivots", what, "Try a Look with pivots. A pull or delivery of one is refused.")
    try:
        pivoted = look.run(pivots=look.query.pivots)
    except BridgeError as error:
        return _refused("pivots", error)
    is_double = any(label in look.labels() for label in pivoted.record(1))
    word, lines = ("two_header_lines", "two header lines") if is_double else ("one_header_line", "one header line")
    what = f"With pivots, the answer has {lines} and {len(pivoted.record(0))} columns. A pull or delivery is refused."
    return Observation("green", "pivots", what, seen=word)


def _empty_answer(look: _Look) -> Observation:
    filters = _filters_without_rows(look)
    if filters is None:
        what = "The Look selects no dimension of texts, numbers or dates, so it cannot be filtered to no rows."
        return Observation("yellow", "empty_answer", what, "Try a Look that selects such a dimension.")
    try:
        empty = look.run(filters={**(look.query.filters or {}), **filters})
    except BridgeError as error:
        return _refused("empty_answer", error)
    if not empty.content:
        what = "Without rows, Looker answers with nothing. The bridge then asks again in JSON, which is one more query."
        return Observation("green", "empty_answer", what, seen="nothing")
    if empty.rows:
        what = f"A filter that no row fits gave {len(empty.rows)} rows, so an empty answer was not seen."
        step = f"Check in Looker whether a filter on {next(iter(filters))} has an effect."
        return Observation("yellow", "empty_answer", what, step, "rows")
    return Observation("green", "empty_answer", "Without rows, Looker answers with a header.", seen="header")


def _filters_without_rows(look: _Look) -> dict[str, str] | None:
    own = look.query.filters or {}
    selected = [field for field in look.fields.dimensions or [] if field.name in look.selected()]
    # Its own filters may be what keeps the query cheap.
    selected.sort(key=lambda field: field.name in own)
    for begin, value in _FITS_NO_ROW.items():
        for field in selected:
            if (field.type or "").startswith(begin):
                return {field.name: value}
    return None


def _error_before_rows(look: _Look) -> Observation:
    unknown = f"{look.query.view}.{_UNKNOWN_FIELD}"
    try:
        answer = look.run(fields=[*look.selected(), unknown])
    except BridgeError as error:
        what = f"A query that cannot run is refused before it is answered. {error.cause}"
        return Observation("green", "error_before_rows", what, seen="refused")
    width = obstacles.width(look.query)
    checker = Checker(Contract(width=None if width is None else width + 1))
    try:
        checker.feed(answer.content)
        checker.finish()
    except BridgeError as error:
        what = f"A query that cannot run is answered with 200. A pull refuses the text in place of rows: {error.cause}"
        return Observation("green", "error_before_rows", what, seen="text")
    what = "A query with an unknown field is answered with 200, and a pull would take the answer for rows."
    return Observation("red", "error_before_rows", what, _REPORT, "rows")


def _error_between_rows() -> Observation:
    what = "What Looker writes if its database fails after some rows was not tried: nothing provokes it without harm."
    step = "If a run ends by query_failed or rows_malformed, compare the message with Looker's own of that time."
    return Observation("yellow", "error_between_rows", what, step)


def _streaming(query: LookerQuery) -> Observation:
    if found := obstacles.of_pull(query):
        what = f"Looker cannot stream all rows of this Look, because it has {'; '.join(found)}."
        return Observation("red", "streaming", what, "Save a copy of the Look without these parts.", "obstacles")
    what = "Whether Looker streams all rows cannot be seen from five: nothing in the Look speaks against it."
    return Observation("yellow", "streaming", what, "Run `bridge pull JOB --preview` for a pull of it.")


def _activity_ids(looker: LookerClient) -> Observation:
    """Whether System Activity has ids of queries as texts, which decides how empty ones are left out."""
    query = resources.query_of("queries")
    try:
        fields = fields_of(looker, query) if query else ExploreFields()
    except BridgeError as error:
        step = f"Only the resource `queries` needs it, with the permission {resources.ACTIVITY_PERMISSION}."
        return Observation("yellow", "activity_ids", f"System Activity cannot be read. {error.cause}", step)
    found = fields.by_name().get("query.id")
    kind = (found.type if found else None) or "missing"
    what = f"System Activity's query.id is of the type {kind}; the resource `queries` is filtered as this type asks."
    return Observation("green", "activity_ids", what, seen=kind)


def _refused(subject: str, error: BridgeError) -> Observation:
    return Observation("yellow", subject, f"Looker did not run this. {error.cause}", error.next_step, "refused")
