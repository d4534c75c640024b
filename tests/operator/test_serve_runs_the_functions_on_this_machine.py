"""`bridge serve`: its addresses, its bucket of plain files, its secrets from a file, and kills."""

import json
import signal

import pytest
import requests

from tests.support.command_line import run, run_process
from tests.support.served import served, write_files
from tests.support.world import PULL_RUN, PUSH, ROWS, World

pytestmark = pytest.mark.long


@pytest.fixture
def prepared(world: World) -> World:
    world.add_pull("flights", target={"repeatable": False})
    write_files(world)
    return world


def test_addresses_are_one_line_of_json_and_objects_are_plain_files(prepared: World) -> None:
    with served(prepared) as bridge:
        answer = bridge.pull()

        assert answer.json()["outcome"] == "landed", answer.text
        assert bridge.addresses.keys() == {"pull", "export", "receive", "deliver", "storage"}
        run_id = answer.json()["run"]
        bucket = prepared.folder / "home" / "bucket"
        assert (bucket / "staged" / "flights" / f"{run_id}.csv").read_bytes() == prepared.pigment.received(
            answer.json()["import_id"]
        ).read_bytes()
        assert json.loads(next((bucket / "receipts").glob("flights/*/*.json")).read_text())["run"] == run_id


def test_logs_are_json_on_standard_error_and_sigterm_stops_it(prepared: World) -> None:
    with served(prepared) as bridge:
        bridge.pull()
        bridge.process.send_signal(signal.SIGTERM)
        _, errors = bridge.process.communicate(timeout=30)

    assert bridge.process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any("outcome" in line for line in lines)
    assert {line["severity"] for line in lines} == {"INFO"}


def test_malformed_requests_do_not_stop_it(prepared: World) -> None:
    with served(prepared) as bridge:
        for body in (b"", b"nonsense", b"\0" * 100_000):
            assert requests.post(bridge.addresses["pull"], data=body, timeout=30).status_code == 400
        assert requests.get(bridge.addresses["pull"], timeout=30).status_code == 400
        assert requests.get(bridge.addresses["pull"].replace("/pull", "/nothing"), timeout=30).status_code == 404
        assert bridge.pull().status_code == 200


def test_a_changed_env_file_is_a_new_version_of_its_secrets(prepared: World) -> None:
    with served(prepared) as bridge:
        assert bridge.pull().status_code == 200
        prepared.looker.client_secret = "the-next-secret"
        write_files(prepared, "the-next-secret")
        assert bridge.pull().status_code == 200


def test_after_a_kill_while_reading_the_next_run_lands(prepared: World) -> None:
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


def test_after_a_kill_during_a_push_that_appends_a_person_settles_the_run(prepared: World) -> None:
    with served(prepared) as bridge:
        prepared.pigment_server.fault(PUSH, then=bridge.process.kill, reset_after=True)
        with pytest.raises(requests.ConnectionError):
            bridge.pull()
    with served(prepared) as bridge:
        answer = bridge.pull()
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "landing_unknown")

        listed = json.loads(run(prepared, "runs", "--json").output)
        run_id = next(each["run"] for each in listed if each["outcome"] == "unknown")
        undecided = run(prepared, "settle", run_id)
        assert undecided.errors.splitlines()[0] == "error: landing_unknown"
        settled = json.loads(run(prepared, "settle", run_id, "--landed", "--json").output)
        assert (settled["run"], settled["outcome"]) == (run_id, "landed")

        assert bridge.pull().json()["outcome"] == "landed"
    assert len(prepared.landed_rows()) == 2 * len(ROWS)


def test_the_deadline_of_calls_can_be_set(prepared: World) -> None:
    with served(prepared, BRIDGE_DEADLINE_S="2") as bridge:
        prepared.pause_imports()
        answer = bridge.pull()
        prepared.resume_imports()
        assert (answer.status_code, answer.json()["outcome"]) == (202, "importing")
        prepared.pigment.finished(prepared.imports[0].id)
        assert bridge.pull().json()["outcome"] == "landed"


def test_two_processes_cannot_serve_one_folder(prepared: World) -> None:
    with served(prepared):
        second = run_process(prepared, "serve", "--port", "0")

    assert (second.status, second.output) == (1, "")
    assert second.errors.splitlines() == [
        "error: our_fault",
        "Another bridge uses the folder home.",
        "→ Stop it, or name another folder with --state.",
    ]


def test_all_faults_of_bridge_yaml_are_printed_and_nothing_is_served(prepared: World) -> None:
    (prepared.folder / "bridge.yaml").write_text("looker: {url: http://example.com}\npulls: {flights: {source: {}}}\n")

    result = run_process(prepared, "serve", "--port", "0")

    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith("error: bridge_file_invalid\n")
    assert "looker.url" in result.errors
    assert "pulls.flights.target" in result.errors


def test_a_preview_sends_nothing_and_a_pull_lands(prepared: World) -> None:
    preview = run_process(prepared, "pull", "flights", "--preview")
    assert (preview.status, preview.errors) == (0, "")
    assert "previewed" in preview.output
    assert 'Newark, "Liberty"' in preview.output
    assert prepared.imports == []

    pulled = run(prepared, "pull", "flights", "--json")
    receipt = json.loads(pulled.output)
    assert (pulled.status, receipt["outcome"]) == (0, "landed")
    _, newest, oldest = run_process(prepared, "runs").output.splitlines()
    job, _, *rest = newest.split()
    assert (job, rest) == ("flights", ["landed", "5", "5", "0", receipt["run"]])
    assert (oldest.split()[0], oldest.split()[2:4]) == ("flights", ["previewed", "5"])


def test_a_failed_pull_exits_with_1_and_names_the_next_step(prepared: World) -> None:
    prepared.looker.client_secret = "changed"

    result = run(prepared, "pull", "flights", "--json")

    assert (result.status, result.errors) == (1, "")
    error = json.loads(result.output)["error"]
    assert error["code"] == "looker_login_refused"
    readable = run(prepared, "pull", "flights").output
    assert "looker_login_refused" in readable
    assert error["next_step"][:60] in readable


def test_its_address_in_a_browser_says_what_to_do(prepared: World) -> None:
    with served(prepared) as bridge:
        base = bridge.addresses["pull"].removesuffix("/pull")
        front, missing = requests.get(f"{base}/", timeout=30), requests.get(f"{base}/nothing<b>", timeout=30)
        function = requests.get(f"{base}/pull", timeout=30)

    assert (front.status_code, missing.status_code, function.status_code) == (200, 404, 400)
    assert f"""curl --data '{{"job": "JOB"}}' {base}/pull""" in front.text
    assert "bridge runs" in front.text
    assert missing.text.startswith("There is nothing at /nothing<b>.")
    assert missing.headers["Content-Type"].startswith("text/plain")
    assert front.text in missing.text
    assert "Send POST" in function.json()["error"]["next_step"]
