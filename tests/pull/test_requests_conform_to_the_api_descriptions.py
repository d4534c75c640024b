"""Requests of the bridge and answers of the sandbox conform to both vendors' API descriptions."""

import json
import random
import re
from collections.abc import Callable

import pytest
import requests

from common import bridge_yaml
from common.looker import resources
from common.looker.client import LookerClient
from common.platform.clock import Deadline
from local import looker_request
from local.sandbox.pigment.quota import Quota
from local.sandbox.wire import Exchange
from tests.support import conformity
from tests.support.world import (
    CONFIGURATION,
    FIELDS,
    HEADER,
    PIGMENT_KEY,
    PULL_RUN,
    VIEW,
    World,
)

EXPLORE = {
    "model": "nyc",
    "view": "flights",
    "fields": list(FIELDS),
    "filters": {"flights.carrier": "UA,B6", "flights.delay": ">=-20"},
    "sorts": ["flights.day desc", "flights.delay"],
}


def everything_a_look_can_have(world: World) -> None:
    measure = '[{"measure": "worst", "based_on": "flights.delay", "type": "max", "label": "Worst"}]'
    world.looker.look(
        "13", "Worst", "nyc", "flights", [*FIELDS[:1], "worst"], filters={"flights.day": "2013"}, sorts=["worst desc"],
        dynamic_fields=measure, query_timezone="Europe/Paris", limit="100", total=True, column_limit="50",
    )  # fmt: skip
    block = world.pigment.block(world.pigment.application("Planning"), "Worst")
    configuration = world.pigment.configuration(block, ["Flights Day", "Worst"])
    world.add_pull("flights", source={"look": "13"}, target={"configuration": configuration})


def a_slug(world: World) -> None:
    world.add_pull(
        "flights", source={"query": world.looker.looks["12"].query.slug, "filters": {"flights.origin": "JFK"}}
    )


def an_explore(world: World) -> None:
    world.add_pull("flights", source={"explore": EXPLORE, "query_timezone": "Asia/Tokyo"})


def storage(world: World) -> None:
    world.storage.create_bucket("connector")
    folder = world.folder / "state" / "connector"
    block = world.pigment.block(world.pigment.application("Planning"), "Connector")
    configuration = world.pigment.configuration(block, HEADER, source=lambda: next(folder.iterdir()))
    way = {"via": "storage", "bucket": "connector", "path": "flights-{date}.csv"}
    world.add_pull("flights", target={"configuration": configuration, **way})


def storage_for_a_configuration_without_a_source(world: World) -> None:
    storage(world)
    world.pigment.sources.clear()


def storage_and_too_many_requests(world: World) -> None:
    storage(world)
    too_many_requests(world)


def a_slow_import(world: World) -> None:
    world.pigment.delay_reports(late_polls=1, in_progress_polls=3)


def skipped_rows(world: World) -> None:
    world.pigment.skip_next(CONFIGURATION, 2, "MissingModalitySkippedDataRow", "Flights Carrier")


def a_failed_import(world: World) -> None:
    world.pigment.fail_next(CONFIGURATION, "DuplicateItems", "Two rows share an identifier")


def a_token_that_expires(world: World) -> None:
    world.looker_server.fault(PULL_RUN, act=world.looker.expire_tokens)


def a_wrong_secret(world: World) -> None:
    world.looker.client_secret = "another"


def no_such_look(world: World) -> None:
    world.add_pull("flights", source={"look": "99"})


def no_such_query(world: World) -> None:
    world.add_pull("flights", source={"query": "nosuchslug"})


def no_such_field(world: World) -> None:
    world.add_pull("flights", source={"look": "12", "filters": {"flights.nothing": "1"}})


def a_wrong_key(world: World) -> None:
    world.pigment.key(["Export"], PIGMENT_KEY)


def no_such_configuration(world: World) -> None:
    world.add_pull("flights", target={"configuration": "11111111-2222-4333-8444-555555555555"})


def a_file_too_big(world: World) -> None:
    world.pigment.max_body_bytes = 10


