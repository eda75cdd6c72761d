"""The assistant for programs that must not wait: the same verbs, each in a thread of its own.

    assistant = await rag.open_async("index")
    answer = await assistant.ask("How many cherry trees will Japan give?")
    async for event in assistant.stream("Where did the leaders meet?"): ...

Cancelling a call that waits closes its stream, which frees the model within 1 s; leaving an `async for` early does so
when the iterator is closed: at once under `contextlib.aclosing`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from rag.assistant import Assistant, open
from rag.errors import Cancelled
from rag.types import Answer, Document, Event, Hit

if TYPE_CHECKING:
    from rag.add import Report
    from rag.index import SourceRow

P = ParamSpec("P")
T = TypeVar("T")


async def open_async(
    index: str | Path | None = None, *, documents: str | Path | Iterable[str | Path] | None = None, **settings: Any
) -> AsyncAssistant:
    """What `rag.open` does, without holding up the loop."""
    return AsyncAssistant(await asyncio.to_thread(partial(open, index, documents=documents, **settings)))


class AsyncAssistant:
    """`plain`, the assistant itself, for many askers of one event loop. `answers` may be on their way at once, each in
    a thread; whoever comes then waits. Searches and the like have threads of their own, so an answer never keeps them.
    """

    def __init__(self, plain: Assistant, answers: int = 64) -> None:
        self.plain = plain
        self._answers = ThreadPoolExecutor(answers, "rag-answer")
        self._others = ThreadPoolExecutor(4, "rag-other")
        self._adding = ThreadPoolExecutor(1, "rag-add")  # one writer at a time, and no search waits behind it

    async def ask(self, question: str, **how: Any) -> Answer:
        """The last event of `stream`. Raises Cancelled if the assistant was closed meanwhile."""
        async with aclosing(self.stream(question, **how)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise Cancelled("the answer was stopped", "the assistant was closed")

    async def stream(self, question: str, **how: Any) -> AsyncGenerator[Event, None]:
        """The events of `Assistant.stream`, whose keywords it takes. Closed, or cancelled, it frees the model."""
        events = await self._in(self._answers, self.plain.stream, question, **how)
        try:
            while (event := await self._in(self._answers, next, events, None)) is not None:
                yield event
        finally:
            # in a thread: it may have to wait for a pipe; and on no pool, whose threads may all be busy
            threading.Thread(target=events.close, name="rag-close", daemon=True).start()

    async def search(self, query: str, k: int = 8, **how: Any) -> list[Hit]:
        """What `Assistant.search` finds."""
        return await self.call(self.plain.search, query, k, **how)

    async def sources(self) -> list[SourceRow]:
        """What the index holds, one row per document."""
        return await self.call(self.plain.sources)

    async def document(self, source_id: str) -> Document:
        """A document as it was indexed. Raises KeyError if it is not there."""
        return await self.call(self.plain.document, source_id)

    async def add(self, paths: Iterable[str | Path], **how: Any) -> Report:
        """What `Assistant.add` does; once begun it is finished, also when the caller is cancelled."""
        return await self._in(self._adding, self.plain.add, list(paths), **how)

    async def call(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Any other verb of the plain assistant: `await assistant.call(assistant.plain.holds, citation)`."""
        return await self._in(self._others, verb, *args, **kwargs)

    async def change(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Any other verb that writes to the index, behind those that came before it; no search waits for it."""
        return await self._in(self._adding, verb, *args, **kwargs)

    async def close(self) -> None:
        """Free the models and the index; answers on their way end. Closing twice is fine."""
        await asyncio.to_thread(self.plain.close)
        self.release()

    def release(self) -> None:
        """Let go of the threads; the plain assistant stays open."""
        self._answers.shutdown(wait=False, cancel_futures=True)
        self._others.shutdown(wait=False, cancel_futures=True)
        self._adding.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _in(self, pool: ThreadPoolExecutor, verb: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, partial(verb, *args, **kwargs))
