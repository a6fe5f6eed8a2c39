"""Requests as a client sends them: no redirect is followed, no proxy is asked, no answer is read without end."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx

from ...errors import GrantwellError
from ..output import plain

TIMEOUT_SECONDS = 10.0
MOST_BODY_BYTES = 1024 * 1024


class Unreachable(GrantwellError):
    """No answer was had; the message says why in one sentence, `cure` what may help."""

    def __init__(self, text: str, cure: str) -> None:
        super().__init__(text)
        self.cure = cure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered; header names are in lower case, repeated ones joined by commas."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """The type of the body, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object in the body; None if it is none."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the browser elsewhere."""
        return self.status in (301, 302, 303, 307, 308) and "location" in self.headers

    @property
    def said(self) -> str:
        """The status, and the error that a JSON body names, for a report."""
        document = self.document or {}
        words = [document.get(name) for name in ("error", "error_description")]
        text = ": ".join(word for word in words if isinstance(word, str))
        return plain(f"{self.status} {text[:200]}".strip())


class Wire:
    """A client of HTTP/1.1. TLS is verified, with `$SSL_CERT_FILE` if set."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=TIMEOUT_SECONDS,
            headers={"User-Agent": "grantwell-doctor"},
        )

    async def __aenter__(self) -> Wire:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Send one request. Cookies are kept between requests, as a browser does. Raises Unreachable."""
        try:
            async with self._client.stream(method, url, headers=headers, data=form, json=json) as response:
                body = bytearray()
                # An event stream that opens without a token is told by its headers.
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MOST_BODY_BYTES:
                            raise Unreachable(
                                f"{plain(url)} answers with more than a megabyte.", "Look at what is served there."
                            )
                names = {name: ", ".join(response.headers.get_list(name)) for name in response.headers}
                return Answer(url=url, status=response.status_code, headers=names, body=bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
            raise _unreachable(url, error) from error

    def forget_cookies(self) -> None:
        """Go on as another browser."""
        self._client.cookies.clear()


def _unreachable(url: str, error: Exception) -> Unreachable:
    where = plain(url)
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.partition("CERTIFICATE_VERIFY_FAILED] ")[2].partition(" (_ssl")[0]
        return Unreachable(
            f"The certificate of {where} is not accepted: {plain(reason)}.",
            "Serve the whole chain (fullchain.pem, not cert.pem), for this name, and renew it before its end.",
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return Unreachable(
            f"{where} is https, but what answers there is not TLS.", "Check the port, and that TLS is on."
        )
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(
            f"{where} did not answer within {TIMEOUT_SECONDS:.0f} seconds.",
            "Check that the server runs, and that no firewall drops the connection.",
        )
    if "Name or service not known" in text or "nodename nor servname" in text or "No address" in text:
        return Unreachable(f"The name in {where} has no address.", "Check the spelling and the DNS record.")
    if isinstance(error, httpx.ConnectError | ConnectionError):
        return Unreachable(
            f"{where} takes no connection: {plain(text or 'refused')}.",
            "Check that the server runs and listens on that address and port.",
        )
    return Unreachable(f"{where} did not answer as HTTP: {plain(text)[:200]}.", "Look at the log of the proxy.")
