"""Clients that authenticate with a signed assertion (RFC 7523, OpenID Connect private_key_jwt)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from grantwell_storage import MemoryStore
from tests.assertions.signing import (
    ASSERTION_TYPE,
    Key,
    authenticated,
    base64url,
    client_assertion,
    jwks,
    new_key,
    signed,
)
from tests.documents.conftest import connected_world
from tests.documents.publishing import CLIENT, document
from tests.outbound.internet import Host, Internet, http
from tests.wire.world import ISSUER, World, nothing_changes, parsed, refused

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


async def registered(world: World, key: Key, **changes: Any) -> dict[str, Any]:
    """A client with this key, registered with it inline."""
    return await world.register(**({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(key)} | changes))


async def tokens_of(world: World, client: dict[str, Any], key: Key) -> dict[str, Any]:
    """The tokens of a client that authenticates by assertion."""
    form = {
        "grant_type": "authorization_code",
        "code": await world.code(client),
        "code_verifier": world.pkce.verifier,
    }
    assertion = client_assertion(key, client["client_id"], world.clock())
    answer = await world.http.post("/token", data=authenticated(assertion, **form))
    return parsed(answer).raw


async def attempt(world: World, assertion: str, token: str, **form: Any) -> httpx.Response:
    """A refresh with an assertion."""
    return await world.http.post(
        "/token", data=authenticated(assertion, grant_type="refresh_token", refresh_token=token, **form)
    )


@requirement("S-219", "S-039", "S-220", "S-228", "S-442")
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_an_assertion_authenticates_wherever_a_secret_would(world: World, algorithm: str) -> None:
    metadata = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
    for name in ("token_endpoint", "revocation_endpoint"):
        assert algorithm in metadata[f"{name}_auth_signing_alg_values_supported"]
        assert "none" not in metadata[f"{name}_auth_signing_alg_values_supported"]
    key = new_key(algorithm)
    client = await registered(world, key)
    assert client["token_endpoint_auth_method"] == "private_key_jwt"
    assert "client_secret" not in client
    raw = await tokens_of(world, client, key)
    again = parsed(
        await attempt(world, client_assertion(key, client["client_id"], world.clock()), raw["refresh_token"])
    )
    revocation = authenticated(client_assertion(key, client["client_id"], world.clock()), token=again.refresh)
    assert (await world.http.post("/revoke", data=revocation)).status_code == 200
    assert (await world.call(again.access)).status_code == 401


def variants(key: Key, other: Key, client_id: str, now: float) -> dict[str, dict[str, str]]:
    """Forms that authenticate nobody."""
    good = client_assertion(key, client_id, now)
    head, payload, signature = good.split(".")

    def claims(**changes: Any) -> dict[str, str]:
        return authenticated(client_assertion(key, client_id, now, **changes))

    return {
        "no assertion": {"client_id": client_id},
        "no type": {"client_assertion": good},
        "other type": {"client_assertion_type": ASSERTION_TYPE + "x", "client_assertion": good},
        "type alone": {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE},
        "garbage": authenticated("garbage"),
        "two parts": authenticated(f"{head}.{payload}"),
        "no signature": authenticated(f"{head}.{payload}."),
        "another signature": authenticated(f"{head}.{payload}.{signature[:-4]}AAAA"),
        "another payload": authenticated(f"{head}.{payload[:-2]}AA.{signature}"),
        "another key": authenticated(client_assertion(other, client_id, now)),
        "an embedded key": authenticated(
            client_assertion(other, client_id, now, header={"jwk": other.as_dict(private=False)})
        ),
        "an unknown key id": authenticated(client_assertion(key, client_id, now, header={"kid": "k9"})),
        "a critical extension": authenticated(client_assertion(key, client_id, now, header={"crit": ["x"], "x": 1})),
        "an access token": authenticated(client_assertion(key, client_id, now, header={"typ": "at+jwt"})),
        "an id-jag": authenticated(client_assertion(key, client_id, now, header={"typ": "oauth-id-jag+jwt"})),
        "another client_id": claims() | {"client_id": "somebody-else"},
        "no iss": claims(iss=None),
        "no sub": claims(sub=None),
        "another iss": claims(iss="x"),
        "another sub": claims(sub="x"),
        "no aud": claims(aud=None),
        "aud of the token endpoint": claims(aud=f"{ISSUER}/token"),
        "aud with a slash": claims(aud=f"{ISSUER}/"),
        "two aud": claims(aud=[ISSUER, "https://other.test"]),
        "no exp": claims(exp=None),
        "past exp": claims(exp=int(now)),
        "far exp": claims(exp=int(now) + 90_000),
        "text exp": claims(exp=str(int(now) + 60)),
        "future nbf": claims(nbf=int(now) + 300),
        "future iat": claims(iat=int(now) + 300),
        "no jti": claims(jti=None),
        "empty jti": claims(jti=""),
    }


@requirement("S-220", "S-221", "S-222", "S-223", "S-225", "S-226", "S-227", "S-217", "S-126", "A-087")
async def test_whatever_is_wrong_with_an_assertion_it_is_invalid_client_and_changes_nothing(world: World) -> None:
    key, other = new_key(), new_key(key_id="k1")
    client = await registered(world, key)
    raw = await tokens_of(world, client, key)
    for name, form in variants(key, other, client["client_id"], world.clock()).items():
        with nothing_changes(world):
            answer = await world.http.post(
                "/token", data=form | {"grant_type": "refresh_token", "refresh_token": raw["refresh_token"]}
            )
            assert answer.status_code in (400, 401), name
            assert answer.json()["error"] == "invalid_client", name
            assert "www-authenticate" not in answer.headers, name
    good = client_assertion(key, client["client_id"], world.clock())
    parsed(await attempt(world, good, raw["refresh_token"]))


@requirement("S-222", "S-226")
async def test_the_audience_may_be_a_list_of_one_and_the_type_may_be_said(world: World) -> None:
    key = new_key()
    client = await registered(world, key)
    raw = await tokens_of(world, client, key)
    for header in ({"typ": "client-authentication+jwt"}, {"typ": "JWT"}):
        assertion = client_assertion(key, client["client_id"], world.clock(), aud=[ISSUER], header=header)
        raw = parsed(await attempt(world, assertion, raw["refresh_token"], client_id=client["client_id"])).raw


@requirement("S-224", "S-215")
async def test_an_assertion_is_used_once_however_many_ask_at_once(world: World) -> None:
    key = new_key()
    client = await registered(world, key)
    raw = await tokens_of(world, client, key)
    assertion = client_assertion(key, client["client_id"], world.clock())
    answers = await asyncio.gather(*(attempt(world, assertion, raw["refresh_token"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    world.clock.advance(30)
    refused(await attempt(world, assertion, raw["refresh_token"]), "invalid_client", 401)
    basic = await world.http.post(
        "/token",
        data=authenticated(client_assertion(key, client["client_id"], world.clock()), grant_type="refresh_token"),
        auth=(client["client_id"], "x"),
    )
    refused(basic, "invalid_request")


@requirement("S-224")
async def test_an_assertion_that_proved_nothing_does_not_use_up_its_id(world: World) -> None:
    key, other = new_key(), new_key()
    client = await registered(world, key)
    raw = await tokens_of(world, client, key)
    forged = client_assertion(other, client["client_id"], world.clock(), jti="the-id")
    refused(await attempt(world, forged, raw["refresh_token"]), "invalid_client", 401)
    parsed(
        await attempt(
            world, client_assertion(key, client["client_id"], world.clock(), jti="the-id"), raw["refresh_token"]
        )
    )


@requirement("S-398", "A-097", "A-100", "S-411")
@pytest.mark.parametrize(
    "changes",
    [
        {"jwks": None},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}},
        {"jwks": {"keys": [{}] * 21}},
        {"jwks": "x"},
        {"jwks_uri": "https://m1.test/jwks"},
        {"jwks": None, "jwks_uri": "http://m1.test/jwks"},
        {"jwks": None, "jwks_uri": 7},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"token_endpoint_auth_signing_alg": "none"},
    ],
    ids=str,
)
async def test_a_client_without_keys_that_verify_cannot_register_for_assertions(
    world: World, changes: dict[str, Any]
) -> None:
    body = {
        "redirect_uris": ["https://c1.test/cb"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": jwks(new_key()),
    } | changes
    with nothing_changes(world):
        answer = await world.http.post("/register", json={k: v for k, v in body.items() if v is not None})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@requirement("S-398", "A-100")
async def test_a_private_key_is_never_registered(world: World) -> None:
    key = new_key()
    body = {
        "redirect_uris": ["https://c1.test/cb"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=True)]},
    }
    answer = await world.http.post("/register", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@requirement("S-225", "S-213")
async def test_the_algorithm_that_a_client_registered_is_the_only_one(world: World) -> None:
    key = new_key("RS256")
    client = await registered(world, key, token_endpoint_auth_signing_alg="PS256")
    assert client["token_endpoint_auth_signing_alg"] == "PS256"
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    refused(
        await world.http.post(
            "/token", data=authenticated(client_assertion(key, client["client_id"], world.clock()), **form)
        ),
        "invalid_client",
        401,
    )


@requirement("S-213", "A-077")
async def test_a_client_of_another_method_does_not_get_in_by_assertion(world: World) -> None:
    key = new_key()
    for method in ("none", "client_secret_basic"):
        client = await world.register(token_endpoint_auth_method=method, jwks=jwks(key))
        assertion = client_assertion(key, client["client_id"], world.clock())
        answer = await world.http.post("/token", data=authenticated(assertion, grant_type="refresh_token"))
        refused(answer, "invalid_client", 401)


def rekey(host: Host, *keys: Key, fields: tuple[str, ...] = ()) -> None:
    """Publish other keys."""
    host._answer = http(json.dumps(jwks(*keys)).encode(), *fields)


@requirement("S-229", "S-431", "S-464")
async def test_keys_at_a_url_are_fetched_kept_and_rotated(internet: Internet) -> None:
    first, second = new_key(key_id="k1"), new_key(key_id="k2")
    host = await internet.serve(http(json.dumps(jwks(first)).encode()))
    async with connected_world(internet, MemoryStore()) as world:
        client = await registered(world, first, jwks=None, jwks_uri="https://m1.test/jwks")
        raw = await tokens_of(world, client, first)
        raw = parsed(
            await attempt(world, client_assertion(first, client["client_id"], world.clock()), raw["refresh_token"])
        ).raw
        assert len(host.requests) == 1
        rekey(host, first, second)
        by_second = client_assertion(second, client["client_id"], world.clock())
        refused(await attempt(world, by_second, raw["refresh_token"]), "invalid_client", 401)
        assert len(host.requests) == 1  # nobody makes the server fetch more often than twice a minute
        world.clock.advance(30)
        by_second = client_assertion(second, client["client_id"], world.clock())
        raw = parsed(await attempt(world, by_second, raw["refresh_token"])).raw
        assert len(host.requests) == 2
        rekey(host, second)
        world.clock.advance(300)
        by_first = client_assertion(first, client["client_id"], world.clock())
        refused(await attempt(world, by_first, raw["refresh_token"]), "invalid_client", 401)


@requirement("S-229", "S-431", "S-464", "D-23")
@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "8.8.8.7"])
async def test_keys_that_cannot_be_had_are_trouble_that_passes_and_no_way_inside(
    internet: Internet, address: str
) -> None:
    key = new_key()
    internet.name("m1.test", [address])
    async with connected_world(internet, MemoryStore()) as world:
        client = await registered(world, key, jwks=None, jwks_uri="https://m1.test/jwks")
        assertion = client_assertion(key, client["client_id"], world.clock())
        answer = await world.http.post("/token", data=authenticated(assertion, grant_type="refresh_token"))
        refused(answer, "temporarily_unavailable", 503)
        assert [place for place in internet.connections if not place.startswith("8.8.8.7")] == []


@requirement("S-429", "S-442", "S-222")
async def test_a_published_client_with_keys_must_use_them(world: World, internet: Internet) -> None:
    key, other = new_key(), new_key()
    body = document(token_endpoint_auth_method="private_key_jwt", jwks=jwks(key))
    await internet.serve(http(json.dumps(body).encode()))
    form = {
        "grant_type": "authorization_code",
        "code": await world.code(body),
        "code_verifier": world.pkce.verifier,
    }
    refused(await world.http.post("/token", data=form | {"client_id": CLIENT}), "invalid_client", 401)
    refused(
        await world.http.post("/token", data=authenticated(client_assertion(other, CLIENT, world.clock()), **form)),
        "invalid_client",
        401,
    )
    answer = await world.http.post("/token", data=authenticated(client_assertion(key, CLIENT, world.clock()), **form))
    assert (await world.call(parsed(answer).access)).json()["client"] == CLIENT


@requirement("C-075")
async def test_a_published_client_that_could_do_without_keys_is_taken_at_its_preference(
    world: World, internet: Internet
) -> None:
    key = new_key()
    body = document(
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_methods_supported=["none", "private_key_jwt"],
        jwks=jwks(key),
    )
    await internet.serve(http(json.dumps(body).encode()))
    code = await world.code(body)
    known = await world.provider.helpers.lookup_client(CLIENT)
    assert code
    assert known is not None
    assert known.token_endpoint_auth_method == "private_key_jwt"


@requirement("S-116", "S-225")
async def test_a_public_key_is_no_secret_to_sign_with(world: World) -> None:
    key = new_key("RS256")
    client = await registered(world, key)
    head, payload, _ = client_assertion(key, client["client_id"], world.clock(), header={"kid": "k1"}).split(".")
    head = base64url(b'{"alg":"HS256","kid":"k1"}')
    mac = hmac.digest(key.as_pem(private=False), f"{head}.{payload}".encode(), hashlib.sha256)
    forged = f"{head}.{payload}.{base64url(mac)}"
    for text in (forged, base64url(b'{"alg":"none"}') + f".{payload}."):
        answer = await world.http.post("/token", data=authenticated(text, grant_type="refresh_token"))
        refused(answer, "invalid_client", 401)
    assert signed(key, {}) != forged


@requirement("S-225", "S-219")
@pytest.mark.parametrize("published", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("signs_with", ["EdDSA", "Ed25519"])
async def test_the_two_names_of_ed25519_are_one_algorithm(world: World, published: str | None, signs_with: str) -> None:
    key = new_key("EdDSA")
    public = key.as_dict(private=False) | {"alg": published}
    client = await registered(
        world,
        key,
        jwks={"keys": [{name: value for name, value in public.items() if value is not None}]},
        **({} if published is None else {"token_endpoint_auth_signing_alg": published}),
    )
    assertion = client_assertion(key, client["client_id"], world.clock(), header={"alg": signs_with})
    answer = await world.http.post("/token", data=authenticated(assertion, grant_type="refresh_token"))
    refused(answer, "invalid_request")


@requirement("S-398", "A-100", "A-103")
@pytest.mark.parametrize("value", [[], {}, 7, None, ["ES256"]], ids=str)
async def test_odd_members_of_a_key_make_it_useless_and_nothing_worse(world: World, value: Any) -> None:
    for name in ("alg", "use", "kid", "key_ops", "kty", "crv", "x"):
        body = {
            "redirect_uris": ["https://c1.test/cb"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [new_key().as_dict(private=False) | {name: value}]},
        }
        answer = await world.http.post("/register", json=body)
        assert answer.status_code in (201, 400), (name, answer.text)
