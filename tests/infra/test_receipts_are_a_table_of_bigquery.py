"""The receipts are a table of BigQuery: its columns are those of every receipt, and its queries run on real receipts.

DuckDB stands in for BigQuery. Both read the same JSON with the same columns and the same SQL; only the quotes of names
differ.
"""

import datetime as dt
import json
import re
import shutil
import subprocess
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import duckdb
import msgspec
import pytest

from common.bridge_yaml.decode import without_none
from common.runs.receipts import Receipt
from common.status.record import ENDED_WELL
from local import receipts_schema
from local.sandbox.pigment import BlockColumn
from tests.support import documents
from tests.support.jobs import COLUMNS
from tests.support.terraform import PROJECT_ID, PlannedChanges, TerraformFolder
from tests.support.world import CONFIGURATION, HEADER, Servers, World, open_world

SCHEMA: list[dict[str, Any]] = json.loads((documents.ROOT / "infra/receipts_schema.json").read_text(encoding="utf-8"))
NEVER_STORED = {"preview", "diff", "progress"}
NOT_IN_THE_TABLE = {"verification.columns"}
"Counts by the name of a column: BigQuery knows no object with any keys."
QUERIES = re.findall(
    r"^```sql\n(.*?)^```", documents.section(documents.INFRA, "Receipts in BigQuery"), re.MULTILINE | re.DOTALL
)
LANDED, SKIPPED, REFUSED, NOTHING_NEW, PUBLISHED = "flights", "with-skips", "too-small", "by-day", "revenue"

READ_BY_DUCKDB = {
    "BOOLEAN": "BOOLEAN",
    "FLOAT": "DOUBLE",
    "INTEGER": "BIGINT",
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMP",
}


def type_in_duckdb(column: Mapping[str, Any]) -> str:
    if column["type"] == "RECORD":
        inner = ", ".join(f'"{field["name"]}" {type_in_duckdb(field)}' for field in column["fields"])
        single = f"STRUCT({inner})"
    else:
        single = READ_BY_DUCKDB[column["type"]]
    return f"{single}[]" if column["mode"] == "REPEATED" else single


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the scalars of a JSON value with their paths, without the places in lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def filled(kind: Any, name: str) -> Any:
    """Return a value of a type in which nothing is missing."""
    kind = without_none(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return [filled(arguments[0], name)]
    if origin is dict:
        return {"Any name": filled(arguments[1], name)}
    if origin is Literal:
        return arguments[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {each.encode_name: filled(each.type, each.encode_name) for each in msgspec.structs.fields(kind)}
    samples = {
        bool: True,
        int: 2**40 + 1,
        float: 0.25,
        str: "2026-03-01T06:15:03.250Z" if name == "started_at" else "ü",
    }
    return samples[kind]


def as_read(lines: str, folder: Path) -> dict[str, Any]:
    """Return the one receipt in a file, as a database reads it with the columns of the schema."""
    (folder / "receipt.json").write_text(lines, encoding="utf-8")
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE receipts AS {reading(folder / 'receipt.json')}")
        names = [name for name, *_ in database.execute("DESCRIBE receipts").fetchall()]
        [row] = database.execute("FROM receipts").fetchall()
    return dict(zip(names, row, strict=True))


def reading(files: Path) -> str:
    columns = ", ".join(f"'{column['name']}': '{type_in_duckdb(column)}'" for column in SCHEMA)
    return f"SELECT * FROM read_json('{files}', format = 'newline_delimited', columns = {{{columns}}})"  # noqa: S608  # names of files and columns of this test


def test_the_schema_is_that_of_the_code() -> None:
    written = (documents.ROOT / "infra/receipts_schema.json").read_text(encoding="utf-8")

    assert written == receipts_schema.as_json(), "run `make schema`"


def test_every_field_of_a_receipt_is_a_column_of_a_fitting_type(tmp_path: Path) -> None:
    stored = {
        field.encode_name: filled(field.type, field.encode_name)
        for field in msgspec.structs.fields(Receipt)
        if field.encode_name not in NEVER_STORED
    }

    read = as_read(json.dumps(stored, ensure_ascii=False), tmp_path)

    read["started_at"] = read["started_at"].isoformat(timespec="milliseconds") + "Z"
    lost = {path.rpartition(".")[0] for path, _ in {*leaves(stored)} - {*leaves(read)}}
    assert lost == NOT_IN_THE_TABLE
    assert not {path for path, _ in leaves(read)} - {path for path, _ in leaves(stored)}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, addresses: dict[str, str]) -> Iterator[World]:
    """Runs of all kinds: landed and read back, with skipped rows, refused, with nothing new, and published."""
    folder = tmp_path_factory.mktemp("runs")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        Servers() as servers,
        open_world(folder, servers, addresses, monkeypatch) as world,
    ):
        block = world.pigment.block(world.pigment.application("Planning"), "Read back")
        world.pigment.configuration(block, COLUMNS, uuid=CONFIGURATION, unique=HEADER[:3])
        verify = {"source": {"list": block}, "key": HEADER[:3]}
        world.add_pull(LANDED, verify=verify, target={"repeatable": True}, schedule="0 6 * * *")
        strict = [
            BlockColumn(HEADER[0]),
            BlockColumn(HEADER[1]),
            BlockColumn(HEADER[2], "integer"),
            BlockColumn(HEADER[3]),
        ]
        other = world.pigment.block(world.pigment.application("Planning"), "Other")
        target = {"configuration": world.pigment.configuration(other, strict)}
        world.add_pull(SKIPPED, target=target, guards={"max_skipped": 99}, schedule="0 6 * * 1-5")
        world.add_pull(
            REFUSED, target={"configuration": world.add_list("Third")}, guards={"min_rows": 99}, schedule="0 6 * * *"
        )
        plain = world.pigment.block(world.pigment.application("Planning"), "Plain")
        target = {"configuration": world.pigment.configuration(plain, COLUMNS)}
        load = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 year"}}
        world.add_pull(NOTHING_NEW, target=target, load=load, schedule="0 * * * *")
        world.add_export(PUBLISHED, schedule="0 7 * * *")
        world.answer_exports(b"Id;Amount\n1;2\n")
        world.run_export(PUBLISHED)
        world.pigment_server.heal()
        for job in (LANDED, SKIPPED, REFUSED, NOTHING_NEW):
            world.run_pull(job)
        world.run_pull(NOTHING_NEW)
        yield world


