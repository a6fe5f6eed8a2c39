"""Enterprise-managed authorization: an identity assertion of a trusted issuer becomes an access token (ID-JAG).

Everything about the assertion is checked before it is used up, and it is used up together with the grant.
"""

from __future__ import annotations

from typing import Any

from .._protocol.assertions import IdJag, ParsedAssertion, RefusedAssertion, check_id_jag, parse_assertion
from .._protocol.forms import Parameters
from .._protocol.resources import parse_resource
from .._protocol.scopes import parse_scope
from ..config import JWT_BEARER, MAX_TTL
from ..crypto import BadSignature, claim_digest
from ..errors import OAuthError
from ..hooks import IdentityAssertion, MappedIdentity, TrustedIssuer
from ..records import Client
from ..store import MAX_GRANTS_OF_SHARED_CLIENT, Claim
from . import assertions, direct
from .asking import asked
from .clients import require_grant_type
from .context import Context, Sender
from .issuance import TokenAnswer, check_user_id, checked_metadata
from .narrowing import requested_resources, requested_scopes


async def issue(context: Context, client: Client, sender: Sender, form: Parameters, now: int) -> TokenAnswer:
    """An access token for the user that the assertion stands for. Raises OAuthError."""
    require_grant_type(client, JWT_BEARER)
    if client.is_public:
        raise OAuthError("unauthorized_client", reason="identity assertions are for clients that authenticate")
    text = form.one("assertion")
    if text is None:
        raise OAuthError("invalid_request", "The assertion parameter is missing.")
    trusted, granted = await _proven(context, client, text, sender, now)
    resources = _resources(context, granted, form)
    scopes = _scopes(context, client, resources, granted, form)
    identity = await _mapped(context, trusted, client, granted, scopes, resources)
    if identity.scopes is not None:
        scopes = tuple(scope for scope in scopes if scope in identity.scopes)
    now = context.now()
    try:
        return await direct.issue(
            context,
            client,
            user_id=identity.user_id,
            scopes=scopes,
            audience=resources,
            props=identity.props,
            metadata=checked_metadata({"identity_issuer": granted.issuer} | dict(identity.metadata)),
            ends_at=now + (identity.access_token_ttl or context.settings.access_token_ttl),
            now=now,
            claim=Claim(key=claim_digest("id-jag", granted.issuer, granted.jti), expires_at=granted.expires_at),
            keep_newest=MAX_GRANTS_OF_SHARED_CLIENT,
        )
    except ValueError as error:
        raise OAuthError("server_error", reason=f"map_claims returned an unusable value: {error}") from error


async def _proven(context: Context, client: Client, text: str, sender: Sender, now: int) -> tuple[TrustedIssuer, IdJag]:
    """The assertion, once its trusted issuer has been shown to have made it for this client and this server."""
    try:
        assertion = parse_assertion(text)
        trusted = _trusted_issuer(context, assertion)
        granted = check_id_jag(assertion, client_id=client.client_id, issuer=context.settings.issuer, now=now)
        await assertions.verify_by_url(context, assertion, trusted.jwks_uri, trusted.algorithms, sender, now)
    except (RefusedAssertion, BadSignature) as error:
        raise OAuthError("invalid_grant", reason=f"identity assertion: {error}") from error
    return trusted, granted


def _trusted_issuer(context: Context, assertion: ParsedAssertion) -> TrustedIssuer:
    for trusted in context.hooks.trusted_issuers:
        if trusted.issuer == assertion.issuer:
            return trusted
    raise OAuthError("invalid_grant", reason="the issuer of the identity assertion is not trusted")


def _resources(context: Context, granted: IdJag, form: Parameters) -> tuple[str, ...]:
    """What the assertion is for; the request may narrow it (RFC 8707), and says it where the assertion does not."""
    settings = context.settings
    requested = form.many("resource")
    if not granted.resource:
        return requested_resources(settings, requested)
    try:
        asserted = tuple(dict.fromkeys(parse_resource(resource, settings) for resource in granted.resource))
    except OAuthError as error:
        raise OAuthError("invalid_grant", reason="the identity assertion is for another resource") from error
    if not requested:
        return asserted
    narrowed = requested_resources(settings, requested)
    if not set(narrowed) <= set(asserted):
        raise OAuthError("invalid_target", "The resource is not among those of the assertion.")
    return narrowed


def _scopes(
    context: Context, client: Client, resources: tuple[str, ...], granted: IdJag, form: Parameters
) -> tuple[str, ...]:
    """What both the request and the assertion ask for, of what the resources have and the client may have."""
    settings = context.settings
    requested = requested_scopes(settings, client, resources, form.one("scope"))
    if granted.scopes is None:
        return requested
    if not parse_scope(form.one("scope")):
        known = " ".join(scope for scope in granted.scopes if scope in settings.scopes)
        return requested_scopes(settings, client, resources, known) if known else ()
    return tuple(scope for scope in requested if scope in granted.scopes)


async def _mapped(
    context: Context,
    trusted: TrustedIssuer,
    client: Client,
    granted: IdJag,
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
) -> MappedIdentity:
    event = IdentityAssertion(
        issuer=granted.issuer,
        subject=granted.subject,
        client_id=client.client_id,
        scopes=scopes,
        resources=resources,
        claims=dict(granted.claims),
    )
    identity: Any = await asked(context, "map_claims", trusted.map_claims, event)
    if identity is None:
        raise OAuthError("invalid_grant", reason="map_claims does not know the subject")
    try:
        return _checked(identity)
    except (ValueError, TypeError) as error:
        raise OAuthError("server_error", reason=f"map_claims returned an unusable value: {error}") from error


def _checked(identity: Any) -> MappedIdentity:
    if not isinstance(identity, MappedIdentity):
        raise TypeError(f"{type(identity).__name__} is not a MappedIdentity")
    check_user_id(identity.user_id)
    if identity.scopes is not None and not isinstance(identity.scopes, tuple | list):
        raise TypeError("scopes is not a list of strings")
    ttl = identity.access_token_ttl
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= MAX_TTL):
        raise ValueError("access_token_ttl is not a whole number of seconds")
    return identity
