"""How signing in elsewhere can fail: it did not answer, it said no, or whom it signed in is not admitted here."""

from __future__ import annotations

TRANSIENT_CODES = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Error codes that mean a 503 (RFC 6749 section 4.1.2.1); some say them at the token endpoint as well."""


class UpstreamUnavailable(Exception):
    """The upstream did not answer as it should; what it did is not known, and a retry may help.

    `reason` is for the log, and repeats nothing of an answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UpstreamRefusal(Exception):
    """The upstream said no, or said something that proves nothing.

    `code` is an error code of RFC 6749, or one of ours; both texts are for the log, and hold only printable ASCII.
    """

    def __init__(self, code: str, reason: str = "") -> None:
        self.code = "".join(c for c in code[:64] if "!" <= c <= "~") or "error"
        self.reason = reason
        super().__init__(f"{self.code}: {reason}" if reason else self.code)


class NotAdmitted(Exception):
    """The upstream knows who this is, and they are not let in here: by the operator's lists, or as a user.

    `reason` is for the log; `user_id` is given where they are a user.
    """

    def __init__(self, reason: str, *, user_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.user_id = user_id
