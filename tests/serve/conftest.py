"""A real server on a real socket, in a thread of this process, so that a test can hold its model in its hands."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn

import rag
from rag.llm.scripted import ScriptedLLM
from rag.serve import build, wire
from rag.types import Message

TREES = "How many cherry trees will Japan give?"
SAYS = "Japan will donate 250 cherry blossom trees to the United States."


class Held(ScriptedLLM):
    """Writes `says` when `go` is set, and counts who is in it: `writing` now, `most` at once. `first_words` of each
    draft come before that; `midway` tells that they are written."""

    def __init__(self, says: str = SAYS) -> None:
        super().__init__(lambda _: says, window=10_000)
        self.go, self.entered, self.left = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
        self.midway, self.first_words = threading.Semaphore(0), 0
        self.writing = self.most = 0
        self._turn = threading.Lock()

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        return Draft(self, super().stream(prompt, max_tokens, seed, stop))


class Draft(Iterator[str]):
    """One draft; waits for its turn, as in front of the real model; `close` works from any thread."""

    def __init__(self, llm: Held, words: Iterator[str]) -> None:
        self._llm, self._words = llm, words
        self._closed = threading.Event()
        self._in = False
        self._said = 0

    def __next__(self) -> str:
        if not self._in:
            while not self._llm._turn.acquire(timeout=0.01):
                if self._closed.is_set():
                    raise StopIteration
            self._in = True
            self._llm.writing += 1
            self._llm.most = max(self._llm.most, self._llm.writing)
            self._llm.entered.release()
        if self._said == self._llm.first_words:
            self._hold()
        try:
            self._said += 1
            return next(self._words)
        except StopIteration:
            self._leave()
            raise

    def close(self) -> None:
        self._closed.set()

    def _hold(self) -> None:
        if self._said:
            self._llm.midway.release()
        while not self._llm.go.wait(0.01):
            if self._closed.is_set():
                self._leave()
                raise StopIteration

    def _leave(self) -> None:
        if self._in:
            self._in = False
            self._llm.writing -= 1
            self._llm._turn.release()
            self._llm.left.release()

    def __del__(self) -> None:
        self._leave()


@dataclass
class Running:
    """A server: its address, a client for it, its assistant."""

    url: str
    http: httpx.Client
    assistant: rag.Assistant


def with_model(assistant: rag.Assistant, llm: ScriptedLLM) -> None:
    """Have `assistant` word its answers with `llm`."""
    assistant.__dict__["_rooms"] = replace(assistant._rooms, llm=llm, style="prose")


@contextlib.contextmanager
def listening(config: uvicorn.Config, host: str = "127.0.0.1") -> Iterator[str]:
    """A web app on a socket of its own: its address."""
    listener = socket.socket()
    listener.bind((host, 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < end, "the server does not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@contextlib.contextmanager
def serving(assistant: rag.Assistant, host: str = "127.0.0.1", tokens: Sequence[str] = ()) -> Iterator[Running]:
    """`assistant` behind HTTP."""
    config = wire.config(build(assistant, host, tokens, "test"), assistant.config.serve.body_s)
    with listening(config, host) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        yield Running(url, http, assistant)


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., rag.Assistant]]:
    """Makes assistants over the seed texts, each with its own settings."""
    seeds = Path(__file__).resolve().parent.parent.parent / "seeds"
    with contextlib.ExitStack() as stack:

        def open_(**settings: object) -> rag.Assistant:
            folder = tmp_path_factory.mktemp("serve") / "index"
            many = {"llm_model": "none", "serve_per_minute": 1_000_000} | settings
            return stack.enter_context(rag.open(folder, documents=seeds, **many))

        yield open_


@pytest.fixture(scope="package")
def server(opened: Callable[..., rag.Assistant]) -> Iterator[Running]:
    """A server that answers with quotes alone."""
    with serving(opened()) as running:
        yield running
