"""Every word that the pages say."""

from __future__ import annotations

LANGUAGE = "en"

SIGN_IN = "Sign in"
USERNAME = "User name"
PASSWORD = "Password"  # noqa: S105
SIGN_IN_FAILED = (
    "You are not signed in. The user name or the password is wrong, or there were too many tries from here: "
    "then wait ten minutes."
)
SIGNED_IN = "You are signed in"
SIGNED_IN_AS = "Signed in as"
SIGNED_OUT = "You are signed out"
SIGN_IN_AGAIN = "Sign in again"
SIGN_OUT = "Sign out"
SWITCH_USER = "Not you? Sign in as somebody else"

CONSENT = "Allow access?"
CONSENT_HOST = "Your answer, and with it the access, goes to this address:"
APPLICATION = "Application"
NAMELESS = "An application without a name"
CLIENT_ID = "Its client id"
NOT_VERIFIED = "Not verified: it registered itself under a name of its own choice."
NOT_VERIFIED_SITE = "Not verified by this server. It is described by a document on this site:"
VERIFIED = "Registered by the operator of this server."
ON_THIS_COMPUTER = (
    "This address is a program on this computer. Go on only if you started it yourself just now: any program that "
    "runs here can ask under any name."
)
LINKS = {"client_uri": "Home page", "tos_uri": "Terms of service", "policy_uri": "Privacy policy"}
RESOURCES = "It wants access to"
SCOPES = "There it will be able to"
NO_SCOPES = "Use it in your name, with no particular permission"
OFFLINE_ACCESS = "Stay connected while you are away"
LIFETIME = "For how long"
ALLOW = "Allow"
DENY = "Deny"

PROBLEM = "This does not work"
BACK_TO_CLIENT = "You can go back to the application and tell it about the error. It is not known to this server:"
NOT_FOUND = "There is no page here."
METHOD_NOT_ALLOWED = "This page cannot be used in this way."
BAD_ADDRESS = "The address of this page has something in it that does not belong there."
BUSY = "The server is busy right now. Nothing was changed; try again in a moment."
FOREIGN_FORM = (
    "This form was not sent from a page of this server in this browser, or that page was too old. "
    "Nothing was changed; begin again in the application that sent you here."
)
NOTHING_TO_ANSWER = (
    "There is nothing to answer here: the request was answered before, has run out, or was begun in another browser. "
    "Begin again in the application that sent you here."
)
NOT_SIGNED_IN = "You are not signed in any more. Nothing was changed; begin again in the application."
LOGIN_REQUIRED = "The user has to sign in."
INTERACTION_REQUIRED = "The user has to be asked."


def more(count: int) -> str:
    """The fold of a long list."""
    return f"… and {count} more"


def lifetime(*, absolute: int | None, idle: int | None) -> str:
    """How long an access may last, in seconds given; None is without end."""
    until = "Until you or the operator ends it" if absolute is None else f"{duration(absolute)} at most"
    return until + ("." if idle is None else f", less if it is not used for {duration(idle)}.")


def duration(seconds: int) -> str:
    """A length of time in the largest unit that tells it exactly."""
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"
