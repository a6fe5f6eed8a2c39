"""Attempts to sign in elsewhere: what the way back has to know of the way there, and nobody else may."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Self

from ...crypto import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Where somebody goes to sign in, and what for: a client's request (`interaction_id`), or a page of ours (`to`).

    `is_fresh` asks that they sign in there anew. `started_at` is in seconds since 1970 UTC.
    """

    upstream: str
    interaction_id: str
    to: str
    is_fresh: bool
    started_at: int

    def encoded(self) -> str:
        """As the text that is kept."""
        return json.dumps([self.upstream, self.interaction_id, self.to, self.is_fresh, self.started_at])

    @classmethod
    def decoded(cls, text: str) -> Self:
        """From the text that was kept, whose MAC says that it is ours."""
        upstream, interaction_id, to, is_fresh, started_at = json.loads(text)
        return cls(upstream=upstream, interaction_id=interaction_id, to=to, is_fresh=is_fresh, started_at=started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to sign in elsewhere, the same on the way there and on the way back.

    `nonce` and `verifier` are derived from `state` with the deployment key, so that nothing secret is remembered.
    """

    goal: Goal
    state: str
    redirect_uri: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def of(cls, keyring: Keyring, goal: Goal, *, state: str, redirect_uri: str) -> Self:
        """The attempt that has this `state`."""
        return cls(
            goal=goal,
            state=state,
            redirect_uri=redirect_uri,
            nonce=keyring.derived("upstream nonce", state),
            verifier=keyring.derived("upstream verifier", state),
        )
