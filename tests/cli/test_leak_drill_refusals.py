"""What `grantwell leak-drill` does with a database, a log or an address that it can do nothing with."""

from __future__ import annotations

import os
import pty
import socket
import sqlite3
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from grantwell.cli.leak_drill import exchange
from tests.cli.processes import COMMAND, environment
from tests.cli.terminal import Terminal

requirement = pytest.mark.requirement

LOCAL = "http://127.0.0.1:1"


@requirement("G-311")
def test_a_database_that_cannot_be_read_is_one_sentence(migrated: Terminal) -> None:
    (migrated.folder / "text.db").write_text("This is no database at all." * 50)
    pages = (migrated.folder / "grantwell.db").read_bytes()
    (migrated.folder / "torn.db").write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))
    with closing(sqlite3.connect("cut.db")) as cut, cut:
        cut.execute("CREATE TABLE t (a)")
        cut.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    pages = (migrated.folder / "cut.db").read_bytes()
    (migrated.folder / "cut.db").write_bytes(pages[:12288] + b"\xff" * 4096 + pages[16384:])
    for url, sentence in {
        "sqlite+aiosqlite:///torn.db": "The database torn.db cannot be read: database disk image is malformed.",
        "sqlite+aiosqlite:///cut.db": "The database cut.db cannot be read: database disk image is malformed.",
        "sqlite+aiosqlite:///none.db": "There is no database file none.db.",
        "sqlite+aiosqlite:///text.db": "The database text.db cannot be read: file is not a database.",
        "postgresql+asyncpg://user:secret@host/name": "Only an SQLite file can be copied",
        "sqlite+aiosqlite://": "Only an SQLite file can be copied",
        "what?": "The database URL cannot be read",
    }.items():
        result = migrated("leak-drill", LOCAL, "--database-url", url, code=1)
        assert sentence in result.stderr
        assert "secret" not in result.stderr
        assert len(result.stderr.splitlines()) == 1


@requirement("G-311")
def test_a_server_that_is_not_there_is_one_sentence(migrated: Terminal) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = migrated("leak-drill", f"{url}/", code=1)
    assert result.stderr == f"Error: {url} cannot be reached: Connection refused.\n"


@requirement("G-311")
def test_a_log_that_cannot_be_read_is_one_sentence(migrated: Terminal) -> None:
    result = migrated("leak-drill", LOCAL, "--logs", "/proc/self/mem", code=1)
    assert result.stderr == "Error: The file /proc/self/mem cannot be read: Input/output error.\n"
    assert "does not exist" in migrated("leak-drill", LOCAL, "--logs", "none.log", code=2).stderr


@requirement("G-311")
def test_a_server_that_does_not_speak_tls_or_does_not_answer_is_one_sentence(
    migrated: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(exchange, "TIMEOUT_SECONDS", 0.1)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("http", "https"):
            result = migrated("leak-drill", f"{scheme}://{address}", code=1)
            assert result.stderr == f"Error: {scheme}://{address} did not answer in 0 seconds.\n"
    with HTTPServer(("127.0.0.1", 0), Silent) as server, serving_in_a_thread(server):
        result = migrated("leak-drill", f"https://127.0.0.1:{server.server_port}", code=1)
    assert f"Error: https://127.0.0.1:{server.server_port} does not speak TLS: " in result.stderr


class Silent(BaseHTTPRequestHandler):
    """Answers nothing but errors."""

    def log_message(self, *_arguments: object) -> None:
        """Write nothing to the terminal."""


class Closing(Silent):
    """Says that the connection stays open, and closes it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer 404."""
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True


@requirement("G-342")
def test_a_connection_that_was_closed_meanwhile_is_opened_again(migrated: Terminal) -> None:
    with HTTPServer(("127.0.0.1", 0), Closing) as server, serving_in_a_thread(server):
        url = f"http://127.0.0.1:{server.server_port}"
        result = migrated("leak-drill", url, code=1)
    assert result.stderr == f"Error: There is no OAuth authorization server at {url}: it has no metadata (RFC 8414).\n"


@requirement("G-343", "G-311")
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://192.168.1.2:8000",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "127.0.0.1:8000",
        "http://user@127.0.0.1",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1:99999",
        "https://",
        "http://127.0.0.1/\u202e",
    ],
)
def test_an_address_at_which_secrets_would_be_overheard_is_wrong_usage(migrated: Terminal, url: str) -> None:
    assert "Invalid value for 'URL'" in migrated("leak-drill", url, "--yes", code=2).stderr


@requirement("G-343")
def test_without_a_terminal_nothing_is_sent_to_another_machine_unless_it_was_allowed(migrated: Terminal) -> None:
    refused = migrated("leak-drill", "https://grantwell.invalid", code=2)
    question = "Everything in grantwell.db is sent to https://grantwell.invalid, which is another machine. Go on?"
    assert question in refused.stderr
    assert "use --yes" in refused.stderr
    allowed = migrated("leak-drill", "https://grantwell.invalid", "--yes", code=1)
    assert allowed.stderr.startswith("Error: https://grantwell.invalid cannot be reached: ")


@requirement("G-343")
@pytest.mark.parametrize(("answer", "shown"), [(b"n\n", b"Aborted!"), (b"y\n", b"cannot be reached")])
def test_at_a_terminal_it_asks_before_it_sends_anything_to_another_machine(
    migrated: Terminal, answer: bytes, shown: bytes
) -> None:
    said, code = at_a_terminal(migrated.folder, answer, "leak-drill", "https://grantwell.invalid")
    assert b"which is another machine. Go on? [y/N]: " in said
    assert (shown in said, code) == (True, 1)


def at_a_terminal(folder: Path, answer: bytes, *words: str) -> tuple[bytes, int]:
    """What a command shows at a terminal, where a question is answered, and its exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    os.write(master, answer)
    said = b""
    # Linux tells by an error that the last program has closed the terminal.
    with suppress(OSError):
        while chunk := os.read(master, 4096):
            said += chunk
    os.close(master)
    return said, process.wait(20)


@requirement("S-001", "G-343")
def test_the_certificate_of_the_server_is_verified(migrated: Terminal) -> None:
    with a_tls_server(migrated.folder) as url:
        refused = migrated("leak-drill", url, code=1, SSL_CERT_FILE="")
        trusted = migrated("leak-drill", url, code=1, SSL_CERT_FILE=str(migrated.folder / "server.pem"))
        plain = migrated("leak-drill", url.replace("https", "http"), code=1)
    assert refused.stderr == f"Error: The certificate of {url} cannot be verified: self-signed certificate.\n"
    assert trusted.stderr.startswith(f"Error: There is no OAuth authorization server at {url}")
    assert "cannot be reached" in plain.stderr


@contextmanager
def a_tls_server(folder: Path) -> Iterator[str]:
    """The URL of a web server with a certificate of its own making, `server.pem` in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with HTTPServer(("127.0.0.1", 0), Silent) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with serving_in_a_thread(server):
            yield f"https://127.0.0.1:{server.server_port}"


@contextmanager
def serving_in_a_thread(server: HTTPServer) -> Iterator[None]:
    """Let a web server of the standard library answer while the body runs."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
