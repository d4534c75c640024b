"""Vendors behind a private certificate authority: trusted where the usual variables name it, refused elsewhere."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.sandbox.wire import Server
from world import World


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "sandbox.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def behind_tls(world: World, tmp_path: Path) -> Path:
    """Both vendors speak TLS; the file of their authority."""
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    for name, section in (("looker", "looker"), ("pigment", "pigment")):
        getattr(world, f"{name}_server").stop()
        server = Server(getattr(world, name))
        server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
        setattr(world, f"{name}_server", server.start())
        world.raw[section]["url"] = server.url.replace("http:", "https:")
    world.install()
    return pem


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_usual_variables_name_it(
    world: World, behind_tls: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(behind_tls))

    assert world.call(job="flights").body["outcome"] == "landed"


@pytest.mark.usefixtures("behind_tls")
def test_without_them_nothing_is_sent(world: World) -> None:
    answer = world.call(job="flights")

    assert (answer.status, answer.code) == (503, "looker_busy")
    assert "Certificate" in answer.error["message"] or "SSL" in answer.error["message"]
    assert world.imports == []
