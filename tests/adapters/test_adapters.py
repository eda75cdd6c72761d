"""The index as a retriever of other frameworks: the same passages, in the same order, each at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rag

ASKED = "How many cherry trees will Japan give?"


@pytest.fixture(scope="module")
def expected(quoting: rag.Assistant) -> list[tuple[str, str]]:
    return [(h.passage.source.id, h.passage.text) for h in quoting.search(ASKED, 3)]


def at_its_place(assistant: rag.Assistant, text: str, meta: dict[str, Any]) -> tuple[str, str]:
    """Source and text of a passage, which is the very text at the place that its metadata name."""
    assert assistant.document(meta["source_id"]).text[meta["start"] : meta["end"]] == text
    assert {"source", "title", "heading", "score"} <= set(meta)
    return meta["source_id"], text


def test_langchain(quoting: rag.Assistant, expected: list[tuple[str, str]]) -> None:
    pytest.importorskip("langchain_core", reason="langchain-core is not installed (the extra [adapters])")
    from rag.adapters.langchain import RagRetriever

    found = RagRetriever(assistant=quoting, k=3).invoke(ASKED)
    assert [at_its_place(quoting, d.page_content, d.metadata) for d in found] == expected
    assert len({d.id for d in found}) == 3


def test_llamaindex(quoting: rag.Assistant, expected: list[tuple[str, str]]) -> None:
    pytest.importorskip("llama_index.core", reason="llama-index-core is not installed (the extra [adapters])")
    from rag.adapters.llamaindex import RagRetriever

    found = RagRetriever(quoting, k=3).retrieve(ASKED)
    assert [at_its_place(quoting, n.node.get_content(), n.node.metadata) for n in found] == expected
    assert [n.score for n in found] == sorted((n.score for n in found), reverse=True)


def test_haystack(
    quoting: rag.Assistant,
    expected: list[tuple[str, str]],
    tmp_path: Path,
    seeds: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")  # nobody is told that a test ran
    pytest.importorskip("haystack", reason="haystack-ai is not installed (the extra [adapters])")
    from haystack import Pipeline

    from rag.adapters.haystack import RagRetriever

    rag.open(tmp_path / "index", documents=seeds, llm_model="none").close()
    pipeline = Pipeline()
    pipeline.add_component("rag", RagRetriever(str(tmp_path / "index"), k=3))
    saved = pipeline.dumps()
    for one in (pipeline, Pipeline.loads(saved, allowed_modules=["rag.adapters.haystack"])):
        found = one.run({"rag": {"query": ASKED}})["rag"]["documents"]
        assert [at_its_place(quoting, d.content, d.meta) for d in found] == expected
