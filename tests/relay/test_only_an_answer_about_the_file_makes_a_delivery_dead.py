"""An answer that says nothing of the file leaves the delivery in the inbox, whatever its status: it lands later."""

import pytest

from common.platform.retry import ATTEMPTS
from local.sandbox.wire import Response
from tests.support.world import PUSH, World, delivery

PAGE = b"<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
PROBLEM = {"Content-Type": "application/problem+json"}

OF_THE_FILE = (400, 413, 422)
STATUSES = [status for status in (*range(300, 309), *range(400, 432), 451, 499) if status not in OF_THE_FILE]
"Every registered status from 300 to 499, and an unknown one."
NOTHING_LANDED = {"delivered": 0, "waiting": 2, "dead": 0}
FAILURES = (500, 501, 502, 503, 504, 507, 520, 521, 529)


EVERY_STATUS: dict[object, Response] = {status: Response(status, b'{"title": "No"}', PROBLEM) for status in STATUSES}
SOME: dict[object, Response] = {each: EVERY_STATUS[each] for each in (302, 401, 404, 409, 425, 451)}
WEB_PAGES: dict[object, Response] = {
    **{status: Response(status, PAGE, HTML) for status in (200, 201, 203, 302, 400, 403, 404, 422)},
    "200 without a content type": Response(200, b"\n" + PAGE),
}
SENT_AGAIN: dict[object, Response] = {
    "in seconds": Response(503, b"", {"Retry-After": "7"}),
    "at a time": Response(503, b"", {"Retry-After": "Sun, 01 Mar 2026 06:15:05 GMT"}),
    "with a web page": Response(503, PAGE, HTML | {"Retry-After": "7"}),
}


@pytest.fixture(params=[False, True], ids=["an append", "a repeatable target"])
def sales(world: World, request: pytest.FixtureRequest) -> World:
    world.add_relay("sales", target={"repeatable": request.param})
    for number in ("1", "2"):
        world.post_delivery("sales", delivery((number, "10")))
        world.clock.advance(1)
    return world


def landed(world: World) -> list[str]:
    return [row["Id"] for row in world.pigment.rows(world.raw["relays"]["sales"]["target"]["configuration"])]


@pytest.mark.long
@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(EVERY_STATUS, id="every status", marks=pytest.mark.slow),
        pytest.param(SOME, id="a status"),
        pytest.param(WEB_PAGES, id="a web page"),
        pytest.param(SENT_AGAIN, id="send it again"),
    ],
)
def test_the_delivery_waits_and_the_later_ones_behind_it(sales: World, answers: dict[object, Response]) -> None:
    for what, response in answers.items():
        fault = sales.pigment_server.fault(PUSH, times=-1, refuse=response)
        answer = sales.run_deliver()

        assert {name: answer.body[name] for name in ("delivered", "waiting", "dead")} == NOTHING_LANDED, what
        assert answers is not WEB_PAGES or answer.code == "answer_not_understood", what
        assert answers is not SENT_AGAIN or answer.code == "pigment_busy", what
        assert 1 <= fault.hits <= ATTEMPTS
        assert {each.body for each in sales.pigment_server.exchanges} == {b"Id,Amount\n1,10\n"}, what
        sales.pigment_server.heal()
        # Until then, the deliveries of a busy Pigment are not read again.
        sales.clock.advance(10)

    assert sales.run_deliver().body | {"error": None} == {"delivered": 2, "waiting": 0, "dead": 0, "error": None}
    assert landed(sales) == ["1", "2"]


@pytest.mark.parametrize(
    "status", [each if each in (500, 503) else pytest.param(each, marks=pytest.mark.slow) for each in FAILURES]
)
def test_a_failure_after_the_whole_file_is_sent_again_only_if_that_is_safe(sales: World, status: int) -> None:
    is_repeatable = sales.raw["relays"]["sales"]["target"]["repeatable"]
    fault = sales.pigment_server.fault(PUSH, times=-1, refuse=Response(status, PAGE, HTML))

    answer = sales.run_deliver()

    assert (answer.body["waiting"], answer.body["dead"]) == (2, 0)
    assert (answer.code, fault.hits) == (("landing_unconfirmed", ATTEMPTS) if is_repeatable else ("landing_unknown", 1))


@pytest.mark.parametrize("kind", [HTML, PROBLEM], ids=["a web page", "JSON"])
def test_a_gateways_limit_of_the_size_is_about_the_file(sales: World, kind: dict[str, str]) -> None:
    sales.pigment_server.fault(PUSH, refuse=Response(413, PAGE if kind is HTML else b"{}", kind))

    assert sales.run_deliver().body["dead"] == 1
    (dead,) = sales.bucket.entries("dead/sales/")
    assert dead.metadata["code"] == "file_too_big"
    assert landed(sales) == ["2"]


@pytest.mark.parametrize("status", [400, 422])
def test_pigments_refusal_of_the_file_makes_it_dead_and_the_next_one_lands(sales: World, status: int) -> None:
    refusal = b'{"title": "Bad Request", "detail": "The header does not match the sample."}'
    sales.pigment_server.fault(PUSH, refuse=Response(status, refusal, PROBLEM))

    assert sales.run_deliver().body | {"error": None} == {"delivered": 1, "waiting": 0, "dead": 1, "error": None}
    (dead,) = sales.bucket.entries("dead/sales/")
    assert dead.metadata["code"] == "file_refused"
    assert "The header does not match the sample." in dead.metadata["reason"]
    assert landed(sales) == ["2"]


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_refused_trigger_says_nothing_of_the_file(world: World, status: int) -> None:
    world.storage.create_bucket("theirs")
    through = {"via": "storage", "bucket": "theirs", "path": "sales-{run}.csv"}
    world.add_relay("sales", target=through)
    world.post_delivery("sales", delivery(("1", "10")))
    text = b"Invalid configuration or unsupported operation type."
    world.pigment_server.fault(r"POST /api/v1/import/trigger", times=-1, refuse=Response(status, text))

    answer = world.run_deliver()

    assert (answer.body["waiting"], answer.body["dead"]) == (1, 0)
    assert text.decode() in answer.error["message"]


LOOKER_ROWS = {
    "broken off": {"cut_after_bytes": 20},
    "a web page": {"replace": PAGE},
    "an error text": {"append": b"\nError: SQL Error: gone"},
    "another width": {"append": b"1,2\n"},
    "empty": {"replace": b""},
}


@pytest.mark.parametrize("how", LOOKER_ROWS.values(), ids=LOOKER_ROWS.keys())
def test_a_signal_waits_while_the_rows_of_its_pull_are_at_fault(world: World, how: dict[str, object]) -> None:
    world.add_relay("ready", start="flights")
    world.post_delivery("ready", b'{"anything": "goes"}')
    world.looker_server.fault(r"POST /api/4\.0/queries/run/csv", times=-1, **how)

    answer = world.run_deliver()

    assert (answer.body["waiting"], answer.body["dead"]) == (1, 0)
    world.looker_server.heal()
    assert world.run_deliver().body["delivered"] == 1
