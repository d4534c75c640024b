"""`bridge check` looks up the view, list, metric or table of each export without starting an export."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.runs.instance import Instance
from local import checks
from local.checks import Finding
from local.sandbox.wire import Response
from tests.support.world import EXPORT_KEY, PIGMENT_KEY, VIEW, World

UNKNOWN = "11111111-2222-4333-8444-555555555555"
SOURCE = "exports.revenue.source"
OLD_KEY = "0b9c1d3e-5a77-4c1f-9b1e-d3c5a1f0e2b4"


@pytest.fixture
def margin(world: World) -> str:
    """Add a metric with one view, and an export key with the scope to list both."""
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    margin = world.pigment.block(world.pigment.application("Finance"), "Margin", "Metric")
    world.pigment.view(margin, "For the bridge", uuid=VIEW)
    return margin


def check(world: World, **export: Any) -> dict[str, Finding]:
    """The findings about the export `revenue` and the export key, by subject."""
    world.add_export("revenue", **export)
    return {
        each.subject: each for each in findings_of(world) if each.subject.startswith(("exports.", "pigment.export"))
    }


def findings_of(world: World) -> Iterator[Finding]:
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    return checks.findings(world.folder / "bridge.yaml", Instance(world.clock, random.Random(1)))


def test_a_known_id_is_green_and_named(world: World, margin: str) -> None:
    seen = check(world, fallback={"metric": margin})

    assert {each.colour for each in seen.values()} == {"green"}
    assert seen[f"{SOURCE}.view"].what == "The id belongs to the view For the bridge, in Finance."
    assert seen["exports.revenue.fallback.metric"].what == "The id belongs to the metric Margin, in Finance."


def test_no_export_is_started(world: World, margin: str) -> None:
    check(world, fallback={"metric": margin})

    asked = [each.path for each in world.pigment_server.exchanges if "/export/" in each.path]
    assert asked, "the key is tried with an unknown view"
    assert not [path for path in asked if margin in path or VIEW in path]
    assert {each.method for each in world.pigment_server.exchanges} == {"GET"}


@pytest.mark.parametrize("kind", ["view", "list", "metric", "table"])
def test_an_unknown_id_is_red_and_names_the_command_that_lists_ids(world: World, margin: str, kind: str) -> None:
    assert margin
    finding = check(world, source={kind: UNKNOWN})[f"{SOURCE}.{kind}"]

    assert finding.colour == "red"
    assert finding.what == f"Pigment shows no {kind} with this id to the owner of the export key."
    assert finding.next_step == f"`bridge {'views' if kind == 'view' else 'blocks'}` lists all ids."


def test_an_id_of_another_kind_is_red_and_names_the_kind(world: World, margin: str) -> None:
    finding = check(world, source={"table": margin})[f"{SOURCE}.table"]

    assert finding.colour == "red"
    assert finding.what == "The id belongs to the metric Margin, in Finance. It is not a table."
    assert finding.next_step == "Write metric: instead of table: if this is the right id."


def test_a_block_that_is_read_back_is_looked_up(world: World, margin: str) -> None:
    world.raw["pulls"]["flights"]["verify"] = {"source": {"list": margin}, "key": ["Flights Day"]}

    (finding,) = [each for each in findings_of(world) if each.subject == "pulls.flights.verify.source.list"]

    assert (finding.colour, finding.next_step) == ("red", "Write metric: instead of list: if this is the right id.")


def test_a_list_of_known_items_is_looked_up(world: World, margin: str) -> None:
    carriers = world.pigment.block(world.pigment.application("Finance"), "Carriers", "DimensionList")
    columns = {"Carrier": {"list": carriers, "property": "Code"}, "Flight delay": {"list": margin, "property": "Code"}}
    world.add_pull("flights", known={"columns": columns})

    seen = {each.subject: each for each in findings_of(world) if ".known." in each.subject}

    assert seen["pulls.flights.known.columns.Carrier.list"].what == "The id belongs to the list Carriers, in Finance."
    assert seen["pulls.flights.known.columns.'Flight delay'.list"].what == (
        "The id belongs to the metric Margin, in Finance. It is not a list."
    )


def only_exports(world: World) -> None:
    world.pigment.key(["Export"], EXPORT_KEY)


def only_exports_of_the_old_format(world: World) -> None:
    world.pigment.key(["Export"], OLD_KEY)
    world.secrets.put("pigment-export-key", OLD_KEY)


def busy_lists(world: World) -> None:
    world.pigment_server.fault("GET /api/v1/blocks", times=-1, refuse=Response(429))


@pytest.mark.parametrize(
    ("arrange", "why"),
    [
        (only_exports, "no key has the scope Modeling metadata"),
        (only_exports_of_the_old_format, "no key has the scope Modeling metadata"),
        (busy_lists, "429"),
    ],
)
def test_an_id_that_cannot_be_checked_is_yellow_and_names_the_preview(
    world: World, margin: str, arrange: Callable[[World], None], why: str
) -> None:
    arrange(world)

    finding = check(world, source={"metric": margin})[f"{SOURCE}.metric"]

    assert finding.colour == "yellow"
    assert why in finding.what
    assert "`bridge export revenue --preview`" in finding.next_step


def test_the_import_key_is_used_if_the_export_key_lacks_the_scope(world: World, margin: str) -> None:
    only_exports(world)
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)

    assert check(world, source={"metric": margin})[f"{SOURCE}.metric"].colour == "green"
    not_shown = check(world, source={"metric": UNKNOWN})[f"{SOURCE}.metric"]
    assert not_shown.colour == "yellow"
    assert "the owner of the import key" in not_shown.what
    assert "`bridge export revenue --preview`" in not_shown.next_step


def test_an_export_key_of_the_old_format_is_yellow(world: World, margin: str) -> None:
    only_exports_of_the_old_format(world)

    key = check(world, source={"metric": margin})["pigment.export_key"]

    assert key.colour == "yellow"
    assert "old format" in key.what
    assert "scope Export" in key.next_step
    assert OLD_KEY not in str(key)


def test_without_an_accepted_key_no_id_is_looked_up(world: World, margin: str) -> None:
    world.pigment.revoke(EXPORT_KEY)
    world.pigment.revoke(PIGMENT_KEY)

    seen = check(world, source={"metric": margin})

    assert seen["pigment.export_key"].colour == "red"
    assert f"{SOURCE}.metric" not in seen


def test_a_probe_in_the_bucket_of_an_export_is_deleted_again(world: World, margin: str) -> None:
    world.storage.create_bucket("analytics")

    seen = check(world, source={"metric": margin}, bucket="analytics")
    missing = check(world, source={"metric": margin}, bucket="nowhere")

    assert seen["exports.revenue.bucket"].colour == "green"
    assert list(world.bucket.beside("analytics").names("")) == []
    assert missing["exports.revenue.bucket"].colour == "red"


def test_another_block_than_the_import_fills_is_yellow(world: World) -> None:
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    planning = world.pigment.application("Planning")
    filled, other = (world.pigment.block(planning, name) for name in ("Filled", "Other"))
    target = {"configuration": world.pigment.configuration(filled, ["Id"], unique=["Id"]), "repeatable": True}
    subject = "pulls.flights.verify.source.list"

    for block, colours in ((filled, ["green"]), (other, ["yellow", "green"])):
        world.add_pull("flights", target=target, verify={"source": {"list": block}, "key": ["Id"]})
        found = [each for each in findings_of(world) if each.subject == subject]
        assert [each.colour for each in found] == colours

    assert found[0].what == "The import fills another block than this list: Filled in Planning."
    assert filled in found[0].next_step
