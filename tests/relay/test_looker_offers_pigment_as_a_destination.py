"""The Action API: a relay is a destination in Looker; all its rows are downloaded once and land."""

import base64
import contextlib
import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.platform import web
from common.storage import inbox
from local.sandbox.wire import Response
from tests.support.action_caller import LookerSide, execution, numbered
from tests.support.world import CONFIGURATION, WEBHOOK_TOKEN, World, delivery

MIB = 1024 * 1024
DOWNLOAD = "GET /downloads/.*"

# `ActionDefinition`, `ActionFormField` and `FormSelectOption` of docs/action_api.md; the answer to an execution as
# src/hub/action_response.ts writes it. A key that the documentation does not require may be left out.
REQUIRED_OF_AN_ACTION = {
    "name": str,
    "label": str,
    "url": str,
    "supported_action_types": list,
    "supported_download_settings": list,
    "uses_oauth": bool,
}
ACTION = REQUIRED_OF_AN_ACTION | {
    "description": str,
    "icon_data_uri": str,
    "form_url": str,
    "params": list,
    "required_fields": list,
    "supported_formats": list,
    "supported_formattings": list,
    "supported_visualization_formattings": list,
}
VALUES_OF_AN_ACTION = {
    "supported_action_types": {"cell", "query", "dashboard"},
    "supported_formats": {
        "txt", "csv", "inline_json", "json", "json_detail", "json_detail_lite_stream", "xlsx", "html", "wysiwyg_pdf",
        "assembled_pdf", "wysiwyg_png", "csv_zip",
    },
    "supported_formattings": {"formatted", "unformatted"},
    "supported_visualization_formattings": {"apply", "noapply"},
    "supported_download_settings": {"push", "url"},
}  # fmt: skip
FIELD = {
    "name": str, "label": str, "description": str, "type": str, "default": str, "required": bool, "options": list,
}  # fmt: skip
OUTCOME = {"success": bool, "message": str, "refresh_query": bool, "validation_errors": dict}


def expect_shape(value: dict[str, Any], shape: dict[str, type], required: dict[str, type] | None = None) -> None:
    assert set(required or shape) <= set(value) <= set(shape)
    assert {name: type(each) for name, each in value.items()} == {name: shape[name] for name in value}


@pytest.fixture
def looker(world: World) -> LookerSide:
    world.add_relay("sales")
    world.add_relay("ready", start="flights")
    return LookerSide(world)


def landed(looker: LookerSide, relay: str = "sales") -> list[tuple[str, str]]:
    configuration = looker.world.raw["relays"][relay]["target"]["configuration"]
    return [(row["Id"], row["Amount"]) for row in looker.world.pigment.rows(configuration)]


def test_sixty_thousand_rows_are_sent_by_the_action_and_land(looker: LookerSide) -> None:
    action = next(each for each in looker.post("/").body["integrations"] if each["name"] == "sales")
    (field,) = looker.post(action["form_url"]).body["fields"]
    rows = numbered(60_000)

    chosen = {field["name"]: field["default"]}
    answer = looker.post(action["url"], execution(looker.offer(rows), chosen), X_Looker_Webhook_Id="event-1")

    assert (answer.status, answer.body["looker"]["success"]) == (200, True)
    (kept,) = looker.world.bucket.entries("inbox/sales/")
    assert kept.content_type == "text/csv"
    assert looker.world.run_deliver().body["delivered"] == 1
    assert landed(looker) == rows
    receipt = looker.world.receipts("sales")[0]
    assert (receipt["outcome"], receipt["rows"]["read"], receipt["warnings"]) == ("landed", 60_000, [])


def test_the_list_of_actions_matches_lookers_documentation(looker: LookerSide) -> None:
    answer = looker.post("/")

    assert answer.status == 200
    assert set(answer.body) == {"label", "integrations"}
    for action in answer.body["integrations"]:
        expect_shape(action, ACTION, REQUIRED_OF_AN_ACTION)
        assert all(set(action[name]) <= values for name, values in VALUES_OF_AN_ACTION.items())
        assert action["supported_download_settings"] == ["url"]
        assert action["supported_formattings"] == ["unformatted"]
    assert [action["name"] for action in answer.body["integrations"]] == ["sales", "ready"]


