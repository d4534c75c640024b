"""Deliveries and hostile requests over HTTP, as Looker posts them: chunked, without a length."""

import base64
import contextlib
import http.client
import json
import math
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import flask
import pytest
from werkzeug.test import create_environ

import webhook_receive
from common.platform import secrets
from common.platform.errors import TokenRefused
from tests.support.payloads import MIB, attached, attached_zip, bomb, zipped
from tests.support.world import WEBHOOK_TOKEN, World, delivery

CSV = "Id,Amount\n1,10\n2,20\n"
ROWS = [{"Id": "1", "Amount": 10}, {"Id": "2", "Amount": 20}]
PLAN = {"scheduled_plan_id": 1234, "title": "Sales", "type": "Look", "url": "https://example.com/looks/1"}


def of_looker(data: Any, extension: str, mimetype: str, **more: Any) -> bytes:
    return attached(data, extension, mimetype, **{"type": "query", "scheduled_plan": PLAN, **more})


USABLE = {
    "CSV as documented": of_looker(CSV, "csv", "text/csv"),
    "the first public example: no type, no last line end": json.dumps(
        {
            "attachment": {"data": CSV.rstrip("\n"), "mimetype": "text/csv", "extension": "csv"},
            "scheduled_plan": {"title": "Sales", "url": "https://…"},
        }
    ).encode(),
    "ids as text": of_looker(
        CSV, "csv", "text/csv", scheduled_plan={**PLAN, "scheduled_plan_id": "9", "query_id": "AbC"}
    ),
    "no plan at all": of_looker(CSV, "csv", "text/csv", scheduled_plan=None),
    "an attachment of JSON": of_looker(json.dumps(ROWS), "json", "application/json"),
    "inline JSON": json.dumps({"type": "query", "scheduled_plan": PLAN, "attachment": None, "data": ROWS}).encode(),
    "CSV in base64 with line breaks": of_looker(base64.encodebytes(CSV.encode()).decode(), "csv", "text/csv;base64"),
    "a zip of one CSV": attached_zip(zipped(CSV.encode())),
}

REFUSED = {
    "a PDF": (of_looker("JVBERi0=", "pdf", "application/pdf;base64"), 422),
    "an image": (of_looker("iVBORw0K", "png", "image/png;base64"), 422),
    "a workbook": (of_looker("UEsDBA==", "xlsx", "application/vnd.openxmlformats;base64"), 422),
    "a web page": (of_looker("<html></html>", "html", "text/html"), 422),
    "a dashboard of two tiles": (attached_zip(zipped(CSV.encode(), "dashboard/1.csv", "dashboard/2.csv")), 422),
    "an error in place of rows": (of_looker('[{"looker_error": "SQL Error"}]', "json", "application/json"), 502),
    "no JSON": (b"Id,Amount\n1,10\n", 400),
    "nothing": (b"", 400),
    "JSON a thousand deep": (b"[" * 1000 + b"]" * 1000, 400),
    "invalid UTF-8": (of_looker("1,2", "csv", "text/csv").replace(b"1,2", b"\xff\xfe"), 400),
    "a million columns": (of_looker(",".join("x" * 1_000_000) + "\n", "csv", "text/csv"), 502),
    "a row of another width": (of_looker("Id,Amount\n1\n", "csv", "text/csv"), 502),
}


def in_chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


@pytest.mark.parametrize("body", USABLE.values(), ids=USABLE.keys())
def test_deliveries_with_rows_land(sales: World, body: bytes) -> None:
    assert sales.post_delivery("sales", in_chunks(body)).status == 200
    assert sales.run_deliver().body["delivered"] == 1

    configuration = sales.raw["relays"]["sales"]["target"]["configuration"]
    assert [(row["Id"], row["Amount"]) for row in sales.pigment.rows(configuration)] == [("1", "10"), ("2", "20")]


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_other_bodies_are_refused_and_not_stored(sales: World, body: bytes, status: int) -> None:
    answer = sales.post_delivery("sales", in_chunks(body) if body else body)

    assert answer.status == status, answer.body
    assert answer.body["looker"]["success"] is False
    assert answer.error["next_step"] in answer.body["looker"]["message"]
    assert sales.objects("inbox/") == sales.objects("seen/") == []


def test_ten_gigabytes_of_zeros_are_refused(sales: World) -> None:
    answer = sales.post_delivery("sales", in_chunks(attached_zip(bomb(10_000, announced=100 * MIB))))

    assert (answer.status, answer.code) == (502, "rows_malformed")
    assert sales.objects("inbox/") == []


def test_formulas_land_unchanged(sales: World) -> None:
    sales.post_delivery("sales", delivery(("=1+1", "-5"), ("@x", "+3")))
    sales.run_deliver()

    configuration = sales.raw["relays"]["sales"]["target"]["configuration"]
    assert [row["Id"] for row in sales.pigment.rows(configuration)] == ["=1+1", "@x"]


@pytest.mark.parametrize(
    "path",
    ["../sales", "sales/..", "sales%2F..%2Fdead", "%2e%2e/sales", "sales/", "SALES", "sales%00", "a/b/c", "-", "%ff"],
)
def test_a_path_other_than_a_relay_is_answered_404(sales: World, path: str) -> None:
    address = urllib.parse.urlsplit(sales.addresses["receive"])
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    connection.request(
        "POST", f"{address.path}/{path}", delivery(("1", "1")), {"X-Looker-Webhook-Token": WEBHOOK_TOKEN}
    )
    status = connection.getresponse().status
    connection.close()

    assert status == 404
    assert sales.objects("inbox/") == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_refused(sales: World, method: str) -> None:
    address = urllib.parse.urlsplit(sales.addresses["receive"])
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    connection.request(method, f"{address.path}/sales", headers={"X-Looker-Webhook-Token": WEBHOOK_TOKEN})
    status = connection.getresponse().status
    connection.close()

    assert status == 400
    assert sales.objects("inbox/") == []


def test_a_length_beside_chunks_smuggles_no_request(sales: World) -> None:
    """RFC 9112, 6.1: Transfer-Encoding overrides the length, or the request is refused; there is no second request."""
    import socket

    address = urllib.parse.urlsplit(sales.addresses["receive"])
    hidden = b"POST /receive/sales HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    body = b"0\r\n\r\n" + hidden
    head = (
        f"POST {address.path}/sales HTTP/1.1\r\nHost: x\r\nX-Looker-Webhook-Token: {WEBHOOK_TOKEN}\r\n"
        f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    assert sales.objects("inbox/") == []


def test_a_refusal_takes_the_same_steps_whether_the_relay_exists_or_not(
    sales: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps take the same time, so a caller cannot find relays by measuring it."""
    ours = str(Path(webhook_receive.__file__).parent)
    monkeypatch.setattr(secrets, "_REREAD_EVERY_S", math.inf)

    def steps(relay: str) -> list[str]:
        environ = create_environ(f"/{relay}", method="POST", headers={"X-Looker-Webhook-Token": "wrong"})
        request, taken = flask.Request(environ), list[str]()

        def note(frame: FrameType, event: str, _: object) -> None:
            if frame.f_code.co_filename.startswith(ours):
                taken.append(f"{event} {frame.f_code.co_name}")

        sys.setprofile(note)
        try:
            with contextlib.suppress(TokenRefused):
                webhook_receive.receive(request, sales.instance)
        finally:
            sys.setprofile(None)
        return taken

    steps("sales")
    assert steps("sales")[0] == "call receive"
    assert steps("sales") == steps("no-such-relay") == steps("api/import/push/looker")
