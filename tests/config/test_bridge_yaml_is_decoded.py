"""bridge.yaml is decoded into jobs and settings."""

import datetime as dt
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.bridge_yaml import (
    Approval,
    Bridge,
    Changes,
    DimensionFilter,
    ExploreSource,
    Export,
    Guards,
    Incremental,
    InlineQuery,
    Known,
    KnownColumn,
    LandingGuards,
    ListSource,
    LookerSettings,
    LookSource,
    MetricSource,
    PigmentSettings,
    Pull,
    QuerySource,
    Relay,
    ResourceSource,
    Signal,
    Step,
    TableSource,
    Target,
    ViewSource,
    WebhookSettings,
    decode,
)
from local import bridge_file

EXAMPLE = Path(__file__).parents[2] / "infra" / "bridge.yaml"
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

WHOLE = """
looker:
  url: https://acme.cloud.looker.com
  credentials: looker-api
  web_url: https://bi.acme.com
pigment:
  url: https://pigment.app
  import_key: pigment-import-key
  export_key: pigment-export-key
webhook:
  token: looker-webhook-token
pulls:
  flights:
    schedule: "15 6 * * *"
    time_zone: Europe/Paris
    source:
      look: "12"
      filters: {flights.origin: JFK}
      query_timezone: UTC
    load: full
    target:
      configuration: 3fa85f64-5717-4562-b3fc-2c963f66afa6
      repeatable: true
      delimiter: ","
      columns: {Flights Origin: origin}
    guards:
      min_rows: 1
      max_shrink: 50%
      max_skipped: 0
      approve: {max_changed: 10%, max_deleted: 0}
    known:
      columns: {Flights Origin: {list: 7d1e2f3a-4b5c-4d6e-8f7a-9b0c1d2e3f4a, property: code}}
      missing: hold
      max_age: 2 hours
relays:
  daily-budget:
    target: {configuration: 7c9e6679-7425-40de-944b-e07fc1f90ae7, repeatable: true}
    keep: every
  flights-ready:
    start: flights
exports:
  revenue:
    schedule: "0 * * * *"
    source: {view: 9b2c1d3e-4f5a-4b6c-8d7e-8f9a0b1c2d3e}
    fallback: {table: 7d1e2f3a-4b5c-4d6e-8f7a-9b0c1d2e3f4a}
    date_format: Iso8601
    path: revenue/dt={date}/revenue.csv
    format: csv
    compress: gzip
    columns: {Account: text, Amount: number, Hired: date}
    bigquery: true
    guards: {min_rows: 1, max_shrink: 50%}
"""


def file_with(**pull: Any) -> dict[str, Any]:
    """Return a small file with one pull and these changes."""
    job = {"source": {"look": "12"}, "target": {"configuration": ID}} | pull
    return {
        "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
        "pigment": {"import_key": "pigment-import-key"},
        "pulls": {"flights": job},
    }


def export_file(**export: Any) -> dict[str, Any]:
    job = {"source": {"view": ID}, "path": "revenue.csv"} | export
    return {"pigment": {"export_key": "pigment-export-key"}, "exports": {"revenue": job}}


def pull_with(**pull: Any) -> Pull:
    return decode(file_with(**pull)).pulls["flights"]


def export_with(**export: Any) -> Export:
    return decode(export_file(**export)).exports["revenue"]


