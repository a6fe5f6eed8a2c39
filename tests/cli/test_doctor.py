"""`grantwell doctor` against deployments that are right, and against such with one thing wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grantwell.cli.doctor.personas import PERSONAS
from tests.cli.faulty import Fault, Passing, deployment
from tests.cli.terminal import Terminal
from tests.interop.tls import make_certificates

pytestmark = pytest.mark.anyio

requirement = pytest.mark.requirement

EVERYBODY = {persona.name for persona in PERSONAS}
METADATA = "/.well-known/oauth-authorization-server"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource/api"


async def examined(terminal: Terminal, url: str, *words: str, code: int = 0, **environment: str) -> Any:
    """The report on a deployment, as JSON."""
    result = await asyncio.to_thread(terminal, "doctor", url, "--json", *words, code=code, stdin=None, **environment)
    return json.loads(result.stdout)


def failures(report: Any) -> list[dict[str, Any]]:
    return [finding for finding in report["findings"] if finding["outcome"] == "failed"]


def kept_out(report: Any) -> set[str]:
    return {name for name, outcome in report["clients"].items() if outcome == "failed"}


@requirement("G-660")
async def test_a_deployment_that_is_right_has_no_failure_and_keeps_no_client_out(terminal: Terminal) -> None:
    async with deployment() as url:
        report = await examined(terminal, url)

    assert failures(report) == []
    assert report["clients"] == dict.fromkeys(EVERYBODY, "ok")
    assert {finding["step"] for finding in report["findings"]} >= EVERYBODY | {"challenge", "scripts", "proxy"}


@requirement("G-660")
async def test_a_deployment_over_tls_is_right_too_and_the_end_of_its_certificate_is_told(
    terminal: Terminal, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)
    async with deployment(tls=certificates) as url:
        report = await examined(terminal, url, SSL_CERT_FILE=str(certificates.authority))

    assert failures(report) == []
    (warning,) = [f for f in report["findings"] if f["outcome"] == "warning" and f["step"] == "connection"]
    assert warning["text"].startswith("The certificate ends at ")


@requirement("G-661")
async def test_nothing_is_left_where_clients_may_delete_themselves(terminal: Terminal) -> None:
    async with deployment(allow_client_management=True) as url:
        report = await examined(terminal, url)

    assert (failures(report), report["registrations_left"]) == ([], 0)


@requirement("G-661")
async def test_registrations_that_stay_are_counted(terminal: Terminal) -> None:
    async with deployment() as url:
        report = await examined(terminal, url, "--as", "cursor", "--as", "VS Code")

    assert report["clients"] == {"Cursor": "ok", "VS Code": "ok"}
    assert report["registrations_left"] == 2


@requirement("G-661")
async def test_a_doctor_who_may_only_read_registers_nobody(terminal: Terminal) -> None:
    registered = []

    def watched(passing: Passing) -> None:
        if passing.path == "/register" and passing.method == "POST":
            registered.append(passing)

    async with deployment(watched) as url:
        report = await examined(terminal, url, "--read-only")

    assert registered == []
    assert report["registrations_left"] == 0
    assert {f["step"] for f in report["findings"] if f["outcome"] == "skipped"} == EVERYBODY


def on(path: str, change: Callable[[Passing], None], method: str | None = None) -> Fault:
    """A fault of one path, and perhaps one method."""

    def fault(passing: Passing) -> None:
        if passing.path == path and method in (None, passing.method):
            change(passing)

    return fault


def member(path: str, **members: Any) -> Fault:
    """A document with other members; None removes one."""

    def change(passing: Passing) -> None:
        document = json.loads(passing.body) | members
        passing.body = json.dumps({name: value for name, value in document.items() if value is not None}).encode()

    return on(path, change, "GET")


def to_plain_http(passing: Passing) -> None:
    passing.replace("https://", "http://")


def echoes_the_forwarded_host(passing: Passing) -> None:
    if (host := passing.asked.get("x-forwarded-host")) is not None:
        passing.replace(passing.asked["host"], host)


def without_cors(passing: Passing) -> None:
    for name in [name for name in passing.headers if name.startswith("access-control-")]:
        del passing.headers[name]


def refuses_schemes(passing: Passing) -> None:
    if b"cursor:" in passing.body:
        passing.say(400, b'{"error":"invalid_redirect_uri","error_description":"cursor: is not allowed."}')


def follows_any_redirect(passing: Passing) -> None:
    if "doctor.invalid" in passing.query:
        passing.say(302, location="https://doctor.invalid/callback?code=x")


def swallows_the_header(passing: Passing) -> None:
    if "authorization" in passing.asked:
        passing.without("www-authenticate")


def sends_back_at_once(passing: Passing) -> None:
    if "resource=" in passing.query and "doctor.invalid" not in passing.query:
        passing.say(302, location="https://elsewhere.test/login")


def allowed_in_frames(passing: Passing) -> None:
    passing.without("content-security-policy", "x-frame-options")


def with_form_action(passing: Passing) -> None:
    policy = passing.headers.get("content-security-policy")
    if policy is not None:
        passing.headers["content-security-policy"] = f"{policy}; form-action 'self'"


def open_to_scripts(passing: Passing) -> None:
    passing.headers["access-control-allow-origin"] = "*"


def wrong_client_is_a_bad_request(passing: Passing) -> None:
    if b"invalid_client" in passing.body:
        passing.status = 400


def eats_the_form(passing: Passing) -> None:
    if b"invalid_grant" in passing.body:
        passing.say(400, b'{"error":"invalid_request","error_description":"grant_type is missing."}')


def loses_a_redirect_uri(passing: Passing) -> None:
    document = json.loads(passing.body)
    document["redirect_uris"] = document["redirect_uris"][:1]
    passing.body = json.dumps(document).encode()


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong, the line that must name it, and whom it keeps out."""

    fault: Fault
    step: str
    line: str
    cure: str
    clients: frozenset[str] = frozenset(EVERYBODY)


