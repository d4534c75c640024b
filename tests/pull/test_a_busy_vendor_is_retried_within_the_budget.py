"""Retries wait as long as the vendor asks but stay within the budget; a longer wait is answered 503."""

import email.utils
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.platform.http import is_temporary
from common.platform.retry import ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S, retry_after_s, wait_before_next_s
from local.sandbox.wire import Response
from tests.support.world import PULL_RUN, PUSH, STATUS, World

LOGIN = r"POST /api/4\.0/login"
LOOK = r"GET /api/4\.0/looks/12"
TEMPORARY = (408, 425, 429, 500, 501, 502, 503, 507, 520, 521, 522, 523, 599)
HTML = {"Content-Type": "text/html"}


def test_these_statuses_are_temporary() -> None:
    assert {status for status in range(100, 600) if is_temporary(status)} == {408, 425, 429, *range(500, 600)}


@pytest.mark.parametrize("on", [LOGIN, LOOK, PULL_RUN, STATUS])
@pytest.mark.parametrize(
    "statuses",
    [pytest.param((425, 429, 503, 599), id="a few"), pytest.param(TEMPORARY, id="many", marks=pytest.mark.slow)],
)
def test_every_question_is_asked_again_after_a_temporary_status(
    world: World, on: str, statuses: tuple[int, ...]
) -> None:
    server = world.pigment_server if on == STATUS else world.looker_server
    for status in statuses:
        server.fault(on, times=2, refuse=Response(status, b"<html><h1>Try later</h1></html>", HTML))
        assert world.run_pull("flights").body["outcome"] == "landed", status
    assert len(world.imports) == len(statuses)


@pytest.mark.parametrize("on", [LOGIN, LOOK, PULL_RUN, STATUS])
@pytest.mark.parametrize("how", [{"reset_before": True}, {"go_away": True}, {"reset_after": True}])
def test_every_question_is_asked_again_after_a_lost_connection(world: World, on: str, how: dict[str, object]) -> None:
    server = world.pigment_server if on == STATUS else world.looker_server
    server.fault(on, times=2, **how)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.imports) == 1


@pytest.mark.parametrize("status", [504, 524])
def test_a_query_on_which_the_database_still_works_is_repeated_once(world: World, status: int) -> None:
    world.looker_server.fault(PULL_RUN, times=-1, refuse=Response(status, b"<html>upstream timeout</html>", HTML))

    answer = world.run_pull("flights")

    runs = [each for each in world.looker_server.exchanges if each.path.endswith("/queries/run/csv")]
    assert (answer.status, answer.code, len(runs)) == (503, "looker_busy", 2)
    assert "source.filters" in answer.error["next_step"]
    assert "windows" in answer.error["next_step"]


def test_a_query_that_does_not_begin_to_answer_is_repeated_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_DEADLINE_S", "1")
    unanswered = world.looker_server.fault(PULL_RUN, times=-1, delay_s=2)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, unanswered.hits) == (503, "looker_busy", 2)
    assert "did not begin to answer in time" in answer.error["message"]
    assert "windows" in answer.error["next_step"]


def test_a_query_that_answers_at_its_second_run_lands(world: World) -> None:
    world.looker_server.fault(PULL_RUN, refuse=Response(504))
    world.looker_server.fault(PULL_RUN, refuse=Response(503))

    assert world.run_pull("flights").body["outcome"] == "landed"


@pytest.mark.parametrize("on", [LOGIN, LOOK])
def test_a_504_that_leaves_no_query_behind_is_tried_again_as_often_as_others(world: World, on: str) -> None:
    world.looker_server.fault(on, times=3, refuse=Response(504))

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_a_status_that_stays_unavailable_leaves_the_import_to_the_next_run(world: World) -> None:
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(500))

    answer = world.run_pull("flights")
    world.pigment_server.heal()

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (503, "pigment_busy", "importing")
    assert world.run_pull("flights").status == 200
    assert world.receipts()[0]["outcome"] == "landed"


@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_a_web_page_in_place_of_a_status_says_nothing_of_the_import(world: World, status: int) -> None:
    page = Response(status, b"<!doctype html><html>Down for maintenance</html>", HTML)
    world.pigment_server.fault(STATUS, times=-1, refuse=page)

    answer = world.run_pull("flights")
    world.pigment_server.heal()

    assert (answer.code, answer.receipt["outcome"]) == ("answer_not_understood", "importing")
    assert world.run_pull("flights").status == 200
    assert world.receipts()[0]["outcome"] == "landed"


