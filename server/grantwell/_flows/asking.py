"""Hooks that decide about a request: run within the deadline, and whatever goes wrong in one is our error."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

from .. import hooks
from ..errors import GrantwellError, OAuthError, StoreUnavailable
from ..hooks import Hook
from .context import Context

log = logging.getLogger("grantwell")

E = TypeVar("E")
R = TypeVar("R")


async def asked(
    context: Context, name: str, hook: Hook[E, R], event: E, *, may_raise: type[GrantwellError] = OAuthError
) -> R:
    """What the hook of this name answers. Raises what it may raise, StoreUnavailable, and OAuthError for all else."""
    try:
        async with asyncio.timeout(context.settings.callback_timeout):
            return await hooks.call(hook, event)
    except (may_raise, StoreUnavailable):
        raise
    except TimeoutError as error:
        raise OAuthError("temporarily_unavailable", reason=f"{name} took too long") from error
    except Exception as error:
        log.exception("%s failed", name)
        raise OAuthError("server_error", reason=f"{name} raised {type(error).__name__}") from error
