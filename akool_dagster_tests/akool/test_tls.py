"""The same promises over TLS, as AKOOL itself is reached."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from akool_dagster.akool import (
    ClonedSpeechRequest,
    NotSent,
    OutcomeUnknown,
    Timeouts,
    Unreachable,
)
from akool_dagster_tests.akool import raw_server
from akool_dagster_tests.akool.conftest import VIDEO_ID, MakeClient, ok
from akool_dagster_tests.akool.raw_server import RawServer, Script

REQUEST = ClonedSpeechRequest(text="Hello.", sample_url="https://media.example/s.mp3")
ACCEPTED = raw_server.response(json.dumps(ok({"_id": VIDEO_ID, "status": 1})).encode())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that has signed itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(tz=timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + pem)
    return path


class TlsServer(RawServer):
    def __init__(self, certificate: Path):
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def talk(self, then: Script) -> None:
        def script(connection: socket.socket) -> None:
            with self._context.wrap_socket(connection, server_side=True) as secured:
                self.reading(then)(secured)

        self._scripts = [script]


@pytest.fixture
def server(certificate: Path) -> Iterator[TlsServer]:
    running = TlsServer(certificate)
    with running:
        yield running


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


@pytest.mark.usefixtures("trusted")
def test_a_create_and_reads_over_tls(server: TlsServer, make_client: MakeClient):
    server.talk(raw_server.send(ACCEPTED))
    assert make_client(server.url).create_cloned_speech(REQUEST).id == VIDEO_ID
    balance = raw_server.send(raw_server.response(json.dumps(ok({"credit": 5})).encode()))
    server.talk(raw_server.sequence(balance, server.reading(balance)))
    client = make_client(server.url)
    assert [client.balance(), client.balance()] == [5.0, 5.0]
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_certificate_that_is_not_trusted_means_not_sent(
    server: TlsServer, make_client: MakeClient
):
    server.talk(raw_server.send(ACCEPTED))
    with pytest.raises(NotSent, match="certificate verify failed"):
        make_client(server.url).create_cloned_speech(REQUEST)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        make_client(server.url).balance()
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    "then",
    [raw_server.close, raw_server.reset, raw_server.send(ACCEPTED[:80])],
    ids=["close", "reset", "half an answer"],
)
def test_a_break_over_tls_leaves_the_outcome_unknown(
    then: Script, server: TlsServer, make_client: MakeClient
):
    server.talk(then)
    with pytest.raises(OutcomeUnknown):
        make_client(server.url).create_cloned_speech(REQUEST)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("then", "read", "total"),
    [
        (raw_server.drip(ACCEPTED, pause=0.05), 5.0, 0.5),
        (raw_server.wait(1.5), 0.2, 5.0),
        (raw_server.wait(1.5), 5.0, 0.3),
    ],
    ids=["drip", "silence", "silence for the total"],
)
def test_time_is_bounded_over_tls(
    then: Script, read: float, total: float, server: TlsServer, make_client: MakeClient
):
    server.talk(then)
    timeouts = Timeouts(connect_seconds=2, read_seconds=read, total_seconds=total)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown, match=r"timed out|in time"):
        make_client(server.url, timeouts=timeouts).create_cloned_speech(REQUEST)
    assert time.monotonic() - started < 1.3
