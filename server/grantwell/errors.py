"""What can go wrong, in two texts: one sentence for the client, one reason for the log (RFC 6749 section 5.2).

GrantwellError
├── ConfigurationError      refused at start; names the field
├── SchemaError             the database has not the schema that this version needs
├── StoreUnavailable        the database did not answer in time; nothing is known to have changed
├── OAuthError              an error answer of the token, revocation or registration endpoint
│   ├── AuthorizationError  an error of the authorization endpoint; knows whether it may be redirected
│   └── ClientMetadataError client metadata that cannot be registered
└── ExternalTokenError      an error answer that `resolve_external_token` asks for
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Status and default sentence of each error code; the sentences keep to the characters of RFC 6749 section 5.2.
_CATALOGUE: Mapping[str, tuple[int, str]] = {
    "access_denied": (403, "The request was denied."),
    "insufficient_scope": (403, "The access token does not have the scope this operation needs."),
    "invalid_client": (401, "Client authentication failed."),
    "invalid_client_metadata": (400, "The client metadata is not acceptable."),
    "invalid_grant": (400, "The grant or token is not valid."),
    "invalid_redirect_uri": (400, "A redirect URI is not acceptable."),
    "invalid_request": (400, "The request is malformed."),
    "invalid_scope": (400, "The requested scope is not available."),
    "invalid_target": (400, "The requested resource is not available."),
    "invalid_software_statement": (400, "The software statement is not valid."),
    "invalid_token": (401, "The access token is not valid."),
    "request_not_supported": (400, "Request objects are not supported."),
    "request_uri_not_supported": (400, "Request URIs are not supported."),
    "server_error": (500, "The server could not complete the request."),
    "temporarily_unavailable": (503, "The server cannot answer right now; try again."),
    "unapproved_software_statement": (400, "The software statement is not approved here."),
    "unauthorized_client": (400, "The client may not use this grant type."),
    "unsupported_grant_type": (400, "The grant type is not supported."),
    "unsupported_response_type": (400, "The response type is not supported."),
}

_RETRY_AFTER_SECONDS = 2


def _printable(text: str) -> str:
    """Keep to the characters that RFC 6749 section 5.2 allows in an error member."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)


class GrantwellError(Exception):
    """The root of every exception this package raises on purpose."""


class ConfigurationError(GrantwellError, ValueError):
    """A setting that cannot work. `field` names it; the message is one sentence for the operator."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field


class SchemaError(GrantwellError):
    """The database has no schema, or another one than this version needs. The message names the command to run."""


class StoreUnavailable(GrantwellError):
    """The database did not answer in time or refused the write. The outcome may be unknown; a retry is safe."""


class OAuthError(GrantwellError):
    """An error answer as RFC 6749 section 5.2 has it.

    `code` and `description` go to the client; `reason` and `client_id` go only to the log and to `on_error`. `status`
    is the HTTP status and `headers` are sent with it; both have the usual values for the code when not given. `inputs`
    and `grant_id` are what of the request may be kept, `reference` is under what it was (`OAuthHelpers.note_refusal`).
    A `token_exchange_callback` raises it to answer the client: `invalid_grant` from there also revokes the grant.
    """

    def __init__(
        self,
        code: str,
        description: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        default_status, default_description = _CATALOGUE.get(code, (400, "The request was refused."))
        self.code = _printable(code)
        self.description = _printable(description or default_description)
        self.status = status or default_status
        self.headers = dict(headers or {})
        if self.status in (429, 503):
            self.headers.setdefault("Retry-After", str(_RETRY_AFTER_SECONDS))
        self.reason = reason
        self.client_id: str | None = None
        self.grant_id: str | None = None
        self.inputs: Mapping[str, str] = {}
        self.reference = ""
        super().__init__(f"{self.code}: {self.description}")


class AuthorizationError(OAuthError):
    """An error of the authorization endpoint (RFC 6749 section 4.1.2.1).

    `redirect_to` is the finished URL (with error, state, iss) once client and redirect URI were proven, and
    None before: then the error is shown locally and the browser goes nowhere. `trusted` tells whether an operator
    registered the client, so that the browser may go there before its user has signed in (RFC 9700 section 4.11.2).
    """

    def __init__(
        self,
        code: str,
        description: str | None = None,
        *,
        redirect_to: str | None = None,
        trusted: bool = False,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(code, description, status=status, headers=headers, reason=reason)
        self.redirect_to = redirect_to
        self.trusted = trusted


class ClientMetadataError(OAuthError):
    """Client metadata that cannot be registered (RFC 7591 section 3.2.2)."""

    def __init__(self, description: str, *, code: str = "invalid_client_metadata", reason: str = "") -> None:
        super().__init__(code, description, reason=reason)


class ExternalTokenError(GrantwellError):
    """Raised by `resolve_external_token` to answer a protected call with an error of its own.

    With `invalid_token` (401) and `insufficient_scope` (403) a challenge is added; `required_scopes` then name the
    scopes that would do. Other codes and statuses (429, 502 …) are passed on without one.
    """

    def __init__(
        self,
        code: str,
        description: str | None = None,
        *,
        status: int | None = None,
        required_scopes: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        default_status, default_description = _CATALOGUE.get(code, (400, "The token was refused."))
        self.code = _printable(code)
        self.description = _printable(description or default_description)
        self.status = status or default_status
        self.required_scopes = tuple(required_scopes)
        self.headers = dict(headers or {})
        super().__init__(f"{self.code}: {self.description}")
