"""The pages of the demonstration that need no sign-in: where to begin, and where a browser comes back with a code."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

# The example of RFC 7636, appendix B. A real client makes a new verifier for each request.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

_A_CODE = re.compile(r"gwc_[A-Za-z0-9_-]{60,80}")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Grantwell demonstration</title>
<link rel="stylesheet" href="/signin.css">
<main>{body}</main>
</html>
"""

_START = """
<h1>Grantwell demonstration</h1>
<p>This is an API, an <abbr title="Model Context Protocol">MCP</abbr> server and the OAuth 2.1 server that protects
both, in one process. Nothing is reached without an access token, and a token is had by a client that a person has
allowed something.</p>
<ul>
<li><a href="/api">/api</a> tells who is calling; without a token it is a 401 that tells clients where to begin.</li>
<li>/api/notes keeps notes: GET needs the scope <code>notes:read</code>, POST and DELETE <code>notes:write</code>.</li>
{mcp}
<li><a href="/.well-known/oauth-authorization-server">/.well-known/oauth-authorization-server</a> is what clients
read first.</li>
</ul>
<h2>With curl</h2>
<p>1. Register a client:</p>
<pre>curl {issuer}/register -H 'Content-Type: application/json' -d '{{
  "client_name": "curl", "redirect_uris": ["{issuer}/callback"], "token_endpoint_auth_method": "none",
  "grant_types": ["authorization_code", "refresh_token"]}}'</pre>
<p>2. Open this in a browser, with the <code>client_id</code> that you got, sign in as <code>demo</code>, and allow:</p>
<pre>{authorize}&amp;client_id=CLIENT_ID</pre>
<p>3. The page where you arrive shows the command that gets the tokens, and the one that uses them.</p>
"""

_MCP = """<li>/mcp is an MCP server with the tools <code>whoami</code> and <code>add_note</code>; its clients want
{issuer}/mcp.</li>"""

_CODE = """
<h1>You are back from signing in</h1>
<p>The code works once, for some minutes, together with the verifier whose hash was in the link. Get the tokens:</p>
<pre>curl {issuer}/token -d grant_type=authorization_code -d client_id=CLIENT_ID \\
  -d code={code} \\
  -d code_verifier={verifier}</pre>
<p>And call the API with the access token:</p>
<pre>curl {issuer}/api/me -H 'Authorization: Bearer ACCESS_TOKEN'
curl {issuer}/api/notes -H 'Authorization: Bearer ACCESS_TOKEN' -H 'Content-Type: application/json' \\
  -d '{{"text": "Hello"}}'</pre>
"""

_REFUSED = """
<h1>You are back, without a code</h1>
<p>The server says: <code>{error}</code></p>
<p><a href="/">Begin again</a></p>
"""


def pages(issuer: str, *, has_mcp: bool) -> list[Route]:
    """The start page and the page of the redirect URI."""
    parameters = {"response_type": "code", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    start = _START.format(
        issuer=issuer,
        authorize=escape(f"{issuer}/authorize?{urlencode(parameters)}"),
        mcp=_MCP.format(issuer=issuer) if has_mcp else "",
    )

    async def show_start(request: Request) -> Response:
        return _page(start)

    async def show_code(request: Request) -> Response:
        code = request.query_params.get("code", "")
        # Somebody will paste it into a shell.
        if _A_CODE.fullmatch(code):
            return _page(_CODE.format(issuer=issuer, code=code, verifier=VERIFIER))
        return _page(_REFUSED.format(error=escape(request.query_params.get("error", "nothing"))))

    return [Route("/", show_start), Route("/callback", show_code)]


def _page(body: str) -> Response:
    return HTMLResponse(_PAGE.format(body=body), headers=_HEADERS)
