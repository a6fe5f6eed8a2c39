"""Django: the example project in a process of its own, and views of every kind behind the guard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import django
import httpx
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

import grantwell
from grantwell.integrations.django import PrincipalMiddleware, oauth_of, parse_authorization_request, require_scopes
from tests.cli.processes import environment
from tests.docs.first_client import REDIRECT_URI, bearer, tokens_for
from tests.integrations.own_process import ISSUER, World, provider_with
from tests.integrations.running import PASSWORD, ROOT, listener, made_database, origin_of, served
from tests.interop.person import CHALLENGE, Person

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SCOPES = {"notes:read": "Read", "notes:write": "Write"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _managed(folder: Path, *words: str, **more: str) -> None:
    """Run one of Django's commands on the project."""
    subprocess.run(
        [sys.executable, "-m", "django", *words],
        cwd=ROOT,
        env=environment(EXAMPLE_FOLDER=str(folder), DJANGO_SETTINGS_MODULE="examples.django_project.settings", **more),
        capture_output=True,
        timeout=60,
        check=True,
    )


@pytest.mark.requirement("G-629", "G-628")
async def test_djangos_own_login_grants_and_its_views_know_the_caller(tmp_path: Path) -> None:
    made_database("django_project", tmp_path)
    _managed(tmp_path, "migrate", "--verbosity", "0")
    account = ("createsuperuser", "--noinput", "--email", "a@b.test", "--username")
    for user in ("alice", "bob"):
        _managed(tmp_path, *account, user, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    sock = listener()
    origin = origin_of(sock)
    with served("examples.django_project.asgi:app", tmp_path, sock, settings={"ISSUER": origin}):
        async with (
            httpx.AsyncClient(base_url=origin) as http,
            Person("alice", PASSWORD) as alice,
            Person("bob", PASSWORD) as bob,
        ):
            tokens = await tokens_for(http, alice)
            assert "wants to use notes:read" in alice.pages[-1]
            answer = await http.get("/api/notes", headers=bearer(tokens))
            assert answer.json() == {"notes of": "alice", "staff": True}
            assert (await alice._browser.get(f"{origin}/api/notes")).status_code == 401, "the cookie is no token"
            await tokens_for(http, bob)
            again = await alice._browser.post(f"{origin}/consent")
            assert again.status_code == 403, "without Django's CSRF token"
            implicit = alice.opened[0].replace("response_type=code", "response_type=token")
            to_the_client = await alice._browser.get(implicit)
            assert "error=unsupported_response_type" in to_the_client.headers["location"]
            foreign = await alice._browser.get(f"{origin}/authorize", params={"client_id": "nobody"})
            assert (foreign.status_code, foreign.has_redirect_location) == (400, False)


@require_scopes("notes:read")
def sync_view(request: HttpRequest) -> HttpResponse:
    """Who calls, from a thread."""
    return JsonResponse({"user": request.oauth.user_id, "deep": grantwell.current_principal().user_id})


@require_scopes("notes:read", "notes:write")
async def async_view(request: HttpRequest, name: str) -> HttpResponse:
    """Who calls, on the event loop."""
    return JsonResponse({"user": request.oauth.user_id, "name": name, "body": request.body.decode()})


def deep_view(request: HttpRequest) -> HttpResponse:
    """Asks for more scope somewhere below."""
    grantwell.require_scopes("notes:write")
    return HttpResponse("never")


def open_view(request: HttpRequest) -> HttpResponse:
    """What everybody may see."""
    return JsonResponse({"caller": request.oauth})


async def broken_view(request: HttpRequest) -> HttpResponse:
    """A trouble that is none of ours."""
    raise ZeroDivisionError


def authorize_view(request: HttpRequest) -> HttpResponse:
    """Sync, as most of Django's are: the operations are called through asgiref."""
    asked = async_to_sync(parse_authorization_request)(request)
    location = async_to_sync(oauth_of(request).complete_authorization)(asked, user_id="alice")
    return HttpResponse(status=303, headers={"Location": location})


urlpatterns = [
    path("api/sync", sync_view),
    path("api/async/<name>", async_view),
    path("api/deep", deep_view),
    path("api/broken", broken_view),
    path("open", open_view),
    path("outside", sync_view),
    path("authorize", csrf_exempt(authorize_view)),  # a client may post its request from a page of its own
]


@pytest.fixture(scope="module")
def project() -> Any:
    """A Django application of the views above, with the middleware that a project has."""
    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        MIDDLEWARE=[
            "django.middleware.csrf.CsrfViewMiddleware",
            "grantwell.integrations.django.PrincipalMiddleware",
        ],
    )
    django.setup()
    return get_asgi_application()


