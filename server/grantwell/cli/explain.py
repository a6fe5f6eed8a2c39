"""`grantwell explain`: what stands behind the reference that an error page showed, and what to do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from .._flows.refusals import read_reference, redacted
from .._http.authorization import OAuthHelpers
from .._protocol.redirects import is_loopback, matching_redirect_uri
from ..crypto import Keyring
from ..records import Client, Event, Grant, User
from ..signin import Accounts
from .advice import advice_for
from .deployment import ANY_ISSUER, Deployment, helpers_of
from .options import awaited, id_argument, with_deployment, with_json
from .output import instant, print_json, print_members

_MOST_COMPARED = 5
_PORT = re.compile(r"\A(http://(?:\[[^\]]*\]|[^/:]*)):[0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """A redirect URI that is registered, beside the one that was sent; without their ports, where those are free.

    `position` is the first character, from 1, in which they differ, as far as what was sent was kept; None if they
    do not. `sent` and `registered` are the characters there, empty where one of them ends.
    """

    redirect_uri: str
    is_accepted: bool
    position: int | None
    sent: str
    registered: str
    beside: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """What the database knows now of those whom a refusal names; None for what is not there."""

    client: Client | None
    grant: Grant | None
    user: User | None
    comparisons: tuple[_Comparison, ...]


@click.command()
@id_argument("reference")
@with_deployment
@with_json
@awaited
async def explain(reference: str, deployment: Deployment, as_json: bool) -> None:
    """Explain the refusal with this REFERENCE, as error pages and the log show it."""
    known = read_reference(reference)
    if known is None:
        raise click.ClickException("That is no reference: one looks like 7KQ2-M9XD.")
    async with deployment.store() as store:
        key = await deployment.secret_key(store)
        helpers = helpers_of(store, key)
        page = await helpers.list_events(reference=known, limit=1)
        if not page.items:
            raise click.ClickException(
                f"Nothing is kept under {known}. It may be too old, or from another database, or one of so many at "
                "that time that it stands in the log of the server alone."
            )
        refusal = page.items[0]
        now = await _look_up(helpers, Accounts(store, Keyring(ANY_ISSUER, key)), refusal)
    document = _document(refusal, now)
    if as_json:
        print_json(document)
    else:
        print_members(_members(refusal, now, document["advice"]))


async def _look_up(helpers: OAuthHelpers, accounts: Accounts, refusal: Event) -> _Now:
    client = None if refusal.client_id is None else await helpers.lookup_client(refusal.client_id)
    sent = _inputs(refusal).get("redirect_uri")
    return _Now(
        client=client,
        grant=None if refusal.grant_id is None else await helpers.lookup_grant(refusal.grant_id),
        user=None if refusal.user_id is None else await accounts.get(refusal.user_id),
        comparisons=() if client is None or sent is None else tuple(_compared(client, sent)),
    )


def _compared(client: Client, sent: str) -> Iterator[_Comparison]:
    """The redirect URIs of a client, those first that agree longest with what was sent."""
    compared = []
    for registered in client.redirect_uris:
        # As what was sent was kept.
        left, right = sent, redacted(registered)
        if is_loopback(sent) and is_loopback(registered):
            left, right = _PORT.sub(r"\1", left), _PORT.sub(r"\1", right)
        pairs = zip(f"{left}\0", f"{right}\0", strict=False)
        agreed = next((index for index, (one, other) in enumerate(pairs) if one != other), None)
        compared.append(
            _Comparison(
                redirect_uri=registered,
                is_accepted=matching_redirect_uri((registered,), sent),
                position=None if agreed is None else agreed + 1,
                sent="" if agreed is None else left[agreed : agreed + 1],
                registered="" if agreed is None else right[agreed : agreed + 1],
                beside=(left, right),
            )
        )
    compared.sort(key=lambda one: (not one.is_accepted, -(one.position or len(sent) + 2)))
    yield from compared[:_MOST_COMPARED]


def _inputs(refusal: Event) -> dict[str, str]:
    inputs: dict[str, str] = refusal.details.get("inputs", {})
    return inputs


def _advice(refusal: Event) -> str:
    details = refusal.details
    return advice_for(details.get("code", ""), details.get("description", ""), refusal.reason)


def _document(refusal: Event, now: _Now) -> dict[str, Any]:
    client, grant, user = now.client, now.grant, now.user
    return {
        "reference": refusal.reference,
        "at": refusal.at,
        "address": refusal.address,
        "client_id": refusal.client_id,
        "grant_id": refusal.grant_id,
        "user_id": refusal.user_id,
        "reason": refusal.reason,
        **{name: refusal.details.get(name) for name in ("endpoint", "status", "code", "description")},
        "inputs": _inputs(refusal),
        "now": {
            "client": None if client is None else {name: getattr(client, name) for name in _SHOWN_OF_CLIENT},
            "redirect_uris": [asdict(comparison) for comparison in now.comparisons],
            "grant": None if grant is None else {"state": _state(grant), **asdict(grant)},
            "user": None if user is None else {"disabled_at": user.disabled_at},
        },
        "advice": _advice(refusal),
    }


_SHOWN_OF_CLIENT = ("name", "origin", "created_at", "last_used_at", "token_endpoint_auth_method", "grant_types")


def _members(refusal: Event, now: _Now, advice: str) -> dict[str, object]:
    """The same for a person."""
    details = refusal.details
    return {
        "reference": refusal.reference,
        "when": instant(refusal.at),
        "where": details.get("endpoint"),
        "from": refusal.address,
        "answer": f"{details.get('status')} {details.get('code')}: {details.get('description')}",
        "reason": refusal.reason,
        "sent": [f"{name} = {text}" for name, text in _inputs(refusal).items()],
        "now": list(_findings(refusal, now)),
        "advice": advice,
    }


def _findings(refusal: Event, now: _Now) -> Iterator[str]:
    if now.client is not None:
        used = (
            "was never used" if now.client.last_used_at is None else f"was last used {instant(now.client.last_used_at)}"
        )
        yield (
            f"The client {now.client.client_id} is there: {now.client.name or 'without a name'}, by "
            f"{now.client.origin} since {instant(now.client.created_at)}; it {used}."
        )
    elif refusal.client_id is not None:
        yield f"There is no client {refusal.client_id} that this deployment made."
    for comparison in now.comparisons:
        yield from _side_by_side(comparison)
    if now.grant is not None:
        ended = "" if now.grant.revoked_reason is None else f" ({now.grant.revoked_reason})"
        yield f"The grant {now.grant.grant_id} of {now.grant.user_id} is {_state(now.grant)}{ended}."
    elif refusal.grant_id is not None:
        yield f"There is no grant {refusal.grant_id}; one that ended is removed after an hour."
    if now.user is not None:
        yield f"The user {now.user.user_id} is {'enabled' if now.user.disabled_at is None else 'disabled'}."
    elif refusal.user_id is not None:
        yield f"There is no user {refusal.user_id} on the sign-in pages."


def _side_by_side(comparison: _Comparison) -> Iterator[str]:
    sent, registered = comparison.beside
    yield f"sent        {sent}"
    yield f"registered  {registered}"
    if comparison.is_accepted:
        yield "            which is accepted now"
    elif comparison.position is not None:
        left, right = (f"“{text}”" if text else "the end" for text in (comparison.sent, comparison.registered))
        yield f"            {' ' * (comparison.position - 1)}^ character {comparison.position}: {left}, not {right}"


def _state(grant: Grant) -> str:
    if grant.revoked_at is not None:
        return f"ended since {instant(grant.revoked_at)}"
    if grant.expires_at is not None and time.time() >= grant.expires_at:
        return f"ended since {instant(grant.expires_at)}"
    return "pending" if grant.exchanged_at is None else "active"
