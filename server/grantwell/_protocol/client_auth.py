"""Which client says it is calling, and by which method (RFC 6749 section 2.3): read here, proven by the caller."""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import OAuthError
from ..records import AuthMethod
from .assertions import MalformedAssertion, ParsedAssertion, parse_assertion
from .forms import Parameters, decode_component

MAX_CREDENTIAL_BYTES = 512
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Each half may be percent-encoded (three for one), and base64 makes four of three.
_MAX_HEADER_LENGTH = 4 * (2 * 3 * MAX_CREDENTIAL_BYTES + 3) // 3 + 32
_BASIC_SCHEME = re.compile(rb"[Bb][Aa][Ss][Ii][Cc](?:[^!#$%&'*+\-.^_`|~0-9A-Za-z].*)?", re.DOTALL)
_BASIC = re.compile(rb"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class PresentedClient:
    """What the request claims, and the proof it offers: a secret, an assertion, or with the method `none` neither."""

    client_id: str
    method: AuthMethod
    secret: str | None = field(repr=False)
    assertion: ParsedAssertion | None = None


def basic_challenge() -> dict[str, str]:
    """The header of a 401 answer to a request that tried Basic (RFC 6749 section 5.2, RFC 7617 section 2.1)."""
    return {"WWW-Authenticate": 'Basic realm="OAuth", charset="UTF-8"'}


def presented_client(authorization: Sequence[bytes], form: Parameters) -> PresentedClient:
    """The client that the `Authorization` headers and the form present; headers of other schemes are ignored.

    Raises OAuthError: `invalid_request` for two headers, two methods or two different clients; `invalid_client` for
    credentials that cannot be read, or no client. An assertion that cannot be read is no reason to fall back to `none`.
    """
    if len(authorization) > 1:
        raise OAuthError("invalid_request", "The request has more than one Authorization header.")
    client_id, secret = form.one("client_id"), form.one("client_secret")
    asserts = any(form.one(name) is not None for name in ("client_assertion", "client_assertion_type"))
    if authorization and _BASIC_SCHEME.fullmatch(authorization[0]):
        if secret is not None or asserts:
            raise OAuthError("invalid_request", "The request has more than one way of client authentication.")
        presented = _from_basic(authorization[0])
        if client_id not in (None, presented.client_id):
            raise OAuthError("invalid_request", "The request names two different clients.")
        return presented
    if asserts:
        return _from_assertion(client_id, secret, form)
    if client_id is None:
        raise _refused("no client_id")
    if _is_too_long(client_id) or (secret is not None and _is_too_long(secret)):
        raise _refused("client_id or client_secret is too long")
    return PresentedClient(client_id, "none" if secret is None else "client_secret_post", secret)


def _from_assertion(client_id: str | None, secret: str | None, form: Parameters) -> PresentedClient:
    """RFC 7521 section 4.2: `client_id` is not needed beside an assertion, which names the client itself."""
    text = form.one("client_assertion")
    if secret is not None:
        raise OAuthError("invalid_request", "The request has more than one way of client authentication.")
    if text is None or form.one("client_assertion_type") != ASSERTION_TYPE:
        raise _refused("no client assertion, or one of another type")
    try:
        assertion = parse_assertion(text)
    except MalformedAssertion as error:
        raise _refused(f"malformed client assertion: {error}") from error
    claimed = assertion.claims.get("sub")
    if not isinstance(claimed, str) or _is_too_long(claimed) or client_id not in (None, claimed):
        raise _refused("the client assertion is another client's")
    return PresentedClient(claimed, "private_key_jwt", None, assertion)


def _from_basic(header: bytes) -> PresentedClient:
    client_id, secret = _decode_basic(header)
    if not client_id or not secret or _is_too_long(client_id) or _is_too_long(secret):
        raise _refused("malformed Basic credentials", basic_challenge())
    return PresentedClient(client_id, "client_secret_basic", secret)


def _decode_basic(header: bytes) -> tuple[str | None, str | None]:
    match = _BASIC.fullmatch(header) if len(header) <= _MAX_HEADER_LENGTH else None
    if match is None:
        return None, None
    try:
        decoded = a2b_base64(match[1], strict_mode=True)
    except Base64Error:
        return None, None
    # Bits that encode nothing must be zero, so that credentials have one spelling.
    if b64encode(decoded) != match[1]:
        return None, None
    # RFC 6749 section 2.3.1: both halves are form-encoded, so the first colon is the one between them.
    client_id, _, secret = decoded.partition(b":")
    return decode_component(client_id), decode_component(secret)


def _is_too_long(text: str) -> bool:
    return len(text.encode()) > MAX_CREDENTIAL_BYTES


def _refused(reason: str, headers: Mapping[str, str] | None = None) -> OAuthError:
    return OAuthError("invalid_client", headers=headers, reason=reason)
