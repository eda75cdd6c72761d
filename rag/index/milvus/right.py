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
    """Held from construction to `release`. `term`: another one after it was lost and had again, and somebody else may
    have written in between."""

    term: int

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

    term = 1

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
        self._until, self.term = 0.0, 0
        self._stop, self._turn, self._heard = threading.Event(), threading.Lock(), True
        self._take()
        self._thread = threading.Thread(target=self._renew, name="rag-lease", daemon=True)
        self._thread.start()

    def sure(self) -> None:
        """Where it ran out because the server could not be asked, take it again. Raises IndexBusy if another has it."""
        if time.time() < self._until:
            return
        with self._turn:
            if time.time() >= self._until:
                self._take()

    def release(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(2.0)  # it may be waiting for a server that is not there
        if self._heard and time.time() < self._until:  # else it ends by itself
            with suppress(IndexError_):
                if self._holder() == self._me:
                    self._say(0.0)

    def _take(self) -> None:
        if (holder := self._holder()) not in ("", self._me):
            raise _busy(self._engine, f"it is held by {holder}")
        self._say(time.time() + LEASE_S)
        time.sleep(WAIT_S)
        if (holder := self._holder()) != self._me:
            self._until = 0.0
            raise _busy(self._engine, f"it is held by {holder}")
        self.term += 1

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
            with self._turn:
                try:
                    if time.time() < self._until and self._holder() == self._me:
                        self._say(time.time() + LEASE_S)
                    self._heard = True
                except IndexError_:  # the next turn tries again; `sure` says when it is too late
                    self._heard = False


def _busy(engine: Engine, holder: str) -> IndexBusy:
    return IndexBusy(
        f"{engine.place} is open for writing: {holder}",
        f"one process writes, any number read; one that was killed counts as gone after {LEASE_S:g} s",
    )
