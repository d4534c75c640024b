"""Views are exported as in Pigment's guide, and rows are exported as they were imported."""

import csv
import io
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.sandbox.pigment import BlockColumn
from tests.support.pigment_caller import Caller, called

# The example in Pigment's article on exporting a view, as far as it is shown.
GUIDE = """\
Country;Month;Cost;Revenue;Margin
FR;Jan 21;50.00;150.00;100.00
FR;Feb 21;50.00;150.00;100.00
FR;Mar 21;60.00;180.00;120.00
FR;Apr 21;65.00;195.00;130.00
FR;May 21;55.00;165.00;110.00
FR;Jun 21;50.00;150.00;100.00
FR;Jul 21;25.00;75.00;50.00
FR;Aug 21;40.00;120.00;80.00
FR;Sep 21;60.00;180.00;120.00
FR;Oct 21;60.00;180.00;120.00
FR;Nov 21;65.00;195.00;130.00
FR;Dec 21;75.00;225.00;150.00
DE;Jan 21;16.66666666666667;50.00;33.33333333333333
DE;Feb 21;16.66666666666667;50.00;33.33333333333333
DE;Mar 21;20.00;60.00;40.00
DE;Apr 21;21.66666666666667;65.00;43.33333333333333
"""
FLIGHTS = 'Id,On,Late,Delay,Note\n1,2024-10-25,true,2.50,\n2,,no,,"a;b, ""c""\nd"\n'


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


@pytest.fixture
def flights(caller: Caller) -> str:
    """A view of a list with a column of every kind."""
    columns = ["Id", BlockColumn("On", "date"), BlockColumn("Late", "boolean"), BlockColumn("Delay", "number"), "Note"]
    configuration = caller.flights(*columns)
    assert caller.imported(configuration, FLIGHTS).status == "Completed"
    return caller.pigment.view(caller.pigment.blocks()[0].id, "Export")


def guide(caller: Caller, folder: Path) -> str:
    (folder / "guide.csv").write_text(GUIDE)
    application = caller.pigment.application("Planning")
    return caller.pigment.table_of(application, "Profit", folder / "guide.csv", ["Country", "Month"], delimiter=";")


def test_the_example_of_the_guide_is_exported_exactly(caller: Caller, tmp_path: Path) -> None:
    view = caller.pigment.view(guide(caller, tmp_path), "Export")
    answer = caller.call("GET", f"/export/view/{view}")
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.content == GUIDE.encode()
    comma = caller.call("GET", f"/v1/export/view/{view}", params={"fieldDelimiter": "Comma"})
    assert comma.text == GUIDE.replace(";", ",")


def test_dates_booleans_blanks_and_quotes_are_exported(caller: Caller, flights: str) -> None:
    answer = caller.call("GET", f"/export/view/{flights}")
    assert answer.text == 'Id;On;Late;Delay;Note\n1;10/25/2024;TRUE;2.50;\n2;;FALSE;;"a;b, ""c""\nd"\n'
    iso = {"dateFormat": "Iso8601", "fieldDelimiter": "Comma"}
    answer = caller.call("GET", f"/export/view/{flights}", params=iso)
    assert answer.text == 'Id,On,Late,Delay,Note\n1,2024-10-25,TRUE,2.50,\n2,,FALSE,,"a;b, ""c""\nd"\n'


def test_the_v1_address_always_writes_iso_dates(caller: Caller, flights: str) -> None:
    answer = caller.call("GET", f"/v1/export/view/{flights}", params={"dateFormat": "Legacy"})
    assert "1;2024-10-25;TRUE" in answer.text


def test_dates_of_a_metric_have_a_time_in_the_older_format(caller: Caller) -> None:
    application = caller.pigment.application("Airline")
    origins = caller.pigment.block(application, "Origins", "DimensionList", {"Name": "text"})
    metric = caller.pigment.block(application, "Opened", "Metric")
    columns = [BlockColumn("Origin", "dimension", to=origins, missing="create"), BlockColumn("Opened", "date")]
    caller.imported(caller.pigment.configuration(metric, columns), "Origin,Opened\nJFK,2024-10-25\n")
    view = caller.pigment.view(metric, "Export")
    assert caller.call("GET", f"/export/view/{view}").text == "Origin;Opened\nJFK;10/25/2024 00:00:00 +00:00\n"
    iso = caller.call("GET", f"/export/view/{view}", params={"dateFormat": "Iso8601"})
    assert iso.text == "Origin;Opened\nJFK;2024-10-25\n"


