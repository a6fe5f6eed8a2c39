"""Requests to the server, over a connection that is kept: no redirect is followed, no answer is waited for long."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ...errors import GrantwellError

TIMEOUT_SECONDS = 10.0

WORKERS = 16
"""How many connections there are at once."""

_MOST_BODY_BYTES = 256 * 1024
_BUSY_TRIES = 3
_BUSY_SECONDS = 0.5


class Unanswered(GrantwellError):
    """The server did not answer a request; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to the server's origin. `wants_body` is false where the status of the answer tells everything."""

    method: str
    target: str = field(repr=False)
    headers: Mapping[str, bytes | str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    wants_body: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Exchange:
    """A connection to the origin of a URL, opened when it is needed. TLS is verified, with `$SSL_CERT_FILE` if set.

    Not to be shared between threads.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._connection = _connection(self._url)

    def close(self) -> None:
        """Close the connection; a further request opens another."""
        self._connection.close()

    def send(self, request: Request) -> Answer:
        """Send a request, again after a moment if the server is busy (503). Raises Unanswered."""
        answer = self._send(request)
        for _ in range(_BUSY_TRIES - 1):
            if answer.status != 503:
                break
            time.sleep(_BUSY_SECONDS)
            answer = self._send(request)
        return answer

    def _send(self, request: Request) -> Answer:
        # A server may close an idle connection at any moment, so a request may need a second one.
        was_kept = self._connection.sock is not None
        try:
            return self._once(request)
        except (HTTPException, OSError) as error:
            self.close()
            if not was_kept or isinstance(error, TimeoutError):
                raise self._unanswered(error) from None
        return self._send(request)

    def _once(self, request: Request) -> Answer:
        self._connection.request(request.method, request.target, request.body, dict(request.headers))
        with self._connection.getresponse() as response:
            body = self._body_of(response, wanted=request.wants_body)
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=headers, body=body)

    def _body_of(self, response: HTTPResponse, *, wanted: bool) -> bytes:
        if not wanted and (response.length is None or response.length > _MOST_BODY_BYTES):
            # It may be a stream without an end.
            self.close()
            return b""
        length = response.length
        body = response.read(_MOST_BODY_BYTES)
        if length is not None and len(body) < min(length, _MOST_BODY_BYTES):
            raise IncompleteRead(body)
        if not response.isclosed():
            self.close()
        return body

    def _unanswered(self, error: Exception) -> Unanswered:
        origin = f"{self._url.scheme}://{self._url.netloc}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unanswered(f"The certificate of {origin} cannot be verified: {error.verify_message}.")
        if isinstance(error, ssl.SSLError):
            return Unanswered(f"{origin} does not speak TLS: {error.reason}.")
        if isinstance(error, TimeoutError):
            return Unanswered(f"{origin} did not answer in {TIMEOUT_SECONDS:.0f} seconds.")
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return Unanswered(f"{origin} cannot be reached: {cause}.")


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine, by its name or address alone."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _connection(url: SplitResult) -> HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        return HTTPSConnection(host, url.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
    return HTTPConnection(host, url.port, timeout=TIMEOUT_SECONDS)
