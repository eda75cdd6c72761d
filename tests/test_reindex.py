"""Another embedder, or other rules: the index is made anew from its own texts while the old one answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from old_index import make_schema_2
from test_index import MAKER, several, tamper

from rag.errors import IndexBusy, IndexDamaged, IndexMismatch, IndexMissing
from rag.filters import Filter
from rag.index import Index
from rag.types import Document, Passage, Source, Span

NEW: dict[str, Any] = {"embedder": "maxi@1", "dim": 5, "rules": "halves"}


def halves(document: Document) -> tuple[list[Passage], Any]:
    """Other passages (two halves), other numbers, worked out of the text alone."""
    half = len(document.text) // 2
    spans = [Span(0, half), Span(half, len(document.text))] if half else []
    numbers = [np.random.default_rng(list(span.of(document.text).encode())).standard_normal(5) for span in spans]
    vectors = np.array(numbers, np.float32).reshape(-1, 5)
    return [Passage.cut(document, span) for span in spans], vectors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.open(tmp_path / "index", **MAKER) as index:
        for n, one in enumerate(several(20)):
            index.put(*one, digest=f"d{n}", stat=f"s{n}", dated="2020-01-01", collection=f"c{n % 2}")
        index.put(Document(Source.at("file:///empty", "empty"), ""), [], np.empty((0, 16), np.float32))
    return tmp_path / "index"


def judged(folder: Path, texts: Sequence[Document]) -> None:
    """It is what it would be, had it been made with the new embedder from the first."""
    with Index.open(folder, **NEW) as index:
        report = index.check()
        assert (report.problems, report.repaired) == ((), ())
        assert {row.source for row in index.sources()} == {document.source for document in texts}
        for document in texts:
            passages, vectors = halves(document)
            assert index.document(document.source.id) == document
            if passages:
                where = Filter(sources=(document.source.id,))
                assert index.passages(index.dense(vectors, 1, where)[0][:, 0].tolist()) == passages
        assert len(index) == sum(len(halves(document)[0]) for document in texts)
        index.put(Document(Source.at("file:///late", "late"), "late words"), [], np.empty((0, 5), np.float32))
        assert index.remove(Source.at("file:///late", "").id)
        assert index.check().ok


EMPTY = Document(Source.at("file:///empty", "empty"), "")
TEXTS = [one[0] for one in several(20)] + [EMPTY]


def test_the_new_index_is_whole_and_keeps_what_was_noted(folder: Path) -> None:
    with Index.open(folder, **MAKER) as index:
        noted = index.sources()
    told: list[tuple[int, int]] = []
    assert Index.remake(folder, **NEW, make=halves, progress=lambda *at: told.append(at)) == 21
    assert told == [(n, 21) for n in range(22)]
    judged(folder, TEXTS)
    with Index.open(folder, **NEW, write=False) as index:
        for before, after in zip(noted, index.sources(), strict=True):
            assert (before.source, before.digest, before.stat, before.added, before.dated, before.collection) == (
                after.source, after.digest, after.stat, after.added, after.dated, after.collection
            )  # fmt: skip
        assert len(index.lexical("paper7", 9)) >= 1
        assert len(index.dense(np.ones((1, 5), np.float32), 99, Filter(collections=("c1",)))[0][0]) == 20
    with pytest.raises(IndexMismatch, match="maxi@1"):
        Index.open(folder, **MAKER)
    assert Index.remake(folder, **NEW, make=halves) == 0


def test_it_is_what_an_index_made_with_the_new_embedder_would_be(folder: Path, tmp_path: Path) -> None:
    Index.remake(folder, **NEW, make=halves)
    with Index.open(tmp_path / "fresh", **NEW) as fresh:
        for n, document in enumerate(TEXTS):
            fresh.put(document, *halves(document), digest=f"d{n}" if n < 20 else "")
        with Index.open(folder, **NEW) as index:
            assert index.fingerprint == fresh.fingerprint


def test_the_old_index_answers_until_the_new_one_is_whole_and_is_refused_then(folder: Path) -> None:
    with Index.open(folder, **MAKER, write=False) as reader:
        one = several(20)[7]

        def looking(document: Document) -> Any:
            assert reader.passages(reader.dense(one[2], 1)[0][:, 0].tolist()) == one[1]
            with Index.open(folder, **MAKER, write=False) as other:
                assert len(other) == 50
            with pytest.raises(IndexBusy):
                Index.open(folder, **MAKER)
            return halves(document)

        Index.remake(folder, **NEW, make=looking)
        for act in (lambda: reader.dense(one[2], 1), lambda: reader.lexical("paper", 1), reader.sources):
            with pytest.raises(IndexMismatch, match="made anew meanwhile"):
                act()
    judged(folder, TEXTS)


class Stop(Exception):
    pass


def stopping(after: int) -> Any:
    left = [after]

    def make(document: Document) -> Any:
        if not left[0]:
            raise Stop
        left[0] -= 1
        return halves(document)

    return make


def test_what_was_stopped_goes_on_where_it_was(folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(Stop):
            Index.remake(folder, **NEW, make=stopping(6))
    with Index.open(folder, **MAKER) as index:
        assert index.check().ok
        assert len(index) == 50
    assert Index.remake(folder, **NEW, make=halves) == 9
    judged(folder, TEXTS)


def test_documents_that_changed_came_or_went_in_between_are_as_they_are_now(folder: Path) -> None:
    with pytest.raises(Stop):
        Index.remake(folder, **NEW, make=stopping(12))
    other = Document(TEXTS[3].source, "Quite another text.")
    came = Document(Source.at("file:///came", "came"), "It came late.")
    with Index.open(folder, **MAKER) as index:
        index.remove(TEXTS[5].source.id, TEXTS[19].source.id)
        for document in (other, came):
            index.put(document, [Passage.cut(document, Span(0, 5))], np.ones((1, 16), np.float32))
    assert Index.remake(folder, **NEW, make=halves) == 10  # 21 - 12 - 1 that went + 1 that changed + 1 that came
    judged(folder, [d for n, d in enumerate(TEXTS) if n not in (3, 5, 19)] + [other, came])


def test_what_was_begun_for_another_embedder_is_begun_anew(folder: Path) -> None:
    with pytest.raises(Stop):
        Index.remake(folder, **(NEW | {"embedder": "midi@1"}), make=stopping(12))
    assert Index.remake(folder, **NEW, make=halves) == 21
    judged(folder, TEXTS)


def test_an_older_schema_is_brought_up_on_the_way(tmp_path: Path) -> None:
    make_schema_2(tmp_path / "index", MAKER, several(20))
    Index.remake(tmp_path / "index", **NEW, make=halves)
    judged(tmp_path / "index", TEXTS[:20])


def test_a_text_that_does_not_hold_is_not_made_anew(folder: Path) -> None:
    tamper(folder, "UPDATE documents SET text = CAST('other words' AS BLOB) WHERE id = 8", seal=True)
    with pytest.raises(IndexDamaged, match="rag check"):
        Index.remake(folder, **NEW, make=halves)


def test_passages_that_the_new_rules_would_not_make_are_no_hindrance(folder: Path) -> None:
    tamper(folder, "UPDATE passages SET start = start + 1", seal=True)
    Index.remake(folder, **NEW, make=halves)
    judged(folder, TEXTS)


def test_wrong_vectors_change_nothing(folder: Path) -> None:
    for wrong in (lambda d: (halves(d)[0], np.ones((2, 4))), lambda d: (halves(d)[0][:1], halves(d)[1])):
        with pytest.raises(ValueError, match=r"shape|vectors for"):
            Index.remake(folder, **NEW, make=wrong)
    with Index.open(folder, **MAKER) as index:
        assert index.check().ok
        assert len(index) == 50


def test_there_is_nothing_to_make_anew_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        Index.remake(tmp_path / "nowhere", **NEW, make=halves)
    assert not (tmp_path / "nowhere").exists()
