"""The authorization endpoint: validate a request, then complete or deny it (OAuth 2.1 section 4.1, RFC 9207).

Until the client and its redirect URI are proven, an error is shown where the browser is; after that it may be sent to
the client, with `state` and `iss`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._protocol.client_id_urls import is_client_id_url
from .._protocol.forms import Parameters
from .._protocol.pkce import check_challenge
from .._protocol.redirects import answer_url, check_redirect_uri, is_loopback, matching_redirect_uri
from ..config import LOOPBACK_CODE_TTL, OFFLINE_ACCESS, Settings
from ..crypto import encode_props
from ..errors import AuthorizationError, OAuthError
from ..records import Client, Grant
from ..store import InteractionKey, NewGrant
from . import clients, documents
from .context import Context
from .issuance import DataKey, check_user_id, checked_metadata, make_code, new_grant_id, owner_of
from .narrowing import REFUSED_TO_STAY, asks_to_stay, may_refresh, requested_resources, requested_scopes

MAX_STATE_LENGTH = 2048
_KEPT_MEMBERS = ("client_id", "redirect_uri", "scopes", "resources", "code_challenge", "state", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request: what to show the user, and what to complete or deny.

    `scopes` and `resources` are what would be granted, defaults filled in; `offline_access` is among the scopes if
    the client asked to stay. `redirect_uri` is proven to be the client's. `state` is None when none was sent.
    `document` is the snapshot of the client's metadata document, sealed, for a client that is known by one: the
    decision is about what it said when the user was asked.
    """

    client_id: str
    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    code_challenge: str
    state: str | None
    document: str | None = None

    @property
    def may_refresh(self) -> bool:
        """Whether the client would get a refresh token, where the server issues any."""
        return may_refresh(self.client, self.scopes)

    def encoded(self) -> str:
        """As JSON text, to be kept until the user has answered; `load_authorization_request` reads it."""
        members = {name: getattr(self, name) for name in _KEPT_MEMBERS}
        return json.dumps(members, sort_keys=True, separators=(",", ":"))


async def parse(context: Context, parameters: Parameters, address: str | None) -> AuthorizationRequest:
    """Validate an authorization request that came from `address`. Raises AuthorizationError, or StoreUnavailable."""
    client = await _proven_client(context, parameters, address)
    redirect_uri = _proven_redirect_uri(context.settings, client, parameters)
    state = None
    try:
        # From here on the browser may be sent to the client, with what is wrong.
        state = _checked_state(parameters.one("state"))
        if parameters.repeated(frozenset({"resource"})) is not None:
            raise OAuthError("invalid_request", "A parameter was sent more than once.")
        _check_response(client, parameters)
        challenge = check_challenge(parameters.one("code_challenge"), parameters.one("code_challenge_method"))
        resources = requested_resources(context.settings, parameters.many("resource"))
        scope = parameters.one("scope")
        scopes = requested_scopes(context.settings, client, resources, scope)
        if asks_to_stay(context.settings, scope):
            scopes = (*scopes, OFFLINE_ACCESS)
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
        document=documents.sealed(context, client) if client.origin == "document" else None,
    )


async def _proven_client(context: Context, parameters: Parameters, address: str | None) -> Client:
    client_id = _only(parameters, "client_id")
    if client_id is None:
        raise AuthorizationError("invalid_request", "The client_id parameter is missing.")
    if context.settings.client_id_metadata_documents and is_client_id_url(client_id):
        return await documents.fetch(context, client_id, address)
    client = await clients.find(context, client_id)
    # Where documents are switched off by now, what one said once lets nobody begin anew.
    if client is None or client.origin == "document":
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
    return AuthorizationRequest(
        client=await _kept_client(context, members["client_id"], members["document"]), **members
    )


async def _kept_client(context: Context, client_id: str, document: str | None) -> Client:
    """The client of a request that was kept: as its snapshot says, or as it is registered now."""
    if document is not None:
        return documents.opened(context, client_id, document)
    client = await clients.find(context, client_id)
    if client is None:
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="client deleted")
    return client


