"""An LLM that dies, hangs, drips, thinks aloud, never ends or raises anything: the quotes answer, and it is told."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_answer import TREES, Writes, last, remembering, sound

import rag
from rag.answer import Rooms, stream
from rag.errors import Busy, Cancelled, ConfigError, ModelDied, PromptTooLong
from rag.llm import llama
from rag.types import Answer, Message, Origin

TRUE = "Japan will donate 250 cherry blossom trees to the United States."


@pytest.fixture(scope="module")
def rooms(quoting: rag.Assistant) -> Rooms:
    return replace(remembering(quoting._rooms), style="prose")


def within(rooms: Rooms, **settings: object) -> Rooms:
    """The rooms with other settings of the LLM."""
    return replace(rooms, config=rooms.config.replace({f"llm.{k}": v for k, v in settings.items()}))


class Says(Writes):
    """An LLM whose draft is made by a function."""

    def __init__(self, make: Callable[[Sequence[Message]], Iterator[str]]) -> None:
        super().__init__("")
        self.make = make

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        return self.make(prompt)


def quoted(assistant: rag.Assistant, answer: Answer, trouble: str) -> None:
    """The quotes are the whole answer, and the trace says why."""
    sound(assistant, answer)
    assert "250 cherry blossom trees" in answer.text
    assert all(c.origin is Origin.QUOTE for c in answer.claims)
    assert trouble in answer.trace.trouble


ERRORS = [
    ValueError("a value"),
    TypeError("a type"),
    KeyError("a key"),
    OSError(28, "no space"),
    MemoryError(),
    RecursionError("deep"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text"),
    AssertionError(),
    StopIteration("early"),
    ConfigError("a setting"),
    ModelDied("the worker ended"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("where", ["length", "render", "stream", "first piece", "later"])
def test_whatever_an_llm_raises_the_quotes_answer(
    quoting: rag.Assistant, rooms: Rooms, where: str, error: Exception
) -> None:
    class Raises(Iterator[str]):
        pieces = iter(["Japan will donate 25"] if where == "later" else [])

        def __next__(self) -> str:
            if (piece := next(self.pieces, None)) is not None:
                return piece
            raise error

    def raises(*_: object, **__: object) -> Iterator[str]:
        raise error

    llm = Says(lambda _: Raises())
    if where in ("length", "render", "stream"):
        setattr(llm, where, raises)
    answer = last(stream(replace(rooms, llm=llm), TREES))
    quoted(quoting, answer, "" if isinstance(error, StopIteration) else str(error))
    ended = isinstance(error, StopIteration) and where in ("first piece", "later")  # the end of a draft, and no trouble
    assert bool(answer.trace.trouble) is not ended


@pytest.mark.parametrize("pieces", [[None], [b"bytes"], [3], [["a list"]]], ids=str)
def test_pieces_that_are_no_text_are_no_draft(quoting: rag.Assistant, rooms: Rooms, pieces: list[object]) -> None:
    quoted(quoting, last(stream(replace(rooms, llm=Says(lambda _: iter(pieces))), TREES)), "")  # type: ignore[arg-type]


def test_an_asker_hears_that_too_many_wait(rooms: Rooms) -> None:
    def busy(_: Sequence[Message]) -> Iterator[str]:
        raise Busy("nine wait", retry_s=3)

    with pytest.raises(Busy):
        list(stream(replace(rooms, llm=Says(busy)), TREES))


def test_an_answer_that_was_cancelled_ends_without_one(rooms: Rooms) -> None:
    def cancelled(_: Sequence[Message]) -> Iterator[str]:
        raise Cancelled("stopped")

    assert not any(isinstance(e, Answer) for e in stream(replace(rooms, llm=Says(cancelled)), TREES))


@pytest.mark.parametrize("piece", ["tree ", "t" * 100_000, "It is. ", "<think>", "</think>", "\n"])
def test_a_draft_without_an_end_is_cut(quoting: rag.Assistant, rooms: Rooms, piece: str) -> None:
    answer = last(stream(replace(rooms, llm=Says(lambda _: itertools.repeat(piece))), TREES))
    quoted(quoting, answer, "was stopped")
    assert len(answer.trace.draft) == 8 * rooms.config.llm.max_tokens


def test_what_was_true_before_the_cut_is_shown(quoting: rag.Assistant, rooms: Rooms) -> None:
    endless = itertools.chain([f"{TRUE} "], itertools.repeat("And so on "))
    answer = last(stream(replace(rooms, llm=Says(lambda _: endless)), TREES))
    sound(quoting, answer)
    assert answer.text == TRUE
    assert answer.trace.withheld[0][1] == "the model did not finish it"


def test_a_sentence_without_an_end_is_not_looked_through_for_ever(rooms: Rooms) -> None:
    endless = Says(lambda _: itertools.repeat("tree "))
    start = time.process_time()
    answer = last(stream(replace(within(rooms, max_tokens=60_000, window=70_000), llm=_wide(endless)), TREES))
    assert "end no sentence" in answer.trace.trouble
    assert len(answer.trace.draft) < 3_000
    assert time.process_time() - start < 30


def _wide(llm: Says) -> Says:
    llm.window = 70_000
    return llm


class Silent(Iterator[str]):
    """A draft that says nothing until somebody closes it."""

    def __init__(self, first: str = "") -> None:
        self.closed, self.first = threading.Event(), first

    def __next__(self) -> str:
        if self.first:
            said, self.first = self.first, ""
            return said
        assert self.closed.wait(60), "nobody closed the draft"
        raise Cancelled("stopped")

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("first", ["", "Japan will "])
def test_a_silent_draft_is_closed_at_the_deadline(quoting: rag.Assistant, rooms: Rooms, first: str) -> None:
    draft = Silent(first)
    answer = last(stream(replace(within(rooms, deadline_s=0.3), llm=Says(lambda _: draft)), TREES))
    quoted(quoting, answer, "llm.deadline_s = 0.3 s")
    assert draft.closed.is_set()


def test_a_draft_that_drips_is_left_at_the_deadline(quoting: rag.Assistant, rooms: Rooms) -> None:
    def drips(_: Sequence[Message]) -> Iterator[str]:
        for word in itertools.repeat("tree "):
            time.sleep(0.02)
            yield word

    quoted(quoting, last(stream(replace(within(rooms, deadline_s=0.3), llm=Says(drips)), TREES)), "deadline_s")


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    "draft",
    [
        f"<think>It may be 99. Or is it 100?</think>{TRUE}",
        f"<THINKING>\nIt may be 99.\n</THINKING>\n\n{TRUE}",
        f"</think>{TRUE}",
        f"<think></think>{TRUE}<think>Was it 99?</think>",
    ],
)
def test_what_a_model_thinks_is_no_part_of_its_answer(
    quoting: rag.Assistant, rooms: Rooms, draft: str, size: int
) -> None:
    pieces = [draft[i : i + size] for i in range(0, len(draft), size)]
    answer = last(stream(replace(rooms, llm=Says(lambda _: iter(pieces))), TREES))
    sound(quoting, answer)
    assert answer.text == TRUE
    assert answer.trace.withheld == ()
    assert answer.trace.draft == draft


def test_a_model_that_only_thinks_is_said_to_have_done_so(quoting: rag.Assistant, rooms: Rooms) -> None:
    draft = f"<think>{TRUE} But wait."
    answer = last(stream(replace(rooms, llm=Writes(draft)), TREES))
    quoted(quoting, answer, "still thinking")
    assert answer.trace.withheld == ()


def test_a_server_that_finds_the_prompt_too_long_is_asked_once_more_with_less(
    quoting: rag.Assistant, rooms: Rooms
) -> None:
    asked: list[str] = []

    def short(prompt: Sequence[Message]) -> Iterator[str]:
        asked.append(prompt[-1].content)
        if "\n2. " in prompt[-1].content:
            raise PromptTooLong("9 tokens too many")
        return iter([TRUE])

    answer = last(stream(replace(rooms, llm=Says(short)), TREES))
    sound(quoting, answer)
    assert answer.text == TRUE and answer.trace.trouble == ""
    assert ["\n2. " in content for content in asked] == [True, False]


def test_a_prompt_that_is_too_long_even_with_one_sentence_leaves_the_quotes(
    quoting: rag.Assistant, rooms: Rooms
) -> None:
    def never(_: Sequence[Message]) -> Iterator[str]:
        raise PromptTooLong("9 tokens too many")

    quoted(quoting, last(stream(replace(rooms, llm=Says(never)), TREES)), "too many")


def test_a_model_that_cannot_even_begin_to_load_leaves_the_quotes(
    seeds: Path, quoting: rag.Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "free_memory", lambda: 150_000_000)
    with rag.open(documents=seeds) as assistant:
        answer = assistant.ask(TREES)
        quoted(assistant, answer, "GB of memory")
