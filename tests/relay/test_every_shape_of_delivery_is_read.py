"""Every known form of Looker's webhook deliveries becomes the same CSV, with the facts of its schedule."""

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.looker import webhook
from common.looker.webhook import Delivery
from common.looker.webhook.text import PIECE_BYTES
from common.platform.errors import BridgeError, DeliveryNotUsable, MalformedRequest, QueryFailed, RowsMalformed

PROOF = settings(deadline=None, max_examples=100)

SALES = "Division,Revenue\nBrick + Mortar,3828101\nOnline,7184918\n"

# The field set of looker-open-source/actions, `src/api_types/data_webhook_payload.ts`.
DOCUMENTED: dict[str, Any] = {
    "type": "query",
    "scheduled_plan": {
        "scheduled_plan_id": 1234,
        "title": "Sales by region",
        "type": "Look",
        "url": "https://example.cloud.looker.com/looks/42",
        "query_id": 5678,
        "query": {"id": 5678, "model": "thelook", "view": "orders", "limit": "500"},
        "filters_differ_from_look": False,
        "download_url": None,
        "async_callback_url": None,
    },
    "attachment": {"mimetype": "text/csv", "extension": "csv", "data": SALES},
    "data": None,
    "form_params": {},
    "state": None,
}


def posted(payload: object) -> bytes:
    return json.dumps(payload).encode()


def with_attachment(data: object, extension: str = "csv", mimetype: str = "text/csv", **fields: object) -> bytes:
    attachment = {"mimetype": mimetype, "extension": extension, "data": data}
    return posted({**DOCUMENTED, "attachment": attachment, **fields})


def with_json(rows: str) -> bytes:
    return with_attachment(rows, "json", "application/json")


