"""An error of the functions stops a plan, and Terraform's copy equals the file."""

import itertools
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from common.bridge_yaml import cron_problem, decode
from common.platform.errors import BridgeFileInvalid
from local import bridge_file, bridge_schema
from local.cli import app
from tests.config.test_bridge_yaml_errors_are_reported_together import BASE, FAULTS, ID, SECRETS, file_where
from tests.config.test_bridge_yaml_is_decoded import EXPORT_FILTER, WHOLE
from tests.support import documents, terraform

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
EACH = """
module "each" {
  source      = "./bridge"
  for_each    = fileset("${path.module}/files", "*")
  bridge_file = "${path.module}/files/${each.value}"
}
"""

with_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform on the path")

NOT_IN_HCL = {
    ("pulls/flights/source/filters", "{true: a}"): "as JSON the key is text, and sound",
    (
        "pulls/flights/load",
        "{incremental: {cursor: a.b, start: 2013-01-01, window: 101 years}}",
    ): "months and years are not of one length",
    **{
        (path, value): "filters nest without end, and HCL knows no recursion"
        for path, value, _ in FAULTS
        if "export_filter" in value
    },
}
"Faults that Terraform cannot find, but `bridge check --offline`, which `make plan` runs first, can."

MORE_FAULTS = [
    ("pulls/flights/time_zone", "12"),
    ("pulls/flights/schedule", "12"),
    ("pulls/flights/target/columns", "text"),
    ("pulls/flights/target/columns", "[{A: x}, {B: x}]"),
    ("pulls/flights/target/shared", "1"),
    ("pulls/flights/load", "{incremental: {cursor: a.b, start: 0, window: 5, delay: 1 day}}"),
    ("pulls/flights/source", "{explore: {model: m, view: v, fields: [a.b], filter: {a: b}}}"),
    ("relays/budget/guards", "{min_row: 1}"),
    ("exports/revenue/source", f"{{list: {ID}, property_filters: [{{modality_ids: [x]}}]}}"),
    ("secrets", "{pigment-import-key: {expires: soon}}"),
    ("secrets", "{pigment-import-key: {}}"),
    ("secrets", "{another: {expires: 2027-01-31}}"),
    ("pigment/url", "https://pigment.app#here"),
    *(("pigment/import_key", json.dumps(secret)) for secret in SECRETS),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> "Verdicts":
    return Verdicts(tmp_path_factory.mktemp("verdicts"))


class Verdicts:
    """The faults that infra/bridge*.tf find in many files: one plan, with a module for each file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "bridge").mkdir()
        for file in INFRA.glob("bridge*"):
            shutil.copy(file, folder / "bridge")
        (folder / "main.tf").write_text(EACH)

    def on(self, files: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the faults by the file's name; none for a valid file."""
        ran = self.plan(files)
        found = dict(_named(ran.stdout))
        assert bool(ran.returncode) == bool(found), ran.stdout
        return {name: found.get(name, []) for name in files}

    def plan(self, files: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(self._folder / "files", ignore_errors=True)
        (self._folder / "files").mkdir()
        for name, raw in files.items():
            text = raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
            (self._folder / "files" / f"{name}.yaml").write_text(text, encoding="utf-8")
        self._terraform("init", "-input=false")
        return self._terraform("plan", "-json", "-input=false")

    def _terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def _named(lines: str) -> Iterator[tuple[str, list[str]]]:
    for line in lines.splitlines():
        diagnostic = json.loads(line).get("diagnostic")
        if diagnostic:
            of_file = re.fullmatch(r"\S+/files/(\S+)\.yaml is not valid:\n(.*)", diagnostic["detail"], re.DOTALL)
            assert of_file, diagnostic
            yield of_file[1], [fault.strip() for fault in of_file[2].splitlines()]


def faults_of(raw: object) -> list[str]:
    """Return the faults that the functions find."""
    try:
        decode(raw)
    except BridgeFileInvalid as error:
        return error.cause.splitlines()
    return []


def paths_of(faults: list[str]) -> set[str]:
    return {fault.split(": ")[0] for fault in faults}


def with_pull(**fields: Any) -> dict[str, Any]:
    raw: Any = bridge_file.parse(BASE)
    raw["pulls"]["flights"] |= fields
    return dict(raw)


def with_export(**fields: Any) -> dict[str, Any]:
    raw: Any = bridge_file.parse(BASE)
    raw["exports"]["revenue"] |= fields
    return dict(raw)


SOUND: dict[str, Any] = {
    "the-example": (INFRA / "bridge.yaml").read_text(),
    "the-documents": documents.examples(*documents.DOCUMENTS),
    "everything": WHOLE,
    "small": BASE,
    "nothing": {"pulls": {}},
    "host-and-port": {"looker": {"host": "acme.looker.com", "port": 19999, "credentials": "projects/a/secrets/b"}},
    "host-and-region": {"looker": {"host": "acme", "region": "us-west.looker.com"}},
    "a-loopback": {"looker": {"url": "http://127.0.0.1:8000/api/4.0/"}, "pigment": {"url": "http://[::1]:80"}},
    "a-date": with_pull(
        source={"look": 12, "filters": {"a.day": "2013-01-01", "a.n": 5, "a.x": 1.5, "a.any": "", "b": "7 days"}},
        load={
            "incremental": {"cursor": "a.b", "start": "2013-01-01 06:30", "window": "1 Month", "delay": "90 seconds"}
        },
    ),
    "an-unquoted-date": BASE.replace(
        "source: {look: 12}",
        "source: {look: 12, filters: {a.day: 2013-01-01}}\n"
        "    load: {incremental: {cursor: a.b, start: 2013-01-01, window: 1 month}}",
    ),
    "numbers": with_pull(load={"incremental": {"cursor": "a.b", "start": -5, "window": 500000, "delay": "1000"}}),
    "pairs": with_pull(target={"configuration": ID, "columns": [{"Z z": "b"}, {"A": "a"}, {2013: "year"}]}),
    "a-mapping": with_pull(target={"configuration": ID.upper(), "columns": {"A": "a", "B": "2"}}),
    "changes": with_pull(load={"changes": {"key": ["Id", 2]}}, guards={"max_shrink": "99.5 %", "accept_cap": True}),
    "changes-of-columns": with_pull(
        load={"changes": {"key": ["A", "2013"]}}, target={"configuration": ID, "columns": [{"A": "a"}, {2013: "year"}]}
    ),
    "storage": with_pull(
        target={"configuration": ID, "via": "storage", "bucket": "acme", "path": "a b/{date}-{run}.csv"}
    ),
    "a-kept-limit": with_pull(source={"look": 12, "limit": "look"}, guards={"accept_error_text": True}),
    "a-kept-limit-of-a-query": with_pull(source={"query": "slug", "limit": "look"}),
    "windows-without-a-limit": with_pull(
        source={"look": 12, "limit": "all"}, load={"incremental": {"cursor": "a.b", "start": 1, "window": 5}}
    ),
    "resources": with_pull(
        source={"resource": "users"}, schedule="*/30 6-20 * JAN-MAR MON-FRI", time_zone="Asia/Kolkata"
    ),
    "filters": with_export(source={"metric": ID, "export_filter": EXPORT_FILTER}, date_format="Legacy"),
    "fields": with_export(
        source={"table": ID, "fields": [{"type": "ScenarioField"}, {"type": "ValueField", "source_id": ID}]}
    ),
    "a-signal": with_pull() | {"relays": {"go": {"start": "flights"}}},
    "shared": with_pull(target={"configuration": ID, "shared": True})
    | {"relays": {"budget": {"target": {"configuration": ID, "shared": True}}}},
    "secrets": with_pull() | {"secrets": {"pigment-import-key": {"expires": "2027-06-30"}}},
    "a-hundred-jobs": with_pull()
    | {"relays": {}, "exports": {f"e{n}": {"source": {"view": ID}, "path": f"{n}.csv"} for n in range(100)}},
}


@with_terraform
@pytest.mark.terraform
def test_every_error_of_the_functions_stops_the_plan_with_its_path(verdicts: Verdicts) -> None:
    corpus = [each for each in [*(fault[:2] for fault in FAULTS), *MORE_FAULTS] if each not in NOT_IN_HCL]
    files = {f"f{number:03}": file_where(*each) for number, each in enumerate(corpus)}

    found = verdicts.on(files)

    for name, raw in files.items():
        faults = faults_of(raw)
        assert faults, raw
        text = "\n".join(found[name])
        assert all(path in text for path in paths_of(faults)), (faults, found[name])
        assert all(": " in fault and "; write " in fault for fault in found[name])


@with_terraform
@pytest.mark.terraform
@pytest.mark.parametrize("text", ["", "pulls: [", "text", "[1]"])
def test_a_file_other_than_bridge_yaml_stops_the_plan(text: str, verdicts: Verdicts) -> None:
    ran = verdicts.plan({"a": text})

    assert ran.returncode == 1
    said = [json.loads(line).get("diagnostic", {}).get("detail", "") for line in ran.stdout.splitlines()]
    assert any("bridge.yaml: is " in each or 'Call to function "yamldecode" failed' in each for each in said)


@with_terraform
@pytest.mark.terraform
def test_every_file_that_the_functions_accept_passes_the_plan(verdicts: Verdicts) -> None:
    for name, raw in SOUND.items():
        text = raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False)
        assert faults_of(bridge_file.parse(text)) == [], name

    assert verdicts.on(SOUND) == {name: [] for name in SOUND}


@with_terraform
@pytest.mark.terraform
def test_a_configuration_shared_by_two_jobs_stops_the_plan_but_no_function(verdicts: Verdicts) -> None:
    """A stopped plan loses nothing, but a running bridge must continue."""
    raw = with_pull() | {"relays": {"budget": {"target": {"configuration": ID.upper()}}}}
    half = with_pull(target={"configuration": ID, "shared": True}) | {"relays": raw["relays"]}

    found = verdicts.on({"both": raw, "half": half})

    assert decode(raw).warnings
    assert "relays.budget.target.configuration: is also used by pulls.flights.target" in found["both"][0]
    assert found["half"] == found["both"]


@with_terraform
@pytest.mark.terraform
def test_terraform_messages_contain_no_secret(verdicts: Verdicts) -> None:
    keys = ("looker/credentials", "pigment/import_key", "pigment/url", "looker/url", "webhook/token", "webhook/tokn")
    files = {
        f"s{number}-{place}": file_where(key, json.dumps(secret))
        for number, secret in enumerate(SECRETS)
        for place, key in enumerate(keys)
    }

    found = verdicts.on(files)

    assert all(found.values())
    said = "\n".join(fault for faults in found.values() for fault in faults)
    assert not [secret for secret in SECRETS if secret in said]


def schedules() -> Iterator[str]:
    """Yield each form of a field at each position, then a fixed sample of combinations."""
    parts = [
        "*/5",
        "*/90",
        "*/0",
        "05",
        "59",
        "60",
        "7",
        "0",
        "1-5",
        "5-1",
        "1-5/2",
        "5/2",
        "1,15",
        "1,",
        "-1",
        "1-2-3",
    ]
    parts += ["MON", "MON-FRI", "FRI-MON", "mon", "JAN", "JAN-MAR/2", "31", "L", "?", "5*", "**", "٣", "*-5"]
    for place, part in itertools.product(range(5), parts):
        yield " ".join([*"*" * place, part, *"*" * (4 - place)])
    chance = random.Random(7)
    for _ in range(40):
        yield " ".join(chance.choices(["*", "*/5", "1,5", "2-4", "1", "7"], k=5))
    yield from [
        "0 0 31 2,4 *",
        "0 0 30 2 *",
        "0 0 31 2 1",
        "0 0 29 2 *",
        "0 0 31 */2 *",
        "0 0 31 4-6/2 *",
        "0 0 30-31 2 *",
    ]
    yield from ["@daily", "every 5 minutes", "* * * *", "0 0 * * * *", "  5   4  *  *  SUN "]


@with_terraform
@pytest.mark.terraform
def test_both_accept_the_same_schedules(verdicts: Verdicts) -> None:
    jobs = {f"j{number}": schedule for number, schedule in enumerate(schedules())}
    exports = {name: {"source": {"view": ID}, "path": name, "schedule": text} for name, text in jobs.items()}
    raw = {"pigment": {"export_key": "k"}, "exports": exports}

    (found,) = verdicts.on({"schedules": raw}).values()

    expected = {f"exports.{name}.schedule" for name, text in jobs.items() if cron_problem(text)}
    assert paths_of(found) == expected
    assert 20 < len(expected) < len(jobs) - 20


def test_the_schema_matches_the_structs() -> None:
    """The schema includes the time zones of the database that is deployed with the functions."""
    kept = (INFRA / "bridge_schema.json").read_text(encoding="utf-8")

    assert kept == bridge_schema.as_json(), "run `make schema`"


def test_terraform_checks_every_level_of_the_schema() -> None:
    levels = re.findall(r"^  _level_(\d+) ", (INFRA / "bridge_values.tf").read_text(encoding="utf-8"), re.MULTILINE)

    assert max(path.count("/") + 1 for path in bridge_schema.schema().entries) == max(map(int, levels))


def test_the_check_before_a_plan_covers_what_hcl_cannot(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    for path, value in NOT_IN_HCL:
        if path.endswith("filters"):
            file.write_text(f"{BASE.replace('{look: 12}', '{look: 12, filters: {true: a}}')}")
        else:
            file.write_text(yaml.safe_dump(file_where(path, value), sort_keys=False))
        ran = CliRunner().invoke(app, ["check", "--offline", "--config", str(file)])

        assert (ran.exit_code, ran.stdout.split()[0]) == (1, "red"), ran.stdout


def test_the_check_before_a_plan_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_BUCKET", "a-bucket-that-nobody-serves")
    (tmp_path / "bridge.yaml").write_text(BASE)

    ran = CliRunner().invoke(app, ["check", "--offline", "--json"])

    assert ran.exit_code == 0
    assert [finding["colour"] for finding in json.loads(ran.stdout)] == ["green"]
    assert [file.name for file in tmp_path.iterdir()] == ["bridge.yaml"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> terraform.TerraformFolder:
    return terraform.TerraformFolder(tmp_path_factory.mktemp("workspace"))


@pytest.mark.terraform
@pytest.mark.parametrize(
    "name", ["the-example", "the-documents", "an-unquoted-date", "numbers", "pairs", "a-mapping", "filters"]
)
def test_terraforms_copy_equals_the_file(name: str, workspace: terraform.TerraformFolder, tmp_path: Path) -> None:
    raw, file = SOUND[name], tmp_path / "bridge.yaml"
    file.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")

    plan = workspace.plan(file)

    stored = plan.resources["google_storage_bucket_object.config"]["content"]
    assert decode(json.loads(stored)) == bridge_file.load(file)


@pytest.mark.terraform
def test_an_error_stops_the_whole_plan(workspace: terraform.TerraformFolder) -> None:
    with pytest.raises(terraform.PlanRefused) as caught:
        workspace.plan(file_where("pulls/flights/schedule", "every day"))

    assert "pulls.flights.schedule: has 2 fields, not 5" in str(caught.value)
    assert "write five fields of unix-cron" in str(caught.value)
