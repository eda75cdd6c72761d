"""The HTTP door under load, with the real model: many askers, searches meanwhile, askers who leave.

    python -m rag.evals.load                  1, 4 and 16 askers; searches while documents are read; askers who leave
    python -m rag.evals.load --soak 500       and 500 questions of which one in ten is given up

A process of its own (`rag serve`), a real socket, an index of its own over seeds/. An asker who is sent away (429)
comes again after Retry-After. An answer is mixed if its text or its citations are not those that the same question gets
alone. Every limit is printed with what was seen, PASS or FAIL; one FAIL ends in exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx

from rag.evals.processes import handles, megabytes, tree, until_idle_s, workers
from rag.evals.scoring import percentile
from rag.evals.seeds import ROOT

QUESTIONS = (
    "How many cherry trees will Japan give?",
    "Where did the leaders meet?",
    "What tariff did the July trade agreement set?",
    "Which missiles will Washington deliver sooner to Japan?",
    "Why is Takaichi's government under pressure?",
)
PAUSE_S = 0.2  # between two searches
INSIDE = 9  # one is answered, eight wait
STAGES = ("waits", "quoted", "wrote")
"""The event at which an asker leaves: in the line; when the model begins to read; while it writes."""
PATIENCE_S = 60.0
SETTLE_S = 3.0
WARMING = 50  # questions before memory is looked at
Alone = dict[str, tuple[str, Any]]
"""What each question gets when nobody else asks: text and citations."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: what was seen, and what it may be at most. What was never seen (nan) does not hold."""

    what: str
    seen: float
    most: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        return self.seen <= self.most

    def __str__(self) -> str:
        """The line.

        >>> print(Check("searches, p95", 0.31249, 0.3, " s"))
        FAIL  searches, p95: 0.312 s (at most 0.3 s)
        """
        said = f"{self.seen:.3f}".rstrip("0").rstrip(".")
        return f"{'PASS' if self.holds else 'FAIL'}  {self.what}: {said}{self.unit} (at most {self.most:g}{self.unit})"


@dataclass
class Seen:
    """What the askers of one round saw: seconds of answers, of refusals, of searches; most answers on their way at
    once; and what went wrong."""

    answers_s: list[float] = field(default_factory=list)
    refusals_s: list[float] = field(default_factory=list)
    searches_s: list[float] = field(default_factory=list)
    inside: int = 0
    mixed: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.answers_s)} answers p50/p95 {_p(self.answers_s, 0.5):.2f}/{_p(self.answers_s, 0.95):.2f} s; "
            f"{len(self.refusals_s)} sent away; {len(self.searches_s)} searches p50 {_p(self.searches_s, 0.5):.3f} s"
        )

    def checks(self, name: str, crowded: bool) -> list[Check]:
        """What this round promised. `crowded`: more asked than can wait."""
        refusals = [Check(f"{name}: refusals, p95", _p(self.refusals_s, 0.95), 0.2, " s")] if crowded else []
        return [
            Check(f"{name}: searches, p95", _p(self.searches_s, 0.95), 0.3, " s"),
            *refusals,
            Check(f"{name}: inside at once", self.inside, INSIDE),
            Check(f"{name}: mixed answers", self.mixed, 0),
            Check(f"{name}: failed requests", self.failed, 0),
        ]


def _p(seconds: Sequence[float], share: float) -> float:
    return percentile(seconds, share) if seconds else float("nan")