@pytest.mark.parametrize("job", [LANDED, SKIPPED, REFUSED, NOTHING_NEW, PUBLISHED])
def test_a_stored_receipt_is_one_line_that_the_table_reads_whole(ran: World, job: str, tmp_path: Path) -> None:
    [*_, file] = sorted((ran.bucket_folder / "receipts" / job).glob("*/*.json"))
    line = file.read_text(encoding="utf-8")

    read = as_read(line, tmp_path)

    assert line.count("\n") == 1
    assert line.endswith("}\n")
    read["started_at"] = read["started_at"].isoformat(timespec="milliseconds") + "Z"
    shown = {(path, value) for path, value in leaves(json.loads(line)) if value is not None}
    assert {path.rpartition(".")[0] for path, _ in shown - {*leaves(read)}} <= NOT_IN_THE_TABLE
    assert read["run"] == file.stem


@pytest.mark.skipif(not shutil.which("jq"), reason="there is no jq")
def test_receipts_of_earlier_versions_are_rewritten_by_the_command_of_the_documentation(
    ran: World, tmp_path: Path
) -> None:
    [command] = re.findall(r"^    (find receipts .*)$", documents.text(documents.INFRA), re.MULTILINE)
    earlier = tmp_path / "receipts" / "with spaces"
    earlier.mkdir(parents=True)
    for job in (LANDED, REFUSED):
        receipt = json.dumps(ran.receipts(job)[-1], indent=1)
        (earlier / f"{job}.json").write_text(receipt, encoding="utf-8")

    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)

    for job in (LANDED, REFUSED):
        line = (earlier / f"{job}.json").read_text(encoding="utf-8")
        assert line.count("\n") == 1
        assert json.loads(line) == ran.receipts(job)[-1]


@pytest.fixture(scope="module")
def planned(ran: World, tmp_path_factory: pytest.TempPathFactory) -> PlannedChanges:
    workspace = TerraformFolder(tmp_path_factory.mktemp("terraform"))
    readers = {"readers": ["group:data@acme.example"]}
    return workspace.plan(
        {**ran.raw, "looker": {**ran.raw["looker"], "url": "https://acme.cloud.looker.com"}}, receipts=readers
    )


@pytest.fixture
def database(ran: World, planned: PlannedChanges) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that has the table and the views that Terraform plans, over the receipts of the runs."""
    with duckdb.connect() as database:
        database.execute(f'ATTACH \':memory:\' AS "{PROJECT_ID}"; USE "{PROJECT_ID}"; CREATE SCHEMA bridge_receipts')
        files = ran.bucket_folder / "receipts/*/*/*.json"
        database.execute(f"CREATE VIEW bridge_receipts.receipts AS {reading(files)}")
        for name in ("landings", "late"):
            query = view(planned, name).replace("CURRENT_TIMESTAMP", timestamp(ran.clock.now()))
            database.execute(f"CREATE VIEW bridge_receipts.{name} AS {query}")
        yield database


def timestamp(moment: dt.datetime) -> str:
    return f"TIMESTAMP '{in_utc(moment)}'"


def in_utc(moment: dt.datetime) -> dt.datetime:
    """DuckDB's own times with a zone need another package, so the zone is left out here."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def view(planned: PlannedChanges, name: str) -> str:
    """Return the query of a view. DuckDB quotes a name in another way."""
    query: str = planned.resources[f'google_bigquery_table.views["{name}"]']["view"][0]["query"]
    return query.replace("`", '"')


