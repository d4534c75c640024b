"""`bridge check`: every credential, permission and id is tried, and what fails says what to do about it."""

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from common.runs.instance import Instance
from common.storage import paths
from local.checking import Finding, every_finding
from local.sandbox.wire import Response
from tests.support.world import LOOKER_SECRET, PIGMENT_KEY, ROWS, World

EXPORT_KEY = "pgmt_ThisIsAnExportKeyOfTheSandbox"
OLD_KEY = "0b9c1d3e-5a77-4c1f-9b1e-d3c5a1f0e2b4"
TOKEN = "a-webhook-token-of-looker"
UNKNOWN = "11111111-2222-4333-8444-555555555555"
LOOK = "pulls.flights.source.look"
TARGET = "pulls.flights.target.configuration"
FILTERS = "pulls.flights.source.filters"
USER = "looker.credentials"
IMPORT_KEY = "pigment.import_key"
CALCULATION = json.dumps([{"table_calculation": "double", "expression": "${flights.delay} * 2"}])

SECRETS = (PIGMENT_KEY, EXPORT_KEY, OLD_KEY, LOOKER_SECRET, TOKEN, "hunter2")

Arrange = Callable[[World], object]


@pytest.fixture
def whole(world: World) -> World:
    """A world with something of every kind, in which all is well."""
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    world.pigment.key(["Export"], EXPORT_KEY)
    world.secrets.put("pigment-export-key", EXPORT_KEY)
    world.secrets.put("looker-webhook-token", TOKEN)
    world.storage.create_bucket("connector")
    world.storage.create_bucket("analytics")
    block = world.pigment.block(world.pigment.application("Planning"), "Tickets")
    integration = world.pigment.configuration(block, ["Id"], source=lambda: [b"Id\n"])
    pushed = world.pigment.configuration(block, ["Id"])
    world.raw["pigment"]["export_key"] = "pigment-export-key"
    world.raw["webhook"] = {"token": "looker-webhook-token"}
    world.raw["relays"] = {"budget": {"target": {"configuration": pushed}}, "ready": {"start": "tickets"}}
    world.raw["exports"] = {
        "revenue": {"source": {"list": block}, "path": "revenue.csv", "bucket": "analytics"},
    }
    world.pull("flights", source={"look": "12", "filters": {"flights.origin": "JFK"}, "query_timezone": "UTC"})
    fields = {"model": "nyc", "view": "flights", "fields": ["flights.day", "flights.delay"], "sorts": ["flights.day"]}
    storage = {"configuration": integration, "via": "storage", "bucket": "connector", "path": "tickets-{date}.csv"}
    world.pull("tickets", source={"explore": fields}, target=storage)
    return world


def found(world: World) -> list[Finding]:
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    return list(every_finding(world.folder / "bridge.yaml", here(world)))


def here(world: World) -> Instance:
    """A process of its own, as each `bridge check` is."""
    return Instance(world.clock, random.Random(1))


def colours(findings: list[Finding]) -> set[str]:
    return {finding.colour for finding in findings}


def test_where_all_is_well_all_is_green_and_nothing_is_left_behind(whole: World) -> None:
    objects = whole.objects("")
    findings = found(whole)

    assert [finding for finding in findings if finding.colour != "green" or finding.next_step] == []
    assert {finding.subject for finding in findings} == {
        *("bridge.yaml", "looker.url", USER, LOOK, FILTERS, TARGET, IMPORT_KEY, "pigment.export_key", "webhook.token"),
        *("pulls.tickets.source.explore", "pulls.tickets.source.explore.fields", "pulls.tickets.source.explore.sorts"),
        *("pulls.tickets.target.configuration", "pulls.tickets.target.bucket", "relays.budget.target.configuration"),
        *("exports.revenue.source.list", "exports.revenue.bucket", "BRIDGE_BUCKET", paths.CONFIG),
    }
    assert whole.objects("") == objects
    assert [list(whole.store.beside(bucket).names("")) for bucket in ("connector", "analytics")] == [[], []]
    assert whole.imports == []
    assert whole.looker.live_tokens == 0


def test_no_query_is_run_and_no_import_started(whole: World) -> None:
    found(whole)

    asked = [(exchange.method, exchange.path) for exchange in whole.looker_server.exchanges]
    assert {method for method, path in asked if "login" not in path and "logout" not in path} == {"GET"}
    assert not [path for _, path in asked if "/run/" in path]
    assert {exchange.method for exchange in whole.pigment_server.exchanges} == {"GET"}


def test_each_explore_is_read_once(whole: World) -> None:
    found(whole)

    assert sum("/explores/" in exchange.path for exchange in whole.looker_server.exchanges) == 1


