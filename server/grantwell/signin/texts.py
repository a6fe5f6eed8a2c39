"""Every word that the pages say, in one place: a translation replaces them by `Branding(texts={…})`.

A text may have placeholders, `{name}`; a text that takes its place has the same ones. What stands for a placeholder is
escaped when it gets there, the text itself as well: a text is never markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from markupsafe import Markup, escape

from ..errors import ConfigurationError

TEXTS: Mapping[str, str] = {
    # The language of the texts, as BCP 47 has it, and which way it runs: ltr or rtl.
    "language": "en",
    "direction": "ltr",
    "sign_out": "Sign out",
    # Signing in
    "signin.title": "Sign in",
    "signin.username": "User name",
    "signin.password": "Password",
    "signin.submit": "Sign in",
    "signin.failed": (
        "You are not signed in. The user name or the password is wrong, or there were too many tries from here: "
        "then wait ten minutes."
    ),
    "signin.once_more": "Sign in once more, so that nobody goes on who only found this browser open.",
    "signin.with": "Continue with {provider}",
    "signin.or": "or",
    "signed_in.title": "You are signed in",
    "signed_in.as": "Signed in as {user}",
    "signed_out.title": "You are signed out",
    "signed_out.again": "Sign in again",
    # Consent
    "consent.title": "Allow access?",
    "consent.host": "Your answer, and with it the access, goes to this address:",
    "consent.application": "Application",
    "consent.nameless": "An application without a name",
    "consent.client_id": "Its client id",
    "consent.not_verified": "Not verified: it registered itself under a name of its own choice.",
    "consent.not_verified_site": "Not verified by this server. It is described by a document on this site:",
    "consent.verified": "Registered by the operator of this server.",
    "consent.loopback": (
        "This address is a program on this computer. Go on only if you started it yourself just now: any program that "
        "runs here can ask under any name."
    ),
    "consent.client_uri": "Home page",
    "consent.tos_uri": "Terms of service",
    "consent.policy_uri": "Privacy policy",
    "consent.resources": "It wants access to",
    "consent.scopes": "There it will be able to",
    "consent.no_scopes": "Use it in your name, with no particular permission",
    "consent.offline_access": "Stay connected while you are away",
    "consent.lifetime": "For how long",
    "consent.signed_in_as": "Signed in as",
    "consent.switch_user": "Not you? Sign in as somebody else",
    "consent.allow": "Allow",
    "consent.deny": "Deny",
    "more": "… and {count} more",
    # Lengths of time
    "lifetime.endless": "Until you or the operator ends it.",
    "lifetime.endless_idle": "Until you or the operator ends it, less if it is not used for {idle}.",
    "lifetime.absolute": "{absolute} at most.",
    "lifetime.absolute_idle": "{absolute} at most, less if it is not used for {idle}.",
    "days.one": "{count} day",
    "days.other": "{count} days",
    "hours.one": "{count} hour",
    "hours.other": "{count} hours",
    "minutes.one": "{count} minute",
    "minutes.other": "{count} minutes",
    "seconds.one": "{count} second",
    "seconds.other": "{count} seconds",
    # What does not work: what the page is headed, what happened, and what to do next
    "problem.back_to_client": (
        "You can go back to the application and tell it about the error. It is not known to this server:"
    ),
    "problem.not_found.title": "There is nothing here",
    "problem.not_found.happened": "There is no page at this address.",
    "problem.not_found.next": "Go back to the application that you came from, and begin there again.",
    "problem.method_not_allowed.title": "This does not work",
    "problem.method_not_allowed.happened": "This page cannot be used in this way.",
    "problem.method_not_allowed.next": "Go back to the application that you came from, and begin there again.",
    "problem.bad_address.title": "This address is not right",
    "problem.bad_address.happened": "The address of this page has something in it that does not belong there.",
    "problem.bad_address.next": "Go back to the application that you came from, and begin there again.",
    "problem.busy.title": "Try again in a moment",
    "problem.busy.happened": "The server is busy right now. Nothing was changed.",
    "problem.busy.next": "Wait a few seconds, and load this page again.",
    "problem.foreign_form.title": "Nothing was changed",
    "problem.foreign_form.happened": (
        "This form was not sent from a page of this server in this browser, or that page was too old."
    ),
    "problem.foreign_form.next": "Begin again in the application that sent you here.",
    "problem.nothing_to_answer.title": "There is nothing to answer here",
    "problem.nothing_to_answer.happened": (
        "The request was answered before, has run out, or was begun in another browser."
    ),
    "problem.nothing_to_answer.next": "Begin again in the application that sent you here.",
    "problem.not_signed_in.title": "You are not signed in any more",
    "problem.not_signed_in.happened": "Nothing was changed.",
    "problem.not_signed_in.next": "Begin again in the application that sent you here.",
    "problem.upstream_unavailable.title": "Try again in a moment",
    "problem.upstream_unavailable.happened": "{provider} does not answer as it should. You are not signed in.",
    "problem.upstream_unavailable.next": (
        "Wait a moment, and begin again in the application that sent you here. If it stays so, tell the operator."
    ),
    "problem.upstream_denied.title": "You are not signed in",
    "problem.upstream_denied.happened": "You or {provider} refused the sign-in. Nothing was changed.",
    "problem.upstream_denied.next": "Begin again in the application that sent you here, if you want to.",
    "problem.upstream_not_admitted.title": "You are not admitted here",
    "problem.upstream_not_admitted.happened": ("{provider} knows you, but this account may not use this server."),
    "problem.upstream_not_admitted.next": (
        "Sign in with another account, or ask the operator of this server to admit this one."
    ),
    "problem.upstream_failed.title": "You are not signed in",
    "problem.upstream_failed.happened": "The sign-in with {provider} did not work. Nothing was changed.",
    "problem.upstream_failed.next": (
        "Begin again in the application that sent you here. If it stays so, tell the operator."
    ),
    "problem.refused.title": "This does not work",
    "problem.refused.happened": "{description}",
    "problem.refused.next": "Go back to the application that you came from, and tell its makers.",
}

_PLACEHOLDER = re.compile(r"[a-z_]+")
_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60))


class Texts:
    """The texts of one deployment: ours, with those that its operator replaced.

    Raises ConfigurationError for a text that there is none of, and for one whose placeholders differ from ours.
    """

    def __init__(self, replaced: Mapping[str, str] | None = None) -> None:
        for key, text in (replaced or {}).items():
            if key not in TEXTS:
                raise ConfigurationError("branding.texts", f"There is no text {key!r}.")
            if _placeholders(text) != _placeholders(TEXTS[key]):
                wanted = ", ".join(f"{{{name}}}" for name in sorted(_placeholders(TEXTS[key]))) or "none"
                raise ConfigurationError("branding.texts", f"The placeholders of {key!r} must be: {wanted}.")
        self._texts = {**TEXTS, **(replaced or {})}

    def __call__(self, key: str, /, **values: object) -> Markup:
        """A text, as markup in which everything is escaped. Raises KeyError."""
        return escape(self._texts[key]).format(**values)

    def duration(self, seconds: int) -> Markup:
        """A length of time in the largest unit that tells it exactly."""
        unit, count = next(
            ((unit, seconds // size) for unit, size in _UNITS if seconds >= size and seconds % size == 0),
            ("seconds", seconds),
        )
        return self(f"{unit}.one" if count == 1 else f"{unit}.other", count=count)

    def lifetime(self, *, absolute: int | None, idle: int | None) -> Markup:
        """How long an access may last, in seconds given; None is without end."""
        key = "lifetime.endless" if absolute is None else "lifetime.absolute"
        values = {} if absolute is None else {"absolute": self.duration(absolute)}
        if idle is None:
            return self(key, **values)
        return self(f"{key}_idle", idle=self.duration(idle), **values)


def _placeholders(text: str) -> set[str]:
    """The names of the placeholders; one with anything but a name in it is no placeholder of ours."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return {text}
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    plain = all(_PLACEHOLDER.fullmatch(name) and not spec and not conversion for name, spec, conversion in fields)
    return {name for name, _, _ in fields} if plain else {text}
