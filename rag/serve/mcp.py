"""The same answers for assistants that speak the Model Context Protocol: search, ask, list_sources, open_source.

`rag mcp` speaks it over standard input and output; `rag serve` also over HTTP, at /mcp. Each tool returns what the
other doors return, as structured content and as its JSON text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from rag.errors import RagError
from rag.types import Found, Span, to_json

if TYPE_CHECKING:
    from rag.serve.desk import Desk

MOST_CHARACTERS = 20_000  # of a document in one reply
Words = Annotated[str, Field(min_length=1, max_length=100_000)]
Sources = Annotated[list[str] | None, Field(description="Ids of documents to look in; none: all of them.")]


def server(desk: Desk, version: str) -> MCPServer[Any]:
    """The four tools over one desk."""
    mcp = MCPServer(
        "rag",
        version=version,
        instructions="Answers from the user's own documents, each sentence with the quote that backs it. `ask` says so "
        "when they hold no answer; `search` finds passages; `open_source` shows a quote in its place.",
        log_level="WARNING",
    )

    @mcp.tool()
    async def search(
        query: Words, k: Annotated[int, Field(ge=1, le=100)] = 8, sources: Sources = None
    ) -> dict[str, Any]:
        """Find the passages most worth reading, best first."""
        return plain(Found(tuple(await told(desk.assistant.search(query, k, sources=sources)))))

    @mcp.tool()
    async def ask(question: Words, sources: Sources = None) -> dict[str, Any]:
        """Answer a question from the documents: text, claims, citations (exact quotes with their places), outcome."""
        where = (
            None if sources is None else await told(desk.assistant.call(desk.assistant.plain.filter, sources=sources))
        )
        return plain(await told(desk.ask(question, where=where)))

    @mcp.tool()
    async def list_sources() -> dict[str, Any]:
        """List the documents, with their ids."""
        return {"documents": to_json(await told(desk.assistant.sources()))}

    @mcp.tool()
    async def open_source(
        id: str,
        start: Annotated[int, Field(ge=0)] = 0,
        end: Annotated[int | None, Field(ge=0)] = None,
    ) -> dict[str, Any]:
        """Read a document, or the characters from start to end of it, as in the span of a citation."""
        try:
            text = (await told(desk.assistant.document(id))).text
        except KeyError:
            raise ToolError(f"there is no document {id!r}: list_sources names them") from None
        last = min(len(text), start + MOST_CHARACTERS, len(text) if end is None else end)
        span = Span(min(start, last), last)
        return {"id": id, "span": to_json(span), "characters": len(text), "text": span.of(text)}

    return mcp


async def told(work: Any) -> Any:
    """What `work` returns; an error of ours as one that the client is shown in words."""
    try:
        return await work
    except RagError as e:
        raise ToolError(str(e)) from None


def plain(value: Any) -> dict[str, Any]:
    """A noun as JSON."""
    made: dict[str, Any] = to_json(value)
    return made
