"""Every failure before Pigment accepts a file: a clear error, no incomplete push, and a next run that lands."""

import dataclasses
import json
import socket
from collections.abc import Callable

import pytest
import requests

from common.platform.errors import class_of, every_error
from local.sandbox.wire import Response
from tests.support.world import (
    LOOKER_SECRET,
    PIGMENT_KEY,
    PULL_RUN,
    PUSH,
    ROWS,
    World,
)

LOGIN = r"POST /api/4\.0/login"
LOOK = r"GET /api/4\.0/looks/12"
CALCULATION = json.dumps([{"table_calculation": "double", "expression": "${flights.delay} * 2"}])


@dataclasses.dataclass(frozen=True)
class FailingRun:
    """A fault, the error that it causes, and its repair."""

    code: str
    arrange: Callable[[World], object]
    recover: Callable[[World], object]
    words: str = ""
    outcome: str = "failed"
    imports: int = 0


def heal(world: World) -> None:
    world.looker_server.heal()
    world.pigment_server.heal()


def rotate_looker(world: World) -> None:
    world.looker.client_secret = "another"


def refuse(on: str, status: int, body: bytes = b"", **headers: str) -> Callable[[World], object]:
    def arrange(world: World) -> None:
        answer = Response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        server = world.pigment_server if "v1" in on else world.looker_server
        server.fault(on, times=-1, refuse=answer)

    return arrange


def spoil(**how: object) -> Callable[[World], object]:
    return lambda world: world.looker_server.fault(PULL_RUN, **how)


def columns(**mapping: str) -> Callable[[World], object]:
    return lambda world: world.add_pull(
        "flights", target={"columns": {k.replace("_", " "): v for k, v in mapping.items()}}
    )


def plain(world: World) -> None:
    world.put_flights(ROWS)
    world.add_pull("flights")


def shrink(world: World) -> None:
    world.add_pull("flights", guards={"max_shrink": "50%"})
    assert world.run_pull("flights").status == 200
    world.put_flights(ROWS[:1])
    world.add_pull("flights", guards={"max_shrink": "50%"})


def allow_all_rows(world: World) -> None:
    plain(world)
    world.looker.permissions = {"download_without_limit"}


def forbid_all_rows(world: World) -> None:
    many(6000)(world)
    world.looker.permissions = {"access_data"}


def reset_a_long_push(world: World) -> None:
    many(200_000)(world)
    # Longer than the buffers of both sockets: the kernel must not take the whole file before the server resets it.
    world.pigment_server._http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    world.pigment_server.fault(PUSH, times=-1, reset_before=True)


def plain_again(world: World) -> None:
    world.pigment_server._http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    plain(world)
    heal(world)


def use_secret(name: str) -> Callable[[World], object]:
    def arrange(world: World) -> None:
        world.raw["looker"]["credentials"] = name
        world.save_jobs()

    return arrange


def many(count: int, **look: object) -> Callable[[World], object]:
    return lambda world: world.put_flights([["2013-01-01", "UA", "EWR", str(n)] for n in range(count)], **look)


