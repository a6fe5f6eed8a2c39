"""The answers of the pages: every one of them forbids frames, scripts, storing and sniffing."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from .markup import Html
from .stylesheet import STYLESHEET

# form-action is left out on purpose: Chromium applies it to every redirect behind a form, the client's URI included.
_CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_EVERYWHERE = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """A request that is answered with a page that says what is wrong, and changes nothing."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


def page(
    document: Html, *, status: int = 200, cookie: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A page."""
    return _answer(status, document.encode(), cookie, {"Content-Type": "text/html; charset=utf-8", **(headers or {})})


def redirect(location: str, *, cookie: str | None = None) -> Response:
    """303: the browser goes on with GET, to exactly this address (RFC 9700 section 4.12)."""
    return _answer(303, b"", cookie, {"Location": location})


def head() -> Response:
    """What HEAD is answered, for every page: the headers of one, and nothing happens."""
    return page(Html(""))


def stylesheet() -> Response:
    """The stylesheet, which is the same for everybody."""
    headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "public, max-age=300"}
    return _answer(200, STYLESHEET.encode(), None, headers)


def _answer(status: int, body: bytes, cookie: str | None, headers: Mapping[str, str]) -> Response:
    cookies = {} if cookie is None else {"Set-Cookie": cookie}
    # Not Starlette's RedirectResponse, which quotes a Location anew: clients compare it byte by byte.
    return Response(body, status, {**_EVERYWHERE, **cookies, **headers})
