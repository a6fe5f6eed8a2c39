"""Django by ASGI: `request.oauth` is who calls, `@require_scopes` what they need, and Django's own login may grant.

The same Django application serves the protected prefixes and everything else:
`OAuthProvider(api_handlers={"/api": application}, default_handler=application, …)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from starlette.requests import Request
from starlette.types import Message

from .. import AuthorizationError, AuthorizationRequest, InsufficientScope, OAuthHelpers, Principal
from .. import require_scopes as required_principal

__all__ = ["PrincipalMiddleware", "oauth_of", "parse_authorization_request", "require_scopes"]

View = Callable[..., Any]


class PrincipalMiddleware:
    """Sets `request.oauth`: the `Principal` of a protected call, None everywhere else; `request.user` stays Django's.

    What a view does not catch is answered: `grantwell.require_scopes` of a token with less by 403 and a challenge, an
    AuthorizationError by sending the browser to the client, if somebody has signed in or an operator made the client,
    and otherwise by a plain 400.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve a request: a response, or the awaitable of one."""
        user = getattr(request, "scope", {}).get("user")
        request.oauth = user if isinstance(user, Principal) else None
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to a refusal of Grantwell's; None for any other trouble."""
        if isinstance(error, InsufficientScope):
            return _refusal(error)
        if isinstance(error, AuthorizationError):
            return _sent_back(request, error)
        return None


def require_scopes(*scopes: str) -> Callable[[View], View]:
    """Demand an access token with all these scopes from whoever calls a view, sync or async; otherwise answer 403.

    The view is exempt from Django's CSRF check: a browser sends no access token by itself. Outside of the protected
    prefixes of a provider the view raises ImproperlyConfigured.
    """

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def answer(request: HttpRequest, *arguments: Any, **named: Any) -> Any:
                return _missing(scopes) or await view(request, *arguments, **named)

        else:

            @wraps(view)
            def answer(request: HttpRequest, *arguments: Any, **named: Any) -> Any:
                return _missing(scopes) or view(request, *arguments, **named)

        exempt: View = csrf_exempt(answer)
        return exempt

    return decorate


def oauth_of(request: HttpRequest) -> OAuthHelpers:
    """The provider's operations, for the views of sign-in and consent. Raises ImproperlyConfigured without a provider.

    They are coroutines: a sync view calls them by `asgiref.sync.async_to_sync`.
    """
    oauth = getattr(request, "scope", {}).get("state", {}).get("oauth")
    if not isinstance(oauth, OAuthHelpers):
        raise ImproperlyConfigured("This request did not come through an OAuthProvider: give it the ASGI application.")
    return oauth


async def parse_authorization_request(request: HttpRequest) -> AuthorizationRequest:
    """Validate the request that a client sent the user's browser with (OAuth 2.1 section 4.1.1).

    Raises AuthorizationError, which PrincipalMiddleware answers; an answer of yours looks at `redirect_to`, `trusted`.
    """
    oauth, body = oauth_of(request), request.body

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return await oauth.parse_authorization_request(Request(request.scope, receive))


def _missing(scopes: tuple[str, ...]) -> HttpResponse | None:
    try:
        required_principal(*scopes)
    except InsufficientScope as error:
        return _refusal(error)
    except LookupError:
        raise ImproperlyConfigured("A view with require_scopes lies below a protected prefix of a provider.") from None
    return None


def _sent_back(request: HttpRequest, error: AuthorizationError) -> HttpResponse:
    # Anybody may register a client; that must not make a link on this site that leads elsewhere (RFC 9700 4.11.2).
    signed_in = getattr(getattr(request, "user", None), "is_authenticated", False)
    if error.redirect_to is None or not (error.trusted or signed_in):
        return HttpResponse(error.description, status=error.status, content_type="text/plain; charset=utf-8")
    # Not Django's redirect, which quotes a Location anew: clients compare it byte by byte.
    return HttpResponse(status=303, headers={"Location": error.redirect_to})


def _refusal(error: InsufficientScope) -> HttpResponse:
    members = {"error": "insufficient_scope", "error_description": error.detail}
    return JsonResponse(members, status=error.status_code, headers=error.headers)