def zipped(files: dict[str, str], year: int = 2026) -> str:
    """Return a zip in base64 with a line end after every 60 characters, as Looker sends it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), content)
    digits = base64.b64encode(packed.getvalue()).decode()
    return "".join(digits[start : start + 60] + "\n" for start in range(0, len(digits), 60))


def with_zip(files: dict[str, str], **how: int) -> bytes:
    return with_attachment(zipped(files, **how), "zip", "application/zip;base64")


def csv_of(delivery: Delivery) -> str:
    return b"".join(delivery.csv_blocks()).decode()


def read_csv(content: str) -> list[list[str]]:
    return [record or [""] for record in csv.reader(io.StringIO(content, newline=""))]


def refusal_of(body: bytes) -> BridgeError:
    with pytest.raises(BridgeError) as refused:
        webhook.read(body)
    return refused.value


def test_the_documented_payload_gives_its_plan_and_its_rows() -> None:
    delivery = webhook.read(posted(DOCUMENTED))

    assert (delivery.plan_id, delivery.plan_title) == ("1234", "Sales by region")
    assert (delivery.kind, delivery.format, delivery.warnings) == ("look", "csv", [])
    assert csv_of(delivery) == SALES


def test_an_old_payload_without_type_and_final_line_end_is_read() -> None:
    """As first shown in public, at discourse.looker.com/t/2661."""
    old = {
        "attachment": {
            "data": "Division,Revenue,Profit\nBrick + Mortar,3828101,739192\nOnline,7184918,4947684",
            "mimetype": "text/csv",
            "extension": "csv",
        },
        "scheduled_plan": {"title": "Sales — Year to Date", "url": "https://example.looker.com"},
    }

    delivery = webhook.read(posted(old))

    assert (delivery.plan_id, delivery.plan_title, delivery.kind) == (None, "Sales — Year to Date", None)
    assert csv_of(delivery) == old["attachment"]["data"] + "\n"


def test_a_dashboard_with_one_tile_is_read_with_a_warning() -> None:
    dashboard = {
        "type": "dashboard",
        "scheduled_plan": {
            "scheduled_plan_id": 2324,
            "title": "Acquisition",
            "type": "LookMLDashboard",
            "url": None,
            "query_id": None,
            "query": None,
        },
        "attachment": {
            "mimetype": "application/zip;base64",
            "extension": "zip",
            "data": zipped({"dashboard-acquisition/": "", "dashboard-acquisition/sales.csv": SALES}),
        },
        "data": None,
        "form_params": {},
    }

    delivery = webhook.read(posted(dashboard))

    assert (delivery.kind, delivery.format) == ("dashboard", "csv_zip")
    assert "Deliver the Look instead" in delivery.warnings[0]
    assert csv_of(delivery) == SALES


@pytest.mark.parametrize(
    ("type_", "plan_type", "kind"),
    [
        ("query", "Look", "look"),
        ("dashboard", "Dashboard", "dashboard"),
        ("dashboard", "LookMLDashboard", "dashboard"),
        ("query", None, "query"),
        ("cell", None, "cell"),
        (None, "Look", "look"),
        (None, None, None),
        ("something new", "Something new", None),
        (7, ["odd"], None),
    ],
)
def test_the_kind_is_that_of_the_schedule(type_: object, plan_type: object, kind: str | None) -> None:
    assert webhook.read(posted({**DOCUMENTED, "type": type_, "scheduled_plan": {"type": plan_type}})).kind == kind


@pytest.mark.parametrize(
    ("plan_id", "known_as"), [(1234, "1234"), ("1234", "1234"), ("AbCdEfG", "AbCdEfG"), (None, None), ("", None)]
)
def test_ids_may_be_numbers_or_text(plan_id: object, known_as: str | None) -> None:
    delivery = webhook.read(posted({**DOCUMENTED, "scheduled_plan": {"scheduled_plan_id": plan_id, "query_id": "x"}}))

    assert delivery.plan_id == known_as


def test_a_plan_may_be_null_or_missing() -> None:
    null = webhook.read(posted({**DOCUMENTED, "scheduled_plan": None}))
    left_out = webhook.read(posted({"attachment": DOCUMENTED["attachment"]}))

    assert (null.plan_id, null.plan_title, null.kind) == (None, None, "query")
    assert csv_of(left_out) == SALES


def test_unknown_keys_are_ignored_and_the_last_duplicate_counts() -> None:
    attachment = posted(DOCUMENTED["attachment"])
    body = b'{"new": [{"deep": {"er": 1e999}}], "attachment": null, "attachment": %b, "new": 7}' % attachment

    assert csv_of(webhook.read(body)) == SALES


def test_byte_order_marks_of_body_and_content_are_removed() -> None:
    body = with_attachment("\ufeff" + SALES)

    assert csv_of(webhook.read(b"\xef\xbb\xbf" + body)) == SALES
    assert csv_of(webhook.read(with_json('\ufeff[{"a": 1}]'))) == "a\n1\n"


@pytest.mark.parametrize(("extension", "mimetype"), [("csv", None), (".CSV", ""), (None, "Text/CSV; charset=utf-8")])
def test_extension_or_mimetype_is_enough(extension: Any, mimetype: Any) -> None:
    assert webhook.read(with_attachment(SALES, extension, mimetype)).format == "csv"


def test_csv_and_json_may_be_base64() -> None:
    rows = base64.encodebytes('[{"Division":"Brick + Mortar é"}]'.encode()).decode()

    assert (
        csv_of(webhook.read(with_attachment(base64.encodebytes(SALES.encode()).decode(), "csv", "text/csv;base64")))
        == SALES
    )
    assert (
        csv_of(webhook.read(with_attachment(rows, "json", "application/json;base64"))) == "Division\nBrick + Mortar é\n"
    )


ROWS = [{"orders.day": "2026-11-19", "orders.count": 17}, {"orders.day": "2026-11-20", "orders.count": None}]
ROWS_AS_CSV = "orders.day,orders.count\n2026-11-19,17\n2026-11-20,\n"


@pytest.mark.parametrize("data", [ROWS, json.dumps(ROWS), json.dumps(ROWS, indent=2)], ids=["list", "text", "indented"])
def test_rows_may_be_inline_or_attached_as_list_or_text(data: object) -> None:
    inline = webhook.read(posted({**DOCUMENTED, "attachment": None, "data": data}))
    attached = webhook.read(with_attachment(data, "json", "application/json"))

    assert (inline.format, attached.format) == ("inline_json", "json")
    assert csv_of(inline) == csv_of(attached) == ROWS_AS_CSV


def test_action_parameters_beside_an_attachment_are_not_rows() -> None:
    assert csv_of(webhook.read(posted({**DOCUMENTED, "data": {"token": "…"}}))) == SALES


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("1.10", "1.10"),
        ("12345678901234567890", "12345678901234567890"),
        ("0.1234567890123456789012345678", "0.1234567890123456789012345678"),
        ("-0", "-0"),
        ("1E400", "1E400"),
        ("null", ""),
        ("true", "Yes"),
        ("false", "No"),
        ('"=1+1"', "=1+1"),
        ('"\\ud83d\\ude00 \\u00e9"', "😀 é"),
        ('"a, \\"b\\""', '"a, ""b"""'),
        ('"a\\r\\nb"', '"a\r\nb"'),
        ('"a\\rb"', '"a\rb"'),
    ],
)
def test_a_value_keeps_its_digits_and_characters(written: str, cell: str) -> None:
    assert csv_of(webhook.read(with_json(f'[{{"a":{written},"b":1}}]'))) == f"a,b\n{cell},1\n"


