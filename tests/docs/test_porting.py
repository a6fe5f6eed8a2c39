"""The tables of the porting guide name what there is, here and in the libraries that are installed."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest
from fastmcp.server.auth import OAuthProxy
from mcp.server.auth.provider import OAuthAuthorizationServerProvider

from grantwell import OAuthHelpers, OAuthProvider, TokenExchange, TokenExchangeResult
from grantwell.signin.upstream import OIDC

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "porting.md").read_text(encoding="utf-8")
OPTIONS = frozenset(inspect.signature(OAuthProvider.__init__).parameters)
HELPERS = frozenset(dir(OAuthHelpers))
EVENT = frozenset(field.name for kind in (TokenExchange, TokenExchangeResult) for field in fields(kind))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading or a first row."""
    lines = GUIDE.partition(heading)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    table = lines[start + 1 :]
    end = next((number for number, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table[:end]]


def names(cell: str) -> list[str]:
    """The plain names in a cell."""
    return re.findall(r"`([a-z_]+)`", cell)


@pytest.mark.requirement("G-633")
@pytest.mark.parametrize(
    ("heading", "known", "count"),
    [("### Options", OPTIONS, 20), ("### Helpers", HELPERS, 11), ("### The token exchange callback", EVENT, 8)],
)
def test_every_name_on_this_side_exists(heading: str, known: frozenset[str], count: int) -> None:
    table = rows(heading)
    assert len(table) >= count
    assert [name for row in table for name in names(row[1]) if name not in known] == []


@pytest.mark.requirement("G-633")
def test_every_setting_of_the_reference_has_a_line() -> None:
    told = {name for row in rows("### Options") for name in re.findall(r"`([a-zA-Z]+)`", row[0])}
    assert told == {
        *("apiRoute", "apiHandler", "apiHandlers", "defaultHandler", "authorizeEndpoint", "tokenEndpoint"),
        *("clientRegistrationEndpoint", "accessTokenTTL", "refreshTokenTTL", "clientRegistrationTTL"),
        *("scopesSupported", "allowImplicitFlow", "allowPlainPKCE", "allowTokenExchangeGrant"),
        *("enterpriseManagedAuthorization", "disallowPublicClientRegistration", "clientRegistrationCallback"),
        *("tokenExchangeCallback", "resolveExternalToken", "onError", "clientIdMetadataDocumentEnabled"),
        *("resourceMatchOriginOnly", "resourceMetadata"),
    }


@pytest.mark.requirement("G-633")
def test_every_setting_of_the_proxy_is_one_and_leads_to_one() -> None:
    there = frozenset(inspect.signature(OAuthProxy.__init__).parameters)
    here = OPTIONS | frozenset(inspect.signature(OIDC.__init__).parameters)
    table = rows("| `OAuthProxy` | here |")
    assert len(table) >= 14
    assert [name for row in table for name in names(row[0]) if name not in there] == []
    assert [name for row in table for name in names(row[1]) if name not in here] == []


@pytest.mark.requirement("G-633")
def test_every_method_of_the_sdk_has_a_line() -> None:
    told = {name for row in rows("## From the MCP SDK") for name in names(row[0])}
    to_write = {name for name in vars(OAuthAuthorizationServerProvider) if not name.startswith("_")}
    # The last one is optional there.
    assert told == to_write - {"exchange_identity_assertion"}
    assert {name for row in rows("## From the MCP SDK") for name in names(row[1])} <= OPTIONS | HELPERS
