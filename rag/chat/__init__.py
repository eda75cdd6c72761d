"""The chat page: a question goes in, an answer comes back, and each sentence leads to the words that back it.

A door: it parses, calls and shows; what to answer is decided below. On the way through it:

    guard.py     every request: host, origin, password, size; every reply: the policy
    page.py      Gradio's parts and events                     page.css, page.js
    talk.py      one session's conversation, one running question in a thread, stop
    live.py      the turn that is being answered, event by event
    show.py      an answer as HTML, every character escaped    details.py  the drawer under it
    source.py    a document with the quote marked              library.py  the shelf of documents
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

from rag.chat.guard import Guard, is_loopback, trusts
from rag.chat.source import panel
from rag.errors import RagError, UsageError
from rag.types import Span

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rag.assistant import Assistant

__all__ = ["build", "serve"]

DEFAULT_PORT = 7860


def build(assistant: Assistant, host: str = "127.0.0.1", password: str | None = None) -> FastAPI:
    """The page over `assistant` as a web app, for a server bound to `host`. `password`: asked of every request."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nothing leaves this computer
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse

    from rag.chat import library, page

    app = FastAPI(title="rag chat", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/page/source/{source_id}")
    def source(source_id: str, quote: str, answer: str = "") -> HTMLResponse:
        return HTMLResponse(*_source(assistant, source_id, quote, answer))

    gr.mount_gradio_app(
        app, page.blocks(assistant), path="/",
        server_name=host, footer_links=[], run_history=False, ssr_mode=False, mcp_server=False, show_error=False,
        enable_monitoring=False, pwa=False, max_file_size=f"{library.MAX_FILE_MB}mb",
        theme=page.theme(), css=page.css(), head=page.head(),
    )  # fmt: skip
    names = frozenset({socket.gethostname().lower(), socket.getfqdn().lower()} if not is_loopback(host) else ())
    app.add_middleware(Guard, trusted=trusts(host, names), password=password)
    return app


def _source(assistant: Assistant, source_id: str, quote: str, answer: str) -> tuple[str, int]:
    """The panel for one citation and its HTTP status."""
    try:
        document = assistant.document(source_id)
        return panel(document, _span(quote), _span(answer) if answer else None), 200
    except (RagError, ValueError, LookupError):
        return '<p class="error" role="alert">This place is no longer in the library.</p>', 404


def _span(text: str) -> Span:
    start, _, end = text.partition("-")
    return Span(int(start), int(end))


def serve(
    assistant: Assistant,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    open_browser: bool = False,
    password: str | None = None,
) -> None:
    """Serve the page until Ctrl-C; prints its address once it is ready.

    The default port may give way to the next free one. Raises UsageError for an address that others can reach without
    a password, and for a port of the caller's choice that is taken.
    """
    if not is_loopback(host) and not password:
        raise UsageError(
            f"{host} can be reached by other computers, and the page has no password",
            hint="set one: rag chat --password WORD, or leave the host at 127.0.0.1",
        )
    listener = _listen(host, port)
    assistant.warm()
    address = _address(host, listener.getsockname()[1])
    with contextlib.suppress(KeyboardInterrupt):
        _run(build(assistant, host, password), listener, address, open_browser)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket at `port`, or for the default port at the next free one of the twenty after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, port + (21 if port == DEFAULT_PORT else 1)):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
        else:
            return listener
    raise UsageError(f"{host}:{port} cannot be used: {reason}", hint="choose another: rag chat --port 7900")


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _run(app: FastAPI, listener: socket.socket, address: str, open_browser: bool) -> None:
    import uvicorn

    logging.getLogger("httpx").setLevel(logging.WARNING)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"Ask your documents at {address}  (Ctrl-C ends)", flush=True)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False
    )
    Server(config).run(sockets=[listener])
