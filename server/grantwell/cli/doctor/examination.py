"""The whole examination, in the order in which a client would meet each thing."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from ..output import instant, plain
from .discovery import discover
from .findings import Report
from .personas import Persona
from .playing import play
from .server_rules import check_promises, check_proxy, check_refusals, check_scripts
from .wire import TIMEOUT_SECONDS, Unreachable, Wire

_DAY = 86_400
_RENEW_DAYS = 14


async def examine(url: str, personas: Sequence[Persona], report: Report, *, read_only: bool) -> int:
    """Examine what is at a URL; returns how many registrations are left behind."""
    left = 0
    async with Wire() as wire:
        with report.step("connection"):
            await _connection(url, report)
        try:
            servers = await discover(wire, url, report)
            if servers is None:
                return 0
            with report.step("promises"):
                check_promises(servers, report)
            with report.step("scripts"):
                await check_scripts(wire, servers, report)
            with report.step("refusals"):
                await check_refusals(wire, servers, report)
            with report.step("proxy"):
                await check_proxy(wire, servers, report)
        except Unreachable as error:
            with report.step("connection"):
                report.fail(str(error), error.cure)
            return 0
        for persona in personas:
            left += await play(wire, servers, persona, report, read_only=read_only)
    return left


async def _connection(url: str, report: Report) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http":
        report.ok("Plain http on this machine, which clients on it accept; hosted ones cannot reach it.")
        return
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
            )
    except (OSError, TimeoutError):
        # The first request tells why.
        return
    tls = writer.get_extra_info("ssl_object")
    ends = ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"])
    version = tls.version()
    writer.close()
    if ends - time.time() < _RENEW_DAYS * _DAY:
        report.warn(f"The certificate ends at {instant(int(ends))}.", "Renew it, and see that renewal works by itself.")
    report.ok(f"{plain(version)}, with a certificate until {instant(int(ends))}.")