CASES = {
    "wrong Looker credentials": FailingRun(
        "looker_login_refused",
        rotate_looker,
        lambda world: setattr(world.looker, "client_secret", LOOKER_SECRET),
        "404",
    ),
    "wrong Pigment key": FailingRun(
        "pigment_key_refused",
        lambda world: world.pigment.revoke(PIGMENT_KEY),
        lambda world: world.pigment.key(["Import"], PIGMENT_KEY),
        "401",
    ),
    "a key without the scope Import": FailingRun(
        "pigment_key_refused",
        lambda world: world.pigment.key(["Export"], PIGMENT_KEY),
        lambda world: world.pigment.key(["Import"], PIGMENT_KEY),
    ),
    "a secret that does not exist": FailingRun(
        "secret_unreadable",
        use_secret("no-such-secret"),
        use_secret("looker-api"),
        "no-such-secret",
    ),
    "a secret that is no JSON": FailingRun(
        "secret_unreadable",
        lambda world: world.secrets.put("looker-api", "not JSON"),
        lambda world: world.secrets.put(
            "looker-api", json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET})
        ),
    ),
    "a Look that does not exist": FailingRun(
        "look_not_found", lambda world: world.add_pull("flights", source={"look": "99"}), plain, "Look 99"
    ),
    "a query that does not exist": FailingRun(
        "look_not_found", lambda world: world.add_pull("flights", source={"query": "nosuchslug"}), plain, "nosuchslug"
    ),
    "a filter on an unknown field": FailingRun(
        "looker_refused",
        lambda world: world.add_pull("flights", source={"look": "12", "filters": {"flights.nothing": "1"}}),
        plain,
        "flights.nothing",
    ),
    "table calculations": FailingRun(
        "cannot_stream",
        lambda world: world.put_flights(ROWS, dynamic_fields=CALCULATION),
        plain,
        "table calculations (double)",
        "refused",
    ),
    "row totals": FailingRun(
        "cannot_stream",
        lambda world: world.put_flights(ROWS, pivots=["flights.carrier"], row_total="right"),
        plain,
        "row totals",
        "refused",
    ),
    "pivots": FailingRun(
        "cannot_stream",
        lambda world: world.put_flights(ROWS, pivots=["flights.carrier"]),
        plain,
        "flights.carrier",
        "refused",
    ),
    "exactly 500 rows": FailingRun("truncated_at_limit", many(500), plain, "500", "refused"),
    "exactly 5,000 rows": FailingRun("truncated_at_limit", many(5000), plain, "5,000", "refused"),
    "exactly the Look's own limit": FailingRun(
        "truncated_at_limit", many(7, limit="7"), plain, "the Look's own limit", "refused"
    ),
    "a user who may not download without limit": FailingRun(
        "truncated_at_limit",
        forbid_all_rows,
        allow_all_rows,
        "5,000",
        "refused",
    ),
    "no rows at all": FailingRun("too_few_rows", lambda world: world.put_flights([]), plain, "0 rows", "refused"),
    "fewer rows than promised": FailingRun(
        "too_few_rows", lambda world: world.add_pull("flights", guards={"min_rows": 6}), plain, "requires 6", "refused"
    ),
    "far fewer rows than last time": FailingRun("shrunk", shrink, plain, "80% fewer", "refused", imports=1),
    "a header that lost a column": FailingRun(
        "columns_changed",
        columns(Flights_Day="day", Flights_Plane="plane"),
        plain,
        "Missing: Flights Plane.",
        "refused",
    ),
    "a row of another width": FailingRun("rows_malformed", spoil(append=b"2013-01-04,UA\n"), heal, "2 fields"),
    "a quote in the middle of a field": FailingRun("rows_malformed", spoil(append=b'a,b,5" x 4",1\n'), heal, "quote"),
    "bytes that are not UTF-8": FailingRun("rows_malformed", spoil(append=b"a,\xff,c,1\n"), heal, "UTF-8"),
    "a NUL byte": FailingRun("rows_malformed", spoil(append=b"a,\0,c,1\n"), heal, "NUL"),
    "an error text at the end of a 200": FailingRun(
        "query_failed", spoil(append=b"\nError: SQL Error: the connection was severed"), heal, "error text"
    ),
    "an error text with as many commas as a row": FailingRun(
        "query_failed", spoil(append=b"SQL Error: one, two, three, four\n"), heal, "error text"
    ),
    "a looker_error in place of rows": FailingRun(
        "query_failed", spoil(replace=b'[{"looker_error": "SQL Error: no such table"}]'), heal
    ),
    "a web page in place of rows": FailingRun("query_failed", spoil(replace=b"<!DOCTYPE html><p>Sign in</p>\n"), heal),
    "nothing at all in place of rows": FailingRun("stream_cut", spoil(replace=b""), heal, "with nothing"),
    "a stream cut in the middle": FailingRun("stream_cut", spoil(cut_after_bytes=100), heal, "broke off"),
    "a stream reset in the middle": FailingRun("stream_cut", spoil(reset_after_bytes=100), heal),
    "bytes that are not of HTTP in the middle": FailingRun("stream_cut", spoil(garble_after_bytes=100), heal),
    "a last record without its end": FailingRun("stream_cut", spoil(append=b"2013-01-04,UA,EWR,1"), heal, "row 5"),
    "a redirect to somewhere else": FailingRun(
        "looker_refused", refuse(LOOK, 302, Location="https://elsewhere.example/"), heal, "302"
    ),
    "a login page in place of JSON": FailingRun("answer_not_understood", refuse(LOOK, 200, b"<html>"), heal),
    "Looker busy to the end": FailingRun("looker_busy", refuse(PULL_RUN, 503), heal, "503"),
    "Looker resetting every connection": FailingRun(
        "looker_busy", lambda world: world.looker_server.fault(LOGIN, times=-1, reset_before=True), heal, "reached"
    ),
    "Pigment knows no such configuration": FailingRun(
        "import_configuration_not_found",
        lambda world: world.add_pull("flights", target={"configuration": "11111111-2222-4333-8444-555555555555"}),
        plain,
    ),
    "a file over Pigment's size limit": FailingRun(
        "file_too_big",
        lambda world: setattr(world.pigment, "max_body_bytes", 10),
        lambda world: setattr(world.pigment, "max_body_bytes", 1 << 30),
    ),
    "Pigment refusing the file": FailingRun(
        "file_refused", refuse(PUSH, 400, b"No such header"), heal, "No such header"
    ),
    "Pigment's 429 to the end": FailingRun("pigment_busy", refuse(PUSH, 429), heal, "429"),
    "Pigment resetting before it has the whole file": FailingRun(
        "pigment_busy",
        reset_a_long_push,
        plain_again,
        "reached",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_run_reports_its_failure_and_the_next_lands(world: World, case: FailingRun) -> None:
    case.arrange(world)

    answer = world.run_pull("flights")

    assert answer.code == case.code, answer.body
    assert answer.status == class_of(case.code).status
    assert case.words in answer.error["message"]
    assert answer.error["next_step"]
    assert answer.receipt["outcome"] == case.outcome
    assert answer.receipt["error"] == answer.error
    assert world.receipts()[-1] == answer.receipt
    assert len(world.imports) == case.imports
    assert world.objects("leases/") == []

    case.recover(world)
    again = world.run_pull("flights")

    assert (again.status, again.receipt["outcome"]) == (200, "landed"), again.body
    assert again.receipt["rows"]["sent"] == len(ROWS)


def test_an_unknown_job_is_answered_with_the_known_jobs(world: World) -> None:
    answer = world.run_pull("nothing")

    assert (answer.status, answer.code) == (404, "no_such_job")
    assert "nothing" in answer.error["message"]
    assert "flights" in answer.error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"job": 5}', b'{"jobs": "flights"}', b"\xff", b"[" * 60_000, b" " * 70_000]
)
def test_a_malformed_request_is_answered_400_and_starts_nothing(world: World, body: bytes) -> None:
    response = requests.post(world.addresses["pull"], data=body, timeout=30)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "malformed_request"
    assert world.receipts() == []


def test_every_error_before_acceptance_is_tested_here() -> None:
    elsewhere = {
        "MalformedRequest", "NoSuchJob", "NotFound", "ConfigurationOccupied", "TooManySkipped",
        "TooManyDeleted", "BridgeFileInvalid", "SettingMissing", "StorageRefused", "LeaseLost", "RunInterrupted",
        "LandingUnknown", "LandingUnconfirmed", "BodyTooSlow", "DiskFull",
        "Internal", "ImportFailed", "TokenRefused", "BodyTooLong", "DeliveryNotUsable", "StorageBusy", "OutOfTime",
        "BlockNotFound", "ViewTooBig", "ViewNotSupported", "PigmentRefused",
        "CursorUnfit", "WindowIgnored", "KeysNotUnique", "AwaitingApproval", "NotApproved", "NotEqual",
        "UnknownItems", "TypeMismatch", "BigqueryRefused", "BigqueryBusy",
    }  # fmt: skip
    named = {kind.__name__ for kind in every_error()} - elsewhere
    tried = {case.code.title().replace("_", "") for case in CASES.values()}
    assert named <= tried
