"""The pages of the demonstration that need no sign-in: the playground, and where a browser comes back with a code."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

# The example of RFC 7636, appendix B. A real client makes a new verifier for each request.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

_A_CODE = re.compile(r"gwc_[A-Za-z0-9_-]{60,80}")
_MOST_CHARACTERS = 200

_HERE = Path(__file__).parent
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FILES = {path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix]) for path in (_HERE / "static").iterdir()}

# Scripts are files of this server that never make markup of text: the browser itself holds them to it.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def pages(issuer: str, *, has_mcp: bool) -> list[Route]:
    """The playground, the page of the redirect URI, and the files that they load."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("playground.html")
    parameters = {"response_type": "code", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    fixed = {
        "issuer": issuer,
        "has_mcp": has_mcp,
        "authorize": f"{issuer}/authorize?{urlencode(parameters)}",
        "verifier": VERIFIER,
    }

    def page(*, code: str = "", error: str = "") -> Response:
        return HTMLResponse(template.render(fixed, code=code, error=error), headers=_HEADERS)

    async def show_start(request: Request) -> Response:
        return page()

    async def show_callback(request: Request) -> Response:
        # The script sends a state and reads the answer itself; the link for curl has none.
        if "state" in request.query_params:
            return page()
        code = request.query_params.get("code", "")
        # Somebody will paste it into a shell.
        if _A_CODE.fullmatch(code):
            return page(code=code)
        return page(error=request.query_params.get("error", "nothing")[:_MOST_CHARACTERS])

    return [Route("/", show_start), Route("/callback", show_callback), Route("/playground/{name}", _show_file)]


async def not_found(request: Request, error: Exception) -> Response:
    """The answer at an address where nothing is."""
    return Response("There is nothing here. The playground is at /\n", 404, _HEADERS, "text/plain")


async def _show_file(request: Request) -> Response:
    content, media_type = _FILES.get(request.path_params["name"], (b"", ""))
    if not media_type:
        raise HTTPException(404)
    return Response(content, headers=_HEADERS | {"Content-Type": media_type, "Cache-Control": "no-cache"})