def test_the_icon_is_a_small_picture(looker: LookerSide) -> None:
    kind, _, content = looker.post("/").body["integrations"][0]["icon_data_uri"].partition(",")

    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content).startswith(b"<svg ")
    assert len(content) < 1_000


def test_addresses_are_the_public_ones(looker: LookerSide) -> None:
    plain = looker.post("/", Host="bridge.example.com").body["integrations"][0]
    behind_tls = looker.post("/", X_Forwarded_Proto="https", Host="bridge-abc.run.app").body["integrations"][0]
    proxied = looker.post("/", X_Forwarded_Proto="https,http", X_Forwarded_Host="hub.example.com, x").body

    assert plain["url"] == "http://bridge.example.com/receive/actions/sales/execute"
    assert behind_tls["form_url"] == "https://bridge-abc.run.app/receive/actions/sales/form"
    assert proxied["integrations"][1]["url"] == "https://hub.example.com/receive/actions/ready/execute"


def test_the_form_offers_the_relays_and_selects_that_of_the_path(looker: LookerSide) -> None:
    answer = looker.post("/actions/ready/form")

    assert (answer.status, set(answer.body)) == (200, {"fields"})
    (field,) = answer.body["fields"]
    expect_shape(field, FIELD)
    assert (field["name"], field["type"], field["default"]) == ("relay", "select", "ready")
    by_name = {option["name"]: option["label"] for option in field["options"]}
    assert looker.world.raw["relays"]["sales"]["target"]["configuration"] in by_name["sales"]
    assert "only a signal" in by_name["ready"]
    assert CONFIGURATION in by_name["ready"]


def test_the_form_of_a_removed_relay_offers_the_others(looker: LookerSide) -> None:
    (field,) = looker.post("/actions/gone/form", {"form_params": {}}).body["fields"]

    assert "default" not in field
    assert len(field["options"]) == 2


@pytest.mark.parametrize("choice", [None, ""])
def test_without_a_choice_the_path_selects_the_relay(looker: LookerSide, choice: str | None) -> None:
    outcome = looker.execute("sales", looker.offer([("1", "10")]), choice=choice)

    expect_shape(outcome, OUTCOME)
    assert outcome["success"]
    assert len(looker.world.objects("inbox/sales/")) == 1


def test_a_missing_form_is_no_choice(looker: LookerSide) -> None:
    body = execution(looker.offer([("1", "10")]), None)

    assert looker.post("/actions/sales/execute", body).body["looker"]["success"]


def test_the_choice_of_the_form_overrides_the_path(looker: LookerSide) -> None:
    looker.world.add_relay("costs")

    assert looker.execute("gone", looker.offer([("1", "10")]), choice="costs")["success"]
    looker.world.run_deliver()
    assert landed(looker, "costs") == [("1", "10")]


@pytest.mark.parametrize(("relay", "choice"), [("sales", "gone"), ("gone", None)])
def test_a_removed_relay_is_reported_at_the_field_of_the_form(
    looker: LookerSide, relay: str, choice: str | None
) -> None:
    outcome = looker.execute(relay, looker.offer([("1", "10")]), choice=choice)

    expect_shape(outcome, OUTCOME)
    assert not outcome["success"]
    assert list(outcome["validation_errors"]) == ["relay"]
    assert looker.downloads.asked == []