@pytest.mark.parametrize("on", [PULL_RUN, PUSH])
def test_retry_after_in_seconds_is_a_floor(world: World, on: str) -> None:
    busy = Response(429, headers={"Retry-After": "37"})
    server = world.pigment_server if on == PUSH else world.looker_server
    server.fault(on, refuse=busy)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert max(world.clock.slept) >= 37


def test_retry_after_as_a_date_is_a_floor(world: World) -> None:
    moment = email.utils.format_datetime(world.clock.now() + timedelta(seconds=41), usegmt=True)
    world.pigment_server.fault(PUSH, refuse=Response(429, headers={"Retry-After": moment}))

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert max(world.clock.slept) >= 41


def test_a_429_without_retry_after_is_retried_with_backoff(world: World) -> None:
    world.pigment_server.fault(PUSH, times=3, refuse=Response(429))

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.imports) == 1


def test_a_wait_beyond_the_budget_is_answered_503_without_sleeping(world: World) -> None:
    world.looker_server.fault(PULL_RUN, times=-1, refuse=Response(503, headers={"Retry-After": "7200"}))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (503, "looker_busy")
    assert answer.headers["Retry-After"] == "7200"
    assert world.clock.slept == []


def test_the_hourly_limit_of_a_configuration_is_answered_without_waiting(world: World) -> None:
    text = b"Maximum number of reports per configuration per hour exceeded, maximum: 300. Please try again later."
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, text))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (503, "pigment_busy")
    assert answer.headers["Retry-After"] == "3600"
    assert world.clock.slept == []


def test_a_busy_status_call_does_not_lose_a_landing(world: World) -> None:
    world.pigment_server.fault(STATUS, times=3, refuse=Response(503))

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_a_token_that_expires_between_two_calls_is_renewed(world: World) -> None:
    world.looker.token_lifetime_s = 10
    world.looker_server.fault(LOOK, act=lambda: world.clock.advance(20))

    assert world.run_pull("flights").body["outcome"] == "landed"
    logins = [each for each in world.looker_server.exchanges if each.path.endswith("/login")]
    assert len(logins) == 2


def test_a_401_in_the_middle_of_a_run_is_answered_with_one_new_login(world: World) -> None:
    world.looker_server.fault(PULL_RUN, refuse=Response(401))

    assert world.run_pull("flights").body["outcome"] == "landed"
    logins = [each for each in world.looker_server.exchanges if each.path.endswith("/login")]
    assert len(logins) == 2


def test_a_run_makes_three_looker_calls_and_a_logout(world: World) -> None:
    world.run_pull("flights")

    calls = [f"{each.method} {each.path.removeprefix('/api/4.0')}" for each in world.looker_server.exchanges]
    assert calls == ["POST /login", "GET /looks/12", "POST /queries/run/csv", "DELETE /logout"]


def test_a_rotated_secret_is_read_again_without_a_redeploy(world: World) -> None:
    assert world.run_pull("flights").body["outcome"] == "landed"
    world.looker.client_secret = "rotated"
    world.secrets.put("looker-api", '{"client_id": "bridge", "client_secret": "rotated"}')
    world.pigment.revoke("pgmt_ThisIsAnImportKeyOfTheSandbox")
    world.pigment.key(["Import"], "pgmt_TheNextKey")
    world.secrets.put("pigment-import-key", "pgmt_TheNextKey")

    assert world.run_pull("flights").body["outcome"] == "landed"


@given(attempt=st.integers(1, ATTEMPTS), chance=st.floats(0, 1), asked_s=st.none() | st.floats(0, 10_000))
def test_waits_are_at_least_retry_after_and_bounded(attempt: int, chance: float, asked_s: float | None) -> None:
    wait_s = wait_before_next_s(attempt, asked_s, chance)

    assert wait_s >= (asked_s or 0)
    assert FIRST_WAIT_S / 2 <= wait_s <= max(LONGEST_WAIT_S, asked_s or 0)


@given(header=st.text())
def test_any_retry_after_header_is_parsed_as_seconds_or_ignored(header: str) -> None:
    from datetime import UTC, datetime

    seconds = retry_after_s(header, datetime(2026, 3, 1, tzinfo=UTC))
    assert seconds is None or seconds >= 0