@pytest.mark.terraform
def test_the_table_reads_the_receipts_with_the_columns_of_the_code(planned: PlannedChanges) -> None:
    [table] = planned.resources["google_bigquery_table.receipts[0]"]["external_data_configuration"]

    assert table["source_uris"] == ["gs://acme-planning-bridge/receipts/*"]
    assert table["source_format"] == "NEWLINE_DELIMITED_JSON"
    assert (table["autodetect"], table["ignore_unknown_values"]) == (False, True)
    assert json.loads(table["schema"]) == SCHEMA


@pytest.mark.terraform
def test_readers_have_the_dataset_and_the_receipts_and_no_other_object(planned: PlannedChanges) -> None:
    granted = {
        (grant["role"], *[each["expression"] for each in grant.get("condition", [])])
        for grants in ("google_bigquery_dataset_iam_member", "google_storage_bucket_iam_member")
        for grant in planned.of(grants).values()
        if grant["member"] == "group:data@acme.example"
    }

    receipts = 'resource.name.startsWith("projects/_/buckets/acme-planning-bridge/objects/receipts/")'
    assert granted == {
        ("roles/bigquery.dataViewer",),
        ("roles/storage.legacyBucketReader",),
        ("roles/storage.objectViewer", receipts),
    }


@pytest.mark.terraform
def test_landings_has_a_row_for_each_run_that_landed(ran: World, database: duckdb.DuckDBPyConnection) -> None:
    found = database.execute(
        "SELECT job, outcome, rows_sent, rows_skipped, verified FROM bridge_receipts.landings ORDER BY job"
    ).fetchall()

    assert found == [
        (NOTHING_NEW, "landed", 5, 0, None),
        (LANDED, "landed", 5, 0, "equal"),
        (PUBLISHED, "published", None, None, None),
        (SKIPPED, "landed_with_skips", 5, 5, None),
    ]
    [(began,)] = database.execute("SELECT started_at FROM bridge_receipts.landings WHERE job = ?", [LANDED]).fetchall()
    assert began == in_utc(dt.datetime.fromisoformat(ran.receipts(LANDED)[-1]["started_at"]))


@pytest.mark.terraform
@pytest.mark.parametrize(
    ("hours", "late"),
    [
        (0, {REFUSED}),
        (2, {REFUSED}),
        (4, {REFUSED, NOTHING_NEW}),
        (25, {REFUSED, NOTHING_NEW}),
        (27, {REFUSED, NOTHING_NEW, LANDED, PUBLISHED}),
        (75, {REFUSED, NOTHING_NEW, LANDED, PUBLISHED, SKIPPED}),
    ],
)
def test_a_job_is_late_after_the_longest_pause_of_its_schedule_and_two_hours(
    ran: World, database: duckdb.DuckDBPyConnection, planned: PlannedChanges, hours: int, late: set[str]
) -> None:
    now = ran.clock.now() + dt.timedelta(hours=hours)
    query = view(planned, "late").replace("CURRENT_TIMESTAMP", timestamp(now))

    found = {row[0]: row for row in database.execute(query).fetchall()}

    assert set(found) == late
    assert found[REFUSED][3:] == (None, None)
    if LANDED in late:
        began = in_utc(dt.datetime.fromisoformat(ran.receipts(LANDED)[-1]["started_at"]))
        assert found[LANDED][1:] == ("0 6 * * *", "UTC", began, began + dt.timedelta(hours=26))


@pytest.mark.terraform
def test_late_counts_as_good_what_the_check_for_overdue_jobs_does(planned: PlannedChanges) -> None:
    [outcomes] = re.findall(r"r\.outcome IN \(([^)]*)\)", view(planned, "late"))

    assert {outcome.strip(" '") for outcome in outcomes.split(",")} == ENDED_WELL


@pytest.mark.terraform
def test_without_schedules_no_job_is_late(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    planned = TerraformFolder(tmp_path).plan({"looker": {}}, receipts={})

    assert database.execute(view(planned, "late")).fetchall() == []


@pytest.mark.terraform
def test_the_queries_of_the_documentation_answer_their_questions(
    ran: World, database: duckdb.DuckDBPyConnection
) -> None:
    today, develop, failed = QUERIES

    day = ran.clock.now().date()
    answered = database.execute(today.replace("CURRENT_DATE", f"DATE '{day}'")).fetchall()
    assert [(row[0], row[5]) for row in answered] == [
        (NOTHING_NEW, None),
        (LANDED, "equal"),
        (PUBLISHED, None),
        (SKIPPED, None),
    ]
    assert [row[:4] for row in database.execute(develop).fetchall()] == [
        (NOTHING_NEW, day, 1, 5),
        (LANDED, day, 1, 5),
        (PUBLISHED, day, 1, None),
        (SKIPPED, day, 1, 5),
    ]
    [(job, _, outcome, code, *_)] = database.execute(failed).fetchall()
    assert (job, outcome, code) == (REFUSED, "refused", "too_few_rows")
