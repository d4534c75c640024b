"""Terraform plans the jobs of bridge.yaml with least privilege, and changes only what has changed."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.platform.errors import code_of, every_error
from tests.support.terraform import PROJECT_ID, PlannedChanges, PlanRefused, TerraformFolder

pytestmark = pytest.mark.terraform

BUCKET = "acme-planning-bridge"
FUNCTIONS = {"looker_pull", "pigment_export", "webhook_deliver", "webhook_receive"}
ALERTS = {
    *("call_refused", "delivery_dead", "delivery_waiting", "landing_overdue", "outcome_unknown", "rows_skipped"),
    *("run_failed", "run_held", "secret_ending", "watch_blind", "block_not_compared"),
}
METRICS = {
    *("oldest_waiting", "rows_inserted", "rows_read", "rows_skipped", "rows_updated", "runs", "seconds", "sweeps"),
    "waiting",
}
APIS = {
    *("artifactregistry", "cloudbuild", "cloudfunctions", "cloudscheduler", "iam", "logging", "monitoring", "pubsub"),
    *("run", "secretmanager", "storage"),
}


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def pull(number: int, **more: Any) -> dict[str, Any]:
    return {"source": {"look": number}, "target": {"configuration": uuid(number)}} | more


def export(number: int, **more: Any) -> dict[str, Any]:
    return {"source": {"view": uuid(number)}, "path": f"{number}.csv"} | more


BRIDGE: dict[str, Any] = {
    "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
    "pigment": {"import_key": "pigment-import-key", "export_key": "pigment-export-key"},
    "webhook": {"token": "looker-webhook-token"},
    # A relay or an operator starts the last two.
    "pulls": {f"pull-{n}": pull(n, **({} if n > 8 else {"schedule": f"{n} 6 * * *"})) for n in range(1, 11)},
    "relays": {
        **{f"relay-{n}": {"target": {"configuration": uuid(n)}} for n in range(11, 15)},
        "ready": {"start": "pull-9"},
    },
    "exports": {f"export-{n}": export(n, schedule="0 * * * *") for n in range(21, 26)},
}

EACH_BRIDGE_HAS = {
    "google_artifact_registry_repository.images[0]",
    "google_artifact_registry_repository_iam_member.build",
    'google_cloud_run_v2_service_iam_member.callers["push calls webhook_deliver"]',
    'google_cloud_run_v2_service_iam_member.callers["scheduler calls looker_pull"]',
    'google_cloud_run_v2_service_iam_member.callers["scheduler calls pigment_export"]',
    'google_cloud_run_v2_service_iam_member.callers["scheduler calls sweep"]',
    "google_cloud_run_v2_service_iam_member.public[0]",
    "google_cloud_scheduler_job.sweep",
    "google_monitoring_alert_policy.instances",
    'google_monitoring_alert_policy.measured["calls_refused"]',
    'google_monitoring_alert_policy.measured["dead_letters"]',
    'google_monitoring_alert_policy.measured["deliveries_failed"]',
    "google_monitoring_alert_policy.silent",
    "google_monitoring_dashboard.bridge",
    'google_project_iam_member.build["roles/logging.logWriter"]',
    'google_project_iam_member.build["roles/storage.objectViewer"]',
    "google_pubsub_subscription.dead_letters",
    "google_pubsub_subscription.deliver",
    "google_pubsub_subscription_iam_member.dead_letters",
    "google_pubsub_topic.dead_letters",
    "google_pubsub_topic.inbox",
    "google_pubsub_topic_iam_member.dead_letters",
    "google_pubsub_topic_iam_member.storage",
    "google_service_account_iam_member.push",
    "google_storage_bucket.bridge",
    "google_storage_bucket_object.archive",
    "google_storage_bucket_object.config",
    "google_storage_notification.inbox",
    'terraform_data.called["push calls webhook_deliver"]',
    'terraform_data.called["scheduler calls looker_pull"]',
    'terraform_data.called["scheduler calls pigment_export"]',
    'terraform_data.called["scheduler calls sweep"]',
    "time_sleep.build_roles",
    "time_sleep.metrics",
    "time_sleep.service_agents",
    *(f'google_cloudfunctions2_function.functions["{name}"]' for name in FUNCTIONS | {"sweep"}),
    *(f'google_logging_metric.metrics["{name}"]' for name in METRICS),
    *(f'google_monitoring_alert_policy.logged["{name}"]' for name in ALERTS),
    *(f'google_project_service.services["{name}.googleapis.com"]' for name in APIS),
    *(f'google_service_account.identities["{name}"]' for name in FUNCTIONS | {"build", "push", "scheduler"}),
    'google_storage_bucket_iam_member.functions["webhook_deliver writes 2"]',
    *(
        f'google_storage_bucket_iam_member.functions["{name} {does}"]'
        for name in FUNCTIONS
        for does in ("reads", "writes")
    ),
    *(f'google_storage_bucket_iam_member.listing["{name}"]' for name in FUNCTIONS),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> TerraformFolder:
    return TerraformFolder(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="module")
def planned(workspace: TerraformFolder) -> PlannedChanges:
    return workspace.plan(BRIDGE)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> TerraformFolder:
    """Return a folder in which BRIDGE was applied."""
    workspace = TerraformFolder(tmp_path_factory.mktemp("terraform"))
    workspace.apply(BRIDGE)
    return workspace


@pytest.fixture(scope="module")
def tables(workspace: TerraformFolder) -> dict[str, Any]:
    """Return the locals that several resources use."""
    names = ("bucket_access", "temporary_codes", "server_codes")
    said: dict[str, Any] = workspace.evaluate(f"{{ {', '.join(f'{name} = local._{name}' for name in names)} }}", BRIDGE)
    return said


@pytest.fixture(scope="module")
def with_everything(workspace: TerraformFolder) -> PlannedChanges:
    """Return the plan with every option in use."""
    bridge = changed(
        pulls={"pull-10": pull(10, target={"configuration": uuid(10), "via": "storage"} | CONNECTOR)},
        exports={"export-21": export(21, bigquery=True), "export-25": export(25, bucket="acme-analytics")},
    )
    return workspace.plan(
        bridge,
        alerts={"emails": ["data@acme.example"]},
        bigquery={"exports": ["export-21"]},
        receipts={"readers": ["group:data@acme.example"]},
        network={"addresses": 2},
    )


CONNECTOR = {"bucket": "acme-connector", "path": "{date}.csv"}


def changed(**sections: Any) -> dict[str, Any]:
    """Return BRIDGE with other or additional jobs."""
    bridge = copy.deepcopy(BRIDGE)
    for section, jobs in sections.items():
        bridge[section] |= jobs
    return bridge


def member(name: str) -> str:
    return f"serviceAccount:bridge-{name.replace('_', '-')}@{PROJECT_ID}.iam.gserviceaccount.com"


def grants(plan: PlannedChanges) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every binding of a member to a role."""
    for address, values in plan.resources.items():
        if "_iam_" in address.split(".")[0]:
            yield address, values


