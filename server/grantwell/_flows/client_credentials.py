"""The client-credentials grant: a client that acts for itself (OAuth 2.1 section 4.2, MCP client credentials)."""

from __future__ import annotations

from .._protocol.forms import Parameters
from ..config import CLIENT_CREDENTIALS
from ..errors import OAuthError
from ..records import Client
from . import direct
from .clients import require_grant_type
from .context import Context
from .issuance import TokenAnswer
from .narrowing import requested_resources, requested_scopes


async def issue(context: Context, client: Client, form: Parameters, now: int) -> TokenAnswer:
    """An access token without a user, for an operator's client that has authenticated. Raises OAuthError."""
    require_grant_type(client, CLIENT_CREDENTIALS)
    if client.is_public:
        raise OAuthError("unauthorized_client", reason="a public client cannot act for itself")
    resources = requested_resources(context.settings, form.many("resource"))
    return await direct.issue(
        context,
        client,
        user_id=None,
        scopes=requested_scopes(context.settings, client, resources, form.one("scope")),
        audience=resources,
        props=None,
        metadata={},
        ends_at=now + context.settings.access_token_ttl,
        now=now,
    )
