"""A private certificate authority of the vendors is trusted only if the usual variables name it."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.sandbox.wire import Server
from tests.support.certificates import certificate
from tests.support.world import World


@pytest.fixture
def behind_tls(world: World, tmp_path: Path) -> Iterator[Path]:
    """Serve both vendors over TLS, and yield the file of their authority."""
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ExitStack() as stack:
        for name in ("looker", "pigment"):
            server = Server(getattr(world, name))
            server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
            stack.enter_context(server)
            world.raw[name]["url"] = server.url.replace("http:", "https:")
        world.save_jobs()
        yield pem


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_usual_variables_name_the_authority(
    world: World, behind_tls: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(behind_tls))

    assert world.run_pull("flights").body["outcome"] == "landed"


@pytest.mark.usefixtures("behind_tls")
def test_an_unknown_authority_receives_nothing(world: World) -> None:
    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (503, "looker_busy")
    assert "its certificate is not trusted" in answer.error["message"]
    assert world.imports == []
