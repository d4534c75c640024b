"""What answers at a wrong address, or stops the login on its way, is not reported as a wrong key of Looker."""

import json

import pytest

from local.sandbox.wire import Response
from tests.support.world import PULL_RUN, World

LOGIN = r"POST /api/4\.0/login"
LOOK = r"GET /api/4\.0/looks/12"
HTML = {"Content-Type": "text/html"}
PAGE = b"<!doctype html><title>Sign in</title>"


@pytest.mark.parametrize(
    "answer",
    [
        Response(404, PAGE, HTML),
        Response(404, b""),
        Response(404, b"not found"),
        Response(403, PAGE, HTML),
        Response(403, b"Forbidden"),
        Response(403, b'"RBAC: access denied"', {"Content-Type": "application/json"}),
        Response(401, PAGE, HTML),
        Response(400, PAGE, HTML),
        Response(405, b""),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!r}",
)
def test_a_refusal_without_json_is_a_wrong_address_or_an_allow_list(world: World, answer: Response) -> None:
    world.looker_server.fault(LOGIN, times=-1, refuse=answer)

    error = world.run_pull("flights").error

    assert error["code"] == "looker_refused"
    assert str(answer.status) in error["message"]
    for words in ("looker.url", "19999", "IP allow list"):
        assert words in error["next_step"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_in_json_is_a_wrong_key(world: World, status: int) -> None:
    body = json.dumps({"message": "Not found", "documentation_url": "https://docs.example/"}).encode()
    world.looker_server.fault(LOGIN, times=-1, refuse=Response(status, body, {"Content-Type": "application/json"}))

    assert world.run_pull("flights").code == "looker_login_refused"


def test_a_page_with_status_200_is_not_a_login(world: World) -> None:
    world.looker_server.fault(LOGIN, times=-1, refuse=Response(200, PAGE, HTML))

    error = world.run_pull("flights").error

    assert error["code"] == "answer_not_understood"
    assert "address" in error["next_step"]


@pytest.mark.parametrize("on", [LOGIN, LOOK, PULL_RUN])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_shows_the_host_of_its_target_and_no_more(world: World, on: str, status: int) -> None:
    location = "https://user:hunter2@sso.acme.example:8443/login?state=hunter2#hunter2"
    world.looker_server.fault(on, times=-1, refuse=Response(status, b"", {"Location": location}))

    error = world.run_pull("flights").error

    assert error["code"] == "looker_refused"
    assert f"{status} " in error["message"]
    assert "redirects to sso.acme.example:8443." in error["message"]
    assert "looker.url" in error["next_step"]
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("location", ["/login", "https://[broken", ""])
def test_a_redirect_without_a_host_of_its_own_is_reported(world: World, location: str) -> None:
    world.looker_server.fault(LOOK, times=-1, refuse=Response(302, b"", {"Location": location}))

    error = world.run_pull("flights").error

    assert (error["code"], "302" in error["message"]) == ("looker_refused", True)
