"""Many askers: one at a time, in order, never mixed; whoever leaves frees the model; search goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec

import httpx
import pytest

import rag
from rag.asynchronous import AsyncAssistant
from rag.llm.line import Line
from rag.llm.scripted import ScriptedLLM
from rag.serve import guard
from rag.serve.desk import Desk, Expected
from rag.serve.metrics import Metrics
from rag.types import Message
from tests.serve.conftest import TREES, Held, Running, serving, with_model

WAITING = 8
FREED_S = 5.0
"""A second is promised, and measured by rag.evals.load; a busy machine may take longer to look."""
BODY = {"question": TREES}


@pytest.fixture
def held(opened: Callable[..., rag.Assistant]) -> Iterator[tuple[Running, Held]]:
    """A server whose model writes only when it is told to."""
    assistant, llm = opened(read_model="overlap"), Held()
    with_model(assistant, llm)
    with serving(assistant) as running:
        yield running, llm
        llm.go.set()


@contextmanager
def free_at_last(llm: Held) -> Iterator[None]:
    """Whatever fails, nobody waits for the model for ever."""
    try:
        yield
    finally:
        llm.go.set()


def inside(server: Running) -> int:
    """Answers on their way."""
    found: int = server.http.get("/health").json()["inside"]
    return found


def until(true: Callable[[], bool], most_s: float = 60.0) -> float:
    """Seconds until it is true."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < most_s, "it never came true"
        time.sleep(0.01)
    return time.monotonic() - start