def test_a_whole_file_becomes_a_bridge() -> None:
    assert decode(bridge_file.parse(WHOLE)) == Bridge(
        looker=LookerSettings(
            url="https://acme.cloud.looker.com", credentials="looker-api", web_url="https://bi.acme.com"
        ),
        pigment=PigmentSettings(
            url="https://pigment.app",
            import_key="pigment-import-key",
            export_key="pigment-export-key",
        ),
        webhook=WebhookSettings(token="looker-webhook-token"),
        pulls={
            "flights": Pull(
                name="flights",
                schedule="15 6 * * *",
                time_zone="Europe/Paris",
                source=LookSource(look="12", filters={"flights.origin": "JFK"}, query_timezone="UTC"),
                load="full",
                target=Target(configuration=ID, repeatable=True, columns={"Flights Origin": "origin"}),
                guards=LandingGuards(
                    min_rows=1, max_shrink=0.5, max_skipped=0, approve=Approval(max_changed=0.1, max_deleted=0)
                ),
                known=Known(
                    columns={
                        "Flights Origin": KnownColumn(list="7d1e2f3a-4b5c-4d6e-8f7a-9b0c1d2e3f4a", property="code")
                    },
                    missing="hold",
                    max_age=Step(amount=2, unit="hour"),
                ),
            )
        },
        relays={
            "daily-budget": Relay(name="daily-budget", target=Target(configuration=OTHER_ID, repeatable=True)),
            "flights-ready": Signal(name="flights-ready", start="flights"),
        },
        exports={
            "revenue": Export(
                name="revenue",
                schedule="0 * * * *",
                source=ViewSource(view="9b2c1d3e-4f5a-4b6c-8d7e-8f9a0b1c2d3e"),
                fallback=TableSource(table="7d1e2f3a-4b5c-4d6e-8f7a-9b0c1d2e3f4a"),
                date_format="Iso8601",
                path="revenue/dt={date}/revenue.csv",
                format="csv",
                compress="gzip",
                columns={"Account": "text", "Amount": "number", "Hired": "date"},
                bigquery=True,
                guards=Guards(min_rows=1, max_shrink=0.5),
            )
        },
    )


def test_missing_settings_have_safe_defaults() -> None:
    pull, export = pull_with(), export_with()

    assert (pull.schedule, pull.time_zone, pull.load) == (None, "UTC", "full")
    assert pull.target == Target(configuration=ID, repeatable=False, delimiter=",", columns={}, via="push")
    assert pull.guards == LandingGuards(min_rows=1, max_shrink=None, max_skipped=0, accept_cap=False)
    assert (export.date_format, export.format, export.compress, export.bucket) == ("Iso8601", "csv", None, "")
    assert export.guards == Guards(min_rows=1, max_shrink=None)
    assert decode(file_with()).pigment.url == "https://pigment.app"


def test_a_job_is_found_by_its_name_and_knows_its_kind() -> None:
    bridge = decode(bridge_file.parse(WHOLE))

    kinds = {job.name: job.kind for job in bridge.jobs()}
    assert kinds == {"flights": "pull", "daily-budget": "relay", "flights-ready": "relay", "revenue": "export"}
    assert all(bridge.job(job.name) is job for job in bridge.jobs())
    assert bridge.job("budget") is None


@pytest.mark.parametrize(
    ("section", "base_url"),
    [
        ({"url": "https://acme.cloud.looker.com"}, "https://acme.cloud.looker.com"),
        ({"url": "https://acme.looker.com:19999/"}, "https://acme.looker.com:19999"),
        ({"url": "https://acme.looker.com:19999/api/4.0/"}, "https://acme.looker.com:19999"),
        ({"url": "https://acme.cloud.looker.com/api"}, "https://acme.cloud.looker.com"),
        ({"url": "https://bi.acme.com/looker/api/4.0"}, "https://bi.acme.com/looker"),
        ({"url": "http://127.0.0.1:8000/"}, "http://127.0.0.1:8000"),
        ({"url": "http://127.8.9.10:8000"}, "http://127.8.9.10:8000"),
        ({"url": "http://localhost:8000"}, "http://localhost:8000"),
        ({"url": "http://[::1]:8000"}, "http://[::1]:8000"),
        ({"host": "acme.cloud.looker.com"}, "https://acme.cloud.looker.com"),
        ({"host": "acme.looker.com", "port": 19999}, "https://acme.looker.com:19999"),
        ({"host": "acme", "region": "us-west.looker.com"}, "https://acme.api.us-west.looker.com"),
    ],
)
def test_looker_is_given_by_url_or_by_host_with_port_or_region(section: dict[str, Any], base_url: str) -> None:
    raw = file_with()
    raw["looker"] = section | {"credentials": "looker-api"}
    assert decode(raw).looker.base_url == base_url


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"look": 12}, LookSource(look="12")),
        ({"query": 123}, QuerySource(query="123")),
        ({"query": "AbC", "query_timezone": "Europe/Paris"}, QuerySource(query="AbC", query_timezone="Europe/Paris")),
        (
            {"explore": {"model": "m", "view": "v", "fields": ["v.a"], "filters": {"v.a": 5.0}, "sorts": ["v.a desc"]}},
            ExploreSource(
                explore=InlineQuery(model="m", view="v", fields=("v.a",), filters={"v.a": "5"}, sorts=("v.a desc",))
            ),
        ),
        ({"resource": "users"}, ResourceSource(resource="users")),
    ],
)
def test_a_pull_reads_one_of_four_sources(source: dict[str, Any], expected: object) -> None:
    assert pull_with(source=source).source == expected


