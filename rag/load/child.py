"""The host's side of the child process in which files are parsed: sends bytes, waits for text, and is not waited out.

A hostile or broken file can exhaust memory, loop for ever, or end the process through a C library. Here that costs one
file: the child is limited by the kernel (memory, time), its reply by size, and when it dies the next file gets a new
one. It is a fresh interpreter, never a fork, so that threads and locks of this process cannot reach it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rag.errors
from rag.errors import DocumentError
from rag.load.draft import Parsed
from rag.types import Mark


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost: address space in bytes, wall time in seconds (and one more for each half megabyte of it),
    size of the reply in bytes."""

    memory_bytes: int = 2 << 30
    seconds: int = 120
    reply_bytes: int = 500_000_000


LIMITS = Limits()
OVER_MEMORY = "split it into smaller files"
_GRACE_S = 5.0  # the child's own clock ends it first; this is for one that cannot even do that
_BYTES_A_SECOND = 500_000
_PIECE = 1 << 20


class _Died(Exception):
    """The child ended, or its time is over."""


class Child:
    """One child process at a time: started when needed, reused for file after file, started anew after a death."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0  # that this process has read
        self._seconds = limits.seconds  # that the file in hand may take

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        return self._process.pid if self._process is not None else None

    def read(self, data: bytes, name: str) -> tuple[str, Parsed]:
        """Media type and content of the file called `name`. Raises DocumentError."""
        with self._lock:
            while True:
                used = self._files > 0 and self._process is not None
                try:
                    return self._ask(data, name)
                except DocumentError as e:
                    if not (used and e.hint == OVER_MEMORY):
                        raise
                    self._kill()  # what earlier files left in it may be to blame: once more, in a fresh one
                except _Died:
                    why = self._bury()
                    if why is not None or not used:
                        raise why or _BROKEN from None
                except BaseException:
                    self._kill()  # Ctrl-C: half a reply must not meet the next question
                    raise

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def _ask(self, data: bytes, name: str) -> tuple[str, Parsed]:
        process = self._process or self._start()
        self._files += 1
        self._seconds = self._limits.seconds + len(data) // _BYTES_A_SECOND
        deadline = time.monotonic() + self._seconds + _GRACE_S
        head = json.dumps({"name": name, "bytes": len(data), "seconds": self._seconds}).encode() + b"\n"
        _send(process, (head, data), deadline)
        size = int.from_bytes(_receive(process, 8, deadline), "little")
        if size > self._limits.reply_bytes:
            self._kill()  # with all that it has to say
            raise DocumentError(f"it would become {size:,} bytes, over {self._limits.reply_bytes:,}", "split it")
        return _understood(_receive(process, size, deadline))

    def _start(self) -> subprocess.Popen[bytes]:
        self._files = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rag.load.worker", str(self._limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # Ctrl-C belongs to the parent
        )
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        return self._process

    def _bury(self) -> DocumentError | None:
        """Kill what no longer answers; the reason if it is sure to be the file's fault."""
        assert self._process is not None
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
        self._kill()
        if code is None or code == -signal.SIGALRM:
            return DocumentError(f"it took more than {self._seconds} s to read", "split it, or save it anew")
        return None

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


_BROKEN = DocumentError(
    "it broke the process that reads files", "it is damaged or hostile; save it anew where it was made"
)


def _send(process: subprocess.Popen[bytes], pieces: tuple[bytes, ...], deadline: float) -> None:
    assert process.stdin is not None
    handle = process.stdin.fileno()
    for piece in pieces:
        view = memoryview(piece)
        while view:
            _, ready, _ = select.select([], [handle], [], _left(deadline))
            if ready:
                try:
                    view = view[os.write(handle, view[:_PIECE]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise _Died from None


def _receive(process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
    assert process.stdout is not None
    handle, got = process.stdout.fileno(), bytearray()
    while len(got) < size:
        ready, _, _ = select.select([handle], [], [], _left(deadline))
        if ready:
            piece = os.read(handle, min(_PIECE, size - len(got)))
            if not piece:
                raise _Died
            got += piece
    return bytes(got)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _Died
    return left


def _understood(reply: bytes) -> tuple[str, Parsed]:
    told: dict[str, Any] = json.loads(reply)
    if "error" in told:
        raise DocumentError(*told["error"])
    marks = tuple(Mark.of(*mark) for mark in told["marks"])
    parsed = Parsed(told["title"], told["text"], marks, told["date"], told["dropped"], tuple(told["notes"]))
    return told["media_type"], parsed


def _environment() -> dict[str, str]:
    """The child's environment: this very package, and no secrets."""
    root = str(Path(rag.errors.__file__).resolve().parent.parent)
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))}
