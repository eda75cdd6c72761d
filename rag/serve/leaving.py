"""A client that goes away must not keep the model: every answer is raced against the end of its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")


class Gone(Exception):
    """The client left before its answer was there."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it is cancelled when the client leaves, and then this raises Gone."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Gone
    finally:
        for task in (working, leaving):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await working


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def ended_with_its_client(app: ASGIApp) -> ASGIApp:
    """`app`, stopped when its client leaves, for one that does not look whether it did."""

    async def raced(scope: Scope, receive: Receive, send: Send) -> None:
        came, whole = asyncio.Queue[Message](), asyncio.Event()

        async def listen() -> None:
            kind = ""
            while kind != "http.disconnect":
                message = await receive()
                kind = message["type"]
                came.put_nowait(message)

        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                whole.set()

        working, leaving = asyncio.ensure_future(app(scope, came.get, told)), asyncio.create_task(listen())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not whole.is_set():  # what follows its last byte is for it to end
                working.cancel()
            await asyncio.wait({working})
        finally:
            working.cancel()
            leaving.cancel()
        if not working.cancelled():
            working.result()

    return raced


class EventStream(StreamingResponse):
    """Server-sent events. `events` is closed at its end and when the client leaves, even before the first byte."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


def event(name: str, data: Any) -> str:
    """One server-sent event; JSON has no line end in it, so its data is one line.

    >>> event("wrote", {"text": "a"})
    'event: wrote\\ndata: {"text": "a"}\\n\\n'
    """
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False)}\n\n"
