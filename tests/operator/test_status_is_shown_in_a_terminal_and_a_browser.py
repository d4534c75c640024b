"""`bridge status` and the page of `bridge serve` say the same as the status page in the bucket."""

import contextlib
import json
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from common.storage.bucket import Bucket
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Response, Server
from tests.support.command_line import run
from tests.support.served import write_files
from tests.support.storage_client import client_of
from tests.support.world import PUSH, World


@pytest.fixture
def prepared(world: World) -> World:
    world.add_pull("flights", schedule="15 6 * * *", time_zone="Europe/Paris")
    world.add_pull("broken")
    write_files(world)
    assert run(world, "pull", "flights").status == 0
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(403, b"{}"))
    assert run(world, "pull", "broken").status == 1
    return world


def test_the_terminal_shows_a_sentence_a_table_and_the_reasons(prepared: World) -> None:
    result = run(prepared, "status")

    assert (result.status, result.errors) == (0, "")
    first, *_ = result.output.splitlines()
    assert first.startswith("1 of 2 jobs is up to date as of ")
    assert first.endswith(" Europe/Paris: broken failed.")
    (flights,) = [line for line in result.output.splitlines() if line.split()[:1] == ["flights"]]
    assert flights.split()[:2] == ["flights", "Landed"]
    assert "just now" in flights
    assert "06:15 Europe/Paris" in flights
    assert "broken: Pigment" in result.output
    assert "\n→ " in result.output


def test_a_job_that_cannot_be_read_is_not_taken_for_up_to_date(prepared: World) -> None:
    prepared.heal()
    assert run(prepared, "pull", "broken").status == 0
    with (
        contextlib.closing(SandboxStorage(prepared.folder / "home")) as site,
        Server(site) as server,
        contextlib.closing(client_of(server.url)) as client,
    ):
        bucket = Bucket("bucket", client)
        for name in list(bucket.names("receipts/broken/")):
            bucket.write_json(name, [], over=None)

    result = run(prepared, "status")

    assert result.output.splitlines()[0].startswith("1 of 2 jobs is up to date as of ")
    assert "broken could not be read" in result.output
    assert "These jobs could not be read, and are not shown: broken." in result.errors


def test_the_terminal_shows_what_is_left_of_lookers_licence(prepared: World) -> None:
    prepared.raw["looker"]["licence"] = "enterprise"
    write_files(prepared)
    prepared.heal()
    assert run(prepared, "pull", "broken").status == 0

    shown = run(prepared, "status").output

    assert "3 of 100,000 query-based calls used" in shown
    assert "99,997 left" in shown


def test_a_program_gets_json(prepared: World) -> None:
    broken, flights = json.loads(run(prepared, "status", "--json").output)

    assert (flights["job"], flights["verdict"], flights["up_to_date"]) == ("flights", "landed", True)
    assert flights["last_landing"]["rows"] == 5
    assert (broken["verdict"], broken["up_to_date"], broken["next_due"]) == ("failed", False, None)
    assert broken["reason"]
    assert broken["next_step"]


def test_a_folder_without_a_bridge_is_named_and_not_created(world: World) -> None:
    result = run(world, "status")

    assert result.status == 1
    assert "There is no bridge in the folder home." in result.errors
    assert not (world.folder / "home").exists()


def test_the_page_is_opened_in_a_browser(prepared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "_tryorder", ["test"])
    monkeypatch.setattr(webbrowser, "_browsers", {"test": [None, _Browser(opened)]})

    assert run(prepared, "status", "--open").status == 0

    (address,) = opened
    page = Path(urlsplit(address).path)
    assert page == (prepared.folder / "home" / "bucket" / "status" / "index.html").resolve()
    assert "broken failed" in page.read_text()
    assert (page.parent / "jobs" / "flights.html").exists()


class _Browser:
    """A browser that only notes what it is to open."""

    def __init__(self, opened: list[str]) -> None:
        self._opened = opened

    def open(self, url: str, *_: object) -> bool:
        self._opened.append(url)
        return True


def status_address(world: World) -> str:
    return world.addresses["pull"].removesuffix("/pull") + "/status"


def test_the_functions_on_this_machine_serve_the_pages(world: World) -> None:
    run_id = world.run_pull("flights").body["run"]
    address = status_address(world)

    page = requests.get(address, timeout=10)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "The only job is up to date" in page.text
    assert 'href="/status/jobs/flights.html"' in page.text

    job = requests.get(f"{address}/jobs/flights.html", timeout=10)
    assert run_id in job.text
    assert 'href="/status"' in job.text
    for path in ("/jobs/other.html", "/jobs/", "/other"):
        assert requests.get(address + path, timeout=10).status_code == 404


def test_whoever_comes_through_a_tunnel_does_not_see_the_pages(world: World) -> None:
    answer = requests.get(status_address(world), headers={"Host": "tunnel.example.com"}, timeout=10)

    assert answer.status_code == 404