def readers(plan: PlannedChanges) -> dict[str, set[str]]:
    """Return the members who may read each secret's value."""
    found: dict[str, set[str]] = {}
    for grant in plan.of("google_secret_manager_secret_iam_member").values():
        if grant["role"] == "roles/secretmanager.secretAccessor":
            found.setdefault(grant["secret_id"], set()).add(grant["member"])
    return found


def test_each_job_has_its_schedule(planned: PlannedChanges) -> None:
    of_jobs = {
        *(f'google_cloud_scheduler_job.jobs["pull-pull-{n}"]' for n in range(1, 9)),
        *(f'google_cloud_scheduler_job.jobs["export-export-{n}"]' for n in range(21, 26)),
    }
    of_secrets = {
        'google_secret_manager_secret.secrets["looker-api"]',
        'google_secret_manager_secret.secrets["looker-webhook-token"]',
        'google_secret_manager_secret.secrets["pigment-export-key"]',
        'google_secret_manager_secret.secrets["pigment-import-key"]',
        'google_secret_manager_secret_iam_member.functions["looker_pull reads looker-api"]',
        'google_secret_manager_secret_iam_member.functions["looker_pull reads pigment-import-key"]',
        'google_secret_manager_secret_iam_member.functions["pigment_export reads pigment-export-key"]',
        'google_secret_manager_secret_iam_member.functions["webhook_deliver reads looker-api"]',
        'google_secret_manager_secret_iam_member.functions["webhook_deliver reads pigment-import-key"]',
        'google_secret_manager_secret_iam_member.functions["webhook_receive lists versions of looker-webhook-token"]',
        'google_secret_manager_secret_iam_member.functions["webhook_receive reads looker-webhook-token"]',
    }

    assert set(planned.resources) == EACH_BRIDGE_HAS | of_jobs | of_secrets


