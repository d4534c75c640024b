"""Translation of Looker's filter expressions into SQL: docs.cloud.google.com/looker/docs/filter-expressions.

Texts, numbers and times each have their own syntax; a comma means OR in all of them.
"""

import calendar
import dataclasses
import datetime as dt
import enum
import re
import zoneinfo
from collections.abc import Callable, Iterator

from local.sandbox.duckdb_engine import literal

Span = tuple[dt.datetime, dt.datetime]
"Start (included) and end (excluded)."


class Kind(enum.StrEnum):
    """The type of a field, with Looker's name."""

    STRING = "string"
    NUMBER = "number"
    DATE = "date_date"
    TIME = "date_time"
    YESNO = "yesno"


class Malformed(ValueError):
    """A filter expression that Looker does not understand."""


def condition(expression: str, kind: Kind, sql: str, *, now: dt.datetime) -> str:
    """Return the condition on `sql`, or an empty text for no condition; `now` is in the query's time zone.

    Raises Malformed if Looker does not understand the expression.
    """
    text = expression.strip()
    if not text or text.lower() in {"any value", "any time", "any date"}:
        return ""
    if kind is Kind.STRING:
        return _string(expression, sql)
    if kind is Kind.NUMBER:
        return _number(text, sql)
    if kind is Kind.YESNO:
        return _yesno(text, sql)
    return _time(text, sql, now, in_utc=kind is Kind.TIME)


@dataclasses.dataclass
class _Terms:
    """The conditions of an expression's terms on one column."""

    sql: str
    any_of: list[str] = dataclasses.field(default_factory=list)
    none_of: list[str] = dataclasses.field(default_factory=list)
    "Looker keeps rows with a missing value here."
    all_of: list[str] = dataclasses.field(default_factory=list)

    def null(self, negated: bool) -> None:
        if negated:
            self.all_of.append(f"{self.sql} IS NOT NULL")
        else:
            self.any_of.append(f"{self.sql} IS NULL")

    def joined(self) -> str:
        parts = [f"({' OR '.join(self.any_of)})"] if self.any_of else []
        parts += [f"({part} OR {self.sql} IS NULL)" for part in self.none_of]
        if not (parts or self.all_of):
            raise Malformed("it has no value")
        return " AND ".join(parts + self.all_of)


# Text.

_Character = tuple[str, bool]
"One character, and True if it is literal."


def _string(expression: str, sql: str) -> str:
    terms = _Terms(sql)
    for term in _string_terms(expression):
        negated = term[0] == ("-", False)
        value = term[1:] if negated else term
        keyword = "".join("" if is_literal else character.upper() for character, is_literal in value)
        if keyword == "NULL":
            terms.null(negated)
        elif keyword == "EMPTY" and negated:
            terms.all_of.append(f"{sql} <> ''")
        elif keyword == "EMPTY":
            terms.any_of.append(f"{sql} IS NULL OR {sql} = ''")
        else:
            (terms.none_of if negated else terms.any_of).append(_like(value, sql, negated))
    return terms.joined()


def _string_terms(expression: str) -> Iterator[list[_Character]]:
    """Split at commas. `^` and quotes escape any character; a backslash escapes a comma."""
    term: list[_Character] = []
    quoted = False
    for sign in re.findall(r"\^.?|\\,|.", expression + ",", re.DOTALL):
        if sign == '"':
            quoted = not quoted
        elif sign == "," and not quoted:
            if trimmed := _trim(term):
                yield trimmed
            term = []
        else:
            term.append((sign[-1], quoted or len(sign) > 1))
    if quoted:
        raise Malformed("a quote is not closed")


def _trim(term: list[_Character]) -> list[_Character]:
    solid = [index for index, (character, is_literal) in enumerate(term) if is_literal or not character.isspace()]
    return term[solid[0] : solid[-1] + 1] if solid else []


def _like(value: list[_Character], sql: str, negated: bool) -> str:
    if not any(character in "%_" and not is_literal for character, is_literal in value):
        return f"{sql} {'<>' if negated else '='} {literal(''.join(character for character, _ in value))}"
    pattern = "".join(
        f"^{character}" if character == "^" or (is_literal and character in "%_") else character
        for character, is_literal in value
    )
    return f"{sql} {'NOT ' * negated}LIKE {literal(pattern)} ESCAPE '^'"


# Numbers.

