"""Which IP addresses belong to the public internet, by a table of our own.

The table is the special-purpose registries of the IANA (RFC 6890) and what they leave out. `ipaddress` is no judge of
it: `is_global` takes several of these blocks, and addresses that carry an IPv4 address inside, for global ones.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_SPECIAL_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private use (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link local (RFC 3927), where clouds keep their credentials
        "172.16.0.0/12",  # private use (RFC 1918)
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # automatic multicast tunnelling (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",  # private use (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112) and limited broadcast (RFC 919)
    )
)

# Nothing else of IPv6 is unicast on the internet (RFC 4291 section 2.4); this leaves out loopback, unique local, link
# local, multicast, discard-only, SIDs, and IPv4 in its mapped, translated, compatible and NAT64 forms.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_SPECIAL_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments (RFC 2928): Teredo, benchmarking, ORCHID, DRIP and others
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056), with any IPv4 address inside
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3ffe::/16",  # the former 6bone (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# ISATAP puts an IPv4 address behind these 32 bits, under any prefix (RFC 5214 section 6.1).
_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)


def is_global_unicast(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one host's on the public internet: in no special-purpose block, with no IPv4 inside.

    A NAT64 prefix that a network chose for itself (RFC 6052) looks like any other and is not recognised.
    """
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _SPECIAL_IPV4)
    return (
        address in _GLOBAL_IPV6
        and address.scope_id is None
        and not any(address in block for block in _SPECIAL_IPV6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP_MARKS
    )
