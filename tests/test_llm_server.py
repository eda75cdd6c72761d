"""The remote LLM against llama.cpp's own server: a real process with a real model, on this machine."""

from __future__ import annotations

import http.server
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag.errors import ModelDied, ModelError
from rag.evals.processes import free_port
from rag.llm.llama import LlamaLLM
from rag.llm.openai import OpenAILLM
from rag.models import Models
from rag.types import Message

pytestmark = pytest.mark.slow

ASK = [Message("system", "You are short."), Message("user", "What is the capital of France?")]
STORY = [Message("user", "Write a long story about a lighthouse keeper and his dog.")]


@dataclass
class Running:
    """A server's address and process."""

    base_url: str
    process: subprocess.Popen[bytes]

    def computing(self) -> float:
        """Cores that it uses, over half a second."""
        before = self._cpu_s()
        time.sleep(0.5)
        return (self._cpu_s() - before) / 0.5

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def path() -> Path:
    models = Models()
    entry = models.entry("smollm2-135m-instruct", "llm")
    return models.verified(entry) / next(iter(entry.files))


@pytest.fixture(scope="module")
def server(path: Path) -> Iterator[Running]:
    pytest.importorskip(
        "starlette_context", reason="the server's own dependencies: pip install llama-cpp-python[server]"
    )
    port = free_port()
    options = {"model": path, "host": "127.0.0.1", "port": port, "n_ctx": 2048, "n_threads": 1, "verbose": "false"}
    line = [sys.executable, "-P", "-m", "llama_cpp.server", *(f"--{k}={v}" for k, v in options.items())]
    calm = os.environ | {"GOMP_SPINCOUNT": "1000"}  # as our own worker: else a busy machine makes it ten times slower
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=calm)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + 120
        while True:
            try:
                opener.open(f"http://127.0.0.1:{port}/v1/models", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "the server does not start"
                time.sleep(0.2)
        yield Running(f"http://127.0.0.1:{port}/v1", process)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


@pytest.fixture
def llm(server: Running) -> Iterator[OpenAILLM]:
    remote = OpenAILLM(server.base_url, "smollm2", window=2048)
    yield remote
    remote.close()


def test_the_server_begins_as_the_model_begins_here(llm: OpenAILLM, path: Path) -> None:
    pieces = list(llm.stream(ASK, 24))
    with LlamaLLM(path) as local:
        assert "".join(pieces)[:20] == "".join(local.stream(ASK, 24))[:20]  # later it punishes what repeats itself
    assert len(pieces) > 3  # it came as it was written


def test_a_stop_string_and_the_number_of_tokens_are_kept(llm: OpenAILLM) -> None:
    whole = "".join(llm.stream(STORY, 40))
    assert "".join(llm.stream(STORY, 40, stop=[whole[20:24]])) == whole[: whole.index(whole[20:24])]
    assert len(list(llm.stream(STORY, 5))) <= 5


def test_closing_stops_the_server_within_a_second_and_the_next_is_answered(llm: OpenAILLM, server: Running) -> None:
    draft = llm.stream(STORY, 1500)
    next(draft)
    assert server.computing() > 0.1
    draft.close()
    time.sleep(1.0)
    assert server.computing() < 0.1
    assert "".join(llm.stream(ASK, 5))


def test_a_prompt_that_the_server_cannot_take_is_an_error_and_no_empty_answer(server: Running) -> None:
    llm = OpenAILLM(server.base_url, "smollm2", window=100_000)
    with pytest.raises(ModelError):
        next(llm.stream([Message("user", "tree " * 4000)], 5))
    llm.close()


def test_a_server_that_hangs_is_left_after_the_timeout_and_answers_when_it_goes_on(server: Running) -> None:
    llm = OpenAILLM(server.base_url, "smollm2", window=2048, timeout_s=5.0, retries=0)
    draft = llm.stream(STORY, 1500)
    next(draft)
    server.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(ModelDied, match="fell silent"):
        list(draft)
    assert time.monotonic() - start < 7
    server.process.send_signal(signal.SIGCONT)
    llm.close()
    patient = OpenAILLM(server.base_url, "smollm2", window=2048)
    assert "".join(patient.stream(ASK, 5))
    patient.close()


def test_a_server_that_starts_late_is_reached_by_asking_again(caplog: pytest.LogCaptureFixture) -> None:
    """Refused connections are repeated with growing pauses; nothing of it, logged at its loudest, shows the key."""
    port = free_port()
    os.environ["LATE_KEY"] = "sk-never-shown"
    started: list[http.server.HTTPServer] = []

    def start() -> None:
        started.append(http.server.HTTPServer(("127.0.0.1", port), _One))
        started[0].serve_forever()

    timer = threading.Timer(1.2, start)
    timer.daemon = True
    timer.start()
    llm = OpenAILLM(f"http://127.0.0.1:{port}/v1", "any", key_env="LATE_KEY", retries=4)
    with caplog.at_level(logging.DEBUG):
        assert "".join(llm.stream(ASK, 5)) == "Bearer sk-never-shown"
    del os.environ["LATE_KEY"]
    draft = llm.stream(ASK, 5)
    assert "sk-never-shown" not in caplog.text + repr(llm) + repr(vars(llm)) + repr(draft) + repr(vars(draft))
    llm.close()
    started[0].shutdown()
    started[0].server_close()


class _One(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = self.headers["Authorization"]
        body = f'data: {{"choices": [{{"delta": {{"content": "{said}"}}, "finish_reason": "stop"}}]}}\n\n'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body)
