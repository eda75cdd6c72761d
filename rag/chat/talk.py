"""The question that is on its way in one browser's page.

`assistant.stream` is a plain iterator that works while it is pulled. Here it is pulled in a thread of its own, so that
the web server's loop stays free, a stop takes hold while the next event is still being made, and a browser that went
away is noticed (Gradio looks only between two events: hence the beat).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from rag.types import Event

BEAT_S = 0.4  # the promise is that a closed page frees the model within 1 s


class Running:
    """An iterator of events, pulled in a thread; `stop` closes it from any thread."""

    def __init__(self, start: Callable[[], Iterator[Event]]) -> None:
        self._start = start
        self._stopped = threading.Event()
        self._events: Iterator[Event] | None = None
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()

    @property
    def stopped(self) -> bool:
        """True once `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Close the iterator; at once if it waits for its caller, else as soon as it has made the next event."""
        self._stopped.set()
        self._put(None)
        close = getattr(self._events, "close", None)
        if close is not None:
            with contextlib.suppress(ValueError):  # "generator already executing": `_pull` closes it
                close()

    async def batches(self) -> AsyncIterator[list[Event]]:
        """All events that are ready, together; an empty list every BEAT_S without any. Raises what the iterator
        raised; ends at the iterator's end or at `stop`."""
        threading.Thread(target=self._pull, name="chat-question", daemon=True).start()
        while True:
            batch: list[Event | BaseException | None] = []
            with contextlib.suppress(TimeoutError):
                batch.append(await asyncio.wait_for(self._queue.get(), BEAT_S))
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            ready = [item for item in batch if item is not None and not isinstance(item, BaseException)]
            if ready or not batch:
                yield ready
            for item in batch:
                if isinstance(item, BaseException):
                    raise item
            if None in batch:
                return

    def _pull(self) -> None:
        end: BaseException | None = None
        try:
            self._events = self._start()
            for event in self._events:
                if self.stopped:
                    break
                self._put(event)
        except BaseException as error:  # it is raised again where the page waits
            end = None if self.stopped else error
        finally:
            close = getattr(self._events, "close", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    close()
            self._put(end)

    def _put(self, item: Event | BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the server's loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)


@dataclass
class Talk:
    """What runs for one open page. Gradio keeps one of these for each; what was said is kept on disk."""

    running: Running | None = None
    over: bool = False

    def leave(self) -> None:
        """Stop, and show nothing more of it: another conversation has taken its place."""
        self.over = True
        self.stop()

    def stop(self) -> None:
        """Stop the question on its way, if there is one."""
        if self.running is not None:
            self.running.stop()