def test_one_is_answered_eight_wait_and_the_next_hears_at_once_when_to_come_again(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ThreadPoolExecutor(20) as pool, free_at_last(llm):
        asking = [pool.submit(server.http.post, "/v1/answers", json=BODY) for _ in range(1 + WAITING)]
        until(lambda: inside(server) == 1 + WAITING)
        for path, body in (("/v1/answers", BODY), ("/v1/answers", BODY | {"stream": True}),
                           ("/v1/chat/completions", {"messages": [{"role": "user", "content": TREES}]})):  # fmt: skip
            took_s = []
            for _ in range(5):
                start = time.monotonic()
                over = server.http.post(path, json=body)
                took_s.append(time.monotonic() - start)
            assert min(took_s) < 0.2
            assert over.status_code == 429 and over.json()["error"]["code"] == "busy"
            assert int(over.headers["retry-after"]) >= 1
        llm.go.set()
        answers = [f.result() for f in asking]
    assert [a.status_code for a in answers] == [200] * (1 + WAITING)
    assert llm.most == 1
    assert inside(server) == 0


def test_where_too_many_requests_are_on_their_way_one_more_hears_when_to_come_again(
    held: tuple[Running, Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, llm = held
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 2)
    with ThreadPoolExecutor(2) as pool, free_at_last(llm):
        asking = [pool.submit(server.http.post, "/v1/answers", json=BODY) for _ in range(2)]
        until(lambda: inside(server) == 2)  # /health is never refused
        over = server.http.get("/v1/documents")
        assert over.status_code == 503 and over.json()["error"]["code"] == "crowded"
        assert int(over.headers["retry-after"]) >= 1
        llm.go.set()
        assert [f.result().status_code for f in asking] == [200, 200]
    assert server.http.get("/v1/documents").status_code == 200


def test_who_waits_is_told_how_many_come_first_and_never_hears_nothing(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ThreadPoolExecutor(4) as pool, free_at_last(llm):
        first = pool.submit(server.http.post, "/v1/answers", json=BODY)
        assert llm.entered.acquire(timeout=60)
        with server.http.stream("POST", "/v1/answers", json=BODY | {"stream": True}) as reply:
            lines = reply.iter_lines()
            assert next(lines) == "event: waits"
            told = json.loads(next(lines).removeprefix("data: "))
            assert next(lines) == ""
            assert told["before"] == 1 and told["estimate_s"] > 0
            names: list[str] = []
            while not ({"event: found", "event: quoted"} <= set(names) and names.count("event: waits") > 1):
                start = time.monotonic()
                names += [line for line in (next(lines), next(lines), next(lines)) if line.startswith("event: ")]
                assert time.monotonic() - start < 15.0, "it heard nothing for long"
                assert len(names) < 60, "the passages waited for the model"
            llm.go.set()
            assert "event: answer" in list(lines)
        assert first.result().status_code == 200


def test_who_waits_is_told_the_seconds_of_all_that_come_first(opened: Callable[..., rag.Assistant]) -> None:
    assistant, llm = opened(read_model="overlap"), Held()
    with_model(assistant, llm)

    async def told() -> list[object]:
        desk = Desk(AsyncAssistant(assistant, answers=3), Metrics())
        first = asyncio.create_task(desk.ask(TREES))
        await asyncio.sleep(0)  # it begins
        waiting = [desk.events(TREES) for _ in range(2)]
        heard: list[object] = [await anext(events) for events in waiting]
        for events in waiting:
            await events.aclose()
        llm.go.set()
        await first
        return heard

    guess_s = 3.0  # of one answer, before any was measured
    assert asyncio.run(told()) == [Expected(n, pytest.approx((n + 1) * guess_s, abs=1.0)) for n in (1, 2)]


def test_who_waits_in_a_stream_of_openais_protocol_can_see_it_in_a_comment(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ThreadPoolExecutor(1) as pool, free_at_last(llm):
        first = pool.submit(server.http.post, "/v1/answers", json=BODY)
        assert llm.entered.acquire(timeout=60)
        with server.http.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as reply:
            lines = reply.iter_lines()
            assert next(line for line in lines if line.startswith(":")).startswith(": 1 before, ")
            llm.go.set()
            assert "data: [DONE]" in list(lines)
        assert first.result().status_code == 200


CHAT = {"messages": [{"role": "user", "content": TREES}]}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": BODY}}
DOORS: dict[str, tuple[str, dict[str, object]]] = {
    "answers": ("/v1/answers", BODY),
    "answers, streamed": ("/v1/answers", BODY | {"stream": True}),
    "receipts": ("/v1/receipts", BODY),
    "chat": ("/v1/chat/completions", CHAT),
    "chat, streamed": ("/v1/chat/completions", CHAT | {"stream": True}),
    "mcp": ("/mcp", CALL),
}


def ask_and_leave(server: Running, path: str, body: dict[str, object]) -> socket.socket:
    """A question on a line of its own, for the caller to cut."""
    host, port = server.url.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)))
    data = json.dumps(body).encode()
    accepts = "application/json" + (", text/event-stream" if path == "/mcp" else "")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: {accepts}\r\n"
    line.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return line


@pytest.mark.parametrize("door", DOORS)
def test_who_leaves_while_the_model_reads_or_writes_for_it_frees_it(held: tuple[Running, Held], door: str) -> None:
    server, llm = held
    if door == "mcp":
        pytest.importorskip("mcp", reason="the extra [mcp] is not installed")
    for words in (0, 3):
        llm.first_words = words
        line = ask_and_leave(server, *DOORS[door])
        assert (llm.midway if words else llm.entered).acquire(timeout=60)
        assert llm.writing == 1 and inside(server) == 1
        line.close()
        assert until(lambda: llm.writing == 0 and inside(server) == 0) < FREED_S


def test_an_mcp_client_that_gives_up_frees_the_model(held: tuple[Running, Held]) -> None:
    server, llm = held
    mcp = pytest.importorskip("mcp", reason="the extra [mcp] is not installed")

    async def ask_and_give_up() -> None:
        async with mcp.Client(f"{server.url}/mcp") as client:
            asking = asyncio.create_task(client.call_tool("ask", BODY))
            assert await asyncio.to_thread(llm.entered.acquire, timeout=60)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(until, lambda: llm.writing == 0 and inside(server) == 0) < FREED_S

    asyncio.run(ask_and_give_up())


def test_who_never_reads_its_events_keeps_nobody_from_the_model(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(ask_and_leave(server, *DOORS["answers, streamed"]))
        until(lambda: inside(server) == 3)
        llm.go.set()
        until(lambda: inside(server) == 0)
        assert server.http.post("/v1/answers", json=BODY).status_code == 200


def test_who_leaves_the_line_is_gone_from_it(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ExitStack() as stack:
        lines = [stack.enter_context(ask_and_leave(server, "/v1/answers", BODY))]
        assert llm.entered.acquire(timeout=60)
        doors = [door for name, door in DOORS.items() if name != "mcp" or find_spec("mcp") is not None]
        lines += [stack.enter_context(ask_and_leave(server, *doors[n % len(doors)])) for n in range(WAITING)]
        until(lambda: inside(server) == 1 + WAITING)
        for line in lines[1:]:
            line.close()
        assert until(lambda: inside(server) == 1) < FREED_S
        assert llm.most == 1 and llm.writing == 1
        llm.go.set()
        assert lines[0].recv(20).startswith(b"HTTP/1.1 200")


def test_who_leaves_before_the_passages_are_found_leaves_nothing_behind(held: tuple[Running, Held]) -> None:
    server, llm = held
    for stream in (False, True):
        for _ in range(3):
            ask_and_leave(server, "/v1/answers", BODY | {"stream": stream}).close()
    until(lambda: inside(server) == 0 and llm.writing == 0)
    llm.go.set()
    assert server.http.post("/v1/answers", json=BODY).status_code == 200


def test_search_and_health_answer_while_an_answer_is_being_written(held: tuple[Running, Held]) -> None:
    server, llm = held
    with ThreadPoolExecutor(WAITING) as pool, free_at_last(llm):
        asking = [pool.submit(server.http.post, "/v1/answers", json=BODY) for _ in range(4)]
        assert llm.entered.acquire(timeout=60)
        assert server.http.post("/v1/search", json={"query": "tariffs"}).json()["hits"]
        assert server.http.get("/v1/documents").status_code == 200
        assert inside(server) >= 1
        llm.go.set()
        assert [f.result().status_code for f in asking] == [200] * 4


def test_a_model_that_never_ends_is_given_up(opened: Callable[..., rag.Assistant]) -> None:
    assistant, llm = opened(serve_answer_s=1.5, read_model="overlap"), Held()
    with_model(assistant, llm)
    with serving(assistant) as server:
        over = server.http.post("/v1/answers", json=BODY)
        assert over.status_code == 503 and over.json()["error"]["code"] == "model_error"
        assert until(lambda: llm.writing == 0) < FREED_S


class InLine(ScriptedLLM):
    """Writes at once, but one answer at a time, first come first served, as the real one does."""

    def __init__(self, reply: Callable[[Sequence[Message]], str]) -> None:
        super().__init__(reply, window=100_000)
        self.line = Line(most_waiting=300)

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        who = object()
        self.line.join(who)
        try:
            for _ in self.line.before(who):
                pass
            yield from super().stream(prompt, max_tokens, seed, stop)
        finally:
            self.line.leave(who)


ENDS = "arex olun evit imor ukan yrid abel ocat epon ivus ulim ymer agon osif eras idol unor".split()
HARBOURS = [f"{a}{b}".title() for a in "bdfgklmnprst" for b in ENDS][:200]


def opened_in(prompt: Sequence[Message]) -> str:
    """What the documents say of the harbour that the prompt names last."""
    told = str(prompt)
    n = max(range(len(HARBOURS)), key=lambda n: told.rfind(HARBOURS[n]))
    return f"The harbour of {HARBOURS[n]} was opened in {1500 + n}."


@pytest.fixture(scope="module")
def harbours(opened: Callable[..., rag.Assistant]) -> rag.Assistant:
    """An assistant over two hundred documents, each about a harbour of its own."""
    assistant = opened(serve_waiting=300, read_model="overlap")
    for n, name in enumerate(HARBOURS):
        assistant.add_text(f"The harbour of {name} was opened in {1500 + n}.", title=name, uri=f"mem:{name}")
    with_model(assistant, InLine(opened_in))
    return assistant


def test_two_hundred_askers_are_answered_in_the_order_in_which_they_came(harbours: rag.Assistant) -> None:
    finished: list[int] = []

    async def all_of_them() -> None:
        desk = Desk(AsyncAssistant(harbours, answers=300), Metrics())

        async def one(n: int) -> None:
            assert str(1500 + n) in (await desk.ask(f"When was the harbour of {HARBOURS[n]} opened?")).text
            finished.append(n)

        await asyncio.gather(*(one(n) for n in range(len(HARBOURS))))

    asyncio.run(all_of_them())
    assert max(abs(place - n) for place, n in enumerate(finished)) <= 3, "somebody was overtaken"


def test_two_hundred_askers_at_once_hear_each_their_own_answer(harbours: rag.Assistant) -> None:
    async def all_of_them(url: str) -> list[dict[str, object]]:
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(base_url=url, timeout=280, limits=limits, trust_env=False) as http:

            async def one(name: str) -> dict[str, object]:
                reply = await http.post("/v1/answers", json={"question": f"When was the harbour of {name} opened?"})
                answer: dict[str, object] = reply.json()
                return answer

            return await asyncio.gather(*map(one, HARBOURS))

    with serving(harbours) as server:
        answers = asyncio.run(all_of_them(server.url))
    for n, answer in enumerate(answers):
        assert str(1500 + n) in str(answer["text"]) and HARBOURS[n] in str(answer["question"])
