"""The state and the servers of a local bridge are for the user who started it: rights, a token, and host names."""

import http.client
import json
import os
import socket
import stat
import urllib.parse
from pathlib import Path

import pytest
import requests

from local import host_names
from local.sandbox.wire import Response, Server
from tests.support.command_line import run, run_process
from tests.support.served import Served, served, write_files
from tests.support.world import WEBHOOK_TOKEN, World, delivery

pytestmark = pytest.mark.long

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture
def prepared(world: World) -> World:
    world.add_pull("flights")
    world.add_relay("sales")
    write_files(world)
    return world


def services(world: World) -> dict[str, str]:
    found: dict[str, str] = json.loads((world.folder / "home" / "addresses.json").read_text())
    return found


def status(address: str, path: str, **headers: str) -> int:
    url = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in [folder, *folder.rglob("*")] if path.lstat().st_mode & OTHERS]


def expect_private(world: World) -> None:
    assert open_to_others(world.folder / "home") == []
    assert stat.S_IMODE((world.folder / "home").stat().st_mode) == 0o700


def post_delivery(bridge: Served) -> None:
    headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN, "X-Looker-Webhook-Id": "a"}
    answer = requests.post(f"{bridge.addresses['receive']}/sales", delivery(("1", "10")), headers=headers, timeout=30)
    assert answer.status_code == 200


def test_the_folder_is_only_for_its_owner(prepared: World) -> None:
    with served(prepared) as bridge:
        assert bridge.pull().status_code == 200
        post_delivery(bridge)
        expect_private(prepared)
        assert stat.S_IMODE((prepared.folder / "home" / "addresses.json").stat().st_mode) == 0o600
    assert run_process(prepared, "pull", "flights").status == 0
    expect_private(prepared)


def test_rights_of_others_on_an_older_folder_are_taken_away(prepared: World) -> None:
    assert run_process(prepared, "pull", "flights").status == 0
    home = prepared.folder / "home"
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)

    with served(prepared):
        expect_private(prepared)


def test_a_command_leaves_the_umask_of_its_process(prepared: World) -> None:
    before = os.umask(0o022)
    (prepared.folder / "home").mkdir()
    try:
        assert run(prepared, "runs").status == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_storage_and_secrets_need_the_token_of_this_start(prepared: World) -> None:
    objects, secret = "/storage/v1/b/bucket/o", "/v1/projects/local/secrets/looker-api/versions/latest:access"
    with served(prepared) as bridge:
        first = services(prepared)
        assert first["storage"] == bridge.addresses["storage"]
        assert first["token"] not in json.dumps(bridge.addresses)
        for address, path in ((first["storage"], objects), (first["secrets"], secret)):
            assert status(address, path) == 401
            assert status(address, path, Authorization="Bearer wrong") == 401
            assert status(address, path, Authorization=first["token"]) == 401
            assert status(address, path, Authorization=f"Bearer {first['token']}") == 200
        # A command beside it reads the token from the folder.
        assert run_process(prepared, "runs").status == 0
        assert bridge.pull().status_code == 200
    with served(prepared):
        assert services(prepared)["token"] != first["token"]


def test_a_page_that_resolves_its_name_to_this_machine_is_refused(prepared: World) -> None:
    with served(prepared) as bridge:
        token = {"Authorization": f"Bearer {services(prepared)['token']}"}
        ports = {name: urllib.parse.urlsplit(address).port for name, address in bridge.addresses.items()}
        for name, address in bridge.addresses.items():
            for host in (
                "evil.example",
                f"evil.example:{ports[name]}",
                "127.0.0.1:1",
                "localhost",
                "127.0.0.1.evil.example",
            ):
                assert status(address, urllib.parse.urlsplit(address).path, Host=host, **token) == 421, (name, host)
            for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
                own = f"{host}:{ports[name]}"
                assert status(address, urllib.parse.urlsplit(address).path, Host=own, **token) != 421, (name, own)
        secrets = services(prepared)["secrets"]
        assert status(secrets, "/v1/projects/local/secrets/looker-api/versions", Host="evil.example", **token) == 421


def test_the_name_of_a_tunnel_can_be_accepted(prepared: World) -> None:
    with served(prepared, "--name", "bridge.example.com") as bridge:
        address = bridge.addresses["receive"]
        assert status(address, "/receive", Host="bridge.example.com") == 401
        assert status(address, "/receive", Host="bridge.example.com:8443") == 401
        assert status(address, "/receive", Host="other.example.com") == 421


def test_a_server_bound_elsewhere_can_have_other_names() -> None:
    class Greeting:
        def answer(self, _: object) -> Response:
            return Response(200, b"yes")

    with Server(Greeting(), names=["sandbox"]) as server:
        assert status(server.url, "/", Host="sandbox:1234") == 200
        assert status(server.url, "/", Host="else") == 421


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("", False),
        ("127.0.0.1", False),
        ("127.0.0.1:", False),
        ("127.0.0.1:80", False),
        ("127.0.0.1:8080:8080", False),
        ("127.0.0.1:8080.evil.example", False),
        ("::1:8080", False),
        ("localhost.:8080", False),
        ("0.0.0.0:8080", False),
        ("127.0.0.1:٨٠٨٠", False),
    ],
)
def test_host_names(host: str, expected: bool) -> None:
    assert host_names.is_own(host, 8080) is expected


def test_a_port_in_use_is_explained(prepared: World) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        result = run_process(prepared, "serve", "--port", str(port))

    assert (result.status, result.output) == (1, "")
    assert result.errors.splitlines() == [
        "error: our_fault",
        f"Port {port} is in use, or you may not use it.",
        "→ Stop the program that uses it, or name another one with --port; 0 selects a free port.",
    ]