def _kept_members(encoded: str) -> dict[str, Any]:
    try:
        members = json.loads(encoded)
    except RecursionError as error:
        raise ValueError("not an encoded authorization request") from error
    if not isinstance(members, dict) or sorted({"document": None} | members) != sorted(_KEPT_MEMBERS):
        raise ValueError("not an encoded authorization request")
    members.setdefault("document", None)
    optional = [[member] for member in (members["state"], members["document"]) if member is not None]
    lists = [members["scopes"], members["resources"], *optional]
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
    stored_metadata = checked_metadata(dict(metadata or {}) | _refusal_to_stay(request, granted))
    grant = _pending_grant(context.settings, request, user_id, granted, stored_metadata, now)
    client = await _still_valid(context, request)
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
    document = await documents.to_store(context, client) if client.origin == "document" else None
    outcome = await context.store.add_grant(
        NewGrant(grant=grant, code=code, props=sealed, interaction=interaction, now=now, document=document)
    )
    if outcome == "client_gone":
        raise AuthorizationError("invalid_request", "The client is not known here.", reason="client deleted")
    if outcome == "interaction_closed":
        raise AuthorizationError("invalid_request", "This request was answered before, or has run out.")
    context.uses.note_client(context.store, request.client_id, request.client.last_used_at, now)
    await context.tell(
        "grant_issued",
        now,
        client_id=request.client_id,
        user_id=user_id,
        grant_id=grant.grant_id,
        actor=f"user:{user_id}",
    )
    return location


def _refusal_to_stay(request: AuthorizationRequest, granted: tuple[str, ...]) -> dict[str, bool]:
    """What the metadata of a grant remembers of a user who took `offline_access` out of what was asked for."""
    is_refused = OFFLINE_ACCESS in request.scopes and OFFLINE_ACCESS not in granted
    return {REFUSED_TO_STAY: True} if is_refused else {}


def _pending_grant(
    settings: Settings,
    request: AuthorizationRequest,
    user_id: str,
    scopes: tuple[str, ...],
    metadata: dict[str, Any],
    now: int,
) -> Grant:
    check_user_id(user_id)
    ttl = max(settings.code_ttl, LOOPBACK_CODE_TTL) if is_loopback(request.redirect_uri) else settings.code_ttl
    return Grant(
        grant_id=new_grant_id(),
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
    actor = None if user_id is None else f"user:{user_id}"
    await context.tell("grant_denied", context.now(), client_id=request.client_id, user_id=user_id, actor=actor)
    error = OAuthError("access_denied")
    return _error_url(context.settings, request.redirect_uri, error, request.state)


async def refuse(context: Context, request: AuthorizationRequest, error: OAuthError) -> AuthorizationError:
    """The error of a valid request, for its client. Raises AuthorizationError if it is not valid any more."""
    await _still_valid(context, request)
    return _redirectable(context.settings, request.client, request.redirect_uri, request.state, error)


async def _still_valid(context: Context, request: AuthorizationRequest) -> Client:
    """The rules again, for a request that was kept meanwhile, or that an embedder put together; returns the client."""
    settings = context.settings
    client = await _kept_client(context, request.client_id, request.document)
    if not matching_redirect_uri(client.redirect_uris, request.redirect_uri) or not _is_safe(
        settings, request.redirect_uri
    ):
        raise AuthorizationError(
            "invalid_request", "The redirect URI is not registered for this client.", reason="redirect_uri withdrawn"
        )
    if any(settings.resource(identifier) is None for identifier in request.resources):
        raise AuthorizationError("invalid_target")
    scopes = frozenset(request.scopes) - {OFFLINE_ACCESS}
    if not settings.scopes_of(request.resources) >= scopes or not (
        client.scopes is None or scopes <= set(client.scopes)
    ):
        raise AuthorizationError("invalid_scope")
    try:
        check_challenge(request.code_challenge, "S256")
        _checked_state(request.state)
    except OAuthError as error:
        raise AuthorizationError(error.code, error.description) from error
    return client


def _granted_scopes(request: AuthorizationRequest, scopes: Iterable[str] | None) -> tuple[str, ...]:
    if scopes is None:
        return request.scopes
    if isinstance(scopes, str):
        raise ValueError("scopes is a list of strings, not one string")
    chosen = frozenset(scopes)
    if not chosen <= frozenset(request.scopes):
        raise AuthorizationError("invalid_scope", "More was granted than was asked for.")
    return tuple(scope for scope in request.scopes if scope in chosen)