def test_without_jobs_only_the_sweep_is_scheduled(workspace: TerraformFolder) -> None:
    assert set(workspace.plan({"looker": {}}).resources) == EACH_BRIDGE_HAS


def test_the_included_bridge_yaml_is_planned(workspace: TerraformFolder) -> None:
    plan = workspace.plan()

    assert 'google_cloud_scheduler_job.jobs["pull-airports"]' in plan.resources
    assert (
        'google_storage_bucket_iam_member.user_buckets["looker_pull writes acme-pigment-connector"]' in plan.resources
    )


def test_a_second_apply_changes_nothing(deployed: TerraformFolder) -> None:
    assert deployed.plan(BRIDGE).actions == {}


def test_a_changed_schedule_changes_only_that_schedule_and_the_copy_of_bridge_yaml(deployed: TerraformFolder) -> None:
    later = deployed.plan(changed(pulls={"pull-3": pull(3, schedule="30 7 * * *")}))

    assert later.actions == {
        'google_cloud_scheduler_job.jobs["pull-pull-3"]': "update",
        "google_storage_bucket_object.config": "update",
    }
    assert later.of("google_cloud_scheduler_job")['jobs["pull-pull-3"]']["schedule"] == "30 7 * * *"


def test_a_new_archive_changes_only_the_functions(deployed: TerraformFolder, tmp_path: Path) -> None:
    archive = tmp_path / "newer.zip"
    archive.write_bytes(b"another archive")

    changes = deployed.plan(BRIDGE, source_archive=str(archive)).actions

    functions = {f'google_cloudfunctions2_function.functions["{name}"]' for name in FUNCTIONS | {"sweep"}}
    assert set(changes) == functions | {"google_storage_bucket_object.archive"}


def test_a_schedule_calls_its_function_with_its_job(planned: PlannedChanges) -> None:
    jobs = planned.of("google_cloud_scheduler_job")
    first = jobs['jobs["pull-pull-1"]']

    assert first["schedule"] == "1 6 * * *"
    assert first["time_zone"] == "UTC"
    assert first["attempt_deadline"] == "1800s"
    assert first["http_target"][0]["headers"] == {"Content-Type": "application/json"}
    assert all(job["http_target"][0]["oidc_token"] for job in jobs.values())


def test_the_copy_of_bridge_yaml_is_equal(planned: PlannedChanges) -> None:
    assert json.loads(planned.resources["google_storage_bucket_object.config"]["content"]) == BRIDGE


def test_only_webhook_receive_is_public(with_everything: PlannedChanges) -> None:
    public = {
        (grant["role"], grant.get("name"))
        for _, grant in grants(with_everything)
        if grant.get("member") in ("allUsers", "allAuthenticatedUsers")
    }

    assert public == {("roles/run.invoker", "bridge-webhook-receive")}


def test_only_scheduler_and_push_may_call_the_other_functions(with_everything: PlannedChanges) -> None:
    callers = {
        (grant["name"], grant["role"], grant["member"])
        for grant in with_everything.of("google_cloud_run_v2_service_iam_member").values()
        if grant["member"] != "allUsers"
    }

    assert callers == {
        ("bridge-looker-pull", "roles/run.invoker", member("scheduler")),
        ("bridge-pigment-export", "roles/run.invoker", member("scheduler")),
        ("bridge-webhook-deliver", "roles/run.invoker", member("push")),
        ("bridge-sweep", "roles/run.invoker", member("scheduler")),
    }
    assert not with_everything.of("google_cloudfunctions2_function_iam_member")


def test_no_role_is_basic_and_only_the_build_has_project_roles(with_everything: PlannedChanges) -> None:
    roles = {grant["role"] for _, grant in grants(with_everything)}
    of_project = {
        (grant["role"], grant["member"]) for grant in with_everything.of("google_project_iam_member").values()
    }

    assert not roles & {"roles/owner", "roles/editor", "roles/viewer"}
    assert not [role for role in roles if "admin" in role.lower()]
    assert of_project == {
        ("roles/logging.logWriter", member("build")),
        ("roles/storage.objectViewer", member("build")),
    }


def test_the_build_reads_only_the_bucket_of_the_sources(planned: PlannedChanges) -> None:
    grant = planned.resources['google_project_iam_member.build["roles/storage.objectViewer"]']

    [condition] = grant["condition"]
    assert condition["expression"].startswith('resource.name.startsWith("projects/_/buckets/gcf-v2-sources-')


