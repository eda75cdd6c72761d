"""The commands that open a door and stay: the chat page, the HTTP API, MCP."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.shared import Index, Set, app, opened


@app.command()
def chat(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs --password.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; the next free one is taken if it is in use.", min=1, max=65535)
    ] = 7860,
    password: Annotated[str | None, typer.Option(envvar="RAG_PASSWORD", help="Ask for this password.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """The chat page: ask, read the answer, open each quote in its document."""
    from rag.chat import serve

    with opened(index, set_, write=None) as assistant:
        serve(assistant, host=host, port=port, open_browser=browser, password=password)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; the next free one is taken if it is in use.", min=1, max=65535)
    ] = 7861,
    token: Annotated[
        list[str] | None,
        typer.Option(envvar="RAG_TOKEN", help="Ask for this token; best set as RAG_TOKEN (several: with spaces)."),
    ] = None,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Several servers over one index: each may write, only while it must, in turn."),
    ] = False,
    log: Annotated[bool, typer.Option("--log", help="One JSON line per request on stderr, without any text.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """The HTTP API: answers, search, documents, receipts; OpenAI-compatible; MCP at /mcp. `/docs` lists the routes.

    Example: rag serve --port 8000
    """
    from rag import __version__
    from rag.serve import serve

    with opened(index, set_, write="in turn" if shared else None) as assistant:
        serve(assistant, host=host, port=port, tokens=token or (), version=__version__, log=log)


@app.command()
def mcp(index: Index = None, set_: Set = []) -> None:  # noqa: B006
    """Speak the Model Context Protocol on standard input and output: search, ask, list_sources, open_source."""
    from rag import __version__
    from rag.serve import speak_mcp

    with opened(index, set_, write=None) as assistant:
        speak_mcp(assistant, __version__)
