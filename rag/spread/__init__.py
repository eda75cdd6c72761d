"""Files read and embedded by many at once, stored by one: `rag add --workers N` and `--cluster ADDRESS`.

    work.py        what a worker does: bytes into a document and its passages; texts into vectors
    order.py       who does what, and when: files are stored in their order, so that the index is the plain one
    processes.py   workers of this machine, by pipes (worker.py is their other end); nothing listens, nothing to install
    cluster.py     the workers of a Dask cluster that is there already

Only this process writes the index. A worker is given bytes and gives back what it made of them: it needs no access to
the files or to the index, and may die at any time. What it had in hand is done again, and stored once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rag.add import Crew
from rag.config import Config
from rag.embed import Embedder
from rag.errors import UsageError

__all__ = ["Died", "Done", "Pool", "Raised", "Reply", "Task", "crew_of"]

MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do, by its `number`; `rank`: what has the lower one is done first. `payload`: see work.py."""

    number: int
    rank: int
    verb: Literal["read", "embed"]
    payload: Any
    size: int
    """Bytes of it, roughly: a task may take longer by that."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task, and the seconds it took by kind of work."""

    number: int
    value: Any
    steps: dict[str, float]


@dataclass(frozen=True, slots=True)
class Raised:
    """The worker lives, and raised this."""

    number: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class Died:
    """A worker died, and why; `sure`: over this task, else perhaps over another that it had as well."""

    number: int
    why: str
    sure: bool = True


Reply = Done | Raised | Died


class Pool(Protocol):
    """Workers. Laws (tests/spread): each task is answered once, whatever dies, or `next` raises.

    It starts with the first task, so that whoever has nothing to do waits for nothing."""

    sent: int
    received: int
    """Bytes that went to workers, and came from them."""

    @property
    def size(self) -> int:
        """Tasks that can be done at the same time, as far as is known."""
        ...

    def submit(self, task: Task) -> None:
        """Have it done; its answer comes by `next`."""
        ...

    def next(self, wait_s: float) -> Reply | None:
        """The next answer, None if there was none in that time. Raises RagError if none can come any more."""
        ...

    def close(self) -> None:
        """Let go of everything, done or not. Closing twice is fine."""
        ...


def crew_of(config: Config, embedder: Embedder, workers: int | None, cluster: str | None) -> Crew | None:
    """Who does the work of `add`: `workers` processes of this machine, or those of the `cluster` at an address
    (tcp://host:port, tls://host:port). None if neither is asked for. Raises UsageError; nothing is started yet."""
    if workers is None and cluster is None:
        return None
    from rag.spread.order import Spread
    from rag.spread.work import Rules

    if workers is not None and cluster is not None:
        raise UsageError("workers of this machine, or those of a cluster, not both", "leave out --workers or --cluster")
    cut = min(config.split.max_tokens, embedder.window)
    if cluster is not None:
        from rag.spread.cluster import Cluster, checked

        address, security = checked(cluster, config.cluster)
        rules = Rules(config.embed.model, embedder.fingerprint, cut)
        return Spread(lambda: Cluster(address, rules, security), _open_wire(cluster))
    assert workers is not None
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"{workers} workers cannot be", f"1 to {MAX_WORKERS}")
    from rag.spread.processes import Processes

    threads = max(1, (config.embed.threads or cores()) // workers)
    local = Rules(config.embed.model, embedder.fingerprint, cut, threads, config.models.folder)
    return Spread(lambda: Processes(workers, local))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_wire(address: str) -> tuple[tuple[str, str], ...]:
    """A note for the report, if documents go over a network that anyone may read and write."""
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    if address.startswith("tls://") or host in ("127.0.0.1", "localhost", "::1"):
        return ()
    return ((address, "neither encrypted nor authenticated: documents were sent in the clear (use tls://)"),)
