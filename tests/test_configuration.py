"""Bad settings are refused at start, each with one sentence that names the field."""

from __future__ import annotations

from typing import Any

import pytest

from grantwell import ConfigurationError, OAuthProvider, Resource, SecretKey
from grantwell.config import Settings, configure
from grantwell_storage import MemoryStore

requirement = pytest.mark.requirement

ISSUER = "https://as.test"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never called."""


def made(**changes: Any) -> OAuthProvider:
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "store": MemoryStore(),
        "api_handlers": {"/api": app},
        "resources": {"/api": Resource(scopes={"read": "Read", "write": "Write"})},
        "secret_key": SecretKey(b"k" * 32),
    }
    return OAuthProvider(**(settings | changes))


def assert_refused(field: str, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        made(**changes)
    assert caught.value.field == field
    sentence = str(caught.value)
    assert sentence.startswith(f"{field}: ")
    assert "\n" not in sentence
    assert isinstance(caught.value, ValueError)
    return sentence


@requirement("S-029", "S-001", "A-290", "C-016", "S-070", "D-32")
@pytest.mark.parametrize(
    "issuer",
    [
        "https://as.test?x=1",
        "https://as.test?",
        "https://as.test#x",
        "https://as.test#",
        "http://as.test",
        "http://10.0.0.1",
        "http://localhost.evil.test",
        "http://127.0.0.2",
        "https://as.test/",
        "https://as.test/tenant/",
        "HTTPS://as.test",
        "https://AS.test",
        "https://as.test:443",
        "http://localhost:80",
        "https://as.test/a/../b",
        "https://as.test/a//b",
        "https://as.test/%61",
        "https://user@as.test",
        "https://",
        "as.test",
        "/",
        "",
        "ftp://as.test",
        "https://as.test\n",
        "https://\u0430s.test",
        "https://as.test:0",
        "https://as.test:99999",
    ],
)
def test_an_issuer_that_clients_could_read_otherwise_is_refused(issuer: str) -> None:
    assert_refused("issuer", issuer=issuer, resources=None)


@requirement("S-029", "A-290", "S-026")
@pytest.mark.parametrize(
    "issuer",
    [ISSUER, f"{ISSUER}:8443", f"{ISSUER}/tenant/1", "http://localhost:8000", "http://127.0.0.1", "http://[::1]:1"],
)
def test_an_issuer_is_kept_as_it_was_written(issuer: str) -> None:
    settings = made(issuer=issuer).settings
    assert settings.issuer == issuer
    assert settings.url("/token") == f"{issuer}/token"


ENDPOINTS = [
    "authorize_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "verify_endpoint",
    "client_registration_endpoint",
]


@requirement("C-016", "S-133", "C-003")
@pytest.mark.parametrize("field", ENDPOINTS)
@pytest.mark.parametrize(
    "path",
    ["", "/", "token", "token/", "/token/", "/to//ken", "/to ken", "/token?x", "/token#x", "/./token", "/a/../token",
     "/tok%65n", "/.well-known/x", "https://as.test/token", "/tokén", "/token\n"],
)  # fmt: skip
def test_an_endpoint_that_is_no_plain_path_is_refused(field: str, path: str) -> None:
    assert_refused(field, **{field: path})


@requirement("C-016", "C-001")
def test_overlapping_endpoints_are_refused() -> None:
    for later in range(1, len(ENDPOINTS)):
        for earlier in range(later):
            sentence = assert_refused(ENDPOINTS[later], **{ENDPOINTS[later]: "/x", ENDPOINTS[earlier]: "/x"})
            assert ENDPOINTS[earlier] in sentence
    for field in ENDPOINTS:
        sentence = assert_refused("api_handlers", **{field: "/api"})
        assert field in sentence
    assert made(client_registration_endpoint=None).settings.client_registration_endpoint is None


@requirement("C-016", "C-004", "C-006", "C-003")
@pytest.mark.parametrize(
    "prefix",
    [
        "api",
        "",
        "/api/",
        "//",
        "/a//b",
        "/a/../b",
        "/a/.",
        "/a b",
        "/%61",
        "/a?x",
        "/.well-known",
        "/é",
        "https://as.test/a",
    ],
)
def test_a_prefix_without_a_slash_or_with_one_too_many_is_refused(prefix: str) -> None:
    assert_refused("api_handlers", api_handlers={prefix: app}, resources=None)


@requirement("C-006", "C-007")
def test_what_is_no_application_is_refused() -> None:
    assert "'/api'" in assert_refused("api_handlers", api_handlers={"/api": "not an app"})
    assert_refused("default_handler", default_handler="not an app")
    assert made(api_handlers={}, resources=None).settings.resources == ()


@requirement("C-200", "S-070", "C-020", "C-021")
@pytest.mark.parametrize(
    "identifier",
    [
        f"{ISSUER}/other",
        f"{ISSUER}/ap",
        f"{ISSUER}/api/deeper",
        f"{ISSUER}/API",
        "https://other.test/api",
        "http://as.test/api",
        "https://as.test:8443/api",
        f"{ISSUER}/api#x",
        f"{ISSUER}/api#",
        f"{ISSUER}/api?x=1",
        "HTTPS://as.test/api",
        "https://AS.test/api",
        "https://as.test:443/api",
        "as.test/api",
        "/api",
        "",
    ],
)
def test_a_resource_that_does_not_cover_its_prefix_is_refused(identifier: str) -> None:
    assert_refused("resources", resources={"/api": Resource(identifier=identifier)})


@requirement("S-070", "S-067", "S-069")
@pytest.mark.parametrize("identifier", [ISSUER, f"{ISSUER}/", f"{ISSUER}/api", f"{ISSUER}/api/", None])
def test_a_resource_that_covers_its_prefix_is_kept_as_it_was_written(identifier: str | None) -> None:
    (resource,) = made(resources={"/api": Resource(identifier=identifier)}).settings.resources
    assert resource.identifier == (identifier or f"{ISSUER}/api")


@requirement("C-019", "C-022", "S-079")
def test_resources_are_described_once_and_in_scopes() -> None:
    for scope in ("", "a b", 'a"b', "a\\b", "ä", "a\n", "x" * 129):
        assert_refused("resources", resources={"/api": Resource(scopes={scope: ""})})
    for scopes in (["read"], "read", ("ab",), {"ab"}):
        assert_refused("resources", resources={"/api": Resource(scopes=scopes)})  # type: ignore[arg-type]
    assert_refused("resources", resources={"/nope": Resource()})
    assert_refused("resources", resources={"/api/": Resource()})
    handlers = {"/api": app, "/mcp": app}
    same = {"identifier": ISSUER, "name": "A"}
    for other in ({"name": "B"}, {"scopes": {"read": ""}}):
        resources = {"/api": Resource(**same), "/mcp": Resource(**(same | other))}  # type: ignore[arg-type]
        assert "'/api'" in assert_refused("resources", api_handlers=handlers, resources=resources)
    made(api_handlers=handlers, resources={"/api": Resource(**same), "/mcp": Resource(**same)})  # type: ignore[arg-type]


@requirement("S-145", "C-019", "S-324")
def test_defaults_that_nothing_declares_are_refused() -> None:
    assert "'admin'" in assert_refused("default_scopes", default_scopes=["read", "admin"])
    assert_refused("default_scopes", default_scopes="read")
    assert_refused("default_resources", default_resources=[f"{ISSUER}/other"])
    assert_refused("default_resources", default_resources=f"{ISSUER}/api")
    settings = made(default_scopes=["write", "write"], default_resources=[f"{ISSUER}/api"]).settings
    assert (settings.default_scopes, settings.default_resources) == (("write",), (f"{ISSUER}/api",))


@requirement("C-017", "C-018", "S-207", "S-208", "S-176", "F-061")
@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("code_ttl", [0, -1, 601, 1.5, True, "60", None], [1, 600]),
        ("access_token_ttl", [0, -5, 60.5, None, 10**12, False], [1, 59, 86_400]),
        ("refresh_token_ttl", [-1, 10**12, 1.0, "x"], [None, 0, 1]),
        ("refresh_token_idle_ttl", [0, -1, 10**12, 1.0], [None, 1]),
        ("refresh_replay_window", [-1, 601, None, 1.0], [0, 600]),
        ("callback_timeout", [0, -1, 301, None, "10", True, float("nan"), float("inf")], [0.1, 300]),
        ("event_ttl", [0, -1, 10**12, 1.0, "90d"], [None, 1]),
        ("unused_client_ttl", [0, -1, 10**12, 1.0], [None, 1]),
    ],
)
def test_lifetimes_are_seconds_within_bounds(field: str, bad: list[Any], good: list[Any]) -> None:
    for value in bad:
        assert_refused(field, **{field: value})
    for value in good:
        assert getattr(made(**{field: value}).settings, field) == value


@requirement("A-017", "A-014", "S-452")
def test_only_schemes_that_an_application_may_own_are_accepted() -> None:
    for schemes in (["Cursor"], ["my app"], ["1x"], [""], "cursor"):
        assert_refused("private_use_schemes", private_use_schemes=schemes)
    for scheme in ("javascript", "data", "vbscript", "file", "blob", "about", "http", "https", "ws", "view-source"):
        assert_refused("private_use_schemes", private_use_schemes=["cursor", scheme])
    assert made(private_use_schemes=[]).settings.private_use_schemes == frozenset()


@requirement("S-019")
def test_trusted_proxies_are_networks() -> None:
    for networks in (["here"], ["10.0.0.1/8"], ["10.0.0.0/33"], [""], "10.0.0.0/8"):
        assert_refused("trusted_proxies", trusted_proxies=networks)
    assert len(made(trusted_proxies=["10.0.0.0/8", "::1", "127.0.0.1"]).settings.trusted_proxies) == 3


@requirement("A-334", "S-470")
@pytest.mark.parametrize("key", [b"k" * 31, b"k" * 33, b"", "k" * 32, None, 7])
def test_a_key_that_is_not_32_bytes_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SecretKey(key)
    assert caught.value.field == "secret_key"
    with pytest.raises(ConfigurationError):
        SecretKey(b"k" * 32, older=b"short")
    assert_refused("secret_key", secret_key=key)


@requirement("S-207", "S-145")
def test_the_defaults_are_those_of_the_design() -> None:
    settings = configure(issuer=ISSUER, prefixes=["/api"])
    assert isinstance(settings, Settings)
    assert {
        name: getattr(settings, name)
        for name in (
            "authorize_endpoint", "token_endpoint", "revocation_endpoint", "client_registration_endpoint", "code_ttl",
            "access_token_ttl", "refresh_token_ttl", "refresh_token_idle_ttl", "refresh_replay_window",
            "callback_timeout", "event_ttl", "unused_client_ttl", "default_scopes", "default_resources",
            "trusted_proxies",
        )
    } == {
        "authorize_endpoint": "/authorize",
        "token_endpoint": "/token",
        "revocation_endpoint": "/revoke",
        "client_registration_endpoint": "/register",
        "code_ttl": 60,
        "access_token_ttl": 3600,
        "refresh_token_ttl": 30 * 86_400,
        "refresh_token_idle_ttl": None,
        "refresh_replay_window": 60,
        "callback_timeout": 10.0,
        "event_ttl": 90 * 86_400,
        "unused_client_ttl": 90 * 86_400,
        "default_scopes": None,
        "default_resources": None,
        "trusted_proxies": (),
    }  # fmt: skip


@requirement("S-070", "S-053", "S-320")
@pytest.mark.parametrize(
    "identifier",
    [
        "http://files.test",
        "https://files.test/v1?x=1",
        "https://files.test/v1#x",
        "https://FILES.test/v1",
        "https://files.test:443/v1",
        "files.test",
        "https://user@files.test",
        "",
    ],
)
def test_a_resource_elsewhere_is_a_plain_https_url(identifier: str) -> None:
    assert_refused("resources", resources={identifier: Resource(scopes={"files": "Files"})})
    assert_refused("resources", resources={"https://files.test": Resource(identifier="https://other.test")})


@requirement("S-070", "S-079")
def test_a_resource_elsewhere_stands_beside_those_that_are_served() -> None:
    files = Resource(scopes={"files": "Files"}, name="Files")
    settings = made(resources={"/api": Resource(scopes={"read": "Read"}), "https://files.test/v1": files}).settings
    assert [(r.prefix, r.identifier) for r in settings.resources] == [
        ("/api", f"{ISSUER}/api"),
        (None, "https://files.test/v1"),
    ]
    assert settings.resources[1].metadata_url == "https://files.test/.well-known/oauth-protected-resource/v1"
    assert made(api_handlers={}, resources={"https://files.test": files}).settings.scopes == {"files": "Files"}


@requirement("S-092", "C-019")
def test_a_scope_implies_only_scopes_of_its_resource() -> None:
    scopes = {"all": "All", "read": "Read", "own": "Own"}
    for implies in ({"all": ["write"]}, {"none": ["read"]}, {"all": "read"}):
        assert_refused("resources", resources={"/api": Resource(scopes=scopes, implies=implies)})
    (resource,) = made(
        resources={"/api": Resource(scopes=scopes, implies={"all": ["read"], "read": ["own"], "own": ["all"]})}
    ).settings.resources
    assert resource.with_implied(["all"]) == ("all", "own", "read")
    assert resource.with_implied(["read", "x"]) == ("read", "x", "all", "own")


@requirement("S-310", "S-326", "S-145")
def test_a_default_that_could_never_be_granted_is_refused() -> None:
    resources = {"/api": Resource(scopes={"read": "Read"}), "https://files.test": Resource(scopes={"files": "Files"})}
    assert_refused("default_scopes", resources=resources, default_scopes=["files"], default_resources=[f"{ISSUER}/api"])
    made(resources=resources, default_scopes=["files"], default_resources=["https://files.test"])


@requirement("A-107", "A-109", "S-389")
def test_registration_that_is_off_has_no_options() -> None:
    for option in ("require_initial_access_token", "allow_client_management"):
        assert_refused(option, client_registration_endpoint=None, **{option: True})


@requirement("S-278", "A-351")
def test_a_policy_that_would_never_be_asked_is_refused() -> None:
    assert_refused("token_exchange_policy", token_exchange_policy=lambda event: True)


@requirement("A-106", "S-023")
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_a_quota_is_a_number_of_clients(value: Any) -> None:
    assert_refused("max_unused_clients", max_unused_clients=value)


@requirement("S-430", "S-464")
def test_allowed_networks_are_networks() -> None:
    for networks in (["10.0.0.1/8"], ["nowhere"], "10.0.0.0/8"):
        assert_refused("cimd_allowed_networks", cimd_allowed_networks=networks)
    settings = made(cimd_allowed_networks=["10.0.0.0/8", "fd00::/8"]).settings
    assert [str(network) for network in settings.cimd_allowed_networks] == ["10.0.0.0/8", "fd00::/8"]