_N = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
_BARE = re.compile(_N)
_COMPARISON = re.compile(rf"(<=|>=|<>|!=|<|>|=)\s*({_N})")
_RANGE = re.compile(rf"({_N})?\s*\bto\b\s*({_N})?", re.IGNORECASE)
_INTERVAL = re.compile(rf"([\[(])\s*({_N}|-inf)?\s*,\s*({_N}|inf)?\s*([\])])", re.IGNORECASE)
_NUMBER_SEPARATOR = re.compile(r",(?![^\[(]*[\])])|\bOR\b", re.IGNORECASE)


def _number(expression: str, sql: str) -> str:
    terms = _Terms(sql)
    written = [term.strip() for term in _NUMBER_SEPARATOR.split(expression)]
    # `NOT 66, 99, 4` excludes all three: a leading NOT applies to the bare numbers that follow.
    spreads = re.fullmatch(rf"NOT\s+{_N}", written[0], re.IGNORECASE)
    for term in filter(None, written):
        bare = re.sub(r"^(NOT\s+|<>|!=)", "", term, flags=re.IGNORECASE).strip()
        negated = bare != term or (spreads is not None and _BARE.fullmatch(term) is not None)
        if bare.upper() == "NULL":
            terms.null(negated)
        elif negated:
            terms.none_of.append(f"NOT {_number_term(bare, sql)}")
        else:
            terms.any_of.append(_number_term(bare, sql))
    return terms.joined()


def _number_term(term: str, sql: str) -> str:
    if _BARE.fullmatch(term):
        return f"({sql} = {term})"
    if found := _INTERVAL.fullmatch(term):
        opening, low, high, closing = found.groups()
        return _between(sql, low, high, ">=" if opening == "[" else ">", "<=" if closing == "]" else "<")
    if (found := _RANGE.fullmatch(term)) and any(found.groups()):
        return _between(sql, found[1], found[2], ">=", "<=")
    comparisons = [_COMPARISON.fullmatch(part.strip()) for part in re.split(r"\bAND\b", term, flags=re.IGNORECASE)]
    if not all(comparisons):
        raise Malformed(f"{term!r} is not a number, comparison or interval")
    return "(" + " AND ".join(f"{sql} {found[1]} {found[2]}" for found in comparisons if found) + ")"


def _between(sql: str, low: str | None, high: str | None, above: str, below: str) -> str:
    bounds = [
        f"{sql} {operator} {bound}"
        for operator, bound in ((above, low), (below, high))
        if bound and "inf" not in bound.lower()
    ]
    return f"({' AND '.join(bounds)})" if bounds else f"({sql} IS NOT NULL)"


def _yesno(expression: str, sql: str) -> str:
    """Return the condition; a missing value counts as No, as in Looker's own CASE."""
    wanted = {word.strip().lower() for word in expression.split(",")}
    if not wanted <= {"yes", "no"}:
        raise Malformed("it is neither Yes nor No")
    return " OR ".join(f"{'NOT ' * (word == 'no')}coalesce({sql}, false)" for word in sorted(wanted))


# Dates and times.

_UNIT = r"(second|minute|hour|day|week|month|quarter|year)s?"
_LITERAL = re.compile(r"(\d{4})(?:[-/](\d\d)(?:[-/](\d\d)(?:[ T](\d\d)(?::(\d\d)(?::(\d\d))?)?)?)?)?")
_LITERAL_UNITS = ("year", "month", "day", "hour", "minute", "second")
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_STEPS = {"last": -1, "this": 0, "next": 1}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_WEEKDAYS = [name.lower() for name in calendar.day_name]


def _time(expression: str, sql: str, now: dt.datetime, *, in_utc: bool) -> str:
    zone = now.tzinfo if in_utc else None
    local = now.replace(tzinfo=None)
    return " OR ".join(_time_term(" ".join(term.lower().split()), sql, local, zone) for term in expression.split(","))


def _time_term(term: str, sql: str, now: dt.datetime, zone: dt.tzinfo | None) -> str:
    if term in {"null", "not null"}:
        return f"{sql} IS {term.upper()}"
    start, end = _bounds(term, now)
    bounds = [
        f"{sql} {operator} {_moment_literal(bound, zone)}" for operator, bound in ((">=", start), ("<", end)) if bound
    ]
    return f"({' AND '.join(bounds)})"


