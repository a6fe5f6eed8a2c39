"""Which addresses are one host's on the public internet (threats A-119 and A-120)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._outbound.addresses import is_global_unicast

requirement = pytest.mark.requirement

F = "ffff:ffff:ffff:ffff:ffff:ffff"

# The first and the last address of each refused block, and whether the one before and the one behind are global:
# where they are not, another block begins there; None where there is none.
BLOCKS: list[tuple[str, str, bool | None, bool | None]] = [
    ("0.0.0.0", "0.255.255.255", None, True),
    ("10.0.0.0", "10.255.255.255", True, True),
    ("100.64.0.0", "100.127.255.255", True, True),
    ("127.0.0.0", "127.255.255.255", True, True),
    ("169.254.0.0", "169.254.255.255", True, True),
    ("172.16.0.0", "172.31.255.255", True, True),
    ("192.0.0.0", "192.0.0.255", True, True),
    ("192.0.2.0", "192.0.2.255", True, True),
    ("192.31.196.0", "192.31.196.255", True, True),
    ("192.52.193.0", "192.52.193.255", True, True),
    ("192.88.99.0", "192.88.99.255", True, True),
    ("192.168.0.0", "192.168.255.255", True, True),
    ("192.175.48.0", "192.175.48.255", True, True),
    ("198.18.0.0", "198.19.255.255", True, True),
    ("198.51.100.0", "198.51.100.255", True, True),
    ("203.0.113.0", "203.0.113.255", True, True),
    ("224.0.0.0", "239.255.255.255", True, False),
    ("240.0.0.0", "255.255.255.255", False, None),
    ("::", f"1fff:ffff:{F}", None, True),
    ("::", "::ffff:ffff", None, False),
    ("::ffff:0:0", "::ffff:ffff:ffff", False, False),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", False, False),
    ("64:ff9b::", "64:ff9b::ffff:ffff", False, False),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", False, False),
    ("100::", "100::ffff:ffff:ffff:ffff", False, False),
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", False, False),
    ("2001::", f"2001:1ff:{F}", True, True),
    ("2001::", f"2001:0:{F}", True, False),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", False, False),
    ("2001:10::", f"2001:1f:{F}", False, False),
    ("2001:20::", f"2001:2f:{F}", False, False),
    ("2001:30::", f"2001:3f:{F}", False, False),
    ("2001:db8::", f"2001:db8:{F}", True, True),
    ("2002::", f"2002:ffff:{F}", True, True),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", True, True),
    ("3ffe::", f"3ffe:ffff:{F}", True, False),
    ("3fff::", f"3fff:fff:{F}", False, True),
    ("4000::", f"ffff:ffff:{F}", True, None),
    ("5f00::", f"5f00:ffff:{F}", False, False),
    ("fc00::", f"fdff:ffff:{F}", False, False),
    ("fe80::", f"febf:ffff:{F}", False, False),
    ("fec0::", f"feff:ffff:{F}", False, False),
    ("ff00::", f"ffff:ffff:{F}", False, None),
]


@requirement("S-430", "A-119", "A-120", "D-30")
@pytest.mark.parametrize(("first", "last", "before", "behind"), BLOCKS)
def test_a_special_block_is_refused_from_its_first_address_to_its_last(
    first: str, last: str, before: bool | None, behind: bool | None
) -> None:
    for address in (ip_address(first), ip_address(first) + 1, ip_address(last) - 1, ip_address(last)):
        assert not is_global_unicast(address)
    if before is not None:
        assert is_global_unicast(ip_address(first) - 1) is before
    if behind is not None:
        assert is_global_unicast(ip_address(last) + 1) is behind


@requirement("S-430", "A-119", "A-120", "D-30")
@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0"),
        *("192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.192", "198.18.0.1", "192.88.99.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:808:808::1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1", "2001:db8::1", "3fff::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
        *("2606:4700:0:1:0:5efe:192.168.1.1", "2606:4700:0:1:200:5efe:192.168.1.1", "2606:4700::5efe:a00:1"),
        *("2606:4700:0:1:0:5efe:8.8.8.8", "2606:4700::1111%eth0", "fe80::5efe:10.0.0.1"),
    ],
)
def test_addresses_of_special_use_and_those_with_ipv4_inside_are_refused(address: str) -> None:
    assert not is_global_unicast(ip_address(address))


@requirement("S-430", "A-119")
@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "9.9.9.9", "93.184.216.34", "151.101.1.69", "172.64.0.1", "192.0.1.1", "203.0.114.1"),
        *("2606:4700::1111", "2a00:1450:4001:82a::200e", "2001:4860:4860::8888", "2620:fe::fe", "2400:cb00::1"),
        *("2606:4700:0:1:0:5eff:a00:1", "2606:4700:0:1:1:5efe:a00:1", "2606:4700:0:1:5efe:0:a00:1", "2606:4700::5efe"),
    ],
)
def test_addresses_of_public_hosts_are_accepted(address: str) -> None:
    assert is_global_unicast(ip_address(address))


@requirement("S-430", "D-30")
@given(
    st.one_of(
        st.integers(0, 2**32 - 1).map(IPv4Address),
        st.integers(0, 2**128 - 1).map(IPv6Address),
        st.integers(2**125, 2**126 - 1).map(IPv6Address),
    )
)
def test_no_address_is_accepted_that_the_standard_library_knows_to_be_special(
    address: IPv4Address | IPv6Address,
) -> None:
    known = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast, address.is_reserved)
    if is_global_unicast(address):
        assert not any(known)
        assert not address.is_unspecified