def test_it_names_what_the_ids_stand_for(whole: World) -> None:
    said = {finding.subject: finding.what for finding in found(whole)}

    assert said[TARGET] == "It is Flights import, of the block Flights in Planning."
    assert "nyc/flights" in said[LOOK]


@dataclasses.dataclass(frozen=True)
class Case:
    """Something wrong, how it shows, and a word of what to do about it."""

    subject: str
    colour: str
    arrange: Arrange
    words: str
    step: str
    hides: tuple[str, ...] = ()
    "What cannot be tried any more; all else is."


def edit(*path: str, to: Any) -> Arrange:
    """Change bridge.yaml, here and in the bucket."""

    def arrange(world: World) -> None:
        place = world.raw
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        world.install()

    return arrange


def both(first: Arrange, second: Arrange) -> Arrange:
    return lambda world: (first(world), second(world))


def source(**how: Any) -> Arrange:
    return edit("pulls", "flights", "source", to=how)


def look(**how: Any) -> Arrange:
    return lambda world: world.flights(ROWS, **how)


def pigment_key(*scopes: Any, value: str = PIGMENT_KEY) -> Arrange:
    def arrange(world: World) -> None:
        world.pigment.key(scopes, value)
        world.secrets.put("pigment-import-key", value)

    return arrange


def looker_answers(on: str, status: int, body: bytes = b"") -> Arrange:
    return lambda world: world.looker_server.fault(f"GET /api/4\\.0{on}", times=-1, refuse=Response(status, body))


def pigment_answers(on: str, status: int) -> Arrange:
    return lambda world: world.pigment_server.fault(f"GET /api/v1{on}", times=-1, refuse=Response(status))


def storage_answers(on: str, status: int) -> Arrange:
    return lambda world: world.storage_server.fault(on, times=-1, refuse=Response(status))


def point_pigment_at_looker(world: World) -> None:
    edit("pigment", "url", to=world.looker_server.url)(world)


def load_along(cursor: str, start: str, window: str) -> Arrange:
    load = {"incremental": {"cursor": cursor, "start": start, "window": window, "delay": "1 hour"}}
    return edit("pulls", "flights", "load", to=load)


def load_by_window(world: World) -> None:
    load = {"incremental": {"cursor": "flights.dy", "start": "2013-01-01", "window": "1 day"}}
    edit("pulls", "flights", "load", to=load)(world)


def show_other_models(world: World) -> None:
    roles = [{"permission_set": {"all_access": True}, "model_set": {"models": ["finance"]}}]
    looker_answers("/roles", 200, json.dumps(roles).encode())(world)


def compute_in_looker(world: World) -> None:
    fields = {"measures": [{"name": "flights.delay", "type": "running_total"}], "dimensions": [{"name": "flights.day"}]}
    fields["dimensions"].append({"name": "flights.origin"})
    looker_answers("/lookml_models/", 200, json.dumps({"fields": fields}).encode())(world)


