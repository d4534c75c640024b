"""All errors of a bridge.yaml are reported together, with path, cause and advice; never a secret."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.bridge_yaml import decode
from common.platform.errors import BridgeFileInvalid
from local import bridge_file

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
BASE = f"""
looker: {{url: https://acme.cloud.looker.com, credentials: looker-api}}
pigment: {{import_key: pigment-import-key, export_key: pigment-export-key}}
webhook: {{token: looker-webhook-token}}
pulls:
  flights:
    source: {{look: 12}}
    target: {{configuration: {ID}}}
relays:
  budget:
    target: {{configuration: 7c9e6679-7425-40de-944b-e07fc1f90ae7}}
exports:
  revenue:
    source: {{view: {ID}}}
    path: revenue.csv
"""


def faults_of(raw: object) -> list[str]:
    with pytest.raises(BridgeFileInvalid) as caught:
        decode(raw)
    return caught.value.cause.splitlines()


def file_where(path: str, value: str) -> Any:
    """Return the valid file with one value replaced by this YAML; `-` removes it."""
    raw: Any = bridge_file.parse(BASE)
    *sections, last = path.split("/")
    place = raw
    for section in sections:
        place = place.setdefault(section, {})
    if value == "-":
        del place[last]
    else:
        place[last] = bridge_file.parse(value)
    return raw


def test_the_file_that_these_tests_modify_is_valid() -> None:
    assert decode(bridge_file.parse(BASE)).warnings == ()


WINDOWS = "load: {incremental: {cursor: a.b, start: 1, window: 5}}"
DELAYED = "load: {incremental: {cursor: a.b, start: 1, window: 5, delay: 1}}"
KNOWN = f"columns: {{A: {{list: {ID}, property: code}}}}"
FAULTS = [
    # Looker
    ("looker/url", "http://acme.cloud.looker.com", "looker.url: does not use https; write https://"),
    ("looker/url", "http://127.evil.com", "looker.url: does not use https"),
    ("looker/url", "http://localhost.evil.com", "looker.url: does not use https"),
    ("looker/url", "ftp://acme.com", "looker.url: is not a URL; write a URL such as https://"),
    ("looker/url", "acme.cloud.looker.com", "looker.url: is not a URL"),
    ("looker/url", '"https://acme .com"', "looker.url: contains a space"),
    ("looker/url", '"http://[::1"', "looker.url: is not a URL"),
    ("looker/url", "https://user@acme.com", "looker.url: has a user, a query or a fragment"),
    ("looker/url", "https://acme.com?x=1", "looker.url: has a user, a query or a fragment"),
    (
        "looker/url",
        "https://acme.cloud.looker.com/folders/home",
        "looker.url: has the path /folders/home; write https://acme.cloud.looker.com",
    ),
    ("looker/url", "https://acme.com:19999/login", "looker.url: has the path /login; write https://acme.com:19999"),
    ("looker/url", "https://acme.com/api/3.1/", "looker.url: has the path /api/3.1; write https://acme.com"),
    ("looker/url", "https://acme.com/api/4.0/looks", "looker.url: has the path /api/4.0/looks; write https://acme.com"),
    ("looker/url", "-", "looker.url: is missing, but required by pulls.flights"),
    ("looker/web_url", "http://acme.com", "looker.web_url: does not use https; write https://"),
    ("looker/web_url", "acme.com", "looker.web_url: is not a URL"),
    ("looker/host", "acme.looker.com", "looker: has both url and host; write one of them"),
    ("looker/port", "19999", "looker.port: is only allowed with host"),
    (
        "looker",
        "{host: acme, port: 19999, region: eu.looker.com, credentials: a}",
        "looker: has both port and region",
    ),
    ("looker", "{host: acme, port: 70000, credentials: a}", "looker.port: is not between 1 and 65535"),
    (
        "looker",
        "{host: 'https://acme', credentials: a}",
        "looker.host: is a URL; write the host name only, or the URL under url",
    ),
    ("looker", "{host: 'acme:19999', credentials: a}", "looker.host: is not a host name; write the host name only"),
    ("looker", "null", "looker: is empty; write a section with credentials, url, host, port, region"),
    ("looker", "-", "looker.credentials: is missing, but required by pulls.flights"),
    # secrets
    ("pigment/import_key", "-", "pigment.import_key: is missing, but required by pulls.flights, relays.budget;"),
    ("pigment/export_key", "-", "pigment.export_key: is missing, but required by exports.revenue"),
    ("webhook", "-", "webhook.token: is missing, but required by relays.budget"),
    ("webhook/token", "''", "webhook.token: is not the name of a secret; write the NAME of a secret"),
    (
        "webhook/token",
        "two words",
        "webhook.token: is not the name of a secret; write the NAME of a secret",
    ),
    ("webhook/token", "projects/a/secrets/b/versions/3", "webhook.token: names one version of a secret"),
    # pulls
    ("pulls", "null", "pulls: is empty; write a section with a name for each"),
    ("pulls", "[flights]", "pulls: is a list; write a section with a name for each"),
    ("pulls/flights", "null", "pulls.flights: is empty; write a section with source, target, title"),
    (
        "pulls/two words",
        "{source: {look: 1}, target: {configuration: x}}",
        "pulls.'two words': is not a valid job name",
    ),
    ("pulls/-a", "{source: {look: 1}, target: {configuration: x}}", "pulls.-a: is not a valid job name; write at most"),
    ("pulls/flights/sourse", "{look: 12}", "pulls.flights.sourse: is not a known key; write source"),
    ("pulls/flights/name", "x", "pulls.flights.name: is not a known key"),
    ("pulls/flights/source", "-", "pulls.flights.source: is missing; write a section with one of look, query, explore"),
    ("pulls/flights/source", "12", "pulls.flights.source: is a number; write a section with one of look, query"),
    ("pulls/flights/source", "{}", "pulls.flights.source: has none of look, query, explore, resource"),
    ("pulls/flights/source", "{lok: 12}", "pulls.flights.source.lok: is not a known key; write look"),
    ("pulls/flights/source", "{look: 1, query: a}", "pulls.flights.source: has look and query of look, query"),
    ("pulls/flights/source", "{look: true}", "pulls.flights.source.look: is true or false; write the number"),
    ("pulls/flights/source", "{look: ' '}", "pulls.flights.source.look: is empty; write the number"),
    (
        "pulls/flights",
        f"{{source: {{look: 1}}, load: {{changes: {{key: [Id, Id]}}}}, target: {{configuration: {ID}}}}}",
        "pulls.flights.load.changes.key: has 'Id' twice",
    ),
    (
        "pulls/flights",
        f"{{source: {{look: 1}}, load: {{changes: {{key: [A]}}}}, target: {{configuration: {ID}, columns: {{b: b}}}}}}",
        "pulls.flights.load.changes.key: has 'A', which is not in target.columns",
    ),
    (
        "secrets",
        "{another-key: {expires: 2027-01-31}}",
        "secrets.another-key: is not the name of a secret in looker, pigment, webhook or notify",
    ),
    ("secrets", "{pigment-import-key: {expires: soon}}", "secrets.pigment-import-key.expires: is not a date"),
    ("pulls/flights/source", "{resource: boards}", "pulls.flights.source.resource: is not an allowed value"),
    ("pulls/flights/source", "{look: 1, limit: 10}", "pulls.flights.source.limit: is not an allowed value"),
    ("pulls/flights/source", "{query: a, limit: query}", "pulls.flights.source.limit: is not an allowed value"),
    ("pulls/flights/guards", "{accept_error_text: 1}", "accept_error_text: is a number; write true or false"),
    (
        "pulls/flights",
        f"{{source: {{look: 1, limit: look}}, target: {{configuration: {ID}}}, {WINDOWS}}}",
        "pulls.flights.source.limit: would cut every window of an incremental load; write load: full, or limit: all",
    ),
    (
        "pulls/flights",
        f"{{source: {{look: 1}}, target: {{configuration: {ID}}}, {WINDOWS}, guards: {{approve: {{max_deleted: 0}}}}}}",
        "pulls.flights.guards.approve: compares whole files, but an incremental load sends windows",
    ),
    (
        "pulls/flights",
        (
            f"{{source: {{look: 1}}, target: {{configuration: {ID}}}, {WINDOWS}, "
            f"verify: {{source: {{list: {ID}}}, key: [A], engine: bigquery}}}}"
        ),
        "pulls.flights.verify.engine: compares one file, but an incremental load has one for each window",
    ),
    ("pulls/flights/source/filters", "{a.b: false}", "pulls.flights.source.filters.a.b: is true or false"),
    ("pulls/flights/source/filters", "{true: a}", "pulls.flights.source.filters: has a key that is true or false"),
    ("pulls/flights/source/query_timezone", "Paris", "query_timezone: is not the name of a time zone; write an IANA"),
    (
        "pulls/flights/source",
        "{explore: {model: m, view: v, fields: []}}",
        "pulls.flights.source.explore.fields: is empty; write at least one",
    ),
    ("pulls/flights/schedule", "15 6 * *", "pulls.flights.schedule: has 4 fields, not 5"),
    ("pulls/flights/schedule", "75 6 * * *", "pulls.flights.schedule: the minute 75 is not between 0 and 59"),
    ("pulls/flights/time_zone", "Europe/Pariss", "pulls.flights.time_zone: is not the name of a time zone"),
    ("pulls/flights/time_zone", "Europe", "pulls.flights.time_zone: is not the name of a time zone"),
    ("pulls/flights/time_zone", "../../etc/passwd", "pulls.flights.time_zone: is not the name of a time zone"),
    ("pulls/flights/load", "daily", "pulls.flights.load: is not a valid load; write full, or one of incremental"),
    ("pulls/flights/load", "{incremental: {}, changes: {}}", "pulls.flights.load: is not a valid load"),
    ("pulls/flights/load", "{changes: {key: []}}", "pulls.flights.load.changes.key: is empty"),
    ("pulls/flights/load", "{changes: {key: Id}}", "pulls.flights.load.changes.key: is text; write a list"),
    ("pulls/flights/load", "{incremental: null}", "pulls.flights.load.incremental: is empty"),
    (
        "pulls/flights/load",
        "{incremental: {cursor: a.b, start: 0}}",
        "incremental.window: is missing; write a duration",
    ),
    *(
        ("pulls/flights/load", f"{{incremental: {{cursor: a.b, {rest}}}}}", f"pulls.flights.load.incremental.{words}")
        for rest, words in [
            ("start: soon, window: 1 day", "start: is not a date, a time or a number"),
            ("start: '2013-01-01T00:00:00+02:00', window: 1 day", "start: has a UTC offset"),
            ("start: 2013-01-01, window: 1 fortnight", "window: has an unknown unit"),
            ("start: 2013-01-01, window: soon", "window: is not a duration or a number"),
            ("start: 2013-01-01, window: 0 days", "window: must be greater than zero"),
            ("start: 2013-01-01, window: 101 years", "window: is longer than 100 years"),
            ("start: 2013-01-01, window: 500000", "window: does not match start; write a number if"),
            ("start: 0, window: 1 month", "window: does not match start"),
            ("start: 2013-01-01, window: 1 day, overlap: 2 hours", "overlap: sends rows twice, but the target"),
        ]
    ),
    ("pulls/flights/target", "-", "pulls.flights.target: is missing; write a section with configuration"),
    ("pulls/flights/target/configuration", "abc", "pulls.flights.target.configuration: is not a UUID; write a UUID"),
    ("pulls/flights/target/repeatable", "'true'", "pulls.flights.target.repeatable: is text; write true or false"),
    (
        "pulls/flights/target/delimiter",
        "'|'",
        'pulls.flights.target.delimiter: is not an allowed value; write "," or ";"',
    ),
    ("pulls/flights/target/columns", "{A: x, B: x}", "pulls.flights.target.columns: gives two columns the header 'x'"),
    ("pulls/flights/target/columns", "[{A: a, B: b}]", "pulls.flights.target.columns[0]: has more than one pair"),
    ("pulls/flights/target/columns", "[A]", "pulls.flights.target.columns[0]: is text; write one pair"),
    ("pulls/flights/target/columns", "{A B: null}", "pulls.flights.target.columns.'A B': is empty; write text"),
    (
        "pulls/flights/target/via",
        "storage",
        "pulls.flights.target.bucket: is missing, but via: storage needs it; write the bucket",
    ),
    ("pulls/flights/target/bucket", "acme-files", "pulls.flights.target.bucket: is only allowed with via: storage"),
    ("pulls/flights/target/bucket", "gs://acme", "pulls.flights.target.bucket: is not the name of a bucket"),
    ("pulls/flights/guards", "{min_rows: -1}", "pulls.flights.guards.min_rows: is negative"),
    ("pulls/flights/guards", "{min_rows: 1.5}", "pulls.flights.guards.min_rows: is not a whole number"),
    ("pulls/flights/guards", "{min_rows: '1'}", "pulls.flights.guards.min_rows: is text; write a whole number"),
    ("pulls/flights/guards", "{max_shrink: 50}", "pulls.flights.guards.max_shrink: is not a percentage; write a"),
    ("pulls/flights/guards", "{max_shrink: 101%}", "pulls.flights.guards.max_shrink: is not a percentage"),
    ("pulls/flights/guards", "{approve: {}}", "pulls.flights.guards.approve: has no limit; write max_changed, max_del"),
    ("pulls/flights/guards", "{approve: {max_changed: 10}}", "guards.approve.max_changed: is not a percentage"),
    *(
        (
            "pulls/flights/known",
            f"{{columns: {{A: {{list: {ID}, property: code}}}}, {rest}}}",
            f"pulls.flights.known.{words}",
        )
        for rest, words in [
            ("missing: skip", "missing: is not an allowed value; write refuse or hold"),
            ("max_age: 5", "max_age: is not a duration of seconds to weeks; write a duration such as 1 hour"),
            ("max_age: 1 year", "max_age: is not a duration of seconds to weeks"),
        ]
    ),
    ("pulls/flights/known", "{}", "pulls.flights.known.columns: is missing; write a section with a name for each"),
    ("pulls/flights/known", "{columns: {}}", "pulls.flights.known.columns: is empty; write at least one item"),
    ("pulls/flights/known", "{columns: {A: {list: x}}}", "pulls.flights.known.columns.A.property: is missing"),
    (
        "pulls/flights",
        f"{{source: {{look: 1}}, target: {{configuration: {ID}, columns: {{b: b}}}}, known: {{{KNOWN}}}}}",
        "pulls.flights.known.columns.A: is not in target.columns; write Looker's header",
    ),
    ("pulls/flights/guards", "{accept_cap: 1}", "pulls.flights.guards.accept_cap: is a number; write true or false"),
    # relays
    ("relays/budget/keep", "newest", "relays.budget.keep: is not an allowed value; write every or latest"),
    ("relays/budget/accept_filters", "1", "relays.budget.accept_filters: is a number; write true or false"),
    ("relays/go", "{start: flights, accept_filters: true}", "relays.go.accept_filters: is not a known key"),
    ("relays/go", "{start: trains}", "relays.go.start: is not the name of a pull; write the name of a pull: flights"),
    ("relays/go", "{start: flights, keep: latest}", "relays.go.keep: is not a known key; write only start"),
    ("relays/go", "{keep: latest}", "relays.go: has none of target, start"),
    ("relays/eventlog", "{start: flights}", "relays.eventlog: is a path that Cloud Run reserves"),
    ("relays/blitz", "{start: flights}", "relays.blitz: is a path that Cloud Run reserves, so that no delivery may"),
    ("relays/_ah", "{start: flights}", "relays._ah: is not a valid job name"),
    ("relays/flights", "{start: flights}", "relays.flights: has the same name as pulls.flights; write a unique name"),
    # exports
    ("exports/revenue/path", "-", "exports.revenue.path: is missing; write an object name such as"),
    ("exports/revenue/path", "/revenue.csv", "exports.revenue.path: is not the name of an object"),
    ("exports/revenue/path", "a/../b.csv", "exports.revenue.path: is not the name of an object"),
    ("exports/revenue/path", "a//b.csv", "exports.revenue.path: is not the name of an object"),
    (
        "exports/revenue/path",
        "/".join(["x" * 90] * 10),
        "exports.revenue.path: can be longer than 900 bytes; write a",
    ),
    ("exports/revenue/path", "é" * 451, "exports.revenue.path: can be longer than 900 bytes"),
    ("exports/revenue/path", "'" + "{run}" * 38 + "'", "exports.revenue.path: can be longer than 900 bytes"),
    ("exports/revenue/path", ".well-known/acme-challenge/a", "exports.revenue.path: begins with .well-known/"),
    ("exports/revenue/path", "'{day}.csv'", "exports.revenue.path: has an unknown placeholder"),
    ("exports/revenue/path", "'{date.csv'", "exports.revenue.path: has an unknown placeholder"),
    ("exports/revenue/guards", "{max_skipped: 1}", "exports.revenue.guards.max_skipped: is not a known key"),
    ("exports/revenue/date_format", "ISO", "exports.revenue.date_format: is not an allowed value"),
    ("exports/revenue/source", "{block: a}", "exports.revenue.source: has none of view, list, metric, table"),
    ("exports/revenue/source/encoding", "Utf8WithBom", "exports.revenue.source.encoding: is not a known key"),
    ("exports/revenue/fallback", f"{{view: {ID}}}", "exports.revenue.fallback: has none of list, metric, table"),
    (
        "exports/revenue",
        f"{{source: {{list: {ID}}}, fallback: {{table: {ID}}}, path: a.csv}}",
        "exports.revenue.fallback: is never used, because only a view can be too big",
    ),
    (
        "exports/revenue",
        f"{{source: {{list: {ID}}}, format: parquet, compress: gzip, path: a}}",
        "exports.revenue.compress: is not allowed with parquet",
    ),
    (
        "exports/revenue/columns",
        "{Amount: float}",
        "exports.revenue.columns.Amount: is not an allowed value; write text",
    ),
    ("exports/revenue/columns", "[Amount]", "exports.revenue.columns: is a list"),
    (
        "exports/revenue",
        f"{{source: {{view: {ID}}}, date_format: Legacy, columns: {{At: datetime}}, path: a}}",
        "exports.revenue.columns.At: is datetime, which date_format: Legacy has not; write timestamp",
    ),
    (
        "exports/revenue",
        f"{{source: {{view: {ID}}}, date_format: Legacy, columns: {{At: date}}, bigquery: true, path: a}}",
        "exports.revenue.columns.At: is in the order month, day, year, which BigQuery does not read from CSV; write",
    ),
    (
        "exports/revenue",
        f"{{source: {{list: {ID}, decimal_separator: Comma}}, columns: {{A: decimal}}, bigquery: true, path: a}}",
        "exports.revenue.columns.A: has decimal commas, which BigQuery does not read from CSV; write decimal_separator",
    ),
    (
        "exports/revenue",
        f"{{source: {{view: {ID}}}, columns: {{DT: date}}, bigquery: true, path: 'a/dt={{date}}/a'}}",
        "exports.revenue.columns.DT: is also the column that BigQuery makes of path; write another name before ={date}",
    ),
    (
        "exports/revenue",
        f"{{source: {{view: {ID}}}, fallback: {{table: {ID}, delimiter: ;}}, bigquery: true, path: a}}",
        "exports.revenue.fallback.delimiter: is not that of source, but one table reads both; write the same in both",
    ),
    (
        "exports/other",
        f"{{source: {{list: {ID}}}, path: revenue.csv}}",
        "exports.other: writes the same object as exports.revenue",
    ),
    (
        "exports/revenue/source",
        f"{{metric: {ID}, export_filter: {{and: []}}}}",
        "exports.revenue.source.export_filter.and: is empty",
    ),
    (
        "exports/revenue/source",
        f"{{metric: {ID}, export_filter: {{value: {{metric_id: {ID}, condition: {{type: Equal}}}}}}}}",
        "exports.revenue.source.export_filter.value.condition.value: is required for every type except IsNotBlank",
    ),
    (
        "exports/revenue/source",
        f"{{table: {ID}, fields: [{{type: ValueField}}]}}",
        "exports.revenue.source.fields[0].source_id: is required for every type except ScenarioField",
    ),
    # the file
    ("pull", "{}", "pull: is not a known key; write pulls"),
]


@pytest.mark.parametrize(("path", "value", "words"), FAULTS)
def test_an_error_has_its_path_its_cause_and_advice(path: str, value: str, words: str) -> None:
    faults = faults_of(file_where(path, value))
    assert any(words in fault for fault in faults), faults
    assert all(": " in fault and "; write " in fault for fault in faults)


def test_known_items_need_an_export_key() -> None:
    raw = file_where("pulls/flights/known", f"{{{KNOWN}}}")
    del raw["exports"], raw["pigment"]["export_key"]
    (fault,) = faults_of(raw)
    assert fault.startswith("pigment.export_key: is missing, but required by pulls.flights.known; write the name")


@pytest.mark.parametrize("raw", [None, [], "flights", 12, True, 1.5, object()])
def test_a_file_without_sections_is_an_error(raw: object) -> None:
    (fault,) = faults_of(raw)
    assert fault.startswith("bridge.yaml: is ")
    assert "write a section with looker, pigment, webhook, secrets, notify, pulls, relays, exports" in fault


def test_a_key_given_as_text_and_as_number_is_an_error() -> None:
    raw = file_where("pulls/flights/source/filters", "{}")
    raw["pulls"]["flights"]["source"]["filters"] = {12: "a", "12": "b"}
    assert faults_of(raw) == ["pulls.flights.source.filters.12: is written twice; write it once"]


def test_a_name_with_a_line_end_is_shown_on_one_line() -> None:
    job = {"source": {"view": ID}, "path": "a.csv"}
    faults = faults_of({"pulls": {"a": {}}, "relays": {"b": {"start": "c"}}, "exports": {"a\nb": job, "c\nd": job}})
    assert "exports.'c\\nd': writes the same object as exports.'a\\nb'; write a unique path" in faults


def test_endlessly_nested_filters_are_an_error() -> None:
    endless: dict[str, Any] = {}
    endless["and"] = [endless]
    raw = {"exports": {"a": {"source": {"metric": ID, "export_filter": endless}, "path": "a.csv"}}}
    assert faults_of(raw) == ["bridge.yaml: is nested too deeply; write filters of a few levels"]


def test_all_errors_are_reported_together() -> None:
    raw = bridge_file.parse("""
        looker: {url: http://acme.com, credential: looker-api}
        pigment: {import_key: two words}
        pulls:
          flights:
            schedule: every day
            source: {look: 12, filter: {a: b}}
            load: {incremental: {cursor: a.b, start: 2013-01-01, window: 500, overlap: 1 hour}}
            target: {configuration: nope}
          trains: {source: {}}
        relays:
          flights: {start: planes}
          go: {start: trains}
        exports:
          revenue: {source: {view: 12}, path: ../a}
        """)
    assert [fault.split(":")[0] for fault in faults_of(raw)] == [
        "looker.credential",
        "looker.url",
        "pigment.import_key",
        "pulls.flights.source.filter",
        "pulls.flights.target.configuration",
        "pulls.flights.schedule",
        "pulls.flights.load.incremental.window",
        "pulls.flights.load.incremental.overlap",
        "pulls.trains.source",
        "pulls.trains.target",
        "exports.revenue.source.view",
        "exports.revenue.path",
        "relays.flights",
        "relays.flights.start",
        "pigment.export_key",
        "webhook.token",
    ]


SECRETS = [
    "pgmt_J8xq2Wn5Kd0vRt7Yb3Lm9Zc4Hf6Gs1Pa8Ue2Io5",
    "0b9c1d3e-4f5a-4b6c-8d7e-8f9a0b1c2d3e",
    "q83vEjRWeJA/+w==",
    '{"client_id": "wVx2Kd0vRt7Yb3Lm9Zc4", "client_secret": "Hf6Gs1Pa8Ue2Io5Jq8x"}',
    "hunter2 is the word",
]


def places(raw: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            yield from places(value, (*path, key))
    yield path


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("key", ["looker/credentials", "pigment/import_key", "pigment/export_key", "webhook/token"])
def test_a_secret_in_place_of_its_name_is_an_error(key: str, secret: str) -> None:
    raw = file_where(key, "x")
    section, field = key.split("/")
    raw[section][field] = secret
    (fault,) = faults_of(raw)
    assert "write the NAME of a secret" in fault


@pytest.mark.parametrize("secret", [*SECRETS, {"client_secret": SECRETS[0]}, [SECRETS[0]]])
def test_the_value_of_a_secret_is_never_repeated(secret: object) -> None:
    shown = []
    for path in places(bridge_file.parse(BASE)):
        raw: Any = bridge_file.parse(BASE)
        place = raw
        for section in path[:-1]:
            place = place[section]
        if path:
            place[path[-1]] = secret
        try:
            decode(raw if path else secret)
        except BridgeFileInvalid as fault:
            shown.append(fault.cause)
    words = [word for word in ("pgmt_", "0b9c1d3e", "q83vEj", "wVx2Kd0", "Hf6Gs1", "hunter2") if word in str(secret)]
    assert shown
    assert not [text for text in shown for word in words if word in text]


WARNINGS = [
    (
        "relays/budget/target/configuration",
        ID,
        "relays.budget.target.configuration: is also used by pulls.flights.target",
    ),
    ("looker", "{host: acme, region: eu, credentials: a}", "looker.region: gives the URL https://acme.api.eu"),
    (
        "pulls/flights/load",
        "{incremental: {cursor: a.b, start: 2013-01-01, window: 1 day, delay: 1 hour}}",
        "pulls.flights.source.query_timezone: is missing",
    ),
    (
        "pulls/flights/load",
        "{incremental: {cursor: a.b, start: 1, window: 9}}",
        "pulls.flights.load.incremental: misses rows that appear in Looker after their window was read, and an append",
    ),
    ("pulls/flights/load", "{changes: {key: [Id]}}", "pulls.flights.load.changes: sends changed rows again"),
    (
        "pulls/flights",
        f"{{source: {{look: 1}}, target: {{configuration: {ID}}}, {DELAYED}, known: {{{KNOWN}, missing: hold}}}}",
        "pulls.flights.known.missing: holds back rows that no later window reads",
    ),
    ("exports/revenue/format", "parquet", "exports.revenue.path: ends in .csv, but format is parquet"),
]


@pytest.mark.parametrize(("path", "value", "words"), WARNINGS)
def test_unusual_settings_are_warnings(path: str, value: str, words: str) -> None:
    (warning,) = decode(file_where(path, value)).warnings
    assert warning.startswith(words)


def test_a_file_without_a_job_is_a_warning() -> None:
    assert decode({}).warnings == ("bridge.yaml: has no jobs; write at least one under pulls, relays or exports",)
