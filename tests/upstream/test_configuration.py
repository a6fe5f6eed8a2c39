"""How an upstream is set up, and which settings are refused at start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grantwell.errors import ConfigurationError
from grantwell.signin import SignIn
from grantwell.signin.upstream import OIDC, GitHub, upstream_from
from grantwell_storage import MemoryStore
from tests.signin.browser import KEY

CORP = {"name": "corp", "issuer": "https://login.example.com", "client_id": "grantwell", "everybody": True}
OCTO = {"kind": "github", "client_id": "Iv1.abc", "client_secret": "s", "everybody": True}


@pytest.mark.requirement("G-573")
def test_a_table_of_settings_makes_an_upstream(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    corp = upstream_from(CORP | {"client_secret_file": secret, "keep_tokens": True, "label": None, "scopes": ["email"]})
    assert (type(corp), corp.name, corp.label, corp.keeps_tokens) == (OIDC, "corp", "corp", True)
    octo = upstream_from(OCTO | {"label": "Octo"})
    assert (type(octo), octo.name, octo.label, octo.keeps_tokens) == (GitHub, "github", "Octo", False)


@pytest.mark.requirement("G-573")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "saml"}, "kind"),
        ({"surprise": 1}, "surprise"),
        ({"issuer": None}, "issuer"),
        ({"client_id": None}, "client_id"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": 5}, "client_id"),
        ({"name": ""}, "name"),
        ({"name": "Corp"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "a" * 33}, "name"),
        ({"label": 5}, "label"),
        ({"issuer": "http://login.example.com"}, "issuer"),
        ({"issuer": "https://login.example.com?x=1"}, "issuer"),
        ({"issuer": "https://login.example.com#x"}, "issuer"),
        ({"issuer": "https://me@login.example.com"}, "issuer"),
        ({"issuer": "https://login.example.com:99999"}, "issuer"),
        ({"issuer": "login.example.com"}, "issuer"),
        ({"issuer": "https://localhost.evil.test\u002f\u2044"}, "issuer"),
        ({"everybody": False}, "everybody"),
        ({"allowed_domains": ["example.com"]}, "everybody"),
        ({"allowed_domains": "example.com", "everybody": False}, "allowed_domains"),
        ({"allowed_domains": ["ada@example.com"], "everybody": False}, "allowed_domains"),
        ({"allowed_domains": ["com"], "everybody": False}, "allowed_domains"),
        ({"allowed_domains": ["*.example.com"], "everybody": False}, "allowed_domains"),
        ({"allowed_groups": [""], "everybody": False}, "allowed_groups"),
        ({"allowed_groups": [5], "everybody": False}, "allowed_groups"),
        ({"scopes": "openid email"}, "scopes"),
        ({"client_secret": "s", "client_secret_file": "/dev/null"}, "client_secret_file"),
        ({"client_secret_file": "/nowhere/at/all"}, "client_secret_file"),
        ({"client_secret_file": "/dev/null"}, "client_secret_file"),
        ({"authorize_parameters": {"state": "x"}}, "authorize_parameters"),
        ({"authorize_parameters": {"redirect_uri": "x"}}, "authorize_parameters"),
        ({"authorize_parameters": {"prompt": 5}}, "authorize_parameters"),
        ({"authorize_parameters": "prompt"}, "authorize_parameters"),
        (OCTO | {"client_secret": None, "issuer": None}, "client_secret"),
        (OCTO | {"issuer": None, "everybody": False}, "everybody"),
        (OCTO | {"issuer": None, "allowed_users": "ada", "everybody": False}, "allowed_users"),
        (OCTO | {"issuer": None, "web": "http://github.example.com"}, "web"),
        (OCTO | {"issuer": None, "api": 5}, "api"),
        (OCTO, "issuer"),
    ],
    ids=repr,
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        upstream_from(CORP | changes)
    assert refusal.value.field == field


@pytest.mark.requirement("G-573")
def test_two_upstreams_cannot_have_one_name_and_somebody_must_be_able_to_sign_in() -> None:
    with pytest.raises(ConfigurationError, match="upstreams"):
        SignIn(MemoryStore(), KEY, upstreams=[upstream_from(CORP), upstream_from(CORP)])
    with pytest.raises(ConfigurationError, match="passwords"):
        SignIn(MemoryStore(), KEY, passwords=False)
