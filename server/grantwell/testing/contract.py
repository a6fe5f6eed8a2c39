"""The contract of a store, as a test suite."""

from __future__ import annotations

import pytest

from .access_rules import AccessRules
from .account_rules import AccountRules
from .client_rules import ClientRules
from .code_rules import CodeRules
from .consent_rules import ConsentRules
from .direct_rules import DirectRules
from .ending_rules import EndingRules
from .event_rules import EventRules
from .lease_rules import LeaseRules
from .purge_rules import PurgeRules
from .refresh_rules import RefreshRules
from .registration_rules import RegistrationRules
from .samples import CompleteStore
from .session_rules import SessionRules

__all__ = ["CompleteStore", "StoreContract"]


class StoreContract(
    ClientRules,
    RegistrationRules,
    ConsentRules,
    DirectRules,
    CodeRules,
    RefreshRules,
    LeaseRules,
    AccessRules,
    EndingRules,
    AccountRules,
    SessionRules,
    EventRules,
    PurgeRules,
):
    """What every store must do, one sentence a test.

    A class that inherits it provides the fixture `store`: a new, empty, open store, which may be made and closed in
    an async fixture::

        class TestMyStore(StoreContract):
            @pytest.fixture
            async def store(self) -> AsyncIterator[MyStore]:
                store = MyStore()
                await store.open()
                yield store
                await store.close()
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The suite runs on asyncio."""
        return "asyncio"