@contextmanager
def server(index: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A `rag serve` process over `index`, and its address."""
    command = [sys.executable, "-m", "rag", "serve", "--index", index, "--set", "serve.per_minute=1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        if found is None:
            raise SystemExit("rag serve did not start")
        yield found.group(), process
    finally:
        process.terminate()
        process.wait(30)


async def ask(http: httpx.AsyncClient, question: str, alone: Alone, seen: Seen) -> None:
    """One question until it is answered."""
    try:
        while True:
            start = time.perf_counter()
            reply = await http.post("/v1/answers", json={"question": question})
            took_s = time.perf_counter() - start
            if reply.status_code != 429:
                break
            seen.refusals_s.append(took_s)
            await asyncio.sleep(float(reply.headers["retry-after"]))
        reply.raise_for_status()
    except httpx.HTTPError:
        seen.failed += 1
        return
    seen.answers_s.append(took_s)
    answer = reply.json()
    told = answer["text"], answer["citations"]
    seen.mixed += answer["question"] != question or alone.setdefault(question, told) != told
    seen.failed += answer["trace"]["trouble"] != ""  # the model died, or could not be asked


async def search(http: httpx.AsyncClient, seen: Seen) -> None:
    """One search after the other, until it is cancelled; how many answers are on their way, too."""
    for question in cycle(QUESTIONS):
        start = time.perf_counter()
        try:
            found = await http.post("/v1/search", json={"query": question})
            seen.searches_s.append(time.perf_counter() - start)
            found.raise_for_status()
            seen.failed += found.json()["hits"] == []
            seen.inside = max(seen.inside, (await http.get("/health")).raise_for_status().json()["inside"])
        except httpx.HTTPError:
            seen.failed += 1
        await asyncio.sleep(PAUSE_S)


@contextmanager
def _searching(http: httpx.AsyncClient, seen: Seen) -> Iterator[asyncio.Task[None]]:
    """Searches meanwhile; whatever else fails in them fails here."""
    task = asyncio.create_task(search(http, seen))
    try:
        yield task
    finally:
        task.cancel()


async def askers(http: httpx.AsyncClient, alone: Alone, count: int, each: int) -> Seen:
    """`count` askers at once, each with `each` questions; searches meanwhile."""
    seen = Seen()

    async def asker(first: int) -> None:
        for n in range(each):
            await ask(http, QUESTIONS[(first + n) % len(QUESTIONS)], alone, seen)

    with _searching(http, seen) as searching:
        await asyncio.gather(*(asker(n) for n in range(count)))
    with suppress(asyncio.CancelledError):
        await searching
    return seen


async def reading(http: httpx.AsyncClient, documents: int) -> Seen:
    """Searches while as many documents are read and indexed, which are forgotten afterwards."""
    seen = Seen()
    files = [("files", (f"{n}.txt", _invented(n).encode(), "text/plain")) for n in range(documents)]
    with _searching(http, seen) as searching:
        taken = (await http.post("/v1/documents?wait=false", files=files, data={"collection": "load"})).json()
        state = taken
        while state.get("state") in ("waiting", "indexing"):
            await asyncio.sleep(PAUSE_S)
            state = (await http.get(f"/v1/documents/uploads/{taken['id']}")).json()
    with suppress(asyncio.CancelledError):
        await searching
    seen.failed += state.get("state") != "done" or len(state["report"]["added"]) != documents
    seen.failed += (await http.delete("/v1/collections/load")).json() != {"removed": documents}
    return seen


def _invented(n: int) -> str:
    """A document of some 1,500 words about nothing that the questions ask for."""
    lines = (
        f"Basket {n}-{k} holds {k * 7 + n} pears, weighed on shelf {k % 13} by keeper {k % 5}." for k in range(110)
    )
    return "\n\n".join(lines)


async def leave(http: httpx.AsyncClient, question: str, at: str) -> bool:
    """Ask, and go away at the event `at`; False if the answer was there before it."""
    async with http.stream("POST", "/v1/answers", json={"question": question, "stream": True}) as reply:
        async for line in reply.aiter_lines():
            if line == f"event: {at}":
                return True
    return False


async def leavers(http: httpx.AsyncClient, pid: int, rounds: int = 3) -> list[Check]:
    """Seconds until an asker who left is no more inside and the model does nothing, by the stage at which it left; the
    worst of `rounds`. Who leaves the line has somebody before it, who stays, and for whom the model goes on."""
    found = []
    for at in STAGES:
        took_s = []
        for n in range(rounds):
            question = QUESTIONS[n % len(QUESTIONS)]
            staying = asyncio.create_task(ask(http, question, {}, Seen())) if at == "waits" else None
            if staying is not None:
                await _inside(http, most=1, least=1)
            if await leave(http, question, at):
                start = time.perf_counter()
                await _inside(http, 0 if staying is None else 1)
                gone_s = time.perf_counter() - start
                idle_s = await asyncio.to_thread(until_idle_s, workers(pid)) if staying is None else 0.0
                took_s.append(gone_s + idle_s)
            if staying is not None:
                await staying
        found.append(Check(f"left at `{at}`: the model is free after", max(took_s, default=float("nan")), 1.0, " s"))
    return found


async def _inside(http: httpx.AsyncClient, most: int, least: int = 0) -> None:
    """Returns when so many answers are on their way, or after PATIENCE_S: then what is measured next says so."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not least <= (await http.get("/health")).json()["inside"] <= most:
                await asyncio.sleep(0.01)


async def soak(http: httpx.AsyncClient, alone: Alone, questions: int) -> Seen:
    """Questions by four askers; every tenth leaves, at one stage after the other."""
    seen, numbers = Seen(), iter(range(questions))

    async def asker() -> None:
        for n in numbers:
            if n % 10 == 9:
                await leave(http, QUESTIONS[n % len(QUESTIONS)], STAGES[n // 10 % len(STAGES)])
            else:
                await ask(http, QUESTIONS[n % len(QUESTIONS)], alone, seen)

    await asyncio.gather(*(asker() for _ in range(4)))
    await _inside(http, 0)
    return seen


async def soaked(url: str, pid: int, alone: Alone, questions: int) -> list[Check]:
    """Memory and open files of the server and its processes, before and after the soak, each time SETTLE_S after the
    last asker went."""
    held = []
    for count in (min(WARMING, questions), questions):
        async with _client(url) as http:
            start = time.perf_counter()
            seen = await soak(http, alone, count)
        took_s = time.perf_counter() - start
        await asyncio.sleep(SETTLE_S)
        held.append((megabytes(tree(pid)), handles(tree(pid))))
    (memory, files), (memory_then, files_then) = held
    print(f"soak: {questions} questions in {took_s:.0f} s, one in ten given up: {seen}")
    print(f"      memory {memory:.0f} -> {memory_then:.0f} MB, open files {files} -> {files_then}", flush=True)
    return [
        Check("soak: growth of memory", 100 * (memory_then / memory - 1), 5.0, " %"),
        Check("soak: more open files", files_then - files, 0),
        Check("soak: mixed answers", seen.mixed, 0),
        Check("soak: failed requests", seen.failed, 0),
    ]


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=50)
    return httpx.AsyncClient(base_url=url, timeout=600, limits=limits, trust_env=False)


async def measure(url: str, process: subprocess.Popen[str], questions: int) -> list[Check]:
    """All rounds, each printed when it is over."""
    alone: Alone = {}
    checks: list[Check] = []

    def told(name: str, seen: Seen, crowded: bool = False) -> None:
        print(f"{name}: {seen}", flush=True)
        checks.extend(seen.checks(name, crowded))

    async with _client(url) as http:
        for question in QUESTIONS:
            await ask(http, question, alone, Seen())
        before = workers(process.pid)
        for count, each in ((1, 5), (4, 3), (16, 1)):
            told(f"{count} askers", await askers(http, alone, count, each), count > INSIDE)
        told("documents are read", await reading(http, 40))
        checks += await leavers(http, process.pid)
    if questions:
        checks += await soaked(url, process.pid, alone, questions)
    checks.append(Check("models that were started anew", len(workers(process.pid) - before), 0))
    checks.append(Check("servers that ended", process.poll() is not None, 0))
    return checks


def main() -> None:
    """Parse, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", type=int, default=0, help="questions of the soak (0: none)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "rag", "add", str(ROOT / "seeds"), "--index", folder], check=True)
        with server(folder) as (url, process):
            checks = asyncio.run(measure(url, process, options.soak))
    print("\n".join(map(str, checks)))
    sys.exit(not all(check.holds for check in checks))


if __name__ == "__main__":
    main()
