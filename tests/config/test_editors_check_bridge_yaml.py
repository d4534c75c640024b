"""Editors check bridge.yaml with a JSON Schema: it accepts every valid file, and its texts are those of the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from common.bridge_yaml import decode
from common.platform.errors import BridgeFileInvalid
from local import bridge_file, bridge_schema
from tests.config.test_bridge_yaml_errors_are_reported_together import BASE, FAULTS, ID, SECRETS, file_where
from tests.config.test_bridge_yaml_is_decoded import EXPORT_FILTER, WHOLE
from tests.support import documents

INFRA = Path(__file__).parents[2] / "infra"
SCHEMA = json.loads((INFRA / "bridge_schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

ONLY_THE_FUNCTIONS = {
    "keys that exclude or require each other": [
        ("looker", "{host: acme, port: 19999, region: eu.looker.com, credentials: a}"),
        ("looker/host", "acme.looker.com"),
        ("looker/port", "19999"),
        ("pulls/flights/load", "{incremental: {cursor: a.b, start: 0, window: 1 month}}"),
        ("pulls/flights/load", "{incremental: {cursor: a.b, start: 0, window: 5, delay: 1 day}}"),
        ("pulls/flights/load", "{incremental: {cursor: a.b, start: 2013-01-01, window: 1 day, overlap: 2 hours}}"),
        ("pulls/flights/load", "{incremental: {cursor: a.b, start: 2013-01-01, window: 500000}}"),
        ("exports/revenue", f"{{source: {{list: {ID}}}, fallback: {{table: {ID}}}, path: a.csv}}"),
        ("exports/revenue", f"{{source: {{list: {ID}}}, format: parquet, compress: gzip, path: a}}"),
        *(fault[:2] for fault in FAULTS if "columns: {At" in fault[1] or "bigquery: true" in fault[1]),
        (
            "exports/revenue/source",
            f"{{metric: {ID}, export_filter: {{value: {{metric_id: {ID}, condition: {{type: Equal}}}}}}}}",
        ),
        ("exports/revenue/source", f"{{table: {ID}, fields: [{{type: ValueField}}]}}"),
        *(fault[:2] for fault in FAULTS if "limit: look" in fault[1] and "incremental" in fault[1]),
        *(fault[:2] for fault in FAULTS if "approve: {max_deleted" in fault[1] or "approve: {}" in fault[1]),
        ("pulls/flights/target/bucket", "acme-files"),
        ("pulls/flights/target/via", "storage"),
    ],
    "what a job needs from another section": [
        ("looker", "-"),
        ("looker/url", "-"),
        ("pigment/export_key", "-"),
        ("pigment/import_key", "-"),
        ("webhook", "-"),
        ("relays/flights", "{start: flights}"),
        ("relays/go", "{start: trains}"),
        ("secrets", "{another: {expires: 2027-01-31}}"),
        ("secrets", "{another-key: {expires: 2027-01-31}}"),
    ],
    "lists that are empty, have an item twice, or must have the items of another": [
        ("exports/revenue/source", f"{{metric: {ID}, export_filter: {{and: []}}}}"),
        ("pulls/flights/load", "{changes: {key: []}}"),
        ("pulls/flights/source", "{explore: {model: m, view: v, fields: []}}"),
        ("pulls/flights/target/columns", "[{A: x}, {B: x}]"),
        ("pulls/flights/target/columns", "{A: x, B: x}"),
        *(fault[:2] for fault in FAULTS if "key: [Id, Id]" in fault[1] or "key: [A]" in fault[1]),
        *(fault[:2] for fault in FAULTS if fault[1] == "{columns: {}}" or "known: {columns: {A" in fault[1]),
    ],
    "values that a pattern cannot describe": [
        ("exports/revenue/path", ".well-known/acme-challenge/a"),
        ("exports/revenue/path", "a/../b.csv"),
        *(fault[:2] for fault in FAULTS if "can be longer than 900 bytes" in fault[2]),
        ("pulls/flights/load", "{incremental: {cursor: a.b, start: 2013-01-01, window: 101 years}}"),
        ("pulls/flights/schedule", "75 6 * * *"),
        *(
            fault[:2]
            for fault in FAULTS
            if fault[0] == "looker/url" and fault[1].startswith("https://acme") and "?" not in fault[1]
        ),
        ("pulls/flights/source/filters", "{true: a}"),
        *(fault[:2] for fault in FAULTS if "max_age: is not a duration" in fault[2]),
    ],
    "names, of jobs and of objects": [
        ("exports/other", f"{{source: {{list: {ID}}}, path: revenue.csv}}"),
        ("relays/blitz", "{start: flights}"),
        ("relays/eventlog", "{start: flights}"),
    ],
}
"Faults in a file that is valid in an editor, by the kind of rule. `make check` finds them."

MORE_FAULTS = [
    ("pulls/flights/time_zone", "12"),
    ("pulls/flights/schedule", "12"),
    ("pulls/flights/target/columns", "text"),
    ("pulls/flights/target/columns", "[{A: x}, {B: x}]"),
    ("pulls/flights/target/shared", "1"),
    ("pulls/flights/load", "{incremental: {cursor: a.b, start: 0, window: 5, delay: 1 day}}"),
    ("pulls/flights/source", "{explore: {model: m, view: v, fields: [a.b], filter: {a: b}}}"),
    ("relays/budget/guards", "{min_row: 1}"),
    ("exports/revenue/source", f"{{list: {ID}, property_filters: [{{modality_ids: [x]}}]}}"),
    ("secrets", "{pigment-import-key: {expires: soon}}"),
    ("secrets", "{pigment-import-key: {}}"),
    ("secrets", "{another: {expires: 2027-01-31}}"),
    ("pigment/url", "https://pigment.app#here"),
    *(("pigment/import_key", json.dumps(secret)) for secret in SECRETS),
]


def with_pull(**fields: Any) -> dict[str, Any]:
    raw: Any = bridge_file.parse(BASE)
    raw["pulls"]["flights"] |= fields
    return dict(raw)


def with_export(**fields: Any) -> dict[str, Any]:
    raw: Any = bridge_file.parse(BASE)
    raw["exports"]["revenue"] |= fields
    return dict(raw)


SOUND: dict[str, Any] = {
    "the-example": (INFRA / "bridge.yaml").read_text(),
    "the-documents": documents.examples(*documents.DOCUMENTS),
    "everything": WHOLE,
    "small": BASE,
    "nothing": {"pulls": {}},
    "host-and-port": {"looker": {"host": "acme.looker.com", "port": 19999, "credentials": "projects/a/secrets/b"}},
    "host-and-region": {"looker": {"host": "acme", "region": "us-west.looker.com"}},
    "a-loopback": {"looker": {"url": "http://127.0.0.1:8000/api/4.0/"}, "pigment": {"url": "http://[::1]:80"}},
    "a-date": with_pull(
        source={"look": 12, "filters": {"a.day": "2013-01-01", "a.n": 5, "a.x": 1.5, "a.any": "", "b": "7 days"}},
        load={
            "incremental": {"cursor": "a.b", "start": "2013-01-01 06:30", "window": "1 Month", "delay": "90 seconds"}
        },
    ),
    "an-unquoted-date": BASE.replace(
        "source: {look: 12}",
        "source: {look: 12, filters: {a.day: 2013-01-01}}\n"
        "    load: {incremental: {cursor: a.b, start: 2013-01-01, window: 1 month}}",
    ),
    "numbers": with_pull(load={"incremental": {"cursor": "a.b", "start": -5, "window": 500000, "delay": "1000"}}),
    "pairs": with_pull(target={"configuration": ID, "columns": [{"Z z": "b"}, {"A": "a"}, {2013: "year"}]}),
    "a-mapping": with_pull(target={"configuration": ID.upper(), "columns": {"A": "a", "B": "2"}}),
    "changes": with_pull(load={"changes": {"key": ["Id", 2]}}, guards={"max_shrink": "99.5 %", "accept_cap": True}),
    "changes-of-columns": with_pull(
        load={"changes": {"key": ["A", "2013"]}}, target={"configuration": ID, "columns": [{"A": "a"}, {2013: "year"}]}
    ),
    "storage": with_pull(
        target={"configuration": ID, "via": "storage", "bucket": "acme", "path": "a b/{date}-{run}.csv"}
    ),
    "resources": with_pull(
        source={"resource": "users"}, schedule="*/30 6-20 * JAN-MAR MON-FRI", time_zone="Asia/Kolkata"
    ),
    "filters": with_export(source={"metric": ID, "export_filter": EXPORT_FILTER}, date_format="Legacy"),
    "fields": with_export(
        source={"table": ID, "fields": [{"type": "ScenarioField"}, {"type": "ValueField", "source_id": ID}]}
    ),
    "a-signal": with_pull() | {"relays": {"go": {"start": "flights"}}},
    "shared": with_pull(target={"configuration": ID, "shared": True})
    | {"relays": {"budget": {"target": {"configuration": ID, "shared": True}}}},
    "secrets": with_pull() | {"secrets": {"pigment-import-key": {"expires": "2027-06-30"}}},
    "a-hundred-jobs": with_pull()
    | {"relays": {}, "exports": {f"e{n}": {"source": {"view": ID}, "path": f"{n}.csv"} for n in range(100)}},
}


def text_of(name: str) -> str:
    raw = SOUND[name]
    return raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False)


def as_an_editor_reads_it(raw: Any) -> Any:
    """Return the data with keys as text, which they are in JSON."""
    return json.loads(json.dumps(raw))


def test_the_schema_is_made_from_the_structs() -> None:
    assert (INFRA / "bridge_schema.json").read_text(encoding="utf-8") == bridge_schema.as_json(), "run `make schema`"


def test_the_schema_is_a_json_schema() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", SOUND)
def test_every_valid_file_is_valid_in_an_editor(name: str) -> None:
    raw = bridge_file.parse(text_of(name))

    decode(raw)
    assert [error.message for error in VALIDATOR.iter_errors(as_an_editor_reads_it(raw))] == []


def test_an_editor_finds_all_faults_but_these() -> None:
    corpus = [*(fault[:2] for fault in FAULTS), *MORE_FAULTS]
    for each in corpus:
        with pytest.raises(BridgeFileInvalid):
            decode(file_where(*each))

    missed = {each for each in corpus if VALIDATOR.is_valid(as_an_editor_reads_it(file_where(*each)))}

    assert missed == {each for faults in ONLY_THE_FUNCTIONS.values() for each in faults}


def sections() -> Iterator[tuple[str, Any]]:
    for name, definition in SCHEMA["$defs"].items():
        yield name, definition
        for key, told in definition.get("properties", {}).items():
            yield f"{name}.{key}", told


def test_every_key_has_a_text() -> None:
    assert [name for name, told in sections() if not told.get("description")] == []


@pytest.mark.parametrize("file", ["bridge.yaml", "tests/bridge.yaml"])
def test_the_examples_name_the_schema(file: str) -> None:
    text = (INFRA / file).read_text(encoding="utf-8")

    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named
    assert (INFRA / file).parent.joinpath(named[1]).resolve() == INFRA / "bridge_schema.json"
