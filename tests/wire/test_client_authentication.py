"""Client authentication, at each endpoint where clients authenticate: by the registered method and by it alone."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from grantwell._protocol.tokens import format_client_secret
from tests.wire.world import World, nothing_changes, parsed, refused

requirement = pytest.mark.requirement

METHODS = pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])


@pytest.fixture(params=["/token", "/revoke"])
def path(request: pytest.FixtureRequest) -> str:
    """An endpoint where clients authenticate."""
    where: str = request.param
    return where


class Sender:
    """Sends a request that would succeed for the right client, with whatever credentials it is told to use."""

    def __init__(self, world: World, path: str, client: dict[str, Any], token: str) -> None:
        self.world, self.path, self.client, self.token = world, path, client, token

    async def __call__(
        self, form: dict[str, Any] | None = None, *, authorization: str | bytes | list[bytes] | None = None
    ) -> httpx.Response:
        request = {"grant_type": "refresh_token", "refresh_token": self.token, "token": self.token} | (form or {})
        values = authorization if isinstance(authorization, list) else [authorization]
        headers = [(b"authorization", v if isinstance(v, bytes) else v.encode()) for v in values if v is not None]
        return await self.world.http.post(self.path, data=request, headers=headers)

    async def refused(self, answer: httpx.Response, *, basic: bool) -> None:
        """Check that an answer is the refusal of credentials, and nothing more than that."""
        refused(answer, "invalid_client", 401)
        assert answer.json()["error_description"] == "Client authentication failed."
        assert answer.headers.get("www-authenticate", "").startswith("Basic ") is basic


async def sender(world: World, path: str, method: str) -> Sender:
    """A request of a new client, registered with this method."""
    client = await world.register(token_endpoint_auth_method=method)
    return Sender(world, path, client, (await world.tokens(client)).refresh)


def basic(client_id: str, secret: str) -> str:
    """An Authorization header; the halves are to be encoded already."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@requirement("S-211", "S-212", "S-206", "C-113", "C-116")
async def test_each_method_works_for_the_client_that_registered_it(world: World, path: str) -> None:
    by_header = await sender(world, path, "client_secret_basic")
    client = by_header.client
    assert (await by_header(authorization=basic(client["client_id"], client["client_secret"]))).status_code == 200
    by_body = await sender(world, path, "client_secret_post")
    client = by_body.client
    answer = await by_body({"client_id": client["client_id"], "client_secret": client["client_secret"]})
    assert answer.status_code == 200
    public = await sender(world, path, "none")
    assert (await public({"client_id": public.client["client_id"]})).status_code == 200


