"""What an operator can do about clients, their documents, redirect URIs and registrations that are refused."""

from __future__ import annotations

from collections.abc import Sequence

CLIENTS: Sequence[tuple[str, Sequence[str]]] = (
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
)
