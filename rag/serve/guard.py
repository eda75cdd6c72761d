"""Every request passes here before any route: name, origin, token, rate, size, slowness; every reply is counted.

The order is the order of trust: a request under a foreign name or from a foreign page is refused before its token is
looked at, and nothing of a body is read for somebody who may not ask. What is noted of a request is its method, its
route (the pattern, never the address that was asked for), status, seconds, bytes: no question, no document, no token.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rag.serve.metrics import Metrics
from rag.serve.notes import failed, unforeseen
from rag.serve.refuse import METHODS, said
from rag.web import host_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rag.config import ServeConfig

_LOG = logging.getLogger("rag.serve")
OPEN = frozenset({"/health"})  # without token and rate: whoever watches over the server asks it often
PLAIN = frozenset({"/mcp", "/openapi.json"})  # their routes do not say that it was them
SMALL_BYTES = 1_000_000  # of a body that holds no documents
UPLOADS = "/v1/documents"
RECEIPTS = "/v1/receipts/verify"
RECEIPT_BYTES = 10_000_000
MOST_HEADERS, HEADER_BYTES = 200, 32_000
MOST_AT_ONCE, CROWDED_S = 1000, 1.0  # requests on their way; seconds after which one more may come again
DRAIN_BYTES, DRAIN_S = 256_000_000, 5.0
_MOST_REMEMBERED = 10_000  # askers whose rate is known
_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


Refusal = tuple[int, str, str, float]
"""Status, code, message, seconds after which to come again (0: never mind)."""


class Rates:
    """How many requests each asker has left: a bucket that fills by `per_minute` a minute and holds as many."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_minute / 60, float(per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, asker: str) -> float:
        """0 if the asker may go on, and takes one from its bucket; else seconds until it may."""
        now = self._clock()
        left, then = self._left.pop(asker, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_s)
        self._left[asker] = (left - 1, now) if left >= 1 else (left, now)
        while len(self._left) > _MOST_REMEMBERED:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._per_s