@pytest.mark.parametrize("token", [None, "", "wrong", WEBHOOK_TOKEN[:-1], f'{WEBHOOK_TOKEN}"', "ü"])
def test_without_the_token_every_path_answers_the_same(looker: LookerSide, token: str | None) -> None:
    shown = token.encode().decode("latin-1") if token else token
    refused = looker.world.post_delivery("sales", b"x", token="another").body

    for path in ("/", "/actions/sales/form", "/actions/gone/form", "/actions/sales/execute", "/actions/sales/other"):
        answer = looker.post(path, execution(looker.offer([]), {}), token=shown)
        assert (answer.status, answer.code, answer.body) == (401, "token_refused", refused)
    assert looker.downloads.asked == []
    assert looker.world.objects("inbox/") == looker.world.objects("seen/") == []


def test_a_gateway_may_forward_the_token_in_another_header(looker: LookerSide) -> None:
    handed_on = f'Token token="{WEBHOOK_TOKEN}"'

    assert looker.post("/", token=None, X_Forwarded_Authorization=handed_on).status == 200


def test_the_second_use_of_an_address_is_reported(looker: LookerSide) -> None:
    url = looker.offer([("1", "10")])

    assert looker.execute("sales", url, event="e1")["success"]
    again = looker.execute("sales", url, event="e2")

    assert not again["success"]
    assert "404" in again["message"]
    assert "Send it again in Looker" in again["message"]
    assert url.rpartition("/")[2] not in again["message"]
    assert len(looker.world.objects("inbox/sales/")) == 1


def test_the_same_event_is_fetched_and_landed_once(looker: LookerSide) -> None:
    assert looker.execute("sales", looker.offer([("1", "10")]), event="e1")["success"]
    looker.world.run_deliver()
    looker.world.clock.advance(1)
    unspent = looker.offer([("1", "10")])
    assert looker.execute("sales", unspent, event="e1")["success"]
    looker.world.run_deliver()

    assert len(looker.downloads.contents) == len(looker.downloads.asked) == 1
    assert landed(looker) == [("1", "10")]


def test_without_an_event_id_the_address_identifies_the_delivery(looker: LookerSide) -> None:
    url = looker.offer([("1", "10")])

    assert looker.execute("sales", url)["success"]
    looker.world.clock.advance(1)
    assert looker.execute("sales", url)["success"]
    assert looker.execute("sales", looker.offer([("1", "10")]))["success"]
    looker.world.run_deliver()

    assert landed(looker) == [("1", "10")] * 2


def test_a_truncated_stream_stores_nothing_and_can_be_sent_again(looker: LookerSide) -> None:
    looker.server.fault(DOWNLOAD, cut_after_bytes=50_000)

    outcome = looker.execute("sales", looker.offer(numbered(20_000)), event="e1")

    assert not outcome["success"]
    assert "broke off" in outcome["message"]
    assert looker.world.objects("inbox/") == []
    assert looker.execute("sales", looker.offer(numbered(20_000)), event="e1")["success"]
    looker.world.run_deliver()
    assert landed(looker) == numbered(20_000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it has no header"),
        (b"Id,Amount\n1,10\n2,", "in the middle of the record"),
        (b"Id,Amount\n1,10\n2\n", "has 1 fields"),
        (b"Id,Amount\n1,10\nERROR: the database went away\n", "error text"),
        (b'[{"looker_error": "no"}]', "error text"),
    ],
)
def test_incomplete_rows_are_not_stored(looker: LookerSide, content: bytes, says: str) -> None:
    outcome = looker.execute("sales", looker.offer(content))

    assert not outcome["success"]
    assert says in outcome["message"]
    assert looker.world.objects("inbox/") == []


def test_a_login_page_in_place_of_rows_is_refused(looker: LookerSide) -> None:
    elsewhere = looker.offer([("1", "10")])
    looker.server.fault(DOWNLOAD, refuse=Response(302, b"", {"Location": elsewhere}))
    looker.server.fault(DOWNLOAD, refuse=Response(200, b"<html>", {"Content-Type": "text/html"}))

    redirected = looker.execute("sales", looker.offer([]))
    page = looker.execute("sales", looker.offer([]))

    assert "302" in redirected["message"]
    assert "text/html" in page["message"]
    assert looker.downloads.asked == []