EXPLORE = "pulls.tickets.source.explore"
SOURCES = (LOOK, FILTERS, EXPLORE, f"{EXPLORE}.fields", f"{EXPLORE}.sorts")
TARGETS = (TARGET, "pulls.tickets.target.configuration", "relays.budget.target.configuration")
CASES = {
    "a secret of Looker's that is not there": Case(
        USER, "red", edit("looker", "credentials", to="nothing"), "nothing", "version", ("looker.url", *SOURCES)
    ),
    "a secret of Looker's that is no JSON": Case(
        USER,
        "red",
        lambda world: world.secrets.put("looker-api", "hunter2"),
        "looker-api",
        "JSON",
        ("looker.url", *SOURCES),
    ),
    "a secret that may not be read": Case(
        "webhook.token", "red", lambda world: world.secrets.deny("looker-webhook-token"), "webhook", "service account"
    ),
    "Looker refusing the login": Case(
        USER,
        "red",
        lambda world: setattr(world.looker, "client_secret", "new"),
        "404",
        "API key",
        ("looker.url", *SOURCES),
    ),
    "Looker out of reach": Case(
        "looker.url", "red", lambda world: world.looker_server.stop(), "reached", "allow list", SOURCES
    ),
    "something else than Looker": Case(
        "looker.url", "red", looker_answers("/user", 200, b"<html>"), "not JSON", "proxy", SOURCES
    ),
    "a user who may not download without limit": Case(
        USER, "red", lambda world: setattr(world.looker, "permissions", {"explore"}), "no role", "Admin > Roles"
    ),
    "a user who may do so from other models": Case(LOOK, "red", show_other_models, "model nyc", "model set"),
    "a user who may not see its roles": Case(USER, "yellow", looker_answers("/roles", 404), "roles", "admin"),
    "a user whose roles are hidden": Case(USER, "yellow", looker_answers("/roles", 200, b"[]"), "roles", "admin"),
    "a Look that is not there": Case(LOOK, "red", source(look="99"), "Look 99", "Check the id", (FILTERS,)),
    "a query that is not there": Case(
        "pulls.flights.source.query", "red", source(query="nosuchslug"), "nosuchslug", "Check the id", (LOOK, FILTERS)
    ),
    "an explore that is not there": Case(
        "pulls.flights.source.explore",
        "red",
        source(explore={"model": "nyc", "view": "trains", "fields": ["trains.id"]}),
        "nyc/trains",
        "model and view",
        (LOOK, FILTERS),
    ),
    "table calculations": Case(LOOK, "red", look(dynamic_fields=CALCULATION), "(double)", "copy of the Look"),
    "row totals": Case(LOOK, "red", look(row_total="right"), "row totals", "copy of the Look"),
    "a measure that Looker computes from all rows": Case(
        LOOK, "yellow", compute_in_looker, "flights.delay", "copy of the Look"
    ),
    "a filter on no field of the explore": Case(
        FILTERS,
        "red",
        source(look="12", filters={"flights.orgin": "JFK"}),
        "flights.orgin",
        "Write flights.origin, if that is meant.",
    ),
    "an explore that the user may not see": Case(
        FILTERS,
        "yellow",
        looker_answers("/lookml_models/", 404),
        "cannot be read",
        "flights.origin",
        (f"{EXPLORE}.fields", f"{EXPLORE}.sorts"),
    ),
    "a cursor that is no field": Case(
        "pulls.flights.load.incremental.cursor", "red", load_by_window, "flights.dy", "flights.day"
    ),
    "a cursor of text": Case(
        "pulls.flights.load.incremental.cursor",
        "red",
        load_along("flights.origin", "2013-01-01", "1 day"),
        "of the type string",
        "a date, a time, or a number",
    ),
    "a start that is no number": Case(
        "pulls.flights.load.incremental.start",
        "red",
        load_along("flights.delay", "2013-01-01", "1 day"),
        "not of the type of flights.delay",
        "of the same kind",
    ),
    "windows without a time zone": Case(
        "pulls.flights.source.query_timezone",
        "yellow",
        both(load_by_window, source(look="12")),
        "Is missing",
        "Write such as UTC.",
        (FILTERS,),
    ),
    "a resource that shows nothing": Case(
        "pulls.flights.source.resource",
        "yellow",
        both(looker_answers("/looks$", 200, b"[]"), source(resource="looks")),
        "missing permission",
        "may see",
        (LOOK, FILTERS),
    ),
    "Pigment refusing the import key": Case(
        IMPORT_KEY, "red", lambda world: world.pigment.revoke(PIGMENT_KEY), "401", "expired", TARGETS
    ),
    "an import key without the scope": Case(
        IMPORT_KEY, "red", pigment_key("Export"), "401", "lacks the scope Import", TARGETS
    ),
    "an export key without the scope": Case(
        "pigment.export_key",
        "red",
        lambda world: world.pigment.key(["Import"], EXPORT_KEY),
        "401",
        "lacks the scope Export",
    ),
    "a key of the old format": Case(
        IMPORT_KEY, "yellow", pigment_key("Import", "Modeling metadata", value=OLD_KEY), "old format", "Make a new key"
    ),
    "a key of the old format that is refused": Case(
        IMPORT_KEY, "red", pigment_key("Export", value=OLD_KEY), "401", "old format", TARGETS
    ),
    "something else than Pigment": Case(
        "pigment.url",
        "red",
        point_pigment_at_looker,
        "not Pigment",
        "https://pigment.app",
        (*TARGETS, "exports.revenue.source.list"),
    ),
    "Pigment busy": Case("pigment.url", "red", pigment_answers("/import/", 503), "503", "next run", TARGETS),
    "a configuration that does not exist": Case(
        TARGET, "red", edit("pulls", "flights", "target", "configuration", to=UNKNOWN), "no import", "Copy ID"
    ),
    "a configuration with a connector that is not listed": Case(
        "pulls.tickets.target.configuration",
        "yellow",
        edit("pulls", "tickets", "target", "configuration", to=UNKNOWN),
        "connector",
        "Copy ID",
    ),
    "a key that cannot see configurations": Case(
        TARGET, "yellow", pigment_key("Import"), "cannot be seen", "add the scope Modeling metadata"
    ),
    "Pigment busy on the way to the configuration": Case(
        TARGET, "yellow", pigment_answers("/importConfigurations", 429), "429", "Copy ID"
    ),
    "a bucket that is not there": Case(
        "pulls.tickets.target.bucket",
        "red",
        edit("pulls", "tickets", "target", "bucket", to="no-such-bucket"),
        "no-such-bucket",
        "bucket exists",
    ),
    "a bucket that may not be written": Case(
        "exports.revenue.bucket",
        "red",
        storage_answers("POST /upload/storage/v1/b/analytics/", 403),
        "refused",
        "service account",
    ),
    "the bridge's own bucket that may not be written": Case(
        "BRIDGE_BUCKET",
        "red",
        storage_answers("POST /upload/storage/v1/b/bucket/", 403),
        "refused",
        "service account",
    ),
    "a bucket with another bridge.yaml": Case(
        paths.CONFIG,
        "yellow",
        lambda world: world.raw["pulls"]["flights"].update(guards={"min_rows": 5}),
        "another",
        "Run Terraform",
    ),
    "a bucket without bridge.yaml": Case(
        paths.CONFIG, "yellow", lambda world: world.store.delete(paths.CONFIG), "not hold", "Run Terraform"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_wrong_shows_with_what_to_do(whole: World, case: Case) -> None:
    before = {finding.subject for finding in found(whole)}
    case.arrange(whole)

    findings = found(whole)

    shown = [finding for finding in findings if finding.subject == case.subject and finding.colour == case.colour]
    assert shown, findings
    assert case.words in shown[0].what
    assert case.step in shown[0].next_step
    assert all(finding.next_step for finding in findings if finding.colour != "green")
    assert before - {finding.subject for finding in findings} == set(case.hides)
    assert whole.imports == []
    assert whole.objects("tmp/") == []
    assert not [word for word in SECRETS if word in str(findings)]


def test_every_fault_of_the_file_is_a_line_and_the_bucket_is_tried_all_the_same(whole: World) -> None:
    whole.raw["pulls"]["flights"]["target"]["configuration"] = "twelve"
    whole.raw["looker"]["credentails"] = "x"

    findings = found(whole)

    assert [(finding.colour, finding.subject) for finding in findings] == [
        ("red", "looker.credentails"),
        ("red", TARGET),
        ("green", "BRIDGE_BUCKET"),
    ]
    assert findings[0].next_step == "Write credentials."
    assert findings[1].what == "Is not a UUID."


def test_a_file_that_is_not_there_says_how_to_name_it(whole: World) -> None:
    findings = list(every_finding(whole.folder / "nothing.yaml", here(whole)))

    assert findings[0].colour == "red"
    assert "cannot be read" in findings[0].what.lower()
    assert "--config" in findings[0].next_step


def test_the_copy_that_terraform_writes_is_the_same_file(whole: World) -> None:
    whole.raw["pulls"]["flights"]["source"]["filters"] = {"flights.day": "2013-01-01"}
    stored = json.loads(json.dumps(whole.raw, sort_keys=True).replace('"2013-01-01"', '"2013-01-01T00:00:00Z"'))
    whole.store.write_json(paths.CONFIG, stored, over=None)

    assert colours(found(whole)) == {"green"}


def test_columns_in_another_order_are_another_file(whole: World) -> None:
    columns = [{"Flights Day": "day"}, {"Flights Delay": "delay"}]
    edit("pulls", "flights", "target", "columns", to=columns)(whole)
    whole.raw["pulls"]["flights"]["target"]["columns"] = columns[::-1]

    assert [finding.subject for finding in found(whole) if finding.colour != "green"] == [paths.CONFIG]


def test_a_filter_on_a_field_that_the_look_brings_along_is_known(whole: World) -> None:
    whole.flights(ROWS, dynamic_fields=json.dumps([{"dimension": "late", "expression": "${flights.delay} > 15"}]))
    source(look="12", filters={"late": "yes"}, query_timezone="UTC")(whole)

    assert colours(found(whole)) == {"green"}


def test_what_a_look_has_and_a_pull_leaves_aside_is_told(whole: World) -> None:
    whole.flights(ROWS, limit="500", total=True)

    said = next(finding for finding in found(whole) if finding.subject == LOOK)

    assert said.colour == "green"
    assert "its limit of 500 and its totals left aside" in said.what


def test_a_workspace_too_big_to_walk_through_is_not_called_wrong(whole: World) -> None:
    application = whole.pigment.application("Attic")
    for number in range(300):
        whole.pigment.block(application, f"Block {number}")
    edit("pulls", "flights", "target", "configuration", to=UNKNOWN)(whole)

    said = next(finding for finding in found(whole) if finding.subject == TARGET)

    assert said.colour == "yellow"
    assert "none of the first 300 blocks" in said.what


def test_a_vendor_that_is_away_is_not_waited_for_long(whole: World) -> None:
    whole.looker_server.stop()
    found(whole)

    assert sum(whole.clock.slept) < 10


def test_findings_come_as_they_are_made(whole: World) -> None:
    (whole.folder / "bridge.yaml").write_text(json.dumps(whole.raw))
    findings = every_finding(whole.folder / "bridge.yaml", here(whole))

    assert next(findings).subject == "bridge.yaml"
    assert whole.looker_server.exchanges == []
