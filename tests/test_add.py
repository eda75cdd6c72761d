"""Bringing an index in step: what is embedded again, what is removed, what is refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


def test_what_is_passed_over_is_told_and_a_folder_that_cannot_be_read_is_refused(
    index: Index, embedder: Counting, folder: Path, unreadable: Callable[[str], None]
) -> None:
    (folder / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "closed").mkdir()
    unreadable("closed")
    report = Adder(index, embedder, 64).add([folder])
    assert len(report.added) == 2
    assert report.notes == ((folder.as_uri(), "passed over, because nothing reads them: 1 .doc"),)
    closed = folder / "closed"
    assert report.refused == ((closed.as_uri(), f"{closed} cannot be read: Permission denied"),)


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
    assert [p.path for p in told] == [folder / "a.txt", folder / "b.txt", None]


def test_progress_goes_by_bytes_and_moves_within_a_large_file(
    index: Index, embedder: Counting, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.add.BLOCK", 1)
    told: list[Progress] = []
    Adder(index, embedder, 64).add([folder], told.append)
    small, large = ((folder / name).stat().st_size for name in ("a.txt", "b.txt"))
    bytes_ = [p.bytes for p in told]
    assert bytes_ == sorted(bytes_)
    assert {p.all_bytes for p in told} == {small + large}
    assert (bytes_[0], bytes_[-1]) == (0, small + large)
    within = [p for p in told if small < p.bytes < small + large]
    assert len(within) >= 2
    assert {(p.done, p.path) for p in within} == {(1, folder / "b.txt")}
    assert [p.part for p in within] == sorted(p.part for p in within) and all(0 < p.part < 1 for p in within)


def test_a_moved_file_and_a_copy_keep_their_vectors(index: Index, embedder: Counting, folder: Path) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    embedder.seen.clear()
    (folder / "sub").mkdir()
    (folder / "b.txt").rename(folder / "sub" / "c.txt")
    (folder / "copy.txt").write_text((folder / "a.txt").read_text() + "\n\n" + "Something new here. " * 12)
    report = adder.add([folder], mirror=True)
    assert [Path(uri).name for uri in report.removed] == ["b.txt"]
    assert len(report.added) == 2
    assert all("Something new" in text for text in embedder.seen)
    assert index.check().ok


def test_the_same_text_twice_in_one_document_is_embedded_once(index: Index, embedder: Counting, tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("\n\n".join(["The same words again and again. " * 9] * 3))
    Adder(index, embedder, 64).add([tmp_path / "twice.txt"])
    assert len(index) == 3
    assert len(embedder.seen) < 3


def test_what_was_acknowledged_before_a_stop_is_not_done_again(index: Index, embedder: Counting, folder: Path) -> None:
    for n in range(6):
        (folder / f"n{n}.txt").write_text(f"Number {n}.")
    adder = Adder(index, embedder, 64)

    def stop_at_five(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adder.add([folder], stop_at_five)
    assert len(index.sources()) == 5
    embedder.seen.clear()
    report = adder.add([folder])
    assert (len(report.unchanged), len(report.added)) == (5, 3)
    assert len(embedder.seen) == 3


def test_a_large_file_goes_on_where_it_was_stopped(
    index: Index, embedder: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.add.BLOCK", 4)
    monkeypatch.setattr("rag.add.LARGE", 16)
    file = tmp_path / "large.csv"
    file.write_text("Id,Name\n" + "".join(f"{n},ship {n}\n" for n in range(50)))
    adder = Adder(index, embedder, 64)

    def stop(progress: Progress) -> None:
        if progress.part > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adder.add([file], stop)
    assert index.sources() == []
    before = set(embedder.seen)
    assert 36 <= len(before) < 51
    embedder.seen.clear()
    assert len(adder.add([file]).added) == 1
    assert not before & set(embedder.seen), "embedded once"
    assert len(before) + len(embedder.seen) == 51
    assert index.check().ok
    text = "Id: 7; Name: ship 7"
    near = index.passages(index.dense(embedder.passages([text]), 51)[0][0].tolist())
    assert text in {p.text for p in near}
    keys = [index.key(p) for p in near]
    index.remove(index.sources()[0].source.id)
    assert index.vectors_of(keys) == {}, "what was laid by is forgotten"


def test_files_that_cannot_be_read_are_told_with_reasons_and_stop_nothing(
    index: Index, embedder: Counting, folder: Path
) -> None:
    (folder / "aa.txt").write_bytes(b"")
    (folder / "ab.pdf").write_bytes(b"no pdf at all")
    os.mkfifo(folder / "ac.txt")
    report = Adder(index, embedder, 64).add([folder, folder / "missing.txt"])
    assert {Path(uri).name for uri, _ in report.refused} == {"aa.txt", "ab.pdf", "ac.txt", "missing.txt"}
    assert all(reason for _, reason in report.refused)
    assert len(report.added) == 2
    assert set(report.steps) >= {"look", "read", "parse", "split", "embed", "store"}
    assert sum(report.steps.values()) <= report.seconds


def test_excludes_hold_for_folders_and_mirror_takes_out_what_they_exclude_now(
    index: Index, embedder: Counting, folder: Path
) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    assert [Path(u).name for u in adder.add([folder], mirror=True, exclude=["a.*"]).removed] == ["a.txt"]
    assert len(adder.add([folder / "a.txt"], exclude=["a.*"]).added) == 1


def test_an_empty_folder_removes_nothing(index: Index, embedder: Counting, folder: Path) -> None:
    """It may be the place of a disk that is away."""
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    for file in folder.iterdir():
        file.unlink()
    assert adder.add([folder], mirror=True).removed == ()
    folder.rmdir()
    assert adder.add([folder], mirror=True).removed == ()
    assert len(index.sources()) == 2


def test_what_is_out_of_reach_is_not_gone(
    index: Index, embedder: Counting, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer lists nothing: that is no reason to forget what it holds."""
    (folder / "s ü").mkdir()
    (folder / "s ü" / "c.txt").write_text("Gamma.")
    adder = Adder(index, embedder, 64)
    adder.add([folder])
    real = os.lstat

    def lstat(path: Any) -> os.stat_result:
        if "s ü" in os.fsdecode(path):
            raise OSError(5, "Input/output error")
        return real(path)

    shutil.rmtree(folder / "s ü")
    (folder / "a.txt").unlink()
    monkeypatch.setattr("rag.add.os.lstat", lstat)
    assert [Path(u).name for u in adder.add([folder], mirror=True).removed] == ["a.txt"]
    monkeypatch.undo()
    assert [Path(u).name for u in adder.add([folder], mirror=True).removed] == ["c.txt"]


def test_a_file_goes_into_the_collection_that_is_named_and_stays_there(
    index: Index, embedder: Counting, folder: Path
) -> None:
    adder = Adder(index, embedder, 64)
    adder.add([folder], collection="work")
    adder.add([folder / "a.txt"], collection="home")
    (folder / "a.txt").write_text("Alpha is changed.")
    adder.add([folder])
    assert {row.source.title: row.collection for row in index.sources()} == {"a.txt": "home", "b.txt": "work"}


def test_a_document_is_dated_by_its_file_unless_it_names_a_day(index: Index, embedder: Counting, folder: Path) -> None:
    (folder / "page.html").write_text(
        '<html><head><meta property="article:published_time" content="2019-05-06"></head><body>Words.</body></html>'
    )
    for file in folder.iterdir():
        os.utime(file, (86_400 * 400, 86_400 * 400 + 43_200))
    Adder(index, embedder, 64).add([folder])
    dates = {row.source.uri.rpartition("/")[2]: row.dated for row in index.sources()}
    assert dates == {"a.txt": "1971-02-05", "b.txt": "1971-02-05", "page.html": "2019-05-06"}
