"""`bridge check` tries every credential, permission and id. A failed check names the next step."""

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from common.runs.instance import Instance
from common.storage import paths
from local import checks
from local.checks import Finding
from local.sandbox.wire import Response
from tests.support.world import HEADER, LOOKER_SECRET, PIGMENT_KEY, ROWS, World

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
def prepared(world: World) -> World:
    """A world with a job of every kind in which all checks succeed."""
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
    world.add_pull("flights", source={"look": "12", "filters": {"flights.origin": "JFK"}, "query_timezone": "UTC"})
    fields = {"model": "nyc", "view": "flights", "fields": ["flights.day", "flights.delay"], "sorts": ["flights.day"]}
    storage = {"configuration": integration, "via": "storage", "bucket": "connector", "path": "tickets-{date}.csv"}
    world.add_pull("tickets", source={"explore": fields}, target=storage)
    return world


def check(world: World, overlay: object = None) -> list[Finding]:
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    changes = None if overlay is None else world.folder / "bridge.dev.yaml"
    if changes:
        changes.write_text(json.dumps(overlay))
    return list(checks.findings(world.folder / "bridge.yaml", new_instance(world), changes))


def new_instance(world: World) -> Instance:
    """Return a new instance, because each `bridge check` is a new process."""
    return Instance(world.clock, random.Random(1))


def colours(findings: list[Finding]) -> set[str]:
    return {finding.colour for finding in findings}


def test_all_checks_are_green_and_leave_nothing_behind(prepared: World) -> None:
    objects = prepared.objects("")
    findings = check(prepared)

    assert [finding for finding in findings if finding.colour != "green" or finding.next_step] == []
    assert {finding.subject for finding in findings} == {
        *("bridge.yaml", "looker.url", USER, LOOK, FILTERS, TARGET, IMPORT_KEY, "pigment.export_key", "webhook.token"),
        *("pulls.tickets.source.explore", "pulls.tickets.source.explore.fields", "pulls.tickets.source.explore.sorts"),
        *("pulls.tickets.target.configuration", "pulls.tickets.target.bucket", "relays.budget.target.configuration"),
        *("exports.revenue.source.list", "exports.revenue.bucket", "BRIDGE_BUCKET", paths.CONFIG),
    }
    assert prepared.objects("") == objects
    assert [list(prepared.bucket.beside(name).names("")) for name in ("connector", "analytics")] == [[], []]
    assert prepared.imports == []
    assert prepared.looker.live_tokens == 0


def test_no_query_is_run_and_no_import_is_started(prepared: World) -> None:
    check(prepared)

    asked = [(exchange.method, exchange.path) for exchange in prepared.looker_server.exchanges]
    assert {method for method, path in asked if "login" not in path and "logout" not in path} == {"GET"}
    assert not [path for _, path in asked if "/run/" in path]
    assert {exchange.method for exchange in prepared.pigment_server.exchanges} == {"GET"}


def test_each_explore_is_read_once(prepared: World) -> None:
    check(prepared)

    assert sum("/explores/" in exchange.path for exchange in prepared.looker_server.exchanges) == 1


def test_the_names_of_ids_are_shown(prepared: World) -> None:
    what = {finding.subject: finding.what for finding in check(prepared)}

    assert what[TARGET] == "The id belongs to Flights import, of the block Flights in Planning."
    assert "nyc/flights" in what[LOOK]


@dataclasses.dataclass(frozen=True)
class CheckCase:
    """A fault and parts of its finding."""

    subject: str
    colour: str
    arrange: Arrange
    words: str
    step: str
    hides: tuple[str, ...] = ()
    "The subjects that are skipped. All others are checked."


def edit(*path: str, to: Any) -> Arrange:
    """Change bridge.yaml on this machine and in the bucket."""

    def arrange(world: World) -> None:
        place = world.raw
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        world.save_jobs()

    return arrange


def both(first: Arrange, second: Arrange) -> Arrange:
    return lambda world: (first(world), second(world))


def source(**how: Any) -> Arrange:
    return edit("pulls", "flights", "source", to=how)