@pytest.fixture
async def world(project: Any) -> AsyncIterator[World]:
    """A provider in front of the application."""
    async with provider_with("/api", project, SCOPES, default=project) as running:
        yield running


async def _token(world: World, scope: str) -> dict[str, str]:
    tokens = await tokens_for(world.http, Person("alice", "", transport=world.http._transport), scope=scope)
    return bearer(tokens)


@pytest.mark.requirement("G-629")
async def test_sync_and_async_views_know_the_caller_and_demand_scopes(world: World) -> None:
    reader, writer = await _token(world, "notes:read"), await _token(world, "notes:read notes:write")
    assert (await world.http.get("/api/sync", headers=reader)).json() == {"user": "alice", "deep": "alice"}
    told = await world.http.post("/api/async/x", headers=writer, content=b"without a CSRF token")
    assert told.json() == {"user": "alice", "name": "x", "body": "without a CSRF token"}
    for place, needed in (("/api/async/x", "notes:read notes:write"), ("/api/deep", "notes:write")):
        refused = await world.http.get(place, headers=reader)
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert f'scope="{needed}"' in refused.headers["www-authenticate"]
        assert f'resource_metadata="{ISSUER}/.well-known/' in refused.headers["www-authenticate"]
    assert (await world.http.get("/open")).json() == {"caller": None}
    assert (await world.http.get("/api/broken", headers=reader)).status_code == 500


@pytest.mark.requirement("G-629")
async def test_a_view_that_needs_scopes_is_not_reached_around_the_guard(world: World, project: Any) -> None:
    made_up = {"Authorization": "Bearer made-up"}
    assert (await world.http.get("/outside", headers=made_up)).status_code == 500
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=project), base_url=ISSUER) as alone:
        assert (await alone.get("/api/sync", headers=made_up)).status_code == 500
    with pytest.raises(ImproperlyConfigured, match="protected prefix"):
        sync_view(RequestFactory().get("/api/sync"))
    with pytest.raises(ImproperlyConfigured, match="OAuthProvider"):
        oauth_of(AsyncRequestFactory().get("/authorize"))


@pytest.mark.requirement("G-629")
async def test_an_authorization_request_may_be_posted_to_a_view(world: World) -> None:
    metadata = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
    client, _ = await world.provider.helpers.create_client(metadata)
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = await world.http.post("/authorize", data=asked)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{REDIRECT_URI}?code=gwc_")
    implicit = await world.http.post("/authorize", data=asked | {"response_type": "token", "state": "s"})
    assert implicit.status_code == 303
    assert implicit.headers["location"].startswith(f"{REDIRECT_URI}?error=unsupported_response_type&")
    registered = await world.http.post("/register", json=metadata)
    stranger = asked | {"response_type": "token", "client_id": registered.json()["client_id"]}
    nowhere = await world.http.post("/authorize", data=stranger)
    assert (nowhere.status_code, nowhere.has_redirect_location) == (400, False), "nobody has signed in"
    twice = await world.http.post("/authorize", content=b"client_id=a&client_id=b", headers=FORM)
    assert (twice.status_code, twice.has_redirect_location) == (400, False)


@pytest.mark.requirement("G-629")
def test_the_middleware_leaves_a_request_without_asgi_alone() -> None:
    request = RequestFactory().get("/")
    answer = PrincipalMiddleware(lambda request: HttpResponse(str(request.oauth)))(request)
    assert answer.content == b"None"
