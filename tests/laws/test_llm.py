"""The laws of every LLM, run over each of them: llama.cpp with the default model, a server, and the scripted one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fakes import serving

from rag.errors import ModelDied, ModelError, ModelMissing, PromptTooLong
from rag.llm import LLM
from rag.llm.scripted import ScriptedLLM
from rag.models import Models
from rag.types import Message

PROMPT = (
    Message("system", "You answer in one sentence."),
    Message("user", "Tell me about the cherry trees in Zürich 彼は行った 😀."),
)
OTHER = (Message("user", "Count from one to ten, please."),)

Make = Callable[[], LLM]


@pytest.fixture(scope="module", params=[pytest.param("llama", marks=pytest.mark.slow), "openai", "scripted"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes new LLMs of one kind, and closes them all."""
    with ExitStack() as stack:
        if request.param == "scripted":
            yield lambda: ScriptedLLM(lambda prompt: prompt[-1].content.upper(), window=2048)
            return
        if request.param == "openai":
            from rag.llm.openai import OpenAILLM

            server = stack.enter_context(serving())

            def remote() -> LLM:
                llm = OpenAILLM(server.base_url, "echo", window=2048)
                stack.callback(llm.close)
                return llm

            yield remote
            return
        from rag.llm.llama import LlamaLLM

        models = Models()
        entry = models.entry("smollm2-135m-instruct", "llm")
        try:
            path = models.verified(entry) / next(iter(entry.files))
        except ModelMissing as e:
            pytest.skip(str(e))

        def local() -> LLM:
            llm = LlamaLLM(path, template=entry.template, window=2048)
            stack.callback(llm.close)
            return llm

        yield local


@pytest.fixture(scope="module")
def llm(make: Make) -> LLM:
    return make()


def test_the_same_prompt_and_seed_give_the_same_text_whatever_was_asked_before(llm: LLM) -> None:
    first = "".join(llm.stream(PROMPT, 24, seed=1))
    "".join(llm.stream(OTHER, 12))
    assert first != ""
    assert "".join(llm.stream(PROMPT, 24, seed=1)) == first


def test_pieces_are_never_empty_and_never_half_a_character(llm: LLM) -> None:
    for piece in llm.stream(PROMPT, 40):
        assert piece
        assert piece.encode("utf-8").decode("utf-8") == piece
        assert "�" not in piece


def test_more_tokens_only_add_to_the_draft(llm: LLM) -> None:
    assert "".join(llm.stream(PROMPT, 20)).startswith("".join(llm.stream(PROMPT, 5)))


def test_a_stop_string_ends_the_draft_just_before_it(llm: LLM) -> None:
    whole = "".join(llm.stream(PROMPT, 24))
    stop = whole[7:10]
    assert "".join(llm.stream(PROMPT, 24, stop=[stop])) == whole[: whole.index(stop)]


def test_the_rendered_prompt_holds_every_message(llm: LLM) -> None:
    assert all(m.content in llm.render(PROMPT) for m in PROMPT)


def test_a_longer_prompt_has_more_tokens(llm: LLM) -> None:
    assert 0 < llm.length(OTHER) < llm.length([*OTHER, *PROMPT])


@pytest.mark.parametrize("tokens", [0, -1])
def test_no_tokens_are_refused_at_once(llm: LLM, tokens: int) -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        llm.stream(PROMPT, tokens)


def test_an_empty_stop_string_is_refused_at_once(llm: LLM) -> None:
    with pytest.raises(ValueError, match="stop"):
        llm.stream(PROMPT, 5, stop=[""])


def test_a_prompt_over_the_window_raises_before_the_first_piece(llm: LLM) -> None:
    with pytest.raises(PromptTooLong):
        next(iter(llm.stream([Message("user", "tree " * 3000)], 5)))


def test_an_answer_that_may_leave_the_window_raises_before_the_first_piece(llm: LLM) -> None:
    with pytest.raises(PromptTooLong):
        next(iter(llm.stream(PROMPT, llm.window)))


def test_a_closed_draft_ends_and_the_next_one_is_whole(llm: LLM) -> None:
    whole = "".join(llm.stream(PROMPT, 12))
    draft = llm.stream(PROMPT, 200)
    next(draft)
    start = time.monotonic()
    draft.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 1
    assert list(draft) == []
    assert "".join(llm.stream(PROMPT, 12)) == whole


def test_a_draft_that_nobody_holds_any_more_does_not_block_the_next(llm: LLM) -> None:
    whole = "".join(llm.stream(PROMPT, 12))
    for _ in llm.stream(PROMPT, 200):
        break
    assert "".join(llm.stream(PROMPT, 12)) == whole


def test_lone_surrogates_nuls_and_empty_messages_are_no_error_of_the_process(llm: LLM) -> None:
    strange = [Message("system", ""), Message("user", "a \ud800 b \x00 c \u202e d"), Message("user", "")]
    try:
        "".join(llm.stream(strange, 5))
    except ModelError as e:
        assert not isinstance(e, ModelDied)
    assert "".join(llm.stream(OTHER, 5))


def test_a_closed_llm_raises_model_died_and_closing_twice_is_fine(make: Make) -> None:
    llm = make()
    assert "".join(llm.stream(OTHER, 3))
    llm.close()
    llm.close()
    with pytest.raises(ModelDied):
        next(iter(llm.stream(OTHER, 3)))


def test_an_unused_llm_closes_at_once(make: Make) -> None:
    make().close()


def test_name_fingerprint_and_window_are_told(make: Make) -> None:
    one, two = make(), make()
    assert one.name and one.fingerprint and one.window == 2048
    assert one.fingerprint == two.fingerprint
