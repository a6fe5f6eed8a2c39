"""The demonstration: an API and an MCP server behind Grantwell, with the default sign-in, as one ASGI application."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp

from grantwell_storage import SQLStore

from ... import GrantwellError, OAuthProvider, Resource, SecretKey
from ...signin import Branding, SignIn
from ..readiness import STARTUP_FAILURE, Ready, announcing
from .api import api
from .notes import Notes
from .pages import not_found, pages

log = logging.getLogger("grantwell")

_READ_NOTES = {"notes:read": "Read your notes"}
_WRITE_NOTES = {"notes:write": "Write and delete your notes"}
_USE_TOOLS = {"mcp:use": "Use the tools"}

# The colour is that of the playground.
_BRANDING = Branding(name="Grantwell demonstration", accent="#0b6e63")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What each process needs to know; no secret is among it but what the database URL holds."""

    issuer: str
    database_url: str
    secret_key_file: str
    notes_file: str
    cimd_allowed_networks: tuple[str, ...] = ()


def has_mcp() -> bool:
    """Whether the MCP Python SDK, an extra of the package, is installed."""
    return importlib.util.find_spec("mcp") is not None


def create_app(settings: DemoSettings, ready: Ready) -> ASGIApp:
    """The demonstration as an ASGI application that sets `ready` once it serves; ends the process if it cannot."""
    try:
        provider = demo_provider(settings)
    except GrantwellError as error:
        log.error("%s", error)
        raise SystemExit(STARTUP_FAILURE) from None
    return announcing(provider, ready)


def demo_provider(settings: DemoSettings) -> OAuthProvider:
    """The provider of the demonstration, with a store of its own."""
    store = SQLStore(settings.database_url)
    secret_key = SecretKey.file(settings.secret_key_file)
    notes = Notes(settings.notes_file)
    handlers: dict[str, ASGIApp] = {"/api": api(notes)}
    resources = {"/api": Resource(name="Demo notes", scopes=_READ_NOTES | _WRITE_NOTES)}
    if has_mcp():
        from .tools import mcp_server

        handlers["/mcp"] = mcp_server(settings.issuer, notes)
        resources["/mcp"] = Resource(name="Demo tools", scopes=_USE_TOOLS | _WRITE_NOTES)
    site = Starlette(routes=pages(settings.issuer, has_mcp=has_mcp()), exception_handlers={404: not_found})
    return OAuthProvider(
        issuer=settings.issuer,
        store=store,
        secret_key=secret_key,
        api_handlers=handlers,
        resources=resources,
        # What a client gets that asks for nothing: this is for trying things out, and the consent page tells it.
        default_scopes=tuple(dict.fromkeys(scope for resource in resources.values() for scope in resource.scopes)),
        introspection_endpoint="/introspect",
        cimd_allowed_networks=settings.cimd_allowed_networks,
        default_handler=SignIn(store, secret_key, fallback=site, branding=_BRANDING),
    )
