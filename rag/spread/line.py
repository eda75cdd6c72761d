"""One connection to the scheduler of a Dask cluster, on an event loop of its own.

Dask's client waits without end for a scheduler that took the connection and then fell silent, for 20 s when it is
interrupted while it connects, and has its say when it is thrown away. Here each call is given up after some seconds,
and what is left of a connection ends with its loop, in silence: what there is to say is said by our errors.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
CONNECT_S, CLOSE_S = 10.0, 2.0
SILENT_S = 30.0
"""After so long without a word a scheduler counts as lost."""
_TALKERS = ("client", "comm", "core", "batched", "utils")


class Lost(Exception):
    """No answer will come by this asking: the connection was cut, or the answer could not be handed over. `blameless`:
    the connection is to blame."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(f"{type(why).__name__}: {why}".splitlines()[0])
        self.blameless = isinstance(why, concurrent.futures.CancelledError | asyncio.CancelledError | OSError)


class Line:
    """Open from construction to `close`. Raises OSError (TimeoutError after CONNECT_S), or what Dask and TLS raise."""

    def __init__(self, address: str, security: Any) -> None:
        for name in _TALKERS:
            logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
        self._client: Any = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever, name="rag-cluster", daemon=True)
        self._thread.start()
        try:
            self._call(self._open(address, security), CONNECT_S)
        except BaseException:
            self.close()
            raise

    def ask(self, told: Callable[[Any], None], do: Callable[..., Any], *args: Any, priority: int) -> None:
        """Have `do(*args)` done by a worker; then `told` is called, from another thread, with what it returned, with
        the exception that it raised, or with Lost. Raises Lost if it could not even be asked."""
        try:
            self._call(self._ask(told, do, args, priority), SILENT_S)
        except Exception as error:
            raise Lost(error) from error

    def threads(self) -> int | None:
        """Of all workers together; None if the connection is gone, or the scheduler does not say in time."""
        if self._client.status != "running":
            return None
        try:
            threads: dict[str, int] = self._call(self._client.scheduler.ncores(), SILENT_S)
            return sum(threads.values())
        except Exception:  # Dask's, asyncio's and the system's own
            return None

    def close(self) -> None:
        """Let go of all that was asked; closing twice is fine."""
        if self._loop.is_closed():
            return
        with suppress(Exception):
            self._call(self._end(), 2 * CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _open(self, address: str, security: Any) -> None:
        from distributed import Client

        self._client = Client(
            address, security=security, timeout=CONNECT_S, set_as_default=False, asynchronous=True, name="rag"
        )
        await self._client

    async def _ask(self, told: Callable[[Any], None], do: Callable[..., Any], args: Any, priority: int) -> None:
        future = self._client.submit(do, *args, pure=False, priority=priority)  # not pure: a key of its own

        async def fetch() -> None:
            try:
                told(await future.result())
            except BaseException as error:
                told(error if future.status == "error" else Lost(error))

        self._loop.create_task(fetch())

    async def _end(self) -> None:
        if self._client is not None:
            with suppress(Exception, asyncio.CancelledError):
                await self._client.close(timeout=CLOSE_S)
            self._client.status = "closed"  # else it tries once more when it is thrown away, and says so
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=CLOSE_S) if others else None

    def _call(self, work: Coroutine[Any, Any, T], most_s: float) -> T:
        """Runs on the loop; given up after `most_s`."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result(most_s)
        except BaseException:
            running.cancel()
            raise
