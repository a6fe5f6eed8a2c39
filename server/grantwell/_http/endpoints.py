"""The endpoints that clients call: token, revocation, introspection, registration, and the metadata documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from .._flows import introspect, manage, register, revoke, token
from .._flows.context import Context, Sender
from .._flows.issuance import TokenAnswer
from .._flows.refusals import grant_named_in, harmless_inputs, harmless_metadata
from .._protocol.discovery import authorization_server_metadata, protected_resource_metadata
from .._protocol.forms import Parameters
from .._protocol.json_documents import is_json, parse_object
from ..config import Settings
from ..errors import ClientMetadataError, OAuthError, StoreUnavailable
from .answers import (
    Answer,
    empty_answer,
    error_answer,
    json_answer,
    metadata_answer,
    method_not_allowed,
    not_found,
    preflight_answer,
    send_answer,
)
from .requests import ClientDisconnected, client_address, header_text, header_values, read_body, read_form

Endpoint = Callable[[Scope, Receive], Awaitable[Answer]]
FormEndpoint = Callable[[Sender, Parameters], Awaitable[Answer]]

WELL_KNOWN = "/.well-known/"
_SERVER_METADATA = "/.well-known/oauth-authorization-server"
_OPENID_METADATA = "/.well-known/openid-configuration"
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"


class Endpoints:
    """The endpoints of one server, found by their exact path."""

    def __init__(self, context: Context) -> None:
        self._context = context
        settings = context.settings
        self._posts: dict[str, Endpoint] = {
            settings.token_endpoint: partial(self._with_form, self._token),
            settings.revocation_endpoint: partial(self._with_form, self._revoke),
        }
        if settings.introspection_endpoint is not None:
            self._posts[settings.introspection_endpoint] = partial(self._with_form, self._introspect)
        if settings.client_registration_endpoint is not None:
            self._posts[settings.client_registration_endpoint] = self._register
        self._managed = f"{settings.client_registration_endpoint}/" if settings.allow_client_management else None
        self._documents = _documents(settings)
        self._issuing: set[asyncio.Future[TokenAnswer]] = set()

    def serves(self, path: str) -> bool:
        """Whether a path (below the mount) is one of these endpoints."""
        return path in self._posts or self._managed_client(path) is not None

    def _managed_client(self, path: str) -> str | None:
        """The client whose configuration endpoint this is (RFC 7592 section 2), be there such a client or not."""
        if self._managed is None or not path.startswith(self._managed):
            return None
        client_id = path[len(self._managed) :]
        return client_id if client_id and "/" not in client_id else None

    async def __call__(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to an endpoint."""
        try:
            answer = await self._answer(path, scope, receive)
        except ClientDisconnected:
            return
        await send_answer(answer, scope, receive, send, cors=True)

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Answer:
        if scope["type"] != "http":
            return not_found()
        if scope["method"] == "OPTIONS":
            return preflight_answer()
        endpoint = self._posts.get(path)
        if endpoint is not None and scope["method"] != "POST":
            return method_not_allowed("POST, OPTIONS")
        try:
            if endpoint is not None:
                return await endpoint(scope, receive)
            return await self._manage(self._managed_client(path) or "", scope, receive)
        except OAuthError as error:
            return await self._error(error, path, scope)
        except StoreUnavailable as error:
            return await self._error(OAuthError("temporarily_unavailable", reason=str(error)), path, scope)

    async def _error(self, error: OAuthError, path: str, scope: Scope) -> Answer:
        return await error_answer(self._context, error, endpoint=path, address=self._address(scope))

    async def _with_form(self, endpoint: FormEndpoint, scope: Scope, receive: Receive) -> Answer:
        """Answer a request whose body is a form; an error of it knows what of the form may be kept."""
        form = await read_form(scope, receive)
        try:
            return await endpoint(self._sender(scope), form)
        except OAuthError as error:
            error.inputs = {**harmless_inputs(form), **error.inputs}
            error.grant_id = grant_named_in(form)
            raise

    async def _token(self, sender: Sender, form: Parameters) -> Answer:
        work = token.issue(self._for(sender), sender, form)
        if self._context.hooks.token_exchange is None:
            return json_answer((await work).members())
        # What the callback did upstream must reach the database, whether or not the client still waits for it.
        task = asyncio.ensure_future(work)
        self._issuing.add(task)
        task.add_done_callback(self._forget)
        return json_answer((await asyncio.shield(task)).members())

    async def drain(self) -> None:
        """Wait for the token requests whose callback is running: their clients may have left, their work must not."""
        if self._issuing:
            await asyncio.wait(self._issuing, timeout=self._context.settings.callback_timeout)

    def _forget(self, task: asyncio.Future[TokenAnswer]) -> None:
        self._issuing.discard(task)
        # Where the client has left, nobody else asks for the error, and asyncio would complain.
        if not task.cancelled():
            task.exception()

    async def _revoke(self, sender: Sender, form: Parameters) -> Answer:
        await revoke.revoke(self._for(sender), sender, form)
        return empty_answer(200)

    async def _introspect(self, sender: Sender, form: Parameters) -> Answer:
        return json_answer(await introspect.introspect(self._context, sender, form))

    async def _register(self, scope: Scope, receive: Receive) -> Answer:
        document = await self._client_metadata(scope, receive)
        sender = self._sender(scope)
        try:
            answer = await register.register(self._for(sender), document, _header_texts(scope), sender)
        except OAuthError as error:
            error.inputs = harmless_metadata(document)
            raise
        return json_answer(answer, status=201)

    async def _manage(self, client_id: str, scope: Scope, receive: Receive) -> Answer:
        sender = self._sender(scope)
        context = self._for(sender)
        match scope["method"]:
            case "GET":
                return json_answer(await manage.read(context, client_id, sender))
            case "PUT":
                document = await self._client_metadata(scope, receive)
                headers = _header_texts(scope)
                return json_answer(await manage.replace(context, client_id, document, headers, sender))
            case "DELETE":
                await manage.delete(context, client_id, sender)
                return empty_answer(204)
            case _:
                return method_not_allowed("GET, PUT, DELETE, OPTIONS")

    def _for(self, sender: Sender) -> Context:
        return self._context.acting_as("client", sender.address)

    def _sender(self, scope: Scope) -> Sender:
        return Sender(tuple(header_values(scope, b"authorization")), self._address(scope))

    def _address(self, scope: Scope) -> str | None:
        return client_address(scope, self._context.settings.trusted_proxies)

    async def _client_metadata(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        if not is_json(header_text(scope, b"content-type")):
            raise ClientMetadataError("The body must be application/json.")
        try:
            return parse_object(await read_body(scope, receive))
        except ValueError as error:
            raise ClientMetadataError(f"The body is not acceptable JSON: {error}") from error

    async def well_known(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below `/.well-known/oauth-*`; what is not there is a clean 404."""
        await send_answer(metadata_answer(self._documents.get(path), scope), scope, receive, send, cors=True)

    def serves_well_known(self, path: str) -> bool:
        """Whether a path belongs to the metadata of OAuth, be there a document or not."""
        return path in self._documents or path.startswith(("/.well-known/oauth-", _OPENID_METADATA))


def _header_texts(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _documents(settings: Settings) -> dict[str, Answer]:
    """The metadata documents by path: path-inserted (RFC 8414 section 3.1, RFC 9728 section 3.1) and at the root."""
    server = json_answer(authorization_server_metadata(settings), headers=())
    issuer_path = settings.issuer_url.path
    documents = {base + path: server for base in (_SERVER_METADATA, _OPENID_METADATA) for path in ("", issuer_path)}
    documents[issuer_path + _OPENID_METADATA] = server
    by_identifier = {resource.identifier: resource for resource in settings.resources if resource.prefix is not None}
    for resource in by_identifier.values():
        document = json_answer(protected_resource_metadata(settings.issuer, resource), headers=())
        documents[resource.metadata_path] = document
        if len(by_identifier) == 1 or resource.identifier == settings.issuer_url.origin:
            documents[_RESOURCE_METADATA] = document
    return documents
