"""A name in bridge.yaml can look like Looker's and be another one: the error shows the difference and the spelling."""

import json
from collections.abc import Sequence

import pytest

from common.platform import lookalikes
from local import checks
from tests.support.trips import Trips
from tests.support.world import HEADER, PULL_RUN, World, delivery

NAME = "Flights Origin"

ALIKE: list[tuple[str, str, Sequence[str], str]] = [
    (NAME, "Flights\u00a0Origin", ["U+0020 (space)", "U+00A0 (no-break space)"], r"Flights\u00A0Origin"),
    ("Flights\u00a0Origin", NAME, ["U+00A0 (no-break space)"], NAME),
    (NAME, f"{NAME} ", ["U+0020 (space)", "at the end"], f"{NAME} "),
    (f"{NAME} ", NAME, ["U+0020 (space)", "at the end"], NAME),
    (NAME, f"\u2060{NAME}", ["U+2060 (word joiner)", "at the beginning"], rf"\u2060{NAME}"),
    (NAME, "Flights\u200b Origin", ["U+200B (zero width space)", "after `Flights`"], r"Flights\u200B Origin"),
    (NAME, "Flights  Origin", ["U+0020 (space)"], "Flights  Origin"),
    (NAME, "flights ORIGIN", ["upper and lower case"], "flights ORIGIN"),
    ("Réseau", "Re\u0301seau", ["U+00E9", "U+0065 U+0301"], r"Re\u0301seau"),
    ("Re\u0301seau", "Réseau", ["U+0065 U+0301", "U+00E9"], "Réseau"),
    ("Cost", "\u0421ost", ["U+0043", "U+0421 (cyrillic capital letter es)"], "\u0421ost"),
    ("On-time", "On\u2010time", ["U+002D", "U+2010 (hyphen)"], "On\u2010time"),
]
EACH = pytest.mark.parametrize(("written", "existing", "shown", "spelling"), ALIKE)


@EACH
def test_a_column_of_a_pull(world: World, written: str, existing: str, shown: Sequence[str], spelling: str) -> None:
    world.add_pull("flights", target={"columns": {"Flights Day": "Flights Day", written: NAME}})
    world.looker_server.fault(PULL_RUN, replace=f"x,Flights Day,{existing},y\n1,2,3,4\n".encode())

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (422, "columns_changed"), answer.body
    for words in ("looks like", *shown):
        assert words in answer.error["message"]
    assert f'"{spelling}"' in answer.error["next_step"]
    assert world.imports == []


def test_a_column_of_a_relay(world: World) -> None:
    world.add_relay("sales", target={"columns": {"Id": "Id", "Amount ": "Amount"}})
    world.post_delivery("sales", delivery(("1", "1")))

    assert world.run_deliver().body["dead"] == 1

    error = world.receipts("sales")[0]["error"]
    assert '"Amount " looks like "Amount", but has one more U+0020 (space) at the end.' in error["message"]
    assert 'write "Amount" for "Amount "' in error["next_step"]


def test_a_key_of_changes(world: World) -> None:
    world.add_pull("flights", load={"changes": {"key": ["Flights day"]}}, target={"repeatable": True})

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (422, "columns_changed")
    assert '"Flights day" looks like "Flights Day"' in answer.error["message"]
    assert '"Flights Day" for "Flights day"' in answer.error["next_step"]


def test_a_key_that_is_not_as_in_columns_is_found_before_anything_runs(world: World) -> None:
    columns = {name: name for name in HEADER}
    world.add_pull("flights", load={"changes": {"key": ["Flights\u00a0Day"]}}, target={"columns": columns})

    answer = world.run_pull("flights")

    assert answer.code == "bridge_file_invalid"
    assert "U+00A0 (no-break space)" in answer.error["message"]
    assert '"Flights Day"' in answer.error["message"]


@pytest.mark.parametrize(
    ("cursor", "words"),
    [
        ("Trips.Updated", "upper and lower case"),
        ("trips.updated\u200b", "U+200B (zero width space) at the end"),
        ("Trips Updated", "Trips Updated is the label of trips.updated"),
    ],
)
def test_a_cursor(world: World, cursor: str, words: str) -> None:
    Trips(world, repeatable=True, cursor=cursor)

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "cursor_unfit"), answer.body
    assert words in answer.error["message"]
    assert '"trips.updated"' in answer.error["next_step"]


def test_a_cursor_whose_header_is_not_its_label(world: World) -> None:
    """The label comes from the explore, not from bridge.yaml: nobody can spell it otherwise there."""
    trips = Trips(world, repeatable=True)
    world.looker_server.fault(PULL_RUN, times=-1, replace="Trips Id,Trips Note,Trips\u00a0Updated\n".encode())

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "columns_changed"), answer.body
    assert "U+00A0 (no-break space)" in answer.error["message"]
    assert "LookML" in answer.error["next_step"]
    assert trips.landed().total() == 0


def test_bridge_check_shows_the_difference_too(world: World) -> None:
    world.add_pull("flights", source={"look": "12", "filters": {"flights.origin\u00ad": "JFK"}})
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))

    findings = checks.findings(world.folder / "bridge.yaml", world.instance)

    (found,) = [each for each in findings if each.subject == "pulls.flights.source.filters"]
    assert "U+00AD (soft hyphen) at the end" in found.what
    assert '"flights.origin"' in found.next_step


@pytest.mark.parametrize("other", ["Flights Origins", "Origin", "Flights_Origin", "Resèau"])
def test_other_names_do_not_look_the_same(other: str) -> None:
    assert lookalikes.of([NAME, "Réseau"], [other]) == []


def test_a_name_that_exists_has_no_lookalike() -> None:
    assert lookalikes.of([NAME], [NAME.lower(), NAME]) == []


def test_of_several_the_nearest_is_offered() -> None:
    (found,) = lookalikes.of([NAME], ["FLIGHTS ORIGIN", f"{NAME} ", "flights\u00a0origin"])

    assert found.existing == f"{NAME} "
