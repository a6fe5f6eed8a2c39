"""The authorization endpoint: validate a request, then complete or deny it (OAuth 2.1 section 4.1, RFC 9207).

Until the client and its redirect URI are proven, an error is shown where the browser is; after that it may be sent to
the client, with `state` and `iss`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._protocol.forms import Parameters
from .._protocol.pkce import check_challenge
from .._protocol.redirects import answer_url, check_redirect_uri, is_loopback, matching_redirect_uri
from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from .._protocol.tokens import format_grant_id
from ..config import LOOPBACK_CODE_TTL, Settings
from ..crypto import encode_props
from ..errors import AuthorizationError, OAuthError
from ..records import Client, Grant
from ..store import InteractionKey, NewGrant
from . import clients
from .context import Context
from .issuance import DataKey, make_code, owner_of

MAX_STATE_LENGTH = 2048
GRANT_ID_BYTES = 12
_MAX_METADATA_BYTES = 16 * 1024
# Clients ask for it out of habit; whether a refresh token is issued is decided by their registered grant types.
_IGNORED_SCOPES = frozenset({"offline_access"})
_KEPT_MEMBERS = ("client_id", "redirect_uri", "scopes", "resources", "code_challenge", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request: what to show the user, and what to complete or deny.

    `scopes` and `resources` are what would be granted, defaults filled in. `redirect_uri` is proven to be the
    client's. `state` is None when none was sent.
    """

    client_id: str
    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    code_challenge: str
    state: str | None

    def encoded(self) -> str:
        """As JSON text, to be kept until the user has answered; `load_authorization_request` reads it."""
        members = {name: getattr(self, name) for name in _KEPT_MEMBERS}
        return json.dumps(members, sort_keys=True, separators=(",", ":"))


async def parse(context: Context, parameters: Parameters) -> AuthorizationRequest:
    """Validate an authorization request. Raises AuthorizationError, or StoreUnavailable."""
    client = await _proven_client(context, parameters)
    redirect_uri = _proven_redirect_uri(context.settings, client, parameters)
    state = None
    try:
        # From here on the browser may be sent to the client, with what is wrong.
        state = _checked_state(parameters.one("state"))
        if parameters.repeated(frozenset({"resource"})) is not None:
            raise OAuthError("invalid_request", "A parameter was sent more than once.")
        _check_response(client, parameters)
        challenge = check_challenge(parameters.one("code_challenge"), parameters.one("code_challenge_method"))
        resources = _resources(context.settings, parameters)
        scopes = _scopes(context.settings, client, resources, parameters)
    except OAuthError as error:
        if isinstance(error, AuthorizationError):
            raise
        raise _redirectable(context.settings, client, redirect_uri, state, error) from error
    return AuthorizationRequest(
        client_id=client.client_id,
        client=client,
        redirect_uri=redirect_uri,
        scopes=scopes,
        resources=resources,
        code_challenge=challenge,
        state=state,
    )


async def _proven_client(context: Context, parameters: Parameters) -> Client:
    client_id = _only(parameters, "client_id")
    if client_id is None:
        raise AuthorizationError("invalid_request", "The client_id parameter is missing.")
    client = await clients.find(context, client_id)
    if client is None:
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="unknown client")
    return client


def _proven_redirect_uri(settings: Settings, client: Client, parameters: Parameters) -> str:
    presented = _only(parameters, "redirect_uri")
    if presented is None:
        if len(client.redirect_uris) != 1:
            raise AuthorizationError("invalid_request", "The redirect_uri parameter is missing.")
        presented = client.redirect_uris[0]
    if not matching_redirect_uri(client.redirect_uris, presented) or not _is_safe(settings, presented):
        raise AuthorizationError(
            "invalid_request", "The redirect URI is not registered for this client.", reason="redirect_uri"
        )
    return presented


def _is_safe(settings: Settings, redirect_uri: str) -> bool:
    try:
        check_redirect_uri(redirect_uri, settings.private_use_schemes)
    except OAuthError:
        return False
    return True


def _only(parameters: Parameters, name: str) -> str | None:
    try:
        return parameters.one(name)
    except OAuthError as error:
        raise AuthorizationError(error.code, error.description) from error


def _checked_state(state: str | None) -> str | None:
    if state is not None and len(state) > MAX_STATE_LENGTH:
        raise OAuthError("invalid_request", "The state parameter is too long.")
    return state


