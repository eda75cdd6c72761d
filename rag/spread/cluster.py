"""Workers of a Dask cluster that runs already, on any machines that have the same rag and the same model.

Dask does what it is good at: it gives tasks to workers, does again what died with one, and blames a task that has cost
several. Here only the connection (line.py) is minded: when it is lost, it is made again and what had no answer is asked
again. An answer counts if it is to the last asking of its task, so that none is had twice.

A Dask cluster does whatever anyone who reaches its ports tells it to, unless it speaks TLS (tls://) with certificates
on both sides. Whether a network can be trusted is for the user to say; the report says when it was not protected.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.config import ClusterConfig
from rag.errors import ClusterLost, UsageError
from rag.spread import Died, Done, Raised, Reply, Task
from rag.spread.line import Line, Lost
from rag.spread.work import Hands, Rules, hands_of

RECONNECTS = 3
FETCHES = 3  # how often an answer that is there is asked for again because it cannot be had
NO_WORKERS_S = 60.0
"""So long a cluster may have no worker at all: they may be on their way."""

_hands: dict[Rules, Hands] = {}
_making = threading.Lock()


def on_worker(rules: Rules, verb: str, payload: Any) -> tuple[Any, dict[str, float]]:
    """Runs on a worker of the cluster: its embedder is loaded once, with as many threads as the worker has."""
    from distributed import get_worker

    with _making:
        if rules not in _hands:
            _hands.clear()
            _hands[rules] = hands_of(replace(rules, threads=get_worker().state.nthreads))
        hands = _hands[rules]
    return hands.do(verb, payload)


def checked(address: str, config: ClusterConfig) -> tuple[str, Any]:
    """The address, and what TLS needs (None without). Raises UsageError: Dask is not installed, no such address, no
    certificates."""
    try:
        from distributed import Security
    except ImportError:
        raise UsageError("a cluster needs Dask, which is not installed", 'pip install "rag[dask]"') from None
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if kind not in ("tcp", "tls") or not host or not port.isdigit():
        raise UsageError(f"{address!r} is no address of a Dask scheduler", "for example tcp://127.0.0.1:8786")
    if kind == "tcp":
        return address, None
    files = {"tls_ca_file": config.tls_ca, "tls_client_cert": config.tls_cert, "tls_client_key": config.tls_key}
    files["tls_client_key"] = files["tls_client_key"] or files["tls_client_cert"]
    for path in filter(None, files.values()):
        if not Path(path).is_file():
            raise UsageError(
                f"there is no file {path}", "cluster.tls_ca, cluster.tls_cert and cluster.tls_key name them"
            )
    security = Security(require_encryption=True, **{name: path for name, path in files.items() if path})
    if not (security.tls_ca_file and security.tls_client_cert):
        raise UsageError(
            f"{address} needs certificates",
            "--set cluster.tls_ca=ca.pem --set cluster.tls_cert=cert.pem --set cluster.tls_key=key.pem",
        )
    return address, security


class Cluster:
    """The workers of the cluster at `address`."""

    def __init__(self, address: str, rules: Rules, security: Any = None) -> None:
        self.sent = self.received = 0
        self._address, self._rules, self._security = address, rules, security
        self._line: Line | None = None
        self._size = 1
        self._tasks: dict[int, tuple[Task, int]] = {}  # what has no answer, and the number of its last asking
        self._asked = 0
        self._came: queue.SimpleQueue[tuple[int, int, Any]] = queue.SimpleQueue()
        self._unfetched: Counter[int] = Counter()  # answers that were there and could not be had, by task
        self._empty_since: float | None = None

    @property
    def size(self) -> int:
        """Threads of all workers when they were last counted."""
        return self._size

    def submit(self, task: Task) -> None:
        """Have it done."""
        self._tasks[task.number] = (task, 0)
        self.sent += task.size
        if self._line is None:
            self._connect(1)
        self._ask(task)

    def next(self, wait_s: float) -> Reply | None:
        """The next answer. Raises ClusterLost if the scheduler, or every worker, stays away."""
        while True:
            try:
                number, asking, what = self._came.get(timeout=wait_s) if wait_s > 0 else self._came.get_nowait()
            except queue.Empty:
                if wait_s > 0 and self._tasks:
                    self._look_after()
                return None
            task, last = self._tasks.get(number, (None, 0))
            if task is not None and asking == last:  # else it was asked again since, and only the last one counts
                return self._answer(task, what)

    def close(self) -> None:
        """Take back what is not done, and leave the cluster as it was."""
        self._tasks.clear()
        if self._line is not None:
            self._line.close()

    def _ask(self, task: Task) -> None:
        self._asked += 1
        self._tasks[task.number] = (task, self._asked)
        came, number, asking = self._came.put, task.number, self._asked
        assert self._line is not None
        try:
            self._line.ask(
                lambda what: came((number, asking, what)),
                *(on_worker, self._rules, task.verb, task.payload),
                priority=-task.rank,
            )
        except Lost as lost:
            came((number, asking, lost))

    def _answer(self, task: Task, what: Any) -> Reply | None:
        from distributed.scheduler import KilledWorker

        if isinstance(what, Lost):
            return self._again(task, what)
        del self._tasks[task.number]
        if isinstance(what, KilledWorker):
            return Died(task.number, f"{what.allowed_failures + 1} workers of the cluster died", sure=False)
        if isinstance(what, ImportError | AttributeError):
            raise ClusterLost(f"the workers of {self._address} lack something: {what}", "install the same rag there")
        if isinstance(what, BaseException):
            return Raised(task.number, what)
        value, steps = what
        self.received += _size(value)
        return Done(task.number, value, steps)

    def _again(self, task: Task, lost: Lost) -> Reply | None:
        """Asks again; a few times, where the connection is not to blame."""
        if not self._look_after():
            return None  # all was asked again
        self._unfetched[task.number] += not lost.blameless
        if self._unfetched[task.number] >= FETCHES:
            del self._tasks[task.number]
            return Raised(task.number, lost)
        self._ask(task)
        return None

    def _look_after(self) -> bool:
        """See that there are a scheduler and workers; False if all had to be asked again. Raises ClusterLost."""
        threads = None if self._line is None else self._line.threads()
        if threads is None:
            self._connect(RECONNECTS)
            for task, _ in list(self._tasks.values()):
                self._ask(task)
            return False
        if threads:
            self._size, self._empty_since = threads, None
            return True
        self._empty_since = self._empty_since or time.monotonic()
        if time.monotonic() - self._empty_since > NO_WORKERS_S:
            raise ClusterLost(
                f"the cluster at {self._address} has no workers",
                f"what was stored is kept: start some (dask worker {self._address}), then run the same command again",
            )
        return True

    def _connect(self, times: int) -> None:
        why = ""
        for attempt in range(times):
            if self._line is not None:
                self._line.close()
            time.sleep(0.5 * (2**attempt - 1))
            try:
                self._line = Line(self._address, self._security)
                self._size = max(1, self._line.threads() or 0)
                return
            except Exception as error:  # Dask's, asyncio's, the system's and TLS's own
                why = "" if isinstance(error, TimeoutError) else f": {type(error).__name__}: {error}".splitlines()[0]
        raise ClusterLost(
            f"the Dask scheduler at {self._address} does not answer{why}",
            "what was stored is kept: run the same command again when it does",
        )


def _size(value: Any) -> int:
    """Bytes of an answer, roughly."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    return sum(len(made.text) if hasattr(made, "text") else 0 for made in value)
