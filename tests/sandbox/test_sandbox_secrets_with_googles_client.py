"""Google's own client works with the sandbox's Secret Manager."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager import SecretManagerServiceClient

from local.sandbox.secrets import MalformedLine, SandboxSecrets
from local.sandbox.wire import Response, Server

PARENT = "projects/any/secrets"


@contextlib.contextmanager
def client_of(site: SandboxSecrets) -> Iterator[Any]:
    with (
        Server(site) as server,
        SecretManagerServiceClient(
            transport="rest", client_options={"api_endpoint": server.url}, credentials=AnonymousCredentials()
        ) as client,
    ):
        client.server = server
        yield client


def value_of(client: Any, name: str, version: str = "latest") -> str:
    text: str = client.access_secret_version(name=f"{PARENT}/{name}/versions/{version}").payload.data.decode()
    return text


def write(path: Path, text: str) -> None:
    """Write a file so that a change within the resolution of the file system's clock is detected."""
    path.write_text(text)
    after = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(after, after))


def test_every_version_is_accessible() -> None:
    secrets = SandboxSecrets({"key": "first"})
    assert secrets.put("key", "zweite 🗝") == 2
    with client_of(secrets) as client:
        assert value_of(client, "key") == value_of(client, "key", "2") == "zweite 🗝"
        assert value_of(client, "key", "1") == "first"
        answer = client.access_secret_version(name=f"{PARENT}/key/versions/latest")
        assert answer.name == f"{PARENT}/key/versions/2"
        assert answer.payload.data_crc32c > 0


def test_versions_are_listed_newest_first_in_pages_and_by_state() -> None:
    secrets = SandboxSecrets({"key": "1"})
    for value in "2345":
        secrets.put("key", value)
    secrets.disable("key", 4)
    with client_of(secrets) as client:
        listed = list(client.list_secret_versions(request={"parent": f"{PARENT}/key", "page_size": 2}))
        assert [(version.name[-1], version.state.name) for version in listed] == [
            ("5", "ENABLED"),
            ("4", "DISABLED"),
            ("3", "ENABLED"),
            ("2", "ENABLED"),
            ("1", "ENABLED"),
        ]
        enabled = client.list_secret_versions(request={"parent": f"{PARENT}/key", "filter": "state:ENABLED"})
        assert [version.name[-1] for version in enabled] == ["5", "3", "2", "1"]
        assert client.get_secret_version(name=f"{PARENT}/key/versions/4").state.name == "DISABLED"


@pytest.mark.parametrize("name", ["nothing/versions/latest", "key/versions/2", "key/versions/0", "key/versions/x"])
def test_a_missing_object_is_not_found(name: str) -> None:
    with client_of(SandboxSecrets({"key": "value"})) as client, pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{PARENT}/{name}")


def test_a_disabled_version_is_not_accessible() -> None:
    secrets = SandboxSecrets({"key": "value"})
    secrets.disable("key", 1)
    with client_of(secrets) as client, pytest.raises(exceptions.BadRequest, match="DISABLED"):
        value_of(client, "key")


def test_a_denied_secret_is_forbidden() -> None:
    secrets = SandboxSecrets({"key": "value"})
    secrets.deny("key")
    with client_of(secrets) as client:
        with pytest.raises(exceptions.Forbidden, match="Permission"):
            value_of(client, "key")
        with pytest.raises(exceptions.Forbidden):
            client.list_secret_versions(parent=f"{PARENT}/key")


def test_secret_manager_fails_on_demand() -> None:
    refusal = Response.of_json({"error": {"code": 500, "message": "broken", "status": "INTERNAL"}}, 500)
    with client_of(SandboxSecrets({"key": "value"})) as client:
        client.server.fault("GET /v1/.*:access", refuse=refusal)
        with pytest.raises(exceptions.InternalServerError, match="broken"):
            value_of(client, "key")
        assert value_of(client, "key") == "value"


def test_values_of_a_file_are_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write(
        path,
        "# the two vendors\n"
        "\n"
        'looker-api={"client_id": "a", "client_secret": "b=#$HOME"}\n'
        "quoted=\"a \\n 'b' # c\"\r\n"
        "single = 'x'\n"
        "half=\"x'\n"
        "PLAIN=a b  \n"
        "empty=\n",
    )
    with client_of(SandboxSecrets.from_file(path)) as client:
        assert value_of(client, "looker-api") == '{"client_id": "a", "client_secret": "b=#$HOME"}'
        assert value_of(client, "quoted") == "a \\n 'b' # c"
        assert value_of(client, "single") == "x"
        assert value_of(client, "half") == "\"x'"
        assert value_of(client, "PLAIN") == "a b"
        assert value_of(client, "empty") == ""


def test_a_changed_file_adds_a_version_for_each_new_value(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write(path, "rotated=old\nsame=1\nremoved=x\n")
    with client_of(SandboxSecrets.from_file(path)) as client:
        write(path, "same=1\nrotated=newer\nadded=y\n")
        assert (value_of(client, "rotated"), value_of(client, "rotated", "1")) == ("newer", "old")
        assert value_of(client, "added") == "y"
        assert len(list(client.list_secret_versions(parent=f"{PARENT}/same"))) == 1
        with pytest.raises(exceptions.BadRequest):
            value_of(client, "removed")
        write(path, "rotated=newer\nremoved=x\n")
        assert value_of(client, "removed", "2") == "x"


@pytest.mark.parametrize("line", ["hunter2", "=hunter2", "two words=hunter2", "export KEY=hunter2", "ключ=hunter2"])
def test_a_malformed_line_is_reported_by_number_and_never_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    write(path, f"good=1\n\n{line}\n")
    with pytest.raises(MalformedLine) as raised:
        SandboxSecrets.from_file(path)
    assert "Line 3" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_malformed_file_fails_until_it_is_fixed(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write(path, "key=1\n")
    with client_of(SandboxSecrets.from_file(path)) as client:
        write(path, "key=1\nhunter2\n")
        with pytest.raises(exceptions.InternalServerError, match="Line 2") as raised:
            value_of(client, "key")
        assert "hunter2" not in str(raised.value)
        write(path, "key=22\n")
        assert value_of(client, "key") == "22"
