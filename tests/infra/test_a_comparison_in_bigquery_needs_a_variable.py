"""`engine: bigquery` in bridge.yaml needs `bigquery_engine` in Terraform; it lets only those functions run queries."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from local import deployment
from tests.support.terraform import PlanRefused, TerraformFolder
from tests.support.world import CONFIGURATION, VIEW

JOB_USER = "roles/bigquery.jobUser"


def bridge(**sections: Any) -> dict[str, Any]:
    return {
        "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
        "pigment": {"import_key": "pigment-import-key", "export_key": "pigment-export-key"},
        "webhook": {"token": "looker-webhook-token"},
        **sections,
    }


def job(engine: str) -> dict[str, Any]:
    verify = {"source": {"view": VIEW}, "key": ["Id"], "engine": engine}
    return {"target": {"configuration": CONFIGURATION}, "verify": verify}


def pull(engine: str) -> dict[str, Any]:
    return bridge(pulls={"flights": {"source": {"look": "1"}, **job(engine)}})


@pytest.mark.parametrize(
    ("content", "functions"),
    [
        (pull("function"), ()),
        (pull("bigquery"), ("looker_pull", "webhook_deliver")),
        (bridge(relays={"sales": job("bigquery")}), ("webhook_deliver",)),
    ],
    ids=["in the function", "a pull", "a relay"],
)
def test_the_functions_that_query_are_known(
    tmp_path: Path, content: dict[str, Any], functions: tuple[str, ...]
) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")

    assert deployment.read(file).queried_by == functions


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> TerraformFolder:
    return TerraformFolder(tmp_path_factory.mktemp("terraform"))


@pytest.mark.terraform
def test_the_variable_lets_these_functions_run_queries(workspace: TerraformFolder) -> None:
    planned = workspace.plan(pull("bigquery"), bigquery_engine=True)

    members = {
        grant["member"].removeprefix("serviceAccount:").partition("@")[0]
        for grant in planned.of("google_project_iam_member").values()
        if grant["role"] == JOB_USER
    }
    assert members == {"bridge-looker-pull", "bridge-webhook-deliver"}
    assert 'google_project_service.services["bigquery.googleapis.com"]' in planned.resources


@pytest.mark.terraform
def test_without_the_variable_such_a_job_is_not_planned(workspace: TerraformFolder) -> None:
    with pytest.raises(PlanRefused, match="set bigquery_engine = true"):
        workspace.plan(pull("bigquery"))


@pytest.mark.terraform
def test_without_such_a_job_no_function_runs_queries(workspace: TerraformFolder) -> None:
    planned = workspace.plan(pull("function"))

    assert not [grant for grant in planned.of("google_project_iam_member").values() if grant["role"] == JOB_USER]
    assert 'google_project_service.services["bigquery.googleapis.com"]' not in planned.resources
