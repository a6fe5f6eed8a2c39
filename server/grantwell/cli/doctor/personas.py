"""The clients that the doctor plays: what each registers, sends and needs, as it was in autumn 2026."""

from __future__ import annotations

from dataclasses import dataclass

CODE_AND_REFRESH = ("authorization_code", "refresh_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A client as a server sees it.

    `document` is its client id where metadata documents are supported. `redirect_uris` are what it registers,
    `redirect_uri` what it sends: on loopback often with another port. `origin` is that of the pages whose scripts send
    its requests, None for a client that is no web page.
    """

    name: str
    client_name: str
    redirect_uris: tuple[str, ...]
    redirect_uri: str
    document: str | None = None
    grant_types: tuple[str, ...] = CODE_AND_REFRESH
    origin: str | None = None
    needs_issuer_parameter: bool = False


PERSONAS = (
    Persona(
        name="Claude",
        client_name="Claude",
        document="https://claude.ai/oauth/mcp-oauth-client-metadata",
        redirect_uris=("https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"),
        redirect_uri="https://claude.ai/api/mcp/auth_callback",
    ),
    Persona(
        name="Claude Code",
        client_name="Claude Code",
        document="https://claude.ai/oauth/claude-code-client-metadata",
        redirect_uris=("http://localhost:43117/callback",),
        redirect_uri="http://localhost:51873/callback",
    ),
    Persona(
        name="ChatGPT",
        client_name="ChatGPT",
        document="https://chatgpt.com/oauth/client.json",
        redirect_uris=("https://chatgpt.com/connector_platform_oauth_redirect",),
        redirect_uri="https://chatgpt.com/connector_platform_oauth_redirect",
        needs_issuer_parameter=True,
    ),
    Persona(
        name="Cursor",
        client_name="Cursor",
        redirect_uris=(
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "grokbot://mcp/oauth/callback",
            "http://localhost:8787/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
        ),
        redirect_uri="cursor://anysphere.cursor-mcp/oauth/callback",
    ),
    Persona(
        name="VS Code",
        client_name="Visual Studio Code",
        document="https://vscode.dev/oauth/client-metadata.json",
        redirect_uris=(
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://localhost/",
            "http://127.0.0.1:33418/",
            "http://localhost:33418/",
        ),
        redirect_uri="http://127.0.0.1:33418/",
        grant_types=(*CODE_AND_REFRESH, "urn:ietf:params:oauth:grant-type:device_code"),
    ),
    Persona(
        name="MCP Inspector",
        client_name="MCP Inspector",
        redirect_uris=("http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"),
        redirect_uri="http://localhost:6274/oauth/callback",
        origin="http://localhost:6274",
    ),
)

BROWSER_CLIENTS = tuple(persona.name for persona in PERSONAS if persona.origin is not None)
