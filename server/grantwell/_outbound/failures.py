"""What a fetch can end in, other than with an answer."""

from __future__ import annotations


class FetchFailed(Exception):
    """Nothing usable was fetched. `str()` is a reason for the log; it quotes no header and no body of the answer."""


class FetchBudgetSpent(FetchFailed):
    """Nothing was tried, because too much was tried lately. `retry_after` is in seconds, 1 or more."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
