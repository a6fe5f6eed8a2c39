"""Every word that the pages say, in one place: a translation replaces them by `Branding(texts={…})`.

A text may have placeholders, `{name}`; a text that takes its place has the same ones. What stands for a placeholder is
escaped when it gets there, the text itself as well: a text is never markup.
"""

from __future__ import annotations

from collections.abc import Mapping

from .account_texts import ACCOUNT_TEXTS
from .admin_texts import ADMIN_TEXTS

TEXTS: Mapping[str, str] = {
    # The language of the texts, as BCP 47 has it, and which way it runs: ltr or rtl.
    "language": "en",
    "direction": "ltr",
    "sign_out": "Sign out",
    # Signing in
    "signin.title": "Sign in",
    "signin.failed_title": "Not signed in",
    "signin.for": "{application} wants access. You will be asked before it gets any.",
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
    "signed_out.happened": "Applications that you connected stay connected.",
    "signed_out.again": "Sign in again",
    # Consent
    "consent.title": "Allow access?",
    "consent.asks": "{application} asks for access in your name.",
    "consent.nameless": "An application without a name",
    "consent.host": "If you allow it, the access goes to",
    "consent.host_check": "Allow it only if that is where you came from.",
    "consent.client_id": "Its client id",
    "consent.not_verified": "Not verified: it registered itself under a name of its own choice.",
    "consent.not_verified_site": "Not verified by this server. It is described by a document on this site:",
    "consent.verified": "Registered by the operator of this server.",
    "consent.loopback": (
        "This address is a program on this computer. Go on only if you started it yourself just now: any program that "
        "runs here can ask under any name."
    ),
    "consent.links": "It says of itself",
    "consent.client_uri": "Home page",
    "consent.tos_uri": "Terms of service",
    "consent.policy_uri": "Privacy policy",
    "consent.scopes": "It will be able to",
    "consent.no_scopes": "Use it in your name, with no particular permission",
    "consent.includes": "Includes: {scopes}",
    "consent.offline_access": "Stay connected while you are away",
    "consent.without_offline_access": "Without this, the access ends after {access}.",
    "consent.none_chosen": "Nothing is ticked. Tick what it may do, or deny.",
    "consent.none_chosen_title": "Nothing ticked",
    "consent.resources": "Where",
    "consent.lifetime": "For how long",
    "consent.signed_in_as": "Signed in as {user}",
    "consent.switch_user": "Not you?",
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
    "problem.what_to_do": "What to do next",
    "problem.reference": "If you ask for help, tell this reference",
    "problem.for_developers": "For developers",
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
    "problem.bad_address.next": (
        "If you typed or pasted the address, compare it with the original. Otherwise go back to the application that "
        "you came from, and begin there again."
    ),
    "problem.busy.title": "Try again in a moment",
    "problem.busy.happened": "The server is busy right now. Nothing was changed.",
    "problem.busy.next": "Wait a few seconds, and load this page again.",
    "problem.foreign_form.title": "Nothing was changed",
    "problem.foreign_form.happened": (
        "This form was not sent from a page of this server in this browser, or that page was too old."
    ),
    "problem.foreign_form.next": (
        "Begin again in the application that sent you here. If this comes back, allow this site to keep cookies."
    ),
    "problem.nothing_to_answer.title": "There is nothing to answer here",
    "problem.nothing_to_answer.happened": (
        "The request was answered before, has run out after ten minutes, or was begun in another browser."
    ),
    "problem.nothing_to_answer.next": "Begin again in the application that sent you here, in this browser.",
    "problem.not_signed_in.title": "You are not signed in any more",
    "problem.not_signed_in.happened": "Nothing was changed.",
    "problem.not_signed_in.next": "Begin again in the application that sent you here, and sign in.",
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
    "problem.unknown_client.title": "This application is not known here",
    "problem.unknown_client.happened": (
        "The application that sent you is not registered with this server, or not any more. You were not signed in to "
        "it, and it got nothing."
    ),
    "problem.unknown_client.next": (
        "Remove the connection in the application and add it again: most applications register anew when you do. If "
        "this comes back, tell the makers of the application."
    ),
    "problem.redirect_uri.title": "You cannot be sent back to this application",
    "problem.redirect_uri.happened": (
        "It asked to be answered at an address that is not registered for it. Somebody may have changed the link that "
        "you followed, so the browser stays here, and nothing was granted."
    ),
    "problem.redirect_uri.next": (
        "If you followed a link from a message, close this page. Otherwise remove the connection in the application "
        "and add it again; if this comes back, tell its makers."
    ),
    "problem.document.title": "This application cannot be checked right now",
    "problem.document.happened": (
        "It is described by a document on its own site, and this server cannot get that document, or cannot use it."
    ),
    "problem.document.next": ("Try again in a few minutes. If this comes back, tell the makers of the application."),
    "problem.permissions.title": "This application asks for what is not there",
    "problem.permissions.happened": "It named permissions or a service that this server does not have for it.",
    "problem.permissions.next": (
        "Update the application, or remove the connection and add it again. If this comes back, tell its makers."
    ),
    "problem.too_large.title": "That was too much",
    "problem.too_large.happened": "What was sent is larger than any form of this server. Nothing was changed.",
    "problem.too_large.next": "Go back, and shorten what you entered.",
    "problem.timed_out.title": "That took too long",
    "problem.timed_out.happened": "The form did not arrive in time. Nothing was changed.",
    "problem.timed_out.next": "Go back, check the connection to the network, and send it again.",
    "problem.too_many.title": "Too many tries",
    "problem.too_many.happened": "More was asked from here than this server answers at once. Nothing was changed.",
    "problem.too_many.next": "Wait some minutes, and try again.",
    "problem.refused.title": "This application made a mistake",
    "problem.refused.happened": (
        "What it asked for is not a request that this server can answer. Nothing was granted."
    ),
    "problem.refused.next": (
        "Begin again in the application that sent you here. If this comes back, update the application, or tell its "
        "makers what stands below."
    ),
    **ACCOUNT_TEXTS,
    **ADMIN_TEXTS,
}
