"""The two metadata documents: of the authorization server (RFC 8414) and of a protected resource (RFC 9728)."""

from __future__ import annotations

from typing import Any

from ..config import ProtectedResource, Settings

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")


def authorization_server_metadata(settings: Settings) -> dict[str, Any]:
    """What the authorization server says of itself (RFC 8414 section 2); every URL comes from the settings.

    Members whose default would be untrue (implicit, Basic alone, fragment) are always written out.
    """
    document: dict[str, Any] = {
        "issuer": settings.issuer,
        "authorization_endpoint": settings.url(settings.authorize_endpoint),
        "token_endpoint": settings.url(settings.token_endpoint),
        "revocation_endpoint": settings.url(settings.revocation_endpoint),
    }
    if settings.client_registration_endpoint is not None:
        document["registration_endpoint"] = settings.url(settings.client_registration_endpoint)
    document |= {
        "scopes_supported": list(settings.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": list(_AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(_AUTH_METHODS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": list(dict.fromkeys(resource.identifier for resource in settings.resources)),
    }
    return _without_empty_arrays(document)


def protected_resource_metadata(settings: Settings, resource: ProtectedResource) -> dict[str, Any]:
    """What a protected resource says of itself (RFC 9728 section 2).

    `offline_access` is an arrangement between client and authorization server, so a resource never names it.
    """
    document: dict[str, Any] = {
        "resource": resource.identifier,
        "authorization_servers": [settings.issuer],
        "scopes_supported": [scope for scope in resource.scopes if scope != "offline_access"],
        "bearer_methods_supported": ["header"],
    }
    if resource.name is not None:
        document["resource_name"] = resource.name
    return _without_empty_arrays(document)


def _without_empty_arrays(document: dict[str, Any]) -> dict[str, Any]:
    # RFC 8414 section 3.2 and RFC 9728 section 3.2: "claims with zero elements MUST be omitted".
    return {name: value for name, value in document.items() if value != []}
