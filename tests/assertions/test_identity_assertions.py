"""Enterprise-managed authorization: an identity provider's assertion becomes an access token (ID-JAG)."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell import ConfigurationError, IdentityAssertion, MappedIdentity, OAuthError, TrustedIssuer
from grantwell_storage import MemoryStore
from tests.assertions.signing import Key, jwks, new_key, signed
from tests.documents.conftest import connected_world
from tests.outbound.internet import Host, Internet, http
from tests.wire.world import ISSUER, R1, R2, STORES, World, new_store, nothing_changes, parsed, refused, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
IDP = "https://m1.test"
SECOND_IDP = "https://m2.test"


def by_subject(assertion: IdentityAssertion) -> MappedIdentity | None:
    """Everybody but `nobody` has an account, under a name that tells where they are from."""
    if assertion.subject == "nobody":
        return None
    return MappedIdentity(
        user_id=f"{assertion.subject}@{assertion.issuer.removeprefix('https://')}",
        props={"groups": assertion.claims.get("groups", [])},
        scopes=["read"] if assertion.subject == "reader" else None,
        access_token_ttl=120 if assertion.subject == "hasty" else None,
    )


class Enterprise:
    """An identity provider, and a client of ours that it knows."""

    def __init__(self, world: World, host: Host, key: Key, client: dict[str, Any]) -> None:
        self.world, self.host, self.key, self.client = world, host, key, client

    def assertion(self, *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """What the identity provider says, changed as written (None removes a claim)."""
        now = int(self.world.clock())
        claims: dict[str, Any] = {
            "iss": IDP,
            "sub": "ada",
            "aud": ISSUER,
            "client_id": self.client["client_id"],
            "iat": now,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
            "resource": R1,
            "scope": "read write",
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return signed(key or self.key, kept, {"typ": "oauth-id-jag+jwt"} | (header or {}))

    async def present(self, assertion: str | None, **form: Any) -> httpx.Response:
        """Present it at the token endpoint, authenticated."""
        return await self.world.post("/token", self.client, {"grant_type": JWT_BEARER, "assertion": assertion} | form)


@asynccontextmanager
async def enterprise(internet: Internet, store: Any, **options: Any) -> AsyncIterator[Enterprise]:
    """A server that trusts two identity providers, and a confidential client."""
    key = new_key()
    host = await internet.serve(http(json.dumps(jwks(key)).encode()))
    trusted = [
        TrustedIssuer(issuer=IDP, jwks_uri=f"{IDP}/jwks", map_claims=by_subject),
        TrustedIssuer(issuer=SECOND_IDP, jwks_uri=f"{IDP}/jwks", map_claims=by_subject),
    ]
    async with connected_world(internet, store, **({"trusted_issuers": trusted} | options)) as world:
        document = {
            "redirect_uris": ["https://c1.test/cb"],
            "grant_types": ["authorization_code", "refresh_token", JWT_BEARER],
            "token_endpoint_auth_method": "client_secret_basic",
        }
        client, secret = await world.provider.helpers.create_client(document)
        registered = document | {"client_id": client.client_id, "client_secret": secret}
        yield Enterprise(world, host, key, registered)


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest, internet: Internet, tmp_path: Path) -> AsyncIterator[Enterprise]:
    """An enterprise over each kind of store."""
    async with enterprise(internet, new_store(request.param, tmp_path)) as found:
        yield found


@requirement("S-280", "S-285", "S-291", "S-292", "S-048", "S-049", "S-050", "C-189", "C-029", "C-034")
async def test_an_identity_assertion_is_exchanged_for_an_access_token_alone(place: Enterprise) -> None:
    raw = parsed(await place.present(place.assertion(groups=["staff"]))).raw
    assert "refresh_token" not in raw
    assert (raw["scope"], raw["resource"], raw["expires_in"]) == ("read write", R1, 3600)
    who = (await place.world.call(raw["access_token"])).json()
    assert (who["user"], who["props"], who["audience"]) == ("ada@m1.test", {"groups": ["staff"]}, [R1])
    assert (await place.world.call(raw["access_token"], "/other")).status_code == 401
    grants = (await place.world.provider.helpers.list_user_grants("ada@m1.test")).items
    assert [grant.client_id for grant in grants] == [place.client["client_id"]]
    metadata = (await place.world.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]
    assert JWT_BEARER in metadata["grant_types_supported"]
    assert "m1.test" not in json.dumps(metadata)


@requirement("S-281", "S-282", "S-286", "S-287", "S-288", "S-289", "S-293", "S-295", "S-297", "S-298", "S-296", "S-284")
@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("iss", "sub", "aud", "client_id", "jti", "exp", "iat")),
        {"iss": ISSUER},
        {"iss": "https://stranger.test"},
        {"iss": IDP + "/"},
        {"aud": ISSUER + "/"},
        {"aud": [ISSUER, "https://x.test"]},
        {"aud": f"{ISSUER}/token"},
        {"client_id": "another"},
        {"exp": 1},
        {"exp": True},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"resource": "https://elsewhere.test/api"},
        {"resource": 7},
        {"scope": ["read"]},
        {"scope": 'a"b'},
        {"sub": "nobody"},
        {"authorization_details": [{"type": "x"}]},
        {"cnf": {"jkt": "x"}},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": None}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"kid": "unknown"}},
    ],
    ids=str,
)
async def test_an_assertion_that_is_not_wholly_right_is_invalid_grant_and_changes_nothing(
    place: Enterprise, changes: dict[str, Any]
) -> None:
    with nothing_changes(place.world):
        refused(await place.present(place.assertion(**changes)), "invalid_grant")


@requirement("S-281", "S-295")
async def test_an_assertion_of_another_key_is_refused(place: Enterprise) -> None:
    other = new_key()
    with nothing_changes(place.world):
        refused(await place.present(place.assertion(key=other)), "invalid_grant")
        refused(
            await place.present(place.assertion(key=other, header={"jwk": other.as_dict(private=False)})),
            "invalid_grant",
        )
        refused(await place.present("not.a.jwt"), "invalid_grant")
        refused(await place.present("x" * 20_000), "invalid_grant")
        refused(await place.present(None), "invalid_request")


@requirement("S-296", "S-050", "C-181")
async def test_an_issuer_that_is_not_trusted_is_never_asked_for_its_keys(place: Enterprise, internet: Internet) -> None:
    refused(await place.present(place.assertion(iss="https://stranger.test")), "invalid_grant")
    assert internet.queries == []


@requirement("S-296")
async def test_the_same_subject_of_two_issuers_is_two_users(place: Enterprise) -> None:
    users = []
    for issuer in (IDP, SECOND_IDP):
        raw = parsed(await place.present(place.assertion(iss=issuer))).raw
        users.append((await place.world.call(raw["access_token"])).json()["user"])
    assert users == ["ada@m1.test", "ada@m2.test"]


@requirement("S-294", "C-187")
async def test_an_assertion_is_good_for_one_token_however_many_ask_at_once(place: Enterprise) -> None:
    assertion = place.assertion()
    answers = await asyncio.gather(*(place.present(assertion) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    with nothing_changes(place.world):
        refused(await place.present(assertion), "invalid_grant")
    again = place.assertion(jti="same")
    parsed(await place.present(again))
    parsed(await place.present(place.assertion(jti="same", iss=SECOND_IDP)))
    refused(await place.present(place.assertion(jti="same")), "invalid_grant")


@requirement("C-188", "C-190", "S-294", "C-178")
async def test_an_assertion_that_was_refused_is_not_used_up(internet: Internet) -> None:
    answers: list[Any] = [OAuthError("access_denied"), RuntimeError("boom"), "rubbish", MappedIdentity(user_id="u1")]

    async def moody(_: IdentityAssertion) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    trusted = [TrustedIssuer(issuer=IDP, jwks_uri=f"{IDP}/jwks", map_claims=moody)]
    async with enterprise(internet, MemoryStore(), trusted_issuers=trusted) as place:
        assertion = place.assertion()
        with nothing_changes(place.world):
            refused(await place.present(assertion), "access_denied", 403)
            refused(await place.present(assertion), "server_error", 500)
            refused(await place.present(assertion), "server_error", 500)
            refused(await place.present(assertion, resource=R2), "invalid_target")
        parsed(await place.present(assertion))


@requirement("S-284", "S-292", "S-291", "C-186", "C-191")
@pytest.mark.parametrize(
    ("claims", "form", "scope", "audience"),
    [
        ({"scope": "read write"}, {}, "read write", [R1]),
        ({"scope": "read write"}, {"scope": "read"}, "read", [R1]),
        ({"scope": "read"}, {"scope": "read write"}, "read", [R1]),
        ({"scope": "read admin"}, {}, "read", [R1]),
        ({"scope": None}, {"scope": "read"}, "read", [R1]),
        ({"scope": None}, {}, "read write", [R1]),
        ({"resource": [R1, R2]}, {}, "read write", [R1, R2]),
        ({"resource": [R1, R2]}, {"resource": R2}, "read", [R2]),
        ({"resource": None}, {"resource": R2}, "read", [R2]),
        ({"sub": "reader"}, {}, "read", [R1]),
    ],
    ids=str,
)
async def test_the_token_is_what_both_the_request_and_the_assertion_ask_for(
    place: Enterprise, claims: dict[str, Any], form: dict[str, Any], scope: str, audience: list[str]
) -> None:
    raw = parsed(await place.present(place.assertion(**claims), **form)).raw
    assert raw["scope"] == scope
    granted = raw["resource"] if isinstance(raw["resource"], list) else [raw["resource"]]
    assert granted == audience


@requirement("S-284", "S-291")
async def test_a_request_for_more_than_the_assertion_says_is_refused(place: Enterprise) -> None:
    with nothing_changes(place.world):
        refused(await place.present(place.assertion(resource=R1), resource=R2), "invalid_target")
        refused(await place.present(place.assertion(), scope="admin"), "invalid_scope")
    assert parsed(await place.present(place.assertion(scope="read"), scope="write")).raw["scope"] == ""


@requirement("S-283", "S-290", "S-200", "C-177")
async def test_only_a_client_that_authenticates_and_is_registered_for_it_may(place: Enterprise) -> None:
    world = place.world
    assertion = place.assertion()
    wrong = {"grant_type": JWT_BEARER, "assertion": assertion}
    bad_secret = await world.http.post("/token", data=wrong, auth=(place.client["client_id"], "wrong"))
    refused(bad_secret, "invalid_client", 401)
    public = await world.register(grant_types=["authorization_code", JWT_BEARER])
    assert JWT_BEARER not in public["grant_types"]
    refused(await world.post("/token", public, wrong), "unauthorized_client")
    parsed(await place.present(assertion))


@requirement("C-189", "S-285")
async def test_the_lifetime_is_the_servers_or_the_mappings(place: Enterprise) -> None:
    raw = parsed(await place.present(place.assertion(sub="hasty"))).raw
    assert raw["expires_in"] == 120
    place.world.clock.advance(120)
    assert (await place.world.call(raw["access_token"])).status_code == 401


@requirement("S-295", "S-304", "S-065", "C-182")
async def test_keys_of_an_issuer_may_be_rotated(place: Enterprise) -> None:
    parsed(await place.present(place.assertion()))
    second = new_key(key_id="k2")
    place.host._answer = http(json.dumps(jwks(second)).encode())
    refused(await place.present(place.assertion(key=second)), "invalid_grant")
    place.world.clock.advance(30)
    parsed(await place.present(place.assertion(key=second)))
    refused(await place.present(place.assertion()), "invalid_grant")


@requirement("D-23", "S-304")
async def test_an_issuer_whose_keys_cannot_be_had_is_trouble_that_passes(place: Enterprise) -> None:
    place.host._answer = http(b"", status="500 Oops")
    assertion = place.assertion()
    refused(await place.present(assertion), "temporarily_unavailable", 503)
    place.host._answer = http(json.dumps(jwks(place.key)).encode())
    parsed(await place.present(assertion))


@requirement("S-169", "S-125")
async def test_what_was_issued_for_an_assertion_can_be_revoked(place: Enterprise) -> None:
    raw = parsed(await place.present(place.assertion())).raw
    assert await place.world.provider.helpers.revoke_user_grants("ada@m1.test") == 1
    assert (await place.world.call(raw["access_token"])).status_code == 401


@requirement("C-124", "A-156", "S-198", "S-050", "C-034")
async def test_without_a_trusted_issuer_there_is_no_such_grant() -> None:
    async with running_world(MemoryStore()) as world:
        client = await world.register(token_endpoint_auth_method="client_secret_basic")
        refused(
            await world.post("/token", client, {"grant_type": JWT_BEARER, "assertion": "x"}), "unsupported_grant_type"
        )
        metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert "authorization_grant_profiles_supported" not in metadata


@requirement("C-023")
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://m1.test"},
        {"jwks_uri": "http://m1.test/jwks"},
        {"jwks_uri": ""},
        {"algorithms": ()},
        {"algorithms": ("HS256",)},
        {"map_claims": None},
    ],
    ids=str,
)
async def test_a_trusted_issuer_that_cannot_be_trusted_is_refused_at_start(changes: dict[str, Any]) -> None:
    members: dict[str, Any] = {"issuer": IDP, "jwks_uri": f"{IDP}/jwks", "map_claims": by_subject} | changes
    trusted = TrustedIssuer(**members)
    with pytest.raises(ConfigurationError, match="trusted_issuers"):
        async with running_world(MemoryStore(), trusted_issuers=[trusted]):
            raise AssertionError("it started")
