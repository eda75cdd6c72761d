"""The desk behind every route that answers: who is in, who is before them, and who is sent away at once.

One is answered, at most `waiting` wait; whoever comes then hears `Busy` before anything is read or loaded. Finding and
reading come first come first served, one at a time; the wording stands in the model's own line, which holds NEAR: they
have heard their passages and quotes. Who comes after them waits at the desk. Each answer is a task: when its asker
leaves, the task is cancelled, which frees the model within 1 s, wherever the answer stood.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.asynchronous import AsyncAssistant
from rag.errors import Busy, Cancelled, ModelError, RagError
from rag.llm.line import MOST_WAITING
from rag.serve.notes import failed, unforeseen
from rag.types import Answer, Event, Found, Waits

if TYPE_CHECKING:
    from rag.filters import Filter
    from rag.serve.metrics import Metrics

_LOG = logging.getLogger("rag.serve")
NEAR = 1 + MOST_WAITING
BEAT_S = 1.0  # how long a client hears nothing at most
_FIRST_GUESS_S = 3.0  # of one answer, before any was measured
_NEWEST = 0.3  # weight of the newest answer in the running mean


@dataclass(frozen=True, slots=True)
class Expected:
    """Event of the door, in place of `Waits`: `before` others come first (0: it is being answered); `estimate_s`:
    seconds until the answer, by the mean of the last ones."""

    before: int
    estimate_s: float


class _Ticket:
    """One asker's place, taken at `since` (time.monotonic)."""

    def __init__(self) -> None:
        self.since = time.monotonic()


class Desk:
    """Lets askers in over one assistant. Used from one event loop."""

    def __init__(self, assistant: AsyncAssistant, metrics: Metrics) -> None:
        self.assistant, self.metrics = assistant, metrics
        settings = assistant.plain.config.serve
        self._most, self._answer_s = 1 + settings.waiting, settings.answer_s
        self._inside: list[_Ticket] = []
        self._near = asyncio.Semaphore(NEAR)
        self._reading = asyncio.Lock()
        self._mean_s, self._freed = _FIRST_GUESS_S, 0.0

    async def ask(self, question: str, history: Sequence[tuple[str, str]] = (), where: Filter | None = None) -> Answer:
        """The last event. Raises what `events` raises."""
        async with aclosing(self.events(question, history, where)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise Cancelled("the answer was stopped", "ask again")

    async def events(
        self, question: str, history: Sequence[tuple[str, str]] = (), where: Filter | None = None
    ) -> AsyncGenerator[Event | Expected, None]:
        """The events of the answer; `Expected` among them when somebody is before it, and whenever BEAT_S passed
        without an event. Raises Busy at once if nobody more can wait, else what the assistant raises."""
        ticket, told = self._enter(), asyncio.Queue[Event | RagError]()
        answering = asyncio.create_task(self._answer(told, question, history, where))
        answering.add_done_callback(lambda _: self._leave(ticket))
        try:
            if self._expected(ticket).before:
                yield self._expected(ticket)
            while True:
                try:
                    event = await asyncio.wait_for(told.get(), BEAT_S)
                except TimeoutError:
                    yield self._expected(ticket)
                    continue
                if isinstance(event, RagError):
                    raise event
                yield event
                if isinstance(event, Answer):
                    return
        finally:
            answering.cancel()

    async def _answer(self, told: asyncio.Queue[Event | RagError], *asked: Any) -> None:
        """Runs as a task of its own, so that its asker can leave at any moment."""
        began = time.monotonic()
        try:
            async with self._near, asyncio.timeout(self._answer_s):
                await self._tell(told, *asked)
            now = time.monotonic()
            took_s = now - max(began, self._freed)  # waiting is no part of it
            self._mean_s, self._freed = self._mean_s + _NEWEST * (took_s - self._mean_s), now
        except TimeoutError:
            told.put_nowait(ModelError(f"the answer took over {self._answer_s:g} s", "ask more briefly, or later"))
        except RagError as e:
            told.put_nowait(e)
        except Exception as e:
            failed(_LOG, {"message": "an answer failed"}, e)
            told.put_nowait(unforeseen(e))

    async def _tell(
        self,
        told: asyncio.Queue[Event | RagError],
        question: str,
        history: Sequence[tuple[str, str]],
        where: Filter | None,
    ) -> None:
        async with aclosing(self.assistant.stream(question, history=history, where=where)) as events:
            async with self._reading:
                async for event in events:
                    told.put_nowait(event)
                    if not isinstance(event, Found):
                        break
            async for event in events:
                if not isinstance(event, Waits):
                    told.put_nowait(event)
                if isinstance(event, Answer):
                    self.metrics.outcomes[event.outcome.value] += 1
                    return
        told.put_nowait(Cancelled("the answer was stopped", "ask again"))

    def _enter(self) -> _Ticket:
        if len(self._inside) >= self._most:
            wait_s = max(1, math.ceil(self._mean_s))
            waiting = len(self._inside) - 1
            raise Busy(f"one is answered and {waiting} wait already", f"ask again in {wait_s} s", retry_s=wait_s)
        ticket = _Ticket()
        self._inside.append(ticket)
        self.metrics.inside = len(self._inside)
        return ticket

    def _leave(self, ticket: _Ticket) -> None:
        self._inside.remove(ticket)
        self.metrics.inside = len(self._inside)

    def _expected(self, ticket: _Ticket) -> Expected:
        before = self._inside.index(ticket) if ticket in self._inside else 0
        first = self._inside[0] if self._inside else ticket
        so_far_s = time.monotonic() - max(first.since, self._freed)  # of the answer that is being written
        return Expected(before, round(max(0.0, (before + 1) * self._mean_s - so_far_s), 1))
