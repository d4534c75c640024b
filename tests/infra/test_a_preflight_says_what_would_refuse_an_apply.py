"""`make preflight` says what in a project would refuse the first apply, and what answers it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PREFLIGHT = Path(__file__).parents[2] / "infra" / "preflight.sh"

# A gcloud that answers from a folder: the file named by its first words, or a refusal. It records every call.
GCLOUD = """#!/bin/sh
echo "$*" >> "$ANSWERS/calls"
case "$1 $2" in
    "org-policies describe") file="policy $3" ;;
    "billing projects") file="billing" ;;
    *) file="$1 $2" ;;
esac
[ -f "$ANSWERS/$file" ] && cat "$ANSWERS/$file" || exit 1
"""
SOUND = {
    "projects describe": "123456789012\n",
    "billing": "True\n",
    "services list": "cloudresourcemanager.googleapis.com\nserviceusage.googleapis.com\nstorage.googleapis.com\n",
    "policy iam.allowedPolicyMemberDomains": "[{'allowAll': True}]\n",
    "policy run.managed.requireInvokerIam": "\n",
    "policy gcp.resourceLocations": "[{'allowAll': True}]\n",
    "policy gcp.restrictNonCmekServices": "\n",
    "policy iam.disableServiceAccountCreation": "[{'enforce': False}]\n",
    "policy cloudbuild.allowedWorkerPools": "\n",
    "policy cloudfunctions.allowedIngressSettings": "\n",
}


def preflight(folder: Path, answers: Mapping[str, str | None]) -> tuple[int, str]:
    """Run the script with these answers instead of SOUND's; None refuses the question."""
    (folder / "gcloud").write_text(GCLOUD)
    (folder / "gcloud").chmod(0o755)
    for name, answer in {**SOUND, **answers}.items():
        if answer is not None:
            (folder / name).write_text(answer)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "ANSWERS": str(folder)}
    command = ["sh", str(PREFLIGHT), "acme-planning", "europe-west1"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def test_a_project_that_refuses_nothing_passes(tmp_path: Path) -> None:
    code, said = preflight(tmp_path, {})

    assert code == 0
    assert {line.split()[0] for line in said.splitlines()} == {"ok"}


def test_each_policy_names_the_variable_that_answers_it(tmp_path: Path) -> None:
    enforced = {name: "[{'enforce': True}]\n" for name in SOUND if name.startswith("policy")}

    code, said = preflight(tmp_path, enforced)

    assert code == 1
    assert said.count("refused the policy") == len(enforced)
    for variable in ("public_invoker", "secret_replication", "kms_key", "service_accounts", "worker_pool", "ingress"):
        assert variable in said


def test_missing_billing_and_apis_come_with_their_commands(tmp_path: Path) -> None:
    code, said = preflight(tmp_path, {"billing": "False\n", "services list": "storage.googleapis.com\n"})

    assert code == 1
    assert "gcloud billing projects link acme-planning" in said
    assert "gcloud services enable serviceusage.googleapis.com --project=acme-planning" in said
    assert "gcloud services enable storage.googleapis.com" not in said


def test_what_cannot_be_read_is_unknown_and_not_fine(tmp_path: Path) -> None:
    code, said = preflight(tmp_path, {"policy gcp.resourceLocations": None})

    assert code == 0
    assert "unknown the policy gcp.resourceLocations" in said


def test_a_project_that_cannot_be_read_ends_it(tmp_path: Path) -> None:
    code, said = preflight(tmp_path, {"projects describe": None})

    assert (code, said.count("\n")) == (1, 2)


def test_it_only_asks(tmp_path: Path) -> None:
    preflight(tmp_path, {})

    words = {word for call in (tmp_path / "calls").read_text().splitlines() for word in call.split()}
    assert not words & {"enable", "create", "update", "delete", "link", "add-iam-policy-binding", "set-policy"}
