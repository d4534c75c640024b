"""Terraform plans bridge.yaml only as the functions' own code has checked it, and stores it unchanged."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from common.bridge_yaml import decode
from local import bridge_file
from local.cli import app
from tests.config.test_bridge_yaml_errors_are_reported_together import BASE, FAULTS, ID, file_where
from tests.config.test_editors_check_bridge_yaml import MORE_FAULTS, SOUND, text_of, with_pull
from tests.support import terraform

NOT_CHECKED = "has not been checked since it was last changed: run `make check`"


def check(text: str, folder: Path) -> tuple[Result, Path]:
    """Run what `make check` runs; return its result, and the file that it may have written."""
    file, checked = folder / "bridge.yaml", folder / "build" / "bridge.json"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["check", "--offline", "--config", str(file), "--out", str(checked)]), checked


@pytest.mark.parametrize("name", SOUND)
def test_the_functions_decode_the_same_bridge(name: str, tmp_path: Path) -> None:
    ran, checked = check(text_of(name), tmp_path)

    assert ran.exit_code == 0, ran.output
    written = json.loads(checked.read_bytes())
    assert written["sha256"] == hashlib.sha256((tmp_path / "bridge.yaml").read_bytes()).hexdigest()
    bridge = bridge_file.load(tmp_path / "bridge.yaml")
    stored = decode(json.loads(written["config"]))
    assert stored == bridge
    assert [list(pull.target.columns) for pull in stored.pulls.values()] == [
        list(pull.target.columns) for pull in bridge.pulls.values()
    ]
    assert written["warnings"] == list(bridge.warnings)


@pytest.mark.long
def test_nothing_is_written_of_a_file_with_a_fault(tmp_path: Path) -> None:
    for path, value in [*(fault[:2] for fault in FAULTS), *MORE_FAULTS]:
        ran, checked = check(yaml.safe_dump(file_where(path, value)), tmp_path)

        assert (ran.exit_code, checked.exists()) == (1, False), (path, value)


@pytest.mark.parametrize("shared", [False, True])
def test_two_jobs_with_one_configuration_are_refused_unless_both_share_it(shared: bool, tmp_path: Path) -> None:
    """A stopped plan loses nothing, but a running bridge must continue: the functions only warn."""
    raw = with_pull(target={"configuration": ID, "shared": True})
    raw["relays"] = {"budget": {"target": {"configuration": ID.upper(), "shared": shared}}}

    ran, checked = check(json.dumps(raw), tmp_path)

    assert bool(decode(raw).warnings) is not shared
    assert checked.exists() is shared
    assert ran.exit_code == (0 if shared else 1)
    assert shared or "Is also used by pulls.flights.target" in " ".join(ran.output.split())


def test_the_check_reads_no_secret_and_no_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_BUCKET", "a-bucket-that-nobody-serves")

    ran, checked = check(BASE, tmp_path)

    assert ran.exit_code == 0
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"bridge.yaml", checked.name}


def exported(tmp_path: Path, **fields: Any) -> Any:
    """Return what Terraform reads of an export with these columns, in this order."""
    columns = {"Net (EUR)": "number", "Month": "date", "net_eur": "decimal", "Account": "text"}
    job = {"source": {"view": ID}, "path": "staff", "columns": columns, "bigquery": True, **fields}
    ran, checked = check(json.dumps(with_pull() | {"exports": {"staff": job}}), tmp_path)
    assert ran.exit_code == 0, ran.output
    return json.loads(checked.read_bytes())["exports"]["staff"]


def test_csv_for_bigquery_has_a_schema_of_the_pinned_columns(tmp_path: Path) -> None:
    staff = exported(tmp_path)

    assert (staff["for_bigquery"], [[each["name"], each["type"]] for each in staff["schema"]]) == (
        True,
        [["Net__EUR_", "FLOAT"], ["Month", "DATE"], ["net_eur", "NUMERIC"], ["Account", "STRING"]],
    )


@pytest.mark.parametrize("fields", [{"bigquery": False}, {"format": "parquet"}, {"columns": {}}])
def test_other_exports_have_no_schema(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert exported(tmp_path, **fields)["schema"] == []


def test_only_an_offline_check_writes_for_terraform(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["check", "--out", str(tmp_path / "bridge.json")])

    assert ran.exit_code == 2
    assert "--out needs --offline" in ran.output


@pytest.fixture
def workspace(tmp_path: Path) -> terraform.TerraformFolder:
    return terraform.TerraformFolder(tmp_path)


@pytest.mark.terraform
def test_the_object_in_the_bucket_is_what_was_checked(workspace: terraform.TerraformFolder) -> None:
    raw: dict[str, Any] = with_pull(target={"configuration": ID, "columns": {"Z z": "b", "A": "a"}})

    plan = workspace.plan(raw)

    stored = plan.resources["google_storage_bucket_object.config"]["content"]
    assert list(decode(json.loads(stored)).pulls["flights"].target.columns) == ["Z z", "A"]
    assert decode(json.loads(stored)) == decode(raw)


@pytest.mark.terraform
def test_a_file_that_was_edited_after_the_check_is_refused(
    workspace: terraform.TerraformFolder, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(BASE, encoding="utf-8")
    workspace.plan(file)
    file.write_text(f"{BASE}# another word\n", encoding="utf-8")

    assert refusals(workspace, "plan") == [NOT_CHECKED]
    assert NOT_CHECKED in refusals(workspace, "plan", "-target=google_storage_bucket_object.config")
    assert refusals(workspace, "apply", "-auto-approve") == [NOT_CHECKED]


@pytest.mark.terraform
@pytest.mark.parametrize("content", [None, "", "{}", '{"sha256": 5}', "[]"])
def test_without_a_check_nothing_is_planned(content: str | None, workspace: terraform.TerraformFolder) -> None:
    workspace.plan(file_where("pulls/flights/time_zone", "UTC"))
    workspace.checked.unlink()
    if content is not None:
        workspace.checked.write_text(content)

    assert refusals(workspace, "plan") == [NOT_CHECKED]


def refusals(workspace: terraform.TerraformFolder, *command: str) -> list[str]:
    """Return what Terraform says as it refuses a command, with the refusal of an unchecked file shortened."""
    with pytest.raises(terraform.PlanRefused) as caught:
        workspace.run(*command, "-json", "-input=false")
    said = str(caught.value).splitlines()
    told = [
        line for line in said if line and line != "Invalid value for variable" and "This was checked by" not in line
    ]
    return [NOT_CHECKED if NOT_CHECKED in line else line for line in told]
