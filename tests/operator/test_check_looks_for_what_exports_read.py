"""`bridge check` looks for the view, list, metric or table of each export, and starts no export to find out."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from common.runs.instance import Instance
from local.checking import Finding, every_finding
from local.sandbox.wire import Response
from tests.support.world import EXPORT_KEY, PIGMENT_KEY, VIEW, World

UNKNOWN = "11111111-2222-4333-8444-555555555555"
SOURCE = "exports.revenue.source"
OLD_KEY = "0b9c1d3e-5a77-4c1f-9b1e-d3c5a1f0e2b4"


@pytest.fixture
def margin(world: World) -> str:
    """A metric of a workspace that shows one view besides, to an export key that may look."""
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    margin = world.pigment.block(world.pigment.application("Finance"), "Margin", "Metric")
    world.pigment.view(margin, "For the bridge", uuid=VIEW)
    return margin


def found(world: World, **export: Any) -> dict[str, Finding]:
    """What is found of an export and of the export key, by the place in bridge.yaml."""
    world.export("revenue", **export)
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    findings = every_finding(world.folder / "bridge.yaml", Instance(world.clock, random.Random(1)))
    return {each.subject: each for each in findings if each.subject.startswith(("exports.", "pigment.export"))}


def test_it_names_what_the_ids_stand_for(world: World, margin: str) -> None:
    seen = found(world, fallback={"metric": margin})

    assert {each.colour for each in seen.values()} == {"green"}
    assert seen[f"{SOURCE}.view"].what == "It is the view For the bridge, in Finance."
    assert seen["exports.revenue.fallback.metric"].what == "It is the metric Margin, in Finance."


def test_no_export_is_started(world: World, margin: str) -> None:
    found(world, fallback={"metric": margin})

    asked = [each.path for each in world.pigment_server.exchanges if "/export/" in each.path]
    assert asked, "the key is tried on a view that never was"
    assert not [path for path in asked if margin in path or VIEW in path]
    assert {each.method for each in world.pigment_server.exchanges} == {"GET"}


@pytest.mark.parametrize("kind", ["view", "list", "metric", "table"])
def test_what_is_not_there_is_red_and_says_where_to_look(world: World, margin: str, kind: str) -> None:
    assert margin
    finding = found(world, source={kind: UNKNOWN})[f"{SOURCE}.{kind}"]

    assert finding.colour == "red"
    assert finding.what == f"Pigment shows the owner of the export key no {kind} with this id."
    assert f"`bridge {'views' if kind == 'view' else 'blocks'}`" in finding.next_step


def test_an_id_of_another_kind_says_what_to_write(world: World, margin: str) -> None:
    finding = found(world, source={"table": margin})[f"{SOURCE}.table"]

    assert finding.colour == "red"
    assert finding.what == "It is the metric Margin, in Finance, and no table."
    assert finding.next_step == "Write metric: in place of table:, if that is meant."


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
def test_what_cannot_be_seen_is_yellow_and_says_how_to_try(
    world: World, margin: str, arrange: Callable[[World], None], why: str
) -> None:
    arrange(world)

    finding = found(world, source={"metric": margin})[f"{SOURCE}.metric"]

    assert finding.colour == "yellow"
    assert why in finding.what
    assert "`bridge export revenue --preview`" in finding.next_step


def test_the_import_key_looks_where_the_export_key_may_not(world: World, margin: str) -> None:
    only_exports(world)
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)

    assert found(world, source={"metric": margin})[f"{SOURCE}.metric"].colour == "green"
    not_shown = found(world, source={"metric": UNKNOWN})[f"{SOURCE}.metric"]
    assert not_shown.colour == "yellow"
    assert "the owner of the import key" in not_shown.what
    assert "`bridge export revenue --preview`" in not_shown.next_step


def test_an_export_key_of_the_old_format_is_to_be_made_anew(world: World, margin: str) -> None:
    only_exports_of_the_old_format(world)

    key = found(world, source={"metric": margin})["pigment.export_key"]

    assert key.colour == "yellow"
    assert "old format" in key.what
    assert "scope Export" in key.next_step
    assert OLD_KEY not in str(key)


def test_where_no_key_is_accepted_nothing_more_is_tried(world: World, margin: str) -> None:
    world.pigment.revoke(EXPORT_KEY)
    world.pigment.revoke(PIGMENT_KEY)

    seen = found(world, source={"metric": margin})

    assert seen["pigment.export_key"].colour == "red"
    assert f"{SOURCE}.metric" not in seen


def test_the_bucket_of_an_export_is_written_to_and_cleaned_again(world: World, margin: str) -> None:
    world.storage.create_bucket("analytics")

    seen = found(world, source={"metric": margin}, bucket="analytics")
    missing = found(world, source={"metric": margin}, bucket="nowhere")

    assert seen["exports.revenue.bucket"].colour == "green"
    assert list(world.store.beside("analytics").names("")) == []
    assert missing["exports.revenue.bucket"].colour == "red"
