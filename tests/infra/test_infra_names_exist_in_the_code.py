"""The names in infra/ exist in the code: entry points, settings, log lines, error codes, prefixes and secrets.

The functions run over the sandbox, in their main cases and some failures. Their log lines and their access to objects
and secrets are compared with the plan. An unused grant is a fault, and so is a missing one.
"""

import ast
import copy
import importlib
import io
import json
import logging
import random
import re
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.platform import errors, log
from common.runs import instance
from common.runs.instance import Instance
from common.runs.receipts import Outcome
from common.storage import claims, paths
from local.sandbox.wire import Exchange, Response
from tests.support import terraform
from tests.support.action_caller import LookerSide
from tests.support.trips import Trip, Trips
from tests.support.world import (
    CONFIGURATION,
    HEADER,
    PUSH,
    ROWS,
    VIEW,
    Servers,
    World,
    delivery,
    open_world,
)

pytestmark = pytest.mark.terraform

FUNCTIONS = Path(__file__).parents[2] / "functions"


class Observed:
    """The access and the log lines of the functions, by function."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._chance = random.Random(1)
        self.access: dict[str, set[tuple[str, str]]] = defaultdict(set)
        "Pairs of `read` or `write` and a prefix of the bridge's bucket."
        self.others: dict[str, set[str]] = defaultdict(set)
        "The user's buckets that were written."
        self.secrets: dict[str, set[str]] = defaultdict(set)
        self.listed_secrets: dict[str, set[str]] = defaultdict(set)
        self.lines: list[dict[str, Any]] = []

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """Attribute all requests to Cloud Storage and Secret Manager in this block to a function."""
        storage, safe = self.world.storage_server, self.world.secrets_server
        # In the cloud each function has its own instances, which share no cache.
        instance.current = Instance(self.world.clock, self._chance)
        storage.exchanges.clear()
        safe.exchanges.clear()
        yield
        for exchange in storage.exchanges:
            for operation, bucket, name in touched(exchange):
                if bucket == "bucket":
                    self.access[function].add((operation, f"{name.split('/')[0]}/"))
                else:
                    self.others[function].add(bucket)
        for exchange in safe.exchanges:
            name = exchange.path.split("/secrets/")[1].split("/")[0].split(":")[0]
            (self.secrets if exchange.path.endswith(":access") else self.listed_secrets)[function].add(name)

    def pull(self, job: str = "flights", **body: Any) -> dict[str, Any]:
        with self.of("looker_pull"):
            return self.world.run_pull(job, **body).receipt

    def export(self, job: str, **body: Any) -> dict[str, Any]:
        with self.of("pigment_export"):
            return self.world.run_export(job, **body).receipt

    def post(self, relay: str, body: bytes, **how: Any) -> int:
        with self.of("webhook_receive"):
            return self.world.post_delivery(relay, body, **how).status

    def deliver(self) -> dict[str, Any]:
        with self.of("webhook_deliver"):
            return self.world.run_deliver().body


def touched(exchange: Exchange) -> Iterator[tuple[str, str, str]]:
    """Yield the objects that a request to Cloud Storage reads or writes: operation, bucket and name."""
    path = exchange.path.removeprefix("/upload").removeprefix("/download").removeprefix("/storage/v1")
    if rewritten := re.fullmatch(r"/b/([^/]+)/o/(.+)/rewriteTo/b/([^/]+)/o/(.+)", path):
        source, name, target, new_name = map(urllib.parse.unquote, rewritten.groups())
        yield "read", source, name
        yield "write", target, new_name
    elif named := re.fullmatch(r"/b/([^/]+)/o/(.+)", path):
        yield "read" if exchange.method == "GET" else "write", named[1], urllib.parse.unquote(named[2])
    elif exchange.method == "POST" and (bucket := re.fullmatch(r"/b/([^/]+)/o", path)):
        # The first part of a multipart upload, or the body that opens a resumable one.
        named_in_body = re.findall(r'"name": ?"([^"]+)"', exchange.body.decode(errors="replace"))
        yield "write", bucket[1], [*exchange.query.get("name", []), *named_in_body][0]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, addresses: dict[str, str]) -> Iterator[Observed]:
    """Run the main cases of the functions and some failures."""
    folder = tmp_path_factory.mktemp("observed")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        Servers() as servers,
        open_world(folder, servers, addresses, monkeypatch) as world,
    ):
        world.storage_server.keep_bytes = world.secrets_server.keep_bytes = 4096
        here = Observed(world)
        with logged() as text:
            pulls(here)
            exports(here)
            relays(here)
            sweeps(here)
        here.lines = [json.loads(line) for line in text.getvalue().splitlines()]
        yield here


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Yield the log lines that Cloud Logging receives from the functions."""
    root = logging.getLogger()
    formatters = (handler.formatter for handler in root.handlers)
    own = next(each for each in formatters if isinstance(each, log.CloudLoggingFormatter))
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(own)
    root.addHandler(handler)
    try:
        yield text
    finally:
        root.removeHandler(handler)


