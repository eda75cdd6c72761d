"""The chat page: a question goes in, an answer comes back, and each sentence leads to the words that back it.

A door: it parses, calls and shows; what to answer is decided below. On the way through it:

    guard.py     every request: host, origin, password, size; every reply: the policy
    page.py      Gradio's parts and events                     page.css, and the scripts (cards.js: over a citation)
    asking.py    a question, what was wished with it, the turn that is kept
    talk.py      one running question in a thread, stop        live.py  the turn that is being answered
    show.py      an answer as HTML, every character escaped    details.py  the drawer under it
    verdicts.py  how its sentences fared, in one line
    routes.py    what the page fetches by itself               history.py  conversations that were kept
    source.py    a document with the quote marked              original.py  its page as it is printed
    library.py   the shelf of documents                        watching.py  folders that are kept in step with it
    shelving.py  files on their way to it
    settings.py  what can be chosen
    names.py     what a document is called                     preload.py  what is there before Gradio starts
    parts.py     what of the page stands still                 texts/      every word of it, by language
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

from rag.chat.guard import Guard
from rag.errors import UsageError
from rag.web import address, is_loopback, listen, own_names, trusts

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

    from rag.chat import page, preload, shelving, texts
    from rag.chat.routes import add_routes

    texts.use(assistant.config.ui.language)
    app = FastAPI(title="rag chat", docs_url=None, redoc_url=None, openapi_url=None)

    blocks = page.blocks(assistant)
    add_routes(app, assistant, alone=is_loopback(host), speak=lambda: page.speak(blocks, assistant))
    gr.mount_gradio_app(
        app, blocks, path="/",
        server_name=host, footer_links=[], run_history=False, ssr_mode=False, mcp_server=False, show_error=False,
        enable_monitoring=False, pwa=False, max_file_size=f"{shelving.MAX_FILE_MB}mb",
        theme=page.theme(), css=page.css(),
    )  # fmt: skip
    files = preload.files()
    app.add_middleware(preload.Early, head=lambda: page.head(files), files=files)
    app.add_middleware(Guard, trusted=trusts(host, own_names(host)), password=password)
    return app


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
    listener = listen(host, port, spare=20 if port == DEFAULT_PORT else 0)
    assistant.warm()
    with contextlib.suppress(KeyboardInterrupt):
        _run(build(assistant, host, password), listener, address(host, listener.getsockname()[1]), open_browser)


def _run(app: FastAPI, listener: socket.socket, place: str, open_browser: bool) -> None:
    import uvicorn

    logging.getLogger("httpx").setLevel(logging.WARNING)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"Ask your documents at {place}  (Ctrl-C ends)", flush=True)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(place,), daemon=True).start()

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False
    )
    Server(config).run(sockets=[listener])