def test_filters_convert_numbers_and_dates_to_text() -> None:
    filters = {"flights.year": 2013, "flights.delay": 1.5, "flights.carrier": "", "flights.day": dt.date(2013, 1, 1)}
    source = pull_with(source={"look": "12", "filters": filters}).source

    assert isinstance(source, LookSource)
    assert source.filters == {
        "flights.year": "2013",
        "flights.delay": "1.5",
        "flights.carrier": "",
        "flights.day": "2013-01-01",
    }


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (dt.date(2013, 1, 1), dt.datetime(2013, 1, 1)),  # noqa: DTZ001  # wall-clock time in the query's time zone
        ("2013-01-01", dt.datetime(2013, 1, 1)),  # noqa: DTZ001  # the same
        ("2013-01-01 06:30", dt.datetime(2013, 1, 1, 6, 30)),  # noqa: DTZ001  # the same
        ("2013-01-01T00:00:00Z", dt.datetime(2013, 1, 1)),  # noqa: DTZ001  # what Terraform makes of the first
    ],
)
def test_an_incremental_load_starts_at_a_date_in_any_notation(start: object, expected: dt.datetime) -> None:
    load = {"incremental": {"cursor": "flights.updated_time", "start": start, "window": "1 month"}}
    assert pull_with(load=load).load == Incremental(
        cursor="flights.updated_time", start=expected, window=Step(amount=1, unit="month")
    )


def test_an_incremental_load_accepts_a_numeric_cursor() -> None:
    load = {"incremental": {"cursor": "flights.id", "start": 0, "window": 500000, "overlap": "1000"}}
    assert pull_with(load=load, target={"configuration": ID, "repeatable": True}).load == Incremental(
        cursor="flights.id",
        start=0,
        window=Step(amount=500_000, unit="number"),
        overlap=Step(amount=1000, unit="number"),
    )


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("2 hours", 2, "hour"),
        ("1 day", 1, "day"),
        ("3weeks", 3, "week"),
        ("1 Quarter", 1, "quarter"),
        ("90 seconds", 90, "second"),
    ],
)
def test_durations_are_parsed(text: str, amount: int, unit: str) -> None:
    load = {"incremental": {"cursor": "a.b", "start": "2013-01-01", "window": text}}
    assert pull_with(load=load).load.window == Step(amount=amount, unit=unit)  # type: ignore[union-attr, arg-type]


def test_a_load_of_changes_names_the_columns_of_its_key() -> None:
    assert pull_with(load={"changes": {"key": ["Flights Id", "Flights Day"]}}).load == Changes(
        key=("Flights Id", "Flights Day")
    )


def test_columns_keep_their_order_in_a_list_of_pairs() -> None:
    columns = [{"Flights Origin": "origin"}, {"Flights Date": "date"}, {2013: "year"}]
    assert list(pull_with(target={"configuration": ID, "columns": columns}).target.columns.items()) == [
        ("Flights Origin", "origin"),
        ("Flights Date", "date"),
        ("2013", "year"),
    ]