def pulls(here: Observed) -> None:
    world = here.world
    assert here.pull()["outcome"] == "landed"
    assert here.pull(preview=True)["outcome"] == "previewed"
    world.add_pull("few", guards={"min_rows": 99})
    assert here.pull("few")["outcome"] == "refused"
    assert here.pull("nobody").get("outcome") is None  # a request refused
    trips = Trips(world, repeatable=True)
    trips.put([Trip(1, world.clock.now().replace(tzinfo=None) - timedelta(minutes=15))])
    assert here.pull("trips")["outcome"] == "landed"
    changing(world, "keyed")
    assert here.pull("keyed")["outcome"] == "landed"
    world.put_flights(ROWS[1:])
    assert here.pull("keyed")["changes"]["gone"] == 1
    reading_back(here)
    approving(here)
    world.add_pull("skipping", guards={"max_skipped": 9}, target={"configuration": skipping(world)})
    assert here.pull("skipping")["outcome"] == "landed_with_skips"
    knowing(here)


def reading_back(here: Observed, *, by_relay: bool = False) -> None:
    """An incremental pull reads its block back, and keeps the rows of its windows for that; also for a relay."""
    world, name = here.world, "by-day-of-relay" if by_relay else "by-day"
    block = world.pigment.block(world.pigment.application("Planning"), name)
    configuration = world.pigment.configuration(block, HEADER, unique=HEADER[:3])
    window = "1 year" if by_relay else "1 day"
    load = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": window}}
    verify = {"source": {"list": block}, "key": HEADER[:3]}
    world.add_pull(name, load=load, verify=verify, target={"configuration": configuration, "repeatable": True})
    if not by_relay:
        for end in ("2013-01-02", "2013-01-03"):
            assert here.pull(name, to=end)["verified"] == "equal"
        world.add_pull("blind", verify={"source": {"list": VIEW}, "key": HEADER[:3]})
        assert here.pull("blind")["verified"] == "impossible"
        return
    world.add_relay("starting", start=name)
    for row in ("1", "2"):
        assert here.post("starting", delivery((row, "2"))) == 200
        here.deliver()
    assert "equal" in [receipt["verified"] for receipt in world.receipts(name)]


def approving(here: Observed) -> None:
    """A pull is held, and superseded."""
    here.world.put_flights(ROWS)
    here.world.add_pull("watchful", guards={"approve": {"max_deleted": 0}})
    assert here.pull("watchful")["outcome"] == "landed"
    here.world.put_flights(ROWS[1:])
    assert here.pull("watchful")["outcome"] == "held"
    assert here.pull("watchful")["outcome"] == "held"


def changing(world: World, name: str) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), name)
    target = {"configuration": world.pigment.configuration(block, HEADER, unique=HEADER[:3]), "repeatable": True}
    world.add_pull(name, load={"changes": {"key": HEADER[:3]}}, target=target)


