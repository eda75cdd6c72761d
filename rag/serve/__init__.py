"""The HTTP door: one assistant, many programs. It parses, calls, and writes down; what to answer is decided below.

guard.py      every request: name, origin, token, rate, size, slowness; every reply: counted, noted
desk.py       who is let in to an answer, who waits, who is sent away     leaving.py   a client that goes away
answers.py    /v1/answers /v1/search /v1/receipts      documents.py   /v1/documents /v1/collections
openai.py     /v1/chat/completions /v1/models          mcp.py         /mcp, and `rag mcp`
refuse.py     every error in one shape                 schema.json    the shape of every answer, with its version
about.py      /health /openapi.json /v1/schema        metrics.py    /metrics
manual.py     /docs                                    wire.py       uvicorn, slow clients
notes.py      the log, without anybody's text
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rag.asynchronous import AsyncAssistant
from rag.errors import UsageError
from rag.serve import notes
from rag.web import address, is_loopback, listen, own_names, trusts

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from rag.assistant import Assistant
    from rag.serve.desk import Desk

__all__ = ["build", "serve", "speak_mcp"]

DEFAULT_PORT = 7861
SWITCH_S = 0.001
"""How long one thread may keep Python from the others while they wait: a search takes it a dozen times, and with the
usual 5 ms each, reading a large document would be felt in every one."""


def build(assistant: Assistant, host: str = "127.0.0.1", tokens: Collection[str] = (), version: str = "") -> FastAPI:
    """The API over `assistant` as a web app, for a server bound to `host`. `tokens`: everybody needs one."""
    from fastapi import FastAPI

    from rag.serve import about, answers, documents, openai, refuse
    from rag.serve.desk import NEAR, Desk
    from rag.serve.guard import Guard
    from rag.serve.metrics import Metrics

    settings = assistant.config.serve
    asking, metrics = AsyncAssistant(assistant, answers=NEAR + 2), Metrics()
    desk = Desk(asking, metrics)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(asking.release)
            if find_spec("mcp") is not None:
                await stack.enter_async_context(_mcp(app, desk, version))
            yield

    told: dict[str, Any] = {"title": "rag", "version": version or "unknown", "docs_url": None, "redoc_url": None}
    app = FastAPI(**told, lifespan=life, responses=refuse.REFUSALS)
    refuse.install(app)
    for router in (answers.routes(desk), documents.routes(asking), openai.routes(desk)):
        app.include_router(router)
    about.install(app, metrics)
    trusted = trusts(host, own_names(host), frozenset(settings.hosts.lower().split()))
    app.add_middleware(Guard, trusted=trusted, tokens=tuple(tokens), settings=settings, metrics=metrics)
    return app


@contextlib.asynccontextmanager
async def _mcp(app: FastAPI, desk: Desk, version: str) -> AsyncIterator[None]:
    """The same desk for MCP over HTTP, as long as the server runs."""
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.routing import Route

    from rag.serve.leaving import ended_with_its_client
    from rag.serve.mcp import server

    mcp = server(desk, version)
    guarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # our own guard stands before it
    over_http = mcp.streamable_http_app(stateless_http=True, json_response=True, transport_security=guarded)
    for route in over_http.routes:
        assert isinstance(route, Route)
        route.methods = {"POST"}  # without sessions, a GET would wait for what never comes
        route.app = ended_with_its_client(route.app)
    app.router.routes.extend(over_http.routes)
    async with mcp.session_manager.run():
        yield


def serve(
    assistant: Assistant,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    tokens: Collection[str] = (),
    version: str = "",
    log: bool = False,
) -> None:
    """Serve the API until Ctrl-C; prints its address once it is ready. `log`: one JSON line per request, on stderr.

    The default port may give way to the next free one. Raises UsageError for an address that others can reach without
    a token, and for a port of the caller's choice that is taken.
    """
    if not is_loopback(host) and not tokens:
        raise UsageError(f"{host} can be reached by other computers, and there is no token", "set one: RAG_TOKEN=WORD")
    listener = listen(host, port, spare=20 if port == DEFAULT_PORT else 0)
    notes.begin(log)
    assistant.warm()
    sys.setswitchinterval(SWITCH_S)
    place = address(host, listener.getsockname()[1])
    greeting = f"Serving your documents at {place}/v1  (how to ask: {place}/docs; Ctrl-C ends)"
    with contextlib.suppress(KeyboardInterrupt):
        _run(build(assistant, host, tokens, version), listener, greeting, assistant.config.serve.body_s)


def _run(app: FastAPI, listener: socket.socket, greeting: str, head_s: float) -> None:
    import uvicorn

    from rag.serve.wire import config

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(greeting, flush=True)

    Server(config(app, head_s)).run(sockets=[listener])


def speak_mcp(assistant: Assistant, version: str = "") -> None:
    """Speak MCP over standard input and output until the client ends it. Raises UsageError if it is not installed."""
    if find_spec("mcp") is None:
        raise UsageError("the package mcp is not installed", "pip install 'rag[mcp]'")
    import asyncio

    from rag.serve.desk import Desk
    from rag.serve.mcp import server
    from rag.serve.metrics import Metrics

    notes.begin(requests=False)
    assistant.warm()
    asyncio.run(server(Desk(AsyncAssistant(assistant), Metrics()), version).run_stdio_async())