def too_many_imports(world: World) -> None:
    world.pigment.imports_per_configuration = Quota(0, 3600, world.pigment.clock)


def too_many_requests(world: World) -> None:
    world.pigment.requests = Quota(0, 300, world.pigment.clock)


def windows_of_days(world: World) -> None:
    load = {"cursor": "flights.day", "start": "2013-01-01", "window": "10 years", "delay": "1 day"}
    world.add_pull("flights", load={"incremental": load}, source={"look": "12", "query_timezone": "Europe/Paris"})


def windows_of_numbers(world: World) -> None:
    load = {"cursor": "flights.delay", "start": -18, "window": 20, "delay": 1}
    world.add_pull("flights", load={"incremental": load})


LOGIN, LOOK, SLUG = "POST /api/4.0/login", "GET /api/4.0/looks/", "GET /api/4.0/queries/slug/"
RUN, LOGOUT = "POST /api/4.0/queries/run/csv", "DELETE /api/4.0/logout"
EXPLORE_OF, GREATEST = "GET /api/4.0/lookml_models/nyc/explores/flights", "POST /api/4.0/queries/run/json"
PUSH, TRIGGER, STATUS = "POST /api/v1/import/push/csv", "POST /api/v1/import/trigger", "GET /api/v1/import/"

CALLS: list[tuple[Callable[[World], None], int, list[tuple[str, int]]]] = [
    (
        everything_a_look_can_have,
        200,
        [(LOGIN, 200), (LOOK, 200), (RUN, 200), (LOGOUT, 204), (PUSH, 200), (STATUS, 200)],
    ),
    (a_slug, 200, [(SLUG, 200)]),
    (an_explore, 200, [(RUN, 200)]),
    (storage, 200, [(TRIGGER, 200), (STATUS, 200)]),
    (a_slow_import, 200, [(STATUS, 404), (STATUS, 200)]),
    (skipped_rows, 422, [(STATUS, 200)]),
    (a_failed_import, 502, [(STATUS, 200)]),
    (a_token_that_expires, 200, [(RUN, 401)]),
    (a_wrong_secret, 502, [(LOGIN, 404)]),
    (no_such_look, 502, [(LOOK, 404), (LOGOUT, 204)]),
    (no_such_query, 502, [(SLUG, 404)]),
    (no_such_field, 502, [(RUN, 400)]),
    (a_wrong_key, 502, [(PUSH, 401)]),
    (no_such_configuration, 502, [(PUSH, 404)]),
    (a_file_too_big, 502, [(PUSH, 400)]),
    (too_many_imports, 503, [(PUSH, 429)]),
    (too_many_requests, 503, [(PUSH, 429)]),
    (storage_for_a_configuration_without_a_source, 502, [(TRIGGER, 400)]),
    (storage_and_too_many_requests, 503, [(TRIGGER, 429)]),
    (windows_of_days, 200, [(EXPLORE_OF, 200), (RUN, 200)]),
    (windows_of_numbers, 200, [(EXPLORE_OF, 200), (GREATEST, 200), (RUN, 200)]),
]
"The setup, the status of the run, and exchanges that must occur."


def is_described(exchange: Exchange) -> bool:
    """Whether the status is described: the description omits some 429s, but the rate limit applies to all requests."""
    return not (exchange.status == requests.codes.too_many_requests and exchange.path.endswith("/trigger"))


def parameters(document: conformity.Document, exchange: Exchange) -> set[str]:
    """Return the names of the described query parameters of a request."""
    method = exchange.method.lower()
    operations = (
        path[method]
        for template, path in document.requests.spec["paths"].items()
        if method in path and re.fullmatch(".*" + re.sub(r"{.*?}", "[^/]+", template), exchange.path)
    )
    return {each["name"] for operation in operations for each in operation.get("parameters", [])}


def assert_conforms(exchange: Exchange, document: conformity.Document) -> None:
    """Check a request, even if it was refused, and that it has no undescribed parameters; then its answer."""
    faults = list(document.answers.iter_request_errors(conformity._OpenApiRequest(exchange)))
    assert not faults, "\n".join(map(conformity._described, faults))
    assert exchange.query.keys() <= parameters(document, exchange)
    if is_described(exchange):
        conformity.assert_conforms(exchange, document)


