"""The pages, each a function of what it shows. None has a script, and none loads anything but the stylesheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import texts
from .markup import Html, document, element

_SHOWN_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the pages are, as paths below the origin."""

    signin: str
    consent: str
    signout: str
    stylesheet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user is asked. `scopes` and `resources` are pairs of what they are called and what they are.

    `site_host` is where the client's metadata document is, for a client that is known by one.
    """

    client_name: str | None
    client_id: str
    is_verified: bool
    site_host: str | None
    host: str
    is_loopback: bool
    links: Mapping[str, str]
    resources: Sequence[tuple[str, str]]
    scopes: Sequence[tuple[str, str]]
    lifetime: str
    user_id: str
    interaction_id: str
    csrf: str
    signout_csrf: str


def signin(places: Places, *, csrf: str, interaction_id: str, username: str = "", failed: bool = False) -> Html:
    """The form for name and password."""
    name = element(
        "input",
        name="username",
        value=username,
        autocomplete="username",
        autocapitalize="none",
        spellcheck="false",
        required=True,
        autofocus=True,
    )
    password = element("input", name="password", type="password", autocomplete="current-password", required=True)
    return _page(
        places,
        texts.SIGN_IN,
        *((element("p", texts.SIGN_IN_FAILED, role="alert", class_="warning"),) if failed else ()),
        _form(
            places.signin,
            {"i": interaction_id, "csrf": csrf},
            element("label", texts.USERNAME, name),
            element("label", texts.PASSWORD, password),
            element("button", texts.SIGN_IN),
        ),
    )


def signed_in(places: Places, *, user_id: str, signout_csrf: str) -> Html:
    """Where somebody is who signed in without a request to answer."""
    return _page(
        places,
        texts.SIGNED_IN,
        element("p", texts.SIGNED_IN_AS, " ", element("bdi", user_id)),
        _form(places.signout, {"csrf": signout_csrf}, element("button", texts.SIGN_OUT)),
    )


def signed_out(places: Places) -> Html:
    """The end of a session."""
    return _page(places, texts.SIGNED_OUT, element("p", element("a", texts.SIGN_IN_AGAIN, href=places.signin)))


def problem(places: Places, text: str, *, link: tuple[str, str] | None = None) -> Html:
    """What is wrong; `link` is where the browser may be sent with it, and the host of that."""
    content = [element("p", text)]
    if link is not None:
        href, host = link
        content.append(
            element("p", texts.BACK_TO_CLIENT, " ", element("a", host, href=href, rel="noopener noreferrer"))
        )
    return _page(places, texts.PROBLEM, *content)


def consent(places: Places, asked: Consent) -> Html:
    """The question whether a client may act for the user; where the answer goes stands out more than any name."""
    name = element("bdi", asked.client_name or texts.NAMELESS, class_="name")
    trust = element("p", texts.VERIFIED if asked.is_verified else texts.NOT_VERIFIED)
    if asked.site_host is not None:
        trust = element("p", texts.NOT_VERIFIED_SITE, " ", element("strong", asked.site_host, class_="site"))
    return _page(
        places,
        texts.CONSENT,
        element("p", texts.CONSENT_HOST),
        element("p", asked.host, class_="host"),
        *((element("p", texts.ON_THIS_COMPUTER, class_="warning"),) if asked.is_loopback else ()),
        element(
            "dl",
            _entry(texts.APPLICATION, name, trust, _links(asked.links)),
            _entry(texts.CLIENT_ID, element("code", asked.client_id)),
            _entry(texts.RESOURCES, _items([_described(text, what) for text, what in asked.resources])),
            _entry(texts.SCOPES, _items([_described(text, what) for text, what in asked.scopes] or [texts.NO_SCOPES])),
            _entry(texts.LIFETIME, asked.lifetime),
            _entry(texts.SIGNED_IN_AS, element("bdi", asked.user_id)),
        ),
        _form(
            places.consent,
            {"i": asked.interaction_id, "csrf": asked.csrf},
            element("button", texts.ALLOW, name="decision", value="allow"),
            element("button", texts.DENY, name="decision", value="deny"),
        ),
        _form(
            places.signout,
            {"i": asked.interaction_id, "csrf": asked.signout_csrf},
            element("button", texts.SWITCH_USER),
        ),
    )


def _page(places: Places, title: str, *content: Html) -> Html:
    return document(
        title=title,
        language=texts.LANGUAGE,
        stylesheet=places.stylesheet,
        content=(element("h1", title), *content),
    )


def _form(action: str, hidden: Mapping[str, str], *content: Html) -> Html:
    fields = (element("input", type="hidden", name=name, value=value) for name, value in hidden.items())
    return element("form", *fields, *content, method="post", action=action)


def _entry(term: str, *description: str) -> Html:
    return Html(element("dt", term) + element("dd", *description))


def _described(text: str, what: str) -> Html:
    return element("span", text, " ", element("code", what)) if text else element("code", what)


def _items(items: Sequence[str]) -> Html:
    """A list, the end of a long one folded, so that the buttons stay in sight."""
    shown = element("ul", *(element("li", item) for item in items[:_SHOWN_AT_ONCE]))
    rest = items[_SHOWN_AT_ONCE:]
    if not rest:
        return shown
    fold = element("summary", texts.more(len(rest)))
    return element("div", shown, element("details", fold, element("ul", *(element("li", item) for item in rest))))


def _links(links: Mapping[str, str]) -> Html:
    anchors = (element("a", texts.LINKS[name], href=url, rel="noopener noreferrer") for name, url in links.items())
    return element("ul", *(element("li", anchor) for anchor in anchors)) if links else Html("")
