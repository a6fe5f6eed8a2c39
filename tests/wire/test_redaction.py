"""What is kept of a stranger's text: enough to see what was wrong, and nothing that could be a secret."""

from __future__ import annotations

import secrets
import uuid
from urllib.parse import quote

import pytest

from grantwell._flows.refusals import MAX_INPUT_CHARACTERS, redacted
from grantwell._protocol.tokens import (
    format_access_token,
    format_client_secret,
    format_code,
    format_grant_id,
    format_initial_access_token,
    format_refresh_token,
    format_registration_access_token,
)

requirement = pytest.mark.requirement

GRANT = format_grant_id(secrets.token_bytes(12))
TOKENS = [
    format_access_token(GRANT, secrets.token_bytes(32)),
    format_code(GRANT, secrets.token_bytes(32)),
    format_refresh_token(GRANT, secrets.token_bytes(16), secrets.token_bytes(32)),
    format_client_secret(secrets.token_bytes(32)),
    format_initial_access_token(secrets.token_bytes(32)),
    format_registration_access_token(secrets.token_bytes(32)),
]
# Of 43 random characters nearly always one is a digit and one of each case; these are certain.
COOKIE = "aB3" + secrets.token_urlsafe(30)
SECRETS = [*TOKENS, COOKIE, secrets.token_hex(20), secrets.token_hex(32)]
AROUND = [
    "{}",
    "x{}",
    "{}{}",
    "https://c1.test/{}",
    "https://c1.test/cb?token={}&b=1",
    "https://c1.test/cb#{}",
    "read {} write",
    "Bearer {}",
    "{}" * 40,
    "x" * 790 + "{}",
    "x " * 95 + "{}",
]


@requirement("G-503", "A-319")
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("secret", SECRETS, ids=[f"secret {number}" for number in range(len(SECRETS))])
def test_nothing_that_looks_like_a_secret_of_ours_is_kept(around: str, secret: str) -> None:
    for spelled in (secret, quote(secret, safe="").replace("_", "%5F")):
        kept = redacted(around.replace("{}", spelled))
        # The id of the grant, which stands in front of what is random, is no secret.
        random = secret[-32:]
        assert not [random[i : i + 12] for i in range(len(random) - 11) if random[i : i + 12] in kept], kept
        assert len(kept) <= MAX_INPUT_CHARACTERS


@requirement("G-503")
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("https://c1.test/cb?tenant=1&x=%2Fa~b", "https://c1.test/cb?tenant=1&x=%2Fa~b"),
        ("https://c1.test/%7Ea%5Fb", "https://c1.test/%7Ea%5Fb"),
        ("com.example.app:/oauth/callback", "com.example.app:/oauth/callback"),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33418/"),
        ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai/api/mcp/auth_callback"),
        ("https://user:hunter2@c1.test/cb", "https://[user]@c1.test/cb"),
        ("https://hunter2@c1.test@evil.test/cb", "https://[user]@evil.test/cb"),
        ("https://c1.test/cb?code=4/0AbCdEfGhIjKlMnOpQr&x=1", "https://c1.test/cb?code=[value]&x=1"),
        ("https://c1.test/cb#access_token=0123456789abcdefg", "https://c1.test/cb#access_token=[value]"),
        ("https://bücher.test/é\u202e", "https://b%C3%BCcher.test/%C3%A9%E2%80%AE"),
        ("\ud800\x00\x1b", "?%00%1B"),
        ("z" * 201, "z" * 200),
        ("notes:read notes:write", "notes:read notes:write"),
    ],
)
def test_what_is_no_secret_is_kept_as_it_was_sent(text: str, kept: str) -> None:
    assert redacted(text) == kept


@requirement("G-503")
def test_the_ids_of_clients_are_kept() -> None:
    for client_id in (
        secrets.token_hex(16),
        str(uuid.uuid4()),
        f"https://app.test/clients/{uuid.uuid4()}/metadata.json",
    ):
        assert redacted(client_id) == client_id