def _check_response(client: Client, parameters: Parameters) -> None:
    response_type = parameters.one("response_type")
    if response_type is None:
        raise OAuthError("invalid_request", "The response_type parameter is missing.")
    if response_type != "code":
        raise OAuthError("unsupported_response_type")
    if parameters.one("response_mode") not in (None, "query"):
        raise OAuthError("invalid_request", "Only the response mode query is supported.")
    if parameters.one("request") is not None:
        raise OAuthError("request_not_supported")
    if parameters.one("request_uri") is not None:
        raise OAuthError("request_uri_not_supported")
    if "authorization_code" not in client.grant_types:
        raise OAuthError("unauthorized_client")


def _resources(settings: Settings, parameters: Parameters) -> tuple[str, ...]:
    requested = parse_resources(parameters.many("resource"), settings)
    if requested:
        return requested
    if settings.default_resources is not None:
        return settings.default_resources
    return tuple(dict.fromkeys(resource.identifier for resource in settings.resources))


def _scopes(settings: Settings, client: Client, resources: tuple[str, ...], parameters: Parameters) -> tuple[str, ...]:
    """The scopes asked for, or the default ones, that these resources declare and this client may have."""
    declared = settings.scopes_of(resources) - _IGNORED_SCOPES
    allowed = [s for s in settings.scopes if s in declared and (client.scopes is None or s in client.scopes)]
    requested = tuple(s for s in parse_scope(parameters.one("scope")) if s not in _IGNORED_SCOPES)
    if not requested:
        default = allowed if settings.default_scopes is None else settings.default_scopes
        return tuple(scope for scope in default if scope in allowed)
    if any(scope not in settings.scopes for scope in requested):
        raise OAuthError("invalid_scope")
    scopes = tuple(scope for scope in requested if scope in allowed)
    if not scopes:
        raise OAuthError("invalid_scope")
    return scopes


def _redirectable(
    settings: Settings, client: Client, redirect_uri: str, state: str | None, error: OAuthError
) -> AuthorizationError:
    return AuthorizationError(
        error.code,
        error.description,
        redirect_to=_error_url(settings, redirect_uri, error, state),
        trusted=client.origin == "operator",
        reason=error.reason,
    )


def _error_url(settings: Settings, redirect_uri: str, error: OAuthError, state: str | None) -> str:
    parameters = {"error": error.code, "error_description": error.description}
    return _redirect(settings, redirect_uri, parameters, state)


def _redirect(settings: Settings, redirect_uri: str, parameters: Mapping[str, str], state: str | None) -> str:
    answer = dict(parameters)
    if state is not None:
        answer["state"] = state
    answer["iss"] = settings.issuer
    return answer_url(redirect_uri, answer)


async def load(context: Context, encoded: str) -> AuthorizationRequest:
    """A request that was kept as JSON text. Raises AuthorizationError if its client is gone, or ValueError."""
    members = _kept_members(encoded)
    client = await clients.find(context, members["client_id"])
    if client is None:
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="client deleted")
    return AuthorizationRequest(client=client, **members)


def _kept_members(encoded: str) -> dict[str, Any]:
    try:
        members = json.loads(encoded)
    except RecursionError as error:
        raise ValueError("not an encoded authorization request") from error
    if not isinstance(members, dict) or sorted(members) != sorted(_KEPT_MEMBERS):
        raise ValueError("not an encoded authorization request")
    state = members["state"]
    lists = [members["scopes"], members["resources"], [] if state is None else [state]]
    texts = [members["client_id"], members["redirect_uri"], members["code_challenge"]]
    if not all(isinstance(items, list) for items in lists):
        raise ValueError("an encoded authorization request has lists of scopes and resources")
    if not all(isinstance(text, str) for items in (*lists, texts) for text in items):
        raise ValueError("an encoded authorization request has texts alone")
    return members | {"scopes": tuple(members["scopes"]), "resources": tuple(members["resources"])}