def knowing(here: Observed) -> None:
    """A pull holds rows back, whose items Pigment does not have; it exports them."""
    known = known_items(here.world, "Flights Carrier", "UA", "B6")
    here.world.add_pull("knowing", known={**known, "missing": "hold"})
    for _ in ("exported", "cached"):
        assert here.pull("knowing")["rows"]["held"] == 2


def known_items(world: World, column: str, *items: str) -> dict[str, Any]:
    block = world.pigment.block(world.pigment.application("Planning"), column, "DimensionList", {"Code": "text"})
    world.pigment.items(block, items)
    return {"columns": {column: {"list": block, "property": "Code"}}}


def skipping(world: World) -> str:
    """Return the configuration of a list for which some rows are not valid."""
    from local.sandbox.pigment import BlockColumn

    block = world.pigment.block(world.pigment.application("Planning"), "skipping")
    columns = [
        *(BlockColumn(name) for name in HEADER[:1]),
        BlockColumn(HEADER[1], "integer"),
        *map(BlockColumn, HEADER[2:]),
    ]
    return world.pigment.configuration(block, columns)


def exports(here: Observed) -> None:
    world = here.world
    world.add_export("revenue")
    world.add_export("accounts", format="parquet", path="accounts.parquet")
    world.storage.create_bucket("acme-analytics")
    world.add_export("elsewhere", bucket="acme-analytics")
    world.add_export("guarded", guards={"min_rows": 99})
    world.answer_exports(b"Code;Name\na;b\n")
    for job in ("revenue", "revenue", "accounts", "elsewhere"):
        assert here.export(job)["outcome"] == "published"
    assert here.export("revenue", preview=True)["outcome"] == "previewed"
    assert here.export("guarded")["outcome"] == "refused"


def relays(here: Observed) -> None:
    world = here.world
    world.add_relay("sales")
    world.add_relay("latest", keep="latest")
    world.add_relay("strict", guards={"min_rows": 99})
    world.add_relay("ready", start="flights")
    changing(world, "changing")
    world.add_relay("again", start="changing")
    world.pigment_server.heal()
    world.add_relay("knowing-too", known=known_items(world, "Id", "1"))
    for name in ("sales", "sales", "latest", "strict", "ready", "again", "knowing-too"):
        assert here.post(name, delivery(("1", "2"))) == 200
    world.clock.advance(1)
    assert here.post("latest", delivery(("3", "4"))) == 200
    assert here.post("sales", b"{}", token="wrong") == 401
    with here.of("webhook_receive"):
        looker = LookerSide(world)
        assert looker.execute("sales", looker.offer([("5", "6")]), event="an-event")["success"]
    counts = here.deliver()
    assert (counts["dead"], counts["waiting"]) == (1, 0)
    for name in ("sales", "strict"):
        assert here.post(name, delivery(("1", "2"))) == 200  # a repetition of a delivery in delivered/ or dead/
    a_pull_ends_what_a_relay_began(here)
    reading_back(here, by_relay=True)


def a_pull_ends_what_a_relay_began(here: Observed) -> None:
    """Both use one configuration, and the relay's import ends after its call: once well, once with an error."""
    world = here.world
    target = {"configuration": CONFIGURATION, "shared": True}
    world.add_pull("flights", target=target)
    world.add_relay("beside", target=target)
    for amount, fails in (("1", False), ("2", True)):
        if fails:
            world.pigment.fail_next(CONFIGURATION, "Late", "It failed after all")
        assert here.post("beside", told(amount)) == 200
        world.pause_imports()
        here.deliver()
        world.resume_imports()
        world.pigment.finished(world.imports[-1].id)
        assert here.pull()["outcome"] == "landed"


def told(amount: str) -> bytes:
    """Return a delivery with the columns of the flights."""
    body = json.loads(delivery())
    body["attachment"]["data"] = f"{','.join(HEADER)}\n2013-01-01,UA,EWR,{amount}\n"
    return json.dumps(body).encode()


