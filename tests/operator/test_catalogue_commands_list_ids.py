"""`bridge applications`, `blocks`, `views` and `configurations` list the IDs in Pigment that bridge.yaml needs."""

import json
import random
import re
import uuid

import pytest
import yaml

from common.platform.errors import BridgeFileInvalid, MalformedRequest
from common.runs.instance import Instance
from local import catalogue
from tests.support.command_line import run, run_process
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, EXPORT_KEY, PIGMENT_KEY, VIEW, World


@pytest.fixture
def prepared(world: World) -> World:
    """Set up a workspace with two applications, and a bridge.yaml with one unfinished export."""
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    finance = world.pigment.application("Finance")
    world.pigment.configuration(world.pigment.block(finance, "Cost", "DimensionList"), ["Id"], name="Cost import")
    margin = world.pigment.block(finance, "Margin", "Metric")
    world.pigment.view(margin, "For the bridge", uuid=VIEW)
    world.pigment.view(margin, "[Mine]", kind="Personal")
    world.raw["exports"] = {"margin": {"path": "margin.csv", "source": {"metric": "which?"}}}
    write_files(world)
    return world


def listed(
    world: World, kind: catalogue.CatalogueKind, application: str = "", block: str = ""
) -> list[catalogue.CatalogueEntry]:
    settings = catalogue.read_settings(world.folder / "bridge.yaml")
    with catalogue.open_catalogue(settings, Instance(world.clock, random.Random(1))) as (pigment, _):
        return pigment.listing(kind, application, block).entries


def names(found: list[catalogue.CatalogueEntry]) -> list[str]:
    return [each.name for each in found]


@pytest.mark.long
def test_the_table_has_names_and_ids_and_says_how_to_use_them(prepared: World) -> None:
    status, output, errors = run_process(prepared, "blocks", "--application", "finance")

    assert (status, errors) == (0, "")
    header, cost, margin, _, use = output.splitlines()
    assert header.split() == ["name", "type", "id", "application"]
    assert cost.split()[:2] == ["Cost", "DimensionList"]
    assert margin.split()[-1] == "Finance"
    assert uuid.UUID(margin.split()[2])
    assert "{metric: ID}" in use


def test_json_has_names_ids_and_places(prepared: World) -> None:
    status, output, _ = run(prepared, "configurations", "--block", "Flights", "--json")

    assert status == 0
    assert json.loads(output) == [
        {"name": "Flights import", "id": CONFIGURATION, "block": "Flights", "application": "Planning"}
    ]


def test_everything_is_listed_with_its_block_and_application(prepared: World) -> None:
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


def test_names_and_ids_filter_the_list(prepared: World) -> None:
    application = listed(prepared, "applications")[1].id
    block = next(each.id for each in listed(prepared, "blocks") if each.name == "Cost")

    assert names(listed(prepared, "blocks", application.upper())) == ["Cost", "Margin"]
    assert names(listed(prepared, "configurations", "Finance")) == ["Cost import"]
    assert names(listed(prepared, "configurations", block="FLIGHTS")) == ["Flights import"]
    assert names(listed(prepared, "configurations", block=block)) == ["Cost import"]
    assert listed(prepared, "configurations", "Planning", "Flights")[0].id == CONFIGURATION


def test_views_are_listed_with_their_block(prepared: World) -> None:
    first, second = listed(prepared, "views")
    _, output, _ = run(prepared, "views", "--block", "Margin")

    assert first == catalogue.CatalogueEntry("For the bridge", VIEW, "Public", "Margin", "Finance")
    assert (second.name, second.type) == ("[Mine]", "Personal")
    assert "[Mine] Personal" in re.sub(" +", " ", output)
    assert "source: {view: ID}" in output


def test_an_unknown_name_is_an_error_that_suggests_a_similar_one(prepared: World) -> None:
    with pytest.raises(MalformedRequest, match="no application named 'Finances'") as application:
        listed(prepared, "blocks", "Finances")
    with pytest.raises(MalformedRequest, match="no block named 'x'") as block:
        listed(prepared, "views", "", "x")

    assert application.value.next_step == "Did you mean 'Finance'? `bridge applications` lists all applications."
    assert block.value.next_step == "`bridge blocks` lists all blocks."


def test_the_import_key_is_used_if_the_export_key_lacks_the_scope(prepared: World) -> None:
    prepared.pigment.key(["Export"], EXPORT_KEY)
    prepared.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)

    assert names(listed(prepared, "applications")) == ["Planning", "Finance"]


def test_the_other_key_is_used_if_a_secret_cannot_be_read(prepared: World) -> None:
    prepared.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    prepared.secrets.deny("pigment-export-key")

    assert names(listed(prepared, "applications")) == ["Planning", "Finance"]


def test_the_error_for_a_missing_scope_names_the_scope_and_the_secrets(prepared: World) -> None:
    prepared.pigment.key(["Export"], EXPORT_KEY)

    status, output, errors = run(prepared, "views")

    assert (status, output) == (1, "")
    assert errors.startswith("error: pigment_key_refused\n")
    assert "the scope Modeling metadata" in errors
    assert "pigment-export-key or pigment-import-key" in errors
    assert EXPORT_KEY not in errors
    assert PIGMENT_KEY not in errors


def test_a_bridge_yaml_without_a_key_is_invalid(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text(yaml.safe_dump({"pigment": {"url": prepared.pigment_server.url}}))

    with pytest.raises(BridgeFileInvalid, match="pigment: names no key"):
        listed(prepared, "applications")


def test_a_list_of_the_first_blocks_only_is_called_incomplete(prepared: World) -> None:
    attic = prepared.pigment.application("Attic")
    for number in range(299):
        prepared.pigment.block(attic, f"Block {number}")

    status, output, errors = run(prepared, "configurations", "--json")

    assert status == 0
    assert [each["name"] for each in json.loads(output)] == ["Flights import", "Cost import"]
    assert errors.startswith("The list is incomplete: only the first 300 blocks were read.")


def test_an_empty_list_says_so(world: World) -> None:
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    write_files(world)

    assert run(world, "views").output == "The key's owner sees no views here.\n"
    assert json.loads(run(world, "views", "--json").output) == []