def _moment_literal(moment: dt.datetime, zone: dt.tzinfo | None) -> str:
    """Return a literal in UTC, like the columns. A time that the clocks skip or repeat has the earlier offset."""
    try:
        if zone is not None:
            moment = moment.replace(tzinfo=zone).astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        raise Malformed(f"{moment} is outside the calendar") from None
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def _bounds(term: str, now: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    if found := re.fullmatch(r"(before|after) (.+)", term):
        start, _ = _span(found[2], now)
        return (None, start) if found[1] == "before" else (start, None)
    if found := re.fullmatch(rf"this {_UNIT} to {_UNIT}", term):
        return _floor(now, found[1]), _floor(now, found[2])
    if found := re.fullmatch(r"(.+) to (.+)", term):
        return _span(found[1], now)[0], _span(found[2], now)[0]
    if found := re.fullmatch(rf"(.+) for (\d+) {_UNIT}", term):
        start, _ = _span(found[1], now)
        return start, _shift(start, int(found[2]), found[3])
    if found := re.fullmatch(rf"(\d+) {_UNIT}", term):  # including the current one, which is not complete
        next_one = _shift(_floor(now, found[2]), 1, found[2])
        return _shift(next_one, -int(found[1]), found[2]), next_one
    return _span(term, now)


def _span(term: str, now: dt.datetime) -> Span:
    """Return the time span that one expression names."""
    if found := _LITERAL.fullmatch(term):
        return _literal_span(term, [int(part) for part in found.groups() if part])
    if term == "now":
        return now, _shift(now, 1, "second")
    if term in _DAYS:
        return _unit_span(now, _DAYS[term], "day")
    if term in _WEEKDAYS:
        return _unit_span(now, -((now.weekday() - _WEEKDAYS.index(term)) % 7), "day")
    if found := re.fullmatch(rf"(last|this|next) {_UNIT}", term):
        return _unit_span(now, _STEPS[found[1]], found[2])
    if found := re.fullmatch(rf"(\d+) {_UNIT} (ago|from now)", term):
        return _unit_span(now, int(found[1]) * (-1 if found[3] == "ago" else 1), found[2])
    raise Malformed(f"{term!r} is not a date, time or time span (dates are YYYY-MM-DD)")


def _literal_span(term: str, parts: list[int]) -> Span:
    unit = _LITERAL_UNITS[len(parts) - 1]
    try:
        year, month, day, *time = [*parts, 1, 1][: max(3, len(parts))]
        start = dt.datetime(year, month, day, *time)  # type: ignore[arg-type]  # noqa: DTZ001  # a zone is added later
    except ValueError as error:
        raise Malformed(f"{term!r}: {error}") from None
    return start, _shift(start, 1, unit)


def _unit_span(now: dt.datetime, steps: int, unit: str) -> Span:
    start = _shift(_floor(now, unit), steps, unit)
    return start, _shift(start, 1, unit)


def _floor(moment: dt.datetime, unit: str) -> dt.datetime:
    """Return the start of the second, …, week (Monday), … or year of a moment."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    starts: dict[str, Callable[[], dt.datetime]] = {
        "second": lambda: moment.replace(microsecond=0),
        "minute": lambda: moment.replace(second=0, microsecond=0),
        "hour": lambda: moment.replace(minute=0, second=0, microsecond=0),
        "day": lambda: day,
        "week": lambda: day - dt.timedelta(days=day.weekday()),
        "month": lambda: day.replace(day=1),
        "quarter": lambda: day.replace(month=day.month - (day.month - 1) % 3, day=1),
        "year": lambda: day.replace(month=1, day=1),
    }
    return starts[unit]()


def _shift(moment: dt.datetime, steps: int, unit: str) -> dt.datetime:
    try:
        if unit in _SECONDS:
            return moment + dt.timedelta(seconds=steps * _SECONDS[unit])
        years, month = divmod(moment.month - 1 + steps * _MONTHS[unit], 12)
        year = moment.year + years
        return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        raise Malformed(f"{steps} {unit}s lead outside the calendar") from None


def time_zone(name: str | None) -> zoneinfo.ZoneInfo:
    """Return a time zone. Raises Malformed if it does not exist."""
    try:
        return zoneinfo.ZoneInfo(name or "UTC")
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise Malformed(f"there is no time zone {name!r}") from None
