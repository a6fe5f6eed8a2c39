"""What the authorization server's metadata must promise, and what every client meets at its endpoints."""

from __future__ import annotations

from ..output import plain
from .discovery import MCP_HEADERS, Servers, inserted
from .findings import Report
from .personas import BROWSER_CLIENTS, PERSONAS
from .wire import Wire

_ORIGIN = "http://localhost:6274"
_CORS_CURE = (
    "Grantwell answers with Access-Control-Allow-Origin: * itself. A proxy that answers OPTIONS, or removes or adds "
    "these headers, must not."
)
_NO_SUCH_TOKEN = "gwa_" + "A" * 65
_NO_SUCH_CODE = "gwc_" + "A" * 65


def check_promises(servers: Servers, report: Report) -> None:
    """The members that clients decide by."""
    report.check(
        servers.supports("code_challenge_methods_supported", "S256"),
        "PKCE with S256 is advertised.",
        "code_challenge_methods_supported does not have S256: MCP clients stop here.",
        "Advertise it (RFC 8414 section 2).",
    )
    report.check(
        servers.supports("token_endpoint_auth_methods_supported", "none"),
        "Public clients are advertised.",
        "token_endpoint_auth_methods_supported does not have none: Claude does not use its metadata document.",
        "Advertise none.",
    )
    if not servers.supports("grant_types_supported", "refresh_token"):
        report.warn(
            "No refresh_token among grant_types_supported.", "People sign in again with each access token's end."
        )
    if servers.endpoint("registration_endpoint") is None and not servers.takes_documents:
        report.fail(
            "Clients can neither register nor use a metadata document.",
            "Set client_registration_endpoint or client_id_metadata_documents, or give out client ids by hand.",
        )
    needing = tuple(persona.name for persona in PERSONAS if persona.needs_issuer_parameter)
    report.check(
        servers.server.get("authorization_response_iss_parameter_supported") is True,
        "iss in authorization responses is advertised (RFC 9207).",
        "authorization_response_iss_parameter_supported is not true.",
        "Advertise and send iss: a client that needs it keeps to other redirect URIs, or stops.",
        affects=needing,
    )


async def check_scripts(wire: Wire, servers: Servers, report: Report) -> None:
    """What a client that is a web page needs (the Fetch standard), and must not be given."""
    documents = (
        inserted(servers.url, "oauth-protected-resource"),
        inserted(servers.issuer, "oauth-authorization-server"),
    )
    for url in documents:
        answer = await wire.ask("GET", url, headers={"Origin": _ORIGIN})
        report.check(
            _allows(answer.headers),
            f"{plain(url)} may be read by scripts.",
            f"{plain(url)} may not be read by scripts: it has no Access-Control-Allow-Origin.",
            _CORS_CURE,
            affects=BROWSER_CLIENTS,
        )
    preflights = {
        servers.url: ("POST", "authorization,content-type,mcp-protocol-version"),
        servers.server["token_endpoint"]: ("POST", "content-type"),
        documents[1]: ("GET", "mcp-protocol-version"),
    }
    if (registration := servers.endpoint("registration_endpoint")) is not None:
        preflights[registration] = ("POST", "content-type")
    for url, (method, names) in preflights.items():
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": names}
        answer = await wire.ask("OPTIONS", url, headers={"Origin": _ORIGIN, **asked})
        allowed = answer.headers.get("access-control-allow-headers", "").lower()
        missing = [name for name in names.split(",") if name not in allowed and ("*" not in allowed or name[0] == "a")]
        report.check(
            answer.status < 300 and _allows(answer.headers) and not missing,
            f"Scripts may send {method} to {plain(url)}.",
            f"The preflight of {method} {plain(url)} is answered {answer.status}"
            + (
                f", without {', '.join(missing)} in Access-Control-Allow-Headers."
                if missing
                else " without allowing it."
            ),
            _CORS_CURE,
            affects=BROWSER_CLIENTS,
        )
    answer = await wire.ask("POST", servers.url, headers={"Origin": _ORIGIN, **MCP_HEADERS}, json={})
    exposed = answer.headers.get("access-control-expose-headers", "").lower()
    report.check(
        "www-authenticate" in exposed or exposed == "*",
        "Scripts can read the challenge.",
        "Scripts cannot read WWW-Authenticate: Access-Control-Expose-Headers does not name it.",
        _CORS_CURE,
        affects=BROWSER_CLIENTS,
    )
    answer = await wire.ask("GET", servers.server["authorization_endpoint"], headers={"Origin": _ORIGIN})
    if _allows(answer.headers):
        report.fail(
            "The authorization endpoint is open to scripts of other sites.",
            "Remove the CORS headers there: people, not scripts, go to it (RFC 9700 section 2.6).",
        )


async def check_refusals(wire: Wire, servers: Servers, report: Report) -> None:
    """Wrong credentials, and the errors by which clients heal themselves."""
    answer = await wire.ask(
        "POST", servers.url, headers={**MCP_HEADERS, "Authorization": f"Bearer {_NO_SUCH_TOKEN}"}, json={}
    )
    report.check(
        answer.status == 401 and 'error="invalid_token"' in answer.headers.get("www-authenticate", ""),
        "A token that is none is answered with invalid_token.",
        f"A token that is none is answered {answer.said}, without invalid_token in WWW-Authenticate.",
        "Clients refresh or sign in again on 401 invalid_token alone; the proxy must pass Authorization on and the "
        "answer back.",
    )
    form = {"grant_type": "authorization_code", "client_id": "no-such-client", "code": _NO_SUCH_CODE}
    answer = await wire.ask("POST", servers.server["token_endpoint"], form={**form, "code_verifier": "v" * 43})
    report.check(
        answer.status == 401 and (answer.document or {}).get("error") == "invalid_client",
        "An unknown client is answered with invalid_client.",
        f"The token endpoint answers an unknown client {answer.said}, not 401 invalid_client.",
        "Clients register anew on exactly that answer, once theirs was deleted.",
    )
    report.check(
        "no-store" in answer.headers.get("cache-control", ""),
        "Answers of the token endpoint are not stored.",
        "The token endpoint's answers have no Cache-Control: no-store.",
        "A proxy or CDN that caches them must not (RFC 6749 section 5.1).",
    )


async def check_proxy(wire: Wire, servers: Servers, report: Report) -> None:
    """Whether somebody who sends headers of a proxy can change what the server says of itself."""
    url = inserted(servers.issuer, "oauth-authorization-server")
    forged = {
        "X-Forwarded-Host": "doctor.invalid",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/doctor",
        "Forwarded": "host=doctor.invalid;proto=http",
    }
    answer = await wire.ask("GET", url, headers=forged)
    report.check(
        answer.document == servers.server,
        "Forged proxy headers change nothing.",
        "Forged X-Forwarded-* headers change the metadata: anybody can point clients elsewhere.",
        "Take the public URL from the configuration, never from the request, and let no cache key miss them.",
    )


def _allows(headers: object) -> bool:
    return isinstance(headers, dict) and headers.get("access-control-allow-origin") in ("*", _ORIGIN)
