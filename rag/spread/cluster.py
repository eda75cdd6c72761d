"""Workers of a Dask cluster that runs already, on any machines that have the same rag and the same model.

Dask does what it is good at: it gives tasks to workers, does again what died with one, and blames a task that has cost
several. Here only the connection is minded: when it is lost, it is made again and what had no answer is asked again.

A Dask cluster does whatever anyone who reaches its ports tells it to, unless it speaks TLS (tls://) with certificates
on both sides. Whether a network can be trusted is for the user to say; the report says when it was not protected.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rag.config import ClusterConfig
from rag.errors import ClusterLost, UsageError
from rag.spread import Died, Done, Raised, Reply, Task
from rag.spread.work import Hands, Rules, hands_of

CONNECT_S = 10.0
RECONNECTS = 3
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
        self._client: Any = None
        self._size = 1
        self._tasks: dict[int, tuple[Task, Any]] = {}  # what has no answer, and its future
        self._ready: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._empty_since: float | None = None

    @property
    def size(self) -> int:
        """Threads of all workers when they were last counted."""
        return self._size

    def submit(self, task: Task) -> None:
        """Have it done."""
        if self._client is None:
            self._connect()
        self.sent += task.size
        self._ask(task)

    def next(self, wait_s: float) -> Reply | None:
        """The next answer. Raises ClusterLost if the scheduler, or every worker, stays away."""
        try:
            number = self._ready.get(timeout=wait_s) if wait_s > 0 else self._ready.get_nowait()
        except queue.Empty:
            if wait_s > 0 and self._tasks:
                self._look_after()
            return None
        task, future = self._tasks.get(number, (None, None))
        return None if task is None else self._answer(task, future)

    def close(self) -> None:
        """Take back what is not done, and leave the cluster as it was."""
        self._tasks.clear()
        self._leave()

    def _ask(self, task: Task) -> None:
        """Submits; what goes wrong with the connection is seen by `next`."""
        try:
            future = self._client.submit(
                on_worker,
                self._rules,
                task.verb,
                task.payload,
                key=f"rag-{id(self)}-{task.number}-{time.monotonic_ns()}",
                pure=False,
                priority=-task.rank,
            )
        except Exception:  # the connection is gone: `_look_after` makes it again, and asks again
            self._tasks[task.number] = (task, None)
            return
        self._tasks[task.number] = (task, future)
        future.add_done_callback(partial(self._is_ready, task.number))

    def _is_ready(self, number: int, future: Any) -> None:
        self._ready.put(number)

    def _answer(self, task: Task, future: Any) -> Reply | None:
        from distributed.scheduler import KilledWorker

        if future is None or future.status not in ("finished", "error"):
            self._look_after()
            if future is self._tasks[task.number][1]:  # cancelled, though the connection stands
                self._ask(task)
            return None
        if future.status == "error":
            error = future.exception(timeout=CONNECT_S)
            del self._tasks[task.number]
            if isinstance(error, KilledWorker):
                return Died(task.number, f"{error.allowed_failures + 1} workers of the cluster died", sure=False)
            if isinstance(error, ImportError | AttributeError):
                raise ClusterLost(
                    f"the workers of {self._address} lack something: {error}", "install the same rag there"
                )
            return Raised(task.number, error)
        try:
            value, steps = future.result(timeout=CONNECT_S * 6)
        except Exception:  # it was there, but not any more when it was fetched
            self._look_after()
            if future is self._tasks[task.number][1]:
                self._ask(task)
            return None
        del self._tasks[task.number]
        self.received += _size(value)
        return Done(task.number, value, steps)

    def _look_after(self) -> None:
        """See that there are a scheduler and workers. Raises ClusterLost."""
        if self._client.status != "running":
            self._connect()
            for task, _ in list(self._tasks.values()):
                self._ask(task)
            return
        threads = 0
        with suppress(Exception):  # then the next look finds the client closed
            threads = sum(self._client.nthreads().values())
        if threads:
            self._size, self._empty_since = threads, None
            return
        self._empty_since = self._empty_since or time.monotonic()
        if time.monotonic() - self._empty_since > NO_WORKERS_S:
            raise ClusterLost(f"the cluster at {self._address} has no workers", f"dask worker {self._address}")

    def _connect(self) -> None:
        from distributed import Client

        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would say is said by our errors
        why = ""
        for attempt in range(1 if self._client is None else RECONNECTS):
            self._leave()
            time.sleep(0.5 * (2**attempt - 1))
            try:
                self._client = Client(
                    self._address, security=self._security, timeout=CONNECT_S, set_as_default=False, name="rag"
                )
                self._size = max(1, sum(self._client.nthreads().values()))
                return
            except Exception as error:  # Dask's, asyncio's, the system's and TLS's own
                why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ClusterLost(
            f"the Dask scheduler at {self._address} does not answer: {why}",
            "what was stored is kept: run the same command again when it does",
        )

    def _leave(self) -> None:
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=2)


def _size(value: Any) -> int:
    """Bytes of an answer, roughly."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    return sum(len(made.text) if hasattr(made, "text") else 0 for made in value)
