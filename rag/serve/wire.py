"""The wire below the routes: how uvicorn is set up, how long a client may take to say what it wants.

uvicorn waits for ever for the end of a request's head, and for a client that does not read its reply; a thousand such
clients would keep everybody out. Here a head has as long as a body (`serve.body_s`), the first of its connection or a
later one; and whoever reads nothing of a reply for as long is cut off.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol


def config(app: FastAPI, head_s: float) -> uvicorn.Config:
    """How `app` is served. `head_s`: seconds in which a request's head must arrive."""
    return uvicorn.Config(
        app, log_config=None, log_level="error", access_log=False, timeout_graceful_shutdown=1, server_header=False,
        http=partial(Patient, head_s=head_s), ws="none",  # type: ignore[arg-type]
    )  # fmt: skip


class Patient(H11Protocol):
    """One connection; closed when the head of a request takes more than `head_s` seconds to arrive, or when nothing of
    a reply was taken for so long."""

    def __init__(self, *args: Any, head_s: float, **how: Any) -> None:
        super().__init__(*args, **how)
        self._head_s = head_s
        self._until: float | None = None  # while a head is awaited that has begun
        self._stuck: asyncio.TimerHandle | None = None  # while a reply waits for its reader

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: it is here to ask."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes: of a head, or of a body, which the guard times."""
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self._rest()

    def _look_again(self) -> None:
        before = self.transport.get_write_buffer_size()
        self._stuck = self.loop.call_later(self._head_s, self._taken, before)

    def _taken(self, before: int) -> None:
        """Whether some of what waits was taken; it does not grow while writing rests."""
        if self.transport.get_write_buffer_size() < before:
            self._look_again()
        else:
            self.transport.abort()

    def _rest(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._until = None
        elif self.timeout_keep_alive_task is None and not self.transport.is_closing():
            now = self.loop.time()
            self._until = now + self._head_s if self._until is None else self._until
            left_s = max(0.0, self._until - now)
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
