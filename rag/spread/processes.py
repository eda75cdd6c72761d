"""Workers that are processes of this machine, each at the end of a pipe.

One thread here speaks with one worker and gives it one task at a time, so that it is known over which task a worker
died; it is started anew then. They are fresh interpreters, never forks, need no guard in the user's script, do not see
Ctrl-C (it is the parent's), and end with the parent, however that ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import rag.errors
from rag.errors import ModelDied, RagError
from rag.spread import Died, Done, Raised, Reply, Task
from rag.spread.work import Rules

TASK_S, BYTES_A_S = 600.0, 50_000
"""Seconds that a task may take, and one more for each so many bytes: parsers have limits of their own, below this."""
_STARTS = 3
_PIECE = 1 << 20


class _Ended(Exception):
    """The worker ended, or its time is over; why."""


class Processes:
    """`size` workers. `roundtrip_s`: seconds between giving a task away and having its answer, `worked_s` of which the
    worker worked; the rest went into packing, pipes and unpacking."""

    def __init__(self, size: int, rules: Rules, task_s: float = TASK_S) -> None:
        self.size, self.sent, self.received = size, 0, 0
        self.roundtrip_s = self.worked_s = 0.0
        self._rules, self._task_s = rules, task_s
        self._tasks: queue.PriorityQueue[tuple[int, int, Task | None]] = queue.PriorityQueue()
        self._replies: queue.SimpleQueue[Reply | RagError] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def submit(self, task: Task) -> None:
        """Have it done by the next worker that is free; the lowest rank first."""
        self._tasks.put((task.rank, task.number, task))
        if len(self._workers) < self.size:  # as many as there is work for
            worker = _Worker(self._rules)
            self._workers.append(worker)
            threading.Thread(target=self._drive, args=(worker,), name="rag-worker", daemon=True).start()

    def next(self, wait_s: float) -> Reply | None:
        """The next answer, None if there is none in that time. Raises RagError if workers cannot be started."""
        try:
            reply = self._replies.get(timeout=wait_s) if wait_s > 0 else self._replies.get_nowait()
        except queue.Empty:
            return None
        if isinstance(reply, RagError):
            raise reply
        return reply

    def close(self) -> None:
        """Kill the workers; nothing they do is of use any more."""
        self._closed = True
        for worker in self._workers:
            self._tasks.put((-1, -1, None))
            worker.kill()

    def _drive(self, worker: _Worker) -> None:
        """The thread of one worker."""
        while not self._closed:
            task = self._tasks.get()[2]
            if task is None:
                return
            try:
                worker.start(lambda: self._closed)
            except RagError as error:
                self._replies.put(error)
                return
            self._replies.put(self._answer(worker, task))

    def _answer(self, worker: _Worker, task: Task) -> Reply:
        start = time.perf_counter()
        try:
            sent = worker.send((task.verb, task.payload))
            size, reply = worker.receive(self._task_s + task.size / BYTES_A_S)
        except _Ended as ended:
            worker.kill()
            return Died(task.number, str(ended))
        with self._lock:
            self.sent, self.received = self.sent + sent, self.received + size
            if isinstance(reply, tuple):
                self.roundtrip_s += time.perf_counter() - start
                self.worked_s += reply[1]["worked"]
        return Raised(task.number, reply) if isinstance(reply, BaseException) else Done(task.number, *reply)


class _Worker:
    """One process at a time."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stop: Any) -> None:
        """See to it that it runs and has its model. Raises RagError if it cannot."""
        if self.process is not None and self.process.poll() is not None:
            self.kill()
        for _ in range(_STARTS):
            if self.process is not None or stop():
                return
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rag.spread.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=_environment(self._rules.threads),
                start_new_session=True,  # Ctrl-C belongs to the parent
            )
            try:
                self.send(self._rules)
                _, error = self.receive(TASK_S)
            except _Ended as ended:
                self.kill()
                why = str(ended)
                continue
            if error is not None:
                self.kill()
                raise error if isinstance(error, RagError) else ModelDied(f"a worker does not start: {error}")
        if self.process is None and not stop():
            raise ModelDied(f"a worker does not start: {why}", "is there memory for so many? try fewer --workers")

    def send(self, value: Any) -> int:
        """Bytes that went. Raises _Ended."""
        process = self._running()
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        assert process.stdin is not None
        try:
            for piece in (len(data).to_bytes(8, "little"), data):
                view = memoryview(piece)
                while view:
                    view = view[process.stdin.write(view[:_PIECE]) or 0 :]
        except (OSError, ValueError):
            raise _Ended(self._end()) from None
        return len(data) + 8

    def receive(self, most_s: float) -> tuple[int, Any]:
        """Bytes that came, and what they say. Raises _Ended."""
        deadline = time.monotonic() + most_s
        size = int.from_bytes(self._bytes(8, deadline), "little")
        return size + 8, pickle.loads(self._bytes(size, deadline))

    def kill(self) -> None:
        """End it."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _bytes(self, size: int, deadline: float) -> bytearray:
        process, got = self._running(), bytearray()
        assert process.stdout is not None
        try:
            while len(got) < size:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _Ended("its time is over")
                if select.select([process.stdout], [], [], left)[0]:
                    piece = os.read(process.stdout.fileno(), min(_PIECE, size - len(got)))
                    if not piece:
                        raise _Ended(self._end())
                    got += piece
        except (OSError, ValueError):  # closed meanwhile
            raise _Ended("closed") from None
        return got

    def _running(self) -> subprocess.Popen[bytes]:
        process = self.process
        if process is None:
            raise _Ended("closed")
        return process

    def _end(self) -> str:
        process = self.process
        if process is None:
            return "closed"
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(5.0)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "it fell silent"


def _environment(threads: int) -> dict[str, str]:
    """A worker's environment: this very package, no secrets, and no more threads than its share of the cores."""
    root = str(Path(rag.errors.__file__).resolve().parent.parent)
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))}
    path = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path} | dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads))
