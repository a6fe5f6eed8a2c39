"""The views: a page that asks and one that answers, behind Django's login, and a call that takes a token."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

from grantwell.integrations.django import oauth_of, parse_authorization_request, require_scopes


@login_required  # the login first, and then back to here
async def authorize(request: HttpRequest) -> HttpResponse:
    """Show what a client asks for; what was shown is kept in the session of whoever saw it."""
    asked = await parse_authorization_request(request)  # what is wrong with it is answered by the middleware
    await request.session.aset("asked", asked.encoded())
    user, host = await request.auser(), oauth_of(request).redirect_host(asked.redirect_uri)
    shown = {"user": user.get_username(), "client": asked.client.name, "host": host, "scopes": ", ".join(asked.scopes)}
    return render(request, "consent.html", shown)


@login_required
async def consent(request: HttpRequest) -> HttpResponse:
    """Grant what was shown. Django's CSRF check has passed, so it was the page above that posted."""
    encoded = await request.session.apop("asked", None)
    if request.method != "POST" or encoded is None:
        return HttpResponse("Start again.", status=400)
    oauth, user = oauth_of(request), await request.auser()
    asked = await oauth.load_authorization_request(encoded)
    name, props = user.get_username(), {"staff": user.is_staff}
    location = await oauth.complete_authorization(asked, user_id=name, props=props)
    return HttpResponse(status=303, headers={"Location": location})


@require_scopes("notes:read")
def notes(request: HttpRequest) -> HttpResponse:
    """A protected call. The view may be sync, as here, or async."""
    who = request.oauth
    return JsonResponse({"notes of": who.user_id, "staff": who.props["staff"]})


urlpatterns = [
    path("accounts/login/", LoginView.as_view()),
    path("authorize", authorize),
    path("consent", consent),
    path("api/notes", notes),
]
