"""https by certificate files."""

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import Serve, encoded
from vidette.errors import ConfigError
from vidette.serve.listening import tls_context
from vidette.server_settings import TlsConfig

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def make(folder: Path, name: str, *options: str) -> TlsConfig:
    """A certificate of this machine that signs itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key),
         "-out", str(certificate), *(options or ("-nodes",))],
        check=True, capture_output=True,
    )  # fmt: skip
    return TlsConfig(certificate=str(certificate), key=str(key))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TlsConfig:
    return make(tmp_path_factory.mktemp("tls"), "one")


def test_https(serve: Serve, made: TlsConfig) -> None:
    running = serve(tls=made.model_dump())
    assert running.url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=made.certificate)
    answer = httpx.post(f"{running.url}/tiny/1", content=encoded(), verify=trusting)
    assert answer.status_code == 200
    assert answer.json()["predictions"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.url}/info")
    with pytest.raises(httpx.HTTPError):  # no HTTP on this port
        httpx.get(f"http://127.0.0.1:{running.port}/info")


def test_who_does_not_begin_is_cut(serve: Serve, made: TlsConfig) -> None:
    port = serve(tls=made.model_dump(), limits={"slow": "200ms"}).port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        assert not silent.recv(1)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_nothing_older_than_tls_1_2(serve: Serve, made: TlsConfig) -> None:
    port = serve(tls=made.model_dump()).port
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionError, ValueError)),
    ):
        old.wrap_socket(plain)


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("missing.pem", "one.key", r"certificate: \S+missing.pem: cannot be read: No such file"),
        ("one.pem", "missing.key", r"key: \S+missing.key: cannot be read"),
        ("one.txt", "one.key", "certificate: .* is no PEM file"),
        ("one.pem", "one.txt", "key: .* is no PEM file"),
        ("one.pem", "other.key", "is not the key of"),
        ("one.pem", "locked.key", "needs a password"),
        ("one.pem", "one.pem", "no certificate and private key"),
        ("cut.pem", "one.key", "no certificate and private key"),
        (".", "one.key", "cannot be read: Is a directory"),
    ],
)
def test_files_that_do_not_work(made: TlsConfig, certificate: str, key: str, says: str) -> None:
    folder = Path(made.certificate).parent
    (folder / "one.txt").write_text("no certificate")
    (folder / "cut.pem").write_bytes(Path(made.certificate).read_bytes()[:200])
    if not (folder / "other.key").exists():
        make(folder, "other")
        make(folder, "locked", "-passout", "pass:secret")
    with pytest.raises(ConfigError, match=says) as caught:
        tls_context(TlsConfig(certificate=str(folder / certificate), key=str(folder / key)))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("server.tls")
