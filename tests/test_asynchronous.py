"""The assistant for programs that must not wait: the same answers, a free loop, and a model that is freed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

import rag
from rag import AsyncAssistant
from rag.errors import QuestionError
from rag.llm.scripted import ScriptedLLM
from rag.types import Answer, Message

TREES = "How many cherry trees will Japan give?"


class Slow(ScriptedLLM):
    """Writes a word every 20 ms for a minute; `free` is set when nobody has it write."""

    def __init__(self) -> None:
        super().__init__(lambda _: "Japan will give 250 trees. " * 600, window=10_000, pause_s=0.02)
        self.writing, self.free = threading.Event(), threading.Event()

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.writing.set()
        try:
            yield from super().stream(prompt, 6_000, seed, stop)
        finally:
            self.free.set()


@pytest.fixture
def slow(seeds: Path) -> Iterator[tuple[rag.Assistant, Slow]]:
    llm = Slow()
    with rag.open(documents=seeds, llm_model="none") as assistant:
        assistant.__dict__["_rooms"] = replace(assistant._rooms, llm=llm, style="prose")
        yield assistant, llm


def test_an_awaited_answer_is_the_answer(quoting: rag.Assistant) -> None:
    answer = asyncio.run(AsyncAssistant(quoting).ask(TREES))
    plain = quoting.ask(TREES)
    assert (answer.text, answer.claims, answer.outcome) == (plain.text, plain.claims, plain.outcome)


def test_opening_searching_and_closing_do_not_wait(seeds: Path) -> None:
    async def all_of_it() -> tuple[int, int]:
        async with await rag.open_async(documents=seeds, llm_model="none") as assistant:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.005)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            hits = await assistant.search("cherry trees", 3)
            await assistant.ask(TREES)
            ticking.cancel()
            return len(hits), ticks

    hits, ticks = asyncio.run(all_of_it())
    assert hits == 3
    assert ticks > 5, "the loop stood still while the answer was made"


def test_the_events_come_in_their_order(quoting: rag.Assistant) -> None:
    async def names() -> list[str]:
        return [type(event).__name__ async for event in AsyncAssistant(quoting).stream(TREES)]

    assert asyncio.run(names()) == ["Found", "Quoted", "Wrote", "Answer"]


def test_an_error_arrives_where_it_was_awaited(quoting: rag.Assistant) -> None:
    with pytest.raises(QuestionError):
        asyncio.run(AsyncAssistant(quoting).ask("   "))


def test_a_cancelled_answer_frees_the_model_within_a_second(slow: tuple[rag.Assistant, Slow]) -> None:
    assistant, llm = slow

    async def cancelled() -> float:
        asking = asyncio.create_task(AsyncAssistant(assistant).ask(TREES))
        await asyncio.to_thread(llm.writing.wait, 20)
        start = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(llm.free.wait, 5)
        return time.monotonic() - start

    assert asyncio.run(cancelled()) < 1.0


def test_leaving_the_events_early_frees_the_model(slow: tuple[rag.Assistant, Slow]) -> None:
    assistant, llm = slow

    async def left() -> bool:
        async with aclosing(AsyncAssistant(assistant).stream(TREES)) as events:
            async for event in events:
                assert not isinstance(event, Answer)
                if llm.writing.is_set() or type(event).__name__ == "Quoted":
                    break
        return await asyncio.to_thread(llm.free.wait, 1.0) or not llm.writing.is_set()

    assert asyncio.run(left())
