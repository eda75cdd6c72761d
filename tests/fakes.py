"""A server that speaks OpenAI's chat protocol, well or badly as the model's name says: `python tests/fakes.py PORT`.

    echo      the last message in capitals, word by word       slow      the same, 0.2 s per word
    late      no header for 30 s                               cut       ends in the middle, no word of an end
    silent    one word, then nothing for 30 s                  nonsense  events that are no JSON
    html      a web page with status 200                       broken    an error inside the stream
    busy-N    503 for the first N requests, then echo          4xx, 5xx  that status
    filtered  ends with finish_reason content_filter           alive     one word, then a comment every 0.05 s
    stream    one line without an end                          page      a refusal without an end
    full      503 always, with no word of when to ask again
`GET /seen` tells what was asked and how many answers run; it is the witness that a client left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from rag.evals.processes import free_port


def application() -> Any:
    """The ASGI application; its state is one dict."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    state: dict[str, Any] = {"asked": [], "running": 0, "keys": [], "at": []}

    async def seen(_: Request) -> Response:
        return JSONResponse(state)

    async def chat(request: Request) -> Response:
        body = await request.json()
        model = body["model"]
        state["asked"].append(body)
        state["at"].append(time.monotonic())
        state["keys"].append(request.headers.get("authorization", ""))
        times = sum(1 for asked in state["asked"] if asked["model"] == model)
        if model.isdigit():
            said = {"message": f"no, {state['keys'][-1]}: the context is too short", "type": "test"}
            return JSONResponse({"error": said}, status_code=int(model))
        if model == "full":
            return JSONResponse({"error": "busy"}, status_code=503)
        if model.startswith("busy-") and times <= int(model.split("-")[1]):
            return JSONResponse({"error": "busy"}, status_code=503, headers={"retry-after": "0"})
        if model == "page":
            return StreamingResponse(_without_end(b"no "), status_code=404, media_type="text/html")
        if model == "stream":
            return StreamingResponse(_without_end(b"data: " + b"x" * 100_000), media_type="text/event-stream")
        if model == "html":
            return Response("<html>a page</html>", media_type="text/html")
        if model == "late":
            state["running"] += 1
            try:
                await _gone(request, 30.0)
            finally:
                state["running"] -= 1
        return StreamingResponse(counted(model, body), media_type="text/event-stream")

    async def counted(model: str, body: dict[str, Any]) -> AsyncIterator[str]:
        state["running"] += 1
        try:
            async for event in _events(model, body):
                yield event
        finally:
            state["running"] -= 1

    return Starlette(routes=[Route("/seen", seen), Route("/v1/chat/completions", chat, methods=["POST"])])


async def _gone(request: Any, most_s: float) -> None:
    end = time.monotonic() + most_s
    while time.monotonic() < end and not await request.is_disconnected():
        await asyncio.sleep(0.05)


async def _without_end(part: bytes) -> AsyncIterator[bytes]:
    while True:
        yield part
        await asyncio.sleep(0)


async def _events(model: str, body: dict[str, Any]) -> AsyncIterator[str]:
    words = body["messages"][-1]["content"].upper().split(" ")[: body["max_tokens"]]
    yield ": a comment keeps the connection alive\n\n"
    yield _event({"role": "assistant", "content": ""})
    for i, word in enumerate(words):
        if model == "slow":
            await asyncio.sleep(0.2)
        yield _event({"content": word if i == 0 else " " + word})
        if model == "cut":
            return
        if model == "silent":
            await asyncio.sleep(30)
        while model == "alive":
            await asyncio.sleep(0.05)
            yield ": still here\n\n"
        if model == "nonsense":
            yield "data: {no json\n\n"
        if model == "broken":
            yield "data: " + json.dumps({"error": {"message": "out of memory"}}) + "\n\n"
    yield _event({}, "content_filter" if model == "filtered" else "stop")
    yield "data: " + json.dumps({"choices": [], "usage": {"total_tokens": 1}}) + "\n\n"
    yield "data: [DONE]\n\n"


def _event(delta: dict[str, Any], finish: str | None = None) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}) + "\n\n"


class Server:
    """A running server: its address, and what it has seen."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._seen = f"http://127.0.0.1:{port}/seen"

    def seen(self) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._seen, timeout=5) as reply:
            told: dict[str, Any] = json.load(reply)
            return told

    def wait_until_idle(self, most_s: float) -> float:
        """Seconds until no answer runs any more; fails after `most_s`."""
        start = time.monotonic()
        while self.seen()["running"]:
            assert time.monotonic() - start < most_s, "the server still writes for a client that has left"
            time.sleep(0.02)
        return time.monotonic() - start


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server process of our own on a free port of this machine, ended with the block."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-P", str(Path(__file__).resolve()), str(port)])
    try:
        server = Server(port, process)
        end = time.monotonic() + 60
        while True:
            try:
                server.seen()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "the test server does not start"
                time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait(10)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