def sweeps(here: Observed) -> None:
    """Provoke the reports of the sweep: an overdue landing, an expiring key, and a failed check."""
    world = here.world
    world.add_pull("due", schedule="15 6 * * *")
    world.raw["secrets"] = {"pigment-import-key": {"expires": "2026-03-20"}}
    world.save_jobs()
    assert here.pull("due")["outcome"] == "landed"
    here.deliver()
    world.clock.advance(2 * 24 * 3600)
    assert here.post("sales", delivery(("7", "8"))) == 200
    for busy in (Response(429, headers={"Retry-After": "3000"}), Response(503)):
        world.pigment_server.fault(PUSH, times=-1, refuse=busy)
        assert here.deliver()["waiting"] == 1
        world.pigment_server.heal()
        world.clock.advance(3600)
    world.storage_server.fault("GET .*/status.*", times=-1, refuse=Response(403))
    here.deliver()
    world.storage_server.heal()
    world.pigment_server.fault(PUSH, reset_after=True)
    assert here.pull("due")["outcome"] == "unknown"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> terraform.TerraformFolder:
    return terraform.TerraformFolder(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def plan(workspace: terraform.TerraformFolder) -> terraform.PlannedChanges:
    return workspace.plan(alerts={"emails": ["on-call@acme.example"]})


def functions_of(plan: terraform.PlannedChanges) -> dict[str, dict[str, Any]]:
    return {
        each["build_config"][0]["entry_point"]: each for each in plan.of("google_cloudfunctions2_function").values()
    }


def test_each_function_has_its_entry_file(plan: terraform.PlannedChanges) -> None:
    planned = functions_of(plan)

    assert set(planned) == {file.stem for file in FUNCTIONS.glob("*.py")}
    for entry_point, function in planned.items():
        source = function["build_config"][0]["environment_variables"]["GOOGLE_FUNCTION_SOURCE"]
        assert (FUNCTIONS / source).exists()
        assert callable(getattr(importlib.import_module(Path(source).stem), entry_point))


def words_of(*files: Path) -> set[str]:
    """Return every string constant in these files."""
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_bytes())))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_setting_is_read_and_what_is_needed_is_set(plan: terraform.PlannedChanges) -> None:
    from functions_framework._http import gunicorn

    read = words_of(*(FUNCTIONS / "common").rglob("*.py"), Path(gunicorn.__file__))
    needed = set(re.findall(r'_setting\("(\w+)"\)', (FUNCTIONS / "common" / "runs" / "instance.py").read_text()))

    for function in functions_of(plan).values():
        settings = set(function["service_config"][0]["environment_variables"])
        assert needed <= settings <= read


def test_bridge_yaml_is_stored_where_the_functions_read_it(plan: terraform.PlannedChanges) -> None:
    assert plan.resources["google_storage_bucket_object.config"]["name"] == paths.CONFIG


def test_notifications_are_limited_to_the_inbox(plan: terraform.PlannedChanges) -> None:
    (notification,) = plan.of("google_storage_notification").values()
    prefix = notification["object_name_prefix"]

    assert paths.delivery("inbox", "sales", "a").startswith(prefix)
    assert not any(
        paths.delivery(place, "sales", "a").startswith(prefix) for place in claims.PLACES if place != "inbox"
    )


def test_lifecycle_rules_use_existing_prefixes(plan: terraform.PlannedChanges, observed: Observed) -> None:
    (bucket,) = plan.of("google_storage_bucket").values()
    prefixes = {
        prefix
        for rule in bucket["lifecycle_rule"]
        for condition in rule["condition"]
        for prefix in condition.get("matches_prefix") or []
    }

    assert prefixes <= {prefix for pairs in observed.access.values() for _, prefix in pairs}


