"""`source: {resource: …}`: users, Looks, dashboards, folders, projects and queries of Looker, one row each."""

import csv
import io
import itertools
import json
import random
from datetime import datetime
from typing import Any

import msgspec
import pytest

from common import bridge_yaml
from common.looker import resources
from common.looker.client import LookerClient
from common.looker.explore import ExploreFields
from common.platform.clock import Deadline
from common.platform.errors import AnswerNotUnderstood, BridgeError, LookerRefused, StreamCut
from common.runs.instance import Instance
from common.tables.check import Checker, Contract
from local import checks, resource_columns
from local.checks import Finding
from local.sandbox.looker import activity
from local.sandbox.looker.activity import QueryRun
from local.sandbox.looker.explores import LookerField
from local.sandbox.looker.people import User
from local.sandbox.wire import Response
from tests.support.world import LOOKER_SECRET, World

USERS = r"GET /api/4\.0/users$"

ResourceRows = list[dict[str, str]]


def looker_of(world: World) -> LookerClient:
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    return LookerClient(where, world.instance.secrets, Deadline.after(world.clock, 300), random.Random(1))


def read(world: World, resource: str) -> tuple[ResourceRows, list[str]]:
    """Return the rows as they would be sent, and the warnings."""
    with looker_of(world) as looker, resources.ResourceListing(looker, resource) as listing:
        return rows_of(b"".join(listing.blocks())), listing.warnings


def rows_of(file: bytes) -> ResourceRows:
    checker = Checker(Contract())
    assert checker.feed(file) == file
    checker.finish()
    return list(csv.DictReader(io.StringIO(file.decode(), newline="")))


def ids(rows: ResourceRows) -> list[str]:
    return [row["id"] for row in rows]


def calls(world: World, path: str) -> list[dict[str, str]]:
    """Return the parameters of each call."""
    crossed = [each for each in world.looker_server.exchanges if each.path == f"/api/4.0/{path}"]
    return [{name: values[0] for name, values in each.query.items()} for each in crossed]


def answers(world: World, path: str, *bodies: Any, **headers: str) -> None:
    for body in bodies:
        world.looker_server.fault(rf"GET /api/4\.0/{path}$", refuse=Response.of_json(body, 200, **headers))


# Objects and their rows.


def test_a_user_is_a_row_of_plain_cells(world: World) -> None:
    world.looker.people.add("Ada", "Lovelace", "ada@example.com", group_ids=("1", "7"), role_ids=("2",))

    rows, warnings = read(world, "users")

    assert rows[1] == {
        "id": "2",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "display_name": "Ada Lovelace",
        "email": "ada@example.com",
        "is_disabled": "false",
        "is_service_account": "false",
        "role_ids": "2",
        "group_ids": "1|7",
        "locale": "en",
        "home_folder_id": "",
        "personal_folder_id": "",
    }
    assert warnings == []


def test_a_look_has_its_folder_and_its_query(world: World) -> None:
    (row,), _ = read(world, "looks")

    assert row["title"] == "Flights"
    assert (row["folder.id"], row["folder.name"], row["model.id"]) == ("1", "Shared", "nyc")
    assert row["query_id"] == world.looker.looks["12"].query.slug
    assert datetime.fromisoformat(row["created_at"])
    assert row["public"] == "false"


def test_dashboards_in_lookml_are_included(world: World) -> None:
    folder = world.looker.content.folder("Finance")
    world.looker.content.dashboard(3, "Sales", folder_id=folder.id)
    world.looker.content.dashboard("nyc::delays", "Delays")

    rows, _ = read(world, "dashboards")

    assert [(row["id"], row["folder.name"], row["model.id"]) for row in rows] == [
        ("3", "Finance", ""),
        ("nyc::delays", "Shared", "nyc"),
    ]


def test_folders_name_their_parent(world: World) -> None:
    world.looker.content.folder("Finance")

    rows, _ = read(world, "folders")

    assert [(row["name"], row["parent_id"], row["child_count"]) for row in rows] == [
        ("Shared", "", "1"),
        ("Finance", "1", "0"),
    ]


def test_projects_omit_the_address_of_their_repository(world: World) -> None:
    (row,), _ = read(world, "projects")

    assert (row["id"], row["uses_git"], row["git_production_branch_name"]) == ("nyc", "true", "main")
    assert not any("remote" in name or "password" in name or "secret" in name for name in row)


