"""A process that shares a database with others and races them: it reads jobs from its input, one JSON line each.

Run as `python -m tests.storage.racer URL`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from grantwell.store import Revocation
from grantwell.testing.samples import (
    GRANT_TTL,
    NOW,
    access,
    claim,
    consent,
    direct,
    key,
    lease,
    redemption,
    refresh,
    registration,
    rotation,
)
from grantwell_storage import SQLStore

Job = Callable[[SQLStore, dict[str, Any]], Awaitable[Any]]


async def redeem(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Exchange one code many times, each for tokens of its own."""
    return await asyncio.gather(
        *(
            store.redeem_code(redemption(order["grant"], access=access(label), refresh=refresh(f"r {label}")))
            for label in order["labels"]
        )
    )


async def rotate(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Refresh one generation many times, each for tokens of its own."""
    return await asyncio.gather(
        *(
            store.rotate(rotation(1, order["grant"], current=refresh(f"r {label}"), access=access(label)))
            for label in order["labels"]
        )
    )


async def revoke(store: SQLStore, order: dict[str, Any]) -> list[bool]:
    """End one grant many times."""
    revocation = Revocation(grant_id=order["grant"], now=NOW, reason="operator")
    return await asyncio.gather(*(store.revoke_grant(revocation) for _ in order["labels"]))


async def take_lease(store: SQLStore, order: dict[str, Any]) -> list[bool]:
    """Ask for one lease many times."""
    leases = await asyncio.gather(*(store.take_lease(lease(label)) for label in order["labels"]))
    return [taken is not None for taken in leases]


async def consent_once(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Answer one interaction many times."""
    waiting = key("request", "browser")
    return await asyncio.gather(*(store.add_grant(consent(label, interaction=waiting)) for label in order["labels"]))


async def claim_once(store: SQLStore, order: dict[str, Any]) -> list[bool]:
    """Claim one thing many times."""
    return await asyncio.gather(*(store.claim(claim(order["grant"]), NOW) for _ in order["labels"]))


async def use_assertion(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Ask for many direct grants with one assertion."""
    return await asyncio.gather(
        *(store.add_direct_grant(direct(label, claim=claim(order["grant"]))) for label in order["labels"])
    )


async def register(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Register many clients from one address."""
    return await asyncio.gather(*(store.register_client(registration(label)) for label in order["labels"]))


async def register_with_token(store: SQLStore, order: dict[str, Any]) -> list[str]:
    """Register many clients with one initial access token."""
    return await asyncio.gather(
        *(store.register_client(registration(label, initial_access=order["grant"])) for label in order["labels"])
    )


async def stream(store: SQLStore, order: dict[str, Any]) -> None:
    """Issue and refresh grants until the process is killed, and tell of each one that was acknowledged."""
    numbers = count()

    async def one_after_another() -> None:
        while True:
            name = f"{order['prefix']}-{next(numbers)}"
            await store.add_grant(consent(name))
            await store.redeem_code(redemption(name))
            await store.rotate(rotation(1, name, now=NOW, expires_at=NOW + GRANT_TTL))
            print(json.dumps(name), flush=True)

    await asyncio.gather(*(one_after_another() for _ in range(6)))


JOBS: dict[str, Job] = {
    "redeem": redeem,
    "rotate": rotate,
    "revoke": revoke,
    "lease": take_lease,
    "consent": consent_once,
    "claim": claim_once,
    "assertion": use_assertion,
    "register": register,
    "register with token": register_with_token,
    "stream": stream,
}


async def main(url: str) -> None:
    """Open the store, say so, and do what is asked until the input ends."""
    store = SQLStore(url)
    await store.open()
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await JOBS[order["job"]](store, order)), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