INSPECTOR = frozenset({"MCP Inspector"})

WRONGS = {
    "an API without a guard": Wrong(
        on("/api", lambda p: p.say(200, b"{}")), "challenge", "answers 200, not 401", "It is not protected."
    ),
    "a redirect to the slash": Wrong(
        on("/api", lambda p: p.say(307, location="/api/")), "challenge", "answers 307 and leads to /api/", "POST"
    ),
    "a proxy that finds nobody": Wrong(
        on("/api", lambda p: p.say(502)), "challenge", "answers 502, not 401", "The proxy cannot reach"
    ),
    "a firewall": Wrong(on("/api", lambda p: p.say(403)), "challenge", "answers 403, not 401", "firewall"),
    "a path that is none": Wrong(on("/api", lambda p: p.say(404)), "challenge", "answers 404", "Check the path"),
    "a challenge that a proxy drops": Wrong(
        on("/api", lambda p: p.without("www-authenticate")), "challenge", "has no Bearer challenge", "unchanged"
    ),
    "a challenge dropped for wrong tokens": Wrong(
        on("/api", swallows_the_header), "refusals", "without invalid_token in WWW-Authenticate", "Authorization"
    ),
    "no resource metadata": Wrong(
        on(RESOURCE_METADATA, lambda p: p.say(404)), "resource metadata", "answers 404", "Route /.well-known/oauth-*"
    ),
    "the application's page for every path": Wrong(
        on(RESOURCE_METADATA, lambda p: p.say(200, b"<html>", "text/html")),
        "resource metadata",
        "and not a JSON document",
        "Route /.well-known/oauth-*",
    ),
    "another resource": Wrong(
        member(RESOURCE_METADATA, resource="https://api.internal/api"),
        "resource metadata",
        "the resource is https://api.internal/api, not ",
        "Clients compare the two and stop.",
    ),
    "no authorization server": Wrong(
        member(RESOURCE_METADATA, authorization_servers=[]), "resource metadata", "names no authorization server", "URL"
    ),
    "no server metadata": Wrong(
        on(METADATA, lambda p: p.say(404)), "server metadata", "answers 404", "Route /.well-known/oauth-*"
    ),
    "another issuer": Wrong(
        member(METADATA, issuer="https://api.internal"),
        "server metadata",
        "the issuer is https://api.internal, not ",
        "byte by byte",
    ),
    "no token endpoint": Wrong(
        member(METADATA, token_endpoint=None), "server metadata", "has no token_endpoint", "No client can go on"
    ),
    "no S256": Wrong(
        member(METADATA, code_challenge_methods_supported=["plain"]), "promises", "does not have S256", "Advertise it"
    ),
    "no public clients": Wrong(
        member(METADATA, token_endpoint_auth_methods_supported=["client_secret_basic"]),
        "promises",
        "does not have none",
        "Advertise none",
    ),
    "no iss": Wrong(
        member(METADATA, authorization_response_iss_parameter_supported=False),
        "promises",
        "authorization_response_iss_parameter_supported is not true",
        "Advertise and send iss",
        frozenset({"ChatGPT"}),
    ),
    "no way to become a client": Wrong(
        member(METADATA, registration_endpoint=None), "promises", "neither register", "client_registration_endpoint"
    ),
    "metadata closed to scripts": Wrong(
        on(METADATA, without_cors, "GET"), "scripts", "may not be read by scripts", "proxy", INSPECTOR
    ),
    "preflights closed to scripts": Wrong(
        on("/token", without_cors, "OPTIONS"), "scripts", "The preflight of POST", "proxy", INSPECTOR
    ),
    "preflights that need a token": Wrong(
        on("/api", lambda p: p.say(401), "OPTIONS"), "scripts", "is answered 401", "proxy", INSPECTOR
    ),
    "a challenge that scripts cannot see": Wrong(
        on("/api", lambda p: p.without("access-control-expose-headers")),
        "scripts",
        "Scripts cannot read WWW-Authenticate",
        "proxy",
        INSPECTOR,
    ),
    "an authorization endpoint open to scripts": Wrong(
        on("/authorize", open_to_scripts), "scripts", "open to scripts of other sites", "Remove the CORS headers"
    ),
    "an unknown client as a bad request": Wrong(
        on("/token", wrong_client_is_a_bad_request), "refusals", "not 401 invalid_client", "register anew"
    ),
    "answers that may be stored": Wrong(
        on("/token", lambda p: p.without("cache-control")), "refusals", "no Cache-Control: no-store", "CDN"
    ),
    "a server that believes every proxy header": Wrong(
        on(METADATA, echoes_the_forwarded_host), "proxy", "Forged X-Forwarded-* headers", "never from the request"
    ),
    "a scheme that is refused": Wrong(
        on("/register", refuses_schemes),
        "Cursor",
        "is not registered: 400",
        "private_use_schemes",
        frozenset({"Cursor"}),
    ),
    "registration with a token": Wrong(
        on("/register", lambda p: p.say(401), "POST"), "Claude", "is not registered: 401", "initial access token"
    ),
    "registration that is full": Wrong(
        on("/register", lambda p: p.say(429), "POST"), "Claude", "is not registered: 429", "max_unused_clients"
    ),
    "registration that forgets": Wrong(
        on("/register", loses_a_redirect_uri, "POST"),
        "VS Code",
        "The registration lacks https://vscode.dev/redirect",
        "keep all",
        frozenset({"Claude", "Cursor", "VS Code", "MCP Inspector"}),
    ),
    "a sign-in that is JSON": Wrong(
        on("/authorize", lambda p: p.say(401, b'{"detail":"Not authenticated"}')),
        "Claude",
        "The authorization endpoint answers 401 as application/json",
        "must be a page",
    ),
    "a sign-in that leads elsewhere": Wrong(
        on("/authorize", sends_back_at_once), "Claude", "sends the user to https://elsewhere.test", "below the issuer"
    ),
    "a redirect to whoever asks": Wrong(
        on("/authorize", follows_any_redirect), "Claude", "did not register", "byte by byte"
    ),
    "a page whose form goes nowhere": Wrong(with_form_action, "Claude", "has form-action", "Leave it out"),
    "a page in a frame": Wrong(allowed_in_frames, "Claude", "in a frame of another site", "frame-ancestors 'none'"),
    "a token endpoint that gets no form": Wrong(
        on("/token", eats_the_form), "Claude", "answers a wrong code of Claude", "changes the form"
    ),
}


