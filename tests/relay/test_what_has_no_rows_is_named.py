"""A delivery without rows says what it is: empty, the action of a cell, or one JSON object."""

from typing import Any

import pytest

from common.looker import webhook
from common.platform.errors import DeliveryNotUsable
from tests.support.payloads import attached, attached_zip, zipped
from tests.support.world import World, delivery

EMPTY: dict[str, bytes] = {
    "no attachment": delivery(attachment=None),
    "nothing at all": delivery(attachment=None, data=None),
    "no parameters": delivery(attachment=None, data={}),
    "an empty text": attached(""),
    "a blank text": attached("  "),
    "a line feed": attached("\n"),
    "lines of nothing": attached("\r\n \n"),
    "an empty base64": attached("", mimetype="text/csv;base64"),
    "a line feed in base64": attached("Cg==", mimetype="text/csv;base64"),
    "an empty object": attached({}, "json", "application/json"),
    "an empty list": attached([], "json", "application/json"),
    "an empty list as text": attached("[]", "json", "application/json"),
    "an empty file in a zip": attached_zip(zipped(b"")),
}
OBJECT = '{"fields": {"measures": []}, "data": [{"a": {"value": "secret"}}]}'


def refusal_of(body: bytes) -> DeliveryNotUsable:
    with pytest.raises(DeliveryNotUsable) as refused:
        webhook.read(body)
    return refused.value


@pytest.mark.parametrize("body", EMPTY.values(), ids=EMPTY.keys())
def test_an_empty_delivery_is_called_empty(body: bytes) -> None:
    refusal = refusal_of(body)

    assert refusal.cause.startswith("The delivery is empty")
    assert "only if there are results" in refusal.next_step


@pytest.mark.parametrize("data", [{"value": "secret", "rendered": "secret"}, {}, None])
@pytest.mark.parametrize("plan", [None, {"scheduled_plan_id": None}])
def test_the_action_of_a_cell_is_called_so(data: Any, plan: Any) -> None:
    refusal = refusal_of(delivery(type="cell", scheduled_plan=plan, attachment=None, data=data))

    assert refusal.cause.startswith("The delivery is the action of one cell")
    assert "send or schedule the whole Look" in refusal.next_step
    assert "secret" not in refusal.cause


@pytest.mark.parametrize(
    "body", [attached(OBJECT, "json", "application/json"), delivery(attachment=None, data={"data": [{"a": 1}]})]
)
def test_one_json_object_is_called_so(body: bytes) -> None:
    refusal = refusal_of(body)

    assert refusal.cause.startswith("The delivery is one JSON object")
    assert "choose CSV or plain JSON" in refusal.next_step


def test_lookers_history_says_it(world: World) -> None:
    world.add_relay("sales")

    answer = world.post_delivery(
        "sales", delivery(type="cell", scheduled_plan=None, attachment=None, data={"value": 1})
    )

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    assert "one cell" in answer.body["looker"]["message"]
