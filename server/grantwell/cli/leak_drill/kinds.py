"""The kinds of credential that a text is tried as: how it is presented, and which answers mean that it was accepted."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, quote_plus, urlencode

from .exchange import Answer, Request
from .server import Server, target_of

Verdict = Literal["accepted", "refused", "throttled", "unanswered"]
ClientsWanted = Literal["none", "public", "confidential", "any"]
Make = Callable[[str, str], Request]

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/json"}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NOTHING = "leak-drill"
# As long as a real one must be (RFC 7636 section 4.1).
_NO_VERIFIER = "A" * 43
# What a token endpoint can only say of a request whose client it has authenticated (RFC 6749 section 5.2).
_BEYOND_AUTHENTICATION = frozenset(
    {"invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client", "unsupported_grant_type"}
)
# What a registration endpoint can only say of metadata that it has looked at (RFC 7591 section 3.2.2).
_BEYOND_ADMISSION = frozenset({"invalid_client_metadata", "invalid_redirect_uri"})
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way of presenting a text. `form` is the kind of our tokens that belongs there.

    A forged token is presented only where its form belongs; with `form_only` nothing else is presented, either.
    """

    name: str
    form: str | None
    make: Make
    accepts: Callable[[Answer], bool]
    clients: ClientsWanted = "none"
    can_carry: Callable[[str], bool] = bool
    form_only: bool = False

    def verdict(self, answer: Answer) -> Verdict:
        """What an answer means."""
        if answer.status == 429:
            return "throttled"
        if answer.status >= 500:
            return "unanswered"
        return "accepted" if self.accepts(answer) else "refused"


def access_token(resource: str) -> Kind:
    """As a bearer token at a protected resource (RFC 6750). Everything but a challenge means that it got through."""
    target = target_of(resource)

    def make(text: str, _client: str) -> Request:
        return Request(method="GET", target=target, headers=_bearer(text), wants_body=False)

    return Kind(name="access token", form="access", make=make, accepts=_is_no_challenge, can_carry=_fits_a_header)


def refresh_token(server: Server) -> Kind:
    """As a refresh token, by the clients that need no secret for it (RFC 6749 section 6)."""
    return _grant(server, "refresh token", "refresh", {"grant_type": "refresh_token"}, parameter="refresh_token")


def authorization_code(server: Server, verifier: str | None = None) -> Kind:
    """As a code, by the clients that need no secret for it (RFC 6749 section 4.1.3).

    With a `verifier` that was found too, for texts in the form of a code alone.
    """
    fixed = {"grant_type": "authorization_code", "code_verifier": verifier or _NO_VERIFIER}
    return _grant(server, "authorization code", "code", fixed, parameter="code", form_only=verifier is not None)


def client_credentials(server: Server) -> list[Kind]:
    """As the proof of who a confidential client is, by each method (RFC 6749 section 2.3, RFC 7523 section 2.2)."""
    target = target_of(server.token_endpoint)
    request = {"grant_type": "authorization_code", "code": _NOTHING, "code_verifier": _NO_VERIFIER}

    def basic(text: str, client: str) -> Request:
        credentials = f"{quote_plus(client)}:{quote_plus(_raw(text))}".encode()
        headers = _FORM | {"Authorization": f"Basic {b64encode(credentials).decode()}"}
        return Request(method="POST", target=target, headers=headers, body=_form(request))

    def post(text: str, client: str) -> Request:
        form = request | {"client_id": client, "client_secret": text}
        return Request(method="POST", target=target, headers=_FORM, body=_form(form))

    def assertion(text: str, client: str) -> Request:
        form = request | {"client_id": client, "client_assertion_type": _ASSERTION_TYPE, "client_assertion": text}
        return Request(method="POST", target=target, headers=_FORM, body=_form(form))

    return [
        Kind(name=name, form=form, make=make, accepts=_is_authenticated, clients="confidential")
        for name, form, make in (
            ("client secret (Basic)", "client_secret", basic),
            ("client secret (form)", "client_secret", post),
            ("client assertion", None, assertion),
        )
    ]