def test_keys_in_another_order_fill_the_first_rows_columns() -> None:
    assert csv_of(webhook.read(with_json('[{"a":1,"b":2},{"b":3,"a":4}]'))) == "a,b\n1,2\n4,3\n"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", '"', ",", "\n", "\r", "\r\n", "\\", "\\u00e9", "é", "😀", "=1+1", "'-5"]
)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5).filter(
    lambda name: name != "looker_error"
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    header = draw(st.lists(NAMES, min_size=width, max_size=width, unique=True))
    return [header, *draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6))]


@PROOF
@given(table=tables(), ascii_only=st.booleans(), indent=st.sampled_from([None, 1]), inline=st.booleans())
def test_any_json_rows_become_a_table(
    table: list[list[str]], ascii_only: bool, indent: int | None, inline: bool
) -> None:
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    if inline:
        body = json.dumps({"data": rows}, ensure_ascii=ascii_only, indent=indent).encode()
    else:
        body = with_json(json.dumps(rows, ensure_ascii=ascii_only, indent=indent))

    assert read_csv(csv_of(webhook.read(body))) == table


def written(table: Iterable[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    return out.getvalue()


@PROOF
@given(table=tables(), ascii_only=st.booleans(), final=st.booleans())
def test_any_csv_is_unchanged_but_for_its_last_line_end(table: list[list[str]], ascii_only: bool, final: bool) -> None:
    content = written(table)
    payload = {**DOCUMENTED, "attachment": {"extension": "csv", "data": content if final else content[:-1]}}

    delivery = webhook.read(json.dumps(payload, ensure_ascii=ascii_only).encode())

    assert csv_of(delivery) == content


@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_character_is_lost_between_blocks(ascii_only: bool) -> None:
    for place in range(14):
        content = "a\n" + "x" * (PIECE_BYTES - place) + "😀\\é\\\\u00e9\\ud83d😀\n"
        payload = {"attachment": {"extension": "csv", "data": content}}
        in_base64 = base64.encodebytes(content.encode()).decode()

        assert csv_of(webhook.read(json.dumps(payload, ensure_ascii=ascii_only).encode())) == content
        assert csv_of(webhook.read(with_attachment(in_base64, mimetype="text/csv;base64"))) == content


def test_rows_longer_than_a_block_are_complete() -> None:
    rows = [{"number": number, "name": "é" * 50} for number in range(20_000)]

    content = csv_of(webhook.read(posted({"data": rows})))

    assert read_csv(content)[1:] == [[str(row["number"]), row["name"]] for row in rows]


def test_the_rows_can_be_read_again() -> None:
    for body in (posted(DOCUMENTED), posted({"data": ROWS}), with_zip({"a.csv": SALES})):
        delivery = webhook.read(body)

        assert csv_of(delivery) == csv_of(delivery) != ""


def test_the_same_plan_and_rows_have_the_same_digest() -> None:
    same = {
        webhook.read(body).content_digest
        for body in (
            posted(DOCUMENTED),
            json.dumps(DOCUMENTED, ensure_ascii=False, indent=2).encode(),
            with_attachment(SALES[:-1]),
            with_attachment("\ufeff" + SALES, state="other", type="dashboard"),
            with_zip({"a.csv": SALES}),
            with_zip({"b.csv": SALES}, year=2020),
        )
    }

    assert len(same) == 1
    assert len(same.pop()) == 64


def test_another_plan_or_another_row_has_another_digest() -> None:
    plans: list[object] = [None, {"title": "Sales"}, {"scheduled_plan_id": 1}, {"scheduled_plan_id": 12}]
    bodies = [posted({**DOCUMENTED, "scheduled_plan": plan}) for plan in plans]
    bodies += [posted(DOCUMENTED), with_attachment(SALES + "Other,1\n"), with_attachment("1" + SALES)]

    assert len({webhook.read(body).content_digest for body in bodies}) == len(bodies)


def test_a_header_without_rows_is_a_delivery() -> None:
    assert csv_of(webhook.read(with_attachment("Division,Revenue"))) == "Division,Revenue\n"


@pytest.mark.parametrize(
    ("extension", "mimetype", "named"),
    [
        ("pdf", "application/pdf;base64", "a PDF"),
        ("png", "image/png;base64", "an image"),
        ("jpg", "image/jpeg;base64", "an image"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet;base64", "an Excel workbook"),
        ("html", "text/html", "a web page"),
        ("md", "text/markdown", "Markdown"),
        ("txt", "text/plain", "tab-separated text"),
        ("exe", "application/octet-stream;base64", "of a type"),
        (None, None, "of a type"),
    ],
)
def test_a_delivery_without_rows_is_refused_with_advice(extension: Any, mimetype: Any, named: str) -> None:
    refusal = refusal_of(with_attachment("JVBERi0xLjQK", extension, mimetype))

    assert isinstance(refusal, DeliveryNotUsable)
    assert f"The attachment is {named}" in refusal.cause
    assert "choose the format CSV" in refusal.next_step


def test_a_dashboard_with_several_tiles_is_refused_with_advice() -> None:
    refusal = refusal_of(with_zip({"d/a.csv": SALES, "d/b.csv": SALES}))

    assert isinstance(refusal, DeliveryNotUsable)
    assert "zip of 2 files" in refusal.cause
    assert "save the tile as a Look" in refusal.next_step


@pytest.mark.parametrize("data", [None, "", {}])
def test_an_empty_attachment_is_refused(data: object) -> None:
    assert isinstance(refusal_of(with_attachment(data)), DeliveryNotUsable)
    assert isinstance(refusal_of(posted({"attachment": None, "scheduled_plan": {}, "data": data})), DeliveryNotUsable)


def test_a_delivery_without_rows_or_header_is_refused_with_advice() -> None:
    assert "choose CSV, which has a header" in refusal_of(posted({"data": []})).next_step


@pytest.mark.parametrize(
    "body",
    [
        with_json('[{"looker_error": "SQL Error: no such table secret"}]'),
        with_json('{"looker_error": "SQL Error: no such table secret"}'),
        with_json('[{"a":1},{"looker_error": "SQL Error: no such table secret"}]'),
        posted({"data": [{"looker_error": "SQL Error: no such table secret"}]}),
        with_attachment('[{"looker_error": "SQL Error: no such table secret"}]'),
        with_attachment("SQL Error: no such table secret"),
        with_attachment(SALES + "\nError: SQL Error: no such table secret"),
        with_zip({"a.csv": "Error: no such table secret"}),
    ],
)
def test_an_error_text_in_place_of_rows_is_refused_without_its_content(body: bytes) -> None:
    refusal = refusal_of(body)

    assert isinstance(refusal, QueryFailed)
    assert "secret" not in refusal.cause


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('[{"a":1,"b":2},{"a":1}]', "Row 2 lacks b, compared with the first row."),
        ('[{"a":1},{"a":1,"b":2}]', "Row 2 adds b, compared with the first row."),
        ('[{"a":1,"b":2},{"a":1,"c":"secret"}]', "Row 2 lacks b and adds c, compared with the first row."),
        ('[{"a":1,"b":2},{"a":1,"b":2,"b":3}]', "Row 2 has a column twice, compared with the first row."),
        ('[{"a":1,"a":2}]', "The first row has a more than once."),
        ('[{"a":{"value":"secret"}}]', "Row 1 has more than one value in the column a, as in pivots"),
        ('[{"a":1},{"a":["secret"]}]', "Row 2 has more than one value in the column a, as in pivots"),
        ('{"fields":{},"data":[{"a":{"value":"secret"}}]}', "The delivery is one JSON object, as in json_detail"),
        ('["secret"]', "Row 1 is not a JSON object."),
        ('[{"a":1},null]', "Row 2 is not a JSON object."),
        ("[{}]", "The first row is empty"),
        ('"secret"', "The delivery is not a list of JSON rows."),
        ('[{"a":1},{"a":"secret', "Row 2 is cut"),
        ('[{"a":1}', "The JSON is cut after row 1."),
        ('[{"a":1},]', "Row 2 is cut"),
        ('[{"a":1}] Error: secret', "There is other text after the last row, row 1."),
        ('[{"a":NaN}]', "A number is NaN."),
    ],
)
def test_rows_that_are_not_a_table_are_refused_by_place_without_content(rows: str, said: str) -> None:
    refusal = refusal_of(with_json(rows))

    assert isinstance(refusal, DeliveryNotUsable)
    assert refusal.cause.startswith(said)
    assert "secret" not in refusal.cause


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"[]", b"{}", b"7", b'{"scheduled_plan": []}', b'{"attachment": "a,b"}', b'{"data": [', b"a=1&b=2"],
)
def test_another_body_is_a_malformed_request(body: bytes) -> None:
    refusal = refusal_of(body)

    assert isinstance(refusal, MalformedRequest)
    assert "webhook" in refusal.next_step


def test_a_small_incomplete_csv_is_refused_on_receipt() -> None:
    assert isinstance(refusal_of(with_attachment("a,b\n1\n")), RowsMalformed)