@requirement("A-082", "S-212", "C-113")
async def test_the_halves_of_basic_are_form_encoded_and_decoded_exactly_once(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")
    client_id, secret = send.client["client_id"], send.client["client_secret"]
    every = "".join(f"%{ord(character):02X}" for character in secret)
    for encoded in (quote_plus(secret), every, every.lower()):
        assert (await send(authorization=basic(client_id, encoded))).status_code == 200
    with nothing_changes(world):
        await send.refused(await send(authorization=basic(client_id, every.replace("%", "%25"))), basic=True)


@requirement("S-213", "A-077", "A-074", "A-190", "S-216", "S-228", "C-116", "C-119")
@METHODS
async def test_a_client_that_uses_another_method_than_its_own_is_refused(world: World, path: str, method: str) -> None:
    send = await sender(world, path, method)
    client_id, secret = send.client["client_id"], send.client["client_secret"]
    with nothing_changes(world):
        await send.refused(await send({"client_id": client_id}), basic=False)
        await send.refused(await send({"client_id": client_id, "client_secret": ""}), basic=False)
        if method == "client_secret_basic":
            await send.refused(await send({"client_id": client_id, "client_secret": secret}), basic=False)
        else:
            await send.refused(await send(authorization=basic(client_id, secret)), basic=True)


@requirement("A-075", "S-206", "S-213")
async def test_a_public_client_that_sends_a_secret_is_refused(world: World, path: str) -> None:
    send = await sender(world, path, "none")
    client_id = send.client["client_id"]
    with nothing_changes(world):
        await send.refused(await send({"client_id": client_id, "client_secret": "x"}), basic=False)
        for secret in ("x", ""):
            await send.refused(await send(authorization=basic(client_id, secret)), basic=True)
    assert (await send({"client_id": client_id})).status_code == 200


@requirement("A-076", "A-083", "S-214", "C-117", "C-118")
@METHODS
async def test_a_wrong_secret_is_refused_whatever_is_wrong_with_it(world: World, path: str, method: str) -> None:
    send = await sender(world, path, method)
    other = await world.register(token_endpoint_auth_method=method)
    client_id, right = send.client["client_id"], send.client["client_secret"]
    secrets = [
        "wrong",
        other["client_secret"],
        hashlib.sha256(right.encode()).hexdigest(),
        right + " ",
        " " + right,
        right[:-1],
        right + "A",
        right.swapcase(),
        "é",
        "x" * 513,
        "x" * 5_000,
        format_client_secret(bytes(32)),
    ]
    with nothing_changes(world):
        for secret in secrets:
            if method == "client_secret_basic":
                await send.refused(await send(authorization=basic(client_id, secret)), basic=True)
                await send.refused(await send(authorization=basic(client_id, quote_plus(secret))), basic=True)
            else:
                await send.refused(await send({"client_id": client_id, "client_secret": secret}), basic=False)


@requirement("A-078", "S-215", "C-114")
async def test_two_methods_in_one_request_are_refused_even_if_both_are_right(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")
    client_id, secret = send.client["client_id"], send.client["client_secret"]
    header = basic(client_id, secret)
    with nothing_changes(world):
        for form in (
            {"client_secret": secret},
            {"client_id": client_id, "client_secret": secret},
            {"client_secret": "wrong"},
            {"client_assertion": "x", "client_assertion_type": "y"},
            {"client_assertion": "x"},
        ):
            refused(await send(form, authorization=header), "invalid_request")
        refused(await send(authorization=[header.encode(), header.encode()]), "invalid_request")
        refused(await send(authorization=[header.encode(), b"Bearer x"]), "invalid_request")


@requirement("A-079", "S-217", "C-114")
async def test_a_client_id_in_the_body_must_be_that_of_the_header(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")
    header = basic(send.client["client_id"], send.client["client_secret"])
    others = [await world.register(), await world.register(token_endpoint_auth_method="client_secret_basic")]
    with nothing_changes(world):
        for client_id in (*(other["client_id"] for other in others), "unknown", send.client["client_id"] + " "):
            refused(await send({"client_id": client_id}, authorization=header), "invalid_request")
    assert (await send({"client_id": send.client["client_id"]}, authorization=header)).status_code == 200


@requirement("A-081", "A-083", "S-214", "C-113", "C-118")
@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        b"Basic ",
        b"Basic\t",
        b"Basic Og==",
        b"Basic eA==",
        b"Basic %%%",
        b"Basic YTpi!",
        b"Basic YT pi",
        b"Basic YTpi\xe9",
        b"Basic YTo",
        b"Basic -_-_",
        b"Basic " + base64.b64encode(b"a:%zz"),
        b"Basic " + base64.b64encode(b"a:%"),
        b"Basic " + base64.b64encode(b"a:\xe9"),
        b"Basic " + base64.b64encode(b"a:\xc0\xae"),
        b"Basic " + base64.b64encode(b"a:b\x00"),
        b"Basic " + base64.b64encode(b"a:" + b"b" * 65_536),
        b"basic,YTpi",
    ],
    ids=lambda header: repr(header[:24]),
)
async def test_broken_basic_credentials_are_refused_like_wrong_ones(world: World, path: str, header: bytes) -> None:
    send = await sender(world, path, "none")
    with nothing_changes(world):
        await send.refused(await send(authorization=header), basic=True)
        # The client could do without: but credentials that are sent are checked.
        await send.refused(await send({"client_id": send.client["client_id"]}, authorization=header), basic=True)


@requirement("C-113", "S-084")
async def test_the_scheme_may_be_in_any_case_and_other_schemes_are_not_ours(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")
    header = basic(send.client["client_id"], send.client["client_secret"])
    assert (await send(authorization=header.replace("Basic", "bAsIc"))).status_code == 200
    public = await sender(world, path, "none")
    for other in ("Bearer x", "Digest username=x", "Basically YTpi"):
        again = await sender(world, path, "none")
        assert (await again({"client_id": again.client["client_id"]}, authorization=other)).status_code == 200
    await public.refused(await public(authorization="Bearer x"), basic=False)


@requirement("A-084", "A-086", "S-232", "S-247", "S-365", "C-115", "A-163", "S-012")
async def test_an_unknown_client_is_refused_however_its_id_is_spelled(world: World, path: str) -> None:
    send = await sender(world, path, "none")
    client_id = send.client["client_id"]
    spellings = [
        "",
        client_id.upper(),
        client_id + " ",
        " " + client_id,
        client_id[:-1],
        client_id[:-1] + "_",
        client_id[:-1] + "%",
        client_id + "' OR '1'='1",
        "../" + client_id,
        "ｃ" + client_id[1:],
        "é",
        "*",
        "x" * 60_000,
        "https://m1.test/client.json",
    ]
    with nothing_changes(world):
        await send.refused(await send(), basic=False)
        for spelling in spellings:
            await send.refused(await send({"client_id": spelling}), basic=False)
            await send.refused(await send({"client_id": spelling, "client_secret": "x"}), basic=False)
            await send.refused(await send(authorization=basic(quote_plus(spelling), "x")), basic=True)


@requirement("A-085", "S-011", "C-112")
async def test_a_client_id_that_is_sent_twice_is_refused(world: World, path: str) -> None:
    send = await sender(world, path, "none")
    client_id, other = send.client["client_id"], (await world.register())["client_id"]
    with nothing_changes(world):
        for pair in ([client_id, other], [client_id, client_id], ["", client_id]):
            refused(await send({"client_id": pair}), "invalid_request")


@requirement("A-087", "C-120", "S-215")
@pytest.mark.parametrize(
    "form",
    [
        {
            "client_assertion": "x" * 1000,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
        {"client_assertion": "eyJhbGciOiJub25lIn0.e30."},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    ],
)
async def test_an_assertion_is_refused_and_not_overlooked(world: World, path: str, form: dict[str, str]) -> None:
    send = await sender(world, path, "none")
    with nothing_changes(world):
        await send.refused(await send({"client_id": send.client["client_id"], **form}), basic=False)
        await send.refused(await send(form), basic=False)


@requirement("A-089", "S-214", "C-119", "C-122")
@METHODS
async def test_who_does_not_authenticate_learns_nothing_of_codes_and_tokens(
    world: World, path: str, method: str
) -> None:
    send = await sender(world, path, method)
    stranger = await sender(world, path, "none")
    code = await world.code(send.client, headers={"x-user": "u2"})
    credentials = {"client_id": send.client["client_id"], "client_secret": "wrong"}
    bodies = set()
    with nothing_changes(world):
        for form in (
            {},
            {"refresh_token": "unknown", "token": "unknown"},
            {"refresh_token": stranger.token, "token": stranger.token},
            {"grant_type": "authorization_code", "code": code, "code_verifier": world.pkce.verifier},
            {"grant_type": "authorization_code", "code": "unknown"},
            {"grant_type": "password"},
            {"grant_type": ""},
            {"refresh_token": "", "token": ""},
        ):
            bodies.add((await send({**credentials, **form})).content)
    assert len(bodies) == 1


@requirement("A-091", "S-210", "S-373", "S-209")
async def test_guessing_a_secret_is_hopeless_and_locks_its_owner_out_of_nothing(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")
    client_id, secret = send.client["client_id"], send.client["client_secret"]
    assert len(secret) == len(format_client_secret(bytes(32)))
    for number in range(100):
        await send.refused(await send(authorization=basic(client_id, f"guess-{number}")), basic=True)
    slowed = await send(authorization=basic(client_id, "one more"))
    assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "60")
    assert slowed.json()["error"] == "temporarily_unavailable"
    assert (await send(authorization=basic(client_id, secret))).status_code == 200


@requirement("S-230", "A-092", "S-465")
async def test_a_secret_is_shown_once_and_nowhere_kept(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_basic")
    assert client["client_secret_expires_at"] == 0
    stored = repr(await world.store.get_client(client["client_id"]))
    assert client["client_secret"] not in stored
    assert client["client_secret"][4:-6] not in stored
    public = await world.register()
    assert "client_secret" not in public


@requirement("S-246", "A-066", "A-182")
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
async def test_a_client_that_was_deleted_is_told_to_register_again(world: World, path: str, method: str) -> None:
    send = await sender(world, path, method)
    assert await world.provider.helpers.delete_client(send.client["client_id"])
    form = {"grant_type": "refresh_token", "refresh_token": send.token, "token": send.token}
    await send.refused(await world.post(path, send.client, form), basic=method == "client_secret_basic")


@requirement("S-218", "S-455", "S-454")
async def test_a_native_client_needs_no_secret_and_its_id_proves_nothing(world: World) -> None:
    client = await world.register(redirect_uris=["http://127.0.0.1/cb"], application_type="native")
    assert client["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in client
    tokens = await world.tokens(client)
    parsed(await world.refresh(client, tokens.refresh))
    answer = await world.post("/token", client, {"grant_type": "client_credentials"})
    refused(answer, "unauthorized_client")


@requirement("A-089")
async def test_a_wrong_secret_takes_about_as_long_as_an_unknown_client(world: World, path: str) -> None:
    send = await sender(world, path, "client_secret_basic")

    async def quickest(client_id: str) -> float:
        best = 1.0
        for _ in range(20):
            before = time.perf_counter()
            await send(authorization=basic(client_id, "wrong"))
            best = min(best, time.perf_counter() - before)
        return best

    known, unknown = await quickest(send.client["client_id"]), await quickest("0" * 32)
    assert abs(known - unknown) < 0.005
