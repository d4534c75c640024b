"""Terraform over a copy of `infra/`, against the google provider's real schema: its plans as data.

Neither `terraform` nor that schema is part of this project: `BRIDGE_REFERENCE` names a folder whose `terraform/` holds
a provider that knows a schema and reaches nothing. Where either is missing, the test is skipped and says so.
"""

import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from local.cli import app

INFRA = Path(__file__).parents[2] / "infra"

PROJECT_ID = "acme-planning"
_VARIABLES = {"project_id": PROJECT_ID, "region": "europe-west1"}
_PATIENCE_S = 120
_STATE_ON_DISK = 'terraform {\n  backend "local" {}\n}\n'

BridgeYaml = Path | Mapping[str, Any]


class PlanRefused(Exception):
    """The check before the plan or Terraform refused it; the text is what it printed."""


@dataclasses.dataclass(frozen=True)
class PlannedChanges:
    """The changes that Terraform plans."""

    resources: dict[str, dict[str, Any]]
    "Planned values by address, without nulls and values that only Google knows."
    actions: dict[str, str]
    "The action by address: create, update, replace or delete. Unchanged resources are missing."
    outputs: dict[str, Any]
    "The outputs that are known before the apply."
    raw: dict[str, Any]
    "The plan in the form of `terraform show -json`."

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of one type, by their address without the type: `jobs["flights"]`."""
        prefix = f"{kind}."
        return {
            address.removeprefix(prefix): values
            for address, values in self.resources.items()
            if address.startswith(prefix)
        }


class TerraformFolder:
    """A copy of `infra/` with its own state."""

    def __init__(self, folder: Path) -> None:
        self._stub = _stub()
        self.folder = folder / "infra"
        shutil.copytree(INFRA, self.folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*"))
        (self.folder / "backend_override.tf").write_text(_STATE_ON_DISK, encoding="utf-8")
        self.checked = folder / "bridge.json"
        self._archive = folder / "functions.zip"
        self._archive.write_bytes(b"an archive")
        self._run("terraform init -input=false -no-color")

    def plan(self, bridge_yaml: BridgeYaml | None = None, **variables: Any) -> PlannedChanges:
        """Check and plan `bridge_yaml`, a file or its content; by default `infra/bridge.yaml`. Raises PlanRefused."""
        self._set(bridge_yaml, variables)
        *_, shown = self._run("terraform plan -json -input=false -out=plan && terraform show -json plan").splitlines()
        return _plan(json.loads(shown))

    def apply(self, bridge_yaml: BridgeYaml | None = None, **variables: Any) -> PlannedChanges:
        """Plan and apply; a later plan starts from the new state."""
        planned = self.plan(bridge_yaml, **variables)
        self._run("terraform apply -json -input=false plan")
        return planned

    def evaluate(self, expression: str, bridge_yaml: BridgeYaml | None = None, **variables: Any) -> Any:
        """Return the value of an expression such as `local.pulls`, which must be known before an apply."""
        self._set(bridge_yaml, variables)
        shown = self._run("terraform console", f"jsonencode({expression})\n")
        return json.loads(json.loads(shown))

    def run(self, *arguments: str) -> str:
        """Run another command of Terraform, and return its output. Raises PlanRefused if it failed."""
        return self._run(shlex.join(["terraform", *arguments]))

    def _set(self, bridge_yaml: BridgeYaml | None, variables: Mapping[str, Any]) -> None:
        file = self.folder / "bridge.yaml" if bridge_yaml is None else bridge_yaml
        if isinstance(file, Mapping):
            written = yaml.safe_dump(dict(file), sort_keys=False, allow_unicode=True)
            file = self.folder / "given.yaml"
            file.write_text(written, encoding="utf-8")
        _check(file, self.checked)
        own = {
            "bridge_file": str(file),
            "checked_bridge_file": str(self.checked),
            "source_archive": str(self._archive),
        }
        text = json.dumps(_VARIABLES | own | dict(variables))
        (self.folder / "test.auto.tfvars.json").write_text(text, encoding="utf-8")

    def _run(self, command: str, stdin: str = "") -> str:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
            "PYTHON": sys.executable,
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
        }
        process = subprocess.Popen(
            [*self._stub, "sh", "-c", command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, complaints = process.communicate(stdin, timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            # The provider and Terraform are children of this process.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        if process.returncode:
            raise PlanRefused(_said(output) + complaints)
        return output


def plan(bridge_yaml: BridgeYaml | None = None, **variables: Any) -> PlannedChanges:
    """Plan with an empty state. Raises PlanRefused if Terraform refuses the plan."""
    with tempfile.TemporaryDirectory() as folder:
        return TerraformFolder(Path(folder)).plan(bridge_yaml, **variables)


def _check(file: Path, checked: Path) -> None:
    """Do what `make check` does before a plan."""
    ran = CliRunner().invoke(app, ["check", "--offline", "--json", "--config", str(file), "--out", str(checked)])
    if ran.exit_code:
        raise PlanRefused(ran.output)


def _stub() -> list[str]:
    """Return the command that runs another command with the provider."""
    reference = os.environ.get("BRIDGE_REFERENCE")
    if not reference:
        pytest.skip("BRIDGE_REFERENCE names no folder with terraform/with_stub.sh")
    if not shutil.which("terraform"):
        pytest.skip("there is no terraform on the path")
    folder = Path(reference, "terraform").resolve()
    schemas = sorted(folder.glob("google-*.json.gz"))
    if not schemas:
        pytest.skip(f"{folder} holds no schema of the google provider")
    return [str(folder / "with_stub.sh"), str(schemas[-1])]


def _said(output: str) -> str:
    """Return the diagnostics in `-json` output, and every line that is not JSON."""
    words = []
    for line in output.splitlines():
        try:
            diagnostic = json.loads(line).get("diagnostic")
        except (ValueError, AttributeError):
            words.append(line)
        else:
            if diagnostic:
                words += [diagnostic["summary"], diagnostic["detail"]]
    return "\n".join(words) + "\n"


def _plan(raw: dict[str, Any]) -> PlannedChanges:
    # A module of this size has no child modules.
    planned = raw["planned_values"]
    resources = {
        each["address"]: {name: value for name, value in each["values"].items() if value is not None}
        for each in planned["root_module"].get("resources", [])
        if each["mode"] == "managed"
    }
    actions = {each["address"]: _action(each["change"]["actions"]) for each in raw.get("resource_changes", [])}
    actions = {address: action for address, action in actions.items() if action not in ("no-op", "read")}
    outputs = {name: output.get("value") for name, output in planned.get("outputs", {}).items()}
    return PlannedChanges(resources, actions, outputs, raw)


def _action(actions: list[str]) -> str:
    return actions[0] if len(actions) == 1 else "replace"
