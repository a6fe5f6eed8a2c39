"""Grantwell: an OAuth 2.1 authorization server to embed in an ASGI application.

What is exported here, and the modules without an underscore, is what is promised; the rest may change.
"""

from ._flows.authorize import AuthorizationRequest
from ._http.authorization import OAuthHelpers, TokenInfo
from ._http.calls import InsufficientScope, current_principal, require_scopes
from .config import Resource
from .crypto import SecretKey
from .errors import (
    AuthorizationError,
    ClientMetadataError,
    ConfigurationError,
    ExternalTokenError,
    GrantwellError,
    OAuthError,
    SchemaError,
    StoreUnavailable,
)
from .hooks import (
    UNSET,
    ClientRegistration,
    CrossClientExchange,
    ErrorEvent,
    ExternalToken,
    ExternalTokenCheck,
    IdentityAssertion,
    MappedIdentity,
    TokenExchange,
    TokenExchangeResult,
    TrustedIssuer,
)
from .provider import OAuthProvider
from .records import Client, Event, Grant, Principal
from .store import AccountStore, Page, PurgeResult, Store

__all__ = [
    "UNSET",
    "AccountStore",
    "AuthorizationError",
    "AuthorizationRequest",
    "Client",
    "ClientMetadataError",
    "ClientRegistration",
    "ConfigurationError",
    "CrossClientExchange",
    "ErrorEvent",
    "Event",
    "ExternalToken",
    "ExternalTokenCheck",
    "ExternalTokenError",
    "Grant",
    "GrantwellError",
    "IdentityAssertion",
    "InsufficientScope",
    "MappedIdentity",
    "OAuthError",
    "OAuthHelpers",
    "OAuthProvider",
    "Page",
    "Principal",
    "PurgeResult",
    "Resource",
    "SchemaError",
    "SecretKey",
    "Store",
    "StoreUnavailable",
    "TokenExchange",
    "TokenExchangeResult",
    "TokenInfo",
    "TrustedIssuer",
    "current_principal",
    "require_scopes",
]
