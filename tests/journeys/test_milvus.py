"""The main job over a file of Milvus Lite: the same answers as over the folder, question by question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rag
from rag.evals.seeds import questions

for library in ("pymilvus", "milvus_lite"):
    pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, seeds: Path) -> Iterator[rag.Assistant]:
    """Opened again after the documents were added, so that everything comes from the file."""
    folder = tmp_path_factory.mktemp("milvus")
    place, here = f"milvus:{folder}/index.db", str(folder / "here")
    rag.open(place, documents=seeds, llm_model="none", index_folder=here).close()
    with rag.open(place, llm_model="none", index_folder=here) as assistant:
        yield assistant
    assert not (folder / "here" / "store.db").exists()


def told(answer: rag.Answer) -> tuple[Any, ...]:
    return answer.outcome, answer.text, answer.citations, answer.missing, answer.short


def test_every_answer_is_that_of_the_folder_with_the_same_citations(
    remote: rag.Assistant, quoting: rag.Assistant
) -> None:
    asked = questions()
    assert len(asked) >= 90
    for question in asked:
        answer, wanted = remote.ask(question.text), quoting.ask(question.text)
        assert told(answer) == told(wanted), question.text
        assert all(remote.holds(citation) for citation in answer.citations)


def test_every_search_is_that_of_the_folder(remote: rag.Assistant, quoting: rag.Assistant) -> None:
    for question in questions():
        hits, wanted = remote.search(question.text, 8), quoting.search(question.text, 8)
        assert [h.score for h in hits] == pytest.approx([h.score for h in wanted], abs=1e-5), question.text
        assert [h.passage for h in hits] == [h.passage for h in wanted], question.text


def test_a_citation_is_the_very_characters_of_the_file_that_was_added(remote: rag.Assistant, seeds: Path) -> None:
    answer = remote.ask("How many cherry trees will Japan give?")
    texts = {path.resolve().as_uri(): path.read_bytes().decode("utf-8") for path in seeds.glob("*.txt")}
    assert answer.outcome == rag.Outcome.ANSWERED
    assert answer.citations
    for citation in answer.citations:
        assert citation.span.of(texts[citation.source.uri]) == citation.quote
        assert "250" in citation.quote
