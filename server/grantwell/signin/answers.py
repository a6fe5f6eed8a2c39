"""The answers of the pages: every one of them forbids frames, scripts, storing and sniffing."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

# form-action is left out on purpose: Chromium applies it to every redirect behind a form, the client's URI included.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_EVERYWHERE = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """A request that is answered with a page that says what is wrong, and changes nothing.

    `problem` names the texts `problem.….title`, `.happened` and `.next`; `values` are the placeholders of the second.
    `reason` is for the log, and need not be given where the problem says it all.
    """

    def __init__(
        self,
        status: int,
        problem: str,
        headers: Mapping[str, str] | None = None,
        *,
        reason: str = "",
        **values: object,
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = dict(headers or {})
        self.reason = reason or problem
        self.values = values


def page(
    document: str, *, status: int = 200, cookie: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A page."""
    return _answer(status, document.encode(), cookie, {"Content-Type": "text/html; charset=utf-8", **(headers or {})})


def redirect(location: str, *, cookie: str | None = None) -> Response:
    """303: the browser goes on with GET, to exactly this address (RFC 9700 section 4.12)."""
    return _answer(303, b"", cookie, {"Location": location})


def head() -> Response:
    """What HEAD is answered, for every page: the headers of one, and nothing happens."""
    return page("")


def asset(content: bytes, media_type: str) -> Response:
    """What a page loads, and is the same for everybody."""
    return _answer(200, content, None, {"Content-Type": media_type, "Cache-Control": "public, max-age=300"})


def _answer(status: int, body: bytes, cookie: str | None, headers: Mapping[str, str]) -> Response:
    cookies = {} if cookie is None else {"Set-Cookie": cookie}
    # Not Starlette's RedirectResponse, which quotes a Location anew: clients compare it byte by byte.
    return Response(body, status, {**_EVERYWHERE, **cookies, **headers})
