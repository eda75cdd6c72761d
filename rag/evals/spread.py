"""How fast documents come in: by the plain add, by processes of this machine, by a Dask cluster; and what is talk.

    python -m rag.evals.spread ../shared/data/retrieval/scifact [--documents 1000] [--workers 1 2] [--rounds 1]

The texts of a dataset are written as files and indexed anew in each way, one after the other in one run, each in a
process of its own with models loaded; the indexes must be equal, row for row, but for the moment. What is talk:

    processes   seconds in which a worker had a task and did not work on it: packing, pipes, unpacking; the bytes that
                went and came
    Dask        the very same messages once more through the same cluster, all at once, with nothing done over them:
                so many seconds, beside those of the whole; their bytes as pickled

At work is the share of the workers' time in which they had something to do; the rest goes into starting, loading their
models, and waiting while one process stores. Seconds of CPU are those of all processes that took part: on a machine
that is busy with something else they tell more than the clock does.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rag.add import Adder, Crew
from rag.evals.datasets import load
from rag.evals.processes import free_port
from rag.files import safe_name
from rag.index import Index
from rag.models import Models
from rag.models.embedding import embedder
from rag.split import RULES
from rag.spread import Died, Done, Pool, Raised, Reply, Task
from rag.spread.cluster import Cluster
from rag.spread.line import Line
from rag.spread.order import Spread
from rag.spread.processes import Processes
from rag.spread.work import Rules

MODEL, TOKENS = "all-minilm-l6-v2", 160
HEAD = f"{'':<22}{'passages/s':>10}{'times':>8}{'CPU s':>10}{'at work':>9}{'talk':>9}{'MB out + in':>15}"


class Heard(Pool):
    """A pool that notes what went through it: the payload of each task, and the bytes of its answer."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.sent = self.received = 0
        self.worked_s = 0.0
        self.messages: list[tuple[bytes, int]] = []
        self._tasks: dict[int, Task] = {}

    @property
    def size(self) -> int:
        return self.pool.size

    def submit(self, task: Task) -> None:
        self._tasks[task.number] = task
        self.sent += task.size
        self.pool.submit(task)

    def next(self, wait_s: float) -> Reply | None:
        reply = self.pool.next(wait_s)
        if isinstance(reply, Died | Raised):
            raise SystemExit(f"a worker failed: {reply}")
        if isinstance(reply, Done):
            payload = pickle.dumps(self._tasks.pop(reply.number).payload)
            self.messages.append((payload, len(pickle.dumps(reply.value))))
            self.worked_s += reply.steps["worked"]
        return reply

    def close(self) -> None:
        self.pool.close()


def nothing(payload: bytes, size: int) -> bytes:
    """Runs on a worker: an answer of so many bytes, and no work."""
    return bytes(size)


