"""Clients: found as stored, changed by compare-and-swap, listed in pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ..records import Client
from ..store import ClientQuery, GrantQuery, Page, Use
from .samples import CLIENT, GRANT, NOW, CompleteStore, client, digest, given_exchanged, live


class ClientRules:
    """What a store must do with clients."""

    async def test_a_client_is_found_as_it_was_stored(self, store: CompleteStore) -> None:
        stored = client()
        await store.add_client(stored)
        assert await store.get_client(CLIENT) == stored

    async def test_a_client_without_optional_members_is_found_as_it_was_stored(self, store: CompleteStore) -> None:
        stored = client(
            name=None,
            scopes=None,
            metadata={},
            secrets=(),
            redirect_uris=(),
            last_used_at=NOW,
            jwks=None,
            jwks_uri=None,
            introspects=(),
            registration_access=None,
            registered_from=None,
        )
        await store.add_client(stored)
        assert await store.get_client(CLIENT) == stored

    @pytest.mark.parametrize("other", ["client-2", "CLIENT-1", "client-1 ", "client-", ""])
    async def test_only_exactly_the_id_of_a_client_finds_it(self, store: CompleteStore, other: str) -> None:
        await store.add_client(client())
        assert await store.get_client(other) is None

    async def test_what_the_caller_changes_afterwards_is_not_stored(self, store: CompleteStore) -> None:
        metadata, jwks = {"contacts": ["a@notes.example"]}, {"keys": ["first"]}
        await store.add_client(client(metadata=metadata, jwks=jwks))
        metadata["contacts"].append("b@notes.example")
        jwks["keys"].append("second")
        found = await store.get_client(CLIENT)
        assert found is not None
        assert (found.metadata, found.jwks) == ({"contacts": ["a@notes.example"]}, {"keys": ["first"]})
        found.metadata["contacts"].append("c@notes.example")
        again = await store.get_client(CLIENT)
        assert again is not None
        assert again.metadata == {"contacts": ["a@notes.example"]}

    async def test_a_changed_client_replaces_the_version_before_it(self, store: CompleteStore) -> None:
        await store.add_client(client())
        changed = client(name="Renamed", scopes=None, secrets=(), metadata={"logo_uri": "x"}, version=2, mac=b"other")
        changed = replace(changed, jwks=None, jwks_uri="https://notes.example/other", introspects=("a", "b"))
        changed = replace(changed, registration_access=digest("next registration access"), registered_from=None)
        assert await store.replace_client(changed)
        assert await store.get_client(CLIENT) == changed

    @pytest.mark.parametrize("version", [1, 3])
    async def test_a_client_that_moved_is_not_replaced(self, store: CompleteStore, version: int) -> None:
        await store.add_client(client())
        assert not await store.replace_client(client(name="Renamed", version=version))
        assert await store.get_client(CLIENT) == client()

    async def test_a_client_that_is_gone_is_not_replaced(self, store: CompleteStore) -> None:
        assert not await store.replace_client(client(version=2))
        assert await store.get_client(CLIENT) is None

    async def test_replacing_a_client_leaves_its_last_use(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await store.record_use(Use(grant_ids=(), client_ids=(CLIENT,), now=NOW + 5))
        assert await store.replace_client(client(version=2, last_used_at=NOW + 99))
        found = await store.get_client(CLIENT)
        assert found is not None
        assert found.last_used_at == NOW + 5

    async def test_deleting_a_client_deletes_its_grants_codes_and_tokens(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert await store.delete_client(CLIENT)
        assert await store.get_client(CLIENT) is None
        assert await store.get_grant(GRANT) is None
        assert await store.get_code(GRANT, digest(f"code of {GRANT}")) is None
        assert await store.get_refreshable(GRANT) is None
        assert await live(store, "a1") is None

    async def test_deleting_an_unknown_client_says_so(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        assert not await store.delete_client("client-2")
        assert await live(store, "a1") is not None

    async def test_clients_are_listed_newest_first_each_on_one_page(self, store: CompleteStore) -> None:
        clients = [client(f"client-{number}", created_at=NOW + number // 3) for number in range(10)]
        for one in clients:
            await store.add_client(one)
        pages: list[Page[Client]] = []
        cursor = None
        while not pages or cursor is not None:
            pages.append(await store.list_clients(ClientQuery(limit=4, cursor=cursor)))
            cursor = pages[-1].cursor
        assert [len(page.items) for page in pages] == [4, 4, 2]
        listed = [one for page in pages for one in page.items]
        assert [one.created_at for one in listed] == sorted((one.created_at for one in clients), reverse=True)
        assert sorted(listed, key=lambda one: one.client_id) == clients

    async def test_a_page_that_holds_everything_has_no_cursor(self, store: CompleteStore) -> None:
        for number in range(3):
            await store.add_client(client(f"client-{number}"))
        assert (await store.list_clients(ClientQuery(limit=3))).cursor is None
        assert (await store.list_clients(ClientQuery())).cursor is None

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_a_page_has_one_to_a_thousand_items(self, store: CompleteStore, limit: int) -> None:
        with pytest.raises(ValueError, match="1000"):
            await store.list_clients(ClientQuery(limit=limit))

    @pytest.mark.parametrize("cursor", ["", "nonsense", "WzFd", "bnVsbA", "W10=", "é", "WyJhIiwiYiJd" * 3])
    async def test_a_cursor_that_no_listing_returned_is_refused(self, store: CompleteStore, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor"):
            await store.list_clients(ClientQuery(cursor=cursor))
        with pytest.raises(ValueError, match="cursor"):
            await store.list_grants(GrantQuery(now=NOW, cursor=cursor))

    async def test_use_is_noted_and_never_goes_back(self, store: CompleteStore) -> None:
        await given_exchanged(store)
        await store.record_use(Use(grant_ids=(GRANT, "gone"), client_ids=(CLIENT, "gone"), now=NOW + 100))
        await store.record_use(Use(grant_ids=(GRANT,), client_ids=(CLIENT,), now=NOW + 50))
        grant, stored = await store.get_grant(GRANT), await store.get_client(CLIENT)
        assert grant is not None
        assert stored is not None
        assert (grant.last_used_at, stored.last_used_at) == (NOW + 100, NOW + 100)
        assert stored == replace(client(), last_used_at=NOW + 100)

    async def test_what_was_stored_is_there_after_closing_and_opening(self, store: CompleteStore) -> None:
        await store.add_client(client())
        await store.close()
        await store.open()
        assert await store.get_client(CLIENT) == client()