def test_an_empty_list_is_exported_as_a_header(caller: Caller) -> None:
    caller.flights()
    view = caller.pigment.view(caller.pigment.blocks()[0].id, "Export")
    assert caller.call("GET", f"/export/view/{view}").text == "Id;Origin\n"


def test_views_are_listed_by_application_and_block(caller: Caller) -> None:
    caller.flights()
    (block,) = caller.pigment.blocks()
    public = caller.pigment.view(block.id, "Export")
    personal = caller.pigment.view(block.id, "Mine", kind="Personal")
    listed = [
        {"id": public, "name": "Export", "type": "Public"},
        {"id": personal, "name": "Mine", "type": "Personal"},
    ]
    asked = {"applicationId": block.application, "blockId": block.id}
    assert caller.call("GET", "/v1/views", params=asked).json() == listed
    assert caller.call("GET", "/v1/views", params={"blockId": public}).json() == []
    assert caller.pigment.view(block.id, "Export") == public


def test_a_view_that_cannot_be_exported_is_refused(caller: Caller, flights: str) -> None:
    def refused(path: str, **how: str) -> tuple[int, str]:
        answer = caller.call("GET", path, **how)
        return answer.status_code, answer.text

    assert refused("/export/view/no-uuid")[0] == 400
    assert refused(f"/export/view/{flights}?dateFormat=Oldest")[0] == 400
    assert refused(f"/export/view/{flights}?fieldDelimiter=%3B")[0] == 400
    assert refused(f"/export/view/{caller.pigment.blocks()[0].id}") == (404, "View with the specified ID was not found")
    assert refused(f"/export/view/{flights}", key=caller.pigment.key(["Import", "Modeling metadata"]))[0] == 401
    caller.pigment.view_limit_rows = 2
    assert refused(f"/export/view/{flights}")[0] == 200
    caller.pigment.view_limit_rows = 1
    too_big = "View is too big to be exported. Use block export API instead."
    assert refused(f"/export/view/{flights}") == (413, too_big)
    board = caller.pigment.view(caller.pigment.blocks()[0].id, "Chart", exportable=False)
    status, text = refused(f"/export/view/{board}")
    assert status == 422
    assert "The view underlying type is not list, metric or table" in text


def test_views_and_their_rows_survive_a_restart(tmp_path: Path) -> None:
    with called(tmp_path / "root") as first:
        view = first.pigment.view(guide(first, tmp_path), "Export")
    with called(tmp_path / "root") as second:
        second.key = first.key
        assert second.call("GET", f"/export/view/{view}").text == GUIDE


def test_rows_are_exported_in_the_order_of_their_import(caller: Caller) -> None:
    sent = "Id,Note\n" + "".join(f"{n},row {n}\n" for n in range(100_000))
    configuration = caller.flights(BlockColumn("Id", "integer"), "Note")
    caller.imported(configuration, sent)
    view = caller.pigment.view(caller.pigment.blocks()[0].id, "Export")
    assert caller.call("GET", f"/export/view/{view}", params={"fieldDelimiter": "Comma"}).text == sent


TEXTS = st.text(st.sampled_from(string.ascii_letters + string.digits + " ;,\"'\n\r\téЖ日\u00a0"), max_size=12)
# Pigment stores nothing for an empty cell, so the file has a blank.
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), TEXTS, TEXTS), max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, delimiter=st.sampled_from(["Comma", "Semicolon"]))
def test_any_text_is_exported_unchanged(caller: Caller, rows: list[tuple[int, str, str]], delimiter: str) -> None:
    sent = io.StringIO(newline="")
    writer = csv.writer(sent, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("Id", "Origin", "Note"), *rows])
    configuration = caller.flights(BlockColumn("Id", "integer"), "Origin", "Note", unique=["Id"], clear="all")
    (block,) = caller.pigment.blocks()
    ended = caller.imported(configuration, sent.getvalue())
    if ended.status == "Failed":
        assert ended.errors[0].name == "DuplicateUniqueIdentifier"
        return
    view = caller.pigment.view(block.id, "Export")
    answer = caller.call("GET", f"/v1/export/view/{view}", params={"fieldDelimiter": delimiter})
    text = answer.content.decode()
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter="," if delimiter == "Comma" else ";", strict=True))
    assert found[0] == ["Id", "Origin", "Note"]
    assert sorted(found[1:]) == sorted([str(number), origin, note] for number, origin, note in rows)
