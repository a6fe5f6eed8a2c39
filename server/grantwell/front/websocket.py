"""One websocket through the front: messages both ways, each side no faster than the other takes them (RFC 6455)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response
from websockets.typing import Subprotocol

from .._http.answers import Answer, send_answer
from .failures import NoAnswer, TooSlow, Unacceptable, Unreachable
from .headers import Headers, answer_headers
from .target import Target

_PING_SECONDS = 20.0
_PONG_SECONDS = 60.0
_CLOSING_SECONDS = 1.0

# Codes of RFC 6455 section 7.4.1 and its registry.
_GOING_AWAY = 1001
_TROUBLE = 1011
_NORMAL = 1000
_NO_CODE = 1005
_ABNORMAL = 1006
_SPEAKABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class _Dial(connect):
    """Connects to the upstream itself: no proxy of the environment and no redirect leads elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@dataclass(frozen=True, slots=True)
class _Ending:
    """How one side has ended a websocket."""

    code: int
    reason: str
    is_clients: bool


class Relay:
    """Opens a websocket to the upstream for each of the client's."""

    def __init__(self, target: Target, *, max_message_bytes: int, open_timeout: float) -> None:
        self._target = target
        self._max_message_bytes = max_message_bytes
        self._open_timeout = open_timeout

    async def run(self, path: bytes, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one websocket until either side ends it. Raises NoAnswer before it is accepted."""
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            upstream = await self._open(path, headers, scope["subprotocols"])
        except InvalidStatus as refusal:
            await send_answer(_refusal(refusal.response), scope, receive, send)
            return
        try:
            accepted = {"subprotocol": upstream.subprotocol, "headers": _passed_on(upstream.response)}
            await send({"type": "websocket.accept", **accepted})
            await _relay(upstream, receive, send)
        finally:
            # Where it was closed in good order, nothing is left to abort.
            upstream.transport.abort()

    async def _open(self, path: bytes, headers: Headers, subprotocols: list[str]) -> ClientConnection:
        scheme = "ws" if self._target.tls is None else "wss"
        try:
            return await _Dial(
                f"{scheme}://{self._target.authority}{path.decode('ascii')}",
                subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                # What is not ASCII is read in one way by some servers and otherwise by others.
                additional_headers=[(k.decode("ascii"), v.decode("ascii")) for k, v in headers if v.isascii()],
                user_agent_header=None,
                compression=None,
                proxy=None,
                open_timeout=self._open_timeout,
                close_timeout=_CLOSING_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PONG_SECONDS,
                max_size=self._max_message_bytes,
                max_queue=1,
                ssl=self._target.tls,
            )
        except InvalidStatus:
            raise
        except InvalidURI as error:
            raise Unacceptable("the path is not one that a websocket may have") from error
        except TimeoutError as error:
            raise TooSlow(f"no answer to the handshake within {self._open_timeout:g} s") from error
        except OSError as error:
            raise Unreachable(f"no connection ({type(error).__name__}: {error.strerror or error})") from error
        except (InvalidHandshake, EOFError) as error:
            raise NoAnswer(f"the upstream does not shake hands as it should: {error}") from error


def _passed_on(response: Response | None) -> Headers:
    """The headers of an upstream's handshake that are for the client, and not for this hop."""
    if response is None:
        return []
    items = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in response.headers.raw_items()]
    kept = answer_headers(items, response.status_code)
    return [(name, value) for name, value in kept if not name.startswith(b"sec-websocket-")]


def _refusal(response: Response) -> Answer:
    """The upstream's own refusal of a handshake; its length is counted anew."""
    headers = tuple((name, value) for name, value in _passed_on(response) if name != b"content-length")
    return Answer(response.status_code, headers, bytes(response.body))


async def _relay(upstream: ClientConnection, receive: Receive, send: Send) -> None:
    sides = {
        asyncio.create_task(_from_client(upstream, receive)),
        asyncio.create_task(_from_upstream(upstream, send)),
    }
    try:
        done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for side in sides:
            side.cancel()
        await asyncio.wait(sides)
    ending = done.pop().result()
    if ending.is_clients:
        await upstream.close(ending.code if ending.code in _SPEAKABLE else _GOING_AWAY, ending.reason)
    else:
        await send({"type": "websocket.close", "code": _said(ending.code), "reason": ending.reason})


def _said(code: int) -> int:
    """The code for a frame to the client: that of the upstream, unless it stands in no frame."""
    if code == _NO_CODE:
        return _NORMAL
    return code if code in _SPEAKABLE else _TROUBLE


async def _from_client(upstream: ClientConnection, receive: Receive) -> _Ending:
    while (message := await receive())["type"] != "websocket.disconnect":
        data = message.get("text")
        try:
            await upstream.send(message["bytes"] if data is None else data)
        except ConnectionClosed:
            # What is said to an upstream that has gone is lost; its last messages are still on their way to the client.
            continue
    return _Ending(message.get("code") or _NO_CODE, message.get("reason") or "", is_clients=True)


async def _from_upstream(upstream: ClientConnection, send: Send) -> _Ending:
    try:
        while True:
            data = await upstream.recv()
            await send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
    except ConnectionClosed as end:
        closing = end.rcvd or end.sent
        return _Ending(
            _ABNORMAL if closing is None else closing.code, closing.reason if closing else "", is_clients=False
        )
    except OSError:
        # The server in front knows that the client has gone.
        return _Ending(_GOING_AWAY, "", is_clients=True)
