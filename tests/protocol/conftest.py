"""Settings that the tests of the rules share."""

from __future__ import annotations

import pytest

from grantwell.config import Resource, Settings, configure


@pytest.fixture(scope="session")
def settings() -> Settings:
    """A server with two resources; the second has no scopes of its own."""
    return configure(
        issuer="https://as.test",
        prefixes=["/api", "/other"],
        resources={"/api": Resource(scopes={"read": "See", "write": "Change", "offline_access": "Stay"}, name="Notes")},
    )


@pytest.fixture(scope="session")
def bare_settings() -> Settings:
    """A server for a whole site, without scopes and without registration."""
    return configure(issuer="https://as.test", prefixes=["/"], client_registration_endpoint=None)
