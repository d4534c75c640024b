"""Properties of the filter expressions."""

import contextlib
import datetime as dt
import itertools

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.sandbox.looker.filters import Kind, Malformed, condition, time_zone

NOW = dt.datetime(2024, 5, 15, 12, 30, tzinfo=dt.UTC)
SIGNS = '0123456789-,.^%_"[]() NOTULANDtoago daysbefrhiswkm<>=\\'


def count_true(*conditions: str) -> int:
    with duckdb.connect() as connection:
        return sum(connection.execute(f"SELECT {', '.join(conditions)}").fetchall()[0])


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_an_escaped_text_matches_itself(value: str) -> None:
    escaped = "".join(f"^{character}" for character in value)
    assert condition(escaped, Kind.STRING, "it", now=NOW) == "(it = '" + value.replace("'", "''") + "')"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(Kind)), st.text(alphabet=SIGNS, max_size=30))
def test_an_expression_is_translated_or_refused(kind: Kind, expression: str) -> None:
    column = {Kind.STRING: "''", Kind.NUMBER: "0", Kind.YESNO: "true"}.get(kind, "TIMESTAMP '2024-01-01'")
    with contextlib.suppress(Malformed):
        count_true(condition(expression, kind, column, now=NOW) or "true")


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
    st.lists(st.integers(0, 330 * 86400), min_size=1, max_size=4),
    st.integers(86400, 329 * 86400),
)
def test_adjacent_windows_contain_every_moment_once(zone: str, borders_s: list[int], moment_s: int) -> None:
    start = dt.datetime.fromisoformat("2024-01-01")
    moment = start + dt.timedelta(seconds=moment_s)
    cuts = [str(start + dt.timedelta(seconds=border_s)) for border_s in (0, *sorted(borders_s), 331 * 86400)]
    now = NOW.astimezone(time_zone(zone))
    windows = [
        condition(f"{start} to {end}", Kind.TIME, f"TIMESTAMP '{moment}'", now=now)
        for start, end in itertools.pairwise(cuts)
    ]
    assert count_true(*windows) == 1
