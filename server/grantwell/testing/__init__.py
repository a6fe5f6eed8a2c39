"""For tests of programs that embed Grantwell: a suite for any store, and a clock that moves when it is told.

It needs pytest with anyio's plugin.
"""

import pytest

_KINDS = (
    "access",
    "account",
    "client",
    "code",
    "consent",
    "direct",
    "ending",
    "lease",
    "purge",
    "refresh",
    "registration",
)
pytest.register_assert_rewrite(f"{__name__}.samples", *(f"{__name__}.{kind}_rules" for kind in _KINDS))

from .clock import FrozenClock  # noqa: E402
from .contract import CompleteStore, StoreContract  # noqa: E402

__all__ = ["CompleteStore", "FrozenClock", "StoreContract"]
