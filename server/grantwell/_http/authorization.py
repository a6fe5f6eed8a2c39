"""What an application calls: authorization requests, clients, grants and tokens, as methods of one object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.types import Scope

from .._flows import admin, authorize, exchange, initial_access, refusals
from .._flows.authorize import AuthorizationRequest
from .._flows.bearer import opened_principal
from .._flows.clients import find, without_credentials
from .._protocol.forms import MAX_FIELDS, MAX_FIELDS_WITH_BOXES, Parameters, parse_parameters
from .._protocol.redirects import display_host, is_loopback
from ..config import DAY, Settings
from ..errors import AuthorizationError, OAuthError
from ..records import Client, Grant, Principal, RevocationReason
from ..store import ClientQuery, GrantQuery, InteractionKey, Page, PurgeResult
from .event_operations import EventOperations
from .requests import client_address, read_form, read_query, route_path


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What a live access token stands for. Instants are seconds since 1970 UTC."""

    principal: Principal
    grant: Grant
    issued_at: int
    expires_at: int


class OAuthHelpers(EventOperations):
    """The server's own operations, for the application around it; `request.state.oauth` in every wrapped application.

    All raise StoreUnavailable when the database does not answer.
    """

    @property
    def settings(self) -> Settings:
        """The settings of this server, completed and checked."""
        return self._context.settings

    def acting_as(self, actor: str, *, address: str | None = None) -> OAuthHelpers:
        """The same operations, of which the events say who did it ("user:alice", "operator"), and from where."""
        return OAuthHelpers(self._context.acting_as(actor, address))

    async def parse_authorization_request(self, request: Request) -> AuthorizationRequest:
        """Validate the request that a client sent the user's browser with (OAuth 2.1 section 4.1.1).

        Raises AuthorizationError: send the browser to its `redirect_to`, or show the error, with its `reference`,
        where that is None.
        """
        address = self.client_address(request)
        inputs: Mapping[str, str] = {}
        try:
            parameters = await _parameters(request)
            inputs = refusals.harmless_inputs(parameters)
            return _shown(await authorize.parse(self._context, parameters, address))
        except AuthorizationError as error:
            error.reference = self._noted(error, inputs, address)
            raise
        except OAuthError as error:
            refusal = AuthorizationError(error.code, error.description, reason=error.reason)
            refusal.reference = self._noted(refusal, inputs, address)
            raise refusal from error

    def _noted(self, error: AuthorizationError, inputs: Mapping[str, str], address: str | None) -> str:
        return self.note_refusal(
            endpoint=self.settings.authorize_endpoint,
            code=error.code,
            description=error.description,
            reason=error.reason,
            status=error.status,
            address=address,
            inputs=inputs,
        )

    async def load_authorization_request(self, encoded: str) -> AuthorizationRequest:
        """Read a request that was kept as `AuthorizationRequest.encoded()`.

        Raises AuthorizationError if its client is gone, ValueError if it is not such a text.
        """
        return _shown(await authorize.load(self._context, encoded))

    async def complete_authorization(
        self,
        request: AuthorizationRequest,
        *,
        user_id: str,
        props: Any = None,
        scopes: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        interaction: InteractionKey | None = None,
    ) -> str:
        """Grant what was asked for, or fewer `scopes`, and return the URL to send the browser to (303).

        `props` is what your API gets to know with each call: any JSON value, encrypted so that only a token holder can
        read it. `metadata` (a JSON object, stored in plain) is for listings. Without `offline_access` among the
        `scopes`, where it was asked for, no refresh token is issued. `interaction` is of `grantwell.signin`.
        Raises AuthorizationError, and ValueError for a value that cannot be stored; then nothing was granted.
        """
        return await authorize.complete(
            self._context,
            request,
            user_id=user_id,
            props=props,
            scopes=scopes,
            metadata=metadata,
            interaction=interaction,
        )

    async def deny_authorization(self, request: AuthorizationRequest, *, user_id: str | None = None) -> str:
        """Refuse what was asked for, and return the URL to send the browser to. Raises AuthorizationError."""
        return await authorize.deny(self._context, request, user_id=user_id)

    async def refuse_authorization(
        self, request: AuthorizationRequest, code: str, description: str | None = None
    ) -> AuthorizationError:
        """The error of a valid request that cannot be served as it asks: `login_required` for `prompt=none`.

        Send the browser to its `redirect_to` if it is `trusted` or somebody has signed in. Raises AuthorizationError.
        """
        return await authorize.refuse(self._context, request, OAuthError(code, description))

    async def read_form(self, request: Request, *, repeatable: Collection[str] = ()) -> ImmutableMultiDict[str, str]:
        """The fields of a form that was sent to a page, read strictly and within limits (64 KiB, ten seconds).

        No field is there twice but for those named `repeatable`; with such there may be 1,024 fields, else 32. Raises
        OAuthError for what is not plainly a form, and Starlette's ClientDisconnect.
        """
        most_fields = MAX_FIELDS_WITH_BOXES if repeatable else MAX_FIELDS
        fields = await read_form(request.scope, request.receive, most_fields=most_fields)
        if fields.repeated(frozenset(repeatable)) is not None:
            raise OAuthError("invalid_request", "A field was sent more than once.")
        return ImmutableMultiDict([(name, value) for name in fields.names() for value in fields.many(name) or ("",)])

    def client_address(self, request: Request) -> str | None:
        """The sender's IP address, behind the proxies that are trusted; None where the server does not tell."""
        return client_address(request.scope, self.settings.trusted_proxies)

    @staticmethod
    def route_path(scope: Scope) -> str:
        """The path of a request below the place that the server is mounted at."""
        return route_path(scope)

    @staticmethod
    def redirect_host(redirect_uri: str) -> str:
        """What a person is to be shown of a redirect URI: host and port, or the scheme of a private-use one."""
        return display_host(redirect_uri)

    @staticmethod
    def is_loopback(redirect_uri: str) -> bool:
        """Whether a redirect URI leads to a program on the user's own computer (RFC 8252 section 7.3)."""
        return is_loopback(redirect_uri)

    async def lookup_client(self, client_id: str) -> Client | None:
        """The client of this id, without its secrets."""
        client = await find(self._context, client_id)
        return None if client is None else without_credentials(client)

    async def create_client(
        self, metadata: Mapping[str, Any], *, client_id: str | None = None
    ) -> tuple[Client, str | None]:
        """Create a client from RFC 7591 metadata; returns it with its secret, which is shown this once.

        Without `client_id` the server makes one. Raises ClientMetadataError, for an id that is taken as well.
        """
        client, secret = await admin.create_client(self._context, metadata, client_id=client_id)
        return without_credentials(client), secret

    async def list_clients(self, *, limit: int = 100, cursor: str | None = None) -> Page[Client]:
        """A page of clients, newest first. Raises ValueError for a limit outside 1 to 1,000 or a foreign cursor."""
        page = await self._context.store.list_clients(ClientQuery(limit=limit, cursor=cursor))
        return Page(tuple(without_credentials(client) for client in page.items), page.cursor)

    async def update_client(self, client_id: str, changes: Mapping[str, Any]) -> Client | None:
        """Change RFC 7591 metadata of a client; None if there is none. Raises ClientMetadataError."""
        client = await admin.update_client(self._context, client_id, changes)
        return None if client is None else without_credentials(client)

    async def rotate_client_secret(self, client_id: str, *, overlap: int = DAY) -> tuple[Client, str] | None:
        """Give a client a new secret, shown this once; the one before stays valid for `overlap` seconds.

        None if there is no such client. Raises ClientMetadataError for a client without a secret, ValueError.
        """
        rotated = await admin.rotate_client_secret(self._context, client_id, overlap=overlap)
        return None if rotated is None else (without_credentials(rotated[0]), rotated[1])

    async def create_initial_access_token(self, *, ttl: int = DAY) -> str:
        """A token that lets one client register within `ttl` seconds, where registration is not open; shown this once.

        Raises ValueError.
        """
        return await initial_access.create(self._context, ttl)

    async def delete_client(self, client_id: str) -> bool:
        """Delete a client with its grants and tokens, at once; False if there is none."""
        return await admin.delete_client(self._context, client_id)

    async def list_user_grants(self, user_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Grant]:
        """A page of what a user has granted and not taken back, newest first."""
        return await self.list_grants(user_id=user_id, limit=limit, cursor=cursor)

    async def list_grants(
        self,
        *,
        user_id: str | None = None,
        client_id: str | None = None,
        state: Literal["active", "pending", "ended"] | None = None,
        created_before: int | None = None,
        unused_since: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """A page of grants, newest first; without `state` the active and the pending ones. Raises ValueError.

        `created_before` and `unused_since` (last use, or the consent if there was none, at or before) are instants.
        """
        return await self._context.store.list_grants(
            GrantQuery(
                now=self._context.now(),
                user_id=user_id,
                client_id=client_id,
                state=state,
                limit=limit,
                cursor=cursor,
                created_before=created_before,
                unused_since=unused_since,
            )
        )

    async def lookup_grant(self, grant_id: str) -> Grant | None:
        """The grant of this id, whatever became of it, for as long as it is kept."""
        return await self._context.store.get_grant(grant_id)

    async def revoke_grant(
        self, grant_id: str, user_id: str | None = None, *, reason: RevocationReason = "operator"
    ) -> bool:
        """End a grant and every token of it, at once; with `user_id` only if it is theirs. False if there was none."""
        return await admin.revoke_grant(self._context, grant_id, user_id=user_id, reason=reason)

    def revoke_grants(self, grant_ids: Iterable[str], *, reason: RevocationReason = "operator") -> AsyncIterator[int]:
        """End these grants, a slice of a hundred at a time; after each slice, how many of it had not ended.

        So what ends is what was listed before, and long work can tell how far it is.
        """
        return admin.revoke_grants(self._context, grant_ids, reason=reason)

    async def revoke_user_grants(
        self, user_id: str, *, client_id: str | None = None, reason: RevocationReason = "operator"
    ) -> int:
        """End all grants of a user, or those with one client, at once; returns how many there were."""
        return await admin.revoke_user_grants(self._context, user_id, client_id=client_id, reason=reason)

    async def unwrap_token(self, token: str) -> TokenInfo | None:
        """What a live access token stands for, whatever its audience; None for any other text."""
        live = await exchange.unwrap(self._context, token)
        if live is None:
            return None
        return TokenInfo(
            principal=opened_principal(self._context, live, token),
            grant=live.grant,
            issued_at=live.token.issued_at,
            expires_at=live.token.expires_at,
        )

    async def exchange_token(
        self,
        subject_token: str,
        *,
        scopes: Iterable[str] = (),
        resources: Iterable[str] = (),
        ttl: int | None = None,
    ) -> dict[str, Any]:
        """Issue a narrower access token for one that is live (RFC 8693), for `ttl` seconds; returns the answer.

        Raises OAuthError.
        """
        answer = await exchange.exchange(
            self._context, subject_token, scopes=tuple(scopes), resources=tuple(resources), ttl=ttl
        )
        return answer.members()

    async def purge_expired(self, *, limit: int = 200) -> PurgeResult:
        """One bounded step of housekeeping; call it again until the result is `done`."""
        return await admin.purge_expired(self._context, limit=limit)


async def _parameters(request: Request) -> Parameters:
    if request.method not in ("GET", "POST"):
        raise OAuthError("invalid_request", "An authorization request is a GET or a POST.")
    if request.method == "GET":
        return parse_parameters(read_query(request.scope))
    if request.scope["query_string"]:
        raise OAuthError("invalid_request", "A POST carries its parameters in the body alone.")
    return await read_form(request.scope, request.receive)


def _shown(request: AuthorizationRequest) -> AuthorizationRequest:
    return replace(request, client=without_credentials(request.client))
