"""From the URL that people give their client to the two documents that describe the servers (RFC 9728, RFC 8414)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..output import plain
from .findings import Report
from .wire import Answer, Unreachable, Wire

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "grantwell-doctor", "version": "1"},
    },
}
MCP_HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_PARAMETER = re.compile(r'(?<![a-z_])([a-z_]+)="((?:[^"\\]|\\.)*)"')
_ENDPOINTS = ("authorization_endpoint", "token_endpoint")

MOUNT_CURE = (
    "Route /.well-known/oauth-* of the origin to Grantwell: app.well_known where it is mounted below a path, a "
    "location of the proxy otherwise."
)
SCHEME_CURE = "The issuer in the configuration is the public https URL; it is never taken from the request."


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What discovery found: the resource's metadata and the authorization server's."""

    url: str
    challenge: dict[str, str]
    resource: dict[str, Any] = field(repr=False)
    server: dict[str, Any] = field(repr=False)

    @property
    def issuer(self) -> str:
        """The authorization server's identifier."""
        return str(self.server["issuer"])

    @property
    def scope(self) -> str:
        """What a client asks for: the challenge says, or else the resource's metadata."""
        supported = self.resource.get("scopes_supported")
        listed = supported if isinstance(supported, list) else []
        return self.challenge.get("scope") or " ".join(scope for scope in listed if isinstance(scope, str))

    def endpoint(self, name: str) -> str | None:
        """An endpoint of the authorization server, if it has it."""
        url = self.server.get(name)
        return url if isinstance(url, str) else None

    def supports(self, member: str, value: str) -> bool:
        """Whether a list of the authorization server's metadata has this value."""
        values = self.server.get(member)
        return isinstance(values, list) and value in values

    @property
    def takes_documents(self) -> bool:
        """Whether clients would use their metadata document: both members decide."""
        advertised = self.server.get("client_id_metadata_document_supported") is True
        return advertised and self.supports("token_endpoint_auth_methods_supported", "none")


async def discover(wire: Wire, url: str, report: Report) -> Servers | None:
    """Go the way of a client that knows nothing but a URL; None where it ends before the metadata."""
    with report.step("challenge"):
        challenge = await _challenge(wire, url, report)
    with report.step("resource metadata"):
        resource = await _resource_metadata(wire, url, challenge, report)
    if resource is None:
        return None
    with report.step("server metadata"):
        server = await _server_metadata(wire, str(resource["authorization_servers"][0]), report)
    return None if server is None else Servers(url=url, challenge=challenge, resource=resource, server=server)


