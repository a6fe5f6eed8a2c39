"""The clients that the catalogue knows by name (section 0 of the threats), as RFC 7591 metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BOTH_GRANTS = ["authorization_code", "refresh_token"]


def _client(*redirect_uris: str, method: str = "none", **members: Any) -> Mapping[str, Any]:
    return {
        "client_name": "A client",
        "redirect_uris": list(redirect_uris),
        "token_endpoint_auth_method": method,
        "grant_types": BOTH_GRANTS,
    } | members


CLIENTS: Mapping[str, Mapping[str, Any]] = {
    # Public; the operator registered them, so that errors are redirected to them at once.
    "C1": _client("https://c1.test/cb"),
    "C2": _client("https://c2.test/cb"),
    "C1x": _client("https://c1.test/a", "https://c1.test/b"),
    "C1q": _client("https://c1.test/cb?tenant=1"),
    "C1d": _client("https://c1.test/a/cb"),
    "C1e": _client("https://c1.test/c%2Fb"),
    "C1f": _client("https://c1.test/cb?a=1&flag&b=%2B"),
    "C1r": _client("https://c1.test/cb", scope="read"),
    "C1n": _client("https://c1.test/cb", grant_types=["authorization_code"]),
    # Native: on loopback, and with a scheme of its own.
    "L1": _client("http://127.0.0.1/cb"),
    "L2": _client("http://localhost/cb"),
    "L3": _client("http://[::1]/cb"),
    "P1": _client("com.example.app:/cb"),
    # Confidential.
    "K1": _client("https://k1.test/cb", method="client_secret_basic"),
    "K2": _client("https://k2.test/cb", method="client_secret_basic"),
    "K3": _client("https://k3.test/cb", method="client_secret_post"),
    # Public; it registered itself, so that errors are shown until somebody is signed in.
    "S1": _client("https://s1.test/cb"),
}

SELF_REGISTERED = frozenset({"S1"})
