"""The sandboxed BigQuery takes the requests that its API describes, and refuses others with BigQuery's reasons."""

from typing import Any

import pytest
import requests

from tests.support.world import World

JOBS = "/bigquery/v2/projects/test/jobs"


@pytest.fixture
def file(world: World) -> str:
    content = b'Id,Name\n1,"two\nlines"\n2,\n3,"a ""quote"""\n'
    world.bucket.create("tmp/file.csv", content, {}, content_type="text/csv")
    return "gs://bucket/tmp/file.csv"


def table(uri: str, **options: Any) -> dict[str, Any]:
    fields = [{"name": name, "type": "STRING"} for name in ("c0", "c1")]
    how = {"skipLeadingRows": "1", "allowQuotedNewlines": True, **options}
    return {"sourceUris": [uri], "sourceFormat": "CSV", "schema": {"fields": fields}, "csvOptions": how}


def insert(world: World, sql: str, tables: dict[str, Any], location: str = "EU", **query: Any) -> requests.Response:
    how = {"query": sql, "useLegacySql": False, "tableDefinitions": tables, **query}
    place = {"projectId": "test", "jobId": "a-job", "location": location}
    job = {"jobReference": place, "configuration": {"query": how}}
    return requests.post(world.bigquery_server.url + JOBS, json=job, timeout=10)


def result(world: World, **options: str) -> requests.Response:
    address = f"{world.bigquery_server.url}/bigquery/v2/projects/test/queries/a-job"
    return requests.get(address, params={"location": "EU", **options}, timeout=10)


def reason(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["errors"][0]["reason"]


def test_a_file_is_a_table_of_text(world: World, file: str) -> None:
    assert insert(world, "SELECT c0, c1 FROM t ORDER BY c0", {"t": table(file)}).status_code == 200

    answer = result(world).json()

    assert [[cell["v"] for cell in row["f"]] for row in answer["rows"]] == [
        ["1", "two\nlines"],
        ["2", None],
        ["3", 'a "quote"'],
    ]
    assert (answer["jobComplete"], answer["totalRows"]) == (True, "3")


def test_rows_come_in_pages(world: World, file: str) -> None:
    world.bigquery.rows_of_a_page = 2
    insert(world, "SELECT c0 FROM t", {"t": table(file)})

    first = result(world).json()
    second = result(world, pageToken=first["pageToken"]).json()

    assert (len(first["rows"]), len(second["rows"]), "pageToken" in second) == (2, 1, False)


def test_an_id_is_taken_once(world: World, file: str) -> None:
    insert(world, "SELECT c0 FROM t", {"t": table(file)})

    assert reason(insert(world, "SELECT c0 FROM t", {"t": table(file)})) == (409, "duplicate")


@pytest.mark.parametrize(
    ("options", "query"),
    [({"skipLeadingRow": "1"}, {}), ({"skipLeadingRows": 1}, {}), ({}, {"maximumBytesBilled": 1})],
    ids=["unknown field", "a number of 64 bits that is no text", "the same in the query"],
)
def test_what_the_api_does_not_describe_is_refused(
    world: World, file: str, options: dict[str, Any], query: dict[str, Any]
) -> None:
    assert reason(insert(world, "SELECT 1", {"t": table(file, **options)}, **query)) == (400, "invalid")


def test_a_file_in_another_location_is_refused(world: World, file: str) -> None:
    assert reason(insert(world, "SELECT c0 FROM t", {"t": table(file)}, location="US")) == (400, "invalid")


def test_a_statement_that_is_wrong_fails_its_job(world: World, file: str) -> None:
    assert insert(world, "SELECT c9 FROM t", {"t": table(file)}).status_code == 200

    assert reason(result(world)) == (400, "invalidQuery")


def test_a_query_over_its_limit_is_not_run(world: World, file: str) -> None:
    insert(world, "SELECT c0 FROM t", {"t": table(file)}, maximumBytesBilled="10485759")

    assert reason(result(world)) == (500, "bytesBilledLimitExceeded")
