"""`bridge check` finds the roles that Google grants on a new bucket to all viewers of the project."""

from typing import Any

from local.checks import Finding, buckets
from local.sandbox.wire import Response
from tests.support.world import World

OWNERS = {"role": "roles/storage.legacyBucketOwner", "members": ["projectEditor:acme", "projectOwner:acme"]}
OBJECT_READERS = {"role": "roles/storage.legacyObjectReader", "members": ["projectViewer:acme"]}
BUCKET_READERS = {
    "role": "roles/storage.legacyBucketReader",
    "members": ["projectViewer:acme", "serviceAccount:bridge-looker-pull@acme.iam.gserviceaccount.com"],
}


def findings(world: World, *bindings: dict[str, Any]) -> list[Finding]:
    world.storage.policies["bucket"] = list(bindings)
    return [each for each in buckets.findings(None, None, world.instance) if each.subject == "viewers"]


def test_each_role_of_project_viewers_is_red_with_the_command_that_ends_it(world: World) -> None:
    found = findings(world, OWNERS, OBJECT_READERS, BUCKET_READERS)

    assert [each.colour for each in found] == ["red", "red"]
    command = "gcloud storage buckets remove-iam-policy-binding gs://bucket --member=projectViewer:acme"
    assert [each.next_step for each in found] == [
        f"Run {command} --role=roles/storage.legacyObjectReader.",
        f"Run {command} --role=roles/storage.legacyBucketReader.",
    ]


def test_without_them_the_bucket_is_green(world: World) -> None:
    functions = {**BUCKET_READERS, "members": BUCKET_READERS["members"][1:]}

    [found] = findings(world, OWNERS, functions)

    assert (found.colour, found.what) == ("green", "roles/viewer of the project reads no row here.")


def test_without_the_permission_to_see_it_the_check_says_so(world: World) -> None:
    world.storage_server.fault(".*/iam", refuse=Response(403, b"{}"))

    [found] = findings(world, OWNERS)

    assert found.colour == "yellow"
    assert "storage.buckets.getIamPolicy" in found.what


def test_a_bridge_on_this_machine_has_no_policy(world: World) -> None:
    assert findings(world) == []
