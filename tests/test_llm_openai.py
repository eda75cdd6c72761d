"""The remote LLM against a real server process that behaves badly in every way a server can."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import Server, serving

import rag
from rag.answer.remarks import remarks
from rag.errors import Cancelled, ConfigError, ModelDied, ModelError, PromptTooLong
from rag.llm.openai import OpenAILLM
from rag.types import Message

KEY = "sk-a-secret-of-the-test"
ASK = [Message("user", "one two three four")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def open_(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., OpenAILLM]]:
    monkeypatch.setenv("TEST_KEY", KEY)
    opened: list[OpenAILLM] = []

    def open_one(model: str, **options: object) -> OpenAILLM:
        opened.append(OpenAILLM(server.base_url, model, key_env="TEST_KEY", **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for llm in opened:
        llm.close()


def test_what_is_sent_is_the_conversation_greedy_and_with_the_key(
    open_: Callable[..., OpenAILLM], server: Server
) -> None:
    prompt = [Message("system", "Be short."), *ASK]
    assert "".join(open_("echo").stream(prompt, 3, seed=7, stop=["X"])) == "ONE TWO THREE"
    sent = server.seen()
    assert sent["asked"][-1] == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "one two three four"}],
        "max_tokens": 3,
        "temperature": 0,
        "seed": 7,
        "stream": True,
        "stop": ["X"],
    }
    assert sent["keys"][-1] == f"Bearer {KEY}"


def test_without_a_key_no_header_is_sent(
    open_: Callable[..., OpenAILLM], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    assert "".join(open_("echo").stream(ASK, 9))
    assert server.seen()["keys"][-1] == ""


def test_a_busy_server_is_asked_again_until_it_answers(open_: Callable[..., OpenAILLM], server: Server) -> None:
    assert "".join(open_("busy-2").stream(ASK, 9)) == "ONE TWO THREE FOUR"
    assert sum(asked["model"] == "busy-2" for asked in server.seen()["asked"]) == 3


def test_a_server_that_stays_busy_is_given_up_after_the_retries(
    open_: Callable[..., OpenAILLM], server: Server
) -> None:
    with pytest.raises(ModelError, match="503"):
        next(open_("busy-99", retries=1).stream(ASK, 9))
    assert sum(asked["model"] == "busy-99" for asked in server.seen()["asked"]) == 2


def test_the_pauses_between_two_tries_grow(open_: Callable[..., OpenAILLM], server: Server) -> None:
    before = len(server.seen()["asked"])
    with pytest.raises(ModelError, match="503"):
        next(open_("full", retries=2).stream(ASK, 9))
    at = server.seen()["at"][before:]
    first, second = (b - a for a, b in itertools.pairwise(at))
    assert first > 0.45 and second > 0.95 and first < second + 0.2  # half a second, then a whole one, or more


@pytest.mark.parametrize("status", ["401", "403", "404", "422"])
def test_a_refusal_is_not_repeated_and_never_shows_the_key(
    open_: Callable[..., OpenAILLM], server: Server, status: str
) -> None:
    with pytest.raises(ModelError, match=status) as caught:
        next(open_(status).stream(ASK, 9))
    assert KEY not in str(caught.value) and "***" in str(caught.value)
    assert sum(asked["model"] == status for asked in server.seen()["asked"]) == 1


def test_a_server_that_finds_the_prompt_too_long_is_understood(open_: Callable[..., OpenAILLM]) -> None:
    with pytest.raises(PromptTooLong):
        next(open_("400").stream(ASK, 9))


@pytest.mark.parametrize(
    ("model", "pieces"), [("cut", 1), ("nonsense", 1), ("broken", 1), ("filtered", 4), ("html", 0)]
)
def test_a_draft_that_is_not_whole_ends_with_an_error_after_its_pieces(
    open_: Callable[..., OpenAILLM], model: str, pieces: int
) -> None:
    got = []
    with pytest.raises(ModelError) as caught:
        for piece in open_(model).stream(ASK, 9):
            got.append(piece)
    assert len(got) == pieces
    assert KEY not in str(caught.value)


def test_nothing_is_repeated_once_a_piece_has_been_shown(open_: Callable[..., OpenAILLM], server: Server) -> None:
    before = sum(asked["model"] == "cut" for asked in server.seen()["asked"])
    with pytest.raises(ModelDied):
        list(open_("cut", retries=5).stream(ASK, 9))
    assert sum(asked["model"] == "cut" for asked in server.seen()["asked"]) == before + 1


def test_a_silent_server_is_left_after_the_timeout(open_: Callable[..., OpenAILLM]) -> None:
    draft = open_("silent", timeout_s=0.5).stream(ASK, 9)
    assert next(draft) == "ONE"
    start = time.monotonic()
    with pytest.raises(ModelDied, match="silent"):
        next(draft)
    assert time.monotonic() - start < 2


def test_a_server_that_only_says_that_it_lives_is_left_after_the_timeout(open_: Callable[..., OpenAILLM]) -> None:
    draft = open_("alive", timeout_s=0.5).stream(ASK, 9)
    assert next(draft) == "ONE"
    with pytest.raises(ModelDied, match="only that it lives"):
        next(draft)


@pytest.mark.parametrize("model", ["stream", "page"])
def test_what_a_server_sends_without_an_end_is_not_kept(
    open_: Callable[..., OpenAILLM], server: Server, model: str
) -> None:
    with pytest.raises(ModelError) as caught:
        next(open_(model).stream(ASK, 9))
    assert len(str(caught.value)) < 1000
    server.wait_until_idle(5.0)


def test_a_server_that_is_not_there_is_named(open_: Callable[..., OpenAILLM]) -> None:
    llm = OpenAILLM("http://127.0.0.1:9/v1", "any", retries=0)
    with pytest.raises(ModelDied, match=r"127\.0\.0\.1:9"):
        next(llm.stream(ASK, 9))
    llm.close()


def test_closing_in_the_middle_closes_the_connection_within_a_second(
    open_: Callable[..., OpenAILLM], server: Server
) -> None:
    draft = open_("slow").stream([Message("user", "word " * 300)], 300)
    next(draft)
    assert server.seen()["running"] == 1
    draft.close()
    assert server.wait_until_idle(1.0) < 1.0
    assert list(draft) == []


@pytest.mark.parametrize("model", ["silent", "late"])
def test_a_thread_that_waits_for_the_server_is_woken_by_a_close_from_another(
    open_: Callable[..., OpenAILLM], server: Server, model: str
) -> None:
    draft = open_(model).stream(ASK, 9)
    heard: list[BaseException] = []

    def read() -> None:
        try:
            list(draft)
        except Cancelled as e:
            heard.append(e)

    reader = threading.Thread(target=read)
    reader.start()
    while not server.seen()["running"]:
        time.sleep(0.02)
    time.sleep(0.2)
    start = time.monotonic()
    draft.close()
    reader.join(1.0)
    assert not reader.is_alive() and time.monotonic() - start < 1
    assert len(heard) == 1
    server.wait_until_idle(1.0)


def test_closing_while_it_waits_to_ask_again_ends_the_wait(open_: Callable[..., OpenAILLM], server: Server) -> None:
    llm = OpenAILLM("http://127.0.0.1:9/v1", "any", retries=8)
    draft = llm.stream(ASK, 9)
    timer = threading.Timer(0.3, draft.close)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        next(draft)
    assert time.monotonic() - start < 2
    llm.close()


def test_an_address_that_is_none_is_a_configuration_error() -> None:
    for wrong in ("127.0.0.1:8080", "ftp://example.org", "", "http://"):
        with pytest.raises(ConfigError):
            OpenAILLM(wrong, "any")


def test_a_password_in_the_address_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1 holds a user or a password") as caught:
        OpenAILLM("http://me:hidden@127.0.0.1:9/v1", "any")
    assert "hidden" not in str(caught.value)


def test_a_server_that_is_killed_in_mid_answer_leaves_the_quotes_and_it_is_told(seeds: Path) -> None:
    with serving() as server:
        settings = {"llm_base_url": server.base_url, "llm_model": "slow", "llm_retries": 0}
        with rag.open(documents=seeds, **settings) as assistant:
            answers: list[rag.Answer] = []
            question = "How many cherry blossom trees will Japan donate to the United States?"
            asker = threading.Thread(target=lambda: answers.append(assistant.ask(question)))
            asker.start()
            while not server.seen()["running"]:
                time.sleep(0.02)
            server.process.kill()
            asker.join(60)
            (answer,) = answers
            assert "250 cherry blossom trees" in answer.text
            assert all(assistant.holds(c) for c in answer.citations) and answer.citations
            assert "127.0.0.1" in answer.trace.trouble and answer.trace.trouble in remarks(answer)[-1]


def test_timeout_and_retries_are_settings_and_reach_the_server(server: Server, seeds: Path) -> None:
    before = len(server.seen()["asked"])
    settings = {"llm_base_url": server.base_url, "llm_model": "full", "llm_retries": 1, "llm_timeout_s": 5}
    with rag.open(documents=seeds, **settings) as assistant:
        answer = assistant.ask("How many cherry blossom trees will Japan donate to the United States?")
    assert "503" in answer.trace.trouble and "250" in answer.text
    assert len(server.seen()["asked"]) == before + 2