def test_fields_that_may_hold_a_secret_are_not_requested(world: World) -> None:
    for resource in resources.RESOURCES:
        read(world, resource)

    asked = [parameters["fields"] for resource in resources.RESOURCES for parameters in calls(world, resource)]
    assert len(asked) == len(resources.RESOURCES)
    assert not [
        fields for fields in asked if "credential" in fields or "public_url" in fields or "git_remote" in fields
    ]
    assert "folder(id,name)" in asked[1]


@pytest.mark.parametrize("resource", resources.RESOURCES)
def test_the_columns_are_the_same_when_the_answer_omits_fields(world: World, resource: str) -> None:
    answers(world, resource, [{"id": 5, "folder": None, "model": {}, "unheard_of": 1}])

    rows, _ = read(world, resource)

    assert [list(row) for row in rows] == [list(resources.RESOURCES[resource].columns)]
    assert {value for name, value in rows[0].items() if name != "id"} == {""}
    assert rows[0]["id"] == "5"


@pytest.mark.parametrize(
    "title", ['a "quote"', "a, comma", "two\nlines", "two\r\nlines", "a lone\rreturn", "Zürich – 東京"]
)
def test_any_title_is_preserved(world: World, title: str) -> None:
    world.looker.look("13", title, "nyc", "flights", ["flights.day"])

    rows, _ = read(world, "looks")

    assert rows[1]["title"] == title


def test_an_empty_list_is_a_header_that_the_guards_refuse(world: World) -> None:
    rows, warnings = read(world, "dashboards")

    assert (rows, warnings) == ([], [])


def test_a_long_list_is_read_in_blocks(world: World) -> None:
    answers(world, "looks", [{"id": str(number), "description": "x" * 1000} for number in range(2_500)])

    with looker_of(world) as looker, resources.ResourceListing(looker, "looks") as listing:
        sizes = [len(block) for block in listing.blocks()]

    assert len(sizes) == 3
    assert all(size < 1.1 * 1024 * 1024 for size in sizes)


# Pages.


