"""The two metadata documents: of the authorization server (RFC 8414) and of a protected resource (RFC 9728)."""

from __future__ import annotations

from typing import Any

from ..config import JWT_BEARER, OFFLINE_ACCESS, SIGNATURE_ALGORITHMS, ProtectedResource, Settings

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_ID_JAG_PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"


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
    if settings.introspection_endpoint is not None:
        document |= {
            "introspection_endpoint": settings.url(settings.introspection_endpoint),
            "introspection_endpoint_auth_methods_supported": list(_AUTH_METHODS),
            "introspection_endpoint_auth_signing_alg_values_supported": list(SIGNATURE_ALGORITHMS),
        }
    if JWT_BEARER in settings.grant_types:
        document["authorization_grant_profiles_supported"] = [_ID_JAG_PROFILE]
    offline = [] if settings.refresh_token_ttl == 0 else [OFFLINE_ACCESS]
    document |= {
        "scopes_supported": [*(scope for scope in settings.scopes if scope != OFFLINE_ACCESS), *offline],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(settings.grant_types),
        "token_endpoint_auth_methods_supported": [*_AUTH_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(SIGNATURE_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": [*_AUTH_METHODS, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": list(SIGNATURE_ALGORITHMS),
        "client_id_metadata_document_supported": settings.client_id_metadata_documents,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": list(dict.fromkeys(resource.identifier for resource in settings.resources)),
    }
    return _without_empty_arrays(document)


def protected_resource_metadata(issuer: str, resource: ProtectedResource) -> dict[str, Any]:
    """What a protected resource says of itself (RFC 9728 section 2).

    `offline_access` is an arrangement between client and authorization server, so a resource never names it.
    """
    document: dict[str, Any] = {
        "resource": resource.identifier,
        "authorization_servers": [issuer],
        "scopes_supported": [scope for scope in resource.scopes if scope != OFFLINE_ACCESS],
        "bearer_methods_supported": ["header"],
    }
    if resource.name is not None:
        document["resource_name"] = resource.name
    return _without_empty_arrays(document)


def _without_empty_arrays(document: dict[str, Any]) -> dict[str, Any]:
    # RFC 8414 section 3.2 and RFC 9728 section 3.2: "claims with zero elements MUST be omitted".
    return {name: value for name, value in document.items() if value != []}
