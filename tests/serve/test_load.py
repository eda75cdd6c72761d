"""The load measurement itself, and a small soak with a fast model: nothing leaks, nothing is mixed."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rag
from rag.evals import load, processes
from tests.serve.conftest import Held, serving, with_model

linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not tell of its processes")


def test_a_promise_that_was_never_put_to_the_test_does_not_hold() -> None:
    assert load.Check("x", 1.0, 1.0).holds
    assert not load.Check("x", 1.1, 1.0).holds
    assert not load.Check("x", float("nan"), 1.0).holds
    crowded = load.Seen(searches_s=[0.1]).checks("x", crowded=True)
    assert [check.what for check in crowded if not check.holds] == ["x: refusals, p95"]
    bad = load.Seen(searches_s=[0.1] * 20 + [0.5] * 2, inside=10, mixed=1, failed=1).checks("x", crowded=False)
    assert not any(check.holds for check in bad)


def test_an_answer_that_is_not_the_one_that_the_question_gets_alone_is_counted(
    opened: Callable[..., rag.Assistant],
) -> None:
    async def asked(url: str) -> tuple[load.Seen, load.Seen]:
        good, bad, alone = load.Seen(), load.Seen(), {}
        async with load._client(url) as http:
            for _ in range(2):
                await load.ask(http, load.QUESTIONS[0], alone, good)
            for told in (("Another.", alone[load.QUESTIONS[0]][1]), (alone[load.QUESTIONS[0]][0], [])):
                await load.ask(http, load.QUESTIONS[0], {load.QUESTIONS[0]: told}, bad)
        async with load._client("http://127.0.0.1:9") as http:
            await load.ask(http, load.QUESTIONS[0], alone, bad)
        return good, bad

    with serving(opened()) as server:
        good, bad = asyncio.run(asked(server.url))
    assert (good.mixed, good.failed, len(good.answers_s)) == (0, 0, 2)
    assert (bad.mixed, bad.failed) == (2, 1)


@linux
def test_a_process_is_seen_with_all_that_it_started() -> None:
    code = """
import subprocess, sys, threading
def start():
    global child
    child = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], stdin=subprocess.PIPE)
threading.Thread(target=start).start()
input()
"""
    outer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert outer.stdout is not None and outer.stdout.readline() == b"1\n"
        both = processes.tree(outer.pid)
        assert outer.pid in both and len(both) == 2
        assert processes.megabytes(both) > processes.megabytes([outer.pid]) > 1
        assert processes.handles(both) >= 6
        assert processes.workers(outer.pid) == set()
    finally:
        outer.kill()
        outer.wait(10)


@linux
def test_a_process_that_works_is_idle_when_it_stops() -> None:
    code = "import time\nend = time.time() + 1.5\nwhile time.time() < end: pass\nprint(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None and busy.stdin is not None
        time.sleep(0.2)
        assert processes.until_idle_s([busy.pid]) > 0.3
        assert busy.stdout.readline() == b"1\n"
        busy.stdin.close()


@linux
def test_a_soak_with_askers_who_leave_mixes_nothing_and_leaves_nothing_open(
    opened: Callable[..., rag.Assistant],
) -> None:
    assistant, llm = opened(read_model="overlap"), Held()
    llm.go.set()
    with_model(assistant, llm)
    with serving(assistant) as server:

        async def round_of(questions: int) -> load.Seen:
            async with load._client(server.url) as http:
                return await load.soak(http, alone, questions)

        alone: load.Alone = {}
        asyncio.run(round_of(10))
        before = settled()
        seen = asyncio.run(round_of(20))
        assert (seen.mixed, seen.failed) == (0, 0) and len(seen.answers_s) == 18
        after = settled()
        assert server.http.get("/health").json()["inside"] == 0 and llm.writing == 0
    assert after[0] <= before[0], "sockets were left open"
    assert after[1] <= before[1] + 2, "threads were left"


def sockets() -> int:
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed meanwhile
            found += str(one.readlink()).startswith("socket:")
    return found


def settled() -> tuple[int, int]:
    """Open sockets and threads of this process, once no more of them go. (Each thread opens the index once.)"""
    end, now = time.monotonic() + 60, (0, 0)
    while time.monotonic() < end:
        before, now = now, (sockets(), threading.active_count())
        if now >= before and before != (0, 0):
            break
        time.sleep(1)
    return now
