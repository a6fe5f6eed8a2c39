"""What an operator can do about each refusal: a catalogue by the cause that the flows give.

The cause of a refusal is its reason, or, where it has none, the sentence that the client was told. In a cause of the
catalogue `…` stands for whatever is put in there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What to do, and for which causes.
_CATALOGUE: Sequence[tuple[str, Sequence[str]]] = (
    # The client
    (
        "The client has to register again: there is no client of this id in this database (see `grantwell clients "
        "list`); it was deleted, went unused for too long, or belongs to another server.",
        (
            "unknown client",
            "client deleted",
            "the client was deleted meanwhile",
            "unknown client, or one that is not managed here",
        ),
    ),
    (
        "Send a client_id; an application that does not has not registered, or has lost its registration.",
        ("The client_id parameter is missing.", "no client_id"),
    ),
    (
        "Give the client the secret it was registered with, or a new one: `grantwell clients rotate-secret`.",
        ("wrong or expired secret",),
    ),
    (
        "Configure the client for the authentication method it was registered for; both are named in the reason.",
        ("registered for …, presented …",),
    ),
    (
        "The client must authenticate in one way: by header, by form or by assertion, and with one client_id.",
        (
            "The request has more than one way of client authentication.",
            "The request names two different clients.",
            "malformed Basic credentials",
            "client_id or client_secret is too long",
        ),
    ),
    (
        "Look at how the client signs its assertion: its key must be registered, its audience this issuer, its time "
        "right, its jti new; what did not fit stands behind the colon.",
        (
            "client assertion: …",
            "malformed client assertion: …",
            "no client assertion, or one of another type",
            "the client assertion is another client's",
            "the client assertion was used before",
        ),
    ),
    (
        "The keys of the client must be readable at its jwks_uri from this machine; the reason says what stands in "
        "the way.",
        ("the keys at … cannot be had: …",),
    ),
    (
        "Wait, and find out who guesses secrets from this address: `grantwell events --name refused --since 1h`.",
        ("throttled: …",),
    ),
    (
        "Register the client for this grant type (`grantwell clients update`), or let it ask for one of its own.",
        ("not registered for …", "The client may not use this grant type."),
    ),
    (
        "Only a client with a secret or keys can do this: create one with `grantwell clients create`.",
        (
            "a public client cannot act for itself",
            "token exchange is for clients that authenticate",
            "identity assertions are for clients that authenticate",
        ),
    ),
    (
        "Let the client introspect by naming its resource: `grantwell clients create --introspects`.",
        ("The client may not introspect tokens.",),
    ),
    # The metadata document of a client
    (
        "The client's metadata document must be JSON at exactly that URL, reachable from this machine, and fit RFC "
        "7591; what does not stands behind the colon, or in the sentence that the browser was shown.",
        ("the document of …", "the document of …: …", "snapshot"),
    ),
    (
        "Wait a minute: so many documents of strangers are fetched at once and for one address, and no more.",
        ("… fetches are under way", "too many fetches … in a minute"),
    ),
    # The redirect URI
    (
        "Register this redirect URI (`grantwell clients update`), or let the client send one that is registered, "
        "character by character; only the port of a loopback address is free.",
        (
            "redirect_uri",
            "redirect_uri withdrawn",
            "the redirect URI was withdrawn",
        ),
    ),
    (
        "The client has several redirect URIs, or none, so it must say which one it means.",
        ("The redirect_uri parameter is missing.",),
    ),
    (
        "At the exchange of the code the client must repeat the redirect_uri of its authorization request.",
        ("redirect_uri is not the one of the authorization request",),
    ),
    # The authorization request
    (
        "The client must send what OAuth 2.1 section 4.1.1 asks for, as the sentence says; the error is the client's.",
        (
            "The state parameter is too long.",
            "The response_type parameter is missing.",
            "Only the response mode query is supported.",
            "The response type is not supported.",
            "Request objects are not supported.",
            "Request URIs are not supported.",
            "An authorization request is a GET or a POST.",
            "A POST carries its parameters in the body alone.",
        ),
    ),
    (
        "The client must use PKCE with S256 (RFC 7636); one that cannot needs an update of its library.",
        (
            "PKCE is required: send code_challenge and code_challenge_method.",
            "PKCE is required with code_challenge_method S256.",
            "The PKCE code_challenge must be 43 base64url characters.",
            "The PKCE code_verifier is missing.",
            "malformed PKCE code_verifier",
        ),
    ),
    (
        "The verifier is not the one whose challenge was sent: the client mixes up two sign-ins, or somebody else has "
        "its code.",
        ("code_verifier does not fit",),
    ),
    (
        "Nothing is wrong: the request was answered before or waited too long, and can be begun anew.",
        ("This request was answered before, or has run out.", "The request was denied."),
    ),
    # Scopes and resources
    (
        "The client may ask for scopes that its resource declares and that it is registered for; see the scopes in "
        "the request beside those of the resource.",
        (
            "The requested scope is not available.",
            "The scope exceeds what was granted.",
            "More was granted than was asked for.",
            "No resource of the token knows the scope.",
            "The scope is too long.",
            "The scope has too many values.",
            "The scope is malformed.",
        ),
    ),
    (
        "The client must name the resource as its metadata does (/.well-known/oauth-protected-resource), and, later, "
        "one that it was granted.",
        (
            "The requested resource is not available.",
            "The requested resource is not known to this server.",
            "The resource must be an absolute URL without a fragment.",
            "The resource is not part of the grant.",
            "The resource is not among those of the subject token.",
            "The resource is not among those of the assertion.",
            "the identity assertion is for another resource",
            "no resource of the grant is hosted here any more",
        ),
    ),
    # Codes and refresh tokens
    (
        "A code works once and for a minute: the client sent it twice, too late, or to another server; the user can "
        "sign in again.",
        (
            "unknown code, or another client's",
            "the code was redeemed before",
            "the code was exchanged by another request",
            "the code was spent, or its grant ended, meanwhile",
            "the code is past its end",
            "the code was never exchanged",
        ),
    ),
    (
        "The grant has ended, by a revocation or at its end (`grantwell grants show`); the user has to allow the "
        "client again.",
        ("the grant has ended", "it ended meanwhile"),
    ),
    (
        "The client sent something else than its refresh token, or one of another server or client.",
        ("not a refresh token", "unknown refresh token, or another client's", "a refresh token that was never issued"),
    ),
    (
        "Two holders used this refresh token: a stolen copy, or a client that keeps an old one; the grant was ended, "
        "and the user has to allow the client again.",
        ("a retired refresh token",),
    ),
    (
        "Nothing is wrong: the refresh token was not used for too long, and the user has to allow the client again.",
        ("the refresh token is past its end", "the successor is gone"),
    ),
    (
        "A row of the database is not as this deployment wrote it: check that every server uses the same secret key "
        "file, and who can write to the database.",
        (
            "the row of the code was altered",
            "the row of a refresh token was altered",
            "the row of an access token of grant … was altered",
            "the row of the initial access token was altered",
            "unknown format of props",
            "props do not open",
            "the props are gone",
            "the data key does not open",
            "the answer does not open",
            "… (grant …)",
        ),
    ),
    # Access tokens
    (
        "The client must get a new access token with its refresh token, or by asking the user again.",
        (
            "unknown, ended or malformed access token",
            "the token ended before the answer did",
            "the external token is past its end",
            "resolve_external_token does not know the token",
            "no resolver of external tokens",
            "a … is not an access token",
            "The access token is for another resource.",
            "The access token does not have the scope this operation needs.",
            "The Bearer credential is malformed.",
            "The access token was sent in more than one way.",
        ),
    ),
    # Token exchange and identity assertions
    (
        "The subject token must be a live access token of this client, or the policy must allow it for another's.",
        (
            "another client's token",
            "the policy does not allow it",
            "The subject token is not valid.",
            "Actor tokens are not supported.",
            "The subject_token parameter is missing.",
            "The subject_token_type must be that of an access token.",
            "The requested_token_type must be that of an access token.",
            "The lifetime must be at least one second.",
        ),
    ),
    (
        "Look at the assertion of the identity provider: its issuer must be among `trusted_issuers`, its audience this "
        "server, its time right, and `map_claims` must know its subject.",
        (
            "the issuer of the identity assertion is not trusted",
            "identity assertion: …",
            "the assertion was used before",
            "map_claims does not know the subject",
            "The assertion parameter is missing.",
        ),
    ),
    # Hooks
    (
        "The hook that is named failed: its traceback is in the log of the server, at the time of this refusal.",
        (
            "… raised …",
            "… took too long",
            "… returned an unusable value",
            "… returned an unusable value: …",
            "the callback refused after a holder of its lease vanished",
        ),
    ),
    # Registration
    (
        "Clients register here with an initial access token alone: `grantwell clients initial-access-token` makes one.",
        (
            "no initial access token",
            "not an initial access token",
            "unknown, spent or expired",
            "spent meanwhile",
            "Registration needs an initial access token.",
        ),
    ),
    (
        "The client must send the registration_access_token it was given, or register anew.",
        (
            "no registration access token",
            "another registration access token",
            "The registration access token is not valid.",
        ),
    ),
    (
        "Somebody registers clients from one network and does not use them; they go by themselves within a day, or "
        "raise `max_unused_clients`.",
        ("quota of unused clients",),
    ),
    (
        "The client must register with a redirect URI as the sentence says (RFC 8252, RFC 9700 section 2.1).",
        (
            "A redirect URI …",
            "redirect_uris must …",
        ),
    ),
    (
        "The metadata of the client is not acceptable as the sentence says; it is an error of whoever wrote it.",
        (
            "… must …",
            "… must not …",
            "… is missing.",
            "jwks is not acceptable: …",
            "jwks is too large.",
            "grant_types has a value that this server does not offer: …",
            "response_types need … among grant_types.",
            "private_key_jwt needs jwks or jwks_uri.",
            "scope names no scope of this server.",
            "This grant type is for clients that can keep a credential.",
            "This client is what its metadata document says.",
            "This client has no secret to rotate.",
            "token_endpoint_auth_method cannot be changed; create another client.",
            "The body has members that only the server may set.",
            "There is a client of this client_id already.",
            "A client_id has 1 to 64 letters, digits, dots, hyphens and underscores.",
            "The body is not acceptable JSON: …",
        ),
    ),
    # The request itself
    (
        "The client sends a request that is not well formed, as the sentence says; it is an error of the client, or "
        "of a proxy in between.",
        (
            "A field was sent more than once.",
            "A parameter was sent more than once.",
            "The parameter … was sent more than once.",
            "A parameter has a control character, a raw byte or a bad percent escape.",
            "A parameter is not UTF-8.",
            "The name of a parameter is too long.",
            "The request has too many parameters.",
            "The request has more than one Authorization header.",
            "The request is too large.",
            "The request did not arrive in time.",
            "The body must be application/x-www-form-urlencoded.",
            "The body must be application/json.",
            "The grant_type parameter is missing.",
            "The grant type is not supported.",
            "The code parameter is missing.",
            "The token parameter is missing.",
            "The refresh_token parameter is missing.",
            "The method is not allowed here.",
            "Nothing is here.",
            "The path is not written plainly.",
        ),
    ),
    (
        "Configure the proxy that asks the verify endpoint as the guide to deployment shows.",
        (
            "Nothing is protected there.",
            "The original request is not named in one way.",
            "The proxy asks for what is not here.",
        ),
    ),
    (
        "Call the server by the host name of its issuer; on this machine that is 127.0.0.1, [::1] or localhost.",
        ("The Host header is not of this server.",),
    ),
    # The pages
    (
        "The form was not of this browser and this page any more, or was sent from another site; the user can open "
        "the page anew. If that happens to everybody, look whether a proxy drops cookies or Sec-Fetch-Site.",
        ("foreign_form", "stale_form"),
    ),
    (
        "The user can go back to the application and begin anew: the request was answered, waited too long, or was "
        "begun in another browser.",
        ("nothing_to_answer",),
    ),
    (
        "The user has to sign in again; sessions end after twelve hours, and with a new password.",
        ("not_signed_in", "signed_out"),
    ),
    (
        "The address was typed or put together by hand, or by a client that adds parameters to our pages.",
        ("bad_address",),
    ),
    (
        "Nobody ends or lowers their own access as an operator; another one can.",
        ("own_access",),
    ),
    (
        "What the page was about is not there any more; the operator may have deleted it elsewhere.",
        ("no_client", "no_user", "not_found", "method_not_allowed"),
    ),
    (
        "The upstream sign-in did not go as it should, and the reason says in what: look at how this server is "
        "registered there, and at who is admitted here.",
        (
            "upstream_failed",
            "upstream …: …",
            "there is no upstream … any more",
            "the upstream issued a token that had ended",
        ),
    ),
    (
        "The user's sign-in at the upstream has ended there; they have to sign in and to allow the client again.",
        ("upstream … ended the sign-in", "the sign-in at upstream … has run out"),
    ),
    (
        "The user said no there, or is not among those that this server admits (`allowed_…` of the upstream).",
        ("upstream_denied", "upstream_not_admitted"),
    ),
    # Passing troubles
    (
        "Another request for the same grant or client was faster; the client may try again at once.",
        (
            "the client keeps changing",
            "the grant keeps moving",
            "the grant moved on or ended meanwhile",
            "another request holds the callback's lease",
        ),
    ),
    (
        "Too many tries came from this address, or the database did not answer: wait, and look at the log.",
        ("busy", "too_many"),
    ),
)
_DATABASE = "The database did not answer in time: look at its disk, at what else writes to it, and at the log."
_UNKNOWN = "This refusal is not one of Grantwell's own: a hook of the application gave it, and its reason."


def cause_of(description: str, reason: str) -> str:
    """What a refusal is looked up by."""
    return reason or description


def advice_for(code: str, description: str, reason: str) -> str:
    """One sentence of advice on a refusal."""
    cause = cause_of(description, reason)
    for pattern, advice in _ADVICE:
        if pattern.fullmatch(cause):
            return advice
    return _DATABASE if code == "temporarily_unavailable" else _UNKNOWN


def _pattern(cause: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, cause.split("…"))), re.DOTALL)


# What stands there word for word goes before what has gaps.
_ADVICE = sorted(
    ((_pattern(cause), advice) for advice, causes in _CATALOGUE for cause in causes),
    key=lambda entry: ".*" in entry[0].pattern,
)