def look(**how: Any) -> Arrange:
    return lambda world: world.put_flights(ROWS, **how)


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
    "a secret of Looker's that is not there": CheckCase(
        USER, "red", edit("looker", "credentials", to="nothing"), "nothing", "version", ("looker.url", *SOURCES)
    ),
    "a secret of Looker's that is no JSON": CheckCase(
        USER,
        "red",
        lambda world: world.secrets.put("looker-api", "hunter2"),
        "looker-api",
        "JSON",
        ("looker.url", *SOURCES),
    ),
    "a key of Pigment's with a byte order mark": CheckCase(
        IMPORT_KEY,
        "red",
        lambda world: world.secrets.put("pigment-import-key", "\ufeff" + PIGMENT_KEY),
        "pigment-import-key contains a byte order mark (U+FEFF) at position 1",
        "versions add pigment-import-key",
        TARGETS,
    ),
    "a webhook token with its header": CheckCase(
        "webhook.token",
        "red",
        lambda world: world.secrets.put("looker-webhook-token", f"X-Looker-Webhook-Token: {TOKEN}"),
        "looker-webhook-token begins with `X-Looker-Webhook-Token:`",
        "versions add looker-webhook-token",
    ),
    "a secret of Looker's with a zero-width space in a field": CheckCase(
        USER,
        "red",
        lambda world: world.secrets.put(
            "looker-api", json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET + "\u200b"})
        ),
        "looker-api has a client_secret that contains zero width space (U+200B)",
        "JSON",
        ("looker.url", *SOURCES),
    ),
    "a secret that may not be read": CheckCase(
        "webhook.token", "red", lambda world: world.secrets.deny("looker-webhook-token"), "webhook", "service account"
    ),
    "Looker refusing the login": CheckCase(
        USER,
        "red",
        lambda world: setattr(world.looker, "client_secret", "new"),
        "404",
        "API key",
        ("looker.url", *SOURCES),
    ),
    "Looker out of reach": CheckCase(
        "looker.url", "red", lambda world: world.looker_server.stop(), "reached", "allow list", SOURCES
    ),
    "something else than Looker": CheckCase(
        "looker.url", "red", looker_answers("/user", 200, b"<html>"), "not JSON", "proxy", SOURCES
    ),
    "a user who may not download without limit": CheckCase(
        USER, "red", lambda world: setattr(world.looker, "permissions", {"explore"}), "no role", "Admin > Roles"
    ),
    "a user who may do so from other models": CheckCase(LOOK, "red", show_other_models, "model nyc", "model set"),
    "a user who may not see its roles": CheckCase(USER, "yellow", looker_answers("/roles", 404), "roles", "admin"),
    "a user whose roles are hidden": CheckCase(USER, "yellow", looker_answers("/roles", 200, b"[]"), "roles", "admin"),
    "a Look that is not there": CheckCase(LOOK, "red", source(look="99"), "Look 99", "Check the ID", (FILTERS,)),
    "a query that is not there": CheckCase(
        "pulls.flights.source.query", "red", source(query="nosuchslug"), "nosuchslug", "Check the ID", (LOOK, FILTERS)
    ),
    "an explore that is not there": CheckCase(
        "pulls.flights.source.explore",
        "red",
        source(explore={"model": "nyc", "view": "trains", "fields": ["trains.id"]}),
        "nyc/trains",
        "model and view",
        (LOOK, FILTERS),
    ),
    "table calculations": CheckCase(LOOK, "red", look(dynamic_fields=CALCULATION), "(double)", "copy of the Look"),
    "row totals": CheckCase(
        LOOK, "red", look(row_total="right", pivots=["flights.day"]), "row totals", "copy of the Look"
    ),
    "a measure that Looker computes from all rows": CheckCase(
        LOOK, "yellow", compute_in_looker, "flights.delay", "copy of the Look"
    ),
    "a filter on no field of the explore": CheckCase(
        FILTERS,
        "red",
        source(look="12", filters={"flights.orgin": "JFK"}),
        "flights.orgin",
        "Did you mean flights.origin?",
    ),
    "an explore that the user may not see": CheckCase(
        FILTERS,
        "yellow",
        looker_answers("/lookml_models/", 404),
        "cannot be read",
        "flights.origin",
        (f"{EXPLORE}.fields", f"{EXPLORE}.sorts"),
    ),
    "a cursor that is no field": CheckCase(
        "pulls.flights.load.incremental.cursor", "red", load_by_window, "flights.dy", "flights.day"
    ),
    "a cursor of text": CheckCase(
        "pulls.flights.load.incremental.cursor",
        "red",
        load_along("flights.origin", "2013-01-01", "1 day"),
        "has the type string",
        "a date, a time, or a number",
    ),
    "a start that is no number": CheckCase(
        "pulls.flights.load.incremental.cursor",
        "red",
        load_along("flights.delay", "2013-01-01", "1 day"),
        "`start` has another type",
        "of the same kind",
    ),
    "a cursor that is a measure": CheckCase(
        "pulls.flights.load.incremental.cursor",
        "red",
        load_along("flights.count", "2013-01-01", "1 day"),
        "no dimension flights.count",
        "to a dimension of the explore",
    ),
    "a window shorter than the steps of the cursor": CheckCase(
        "pulls.flights.load.incremental.cursor",
        "red",
        load_along("flights.day", "2013-01-01", "1 hour"),
        "shorter than the days of the cursor",
        "window",
    ),
    "sums over a cursor that is not selected": CheckCase(
        "pulls.flights.load.incremental.cursor",
        "red",
        both(
            load_along("flights.day", "2013-01-01", "1 day"),
            lambda world: world.looker.look("12", "Sums", "nyc", "flights", ["flights.carrier", "flights.count"]),
        ),
        "does not select its cursor flights.day",
        "Select the cursor in the Look",
    ),
    "windows without a time zone": CheckCase(
        "pulls.flights.source.query_timezone",
        "yellow",
        both(load_by_window, source(look="12")),
        "Is missing",
        "Write a time zone such as UTC.",
        (FILTERS,),
    ),
    "a resource that shows nothing": CheckCase(
        "pulls.flights.source.resource",
        "yellow",
        both(looker_answers("/looks$", 200, b"[]"), source(resource="looks")),
        "lacks a permission",
        "may see",
        (LOOK, FILTERS),
    ),
    "Pigment refusing the import key": CheckCase(
        IMPORT_KEY, "red", lambda world: world.pigment.revoke(PIGMENT_KEY), "401", "expired", TARGETS
    ),
    "an import key without the scope": CheckCase(
        IMPORT_KEY, "red", pigment_key("Export"), "401", "lacks the scope Import", TARGETS
    ),
    "an export key without the scope": CheckCase(
        "pigment.export_key",
        "red",
        lambda world: world.pigment.key(["Import"], EXPORT_KEY),
        "401",
        "lacks the scope Export",
    ),
    "a key of the old format": CheckCase(
        IMPORT_KEY,
        "yellow",
        pigment_key("Import", "Modeling metadata", value=OLD_KEY),
        "old format",
        "Create a new key",
    ),
    "a key of the old format that is refused": CheckCase(
        IMPORT_KEY, "red", pigment_key("Export", value=OLD_KEY), "401", "old format", TARGETS
    ),
    "something else than Pigment": CheckCase(
        "pigment.url",
        "red",
        point_pigment_at_looker,
        "not Pigment's API",
        "https://pigment.app",
        (*TARGETS, "exports.revenue.source.list"),
    ),
    "Pigment busy": CheckCase("pigment.url", "red", pigment_answers("/import/", 503), "503", "next run", TARGETS),
    "a configuration that does not exist": CheckCase(
        TARGET, "red", edit("pulls", "flights", "target", "configuration", to=UNKNOWN), "no import", "Copy ID"
    ),
    "a configuration with a connector that is not listed": CheckCase(
        "pulls.tickets.target.configuration",
        "yellow",
        edit("pulls", "tickets", "target", "configuration", to=UNKNOWN),
        "connector",
        "Copy ID",
    ),
    "a key that cannot see configurations": CheckCase(
        TARGET, "yellow", pigment_key("Import"), "cannot be checked", "add the scope Modeling metadata"
    ),
    "Pigment busy on the way to the configuration": CheckCase(
        TARGET, "yellow", pigment_answers("/importConfigurations", 429), "429", "Copy ID"
    ),
    "a bucket that is not there": CheckCase(
        "pulls.tickets.target.bucket",
        "red",
        edit("pulls", "tickets", "target", "bucket", to="no-such-bucket"),
        "no-such-bucket",
        "bucket exists",
    ),
    "a bucket that may not be written": CheckCase(
        "exports.revenue.bucket",
        "red",
        storage_answers("POST /upload/storage/v1/b/analytics/", 403),
        "refused",
        "service account",
    ),
    "the bridge's own bucket that may not be written": CheckCase(
        "BRIDGE_BUCKET",
        "red",
        storage_answers("POST /upload/storage/v1/b/bucket/", 403),
        "refused",
        "service account",
    ),
    "a bucket with another bridge.yaml": CheckCase(
        paths.CONFIG,
        "yellow",
        lambda world: world.raw["pulls"]["flights"].update(guards={"min_rows": 5}),
        "different",
        "`make apply`",
    ),
    "a bucket without bridge.yaml": CheckCase(
        paths.CONFIG, "yellow", lambda world: world.bucket.delete(paths.CONFIG), "not contain", "`make apply`"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_fault_is_found_with_its_next_step(prepared: World, case: CheckCase) -> None:
    before = {finding.subject for finding in check(prepared)}
    case.arrange(prepared)

    findings = check(prepared)

    shown = [finding for finding in findings if finding.subject == case.subject and finding.colour == case.colour]
    assert shown, findings
    assert case.words in shown[0].what
    assert case.step in shown[0].next_step
    assert all(finding.next_step for finding in findings if finding.colour != "green")
    assert before - {finding.subject for finding in findings} == set(case.hides)
    assert prepared.imports == []
    assert prepared.objects("tmp/") == []
    assert not [word for word in SECRETS if word in str(findings)]


def test_every_fault_of_the_file_is_a_finding_and_the_bucket_is_still_tried(prepared: World) -> None:
    prepared.raw["pulls"]["flights"]["target"]["configuration"] = "twelve"
    prepared.raw["looker"]["credentails"] = "x"

    findings = check(prepared)

    assert [(finding.colour, finding.subject) for finding in findings] == [
        ("red", "looker.credentails"),
        ("red", TARGET),
        ("green", "BRIDGE_BUCKET"),
    ]
    assert findings[0].next_step == "Write credentials."
    assert findings[1].what == "Is not a UUID."


@pytest.mark.parametrize(("exists", "colour"), [(True, "green"), (False, "red")])
def test_another_environment_is_checked_with_its_own_configurations(prepared: World, exists: bool, colour: str) -> None:
    if exists:
        block = prepared.pigment.block(prepared.pigment.application("Planning of dev"), "Flights of dev")
        prepared.pigment.configuration(block, HEADER, uuid=UNKNOWN)
    jobs = {"pulls": {"flights": {"target": {"configuration": UNKNOWN}}, "tickets": None}, "relays": None}

    found = check(prepared, jobs)

    assert [finding.colour for finding in found if finding.subject == TARGET] == [colour]
    assert [finding for finding in found if "tickets" in finding.subject or "budget" in finding.subject] == []


def test_an_environment_that_would_change_the_real_plan_is_refused_before_a_request(prepared: World) -> None:
    found = check(prepared, {"exports": None})

    assert {finding.subject for finding in found if finding.colour == "red"} >= {TARGET}
    assert prepared.pigment_server.exchanges == []


def test_the_copy_of_another_environment_is_planned_as_that_one(prepared: World) -> None:
    found = check(prepared, {"pulls": {"flights": None, "tickets": None}, "relays": None})

    (copy,) = [finding for finding in found if finding.subject == paths.CONFIG]
    assert (copy.colour, "`make plan ENVIRONMENT=dev`" in copy.next_step) == ("yellow", True)


@pytest.mark.parametrize(
    ("content", "words", "step"),
    [
        ("pulls: [\n", "not YAML", "Write key: value"),
        ("a: 012\n", "012", "Write text in quotes"),
        (None, "cannot be read", "--overlay"),
    ],
)
def test_a_fault_of_an_overlay_is_not_shown_as_one_of_bridge_yaml(
    prepared: World, content: str | None, words: str, step: str
) -> None:
    (prepared.folder / "bridge.yaml").write_text(json.dumps(prepared.raw))
    changes = prepared.folder / "bridge.dev.yaml"
    if content:
        changes.write_text(content)

    found = list(checks.findings(prepared.folder / "bridge.yaml", new_instance(prepared), changes))

    assert (found[0].colour, found[0].subject, found[0].line) == ("red", "overlay", None)
    assert words in found[0].what
    assert step in found[0].next_step


def test_a_bucket_that_cannot_be_used_is_not_explained_by_a_fault_of_the_file(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text("looker: {credentails: x}")
    instance = new_instance(prepared)
    instance.bucket.retry = instance.bucket.retry.with_delay(initial=0.001, maximum=0.002)
    instance.bucket.patience_s = 0.1
    prepared.storage_server.fault(r"POST", times=-1, reset_before=True)

    found = list(checks.findings(prepared.folder / "bridge.yaml", instance))

    (bucket,) = [finding for finding in found if finding.subject == "BRIDGE_BUCKET"]
    assert bucket.colour == "red"
    assert "bridge file invalid" not in bucket.what


def test_the_next_step_for_a_missing_file_names_the_option(prepared: World) -> None:
    findings = list(checks.findings(prepared.folder / "nothing.yaml", new_instance(prepared)))

    assert findings[0].colour == "red"
    assert "cannot be read" in findings[0].what.lower()
    assert "--config" in findings[0].next_step


def test_the_copy_that_terraform_writes_counts_as_the_same_file(prepared: World) -> None:
    prepared.raw["pulls"]["flights"]["source"]["filters"] = {"flights.day": "2013-01-01"}
    stored = json.loads(json.dumps(prepared.raw, sort_keys=True).replace('"2013-01-01"', '"2013-01-01T00:00:00Z"'))
    prepared.bucket.write_json(paths.CONFIG, stored, over=None)

    assert colours(check(prepared)) == {"green"}


def test_columns_in_another_order_make_a_different_file(prepared: World) -> None:
    columns = [{"Flights Day": "day"}, {"Flights Delay": "delay"}]
    edit("pulls", "flights", "target", "columns", to=columns)(prepared)
    prepared.raw["pulls"]["flights"]["target"]["columns"] = columns[::-1]

    assert [finding.subject for finding in check(prepared) if finding.colour != "green"] == [paths.CONFIG]


def test_a_filter_on_a_custom_field_of_the_look_is_green(prepared: World) -> None:
    prepared.put_flights(
        ROWS, dynamic_fields=json.dumps([{"dimension": "late", "expression": "${flights.delay} > 15"}])
    )
    source(look="12", filters={"late": "yes"}, query_timezone="UTC")(prepared)

    assert colours(check(prepared)) == {"green"}


def test_the_limit_and_totals_of_a_look_are_reported_as_ignored(prepared: World) -> None:
    prepared.put_flights(ROWS, limit="500", total=True)

    finding = next(each for each in check(prepared) if each.subject == LOOK)

    assert finding.colour == "green"
    assert "its limit of 500 and its totals ignored" in finding.what


def test_a_configuration_outside_the_first_blocks_is_yellow(prepared: World) -> None:
    application = prepared.pigment.application("Attic")
    for number in range(300):
        prepared.pigment.block(application, f"Block {number}")
    edit("pulls", "flights", "target", "configuration", to=UNKNOWN)(prepared)

    finding = next(each for each in check(prepared) if each.subject == TARGET)

    assert finding.colour == "yellow"
    assert "the first 300 blocks do not contain it" in finding.what


def test_an_unavailable_vendor_is_not_waited_for_long(prepared: World) -> None:
    prepared.looker_server.stop()
    check(prepared)

    assert sum(prepared.clock.slept) < 10


def test_findings_are_yielded_one_by_one(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text(json.dumps(prepared.raw))
    findings = checks.findings(prepared.folder / "bridge.yaml", new_instance(prepared))

    assert next(findings).subject == "bridge.yaml"
    assert prepared.looker_server.exchanges == []