@pytest.fixture
def crowd(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Add eleven users, in pages of four."""
    monkeypatch.setattr(resources, "PAGE_ROWS", 4)
    for number in range(10):
        world.looker.people.add("User", str(number), f"{number}@example.com")
    return world


def test_pages_overlap_by_a_row_until_one_is_short(crowd: World) -> None:
    rows, warnings = read(crowd, "users")

    assert ids(rows) == [str(number) for number in range(1, 12)]
    assert warnings == []
    asked = calls(crowd, "users")
    assert [parameters["offset"] for parameters in asked] == ["0", "3", "6", "9"]
    assert {(parameters["limit"], parameters["sorts"]) for parameters in asked} == {("4", "id")}


def test_lists_without_pages_are_requested_once_with_fields_only(world: World) -> None:
    for resource in ("looks", "dashboards", "folders", "projects"):
        read(world, resource)

        (parameters,) = calls(world, resource)
        assert parameters.keys() == {"fields"}


def test_a_user_deleted_meanwhile_hides_no_other(crowd: World) -> None:
    people = crowd.looker.people.users
    crowd.looker_server.fault(USERS, after=1, act=lambda: [people.pop(gone) for gone in ("2", "3")])

    rows, warnings = read(crowd, "users")

    assert sorted(ids(rows), key=int) == [str(number) for number in range(1, 12)]
    assert warnings == ["The list of users changed while it was read. Repeated rows count once."]


def test_a_user_added_meanwhile_duplicates_no_other(crowd: World) -> None:
    people = crowd.looker.people.users
    crowd.looker_server.fault(USERS, after=1, act=lambda: people.update({"0": User("0", email="0@example.com")}))

    rows, warnings = read(crowd, "users")

    assert ids(rows) == [str(number) for number in range(1, 12)]
    assert "changed while it was read" in warnings[0]


def test_a_list_that_keeps_changing_is_given_up(crowd: World) -> None:
    number = itertools.count(100)
    people = crowd.looker.people.users

    def everybody_anew() -> None:
        people.clear()
        people.update({user.id: user for user in (User(str(next(number))) for _ in range(11))})

    crowd.looker_server.fault(USERS, times=-1, act=everybody_anew)

    with pytest.raises(StreamCut, match="changed faster than it could be read"):
        read(crowd, "users")
    assert len(calls(crowd, "users")) == 42


def test_a_page_shorter_than_asked_is_not_the_end_where_looker_counts_more(crowd: World) -> None:
    users = [{"id": str(number), "email": "x@example.com"} for number in range(1, 6)]
    answers(crowd, "users", users[:3], users[2:5], **{"X-Total-Count": "5"})

    rows, warnings = read(crowd, "users")

    assert (ids(rows), warnings) == (["1", "2", "3", "4", "5"], [])


def test_users_counted_but_never_listed_are_a_warning(crowd: World) -> None:
    users = [{"id": "1", "email": "x@example.com"}, {"id": "2", "email": "y@example.com"}]
    answers(crowd, "users", users, users[1:], **{"X-Total-Count": "5"})

    rows, (warning,) = read(crowd, "users")

    assert ids(rows) == ["1", "2"]
    assert warning.startswith("Looker counts 5 users and showed 2")


# Missing permissions.


def test_a_user_with_access_to_names_only_is_a_warning(world: World) -> None:
    world.looker.people.add("Ada", "Lovelace", "ada@example.com")
    world.looker.permissions = {"access_data"}

    rows, (warning,) = read(world, "users")

    assert [(row["first_name"], row["email"]) for row in rows] == [("Sandbox", "sandbox@example.com"), ("Ada", "")]
    assert warning.startswith("Of 2 users, 1 came with email")
    assert "see_users" in warning


@pytest.mark.parametrize("status", [403, 404])
def test_projects_without_permission_are_not_an_empty_list(world: World, status: int) -> None:
    refusal = Response.of_json({"message": "Forbidden", "documentation_url": "https://example.com"}, status)
    world.looker_server.fault(r"GET /api/4\.0/projects", refuse=refusal)

    with pytest.raises(LookerRefused) as refused:
        read(world, "projects")

    assert "see_lookml or develop" in refused.value.next_step


def test_without_the_permission_looker_itself_refuses_projects(world: World) -> None:
    world.looker.permissions = {"access_data"}

    with pytest.raises(LookerRefused, match="403"):
        read(world, "projects")


@pytest.mark.parametrize("body", [{"message": "hello"}, [["id"]], [{"title": "no id"}], [{"id": None}]])
def test_an_answer_other_than_a_list_of_objects_is_refused(world: World, body: Any) -> None:
    answers(world, "looks", body)

    with pytest.raises(AnswerNotUnderstood):
        read(world, "looks")


def test_a_busy_looker_is_retried_after_a_wait(world: World) -> None:
    world.looker_server.fault(USERS, refuse=Response(429, b"{}", {"Retry-After": "3"}))

    rows, _ = read(world, "users")

    assert ids(rows) == ["1"]
    assert world.clock.slept[0] >= 3


def test_a_truncated_answer_is_requested_again(world: World) -> None:
    world.looker_server.fault(USERS, cut_after_bytes=10)

    rows, _ = read(world, "users")

    assert ids(rows) == ["1"]


def test_a_list_is_not_read_beyond_the_budget(crowd: World) -> None:
    crowd.looker_server.fault(USERS, after=1, act=lambda: crowd.clock.advance(301))

    with pytest.raises(BridgeError, match="time budget"):
        read(crowd, "users")


# Queries.


def run_queries(world: World) -> ResourceRows:
    query = resources.query_of("queries")
    assert query is not None
    with looker_of(world) as looker, looker.run(query) as stream:
        return rows_of(b"".join(stream.blocks()))


def test_a_query_is_one_row_for_all_its_runs_and_users(world: World) -> None:
    look = world.looker.looks["12"].query
    other = world.looker.look("13", "Other", "nyc", "flights", ["flights.day"]).query
    for user, runtime_s in (("1", 1.0), ("1", 2.0), ("5", 6.0)):
        world.looker.history.note(QueryRun(look, world.clock.now(), "dashboard", user, runtime_s))
    world.looker.history.note(QueryRun(other, world.clock.now()))
    world.looker.history.note(QueryRun(None, world.clock.now(), "sql_runner"))

    first, second = run_queries(world)

    assert (first["Query Slug"], first["Query Model"], first["Query Explore"]) == (look.slug, "nyc", "flights")
    assert (first["History Query Run Count"], first["User Count"]) == ("3", "2")
    assert float(first["History Average Runtime"]) == 3.0
    assert first["History Most Recent Query Date"] == "2026-03-01"
    assert second["Query Slug"] == other.slug


def test_the_queries_of_the_bridge_are_included(world: World) -> None:
    run_queries(world)

    (row,) = run_queries(world)

    assert row["Query Model"] == "system__activity"


@pytest.mark.parametrize("sql_type", ["BIGINT", "VARCHAR"])
def test_runs_without_a_query_are_left_out_whatever_the_type_of_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch, sql_type: str
) -> None:
    identity = LookerField("query.id", "Query ID", f"query_id::{sql_type}", sql_type)
    others = [field for field in activity.FIELDS if field.name != "query.id"]
    monkeypatch.setattr(activity, "FIELDS", [identity, *others])
    world.looker.history.note(QueryRun(world.looker.looks["12"].query, world.clock.now()))
    world.looker.history.note(QueryRun(None, world.clock.now(), "sql_runner"))
    world.add_pull("queries", source={"resource": "queries"})

    receipt = world.run_pull("queries", preview=True).receipt

    assert receipt["rows"]["read"] == 1


def test_queries_need_a_permission(world: World) -> None:
    world.looker.permissions = {"access_data", "download_without_limit"}

    with pytest.raises(BridgeError, match="system__activity"):
        run_queries(world)


def test_only_the_resource_queries_is_read_by_a_query() -> None:
    assert [resource for resource in resources.RESOURCES if resources.query_of(resource)] == []
    assert resources.query_of("queries")


# Before the first run.


def findings(world: World, resource: str) -> list[Finding]:
    world.add_pull("own", source={"resource": resource})
    path = world.folder / "bridge.yaml"
    path.write_text(json.dumps(world.raw))
    made = checks.findings(path, Instance(world.clock, random.Random(1)))
    return [finding for finding in made if finding.subject == "pulls.own.source.resource"]


@pytest.mark.parametrize("resource", [*resources.RESOURCES, "queries"])
def test_check_verifies_the_permission(world: World, resource: str) -> None:
    world.looker.content.dashboard(3, "Sales")

    (finding,) = findings(world, resource)

    assert (finding.colour, finding.next_step) == ("green", ""), finding


@pytest.mark.parametrize(
    ("resource", "permission"), [("projects", "see_lookml or develop"), ("queries", "see_system_activity")]
)
def test_check_names_the_missing_permission(world: World, resource: str, permission: str) -> None:
    world.looker.permissions = {"access_data", "download_without_limit"}

    (finding,) = findings(world, resource)

    assert finding.colour == "red"
    assert permission in finding.next_step


def test_check_names_the_permission_that_an_empty_list_may_lack(world: World) -> None:
    (finding,) = findings(world, "dashboards")

    assert finding.colour == "yellow"
    assert "see_user_dashboards" in finding.next_step


def test_check_names_the_fields_that_the_release_does_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [field for field in activity.FIELDS if field.name != "user.count"]
    monkeypatch.setattr(activity, "FIELDS", fields)

    (finding,) = findings(world, "queries")

    assert (finding.colour, finding.what) == ("red", "System Activity of this Looker instance has no field user.count.")


def test_queries_may_need_a_role_that_names_system_activity(world: World) -> None:
    roles = [{"permission_set": {"permissions": ["download_without_limit"]}, "model_set": {"models": ["nyc"]}}]
    world.looker_server.fault(r"GET /api/4\.0/roles", times=-1, refuse=Response.of_json(roles))

    (finding,) = findings(world, "queries")

    assert finding.colour == "yellow"
    assert "system__activity" in finding.what


# Complete pulls.


@pytest.mark.parametrize("resource", ["users", "queries"])
def test_a_pull_reads_a_resource_as_it_reads_a_look(world: World, resource: str) -> None:
    world.looker.history.note(QueryRun(world.looker.looks["12"].query, world.clock.now()))
    world.add_pull("own", source={"resource": resource})

    answer = world.run_pull("own", preview=True)

    assert answer.status == 200, answer.body
    assert answer.receipt["rows"]["read"] == 1
    assert LOOKER_SECRET not in json.dumps(answer.body)


def test_every_resource_of_bridge_yaml_has_its_columns_documented() -> None:
    taken = bridge_yaml.ResourceSource.__annotations__["resource"].__args__

    told = resource_columns.markdown().splitlines()[2:]
    assert sorted(line.split("`")[1] for line in told) == sorted(taken)
    assert all(f"`{name}`" in told[0] for name in resources.RESOURCES["users"].columns)


@pytest.mark.parametrize(("kind", "not_null"), [("string", "-NULL"), ("number", "NOT NULL")])
def test_queries_without_an_id_are_left_out_as_the_type_of_the_id_asks(kind: str, not_null: str) -> None:
    query = resources.query_of("queries")
    assert query is not None
    identity = {"name": "query.id", "label": "ID", "type": kind}
    fields = msgspec.convert({"dimensions": [identity]}, ExploreFields, strict=False)

    assert resources.without_nulls(query, fields).filters == {"query.id": not_null}
