"""Bringing an index in step: what is embedded again, what is removed, what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.add import Adder, Progress
from rag.embed import Vectors
from rag.index import Index


class Counting:
    """An embedder one can compute in one's head: the vector of a text is its length's bits; it counts what it sees."""

    name = fingerprint = "counting"
    dim = 8
    window = 64

    def __init__(self) -> None:
        self.seen: list[str] = []

    def passages(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        bits = np.array([[1 + (len(t) >> b & 1) for b in range(8)] for t in texts], np.float32).reshape(-1, 8)
        return bits / np.linalg.norm(bits, axis=1, keepdims=True)

    def questions(self, texts: Sequence[str]) -> Vectors:
        return self.passages(texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(t.split()) for t in texts]


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", embedder="counting", dim=8) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("Alpha is first.")
    (folder / "b.txt").write_text("\n\n".join(f"Paragraph {n}. " + "Some words of it. " * 8 for n in range(4)))
    return folder


def test_an_unchanged_folder_embeds_nothing(index: Index, embedder: Counting, folder: Path) -> None:
    adder = Adder(index, embedder, 64)
    assert len(adder.add([folder]).added) == 2
    embedder.seen.clear()
    report = adder.add([folder])
    assert (report.added, len(report.unchanged), embedder.seen) == ((), 2, [])


def test_a_touched_file_is_hashed_but_not_embedded(index: Index, embedder: Counting, folder: Path) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    (folder / "a.txt").touch()
    embedder.seen.clear()
    assert len(adder.add([folder]).unchanged) == 2
    assert embedder.seen == []


def test_of_a_changed_file_only_the_changed_passages_are_embedded(
    index: Index, embedder: Counting, folder: Path
) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    passages = len(index)
    text = (folder / "b.txt").read_text()
    (folder / "b.txt").write_text(text.replace("Paragraph 3.", "Paragraph three!"))
    embedder.seen.clear()
    assert len(adder.add([folder]).changed) == 1
    assert len(embedder.seen) == 1
    assert "Paragraph three!" in embedder.seen[0]
    assert len(index) == passages


def test_mirror_removes_what_is_gone_and_nothing_outside_the_folder(
    index: Index, embedder: Counting, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "else.txt").write_text("Elsewhere.")
    adder = Adder(index, embedder, 64)
    adder.add([folder, tmp_path / "else.txt"])
    (folder / "a.txt").unlink()
    assert adder.add([folder]).removed == ()
    assert [Path(uri).name for uri in adder.add([folder], mirror=True).removed] == ["a.txt"]
    assert sorted(row.source.title for row in index.sources()) == ["b.txt", "else.txt"]


def test_a_bad_file_is_refused_and_what_was_indexed_of_it_stays(index: Index, embedder: Counting, folder: Path) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    (folder / "a.txt").write_text("")
    report = adder.add([folder])
    assert [Path(uri).name for uri, _ in report.refused] == ["a.txt"]
    assert len(index.sources()) == 2


def test_progress_counts_every_file(index: Index, embedder: Counting, folder: Path) -> None:
    told: list[Progress] = []
    Adder(index, embedder, 64).add([folder], told.append)
    assert [(p.done, p.total) for p in told] == [(0, 2), (1, 2), (2, 2)]