def test_default_service_accounts_are_not_used(with_everything: PlannedChanges) -> None:
    functions = with_everything.of("google_cloudfunctions2_function")
    run_as = {function["service_config"][0]["service_account_email"] for function in functions.values()}
    built_as = {function["build_config"][0]["service_account"] for function in functions.values()}

    assert {f"serviceAccount:{email}" for email in run_as} == {member(name) for name in FUNCTIONS}
    assert built_as == {f"projects/{PROJECT_ID}/serviceAccounts/bridge-build@{PROJECT_ID}.iam.gserviceaccount.com"}
    assert not re.search(r"compute@developer|@appspot|@cloudbuild\.gserviceaccount", json.dumps(with_everything.raw))


def test_each_secret_is_read_only_by_its_functions(planned: PlannedChanges) -> None:
    assert readers(planned) == {
        "looker-api": {member("looker_pull"), member("webhook_deliver")},
        "looker-webhook-token": {member("webhook_receive")},
        "pigment-export-key": {member("pigment_export")},
        "pigment-import-key": {member("looker_pull"), member("webhook_deliver")},
    }


def test_deliver_reads_lookers_credentials_only_where_a_relay_starts_a_pull(workspace: TerraformFolder) -> None:
    bridge = copy.deepcopy(BRIDGE)
    del bridge["relays"]["ready"]

    assert readers(workspace.plan(bridge))["looker-api"] == {member("looker_pull")}


def test_only_the_versions_of_the_token_are_listed(planned: PlannedChanges) -> None:
    viewers = {
        (grant["member"], grant["secret_id"])
        for grant in planned.of("google_secret_manager_secret_iam_member").values()
        if grant["role"] == "roles/secretmanager.viewer"
    }

    assert viewers == {(member("webhook_receive"), "looker-webhook-token")}


def test_no_plan_contains_the_value_of_a_secret(with_everything: PlannedChanges) -> None:
    kinds = {address.split(".")[0] for address in with_everything.resources}
    text = json.dumps(with_everything.raw["planned_values"])

    assert "google_secret_manager_secret_version" not in kinds
    assert "secret_data" not in text
    assert '"secret_environment_variables": [{' not in text


def test_the_environment_of_a_function_names_no_job(planned: PlannedChanges) -> None:
    functions = planned.of("google_cloudfunctions2_function")
    environment = functions['functions["looker_pull"]']["service_config"][0]["environment_variables"]

    assert environment == {
        "BRIDGE_BUCKET": BUCKET,
        "BRIDGE_DEADLINE_S": "1770",
        "BRIDGE_LOG_LEVEL": "INFO",
        "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
    }


def test_all_functions_share_one_archive_with_their_own_entry_points(planned: PlannedChanges) -> None:
    builds = [function["build_config"][0] for function in planned.of("google_cloudfunctions2_function").values()]
    archive = planned.resources["google_storage_bucket_object.archive"]["name"]

    assert {build["entry_point"]: build["environment_variables"] for build in builds} == {
        name: {"GOOGLE_FUNCTION_SOURCE": f"{name}.py"} for name in FUNCTIONS
    }
    assert {build["source"][0]["storage_source"][0]["object"] for build in builds} == {archive}
    assert re.fullmatch(r"source/functions-[0-9a-f]{64}\.zip", archive)


def test_access_to_objects_is_limited_by_prefix(tables: dict[str, Any], planned: PlannedChanges) -> None:
    access = tables["bucket_access"]
    roles = {"read": "roles/storage.objectViewer", "write": "roles/storage.objectUser"}
    granted = {
        (grant["member"], grant["role"], name)
        for grant in planned.of("google_storage_bucket_iam_member").values()
        for condition in grant.get("condition", [])
        for name in re.findall(r'resource\.name\.startsWith\("([^"]+)"\)', condition["expression"])
    }

    assert set(access) == FUNCTIONS
    assert granted == {
        (member(function), roles[level], f"projects/_/buckets/{BUCKET}/objects/{prefix}")
        for function, levels in access.items()
        for prefix, level in levels.items()
    }


