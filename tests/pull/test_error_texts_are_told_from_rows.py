"""An error text that Looker writes in place of a row is refused; a row that begins like one lands."""

from datetime import datetime

import pytest

from common.platform.errors import QueryFailed
from common.tables.check import Checked, Checker, Contract
from tests.support.trips import Trip, Trips
from tests.support.world import PULL_RUN, ROWS, World

ERRORS = [
    "java.sql.SQLException: Lost contact with the server",
    "com.mysql.jdbc.exceptions.jdbc4.CommunicationsException: Communications link failure",
    "net.snowflake.client.jdbc.SnowflakeSQLException: JWT token is invalid",
    "SQLSyntaxErrorException: no such column",
    "Query was killed",
    "Query execution was interrupted",
    "The query was cancelled by an administrator",
    "ERROR 1317 (70100): Query execution was interrupted",
    "ERROR: canceling statement due to user request",
    "canceling statement due to statement timeout",
    "FATAL: terminating connection due to administrator command",
    "Communications link failure",
    "Lost connection to MySQL server during query",
    "server closed the connection unexpectedly",
    "[Simba][BigQueryJDBCDriver](100032) Error executing query job.",
    "ORA-01013: user requested cancel of current operation",
    "Query failed with error: resources exceeded",
    "An unexpected error occurred",
    "Error: connection severed",
    "SQL Error: connection severed",
]


def check(content: str, *, accepts: bool = False) -> Checked:
    checker = Checker(Contract(accepts_error_text=accepts))
    checker.feed(content.encode())
    return checker.finish()


# Texts of the header's own width.


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("rows", ["Late\nOn time\n", "1\n2\n", ""], ids=["texts", "numbers", "none"])
def test_a_text_after_the_rows_of_one_column_is_refused(error: str, rows: str) -> None:
    with pytest.raises(QueryFailed, match="put an error text after row"):
        check(f"Flights Delay\n{rows}{error}\n")


@pytest.mark.parametrize("error", ERRORS)
def test_a_text_in_the_first_cell_of_a_row_is_refused(error: str) -> None:
    quoted = f'"{error}"' if "," in error else error
    for row in (f"{quoted},,,", f",,,{quoted}", f"{quoted}, one, two, three"):
        with pytest.raises(QueryFailed, match="put an error text after row 2"):
            check(f"Day,Carrier,Origin,Delay\n2013-01-01,UA,EWR,2\n2013-01-02,AA,LGA,\n{row}\n")


def test_a_text_in_the_place_of_a_number_is_refused() -> None:
    with pytest.raises(QueryFailed, match="after row 1"):
        check("Day,Delay\n2013-01-01,2\n2013-01-02,java.sql.SQLException: broken\n")


@pytest.mark.parametrize(
    "text",
    [
        "java.sql.SQLException: broken\n\tat com.mysql.Driver.connect(Driver.java:12)\n\t... 12 more\n",
        "\nSQL Error: broken\nplease try again later\n",
    ],
    ids=["stack", "lines"],
)
def test_the_lines_of_a_text_after_numbers_of_one_column_are_refused(text: str) -> None:
    with pytest.raises(QueryFailed, match="error text"):
        check("Flights Delay\n" + "1\n" * 20 + text)


def test_a_text_is_found_wherever_blocks_end() -> None:
    for error in ("Query was killed\n", "java.sql.SQLException: x\n\tat a.B.c(D.java:1)\n"):
        checker = Checker(Contract())
        for sign in f"Flights Delay\n7\n8\n{error}":
            checker.feed(sign.encode())
        with pytest.raises(QueryFailed):
            checker.finish()


def test_a_killed_query_of_one_column_does_not_land(world: World) -> None:
    world.looker.look("12", "Carriers", "nyc", "flights", ["flights.carrier"])
    world.looker_server.fault(PULL_RUN, append=b"Query was killed\n")

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (502, "query_failed"), answer.body
    assert "guards.accept_error_text: true" in answer.error["next_step"]
    assert world.imports == []


# Rows that begin like an error text.


@pytest.mark.parametrize(
    "rows",
    [
        "disk full,3\nError: disk full,17\n",
        "disk full,3\njava.sql.SQLException: broken,17\n",
        "disk full,2013-01-01\nQuery was killed,2013-01-02\n",
        'disk full,"1,200"\n"Error: one, two",17\n',
        "disk full,Yes\nException: x,No\n",
        "disk full,UA\nfine,AA\nError: disk full,UA\n",
        "2013-01-01,3\nError: no date,17\n",
    ],
)
def test_a_last_row_whose_other_cells_are_like_those_before_is_data(rows: str) -> None:
    assert check(f"Log Message,Log Value\n{rows}").rows == rows.count("\n")


@pytest.mark.parametrize("last", ["A18,Error: disk full", '7,"Query was killed"', "Terror: a film,b", "Terrorism,c"])
def test_a_text_after_the_first_cell_of_a_row_is_data(last: str) -> None:
    assert check(f"Log Id,Log Message\nA17,fine\n{last}\n").rows == 2


def test_a_row_in_the_middle_is_data() -> None:
    assert check("Log Message\nError: disk full\nfine\n").rows == 2
    assert check("Log Message\nQuery was killed\n7\n").rows == 2


def test_a_last_row_that_begins_like_an_error_lands(world: World) -> None:
    world.put_flights([["Error: no day", *ROWS[0][1:]], *([f"day {number}", "UA", "EWR", "2"] for number in range(3))])
    world.looker.look(
        "12",
        "Flights",
        "nyc",
        "flights",
        ["flights.day", "flights.carrier", "flights.origin", "flights.delay"],
        sorts=["flights.day desc"],
    )

    answer = world.run_pull("flights")

    assert answer.status == 200, answer.body
    assert world.landed_rows()[-1][0] == "Error: no day"


@pytest.mark.parametrize("load", ["full", "changes", "incremental"])
def test_a_job_accepts_what_only_a_person_can_tell(world: World, load: str) -> None:
    note = "Error: only a note"
    trips = Trips(world, repeatable=True)
    trips.put([Trip(1, datetime.fromisoformat("2026-01-01"), note)])
    world.looker.look("trips", "Trips", "nyc", "trips", ["trips.note", "trips.id"])
    job = world.raw["pulls"]["trips"]
    if load != "incremental":
        job["load"] = {"changes": {"key": ["Trips Id"]}} if load == "changes" else "full"
    world.save_jobs()

    assert world.run_pull("trips").code == "query_failed"

    job["guards"] = {"accept_error_text": True}
    world.save_jobs()
    answer = world.run_pull("trips")

    assert answer.status == 200, answer.body
    assert list(trips.landed()) == [(1, note)]


@pytest.mark.parametrize("rows", ["3,Error\n4\nError: x\n", '"Error: x\n'])
def test_what_is_not_a_whole_row_is_refused_in_any_case(rows: str) -> None:
    with pytest.raises(Exception, match=r"error text|fields|middle"):
        check(f"a,b\n{rows}", accepts=True)
