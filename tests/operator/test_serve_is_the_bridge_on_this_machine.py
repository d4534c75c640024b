"""`bridge serve`: addresses on one line, a bucket of plain files, secrets from a file, and a kill -9 survived."""

import json
import signal

import pytest
import requests

from tests.support.served import run, served, write_files
from tests.support.world import PULL_RUN, PUSH, ROWS, World


@pytest.fixture
def prepared(world: World) -> World:
    world.pull("flights", target={"repeatable": False})
    write_files(world)
    return world


def test_it_prints_one_line_of_addresses_and_keeps_plain_files(prepared: World) -> None:
    with served(prepared) as bridge:
        answer = bridge.pull()

        assert answer.json()["outcome"] == "landed", answer.text
        assert bridge.addresses.keys() == {"pull", "export", "receive", "deliver", "storage"}
        run_id = answer.json()["run"]
        bucket = prepared.folder / "home" / "bucket"
        assert (bucket / "staged" / "flights" / f"{run_id}.csv").read_text().count("\n") > len(ROWS)
        assert json.loads(next((bucket / "receipts").glob("flights/*/*.json")).read_text())["run"] == run_id


def test_its_logs_are_json_lines_on_standard_error_and_it_ends_on_sigterm(prepared: World) -> None:
    with served(prepared) as bridge:
        bridge.pull()
        bridge.process.send_signal(signal.SIGTERM)
        _, errors = bridge.process.communicate(timeout=30)

    assert bridge.process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert "run ended" in [line["message"] for line in lines]
    assert {line["severity"] for line in lines} == {"INFO"}


def test_it_stays_up_across_bad_requests(prepared: World) -> None:
    with served(prepared) as bridge:
        for body in (b"", b"nonsense", b"\0" * 100_000):
            assert requests.post(bridge.addresses["pull"], data=body, timeout=30).status_code == 400
        assert requests.get(bridge.addresses["pull"], timeout=30).status_code == 400
        assert requests.get(bridge.addresses["pull"].replace("/pull", "/nothing"), timeout=30).status_code == 404
        assert bridge.pull().status_code == 200


def test_a_changed_env_file_is_a_new_version_of_the_secret(prepared: World) -> None:
    with served(prepared) as bridge:
        assert bridge.pull().status_code == 200
        prepared.looker.client_secret = "the-next-secret"
        write_files(prepared, "the-next-secret")
        assert bridge.pull().status_code == 200


def test_killed_in_the_middle_of_a_run_it_starts_again_and_nothing_is_lost(prepared: World) -> None:
    with served(prepared) as bridge:
        prepared.looker_server.fault(PULL_RUN, act=bridge.process.kill, reset_before=True)
        with pytest.raises(requests.ConnectionError):
            bridge.pull()
    with served(prepared) as bridge:
        assert bridge.pull().json()["outcome"] == "landed"

    receipts = sorted((prepared.folder / "home/bucket/receipts").glob("flights/*/*.json"))
    outcomes = {json.loads(path.read_text())["outcome"] for path in receipts}
    assert outcomes == {"failed", "landed"}
    assert len(prepared.landed_rows()) == len(ROWS)


def test_killed_right_after_the_push_an_append_waits_for_a_person(prepared: World) -> None:
    with served(prepared) as bridge:
        prepared.pigment_server.fault(PUSH, then=bridge.process.kill, reset_after=True)
        with pytest.raises(requests.ConnectionError):
            bridge.pull()
    with served(prepared) as bridge:
        answer = bridge.pull()
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "landing_unknown")

        shown = run(prepared, "runs", "--state", "home", "--json").communicate(timeout=60)[0]
        run_id = next(each["run"] for each in json.loads(shown) if each["outcome"] == "unknown")
        settled = run(prepared, "settle", run_id, "--landed", "--state", "home", "--json").communicate(timeout=60)[0]
        assert json.loads(settled)["outcome"] == "landed"

        assert bridge.pull().json()["outcome"] == "landed"
    assert len(prepared.landed_rows()) == 2 * len(ROWS)


def test_the_budget_of_a_call_can_be_set(prepared: World) -> None:
    with served(prepared, env={"BRIDGE_DEADLINE_S": "2"}) as bridge:
        prepared.hold_pigment()
        answer = bridge.pull()
        prepared.release_pigment()
        assert (answer.status_code, answer.json()["outcome"]) == (202, "importing")
        prepared.pigment.finished(prepared.imports[0].id)
        assert bridge.pull().json()["outcome"] == "landed"


def test_two_bridges_do_not_share_a_folder(prepared: World) -> None:
    with served(prepared):
        second = run(prepared, "serve", "--state", "home", "--port", "0")
        _, errors = second.communicate(timeout=60)

    assert second.returncode == 1
    assert "Another bridge lives in home" in errors


def test_a_bad_bridge_yaml_is_told_in_full_before_anything_starts(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text("looker: {url: http://example.com}\npulls: {flights: {source: {}}}\n")

    process = run(prepared, "serve", "--state", "home", "--port", "0")
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "looker.url" in errors
    assert "pulls.flights.target" in errors
    assert "Traceback" not in errors


def test_the_command_line_pulls_and_previews(prepared: World) -> None:
    preview = run(prepared, "pull", "flights", "--preview", "--state", "home").communicate(timeout=60)[0]
    assert "previewed" in preview
    assert "Newark" in preview
    process = run(prepared, "pull", "flights", "--state", "home", "--json")
    receipt = json.loads(process.communicate(timeout=60)[0])
    assert (process.returncode, receipt["outcome"]) == (0, "landed")
    assert "landed" in run(prepared, "runs", "--state", "home").communicate(timeout=60)[0]


def test_a_pull_that_fails_exits_1_and_says_what_to_do(prepared: World) -> None:
    prepared.looker.client_secret = "changed"

    process = run(prepared, "pull", "flights", "--state", "home")
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "looker_login_refused" in output
    assert "Create a new API key" in output
    assert errors == ""