def inserted(url: str, name: str) -> str:
    """Where a well-known document of a URL is: the name between the host and the path (RFC 8414 section 3.1)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


async def _challenge(wire: Wire, url: str, report: Report) -> dict[str, str]:
    """The parameters of the Bearer challenge; none where there is no usable one."""
    answer = await wire.ask("POST", url, headers=MCP_HEADERS, json=_INITIALIZE)
    if answer.is_redirect:
        report.fail(
            f"{plain(url)} answers {answer.status} and leads to {plain(answer.headers['location'])[:200]}.",
            "Clients do not follow it with a POST: give people that URL, without or with the slash as it is there.",
        )
        return {}
    if answer.status != 401:
        report.fail(f"Without a token {plain(url)} answers {answer.said}, not 401.", _not_401(answer.status))
        return {}
    header = answer.headers.get("www-authenticate", "")
    if not header.lower().startswith("bearer"):
        report.fail(
            "The 401 has no Bearer challenge in WWW-Authenticate.",
            "A proxy that answers itself, or drops the header, hides it: let Grantwell's answer through unchanged.",
        )
        return {}
    challenge = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _PARAMETER.findall(header)}
    metadata = challenge.get("resource_metadata")
    if metadata is None:
        report.warn(
            "The challenge names no resource_metadata (RFC 9728 section 5.1).",
            "Clients of 2025-06-18 and later begin there; Grantwell always sends it, so something else answered.",
        )
    else:
        report.check(
            _is_as_safe(metadata, url),
            f"401 with a challenge that leads to {plain(metadata)}.",
            f"The challenge leads to {plain(metadata)}, over plain http.",
            SCHEME_CURE,
        )
    if "error" in challenge:
        report.warn(
            f"The challenge to a request without a token has error={plain(challenge['error'])}.",
            "RFC 6750 section 3.1 wants none: some clients take it for a token that was refused.",
        )
    return challenge


def _not_401(status: int) -> str:
    if status < 300:
        return "It is not protected. Put the prefix into api_handlers, and let no other route of the proxy lead there."
    if status in (404, 405):
        return "Check the path: clients use the URL exactly as people give it."
    if status in (502, 503, 504):
        return "The proxy cannot reach the application: check its address, port and log."
    return (
        "Something before Grantwell answers (a firewall, a login of the proxy): let requests without a token through."
    )


async def _resource_metadata(wire: Wire, url: str, challenge: dict[str, str], report: Report) -> dict[str, Any] | None:
    usual = inserted(url, "oauth-protected-resource")
    named = challenge.get("resource_metadata", usual)
    document = await _document(wire, named, report, MOUNT_CURE)
    if document is None:
        return None
    if named != usual:
        answer = await wire.ask("GET", usual)
        if answer.document is None:
            report.warn(
                f"{plain(usual)} answers {answer.said}: clients that look there first find nothing.", MOUNT_CURE
            )
    identifier = document.get("resource")
    report.check(
        identifier == url,
        f"The resource is {plain(identifier)}.",
        f"The document says that the resource is {plain(identifier)}, not {plain(url)}.",
        "Clients compare the two and stop. Give people exactly the first, or set the issuer (and Resource.identifier) "
        "to the public URL; a slash at the end counts.",
    )
    servers = document.get("authorization_servers")
    if not isinstance(servers, list) or not servers or not isinstance(servers[0], str):
        report.fail("The document names no authorization server.", "authorization_servers needs the issuer's URL.")
        return None
    for server in servers:
        if not _is_as_safe(str(server), url):
            report.fail(f"The authorization server is {plain(server)}, over plain http.", SCHEME_CURE)
    return document


async def _server_metadata(wire: Wire, issuer: str, report: Report) -> dict[str, Any] | None:
    document = await _document(wire, inserted(issuer, "oauth-authorization-server"), report, MOUNT_CURE)
    if document is None:
        return None
    if not report.check(
        document.get("issuer") == issuer,
        f"The issuer is {plain(issuer)}.",
        f"The document says that the issuer is {plain(document.get('issuer'))}, not {plain(issuer)}.",
        "Both are the issuer of the configuration, byte by byte: one of the two answers came from another server, or "
        "a proxy rewrote it.",
    ):
        return None
    missing = [name for name in _ENDPOINTS if not isinstance(document.get(name), str)]
    if missing:
        report.fail(f"The document has no {' and no '.join(missing)}.", "No client can go on without.")
        return None
    for name, value in sorted(document.items()):
        if name.endswith("_endpoint") and isinstance(value, str) and not _is_as_safe(value, issuer):
            report.fail(f"{name} is {plain(value)}, over plain http.", SCHEME_CURE)
    return document


async def _document(wire: Wire, url: str, report: Report, cure: str) -> dict[str, Any] | None:
    try:
        answer = await wire.ask("GET", url, headers={"MCP-Protocol-Version": "2025-11-25"})
    except Unreachable as error:
        report.fail(str(error), error.cure)
        return None
    if not _is_document(answer):
        report.fail(f"{plain(url)} answers {answer.said}, and not a JSON document.", cure)
        return None
    report.ok(f"{plain(url)} is there.")
    return answer.document


def _is_document(answer: Answer) -> bool:
    return answer.status == 200 and answer.media_type == "application/json" and answer.document is not None


def _is_as_safe(url: str, than: str) -> bool:
    return urlsplit(url).scheme == "https" or urlsplit(than).scheme == "http"
