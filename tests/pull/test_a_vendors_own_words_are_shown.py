"""The explanation in a refusal is found in every form that vendors use, and shown without secrets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.platform.explanations import explanation_in
from local.sandbox.wire import Response
from tests.support.world import EXPORTS, PIGMENT_KEY, PUSH, STATUS, World

LOOK = r"GET /api/4\.0/looks/12"
PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}
VALIDATION = "One or more validation errors occurred."
PER_HOUR = "Maximum number of reports per configuration per hour exceeded, maximum: 300."

FORMS: dict[str, tuple[Any, str]] = {
    "a detail": ({"title": "Bad Request", "status": 400, "detail": "No column Id."}, "No column Id."),
    "a detail before the title": ({"detail": "No column Id.", "title": "Bad Request"}, "No column Id."),
    "a title alone": ({"type": "about:blank", "title": "No column Id."}, "No column Id."),
    "an empty detail": ({"title": "No column Id.", "detail": None}, "No column Id."),
    "messages of each field": (
        {"title": VALIDATION, "errors": {"Id": ["Empty.", "Too long."], "Amount": ["No number."]}},
        "Id: Empty.; Id: Too long.; Amount: No number.",
    ),
    "one message of each field": ({"title": VALIDATION, "errors": {"Id": "Empty."}}, "Id: Empty."),
    "messages of no field": ({"title": VALIDATION, "errors": {"": ["Empty."]}}, "Empty."),
    "a list of messages": ({"title": VALIDATION, "errors": ["Empty.", "Too long."]}, "Empty.; Too long."),
    "a detail and messages": ({"detail": "Wrong.", "errors": {"Id": ["Empty."]}}, "Wrong: Id: Empty."),
    "a list of faults": (
        {"message": "Validation Failed", "errors": [{"field": "id", "code": "x", "message": "Empty."}]},
        "Validation Failed: id: Empty.",
    ),
    "the errors of an import": (
        {"importStatus": "Failed", "errorsDetails": [{"name": "InvalidFile", "description": "No column Id."}]},
        "InvalidFile: No column Id.",
    ),
    "an error with a message": ({"error": {"code": 7, "message": "No column Id."}}, "No column Id."),
    "an error of Looker's database": ([{"looker_error": "No column Id."}], "No column Id."),
    "a text in JSON": ("No column Id.", "No column Id."),
    "escapes": ({"detail": 'No \u201cId\u201d\n\tin\u00a0"Sales".'}, 'No \u201cId\u201d in "Sales".'),
    "quotes that are escaped twice": ({"message": r"No \"Id\" in \\\"Sales\\\"."}, 'No "Id" in "Sales".'),
    "JSON of another kind": ({"reason": 7}, '{"reason": 7}'),
    "quotes in JSON of another kind": ({"reason": 'No "Id".'}, '{"reason": "No "Id"."}'),
}


@pytest.mark.parametrize(("body", "words"), FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("where", [LOOK, PUSH, EXPORTS])
def test_the_message_has_the_vendors_words(world: World, where: str, body: object, words: str) -> None:
    world.add_export("revenue")
    server = world.looker_server if where == LOOK else world.pigment_server
    pieces = [json.dumps(body).encode()[:9], json.dumps(body).encode()[9:]]
    server.fault(where, refuse=Response(400, pieces, PROBLEM))

    answer = world.run_export("revenue") if where == EXPORTS else world.run_pull("flights")

    assert answer.error["message"].partition("when asked for ")[2].partition(". ")[2] == words


@pytest.mark.parametrize(
    "body",
    [
        {"title": "Bad Request", "detail": "Size limit exceeded: at most 500 MB."},
        {"title": "Size limit exceeded", "detail": "At most 500 MB."},
        {"title": VALIDATION, "errors": {"file": ["The size\nlimit is 500 MB."]}},
        {"title": VALIDATION, "detail": "x" * 400 + " size limit"},
        {"title": "Bad Request", "code": "SIZE LIMIT EXCEEDED"},
        "The file exceeds the size limit",
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_file_over_the_size_limit_is_recognized_wherever_pigment_says_so(
    world: World, status: int, body: object
) -> None:
    world.pigment_server.fault(PUSH, refuse=Response(status, json.dumps(body).encode(), PROBLEM))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (502, "file_too_big")
    assert "via: storage" in answer.error["next_step"]


@pytest.mark.parametrize(
    "body",
    [
        {"title": "Too Many Requests", "detail": PER_HOUR},
        {"title": PER_HOUR, "detail": "Please try again later."},
        {"title": "Too Many Requests", "errors": {"configurationId": [PER_HOUR]}},
    ],
)
def test_the_hourly_limit_is_recognized_wherever_pigment_says_so(world: World, body: object) -> None:
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, json.dumps(body).encode(), PROBLEM))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "pigment_busy", "3600")
    assert world.clock.slept == []


def test_an_hourly_limit_of_exports_waits_as_long_as_pigment_says(world: World) -> None:
    """The limit of an hour that Pigment documents is of imports."""
    world.add_export("revenue")
    headers = {**PROBLEM, "Retry-After": "7"}
    world.answer_exports(b"Month;Amount\n2026-01;1\n", after=1)
    world.pigment_server.fault(EXPORTS, refuse=Response(429, json.dumps({"detail": PER_HOUR}).encode(), headers))

    answer = world.run_export("revenue")

    assert (answer.status, answer.receipt["outcome"]) == (200, "published")
    assert world.clock.slept == [7]


def test_hundreds_of_faults_are_cut(world: World) -> None:
    faults = {f"Column {number}": ["Empty."] for number in range(300)}
    body = json.dumps({"title": VALIDATION, "errors": faults}).encode()
    world.pigment_server.fault(PUSH, refuse=Response(400, body, PROBLEM))

    message = world.run_pull("flights").error["message"]

    shown = message.partition("when asked for ")[2].partition(". ")[2]
    assert shown == "; ".join(f"{name}: Empty." for name in faults)[:600]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=utf-8", b"Blocked by the proxy."),
        ("application/json", b"<!DOCTYPE html><p>Blocked by the proxy.</p>"),
        ("text/plain", b"\n <html><p>Blocked by the proxy.</p></html>"),
        ("application/xml", b"<Error>Blocked by the proxy.</Error>"),
    ],
)
def test_the_words_of_a_page_are_not_shown(world: World, content_type: str, body: bytes) -> None:
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, body, {"Content-Type": content_type}))

    answer = world.run_pull("flights")

    assert answer.code == "pigment_busy"
    assert answer.error["message"].startswith("Pigment answered 429 when asked for ")
    assert "proxy" not in answer.error["message"]
    assert "<" not in answer.error["message"]


@pytest.mark.parametrize("where", [PUSH, STATUS])
def test_a_key_that_pigment_repeats_is_not_shown(world: World, where: str) -> None:
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in PIGMENT_KEY)
    body = f'{{"detail": "The key {escaped} may not.", "errors": {{"Authorization": ["Bearer {escaped}"]}}}}'
    world.pigment_server.fault(where, times=-1, refuse=Response(400, body.encode(), PROBLEM))

    message = world.run_pull("flights").error["message"]

    assert "The key … may not: Authorization: Bearer …" in message
    assert PIGMENT_KEY not in message


SECRET = "the-secret-of-the-request"
TEXTS = st.text() | st.builds("{}{}{}".format, st.text(), st.just(SECRET), st.text())
NAMES = st.sampled_from(["detail", "errors", "message", "title", "error", "field", "name", "description"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(NAMES | TEXTS, inner),
)


@given(body=st.binary() | TEXTS.map(str.encode) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_explained_shortly_and_without_a_secret(body: bytes) -> None:
    explanation = explanation_in(body, "application/json", [SECRET])

    assert len(explanation.words) <= 300 + len(": ") + 600
    assert SECRET not in explanation.words


@pytest.mark.parametrize("depth", [10, 500, 5_000, 16_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_a_deeply_nested_answer_does_no_harm(depth: int, brackets: str) -> None:
    opening, closing = ('{"errors":', "}") if brackets == "{}" else ("[", "]")
    body = '{"detail": "Deep.", "errors": ' + opening * depth + '"x"' + closing * depth + "}"

    assert explanation_in(body.encode(), "application/json", []).words
