"""What was granted, in words: who has access, to what, from where and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..config import OFFLINE_ACCESS
from ..records import Client, Grant
from .user_agents import Browser, browser_of
from .visits import Site

# An IPv6 address with a zone has fewer.
_MOST_ADDRESS_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A grant as it is shown. `client` is None if it is gone; `host` is where its answers go, if anywhere.

    `scopes` and `resources` are pairs of what something is called and what it is. `site_host` is where the client's
    metadata document is, for a client that is known by one. `browser` and `address` are those that gave consent.
    """

    grant: Grant
    client: Client | None
    site_host: str | None
    host: str | None
    is_loopback: bool
    scopes: Sequence[tuple[str, str]]
    resources: Sequence[tuple[str, str]]
    browser: Browser | None
    address: str | None


async def connections(site: Site, grants: Iterable[Grant]) -> list[Connection]:
    """Grants as they are shown; each client is looked up once."""
    shown = list(grants)
    clients = {name: await site.oauth.lookup_client(name) for name in dict.fromkeys(grant.client_id for grant in shown)}
    return [_connection(site, grant, clients[grant.client_id]) for grant in shown]


def site_host(site: Site, client: Client | None) -> str | None:
    """The host of the document that describes a client, for one that is known by a document."""
    return site.oauth.redirect_host(client.client_id) if client is not None and client.origin == "document" else None


def _connection(site: Site, grant: Grant, client: Client | None) -> Connection:
    browser, address = _installation(grant.metadata)
    uri = grant.redirect_uri
    return Connection(
        grant=grant,
        client=client,
        site_host=site_host(site, client),
        host=None if uri is None else site.oauth.redirect_host(uri),
        is_loopback=uri is not None and site.oauth.is_loopback(uri),
        scopes=list(dict.fromkeys(_scopes(site, grant))),
        resources=[(_resource_name(site, identifier), identifier) for identifier in grant.resources],
        browser=browser,
        address=address,
    )


def _scopes(site: Site, grant: Grant) -> Iterator[tuple[str, str]]:
    """What each scope means, as each resource that has it says; one that no resource has any more is named as it is."""
    resources = [resource for name in grant.resources if (resource := site.settings.resource(name)) is not None]
    for scope in grant.scopes:
        words = [resource.scopes[scope] for resource in resources if scope in resource.scopes]
        if scope == OFFLINE_ACCESS:
            words.append(site.templates.texts("consent.offline_access"))
        for text in words or [""]:
            yield text, scope


def _resource_name(site: Site, identifier: str) -> str:
    resource = site.settings.resource(identifier)
    return "" if resource is None else resource.name or ""


def _installation(metadata: Mapping[str, object]) -> tuple[Browser | None, str | None]:
    """The browser and the address that consent came from; a grant that an application made may have anything there."""
    installation = metadata.get("installation")
    if not isinstance(installation, Mapping):
        return None, None
    agent, address = installation.get("user_agent"), installation.get("address")
    return (
        browser_of(agent) if isinstance(agent, str) else None,
        address[:_MOST_ADDRESS_CHARACTERS] if isinstance(address, str) else None,
    )
