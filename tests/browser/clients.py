"""The client: it registers, listens on loopback for the browser that comes back, and uses what it gets."""

from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

_SECONDS = 20
_HERE = b"<!doctype html><html lang=en><title>The client</title><main><h1>You are back</h1></main></html>"


@dataclass(frozen=True)
class Listener:
    """A web server of a client, which notes every address that a browser asks it for."""

    origin: str
    arrivals: Queue[str]

    @property
    def redirect_uri(self) -> str:
        """Where it wants the browser to come back to."""
        return f"{self.origin}/back"

    def answer(self) -> dict[str, str]:
        """The parameters that a browser comes back with, or came back with. Raises Empty after a while."""
        while True:
            target = urlsplit(self.arrivals.get(timeout=_SECONDS))
            if target.path == "/back":
                return dict(parse_qsl(target.query, keep_blank_values=True))


@contextmanager
def listening(page: bytes = _HERE) -> Iterator[Listener]:
    """A web server on a free loopback port that shows one page at every address."""
    arrivals: Queue[str] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrivals.put(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Listener(f"http://127.0.0.1:{server.server_address[1]}", arrivals)
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Client:
    """A client that registered itself at a server."""

    url: str
    client_id: str
    redirect_uri: str
    verifier: str
    state: str
    name: str = ""

    @classmethod
    def registered(cls, url: str, redirect_uri: str, **metadata: Any) -> Client:
        """A new one. Raises AssertionError if the server takes it not."""
        document = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
        answer = httpx.post(f"{url}/register", json=document | {"grant_types": _GRANT_TYPES} | metadata)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return cls(
            url, made["client_id"], redirect_uri, token_urlsafe(32), token_urlsafe(8), made.get("client_name", "")
        )

    def request(self, **changes: str | None) -> str:
        """The path of a valid authorization request, changed as written (None removes a parameter)."""
        challenge = urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "notes:read notes:write",
            "resource": f"{self.url}/api",
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        parameters |= changes
        return f"/authorize?{urlencode({name: value for name, value in parameters.items() if value is not None})}"

    def exchanged(self, answer: Mapping[str, str]) -> dict[str, Any]:
        """The tokens for what the browser brought."""
        assert answer["state"] == self.state
        assert answer["iss"] == self.url
        form = {"grant_type": "authorization_code", "client_id": self.client_id, "code": answer["code"]}
        form |= {"redirect_uri": self.redirect_uri, "code_verifier": self.verifier}
        tokens = httpx.post(f"{self.url}/token", data=form)
        assert tokens.status_code == 200, tokens.text
        document: dict[str, Any] = tokens.json()
        return document

    def call(self, tokens: Mapping[str, Any], method: str, path: str, **options: Any) -> httpx.Response:
        """A call of the API with an access token."""
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return httpx.request(method, f"{self.url}{path}", headers=headers, **options)


_GRANT_TYPES = ["authorization_code", "refresh_token"]
