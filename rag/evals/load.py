"""The HTTP door under load, with the real model: askers at once, search meanwhile, then many who leave early.

    python -m rag.evals.load                                 1, 4 and 16 askers, search while an answer is written
    python -m rag.evals.load --soak 500                      and 500 questions of which one in ten is given up

A process of its own (`rag serve`), a real socket, the index in --index (default: index). An asker who is sent away
(429) comes again after Retry-After. An answer is mixed if it is not the one that the same question gets alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx

QUESTIONS = (
    "How many cherry trees will Japan give?",
    "Where did the leaders meet?",
    "What tariff did the July trade agreement set?",
    "Which missiles will Washington deliver sooner to Japan?",
    "Why is Takaichi's government under pressure?",
)


@dataclass
class Seen:
    """What the askers of one round saw: seconds of answers, of refusals, of searches; and what went wrong."""

    answers_s: list[float] = field(default_factory=list)
    refusals_s: list[float] = field(default_factory=list)
    searches_s: list[float] = field(default_factory=list)
    mixed: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.answers_s)} answers p50/p95 {_p(self.answers_s, 50):.2f}/{_p(self.answers_s, 95):.2f} s; "
            f"{len(self.refusals_s)} sent away, p95 {1000 * _p(self.refusals_s, 95):.0f} ms; "
            f"{len(self.searches_s)} searches p95 {1000 * _p(self.searches_s, 95):.0f} ms; "
            f"{self.mixed} mixed, {self.failed} failed"
        )


def _p(seconds: Sequence[float], percent: int) -> float:
    if len(seconds) < 2:
        return seconds[0] if seconds else float("nan")
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


@contextmanager
def server(index: str) -> Iterator[tuple[str, int]]:
    """A `rag serve` process over `index`: its address and process id."""
    command = [sys.executable, "-m", "rag", "serve", "--index", index, "--set", "serve.per_minute=1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        if found is None:
            raise SystemExit("rag serve did not start")
        yield found.group(), process.pid
    finally:
        process.terminate()
        process.wait(30)


async def round_(http: httpx.AsyncClient, alone: dict[str, str], askers: int, each: int) -> Seen:
    """`askers` at once, each with `each` questions; a search every 0.2 s meanwhile."""
    seen = Seen()

    async def asker(first: int) -> None:
        for n in range(each):
            await ask(http, QUESTIONS[(first + n) % len(QUESTIONS)], alone, seen)

    async def searcher() -> None:
        for question in cycle(QUESTIONS):
            start = time.perf_counter()
            (await http.post("/v1/search", json={"query": question})).raise_for_status()
            seen.searches_s.append(time.perf_counter() - start)
            await asyncio.sleep(0.2)

    searching = asyncio.create_task(searcher())
    await asyncio.gather(*(asker(n) for n in range(askers)))
    searching.cancel()
    return seen


async def ask(http: httpx.AsyncClient, question: str, alone: dict[str, str], seen: Seen) -> None:
    """One question until it is answered."""
    while True:
        start = time.perf_counter()
        reply = await http.post("/v1/answers", json={"question": question})
        took_s = time.perf_counter() - start
        if reply.status_code != 429:
            break
        seen.refusals_s.append(took_s)
        await asyncio.sleep(float(reply.headers["retry-after"]))
    if reply.status_code != 200:
        seen.failed += 1
        return
    seen.answers_s.append(took_s)
    answer = reply.json()
    seen.mixed += answer["question"] != question or alone.setdefault(question, answer["text"]) != answer["text"]


async def soak(http: httpx.AsyncClient, alone: dict[str, str], questions: int, pid: int) -> None:
    """Questions by four askers; every tenth leaves after the first event. Memory and open files before and after."""
    seen, numbers = Seen(), iter(range(questions))

    async def asker() -> None:
        for n in numbers:
            question = QUESTIONS[n % len(QUESTIONS)]
            if n % 10:
                await ask(http, question, alone, seen)
                continue
            async with http.stream("POST", "/v1/answers", json={"question": question, "stream": True}) as reply:
                async for _ in reply.aiter_lines():
                    break

    before = _held(pid)
    await asyncio.gather(*(asker() for _ in range(4)))
    await asyncio.sleep(2)
    after = _held(pid)
    print(f"soak, {questions} questions, {questions // 10} given up: {seen}")
    print(f"  memory {before[0]:.0f} -> {after[0]:.0f} MB ({100 * (after[0] / before[0] - 1):+.1f} %), ", end="")
    print(f"open files {before[1]} -> {after[1]}, inside at the end {(await http.get('/health')).json()['inside']}")


def _held(pid: int) -> tuple[float, int]:
    """Megabytes in memory and open files of a process and its children."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    kb = sum(int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{p}/status").read_text())[0]) for p in pids)
    return kb / 1000, sum(len(os.listdir(f"/proc/{p}/fd")) for p in pids)  # noqa: PTH208 - links that come and go


async def measure(url: str, pid: int, soaked: int) -> None:
    """All rounds, printed."""
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits, trust_env=False) as http:
        alone: dict[str, str] = {}
        for question in QUESTIONS:
            await ask(http, question, alone, Seen())
        for askers, each in ((1, 5), (4, 3), (16, 1)):
            print(f"{askers:>2} askers: {await round_(http, alone, askers, each)}", flush=True)
        if soaked:
            await soak(http, alone, soaked, pid)


def main() -> None:
    """Parse, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", default="index", help="folder of an index over seeds/")
    parser.add_argument("--soak", type=int, default=0, help="questions of the soak (0: none)")
    options = parser.parse_args()
    with server(options.index) as (url, pid):
        asyncio.run(measure(url, pid, options.soak))


if __name__ == "__main__":
    main()
