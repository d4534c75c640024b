"""An overlay such as bridge.dev.yaml makes a second environment of bridge.yaml that cannot touch the first."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from common.bridge_yaml import decode
from local.cli import app
from tests.support import terraform

REAL = ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "6fa459ea-ee8a-3ca4-894e-db77e160355e"]
OWN = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"]
BRIDGE: dict[str, Any] = {
    "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
    "pigment": {"import_key": "pigment-import-key"},
    "webhook": {"token": "looker-webhook-token"},
    "pulls": {"flights": {"schedule": "15 6 * * *", "source": {"look": 12}, "target": {"configuration": REAL[0]}}},
    "relays": {"budget": {"target": {"configuration": REAL[1]}}},
}
OVERLAY: dict[str, Any] = {
    "looker": {"url": "https://acme-dev.cloud.looker.com"},
    "pulls": {"flights": {"target": {"configuration": OWN[0]}}},
    "relays": {"budget": {"target": {"configuration": OWN[1]}}},
}


def check(folder: Path, overlay: object) -> tuple[Result, Path]:
    """Check BRIDGE with an overlay for Terraform; return the result, and the file that it may have written."""
    (folder / "bridge.yaml").write_text(yaml.safe_dump(BRIDGE))
    (folder / "bridge.dev.yaml").write_text(yaml.safe_dump(overlay))
    out = folder / "bridge.json"
    files = ["--config", str(folder / "bridge.yaml"), "--overlay", str(folder / "bridge.dev.yaml"), "--out", str(out)]
    return CliRunner().invoke(app, ["check", "--offline", *files]), out


def test_it_has_the_same_jobs_another_looker_and_no_schedules(tmp_path: Path) -> None:
    ran, out = check(tmp_path, OVERLAY)

    assert ran.exit_code == 0, ran.output
    written = json.loads(out.read_bytes())
    bridge = decode(json.loads(written["config"]))
    assert (list(bridge.pulls), list(bridge.relays), written["schedules"]) == (["flights"], ["budget"], {})
    assert (bridge.looker.url, bridge.looker.credentials) == ("https://acme-dev.cloud.looker.com", "looker-api")
    assert bridge.pulls["flights"].target.configuration == OWN[0]


def test_a_schedule_is_on_where_the_overlay_sets_it(tmp_path: Path) -> None:
    changed = OVERLAY | {"pulls": {"flights": {"schedule": "0 3 * * *", "target": {"configuration": OWN[0]}}}}

    _, out = check(tmp_path, changed)

    assert json.loads(out.read_bytes())["schedules"]["pull-flights"]["schedule"] == "0 3 * * *"


@pytest.mark.parametrize("configuration", [REAL[1], REAL[1].upper(), REAL[0], None])
def test_a_job_cannot_name_a_configuration_of_the_first_environment(configuration: str | None, tmp_path: Path) -> None:
    target = {"configuration": configuration} if configuration else {}

    ran, out = check(tmp_path, OVERLAY | {"relays": {"budget": {"target": target}}})

    assert (ran.exit_code, out.exists()) == (1, False)
    assert "relays.budget.target.configuration" in ran.output


@pytest.mark.parametrize("overlay", [{"pulls": {"other": {"source": {"look": 1}}}}, ["pulls"], {"looker": {"ur": "x"}}])
def test_another_job_and_other_faults_are_refused(overlay: object, tmp_path: Path) -> None:
    ran, out = check(tmp_path, overlay)

    assert (ran.exit_code, out.exists()) == (1, False)


def test_the_example_is_an_environment_of_the_example(tmp_path: Path) -> None:
    infra, out = terraform.INFRA, tmp_path / "bridge.json"
    files = ["--config", str(infra / "bridge.yaml"), "--overlay", str(infra / "bridge.dev.yaml"), "--out", str(out)]

    ran = CliRunner().invoke(app, ["check", "--offline", *files])

    assert ran.exit_code == 0, ran.output
    assert json.loads(out.read_bytes())["schedules"] == {}


@pytest.mark.terraform
def test_terraform_plans_it_only_with_the_overlay_that_was_checked(tmp_path: Path) -> None:
    workspace = terraform.TerraformFolder(tmp_path)
    workspace.plan(BRIDGE)
    _, out = check(tmp_path, OVERLAY)
    files = [f"-var=bridge_file={tmp_path / 'bridge.yaml'}", f"-var=checked_bridge_file={out}"]

    with pytest.raises(terraform.PlanRefused, match="has not been checked"):
        workspace.run("plan", "-input=false", *files)
    said = workspace.run("plan", "-input=false", *files, f"-var=bridge_overlay={tmp_path / 'bridge.dev.yaml'}")
    assert 'google_cloud_scheduler_job.jobs["pull-flights"]' not in said