class Guard:
    """ASGI middleware around the whole app. `tokens`: any of them opens; none: everybody is let in."""

    def __init__(
        self,
        app: ASGIApp,
        trusted: Callable[[str], bool],
        tokens: Collection[str],
        settings: ServeConfig,
        metrics: Metrics,
    ) -> None:
        self._app, self._trusted, self._settings, self._metrics = app, trusted, settings, metrics
        self._tokens = [hashlib.sha256(t.encode("utf-8", "surrogateescape")).digest() for t in tokens]
        self._rates = Rates(settings.per_minute)
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        counted = _Counted(send)
        began = time.monotonic()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        counted.refusal = self._refusal(scope, headers)
        self._inside += 1
        try:
            if counted.refusal is None:
                await self._app(scope, self._bounded(receive, counted, _most(scope, self._settings)), counted)
        except Exception as e:
            if counted.refusal is None:  # else the app only fell over the body that was cut off
                counted.refusal = 500, "unexpected", unforeseen(e).message, 0
                failed(_LOG, {"message": "a request failed", "route": _route(scope)}, e)
        finally:
            self._inside -= 1
            if counted.refusal is not None and counted.status == 0:
                if counted.refusal[0] == 413:
                    await _drain(receive)
                await counted.refuse(*counted.refusal)
            self._note(scope, counted, time.monotonic() - began)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        """None for a request that may pass."""
        if len(scope["headers"]) > MOST_HEADERS or sum(len(k) + len(v) for k, v in scope["headers"]) > HEADER_BYTES:
            return 431, "headers", "the headers are too many or too long", 0
        if not self._trusted(host_of("//" + headers.get("host", ""))):
            return 421, "host", "this server answers only under its own name", 0
        origin = headers.get("origin")
        if origin is not None and not self._trusted(host_of(origin)):
            return 403, "origin", "requests from other sites are refused", 0
        if scope["path"] in OPEN:
            return None
        if self._inside >= MOST_AT_ONCE:
            return 503, "crowded", "too many requests are on their way", CROWDED_S
        token = self._token(headers.get("authorization", ""))
        address = scope["client"][0] if scope.get("client") else ""
        wait_s = self._rates.wait_s(token or address)
        if wait_s > 0:
            return 429, "rate", f"more than {self._settings.per_minute} requests a minute", wait_s
        if self._tokens and not token:
            return 401, "token", "a token is needed: Authorization: Bearer ...", 0
        length, most = headers.get("content-length", "0"), _most(scope, self._settings)
        if not (length.isascii() and length.isdecimal()) or len(length) > 15 or int(length) > most:
            return 413, "size", f"more than {most // 1_000_000} MB in this request are refused", 0
        return None

    def _token(self, authorization: str) -> str:
        """The name under which a known token is counted; '' for none. Every token is compared, in constant time."""
        scheme, _, given = authorization.partition(" ")
        digest = hashlib.sha256(given.strip().encode("latin-1")).digest()
        known = [hmac.compare_digest(digest, token) for token in self._tokens]
        return digest.hex() if any(known) and scheme.lower() == "bearer" else ""

    def _bounded(self, receive: Receive, counted: _Counted, most: int) -> Receive:
        """`receive` for a body that does not say its length, or comes too slowly: the app sees its sender leave."""
        seen, whole = 0, False
        until = time.monotonic() + self._settings.body_s

        async def bounded() -> Message:
            nonlocal seen, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
            except TimeoutError:
                counted.refusal = 408, "slow", "the request took too long to arrive", 0
                return {"type": "http.disconnect"}
            seen += len(message.get("body", b""))
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            if seen > most:
                counted.refusal = 413, "size", f"more than {most // 1_000_000} MB in this request are refused", 0
                return {"type": "http.disconnect"}
            return message

        return bounded

    def _note(self, scope: Scope, counted: _Counted, seconds: float) -> None:
        method, route = _method(scope), _route(scope)
        status = str(counted.status or 499)  # 499: it left before an answer
        self._metrics.requests[method, route, status] += 1
        self._metrics.timed(route, seconds)
        refused = counted.refusal[1] if counted.refusal is not None else ""
        if refused:
            self._metrics.refusals[refused] += 1
        noted = {"method": method, "route": route, "status": int(status), "seconds": round(seconds, 3)}
        _LOG.info(json.dumps({**noted, "bytes": counted.bytes, "refused": refused}))


class _Counted:
    """`send`, with what it sent: status (0: nothing yet), bytes. On every reply the same headers; no other site is ever
    allowed to read one. Once there is a `refusal`, what the app says is not sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status, self.bytes = 0, 0
        self.refusal: Refusal | None = None

    async def __call__(self, message: Message) -> None:
        if self.refusal is None or self.status:
            await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() not in _HEADERS and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *_HEADERS.items()]}
        self.bytes += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, status: int, code: str, message: str, wait_s: float) -> None:
        """The whole reply."""
        body = json.dumps(said(status, code, message)).encode()
        headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status in (408, 413):
            headers.append((b"connection", b"close"))  # what is left of the body is not read
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="rag"'))
        if wait_s > 0:
            headers.append((b"retry-after", str(int(wait_s) + 1).encode()))
        await self._pass({"type": "http.response.start", "status": status, "headers": headers})
        await self._pass({"type": "http.response.body", "body": body})


async def _drain(receive: Receive) -> None:
    """Read on for a while and throw it away: a client that is still sending would not hear why it was refused."""
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while seen < DRAIN_BYTES and (message := await receive()).get("more_body", False):
                seen += len(message["body"])


def _route(scope: Scope) -> str:
    """The pattern of the address; of the address itself never more than is known beforehand."""
    return getattr(scope.get("route"), "path", "") or (scope["path"] if scope["path"] in PLAIN else "none")


def _method(scope: Scope) -> str:
    """As it is counted: a client may make up as many as it likes."""
    return scope["method"] if scope["method"] in METHODS else "other"


def _most(scope: Scope, settings: ServeConfig) -> int:
    """Bytes of a body."""
    if scope["path"] == UPLOADS:
        return settings.body_mb * 1_000_000
    return RECEIPT_BYTES if scope["path"] == RECEIPTS else SMALL_BYTES
