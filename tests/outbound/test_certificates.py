"""Who a host proves to be: verification is never off, although the socket leads to an address (threat A-138)."""

from __future__ import annotations

import asyncio
import ssl
import threading
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from grantwell._outbound import fetcher as fetching
from grantwell._outbound.failures import FetchFailed
from grantwell._outbound.tls import client_context
from tests.outbound.certificates import DAY, Authority
from tests.outbound.internet import LOOPBACK, PUBLIC, Internet, http

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

Shown = Callable[[Authority], ssl.SSLContext]

ACCEPTED: dict[str, Shown] = {
    "its name": lambda authority: authority.context("m1.test"),
    "its name among others": lambda authority: authority.context("a.test", "m1.test", "127.0.0.1"),
    "a wildcard": lambda authority: authority.context("*.m1.test", "m1.test"),
}
REFUSED: dict[str, tuple[Shown, str]] = {
    "expired": (lambda authority: authority.context("m1.test", starts=-2 * DAY, ends=-DAY), "expired"),
    "expired a minute ago": (lambda authority: authority.context("m1.test", ends=-timedelta(minutes=1)), "expired"),
    "not yet valid": (lambda authority: authority.context("m1.test", starts=DAY, ends=2 * DAY), "not yet valid"),
    "self-signed": (lambda authority: authority.context("m1.test", self_signed=True), "self.signed"),
    "of another name": (lambda authority: authority.context("m2.test"), "Hostname mismatch"),
    "of a name below": (lambda authority: authority.context("www.m1.test"), "Hostname mismatch"),
    "of a wildcard below": (lambda authority: authority.context("*.m1.test"), "Hostname mismatch"),
    "of a part of the name": (lambda authority: authority.context("test"), "Hostname mismatch"),
    "of a wildcard for all": (lambda authority: authority.context("*"), "Hostname mismatch"),
    "of a partial wildcard": (lambda authority: authority.context("m*.test"), "Hostname mismatch"),
    "of the address only": (lambda authority: authority.context(PUBLIC, str(LOOPBACK)), "Hostname mismatch"),
    "of a person's name only": (lambda authority: authority.context(common_name="m1.test"), "Hostname mismatch"),
    "for clients only": (
        lambda authority: authority.context("m1.test", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        "purpose",
    ),
}


@requirement("A-138", "S-464")
@pytest.mark.parametrize("shown", [pytest.param(shown, id=id_) for id_, shown in ACCEPTED.items()])
async def test_a_certificate_for_the_name_by_a_trusted_authority_is_accepted(shown: Shown, internet: Internet) -> None:
    host = await internet.serve(http(b"here"), context=shown(internet.authority))
    assert (await internet.get()).body == b"here"
    assert len(host.requests) == 1


@requirement("A-138", "S-464")
@pytest.mark.parametrize(
    ("shown", "reason"), [pytest.param(shown, reason, id=id_) for id_, (shown, reason) in REFUSED.items()]
)
async def test_any_other_certificate_is_refused_before_anything_is_asked(
    shown: Shown, reason: str, internet: Internet
) -> None:
    host = await internet.serve(context=shown(internet.authority))
    with pytest.raises(FetchFailed, match=f"certificate is not accepted: .*{reason}"):
        await internet.get()
    assert host.requests == []


@requirement("A-138", "S-464")
async def test_a_certificate_of_an_authority_that_is_not_trusted_is_refused(tmp_path: Path, internet: Internet) -> None:
    host = await internet.serve(context=Authority(tmp_path, "Stranger").context("m1.test"))
    with pytest.raises(FetchFailed, match=r"certificate is not accepted: .*issuer"):
        await internet.get()
    assert host.requests == []


@requirement("A-138")
async def test_the_authorities_are_those_of_the_environment(
    tmp_path: Path, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await internet.serve(http(b"here"))
    empty = tmp_path / "none.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(FetchFailed, match="certificate is not accepted"):
        await internet.get()
    monkeypatch.setenv("SSL_CERT_FILE", str(internet.authority.file))
    assert (await internet.get()).body == b"here"


@requirement("A-138", "A-122")
async def test_the_host_is_told_the_name_that_is_wanted(internet: Internet) -> None:
    told: list[str | None] = []
    context = internet.authority.context("m1.test")
    context.sni_callback = lambda _, name, __: told.append(name)
    await internet.serve(context=context)
    await internet.get("https://M1.test/c")
    assert told == ["m1.test"]


def of_version(version: ssl.TLSVersion, authority: Authority) -> ssl.SSLContext:
    """A server that speaks this version of TLS and no other, with the weak algorithms of its time."""
    context = authority.context("m1.test")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    return context


@requirement("A-138")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_tls_of_today_is_spoken(version: ssl.TLSVersion, internet: Internet) -> None:
    await internet.serve(http(b"here"), context=of_version(version, internet.authority))
    assert (await internet.get()).body == b"here"


@requirement("A-138")
@pytest.mark.skipif(not (ssl.HAS_TLSv1 and ssl.HAS_TLSv1_1), reason="OpenSSL was built without TLS 1.0 and 1.1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
async def test_tls_of_the_past_is_refused(version: ssl.TLSVersion, internet: Internet) -> None:
    host = await internet.serve(context=of_version(version, internet.authority))
    lenient = ssl.create_default_context(cafile=internet.authority.file)
    lenient.set_ciphers("ALL:@SECLEVEL=0")
    lenient.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    _, writer = await asyncio.open_connection(str(LOOPBACK), host.port, ssl=lenient, server_hostname="m1.test")
    writer.transport.abort()
    with pytest.raises(FetchFailed, match=r"cut off|connection failed"):
        await internet.get()
    assert host.requests == []


@requirement("A-138")
def test_the_rules_of_tls_stand_in_the_context_itself() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.hostname_checks_common_name


@requirement("A-138")
async def test_the_context_is_made_once_and_not_on_the_event_loop(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[threading.Thread] = []

    def noted() -> ssl.SSLContext:
        made.append(threading.current_thread())
        return client_context()

    monkeypatch.setattr(fetching, "client_context", noted)
    await internet.serve()
    fetcher = internet.fetcher()
    assert made == []
    for _ in range(3):
        await fetcher.get("https://m1.test/c", most_bytes=10, on_behalf_of=None)
    assert len(made) == 1
    assert made[0] is not threading.main_thread()