def measured(folder: Path, where: Path, workers: int, cluster: str) -> dict[str, float]:
    """One add of `folder` into a new index: by `workers` processes, by the `cluster`, or by neither."""
    model = embedder(Models(), MODEL)
    model.passages(["ready?"])
    heard: list[Heard] = []
    crew: Crew | None = None
    if workers or cluster:

        def start() -> Pool:
            threads = max(1, len(os.sched_getaffinity(0)) // workers) if workers else 0
            rules = Rules(MODEL, model.fingerprint, TOKENS, threads)
            heard.append(Heard(Cluster(cluster, rules) if cluster else Processes(workers, rules)))
            return heard[0]

        crew = Spread(start)
    maker: dict[str, Any] = {"embedder": model.fingerprint, "dim": model.dim, "rules": f"{RULES}:{TOKENS}"}
    with Index.open(where, **maker) as index:
        start_s, busy = time.perf_counter(), _busy()
        report = Adder(index, model, TOKENS).add([folder], crew=crew)
        told = {"seconds": time.perf_counter() - start_s, "passages": float(report.passages)}
        content = index.fingerprint
        told["content"] = float(int(content[:12], 16))
    if heard:
        told |= _talk(heard[0], cluster, told["seconds"])
    return told | {"seconds of CPU": _busy() - busy}


def _talk(heard: Heard, cluster: str, seconds: float) -> dict[str, float]:
    went, came = sum(len(m) for m, _ in heard.messages), sum(n for _, n in heard.messages)
    told = {"MB sent": went / 1e6, "MB received": came / 1e6, "at work": heard.worked_s / (heard.size * seconds)}
    if isinstance(heard.pool, Processes):
        whole = heard.pool.roundtrip_s
        return told | {"talk, share": (whole - heard.pool.worked_s) / whole}
    start = time.perf_counter()
    came_back: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with closing(Line(cluster, None)) as line:
        for payload, size in heard.messages:
            line.ask(came_back.put, nothing, payload, size, priority=0)
        for _ in heard.messages:
            if isinstance(got := came_back.get(timeout=60), BaseException):
                raise SystemExit(f"the cluster failed: {got}")
    return told | {"talk, share": (time.perf_counter() - start) / seconds}


def _busy() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def dask(workers: int) -> Iterator[tuple[str, list[int]]]:
    """A scheduler and so many worker processes with one thread each, on 127.0.0.1; its address, their process ids."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    running: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *args: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *args, "--host", "127.0.0.1", "--no-dashboard"]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

    try:
        start("scheduler", "--port", str(port))
        for _ in range(workers):
            start("worker", address, "--nthreads", "1", "--no-nanny")
        _until_there(address, workers)
        yield address, [process.pid for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()


def _until_there(address: str, workers: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with closing(Line(address, None)) as line:
                if (line.threads() or 0) >= workers:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the cluster does not start")


def _ticks(pids: Sequence[int]) -> float:
    """Seconds of CPU so far of these processes."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def _apart(folder: Path, workers: int = 0, cluster: str = "", pids: Sequence[int] = ()) -> dict[str, float]:
    """`measured` in a process of its own, with the CPU of the cluster's processes."""
    before = _ticks(pids)
    with tempfile.TemporaryDirectory(prefix="rag-spread-") as where:
        step = json.dumps([str(folder), str(Path(where) / "index"), workers, cluster])
        command = [sys.executable, "-m", "rag.evals.spread", "--step", step]
        told: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return told | {"seconds of CPU": told["seconds of CPU"] + _ticks(pids) - before}


def write(source: Path, documents: int, folder: Path) -> None:
    """The first texts of a dataset, each as a file; 0: all."""
    texts = load(source).texts
    for text in texts[:documents] if documents else texts:
        (folder / f"{safe_name(text.id)}.txt").write_text(f"{text.title}\n\n{text.text}\n", "utf-8")


def ways(folder: Path, workers: Sequence[int], with_dask: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Each way once."""
    yield "plain", _apart(folder)
    for number in workers:
        yield f"--workers {number}", _apart(folder, number)
    for number in workers if with_dask else ():
        with dask(number) as (address, pids):
            yield f"--cluster, {number} workers", _apart(folder, 0, address, pids)


def row(name: str, told: dict[str, float], plain: dict[str, float]) -> str:
    """A line of the table."""
    rate, share = told["passages"] / told["seconds"], told.get("talk, share")
    said = f"{name:<22}{rate:>10.0f}{plain['seconds'] / told['seconds']:>8.2f}{told['seconds of CPU']:>10.1f}"
    if share is None:
        return said
    moved = f"{told['MB sent']:.1f} + {told['MB received']:.1f}"
    at_work, talk = f"{100 * told['at work']:.0f} %", f"{100 * share:.1f} %"
    return f"{said}{at_work:>9}{talk:>9}{moved:>15}"


def main() -> None:
    """The command, or one way of it in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a dataset, as `rag eval` takes it")
    parser.add_argument("--documents", type=int, default=1000, help="how many of its texts; 0: all")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1, help="all ways again, so often")
    parser.add_argument("--no-dask", action="store_true", help="without a cluster")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        folder, where, workers, cluster = json.loads(args.step)
        print(json.dumps(measured(Path(folder), Path(where), workers, cluster)))
        return
    if args.data is None:
        parser.error("name a dataset")
    with tempfile.TemporaryDirectory(prefix="rag-spread-") as folder:
        write(args.data, args.documents, Path(folder))
        print(
            f"{'':<22}{'passages/s':>10}{'times':>8}{'CPU s':>10}{'at work':>9}{'talk':>9}{'MB out + in':>15}",
            flush=True,
        )
        for _ in range(args.rounds):
            plain: dict[str, float] = {}
            for name, told in ways(Path(folder), args.workers, not args.no_dask):
                plain = plain or told
                if told["content"] != plain["content"]:
                    raise SystemExit(f"{name}: the index is another one than that of the plain add")
                print(row(name, told, plain), flush=True)
        print(f"{plain['passages']:.0f} passages of {args.data.name}; every index holds the same")


if __name__ == "__main__":
    main()
