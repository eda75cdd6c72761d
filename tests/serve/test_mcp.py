"""The official MCP client, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rag
from tests.serve.conftest import TREES, Running, serving

mcp = pytest.importorskip("mcp", reason="the extra [mcp] is not installed")
from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402

from rag.serve.mcp import MOST_CHARACTERS  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent


async def walk(client: Any) -> dict[str, Any]:
    """What each tool says."""
    names = sorted(tool.name for tool in (await client.list_tools()).tools)
    assert names == ["ask", "list_sources", "open_source", "search"]
    told = {}
    for name, arguments in (
        ("search", {"query": "tariffs", "k": 3}),
        ("ask", {"question": TREES}),
        ("list_sources", {}),
    ):
        result = await client.call_tool(name, arguments)
        assert not result.is_error
        assert json.loads(result.content[0].text) == result.structured_content
        told[name] = result.structured_content
    citation = told["ask"]["citations"][0]
    place = {"id": citation["source"]["id"], **citation["span"]}
    opened = await client.call_tool("open_source", place)
    assert opened.structured_content["text"] == citation["quote"]
    bad: list[tuple[str, dict[str, Any]]] = [
        ("open_source", {"id": "nothing"}),
        ("ask", {"question": "  "}),
        ("ask", {"question": TREES, "sources": ["nothing"]}),
        ("search", {"query": "x", "k": 0}),
    ]
    for name, arguments in bad:
        wrong = await client.call_tool(name, arguments)
        assert wrong.is_error and wrong.content[0].text
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, seeds: Path) -> Path:
    folder = tmp_path_factory.mktemp("mcp") / "index"
    rag.open(folder, documents=seeds, llm_model="none").close()
    return folder


def test_over_standard_input_and_output_each_tool_does_what_it_says(folder: Path) -> None:
    environment = {**os.environ, "RAG_LLM_MODEL": "none", "RAG_INDEX_FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
    command = StdioServerParameters(command=sys.executable, args=["-m", "rag", "mcp"], env=environment, cwd=str(ROOT))

    async def all_of_it() -> dict[str, Any]:
        async with Client(stdio_client(command)) as client:
            return await walk(client)

    told = asyncio.run(asyncio.wait_for(all_of_it(), 120))
    with rag.open(folder, llm_model="none") as assistant:
        assert told["ask"]["citations"] == rag.to_json(assistant.ask(TREES).citations)
        assert told["search"] == {"hits": rag.to_json(assistant.search("tariffs", 3))}


def test_over_http_each_tool_does_what_it_says(server: Running) -> None:
    async def all_of_it() -> dict[str, Any]:
        async with Client(f"{server.url}/mcp") as client:
            return await walk(client)

    told = asyncio.run(asyncio.wait_for(all_of_it(), 120))
    assert told["ask"]["citations"] == rag.to_json(server.assistant.ask(TREES).citations)


def test_of_a_long_document_a_part_is_read_at_a_time(opened: Callable[..., rag.Assistant]) -> None:
    assistant = opened()
    text = "".join(f"Line {n} of a long text.\n" for n in range(2000))
    assistant.add_text(text, title="long", uri="mem:long")
    id_ = assistant.named("mem:long")

    async def parts(url: str) -> list[dict[str, Any]]:
        async with Client(f"{url}/mcp") as client:
            calls = [await client.call_tool("open_source", {"id": id_, "start": at}) for at in (0, MOST_CHARACTERS)]
            return [call.structured_content for call in calls]

    with serving(assistant) as server:
        first, second = asyncio.run(asyncio.wait_for(parts(server.url), 120))
    whole = assistant.document(id_).text
    assert len(first["text"]) == MOST_CHARACTERS and first["characters"] == len(whole) > 2 * MOST_CHARACTERS
    assert first["text"] + second["text"] == whole[: 2 * MOST_CHARACTERS]