def session_cookie(page: str, name: str, signed_out: Answer) -> Kind:
    """As the cookie of a browser session, on the page that shows `signed_out` to a browser without one."""
    target = target_of(page)

    def make(text: str, _client: str) -> Request:
        return Request(method="GET", target=target, headers={"Cookie": f"{name}={text}"})

    def accepts(answer: Answer) -> bool:
        return (answer.status, answer.body) != (signed_out.status, signed_out.body)

    return Kind(name="session cookie", form=None, make=make, accepts=accepts, can_carry=_fits_a_cookie)


def introspection_token(endpoint: str) -> Kind:
    """As the bearer token of somebody who may introspect (RFC 7662 section 2.1)."""
    target, body = target_of(endpoint), _form({"token": _NOTHING})

    def make(text: str, _client: str) -> Request:
        return Request(method="POST", target=target, headers=_FORM | _bearer(text), body=body)

    return Kind(name="introspection token", form=None, make=make, accepts=_is_success, can_carry=_fits_a_header)


def initial_access_token(endpoint: str) -> Kind:
    """As an initial access token (RFC 7591 section 3), with a registration that fails for another reason anyway."""
    target = target_of(endpoint)

    def make(text: str, _client: str) -> Request:
        return Request(method="POST", target=target, headers=_JSON | _bearer(text), body=b"{}")

    return Kind(
        name="initial access token",
        form="initial_access",
        make=make,
        accepts=_is_registering,
        can_carry=_fits_a_header,
    )


def registration_access_token(endpoint: str) -> Kind:
    """As a registration access token (RFC 7592 section 2.1), below the registration endpoint."""
    target = target_of(endpoint)

    def make(text: str, client: str) -> Request:
        return Request(method="GET", target=f"{target}/{quote(client, safe='')}", headers=_bearer(text))

    return Kind(
        name="registration access token",
        form="registration_access",
        make=make,
        accepts=_is_success,
        clients="any",
        can_carry=_fits_a_header,
    )


def client_alone(server: Server, client: str) -> Request:
    """A token request that only a public client can make; it has no token in it."""
    form = {"grant_type": "refresh_token", "refresh_token": _NOTHING, "client_id": client}
    return Request(method="POST", target=target_of(server.token_endpoint), headers=_FORM, body=_form(form))


def is_public(answer: Answer) -> bool:
    """Whether the answer to `client_alone` shows that the client is known and needs no secret."""
    return _is_success(answer) or _is_authenticated(answer)


def _grant(
    server: Server, name: str, form: str, fixed: Mapping[str, str], *, parameter: str, form_only: bool = False
) -> Kind:
    target = target_of(server.token_endpoint)

    def make(text: str, client: str) -> Request:
        body = _form({**fixed, "client_id": client, parameter: text})
        return Request(method="POST", target=target, headers=_FORM, body=body)

    return Kind(name=name, form=form, make=make, accepts=_is_success, clients="public", form_only=form_only)


def _is_success(answer: Answer) -> bool:
    return answer.is_success


def _is_no_challenge(answer: Answer) -> bool:
    challenged = answer.headers.get("www-authenticate", "").lower().startswith("bearer")
    return answer.status != 401 and not (answer.status == 400 and challenged)


def _is_authenticated(answer: Answer) -> bool:
    return answer.is_success or _error_of(answer) in _BEYOND_AUTHENTICATION


def _is_registering(answer: Answer) -> bool:
    return answer.is_success or _error_of(answer) in _BEYOND_ADMISSION


def _error_of(answer: Answer) -> str | None:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return None
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, str) else None


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _fits_a_cookie(text: str) -> bool:
    return bool(_COOKIE_VALUE.fullmatch(text))


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _raw(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _form(parameters: Mapping[str, str]) -> bytes:
    return urlencode({name: _raw(value) for name, value in parameters.items()}).encode()
