"""The right to write: one process at a time.

For a file it is a lock of the system. A server has none to give, so it is a row that says who may, and until when, and
is written again before that time is over. Two who come at the same moment both write the row, wait for longer than a
write takes, and read it: the one who is named has it (Fischer's algorithm, in Lamport, "A fast mutual exclusion
algorithm", 1987). The clocks of the machines must agree to some seconds.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rag.errors import IndexBusy, IndexError_
from rag.files import Lock
from rag.index.milvus.engine import Engine

LEASE_S = 30.0  # after this long without a sign a writer counts as gone
WAIT_S = 1.0  # longer than a row takes to be written


class Right(Protocol):
    """Held from construction to `release`."""

    def sure(self) -> None:
        """Raises IndexError_ if it was lost."""
        ...

    def release(self) -> None:
        """Let the next one in; releasing twice is fine."""
        ...


def taken(engine: Engine) -> Right:
    """The right to write this index. Raises IndexBusy."""
    return FileRight(engine) if engine.place.file else Lease(engine)


class FileRight:
    """A lock beside the file."""

    def __init__(self, engine: Engine) -> None:
        try:
            self._lock = Lock(Path(f"{engine.place.file}.lock"))
        except BlockingIOError as error:
            raise _busy(engine, str(error)) from error

    def sure(self) -> None:
        """The system keeps it."""

    def release(self) -> None:
        self._lock.release()


class Lease:
    """A row of the collection `meta`, written again by a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._me = engine, f"process {os.getpid()} of {socket.gethostname()} ({secrets.token_hex(4)})"
        self._until = 0.0
        self._stop = threading.Event()
        if holder := self._holder():
            raise _busy(engine, f"it is held by {holder}")
        self._say(time.time() + LEASE_S)
        time.sleep(WAIT_S)
        if (holder := self._holder()) != self._me:
            raise _busy(engine, f"it is held by {holder}")
        self._thread = threading.Thread(target=self._renew, name="rag-lease", daemon=True)
        self._thread.start()

    def sure(self) -> None:
        """Raises IndexError_ if nobody could renew it in time."""
        if time.time() >= self._until:
            raise IndexError_(f"the right to write {self._engine.place} was lost", "start again to write")

    def release(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        with suppress(IndexError_):  # then it ends by itself
            if self._holder() == self._me:
                self._say(0.0)

    def _holder(self) -> str:
        """Who may write now; '' if nobody."""
        found = self._engine.named("meta", ["writer"], ["value"])
        who, until = json.loads(found["writer"]["value"]) if found else ("", 0.0)
        return who if until > time.time() else ""

    def _say(self, until: float) -> None:
        self._engine.upsert("meta", [{"id": "writer", "value": json.dumps([self._me, until])}])
        self._until = until

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_S / 3):
            with suppress(IndexError_):  # the next turn tries again; `sure` says when it is too late
                if self._holder() in ("", self._me):
                    self._say(time.time() + LEASE_S)


def _busy(engine: Engine, holder: str) -> IndexBusy:
    return IndexBusy(f"{engine.place} is open for writing: {holder}", "one process writes, any number read")
