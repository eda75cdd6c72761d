"""Files that were sent to the chat page: kept as long as they wait, or as a document of theirs is in the library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import rag
from rag.chat import shelving
from rag.chat.shelving import Shelving
from rag.config import Config


@pytest.fixture
def assistant(tmp_path: Path) -> Iterator[rag.Assistant]:
    with rag.Assistant(tmp_path / "index", Config().replace({"llm.model": "none"})) as assistant:
        yield assistant


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def kept(assistant: rag.Assistant) -> set[str]:
    return {place.name for place in (assistant.folder / "originals").rglob("*") if place.is_file()}


def test_of_a_file_that_is_refused_or_forgotten_nothing_stays(assistant: rag.Assistant) -> None:
    async def sent() -> list[str]:
        shelf = Shelving(assistant)
        keys = [
            await shelf.take(pieces(b"The code word is fuchsia."), "good.txt"),
            await shelf.take(pieces(b""), "no.txt"),
        ]
        assert kept(assistant) == {"good.txt", "no.txt"}
        return [news["state"] async for news in shelf.add(keys, "") if news.get("state") in ("added", "refused")]

    assert sorted(asyncio.run(sent())) == ["added", "refused"]
    assert kept(assistant) == {"good.txt"}
    assert assistant.remove(assistant.sources()[0].source.id)
    assert kept(assistant) == set()


def test_of_files_that_are_never_added_the_oldest_go(assistant: rag.Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelving, "_WAITING", 2)

    async def sent(*names: str) -> None:
        shelf = Shelving(assistant)
        for name in names:
            await shelf.take(pieces(b"Some words."), name)

    asyncio.run(sent("a.txt", "b.txt", "b.txt"))
    assert kept(assistant) == {"b.txt"}
    asyncio.run(sent("b.txt", "c.txt", "b.txt"))
    assert kept(assistant) == {"b.txt", "c.txt"}, "what is waited for with another key stays"