async def complete(
    context: Context,
    request: AuthorizationRequest,
    *,
    user_id: str,
    props: Any,
    scopes: Iterable[str] | None,
    metadata: Mapping[str, Any] | None,
    interaction: InteractionKey | None,
) -> str:
    """Grant a request: store the grant with its code, and return the URL to send the browser to.

    Raises AuthorizationError if the client or its redirect URI is gone, the interaction was answered before, or the
    scopes are not among those of the request; ValueError for a user id, props or metadata that cannot be stored.
    """
    now = context.now()
    granted = _granted_scopes(request, scopes)
    encoded = encode_props(props)
    grant = _pending_grant(context.settings, request, user_id, granted, _checked_metadata(metadata or {}), now)
    await _still_valid(context, request)
    data_key, sealed = context.keyring.seal_props(encoded, owner_of(grant), 0)
    text, code = make_code(
        context.keyring,
        grant,
        DataKey(data_key, sealed.version),
        code_challenge=request.code_challenge,
        now=now,
        expires_at=grant.expires_at or now,
    )
    location = _redirect(context.settings, request.redirect_uri, {"code": text}, request.state)
    outcome = await context.store.add_grant(
        NewGrant(grant=grant, code=code, props=sealed, interaction=interaction, now=now)
    )
    if outcome == "client_gone":
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="client deleted")
    if outcome == "interaction_closed":
        raise AuthorizationError("invalid_request", "This request was answered before, or has run out.")
    context.uses.note_client(context.store, request.client_id, request.client.last_used_at, now)
    await context.tell("grant_issued", now, client_id=request.client_id, user_id=user_id, grant_id=grant.grant_id)
    return location


def _pending_grant(
    settings: Settings,
    request: AuthorizationRequest,
    user_id: str,
    scopes: tuple[str, ...],
    metadata: dict[str, Any],
    now: int,
) -> Grant:
    _check_user_id(user_id)
    ttl = max(settings.code_ttl, LOOPBACK_CODE_TTL) if is_loopback(request.redirect_uri) else settings.code_ttl
    return Grant(
        grant_id=_new_grant_id(),
        user_id=user_id,
        client_id=request.client_id,
        scopes=scopes,
        resources=request.resources,
        redirect_uri=request.redirect_uri,
        metadata=metadata,
        created_at=now,
        exchanged_at=None,
        expires_at=now + ttl,
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
    )


async def deny(context: Context, request: AuthorizationRequest, *, user_id: str | None) -> str:
    """Refuse a request in the user's name; returns the URL that tells the client (`access_denied`)."""
    await _still_valid(context, request)
    await context.tell("grant_denied", context.now(), client_id=request.client_id, user_id=user_id)
    error = OAuthError("access_denied")
    return _error_url(context.settings, request.redirect_uri, error, request.state)


async def refuse(context: Context, request: AuthorizationRequest, error: OAuthError) -> AuthorizationError:
    """The error of a valid request, for its client. Raises AuthorizationError if it is not valid any more."""
    await _still_valid(context, request)
    return _redirectable(context.settings, request.client, request.redirect_uri, request.state, error)


async def _still_valid(context: Context, request: AuthorizationRequest) -> None:
    """The rules again, for a request that was kept meanwhile, or that an embedder put together."""
    settings = context.settings
    client = await clients.find(context, request.client_id)
    if client is None:
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="client deleted")
    if not matching_redirect_uri(client.redirect_uris, request.redirect_uri) or not _is_safe(
        settings, request.redirect_uri
    ):
        raise AuthorizationError(
            "invalid_request", "The redirect URI is not registered for this client.", reason="redirect_uri withdrawn"
        )
    if any(settings.resource(identifier) is None for identifier in request.resources):
        raise AuthorizationError("invalid_target")
    if not settings.scopes_of(request.resources).issuperset(request.scopes) or not (
        client.scopes is None or set(client.scopes).issuperset(request.scopes)
    ):
        raise AuthorizationError("invalid_scope")
    try:
        check_challenge(request.code_challenge, "S256")
        _checked_state(request.state)
    except OAuthError as error:
        raise AuthorizationError(error.code, error.description) from error


def _granted_scopes(request: AuthorizationRequest, scopes: Iterable[str] | None) -> tuple[str, ...]:
    if scopes is None:
        return request.scopes
    if isinstance(scopes, str):
        raise ValueError("scopes is a list of strings, not one string")
    chosen = frozenset(scopes)
    if not chosen <= frozenset(request.scopes):
        raise AuthorizationError("invalid_scope", "More was granted than was asked for.")
    return tuple(scope for scope in request.scopes if scope in chosen)


def _check_user_id(user_id: str) -> None:
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 255 or not user_id.isprintable():
        raise ValueError("a user id has 1 to 255 printable characters")


def _checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    encoded = encode_props(dict(metadata))
    if len(encoded) > _MAX_METADATA_BYTES:
        raise ValueError(f"grant metadata takes {len(encoded)} bytes as JSON; {_MAX_METADATA_BYTES} is the most")
    decoded: dict[str, Any] = json.loads(encoded)
    return decoded


def _new_grant_id() -> str:
    # One that begins with a letter or digit can be given to a command line as it is.
    while True:
        grant_id = format_grant_id(secrets.token_bytes(GRANT_ID_BYTES))
        if grant_id[0].isalnum():
            return grant_id
