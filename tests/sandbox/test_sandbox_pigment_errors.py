"""Errors for keys, addresses, sizes and limits."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.pigment_caller import Caller, called

FLIGHTS = "Id,Origin\n1,JFK\n"


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


def test_no_key_is_401_with_an_empty_body(caller: Caller) -> None:
    answer = caller.deliver(caller.flights(), FLIGHTS)
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_wrong_a_revoked_and_an_export_key_are_401_and_never_403(caller: Caller) -> None:
    revoked = caller.pigment.key(value="was good once")
    caller.pigment.revoke(revoked)
    for key in ("wrong", revoked, caller.pigment.key({"Export"})):
        asked = {"configurationId": caller.flights()}
        assert caller.call("POST", "/v1/import/push/csv", key=key, params=asked).status_code == 401
    assert caller.call("GET", "/v1/applications", key=caller.pigment.key({"Import"})).status_code == 401


def test_a_key_in_the_address_is_accepted_only_from_looker(caller: Caller) -> None:
    asked = {"configurationId": caller.flights(), "api_key": caller.key}
    assert caller.call("POST", "/v1/import/push/csv", key=" ", params=asked).status_code == 401


@pytest.mark.parametrize(
    ("configuration", "status"), [("flights", 400), ("", 400), ("3fa85f64-5717-4562-b3fc-2c963f66afa6", 404)]
)
def test_a_configuration_must_be_a_uuid_and_known(caller: Caller, configuration: str, status: int) -> None:
    assert caller.push(configuration, FLIGHTS).status_code == status


def test_other_content_types_are_415(caller: Caller) -> None:
    asked = {"configurationId": caller.flights()}
    answer = caller.call("POST", "/v1/import/push/csv", params=asked, files={"file": FLIGHTS})
    assert answer.status_code == 415


@pytest.mark.parametrize(("data", "mimetype"), [(None, "text/csv"), ("JVBERi0=", "application/pdf;base64")])
def test_a_delivery_without_csv_is_400(caller: Caller, data: str | None, mimetype: str) -> None:
    assert caller.deliver(caller.flights(), data, mimetype=mimetype, api_key=caller.key).status_code == 400


def test_a_body_over_the_limit_is_400_and_leaves_no_file(caller: Caller) -> None:
    caller.pigment.max_body_bytes = 10
    answer = caller.push(caller.flights(), FLIGHTS)
    assert (answer.status_code, "Size limit" in answer.text) == (400, True)
    assert caller.pigment.imports == []
    assert list((caller.pigment.folder / "received").iterdir()) == []


def test_a_configuration_without_source_cannot_be_triggered(caller: Caller) -> None:
    assert caller.call("POST", "/v1/import/trigger", params={"configurationId": caller.flights()}).status_code == 400


def test_unknown_imports_and_paths_are_404_and_other_methods_405(caller: Caller) -> None:
    assert caller.status(str(uuid4())).status_code == 404
    assert caller.status("no-uuid").status_code == 400
    assert caller.call("GET", "/v2/anything").status_code == 404
    assert caller.call("GET", "/v1/import/push/csv").status_code == 405


def test_the_501st_request_in_five_minutes_is_429_until_the_window_is_over() -> None:
    now = 0.0
    with called(clock=lambda: now, requests_per_5_minutes=3) as caller:
        answers = [caller.call("GET", "/v1/views").status_code for _ in range(4)]
        now = 300.0
        assert [*answers, caller.call("GET", "/v1/views").status_code] == [200, 200, 200, 429, 200]


def test_the_301st_import_of_a_configuration_in_an_hour_is_429_in_pigments_words() -> None:
    now = 0.0
    with called(clock=lambda: now, imports_per_hour=1) as caller:
        full, other = caller.flights(), caller.flights()
        assert caller.push(full, FLIGHTS).status_code == 200
        refused = caller.push(full, FLIGHTS)
        assert refused.status_code == 429
        assert refused.text == (
            "Maximum number of reports per configuration per hour exceeded, maximum: 1. Please try again later."
        )
        assert caller.push(other, FLIGHTS).status_code == 200
        now = 3600.0
        assert caller.push(full, FLIGHTS).status_code == 200


def test_a_client_that_disconnects_leaves_no_import(caller: Caller) -> None:
    configuration = caller.flights()

    def broken() -> Iterator[bytes]:
        yield b"Id,Origin\n"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        caller.call(
            "POST",
            "/v1/import/push/csv",
            params={"configurationId": configuration},
            data=broken(),
            headers={"Content-Type": "text/csv"},
        )
    assert caller.pigment.imports == []
