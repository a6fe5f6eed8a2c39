"""What an operator can do about requests that are not as they should be, about pages, and about passing troubles."""

from __future__ import annotations

from collections.abc import Sequence

REQUESTS: Sequence[tuple[str, Sequence[str]]] = (
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
