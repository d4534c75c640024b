"""Any file is decoded or refused with errors, never with a traceback."""

import contextlib
import copy
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bridge_yaml import Bridge, Step, decode
from common.platform.errors import BridgeFileInvalid
from local import bridge_file

EXAMPLE = bridge_file.read(Path(__file__).parents[2] / "infra" / "bridge.yaml")
WORDS = ["full", "pulls", "look", "incremental", "changes", "storage", "latest", "start", "target", "2013-01-01", "50%"]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS) | st.dates()
)
KEYS = st.text(max_size=10) | st.sampled_from(WORDS) | st.integers() | st.none() | st.booleans()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def read(raw: object) -> Bridge | None:
    try:
        return decode(raw)
    except BridgeFileInvalid as fault:
        lines = fault.cause.split("\n")
        assert all(": " in line and "; write " in line for line in lines)
        assert not [line for line in lines if "UNSET" in line]
        return None


@given(ANYTHING)
def test_any_data_is_decoded_or_refused(raw: object) -> None:
    read(raw)


@given(st.dictionaries(st.sampled_from(["looker", "pigment", "webhook", "pulls", "relays", "exports"]), ANYTHING))
def test_any_section_is_decoded_or_refused(raw: object) -> None:
    read(raw)


def places(raw: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


@pytest.mark.long
@given(st.lists(st.tuples(st.sampled_from(list(places(EXAMPLE))), ANYTHING), min_size=1, max_size=3))
def test_a_valid_file_with_any_replaced_values_is_decoded_or_refused(
    changes: list[tuple[tuple[Any, ...], object]],
) -> None:
    raw: Any = copy.deepcopy(EXAMPLE)
    for path, value in changes:
        place = raw
        for step in path[:-1]:
            place = place[step] if isinstance(place, dict) and step in place else {}
        if isinstance(place, dict) and path[-1] in place:
            place[path[-1]] = value
    read(raw)


@given(st.text() | st.binary(max_size=50) | st.text(alphabet="&*!:{}[]-? \n|>%@`'\"#,ayn01_~<=", max_size=40))
def test_any_bytes_are_parsed_or_refused(text: str | bytes) -> None:
    with contextlib.suppress(BridgeFileInvalid):
        bridge_file.parse(text)


@given(
    st.integers(1, 400),
    st.sampled_from(["second", "minute", "hour", "day", "week", "month", "quarter"]),
    st.sampled_from(["{} {}", "{} {}s", "{}{}", "{}   {}S"]),
)
def test_every_duration_is_parsed(amount: int, unit: str, form: str) -> None:
    assert window(form.format(amount, unit), "2013-01-01") == Step(amount=amount, unit=unit)  # type: ignore[arg-type]


@given(st.integers(1, 10**15 - 1), st.booleans())
def test_every_numeric_step_is_parsed(amount: int, quoted: bool) -> None:
    assert window(str(amount) if quoted else amount, 0) == Step(amount=amount, unit="number")


@given(st.datetimes())
def test_every_start_is_parsed(start: dt.datetime) -> None:
    assert load("1 day", start.isoformat()).start == start
    assert load("1 day", f"{start.isoformat()}Z").start == start


def load(step: object, start: object) -> Any:
    bridge = decode(
        {
            "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
            "pigment": {"import_key": "pigment-import-key"},
            "pulls": {
                "flights": {
                    "source": {"look": 12},
                    "target": {"configuration": "3fa85f64-5717-4562-b3fc-2c963f66afa6"},
                    "load": {"incremental": {"cursor": "flights.id", "start": start, "window": step}},
                }
            },
        }
    )
    return bridge.pulls["flights"].load


def window(step: object, start: object) -> Step:
    found: Step = load(step, start).window
    return found
