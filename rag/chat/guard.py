"""Every request passes here before any route: host, origin, password, size; every reply leaves with its policy.

The page is served on this computer for this computer. Other sites that the same browser visits must not reach it: by a
name that they point at 127.0.0.1 (host check), by a form or script of theirs (origin check), or through a document that
names a remote picture (content-security policy).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rag.web import host_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'"
)  # Gradio evaluates its templates, hence 'unsafe-eval': escaping is what guards the text, this is the second wall
_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """ASGI middleware around the whole app, mounted ones included. `password`: HTTP basic, any user name."""

    def __init__(
        self, app: ASGIApp, trusted: Callable[[str], bool], password: str | None = None, max_bytes: int = 2**28
    ) -> None:
        self._app, self._trusted, self._max_bytes = app, trusted, max_bytes
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers)
        if refusal is None:
            await self._app(scope, _counted(receive, self._max_bytes), _sealed(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(_sealed(send), *refusal)

    def _refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if not self._trusted(host_of("//" + headers.get("host", ""))):
            return 421, "This page answers only under its own address. Open the address that the terminal printed."
        origin = headers.get("origin")
        if origin is not None and not self._trusted(host_of(origin)):
            return 403, "Requests from other sites are refused."
        if self._password is not None and not _knows(headers.get("authorization", ""), self._password):
            return 401, "This page needs its password."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_bytes:
            return 413, f"More than {self._max_bytes >> 20} MB in one request is refused."
        return None


def _knows(authorization: str, password: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    try:
        _, _, word = base64.b64decode(given, validate=True).decode("utf-8").partition(":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(word.encode(), password.encode())


def _counted(receive: Receive, most: int) -> Receive:
    """`receive` for bodies that do not say their length: past `most` bytes the sender counts as gone."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > most else message

    return counted


def _sealed(send: Send) -> Send:
    """`send` with the policy on every reply; no other site is ever allowed to read one."""

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() not in _HEADERS and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *_HEADERS.items()]}
        await send(message)

    return sealed


async def _refuse(send: Send, status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="rag", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (why + "\n").encode()})