def test_a_target_may_use_pigments_storage_connector() -> None:
    target = {"configuration": ID, "via": "storage", "bucket": "acme-connector", "path": "flights/flights-{date}.csv"}
    assert pull_with(target=target).target == Target(
        configuration=ID, via="storage", bucket="acme-connector", path="flights/flights-{date}.csv"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"view": ID, "delimiter": ";"}, ViewSource(view=ID, delimiter=";")),
        (
            {"list": ID, "properties": ["Name"], "friendly_headers": True, "encoding": "Utf8WithBom"},
            ListSource(list=ID, properties=("Name",), friendly_headers=True, encoding="Utf8WithBom"),
        ),
        (
            {"metric": ID, "scenarios": [OTHER_ID.upper()], "decimal_separator": "Comma", "delimiter": ";"},
            MetricSource(metric=ID, scenarios=(OTHER_ID,), decimal_separator="Comma", delimiter=";"),
        ),
        (
            {"table": ID, "filters": [{"dimension_id": ID, "modality_ids": [OTHER_ID]}]},
            TableSource(table=ID, filters=(DimensionFilter(dimension_id=ID, modality_ids=(OTHER_ID,)),)),
        ),
    ],
)
def test_an_export_reads_one_of_four_kinds_of_block(source: dict[str, Any], expected: object) -> None:
    assert export_with(source=source).source == expected


EXPORT_FILTER = {
    "or": [
        {"dimension": {"dimension_id": ID, "modality_ids": [OTHER_ID]}},
        {"and": [{"value": {"metric_id": ID, "condition": {"type": "GreaterThan", "value": 10}}}]},
        {"value": {"metric_id": ID, "condition": {"type": "IsNotBlank"}}},
    ]
}


def test_an_export_filter_is_encoded_for_pigment() -> None:
    source = export_with(source={"metric": ID, "export_filter": EXPORT_FILTER}).source

    assert isinstance(source, MetricSource)
    assert json.loads(msgspec.json.encode(source))["exportFilter"] == {
        "type": "Or",
        "or": [
            {"type": "Dimension", "dimension": {"dimensionId": ID, "modalityIds": [OTHER_ID]}},
            {
                "type": "And",
                "and": [
                    {"type": "Value", "value": {"metricId": ID, "condition": {"type": "GreaterThan", "value": 10}}}
                ],
            },
            {"type": "Value", "value": {"metricId": ID, "condition": {"type": "IsNotBlank"}}},
        ],
    }


@pytest.mark.skipif(
    "BRIDGE_REFERENCE" not in os.environ, reason="BRIDGE_REFERENCE names no folder of vendors' documents"
)
@pytest.mark.parametrize(
    ("request_name", "source", "aside"),
    [
        ("ListRequest", ListSource, {"list"}),
        ("MetricRequest", MetricSource, {"metric"}),
        ("TableRequest", TableSource, {"table"}),
    ],
)
def test_every_option_of_pigments_exports_is_supported(request_name: str, source: type, aside: set[str]) -> None:
    document = Path(os.environ["BRIDGE_REFERENCE"], "openapi", "pigment-external-api.json")
    schema = json.loads(document.read_text())["components"]["schemas"][request_name]

    names = {field.encode_name for field in msgspec.structs.fields(source)} - aside
    assert names | {"dateFormat"} == set(schema["properties"])


def test_the_deployed_example_is_valid_without_warnings() -> None:
    assert bridge_file.load(EXAMPLE).warnings == ()


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
def test_terraforms_copy_of_the_example_is_equal() -> None:
    made = subprocess.run(
        ["terraform", "console"],
        input=f'jsonencode(yamldecode(file("{EXAMPLE}")))',
        cwd=EXAMPLE.parent.parent / "tests",
        capture_output=True,
        check=True,
        text=True,
    )
    stored = json.loads(json.loads(made.stdout.strip().splitlines()[-1]))
    assert decode(stored) == bridge_file.load(EXAMPLE)
