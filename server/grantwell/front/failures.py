"""What can go wrong between here and the upstream, each with what the client is told and what the log is."""

from __future__ import annotations

from ..errors import GrantwellError


class NoAnswer(GrantwellError):
    """The upstream has not answered. `status`, `code` and `description` are for the client, the message for the log.

    `is_body_left` tells that the client is in the middle of its request, so that its connection has to end.
    """

    status = 502
    code = "bad_gateway"
    description = "The API behind this server did not answer as it should."
    is_body_left = False


class Unreachable(NoAnswer):
    """No connection to the upstream."""

    description = "The API behind this server cannot be reached."


class ConnectionLost(NoAnswer):
    """The upstream has ended the connection; `is_unanswered` where not a byte of an answer had come."""

    def __init__(self, reason: str, *, is_unanswered: bool) -> None:
        super().__init__(reason)
        self.is_unanswered = is_unanswered


class TooSlow(NoAnswer):
    """The upstream took longer than it may."""

    status = 504
    code = "gateway_timeout"
    description = "The API behind this server did not answer in time."


class TooBusy(NoAnswer):
    """Every connection that the upstream may have is taken."""

    status = 503
    code = "temporarily_unavailable"
    description = "The API behind this server has too much to do; try again."


class Unacceptable(NoAnswer):
    """A request that is not sent on, because the upstream could read it otherwise than it was read here."""

    status = 400
    code = "invalid_request"
    description = "The request is malformed."


class MethodRefused(NoAnswer):
    """A method that is not for those behind a gateway: it makes a tunnel, or shows what the gateway adds."""

    status = 405
    code = "invalid_request"
    description = "The method is not allowed here."


class ClientStalled(NoAnswer):
    """The client began a body and does not go on."""

    status = 408
    code = "invalid_request"
    description = "The request did not arrive in time."


class AnswerBroken(GrantwellError):
    """The answer ended before it was whole. It is raised, so that no server and no middleware ends it as if it were."""