def test_receipts_and_processed_files_are_deleted_after_their_time(planned: PlannedChanges) -> None:
    conditions = [rule["condition"][0] for rule in planned.of("google_storage_bucket")["bridge"]["lifecycle_rule"]]
    days = {
        prefix: each["age"] for each in conditions for prefix in each.get("matches_prefix") or [] if each.get("age")
    }

    assert days == {"delivered/": 90, "receipts/": 400, "seen/": 120, "staged/": 30, "tmp/": 1, "usage/": 400}


def test_without_a_condition_only_object_names_are_readable(with_everything: PlannedChanges) -> None:
    unconditional = {
        grant["role"]
        for grant in with_everything.of("google_storage_bucket_iam_member").values()
        if grant["bucket"] == BUCKET and not grant.get("condition")
    }

    assert unconditional == {"roles/storage.legacyBucketReader"}


def test_another_bucket_is_writable_by_the_function_that_uses_it(with_everything: PlannedChanges) -> None:
    others = {
        (grant["bucket"], grant["member"])
        for grant in with_everything.of("google_storage_bucket_iam_member").values()
        if grant["bucket"] != BUCKET
    }

    assert others == {("acme-connector", member("looker_pull")), ("acme-analytics", member("pigment_export"))}


def test_deliver_may_write_the_bucket_of_a_pull_that_a_relay_starts(workspace: TerraformFolder) -> None:
    started = pull(9, target={"configuration": uuid(9), "via": "storage"} | CONNECTOR)

    plan = workspace.plan(changed(pulls={"pull-9": started}))

    writers = {
        grant["member"]
        for grant in plan.of("google_storage_bucket_iam_member").values()
        if grant["bucket"] == "acme-connector"
    }
    assert writers == {member("looker_pull"), member("webhook_deliver")}


def test_notifications_are_pushed_to_deliver_and_retained(planned: PlannedChanges) -> None:
    subscription = planned.resources["google_pubsub_subscription.deliver"]
    notification = planned.resources["google_storage_notification.inbox"]

    assert notification["object_name_prefix"] == "inbox/"
    assert notification["topic"] == f"projects/{PROJECT_ID}/topics/bridge-inbox"
    assert subscription["expiration_policy"] == [{"ttl": ""}]
    assert subscription["dead_letter_policy"][0]["max_delivery_attempts"] == 100
    assert member("push").endswith(subscription["push_config"][0]["oidc_token"][0]["service_account_email"])


def test_every_alert_explains_what_to_do_and_where_the_receipt_is(planned: PlannedChanges) -> None:
    for policy in planned.of("google_monitoring_alert_policy").values():
        content = policy["documentation"][0]["content"]
        extracted = (policy["conditions"][0].get("condition_matched_log") or [{}])[0].get("label_extractors") or {}

        # A call that failed before its run has no receipt, and its alert says so.
        assert f"gs://{BUCKET}/" in content or "leaves no receipt" in content
        assert set(re.findall(r"\$\{log\.extracted_label\.(\w+)\}", content)) == set(extracted)


def test_alerts_cover_every_error_code_that_needs_action(tables: dict[str, Any]) -> None:
    faults = {code_of(kind) for kind in every_error() if kind.status >= 500}

    assert set(tables["server_codes"]) == faults


def test_alerts_ignore_errors_that_resolve_themselves(tables: dict[str, Any]) -> None:
    passing = {code_of(kind) for kind in every_error() if kind.next_step.startswith(("No action", "Wait"))}

    assert set(tables["temporary_codes"]) == passing


def test_every_resource_that_supports_labels_has_them(with_everything: PlannedChanges) -> None:
    bare = {
        address
        for address, values in with_everything.resources.items()
        if address.split(".")[0] in LABELLED and not (values.get("labels") or values.get("user_labels"))
    }

    assert bare == set()
    assert {address.split(".")[0] for address in with_everything.resources} >= LABELLED


LABELLED = {
    "google_artifact_registry_repository",
    "google_bigquery_dataset",
    "google_bigquery_table",
    "google_cloudfunctions2_function",
    "google_compute_address",
    "google_monitoring_alert_policy",
    "google_monitoring_notification_channel",
    "google_pubsub_subscription",
    "google_pubsub_topic",
    "google_secret_manager_secret",
    "google_storage_bucket",
}


def test_an_error_in_bridge_yaml_stops_the_plan(workspace: TerraformFolder) -> None:
    with pytest.raises(PlanRefused, match=r"pulls\.pull-3\.schedule"):
        workspace.plan(changed(pulls={"pull-3": pull(3, schedule="61 * * * *")}))