@requirement("G-662")
@pytest.mark.parametrize("wrong", WRONGS.values(), ids=WRONGS)
async def test_what_is_wrong_is_named_with_its_cure_and_with_whom_it_keeps_out(
    terminal: Terminal, wrong: Wrong
) -> None:
    async with deployment(wrong.fault) as url:
        report = await examined(terminal, url, code=1)

    lines = [f for f in failures(report) if f["step"] == wrong.step]
    assert any(wrong.line in f["text"] and wrong.cure in f["cure"] for f in lines), failures(report)
    assert kept_out(report) == wrong.clients


@requirement("G-662")
async def test_an_issuer_that_is_plain_http_behind_tls_is_named(terminal: Terminal, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    async with deployment(to_plain_http, tls=certificates) as url:
        report = await examined(terminal, url, code=1, SSL_CERT_FILE=str(certificates.authority))

    lines = [finding["text"] for finding in failures(report)]
    assert any("over plain http" in line for line in lines), lines
    assert kept_out(report) == EVERYBODY


@requirement("G-662")
async def test_a_certificate_that_nobody_trusts_is_named(terminal: Terminal, tmp_path: Path) -> None:
    async with deployment(tls=make_certificates(tmp_path)) as url:
        report = await examined(terminal, url, code=1)

    (failure,) = failures(report)
    assert failure["text"].startswith(f"The certificate of {url} is not accepted: ")
    assert "fullchain.pem" in failure["cure"]


@requirement("G-662")
async def test_a_server_without_tls_where_tls_is_asked_is_named(terminal: Terminal) -> None:
    async with deployment() as url:
        report = await examined(terminal, url.replace("http://", "https://"), code=1)

    (failure,) = failures(report)
    assert "is https, but what answers there is not TLS" in failure["text"]


@requirement("G-662")
async def test_nobody_who_listens_is_named(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = await examined(terminal, f"http://127.0.0.1:{port}/api", code=1)

    (failure,) = failures(report)
    assert "takes no connection" in failure["text"]
    assert "listens on that address and port" in failure["cure"]


@requirement("G-662")
async def test_a_hostile_server_cannot_write_to_the_terminal(terminal: Terminal) -> None:
    hostile = "https://evil.test/\x1b]0;owned\x07‮"
    async with deployment(member(RESOURCE_METADATA, resource=hostile)) as url:
        result = await asyncio.to_thread(terminal, "doctor", url, code=1)

    assert "\x1b" not in result.output
    assert "‮" not in result.output
    assert "FAILED" in result.output


@requirement("G-662")
async def test_an_answer_without_end_is_given_up(terminal: Terminal) -> None:
    async with deployment(on(METADATA, lambda p: p.say(200, b" " * 2**21))) as url:
        report = await examined(terminal, url, code=1)

    assert any("more than a megabyte" in finding["text"] for finding in failures(report))


@requirement("G-663")
@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "http://api.example.com/mcp",
        "https://u:p@h/",
        "https://h/#f",
        "ftp://h/",
        "https://a b/",
        "http://[::1",
    ],
)
def test_a_url_that_no_client_takes_is_refused_with_the_reason(terminal: Terminal, url: str) -> None:
    result = terminal("doctor", url, code=2)

    assert "Invalid value for 'URL'" in result.output
