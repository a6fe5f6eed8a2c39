"""What an operator can do about codes, refresh tokens, access tokens and assertions that are refused."""

from __future__ import annotations

from collections.abc import Sequence

TOKENS: Sequence[tuple[str, Sequence[str]]] = (
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
)