def test_a_busy_download_is_retried(looker: LookerSide) -> None:
    looker.server.fault(DOWNLOAD, times=2, refuse=Response(503))

    assert looker.execute("sales", looker.offer([("1", "10")]))["success"]
    assert len(looker.world.clock.slept) == 2


def test_a_download_that_stays_busy_is_reported(looker: LookerSide) -> None:
    looker.server.fault(DOWNLOAD, times=-1, refuse=Response(503))

    outcome = looker.execute("sales", looker.offer([("1", "10")]))

    assert not outcome["success"]
    assert "503" in outcome["message"]


@pytest.mark.parametrize(
    "url",
    [
        "https://metadata.google.internal/computeMetadata/v1/",
        "http://169.254.169.254/",
        "http://localhost:{port}/downloads/x",
        "http://127.0.0.1.example.com/downloads/x",
        "http://127.0.0.1/downloads/x",
        "http://127.0.0.1:{port}/api/4.0/queries/run",
        "http://127.0.0.1:{port}/downloads/../admin",
        "http://someone@127.0.0.1:{port}/downloads/x",
        "ftp://127.0.0.1:{port}/downloads/x",
        "file:///etc/passwd",
        "http://[",
        "no address",
    ],
)
def test_only_the_host_of_looker_is_contacted(looker: LookerSide, url: str) -> None:
    outcome = looker.execute("sales", url.format(port=looker.server.url.rpartition(":")[2]))

    assert not outcome["success"]
    assert outcome["message"].startswith("The download address is")
    assert looker.downloads.asked == []


def test_rows_may_come_from_the_host_for_people(looker: LookerSide) -> None:
    api = "http://127.0.0.1:9"
    looker.world.raw["looker"] |= {"url": api, "web_url": looker.server.url}
    looker.world.save_jobs()

    assert looker.execute("sales", looker.offer([("1", "10")]))["success"]

    looker.world.run_deliver()
    assert landed(looker) == [("1", "10")]


def test_a_bridge_yaml_without_looker_gets_advice(looker: LookerSide) -> None:
    world = looker.world
    del world.raw["looker"], world.raw["relays"]["ready"]
    world.raw["pulls"] = {}
    world.save_jobs()

    assert "set looker.url" in looker.execute("sales", looker.offer([("1", "10")]))["message"]


def test_no_credentials_are_sent_with_the_download(
    looker: LookerSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert looker.execute("sales", looker.offer([("1", "10")]))["success"]
    (asked,) = looker.downloads.asked
    assert "Authorization" not in asked.headers
    assert "X-Looker-Webhook-Token" not in asked.headers


def test_a_delivery_that_is_not_durable_is_not_acknowledged(looker: LookerSide) -> None:
    looker.world.storage_server.fault(r"(POST|PUT) /(resumable/)?upload/.*", times=-1, refuse=Response(403, b"{}"))

    outcome = looker.execute("sales", looker.offer([("1", "10")]))

    looker.world.storage_server.heal()
    assert not outcome["success"]
    assert "Cloud Storage" in outcome["message"]
    assert looker.world.objects("inbox/") == []


def test_attached_rows_are_stored_like_those_of_a_webhook(looker: LookerSide) -> None:
    attached = {"mimetype": "text/csv", "extension": "csv", "data": "Id,Amount\n1,10\n"}

    assert looker.execute("sales", None, attachment=attached)["success"]
    assert looker.post("/actions/sales/execute", delivery(("2", "20"))).body["looker"]["success"]
    looker.world.run_deliver()

    assert sorted(landed(looker)) == [("1", "10"), ("2", "20")]


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"\xff", b"[" * 100_000, b'{"form_params": 1}'])
def test_requests_that_looker_does_not_send_are_refused(looker: LookerSide, body: bytes) -> None:
    outcome = looker.post("/actions/sales/execute", body).body["looker"]

    expect_shape(outcome, OUTCOME)
    assert not outcome["success"]


