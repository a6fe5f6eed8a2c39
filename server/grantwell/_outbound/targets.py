"""Where a URL leads, decided before any query or connection: what the URL alone says against it refuses it here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from .._urls import HttpUrl, parse_http_url
from .addresses import is_global_unicast
from .failures import FetchFailed

HTTPS_PORT = 443
MAX_ADDRESSES = 64

# Last labels that are never delegated to anybody (RFC 6761, RFC 6762, RFC 7686, RFC 9476), that serve the name system
# itself, or that networks use for themselves; metadata.google.internal is one of them.
_NEVER_PUBLIC = frozenset(
    {"alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost"}
    | {"onion", "private"}
)

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One https resource. `host` is in lower case and without brackets; `address` is set if it is an IP literal.

    `internal` tells that the URL may lead only into networks that the operator allows.
    """

    host: str
    port: int
    address: Address | None
    internal: bool
    host_header: str
    request_target: str


def parse_target(text: str, *, allowed_networks: Networks, refused_origins: frozenset[str]) -> Target:
    """Where `text` leads. Raises FetchFailed if it is no https URL that may be fetched, whatever its host resolves to.

    IP literals, names that are not public and ports other than 443 may lead only into `allowed_networks`.
    """
    url = parse_http_url(text)
    if url is None or not url.is_https:
        raise FetchFailed("it is not an https URL")
    if url.fragment is not None:
        raise FetchFailed("its URL has a fragment")
    if url.has_dot_segments:
        raise FetchFailed("its URL has dot segments")
    if url.origin in refused_origins:
        raise FetchFailed("its URL leads back to this server")
    target = _target(url)
    if target.internal and not allowed_networks:
        raise FetchFailed("its host is not a public name on port 443")
    if target.address is not None:
        check_addresses([target.address], target, allowed_networks)
    return target


def check_addresses(addresses: Sequence[Address], target: Target, allowed_networks: Networks) -> None:
    """Raises FetchFailed unless every address is one that may be connected to: if one is not, none is (D-30)."""
    if not addresses:
        raise FetchFailed("its host has no address")
    if len(addresses) > MAX_ADDRESSES:
        raise FetchFailed(f"its host has more than {MAX_ADDRESSES} addresses")
    for address in addresses:
        allowed = any(address in network for network in allowed_networks)
        if not allowed and (target.internal or not is_global_unicast(address)):
            raise FetchFailed(f"its host has the address {address}, which must not be connected to")


def _target(url: HttpUrl) -> Target:
    host = url.host.lower()
    port = HTTPS_PORT if url.port is None else url.port
    address = _literal(host)
    labels = host.split(".")
    return Target(
        host=host.strip("[]"),
        port=port,
        address=address,
        internal=address is not None or len(labels) == 1 or labels[-1] in _NEVER_PUBLIC or port != HTTPS_PORT,
        host_header=host if port == HTTPS_PORT else f"{host}:{port}",
        request_target=(url.path or "/") + ("" if url.query is None else f"?{url.query}"),
    )


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None
