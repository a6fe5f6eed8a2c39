"""The FastAPI adapter: what its dependency gives and demands, what OpenAPI says of it, and the page for the docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from grantwell import OAuthProvider, Principal, Resource
from grantwell.integrations.fastapi import OAuth, add_docs
from grantwell_pytest.tokens import AsyncOAuth
from grantwell_pytest.tokens import OAuth as OAuthOfTests
from tests.docs.first_client import bearer, tokens_for
from tests.integrations.own_process import ISSUER, World, Yes, provider_with
from tests.integrations.running import PASSWORD, served_example
from tests.interop.person import CHALLENGE, VERIFIER, Person, parameters_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SCOPES = {"notes:read": "Read", "notes:write": "Write", "notes:all": "Both"}
oauth = OAuth(ISSUER, SCOPES)


def _signed_in(who: Annotated[Principal, Security(oauth)]) -> Principal:
    return who


def application() -> FastAPI:
    """An API whose operations need scopes in all the ways that FastAPI has."""
    api = FastAPI(docs_url=None)

    @api.get("/api/me")
    async def me(who: Annotated[Principal, Security(oauth)]) -> dict[str, Any]:
        return {"user": who.user_id, "props": who.props}

    @api.get("/api/threaded")
    def threaded(who: Annotated[Principal, Security(oauth, scopes=["notes:read"])]) -> str:
        return who.identity

    @api.get("/api/nested")
    async def nested(who: Annotated[Principal, Security(_signed_in, scopes=["notes:write"])]) -> str:
        return who.identity

    router = APIRouter(prefix="/api/sub", dependencies=[Security(oauth, scopes=["notes:read"])])

    @router.put("/{name}")
    async def put(name: str, who: Annotated[Principal, Security(oauth, scopes=["notes:write"])]) -> str:
        return name + who.identity

    @router.delete("/{name}", include_in_schema=False)
    async def delete(name: str, who: Annotated[Principal, Security(oauth, scopes=["notes:write"])]) -> str:
        return name + who.identity

    api.include_router(router)

    @api.get("/outside")
    async def outside(who: Annotated[Principal, Depends(oauth)]) -> str:
        return who.identity

    return api


async def call(world: World, token: str, path: str, method: str = "GET") -> httpx.Response:
    """A call with this token."""
    return await world.http.request(method, path, headers={"Authorization": f"Bearer {token}"})


def challenged_scopes(answer: httpx.Response) -> set[str]:
    """The scopes that a 403 asks for."""
    assert answer.status_code == 403, answer.text
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/api"' in challenge
    return set(challenge.partition('scope="')[2].partition('"')[0].split(" "))


@pytest.mark.requirement("G-625")
async def test_the_dependency_gives_the_principal_and_demands_the_scopes() -> None:
    async with provider_with("/api", application(), SCOPES, {"notes:all": ["notes:read", "notes:write"]}) as world:
        reader = await world.token("alice", "notes:read", {"plan": "free"})
        assert (await call(world, reader, "/api/me")).json() == {"user": "alice", "props": {"plan": "free"}}
        assert (await call(world, reader, "/api/threaded")).json() == "alice"
        assert challenged_scopes(await call(world, reader, "/api/nested")) == {"notes:write"}
        assert (await world.http.get("/api/me")).status_code == 401
        everything = await world.token("bob", "notes:all")
        assert (await call(world, everything, "/api/nested")).json() == "bob"
        assert (await call(world, everything, "/api/sub/a", "PUT")).json() == "abob"


@pytest.mark.requirement("G-625", "S-102")
async def test_a_refusal_names_every_scope_that_the_operation_needs() -> None:
    async with provider_with("/api", application(), SCOPES) as world:
        neither = await world.token("alice", "notes:all")
        assert challenged_scopes(await call(world, neither, "/api/sub/a", "PUT")) == {"notes:read", "notes:write"}
        reader = await world.token("alice", "notes:read")
        assert challenged_scopes(await call(world, reader, "/api/sub/a", "PUT")) == {"notes:read", "notes:write"}
        # What is not in the document names what the dependency that refused asked for.
        assert challenged_scopes(await call(world, reader, "/api/sub/a", "DELETE")) == {"notes:write"}


@pytest.mark.requirement("G-625")
def test_a_websocket_demands_its_scopes_before_it_is_open() -> None:
    api, tokens = FastAPI(), OAuthOfTests(AsyncOAuth())

    @api.websocket("/api/updates")
    async def updates(socket: WebSocket, who: Annotated[Principal, Security(oauth, scopes=["notes:read"])]) -> None:
        await socket.accept()
        await socket.send_text(who.identity)
        await socket.close()

    resources = {"/api": Resource(scopes=SCOPES)}
    issuer = "https://api.test"
    app = OAuthProvider(issuer=issuer, api_handlers={"/api": api}, resources=resources, **tokens.parts)
    client = TestClient(tokens.use(app), base_url=issuer)
    with client.websocket_connect("/api/updates", headers=tokens.headers("alice", ["notes:read"])) as socket:
        assert socket.receive_text() == "alice"
    writer = tokens.headers("alice", ["notes:write"])
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/api/updates", headers=writer):
        pass
    assert refused.value.status_code == 403
    assert 'scope="notes:read"' in refused.value.headers["www-authenticate"]


@pytest.mark.requirement("G-625")
async def test_outside_of_the_protected_prefixes_nobody_is_let_in() -> None:
    api = application()
    async with provider_with("/api", api, SCOPES, default=api) as world:
        with pytest.raises(LookupError, match="no protected call"):
            await world.http.get("/outside", headers={"Authorization": "Bearer made-up"})


@pytest.mark.requirement("G-626")
def test_openapi_tells_where_to_authorize_and_what_each_operation_needs() -> None:
    document = application().openapi()
    assert document["components"]["securitySchemes"] == {
        "OAuth": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{ISSUER}/authorize",
                    "tokenUrl": f"{ISSUER}/token",
                    "refreshUrl": f"{ISSUER}/token",
                    "scopes": SCOPES,
                }
            },
        }
    }
    assert document["paths"]["/api/threaded"]["get"]["security"] == [{"OAuth": ["notes:read"]}]
    assert document["paths"]["/api/nested"]["get"]["security"] == [{"OAuth": ["notes:write"]}]
    (needed,) = document["paths"]["/api/sub/{name}"]["put"]["security"]
    assert set(needed["OAuth"]) == {"notes:read", "notes:write"}


@pytest.mark.requirement("G-625", "S-102")
async def test_the_example_serves_a_client_that_discovers_it(tmp_path: Path) -> None:
    with served_example("fastapi_app", tmp_path, "alice") as origin:
        async with httpx.AsyncClient(base_url=origin) as http, Person("alice", PASSWORD) as alice:
            full = await tokens_for(http, alice)
            written = await http.post("/api/notes", params={"text": "milk"}, headers=bearer(full))
            assert (written.status_code, written.json()) == (201, 1)
            reader = await tokens_for(http, alice, scope="notes:read")
            assert (await http.get("/api/notes", headers=bearer(reader))).json() == ["milk"]
            refused = await http.post("/api/notes", params={"text": "tea"}, headers=bearer(reader))
            assert refused.status_code == 403
            assert 'scope="notes:write"' in refused.headers["www-authenticate"]


@pytest.mark.requirement("G-626")
async def test_the_page_of_the_docs_is_a_client_that_gets_a_token(tmp_path: Path) -> None:
    """By hand what Swagger UI does; `test_swagger.py` lets it do it."""
    with served_example("fastapi_app", tmp_path, "alice") as origin:
        async with httpx.AsyncClient(base_url=origin) as http, Person("alice", PASSWORD) as alice:
            page = (await http.get("/docs")).raise_for_status().text
            assert '"clientId": "docs"' in page
            assert '"usePkceWithAuthorizationCodeGrant": true' in page
            flow = (await http.get("/openapi.json")).json()["components"]["securitySchemes"]["OAuth"]["flows"]
            back = f"{origin}/docs/oauth2-redirect"
            query = httpx.QueryParams(
                response_type="code",
                client_id="docs",
                redirect_uri=back,
                scope="notes:read notes:write",
                state="U3VuIE5vdg==",
                code_challenge=CHALLENGE,
                code_challenge_method="S256",
            )
            url = f"{flow['authorizationCode']['authorizationUrl']}?{query}"
            answer = parameters_of(await alice.answer(url, back))
            assert answer["state"] == "U3VuIE5vdg=="
            assert "window.opener.swaggerUIRedirectOauth2" in (await http.get(back, params=answer)).text
            form = {
                "grant_type": "authorization_code",
                "client_id": "docs",
                "code": answer["code"],
                "redirect_uri": back,
                "code_verifier": VERIFIER,
            }
            from_a_page = {"X-Requested-With": "XMLHttpRequest", "Origin": origin}
            tokens = await http.post(flow["authorizationCode"]["tokenUrl"], data=form, headers=from_a_page)
            assert (await http.get("/api/notes", headers=bearer(tokens.raise_for_status().json()))).json() == []


@pytest.mark.requirement("G-626")
async def test_the_client_of_the_page_is_made_once_follows_the_issuer_and_takes_nobody_elses_place() -> None:
    api, site = application(), Yes()
    add_docs(api)
    add_docs(api, path="/other", client_id="taken")

    async def default(scope: Any, receive: Any, send: Any) -> None:
        await (site if scope["path"] == "/authorize" else api)(scope, receive, send)

    async with provider_with("/api", api, SCOPES, default=default) as world:
        helpers = world.provider.helpers
        assert {(await world.http.get("/docs")).status_code for _ in range(2)} == {200}
        assert [client.client_id for client in (await helpers.list_clients()).items] == ["docs"]
        await helpers.update_client("docs", {"redirect_uris": ["https://before.example/docs/oauth2-redirect"]})
        await world.http.get("/docs")
        client = await helpers.lookup_client("docs")
        assert client is not None
        assert client.redirect_uris == (f"{ISSUER}/docs/oauth2-redirect",)
        await helpers.create_client(
            {"redirect_uris": ["https://else.example/cb"], "token_endpoint_auth_method": "none"}, client_id="taken"
        )
        with pytest.raises(ValueError, match="is something else"):
            await world.http.get("/other")


@pytest.mark.requirement("G-626")
async def test_docs_of_an_application_that_serves_its_own_or_has_no_provider_are_refused() -> None:
    with pytest.raises(ValueError, match="docs_url=None"):
        add_docs(FastAPI())
    api = application()
    add_docs(api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url=ISSUER) as http:
        assert (await http.get("/docs")).status_code == 404


@pytest.mark.requirement("G-628")
async def test_an_application_keeps_its_own_login_and_grants_what_it_showed_to_whom_it_showed_it(
    tmp_path: Path,
) -> None:
    with served_example("fastapi_own_login", tmp_path) as origin:
        async with (
            httpx.AsyncClient(base_url=origin) as http,
            Person("alice", "wonderland") as alice,
            Person("bob", "builder") as bob,
        ):
            tokens = await tokens_for(http, alice)
            assert "Read your notes" in alice.pages[-1]
            assert (await http.get("/api/notes", headers=bearer(tokens))).json() == ["a note of alice"]
            assert (await http.get("/api/notes")).status_code == 401
            assert (await alice._browser.get(f"{origin}/api/notes")).status_code == 401, "the cookie is no token"
            await tokens_for(http, bob)
            shown = await alice._browser.get(alice.opened[0])
            ticket = {"ticket": shown.text.partition("value=")[2].partition(">")[0]}
            stolen = await bob._browser.post(f"{origin}/consent", data=ticket)
            assert (stolen.status_code, stolen.text) == (403, "Start again.")
            assert (await alice._browser.post(f"{origin}/consent", data=ticket)).status_code == 403
            foreign = await alice._browser.get(f"{origin}/authorize", params={"client_id": "nobody"})
            assert (foreign.status_code, foreign.has_redirect_location) == (400, False)
            implicit = alice.opened[0].replace("response_type=code", "response_type=token")
            to_the_client = await alice._browser.get(implicit)
            assert "error=unsupported_response_type" in to_the_client.headers["location"]
            nowhere = await http.get(implicit)
            assert (nowhere.status_code, nowhere.has_redirect_location) == (400, False), "nobody has signed in"
            for nobody in ({}, {"user": ""}, {"user": "alice"}, {"user": "alice", "password": "builder"}):
                assert (await http.post("/login", data=nobody)).status_code in (400, 403)