def test_an_execution_without_rows_is_refused(looker: LookerSide) -> None:
    assert not looker.execute("sales", None)["success"]
    assert looker.world.objects("inbox/") == []


def test_a_signal_downloads_nothing_and_starts_its_pull(looker: LookerSide) -> None:
    assert looker.execute("ready", looker.offer([("1", "10")]))["success"]
    assert looker.execute("ready", None, type="dashboard")["success"]

    assert looker.downloads.asked == []
    assert looker.world.run_deliver().status == 200
    assert len(looker.world.imports) == 1
    assert looker.world.objects("inbox/") == []


@pytest.mark.parametrize(("rows", "accept", "ends"), [
    (5_000, False, "dead"), (5_000, True, "delivered"), (5_001, False, "delivered"),
])  # fmt: skip
def test_a_row_count_equal_to_lookers_cap_is_refused(looker: LookerSide, rows: int, accept: bool, ends: str) -> None:
    looker.world.raw["relays"]["sales"]["guards"] = {"accept_cap": accept}
    looker.world.save_jobs()

    assert looker.execute("sales", looker.offer(numbered(rows)))["success"]

    assert looker.world.run_deliver().body[ends] == 1
    (entry,) = looker.world.bucket.entries(f"{ends}/sales/")
    assert entry.metadata.get("code") == ("truncated_at_limit" if ends == "dead" else None)


def test_the_answer_sends_blanks_while_rows_arrive() -> None:
    arrived = threading.Event()

    def act() -> dict[str, bool]:
        assert arrived.wait(30)
        return {"success": True}

    lines = iter(web.respond_in_time(act, line_end_every_s=0.001).iter_encoded())

    assert next(lines) == b"\n"
    arrived.set()
    assert json.loads(b"".join(lines)) == {"success": True}


def test_an_end_without_a_length_is_a_warning_of_the_receipt(looker: LookerSide) -> None:
    class EmptyDelivery:
        def __init__(self) -> None:
            self.warnings = ["Looker announced no end."]

        def blocks(self) -> Iterator[bytes]:
            yield b"Id,Amount\n1,10\n"

    world = looker.world
    inbox.put_rows(world.bucket, "sales", "x", lambda: contextlib.nullcontext(EmptyDelivery()), world.clock.now())
    world.run_deliver()

    assert world.receipts("sales")[0]["warnings"] == ["Looker announced no end."]


@pytest.mark.long
def test_a_large_download_takes_bounded_memory(looker: LookerSide) -> None:
    block = b"".join(b"id-%09d,%09d\n" % (number, number) for number in range(40_000))
    url = looker.offer([b"Id,Amount\n", *[block] * 96])
    tracemalloc.start()
    try:
        assert looker.execute("sales", url)["success"]
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    (kept,) = looker.world.bucket.entries("inbox/sales/")
    assert kept.size_bytes > 80 * MIB
    assert peak_bytes < 48 * MIB


def test_a_downloaded_delivery_can_be_replayed_with_its_kind(looker: LookerSide) -> None:
    looker.execute("sales", looker.offer([("1", "10")]))
    looker.world.run_deliver()
    (entry,) = looker.world.bucket.entries("delivered/sales/")
    looker.world.clock.sleep(1)
    inbox.replay(looker.world.bucket, "delivered", "sales", entry.name.rpartition("/")[2], looker.world.clock.now())

    assert looker.world.run_deliver().body["delivered"] == 1
    assert landed(looker) == [("1", "10")] * 2


def test_as_many_rows_as_the_limit_of_the_query_are_refused(looker: LookerSide) -> None:
    body = execution(looker.offer(numbered(3)), {})
    body["scheduled_plan"]["query"]["limit"] = "3"

    assert looker.post("/actions/sales/execute", body).body["looker"]["success"]
    assert looker.world.run_deliver().body["dead"] == 1

    (refused,) = looker.world.bucket.entries("dead/sales/")
    assert refused.metadata["code"] == "truncated_at_limit"
