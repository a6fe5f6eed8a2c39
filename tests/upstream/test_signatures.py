"""Who signed an ID token: an issuer's key of today, and nobody else."""

from __future__ import annotations

import hmac
import json
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from tests.assertions.signing import base64url, jwks, new_key, signed
from tests.signin.browser import Browser
from tests.upstream.conftest import Scene

pytestmark = [pytest.mark.anyio, pytest.mark.system]


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A JWT with a signature that is made up."""
    return f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}.{signature}"


async def refused(scene: Scene) -> httpx.Response:
    """Check that nobody is signed in now."""
    answer = await scene.sign_in(scene.place.browser())
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), answer.text
    return answer


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "ES384", "RS1", ""])
async def test_an_id_token_says_in_vain_that_it_needs_no_signature(scene: Scene, algorithm: str) -> None:
    for signature in ("", "AAAA"):
        scene.issuer.id_token = partial(unsigned, {"alg": algorithm, "kid": "first"}, signature=signature)
        await refused(scene)


@pytest.mark.requirement("G-561")
async def test_a_public_key_is_no_secret_to_sign_with(scene: Scene) -> None:
    key = scene.issuer.keys[0]
    for secret in (key.as_pem(private=False), json.dumps(key.as_dict(private=False)).encode()):

        def forged(claims: dict[str, Any], secret: bytes = secret) -> str:
            text = unsigned({"alg": "HS256", "kid": "first"}, claims)[:-1]
            return f"{text}.{base64url(hmac.digest(secret, text.encode(), 'sha256'))}"

        scene.issuer.id_token = forged
        await refused(scene)


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize("header", [{}, {"jwk": True}, {"jku": "https://evil.test/jwks"}, {"x5u": "https://evil.test"}])
async def test_a_key_that_an_id_token_brings_along_signs_nothing(scene: Scene, header: dict[str, Any]) -> None:
    evil = new_key("ES256", "first")
    if "jwk" in header:
        header = {"jwk": evil.as_dict(private=False)}
    scene.issuer.id_token = lambda claims: signed(evil, claims, header)
    await refused(scene)


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"b64": False}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"kid": 5}, {"alg": 5}]
)
async def test_another_kind_of_signed_text_is_no_id_token(scene: Scene, header: dict[str, Any]) -> None:
    scene.issuer.id_token = lambda claims: signed(scene.issuer.keys[0], claims, header)
    await refused(scene)


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize("change", ["alter", "cut", "pad", "twice", "array", "text", "none", "long"])
async def test_an_id_token_that_was_touched_is_none(scene: Scene, change: str) -> None:
    def touched(claims: dict[str, Any]) -> Any:
        text = signed(scene.issuer.keys[0], claims)
        header, payload, signature = text.split(".")
        match change:
            case "alter":
                payload = base64url(json.dumps(claims | {"sub": "Grace"}).encode())
            case "cut":
                return f"{header}.{payload}"
            case "pad":
                payload += "="
            case "twice":
                payload = base64url(json.dumps(claims).replace('{"iss"', '{"iss": "x", "iss"').encode())
            case "array":
                payload = base64url(b"[" * 60_000)
            case "text":
                return "not a token"
            case "none":
                return None
            case "long":
                return f"{text}{'A' * 70_000}"
        return f"{header}.{payload}.{signature}"

    scene.issuer.id_token = touched
    await refused(scene)


@pytest.mark.requirement("G-561")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_keys_of_each_usual_kind_sign(scene: Scene, browser: Browser, algorithm: str) -> None:
    scene.issuer.keys = [new_key(algorithm, None)]
    assert (await scene.sign_in(browser)).status_code == 303


@pytest.mark.requirement("G-561")
async def test_an_algorithm_that_the_issuer_does_not_offer_signs_nothing(scene: Scene) -> None:
    scene.issuer.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    await refused(scene)


@pytest.mark.requirement("G-563")
async def test_keys_that_were_changed_are_asked_for_again(scene: Scene) -> None:
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    scene.issuer.keys = [*scene.issuer.keys, new_key("ES256", "second")]
    scene.clock.advance(31)
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    assert scene.issuer.asked.count("/jwks") == 2
    scene.issuer.keys = [new_key("ES256", None)]
    scene.clock.advance(31)
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    assert scene.issuer.asked.count("/jwks") == 3


@pytest.mark.requirement("G-563")
async def test_a_key_that_was_taken_back_signs_for_an_hour_at_most(scene: Scene) -> None:
    stolen = scene.issuer.keys[0]
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    scene.issuer.keys = [new_key("ES256", "second")]
    scene.issuer.id_token = lambda claims: signed(stolen, claims)
    scene.clock.advance(3600)
    await refused(scene)


@pytest.mark.requirement("G-563")
async def test_a_flood_of_keys_that_never_were_asks_the_issuer_once(scene: Scene) -> None:
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    scene.clock.advance(31)
    key = scene.issuer.keys[0]
    for number in range(8):
        scene.issuer.id_token = lambda claims, kid=f"never-{number}": signed(key, claims, {"kid": kid})
        await refused(scene)
    assert scene.issuer.asked.count("/jwks") == 2
    scene.issuer.id_token = None
    assert (await scene.sign_in(scene.place.browser())).status_code == 303


@pytest.mark.requirement("G-563")
async def test_a_set_with_a_private_key_is_a_set_of_a_thief(scene: Scene) -> None:
    leaked = {"keys": [key.as_dict(private=True) for key in scene.issuer.keys]}
    scene.issuer.lie["/jwks"] = lambda: JSONResponse(leaked)
    answer = await scene.sign_in(scene.place.browser())
    assert answer.status_code == 503
    scene.issuer.lie["/jwks"] = lambda: JSONResponse(jwks(*scene.issuer.keys))
    scene.clock.advance(5)
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