def filters_of(plan: terraform.PlannedChanges) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each log filter: the name of its metric or alert, the filter, and the extracted fields."""
    for name, metric in plan.of("google_logging_metric").items():
        extractors = [*metric.get("label_extractors", {}).values(), metric.get("value_extractor", "")]
        yield name, metric["filter"], extractors
    for name, policy in plan.of("google_monitoring_alert_policy").items():
        for condition in policy["conditions"]:
            for matched in condition.get("condition_matched_log") or []:
                yield name, matched["filter"], list(matched.get("label_extractors", {}).values())


def value_at(line: dict[str, Any], path: str) -> Any:
    value: Any = line
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def test_each_log_line_in_a_filter_is_written_with_its_fields(
    plan: terraform.PlannedChanges, observed: Observed
) -> None:
    # Cloud Run itself writes its log of instances.
    looked_for = [each for each in filters_of(plan) if "varlog%2Fsystem" not in each[1]]

    assert len(looked_for) == 20
    for name, query, extractors in looked_for:
        (named,) = re.findall(r'jsonPayload\.message=("[^"]+"|\([^)]*\))', query)
        messages = re.findall(r'"([^"]+)"', named)
        fields = set(re.findall(r"jsonPayload\.([\w.]+)", " ".join([query, *extractors])))
        lines = [line for line in observed.lines if line["message"] in messages]
        for field in fields:
            assert any(value_at(line, field) is not None for line in lines), (name, messages, field)


def test_metrics_extract_numeric_fields(plan: terraform.PlannedChanges, observed: Observed) -> None:
    for name, metric in plan.of("google_logging_metric").items():
        if extractor := metric.get("value_extractor"):
            field = extractor.removeprefix("EXTRACT(jsonPayload.").removesuffix(")")
            values = {type(value_at(line, field)) for line in observed.lines} - {type(None)}
            assert values <= {int, float}, name
            assert values, name


def test_each_code_and_outcome_in_a_filter_exists(plan: terraform.PlannedChanges) -> None:
    known = {
        "error.code": {errors.code_of(kind) for kind in errors.every_error()},
        "code": {errors.code_of(kind) for kind in errors.every_error()},
        "outcome": set(Outcome.__args__),  # type: ignore[attr-defined]
    }
    queries = " ".join(query for _, query, _ in filters_of(plan))

    wanted = re.findall(r'jsonPayload\.([\w.]+)=("\w+"|\([^)]*\))', queries)
    for field, may_come in known.items():
        named = {word for each, words in wanted if each == field for word in re.findall(r"\w+", words)} - {"OR"}
        assert named, field
        assert named <= may_come, field


def test_severities_are_known_to_cloud_logging(observed: Observed) -> None:
    assert {line["severity"] for line in observed.lines} <= {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}


def test_each_function_has_exactly_the_bucket_access_it_uses(
    workspace: terraform.TerraformFolder, observed: Observed
) -> None:
    granted: dict[str, dict[str, str]] = workspace.evaluate("local._bucket_access")

    for function, access in granted.items():
        done = observed.access[function]
        written = {prefix for operation, prefix in done if operation == "write"}
        used = {prefix: "write" if prefix in written else "read" for _, prefix in done}
        assert used == access, function


def test_only_buckets_named_in_bridge_yaml_are_written(observed: Observed) -> None:
    assert dict(observed.others) == {"pigment_export": {"acme-analytics"}}


def test_each_function_has_access_to_exactly_the_secrets_it_reads(
    workspace: terraform.TerraformFolder, observed: Observed
) -> None:
    raw = copy.deepcopy(observed.world.raw)
    for pull in raw["pulls"].values():
        pull["target"]["shared"] = True  # else no plan may have pulls of one configuration
    grants = workspace.evaluate("values(local._secret_grants)", raw)

    granted: dict[str, set[str]] = {}
    for grant in grants:
        if grant["role"] == "roles/secretmanager.secretAccessor":
            granted.setdefault(grant["function"], set()).add(grant["secret"])
    assert granted == dict(observed.secrets)
    listing = {grant["function"] for grant in grants if grant["role"] == "roles/secretmanager.viewer"}
    assert listing == set(observed.listed_secrets)
