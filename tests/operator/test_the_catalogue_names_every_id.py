"""`bridge applications`, `blocks`, `views` and `configurations`: Pigment's ids, for bridge.yaml to name."""

import json
import random
import re
import uuid

import pytest
import yaml

from common.platform.errors import BridgeFileInvalid, MalformedRequest
from common.runs.instance import Instance
from local import catalogue
from tests.support.served import run, write_files
from tests.support.world import CONFIGURATION, EXPORT_KEY, PIGMENT_KEY, VIEW, World


@pytest.fixture
def prepared(world: World) -> World:
    """A workspace of two applications, and a bridge.yaml whose only export is not written out yet."""
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    finance = world.pigment.application("Finance")
    world.pigment.configuration(world.pigment.block(finance, "Cost", "DimensionList"), ["Id"], name="Cost import")
    margin = world.pigment.block(finance, "Margin", "Metric")
    world.pigment.view(margin, "For the bridge", uuid=VIEW)
    world.pigment.view(margin, "[Mine]", kind="Personal")
    world.raw["exports"] = {"margin": {"path": "margin.csv", "source": {"metric": "which?"}}}
    write_files(world)
    return world


def bridge(world: World, *arguments: str) -> tuple[int, str, str]:
    process = run(world, *arguments, "--state", "home")
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def listed(world: World, kind: catalogue.Kind, application: str = "", block: str = "") -> list[catalogue.Item]:
    where = catalogue.where(world.folder / "bridge.yaml")
    with catalogue.opened(where, Instance(world.clock, random.Random(1))) as (pigment, _):
        return pigment.listed(kind, application, block).items


def names(found: list[catalogue.Item]) -> list[str]:
    return [each.name for each in found]


def test_a_person_reads_names_ids_and_what_an_id_is_good_for(prepared: World) -> None:
    status, output, errors = bridge(prepared, "blocks", "--application", "finance")

    assert (status, errors) == (0, "")
    header, cost, margin, _, use = output.splitlines()
    assert header.split() == ["name", "type", "id", "application"]
    assert cost.split()[:2] == ["Cost", "DimensionList"]
    assert margin.split()[-1] == "Finance"
    assert uuid.UUID(margin.split()[2])
    assert "{metric: ID}" in use


def test_a_program_reads_json(prepared: World) -> None:
    status, output, _ = bridge(prepared, "configurations", "--block", "Flights", "--json")

    assert status == 0
    assert json.loads(output) == [
        {"name": "Flights import", "id": CONFIGURATION, "block": "Flights", "application": "Planning"}
    ]


def test_everything_is_listed_with_where_it_is(prepared: World) -> None:
    assert names(listed(prepared, "applications")) == ["Planning", "Finance"]
    assert {(each.name, each.type, each.application) for each in listed(prepared, "blocks")} == {
        ("Flights", "TransactionList", "Planning"),
        ("Cost", "DimensionList", "Finance"),
        ("Margin", "Metric", "Finance"),
    }
    assert {(each.name, each.block) for each in listed(prepared, "configurations")} == {
        ("Flights import", "Flights"),
        ("Cost import", "Cost"),
    }


def test_names_and_ids_narrow_it_down(prepared: World) -> None:
    application = listed(prepared, "applications")[1].id
    block = next(each.id for each in listed(prepared, "blocks") if each.name == "Cost")

    assert names(listed(prepared, "blocks", application.upper())) == ["Cost", "Margin"]
    assert names(listed(prepared, "configurations", "Finance")) == ["Cost import"]
    assert names(listed(prepared, "configurations", block="FLIGHTS")) == ["Flights import"]
    assert names(listed(prepared, "configurations", block=block)) == ["Cost import"]
    assert listed(prepared, "configurations", "Planning", "Flights")[0].id == CONFIGURATION


def test_views_come_with_the_block_they_show(prepared: World) -> None:
    first, second = listed(prepared, "views")
    _, output, _ = bridge(prepared, "views", "--block", "Margin")

    assert first == catalogue.Item("For the bridge", VIEW, "Public", "Margin", "Finance")
    assert (second.name, second.type) == ("[Mine]", "Personal")
    assert "[Mine] Personal" in re.sub(" +", " ", output)
    assert "source: {view: ID}" in output


def test_a_name_that_is_not_there_says_which_may_be_meant(prepared: World) -> None:
    with pytest.raises(MalformedRequest, match="no application named 'Finances'") as application:
        listed(prepared, "blocks", "Finances")
    with pytest.raises(MalformedRequest, match="no block named 'x'") as block:
        listed(prepared, "views", "", "x")

    assert application.value.next_step.startswith("Write 'Finance', if that is meant; `bridge applications`")
    assert block.value.next_step == "`bridge blocks` shows those there are."


def test_the_import_key_is_tried_where_the_export_key_lacks_the_scope(prepared: World) -> None:
    prepared.pigment.key(["Export"], EXPORT_KEY)
    prepared.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)

    assert names(listed(prepared, "applications")) == ["Planning", "Finance"]


def test_a_secret_that_is_not_there_does_not_keep_the_other_key_from_looking(prepared: World) -> None:
    prepared.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    prepared.secrets.deny("pigment-export-key")

    assert names(listed(prepared, "applications")) == ["Planning", "Finance"]


def test_without_the_scope_it_says_which_one_to_add_and_to_what(prepared: World) -> None:
    prepared.pigment.key(["Export"], EXPORT_KEY)

    status, output, errors = bridge(prepared, "views")

    assert (status, output) == (1, "")
    assert errors.startswith("error: pigment_key_refused\n")
    assert "the scope Modeling metadata" in errors
    assert "pigment-export-key or pigment-import-key" in errors
    assert EXPORT_KEY not in errors
    assert PIGMENT_KEY not in errors


def test_a_bridge_yaml_that_names_no_key_is_told_so(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text(yaml.safe_dump({"pigment": {"url": prepared.pigment_server.url}}))

    with pytest.raises(BridgeFileInvalid, match="pigment: names no key"):
        listed(prepared, "applications")


def test_a_workspace_too_big_to_walk_through_is_not_called_whole(prepared: World) -> None:
    attic = prepared.pigment.application("Attic")
    for number in range(299):
        prepared.pigment.block(attic, f"Block {number}")

    status, output, errors = bridge(prepared, "configurations", "--json")

    assert status == 0
    assert [each["name"] for each in json.loads(output)] == ["Flights import", "Cost import"]
    assert "Only the first 300 blocks" in errors