@pytest.mark.parametrize(("arrange", "status", "exchanges"), CALLS, ids=[each[0].__name__ for each in CALLS])
def test_every_request_and_answer_conforms(
    world: World, arrange: Callable[[World], None], status: int, exchanges: list[tuple[str, int]]
) -> None:
    looker, pigment = conformity.load("looker-api-4.0"), conformity.load("pigment-external-api")
    arrange(world)

    answer = world.run_pull("flights")

    assert answer.status == status, answer.body
    crossed = [*world.looker_server.exchanges, *world.pigment_server.exchanges]
    for beginning, wanted in exchanges:
        assert any(f"{each.method} {each.path}".startswith(beginning) and each.status == wanted for each in crossed)
    for exchange in world.looker_server.exchanges:
        assert_conforms(exchange, looker)
    for exchange in world.pigment_server.exchanges:
        assert_conforms(exchange, pigment)


SOURCES = {
    "a view": {"view": VIEW},
    "a list": {"list": VIEW, "properties": ["name", "code"], "list_filter": [CONFIGURATION], "delimiter": ";"},
    "a metric": {"metric": VIEW, "scenarios": [CONFIGURATION], "friendly_headers": True, "encoding": "Utf8WithBom"},
    "a table": {
        "table": VIEW,
        "metrics": [CONFIGURATION],
        "fields": [{"type": "ScenarioField", "display_name": "Scenario"}],
        "decimal_separator": "Comma",
    },
}


@pytest.mark.parametrize("date_format", ["Iso8601", "Legacy"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_every_export_request_conforms(world: World, source: dict[str, object], date_format: str) -> None:
    pigment = conformity.load("pigment-external-api")
    world.add_export("revenue", source=source, date_format=date_format)
    world.answer_exports(b"a,b\n1,2\n" if source.get("delimiter") != ";" else b"a;b\n1;2\n")

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    (exchange,) = [each for each in world.pigment_server.exchanges if "/export/" in each.path]
    assert_conforms(exchange, pigment)


def test_every_request_for_looker_objects_conforms(world: World) -> None:
    document = conformity.load("looker-api-4.0")
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    world.looker.content.dashboard("nyc::delays", "Delays")
    query = resources.query_of("queries")
    assert query

    with LookerClient(where, world.instance.secrets, Deadline.after(world.clock, 300), random.Random(1)) as looker:
        for resource in resources.RESOURCES:
            with resources.ResourceListing(looker, resource) as listing:
                assert b"".join(listing.blocks()).count(b"\n") == 2
        with looker.run(query) as stream:
            list(stream.blocks())

    assert len(world.looker_server.exchanges) == len(resources.RESOURCES) + 3
    for exchange in world.looker_server.exchanges:
        assert exchange.status < 400
        assert_conforms(exchange, document)


CONNECTOR_GUIDE: list[tuple[str, str, object, int]] = [
    ("GET", "/users?limit=5&offset=0&sorts=id", None, 200),
    ("POST", "/users", {"first_name": "Ada", "last_name": "Lovelace"}, 200),
    ("POST", "/users/2/credentials_email?fields=email", {"email": "ada@example.com"}, 200),
    ("PATCH", "/users/2", {"is_disabled": True}, 200),
    ("GET", "/users/2", None, 200),
    ("POST", "/users/2/credentials_api3", None, 200),
    ("DELETE", "/users/2", None, 204),
]


def test_the_operators_requests_to_looker_conform(world: World) -> None:
    document = conformity.load("looker-api-4.0")
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker

    for method, path, body, status in CONNECTOR_GUIDE:
        content = None if body is None else json.dumps(body).encode()
        answer = looker_request.send(looker_request.parse(method, path, content, where), where, world.instance)
        assert (method, path, answer.status) == (method, path, status)

    for exchange in world.looker_server.exchanges:
        assert_conforms(exchange, document)
