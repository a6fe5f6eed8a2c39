"""The metadata documents: complete, true, from the settings alone, and without null or empty arrays."""

from __future__ import annotations

from typing import Any

import pytest

from grantwell._protocol.discovery import authorization_server_metadata, protected_resource_metadata
from grantwell.config import Resource, Settings, configure

requirement = pytest.mark.requirement

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]


def values_of(document: Any) -> list[Any]:
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return [document, *(value for child in children for value in values_of(child))]


@requirement(
    *("S-029", "S-031", "S-032", "S-033", "S-034", "S-035", "S-036", "S-038", "S-040", "S-042", "S-043", "S-045"),
    *("S-053", "S-055", "S-001", "A-280"),
)
def test_the_authorization_server_describes_itself(settings: Settings) -> None:
    assert authorization_server_metadata(settings) == {
        "issuer": "https://as.test",
        "authorization_endpoint": "https://as.test/authorize",
        "token_endpoint": "https://as.test/token",
        "revocation_endpoint": "https://as.test/revoke",
        "registration_endpoint": "https://as.test/register",
        "scopes_supported": ["read", "write", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
        "client_id_metadata_document_supported": True,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": ["https://as.test/api", "https://as.test/other"],
    }


@requirement("S-045", "A-280")
def test_registration_is_advertised_only_where_it_is_enabled(bare_settings: Settings) -> None:
    assert "registration_endpoint" not in authorization_server_metadata(bare_settings)


@requirement("S-029", "S-031")
def test_endpoints_lie_below_an_issuer_with_a_path() -> None:
    settings = configure(issuer="https://as.test/t1", prefixes=["/mcp"], token_endpoint="/oauth/token")
    document = authorization_server_metadata(settings)
    assert document["issuer"] == "https://as.test/t1"
    assert document["token_endpoint"] == "https://as.test/t1/oauth/token"
    assert document["protected_resources"] == ["https://as.test/t1/mcp"]


@requirement("S-053")
def test_a_resource_behind_two_prefixes_is_listed_once() -> None:
    shared = Resource(identifier="https://as.test/v")
    settings = configure(
        issuer="https://as.test", prefixes=["/v/1", "/v/2"], resources={"/v/1": shared, "/v/2": shared}
    )
    assert authorization_server_metadata(settings)["protected_resources"] == ["https://as.test/v"]


@requirement("S-069", "S-071", "S-072", "S-073", "S-074", "S-077", "S-100", "A-221")
def test_a_resource_describes_itself_without_offline_access(settings: Settings) -> None:
    assert protected_resource_metadata(settings.issuer, settings.resources[0]) == {
        "resource": "https://as.test/api",
        "authorization_servers": ["https://as.test"],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Notes",
    }


@requirement("S-076", "S-079")
def test_a_resource_says_nothing_of_what_it_has_not(settings: Settings) -> None:
    assert protected_resource_metadata(settings.issuer, settings.resources[1]) == {
        "resource": "https://as.test/other",
        "authorization_servers": ["https://as.test"],
        "bearer_methods_supported": ["header"],
    }


@requirement("S-014", "S-037", "S-076")
def test_no_document_has_null_or_an_empty_array(settings: Settings, bare_settings: Settings) -> None:
    for each in (settings, bare_settings):
        documents = [authorization_server_metadata(each)]
        documents += [protected_resource_metadata(each.issuer, resource) for resource in each.resources]
        for value in values_of(documents):
            assert value not in (None, [], {}, "")
