"""Token introspection (RFC 7662): a resource server that lives elsewhere asks about a token it was sent."""

from __future__ import annotations

from typing import Any

from .._protocol.forms import Parameters
from .._protocol.scopes import format_scope
from .._protocol.tokens import parse_token
from ..crypto import digest_of
from ..errors import OAuthError
from ..records import Client
from .bearer import note_use, opened_principal
from .clients import authenticate
from .context import Context, Sender
from .token import refuse_repeated

INACTIVE: dict[str, Any] = {"active": False}


async def introspect(context: Context, sender: Sender, form: Parameters) -> dict[str, Any]:
    """What a live access token stands for, if it is for a resource of the caller or its own; INACTIVE for all else.

    A client learns no props of its own tokens: they are for the API alone. `token_type_hint` is not needed: a token
    says what it is. Raises OAuthError or StoreUnavailable.
    """
    now = context.now()
    refuse_repeated(form)
    client = await authenticate(context, sender, form, now)
    if client.is_public:
        raise OAuthError("unauthorized_client", "The client may not introspect tokens.", status=403)
    text = form.one("token")
    if text is None:
        raise OAuthError("invalid_request", "The token parameter is missing.")
    return await _described(context, client, text, now)


async def _described(context: Context, client: Client, text: str, now: int) -> dict[str, Any]:
    parsed = parse_token(text)
    if parsed is None or parsed.kind != "access":
        return INACTIVE
    live = await context.store.get_access_token(parsed.grant_id, digest_of("access", text), now)
    if live is None:
        return INACTIVE
    try:
        principal = opened_principal(context, live, text)
    except OAuthError:
        return INACTIVE
    audience = [r for r in context.settings.resources if r.identifier in principal.audience]
    own = [r for r in audience if r.identifier in client.introspects]
    if not own and live.grant.client_id != client.client_id:
        return INACTIVE
    note_use(context, live.grant, live.client_last_used_at, now)
    shown = own or audience
    scopes = dict.fromkeys(s for r in shown for s in r.with_implied(principal.scopes) if s in r.scopes)
    identifiers = list(dict.fromkeys(resource.identifier for resource in shown))
    members: dict[str, Any] = {
        "active": True,
        "scope": format_scope(scopes),
        "client_id": principal.client_id,
        "sub": principal.user_id or principal.client_id,
        "username": principal.user_id,
        "aud": identifiers[0] if len(identifiers) == 1 else identifiers,
        "iss": context.settings.issuer,
        "exp": live.token.expires_at,
        "iat": live.token.issued_at,
        "token_type": "Bearer",
        "grant_id": principal.grant_id,
        "props": principal.props if own else None,
    }
    return {name: value for name, value in members.items() if value is not None}
