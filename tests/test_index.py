"""The keeper: what was acknowledged is there, what is there is proven, and every search sees one moment."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag import lexical
from rag.errors import IndexDamaged, IndexError_, IndexMismatch, IndexMissing
from rag.index import Index, rows, snapshot
from rag.types import Document, Mark, Passage, Source, Span

DIM = 16
MAKER: dict[str, Any] = {"embedder": "mini@1", "dim": DIM, "rules": "r1"}
Made = tuple[Document, list[Passage], Any]


def made(name: str, texts: list[str], seed: int | None = None, marks: tuple[Mark, ...] = ()) -> Made:
    """A document of these passages, with vectors that depend on the name or the seed alone."""
    document = Document(Source.at(f"file:///{name}", name), " ".join(texts), marks)
    passages, at = [], 0
    for text in texts:
        passages.append(Passage.cut(document, Span(at, at + len(text))))
        at += len(text) + 1
    numbers = np.random.default_rng(abs(hash(seed)) if seed is not None else sum(map(ord, name)))
    return document, passages, numbers.standard_normal((len(texts), DIM)).astype(np.float32)


def several(n: int) -> list[Made]:
    return [made(f"d{i}", [f"Passage {j} of paper{i} on topic{i}x{j}." for j in range(1 + i % 4)], i) for i in range(n)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Any:
    with Index.open(folder, **MAKER) as index:
        yield index


def test_a_new_version_takes_the_place_of_the_old_and_ids_never_come_again(index: Index) -> None:
    for other in several(3):
        index.put(*other)
    old, new = made("a", ["the old words", "stay"], 1), made("a", ["the new words", "stay"], 2)
    assert index.put(*old) is False
    before = {id for id, _ in index.lexical("old stay", 9)}
    assert index.put(*new) is True
    assert index.lexical("old", 9) == []
    after = {id for id, _ in index.lexical("new stay", 9)}
    assert not before & after
    assert index.document(old[0].source.id) == new[0]
    for id in before:
        with pytest.raises(KeyError):
            index.passages([id])
    assert index.remove(new[0].source.id) is True
    index.put(*new)
    assert not after & {id for id, _ in index.lexical("new stay", 9)}
    assert index.check().ok


def test_a_heading_is_part_of_what_was_embedded() -> None:
    text = "one two"
    bare = Document(Source.at("x", "x"), text)
    headed = Document(Source.at("x", "x"), text, (Mark(Span(0, 7), "heading", "H", 1),))
    assert Index.key(Passage.cut(bare, Span(0, 3))) != Index.key(Passage.cut(headed, Span(0, 3)))


def test_the_fingerprint_changes_with_anything_stored_and_with_the_maker(tmp_path: Path) -> None:
    seen = set()
    for number, maker in enumerate((MAKER, MAKER | {"rules": "r2"}, MAKER | {"embedder": "e2"})):
        with Index.open(tmp_path / str(number), **maker) as index:
            seen.add(index.fingerprint)
            for one in several(2):
                index.put(*one)
                seen.add(index.fingerprint)
            index.remove(several(1)[0][0].source.id)
            seen.add(index.fingerprint)
    assert len(seen) == 12


# -- who may open it ---------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_read_where_nothing_was_made_and_reading_makes_nothing(folder: Path) -> None:
    for path in (folder, folder.parent):
        with pytest.raises(IndexMissing, match="no index"):
            Index.open(path, **MAKER, write=False)
    assert not folder.exists()


def test_an_index_made_by_a_newer_version_is_refused(folder: Path) -> None:
    Index.open(folder, **MAKER).close()
    (folder / "FORMAT").write_text("rag index 2\n")
    with pytest.raises(IndexMismatch, match="newer version"):
        Index.open(folder, **MAKER)
    (folder / "FORMAT").write_text("rag index 1\n")
    tamper(folder, "UPDATE meta SET schema = 1000")
    with pytest.raises(IndexMismatch, match="newer version"):
        Index.open(folder, **MAKER)


def test_a_folder_with_other_files_is_never_made_an_index(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.doc").write_text("mine")
    with pytest.raises(IndexError_, match=r"thesis\.doc"):
        Index.open(folder, **MAKER)
    assert {p.name for p in folder.iterdir()} <= {"thesis.doc", "LOCK"}
    (folder.parent / "file").write_text("")
    with pytest.raises(IndexError_, match="not a folder"):
        Index.open(folder.parent / "file", **MAKER)


def test_a_folder_with_a_readme_counts_as_empty(folder: Path) -> None:
    folder.mkdir()
    (folder / "README.md").write_text("what lies here")
    (folder / ".gitignore").write_text("*")
    Index.open(folder, **MAKER).close()
    assert (folder / "README.md").read_text() == "what lies here"


def test_opening_loads_no_faiss(folder: Path) -> None:
    with Index.open(folder, **MAKER) as index:
        index.put(*several(1)[0])
    code = f"""
import sys
from pathlib import Path
from rag.index import Index
with Index.open(Path({str(folder)!r}), **{MAKER!r}, write=False) as index:
    index.lexical("paper0", 3), index.passages([1]), index.sources()
print("faiss" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# -- many at once ------------------------------------------------------------------------------------------------------


def versions(index: Index, stop: threading.Event, wrong: list[str]) -> None:
    """Every moment must hold all passages of one version of each document, and nothing of another."""
    query = np.ones((1, DIM), np.float32)
    while not stop.is_set():
        with index.reading():
            ids = index.dense(query, 1000)[0][0].tolist()
            words = [id for id, _ in index.lexical("common", 1000)]
            if sorted(ids) != sorted(words) or len(ids) != len(index):
                wrong.append(f"dense sees {len(ids)}, words {len(words)}, the index {len(index)}")
            texts = [p.text for p in index.passages(ids)]
        seen: dict[str, set[str]] = {}
        for text in texts:
            _, document, version, _ = text.split()
            seen.setdefault(document, set()).add(version)
        torn = [name for name, found in seen.items() if len(found) > 1]
        if torn or len(texts) != 6 * len(seen):
            wrong.append(f"{torn} torn, {len(texts)} passages of {len(seen)} documents")


@pytest.mark.parametrize("write", [True, False], ids=["same process", "a reader beside the writer"])
def test_a_search_during_an_add_sees_one_moment(folder: Path, write: bool) -> None:
    with Index.open(folder, **MAKER) as writer:
        reader = writer if write else Index.open(folder, **MAKER, write=False)
        stop, wrong = threading.Event(), []
        threads = [threading.Thread(target=versions, args=(reader, stop, wrong)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(60):
            writer.put(*made(f"d{n % 5}", [f"common d{n % 5} v{n} p{j}" for j in range(6)], n))
            if n % 7 == 6:
                writer.remove(Source.at(f"file:///d{n % 5}", "").id)
            if n % 20 == 19:
                writer.flush()
        stop.set()
        for thread in threads:
            thread.join()
        reader.close()
    assert wrong == []


# -- the snapshot ------------------------------------------------------------------------------------------------------


def read_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many vectors are read from rows from now on, one entry per load."""
    real, counts = rows.vectors, []

    def counting(*args: Any, **kwargs: Any) -> Any:
        counts.append(0)
        for ids, vectors in real(*args, **kwargs):
            counts[-1] += len(ids)
            yield ids, vectors

    monkeypatch.setattr(snapshot.rows, "vectors", counting)
    return counts


def test_a_good_snapshot_spares_reading_the_rows_and_later_changes_are_caught_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = several(40)
    with Index.open(folder, **MAKER) as index:
        for one in work:
            index.put(*one)
    names = sorted(p.name for p in folder.glob("vectors-*.faiss"))
    assert names == ["vectors-1-40.faiss"]
    with Index.open(folder, **MAKER) as index:
        index.put(*made("late", ["one more"]))
        index.remove(work[0][0].source.id)
    assert sorted(p.name for p in folder.glob("vectors-*.faiss")) == names, "two changes are no reason to write all"
    counts = read_rows(monkeypatch)
    with Index.open(folder, **MAKER, write=False) as index:
        assert index.dense(made("late", ["one more"])[2], 1)[1][0, 0] == 1.0
        assert index.dense(work[0][2], 1)[1][0, 0] < 1.0
        assert len(index.dense(work[0][2], 1000)[0][0]) == len(index)
    assert counts == [1]


def spoil(how: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def foreign(path: Path) -> None:
        other = path.parent.parent / "other"
        with Index.open(other, **MAKER) as index:
            for one in several(40):
                index.put(one[0], one[1], one[2][::-1] * 2)
        shutil.copy(other / path.name, path)

    return {
        "missing": Path.unlink,
        "empty": lambda path: path.write_bytes(b"") and None,
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]) and None,
        "flipped": flip,
        "garbage": lambda path: path.write_bytes(b"x" * 10_000) and None,
        "of another index": foreign,
    }[how]


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "flipped", "garbage", "of another index"])
def test_a_bad_snapshot_is_made_again_and_nobody_notices(folder: Path, how: str) -> None:
    work = several(40)
    with Index.open(folder, **MAKER) as index:
        for one in work:
            index.put(*one)
        before = index.dense(work[5][2], 20)
    spoil(how)(next(folder.glob("vectors-*.faiss")))
    with Index.open(folder, **MAKER) as index:
        after = index.dense(work[5][2], 20)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert index.check().repaired == ("the snapshot was made again from the rows",)
        assert index.check().repaired == ()


# -- damage ------------------------------------------------------------------------------------------------------------


def tamper(folder: Path, *statements: str, seal: bool = False) -> None:
    """Change the database behind the index's back; with `seal`, the seal too is taken away."""
    con = sqlite3.connect(folder / "store.db", isolation_level=None)
    for statement in statements:
        con.execute(statement)
    con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    con.close()
    if seal:
        (folder / "SEAL").unlink()


@pytest.fixture
def closed(folder: Path) -> Path:
    with Index.open(folder, **MAKER) as index:
        for one in several(20):
            index.put(*one)
    return folder


DAMAGE = {
    "a text": "UPDATE documents SET text = replace(CAST(text AS TEXT), 'paper7', 'paper8') WHERE id = 8",
    "a date": "UPDATE documents SET added = added + 1 WHERE id = 8",
    "a time of change": "UPDATE documents SET stat = x'00' WHERE id = 8",
    "a day": "UPDATE documents SET dated = CAST('2001-01-01' AS BLOB) WHERE id = 8",
    "a collection": "UPDATE documents SET collection = CAST('other' AS BLOB) WHERE id = 8",
    "a media type": "UPDATE documents SET media = CAST('text/html' AS BLOB) WHERE id = 8",
    "a key": "UPDATE passages SET key = key + 1 WHERE id = 9",
    "a length": "UPDATE documents SET characters = characters + 1 WHERE id = 8",
    "a title": "UPDATE documents SET about = replace(CAST(about AS TEXT), 'd7', 'd8') WHERE id = 8",
    "a span": "UPDATE passages SET start = start + 1 WHERE id = 9",
    "a span out of the text": 'UPDATE passages SET "end" = 100000 WHERE id = 9',
    "an owner": "UPDATE passages SET document = 2 WHERE id = 9",
    "a vector": "UPDATE vectors SET row = zeroblob(64) WHERE id = 9",
    "a missing passage": "DELETE FROM passages WHERE id = 9",
    "a missing vector": "DELETE FROM vectors WHERE id = 9",
    "a missing document": "DELETE FROM documents WHERE id = 8",
    "a second copy": 'INSERT INTO passages SELECT 1000, document, start, "end", key, hash FROM passages WHERE id = 9',
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_seen_at_the_next_start(closed: Path, what: str) -> None:
    tamper(closed, DAMAGE[what])
    for write in (True, False):
        with pytest.raises(IndexDamaged):
            Index.open(closed, **MAKER, write=write)


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_to_an_open_index_is_told_by_check(closed: Path, what: str) -> None:
    with Index.open(closed, **MAKER) as index:
        tamper(closed, DAMAGE[what])
        report = index.check()
        assert not report.ok
        assert report.problems


@pytest.mark.parametrize("what", DAMAGE)
def test_mend_takes_out_what_does_not_hold_and_adding_again_completes_it(closed: Path, what: str) -> None:
    tamper(closed, DAMAGE[what])
    with pytest.raises(IndexDamaged, match="rag check"):
        Index.open(closed, **MAKER)
    report = Index.mend(closed, **MAKER)
    assert report.ok
    assert any(line.startswith("taken out, to be added again") for line in report.repaired)
    work = {one[0].source: one for one in several(20)}
    with Index.open(closed, **MAKER) as index:
        left = {row.source for row in index.sources()}
        assert 18 <= len(left) <= 20
        for source in set(work) - left:
            index.put(*work[source])
        for one in work.values():
            assert index.passages(index.dense(one[2], 1)[0][:, 0].tolist()) == one[1]
        assert index.check().ok


HELD = ["a span", "a span out of the text", "a key", "an owner", "a vector", "a missing passage", "a missing vector"]


def again(document: Document) -> tuple[list[Passage], Any]:
    """The passages and vectors of a document, from its text."""
    (found,) = [one for one in several(20) if one[0] == document]
    return found[1], found[2]


@pytest.mark.parametrize("what", HELD)
@pytest.mark.parametrize("when", ["open", "closed"])
def test_passages_and_vectors_are_made_again_where_the_text_holds(closed: Path, what: str, when: str) -> None:
    if when == "closed":
        tamper(closed, DAMAGE[what])
        report = Index.mend(closed, **MAKER, make=again)
    with Index.open(closed, **MAKER) as index:
        if when == "open":
            tamper(closed, DAMAGE[what])
            assert not index.check().ok
            report = index.check(again)
        assert report.ok
        assert any(line.startswith("made again from its text") for line in report.repaired)
        assert not any("taken out" in line for line in report.repaired)
        assert {row.source for row in index.sources()} == {one[0].source for one in several(20)}
        for one in several(20):
            assert index.passages(index.dense(one[2], 1)[0][:, 0].tolist()) == one[1]
        assert len(index.lexical("paper7", 99)) == 4
        assert index.check().repaired == ()


def test_check_of_an_open_index_takes_no_document_out(closed: Path) -> None:
    with Index.open(closed, **MAKER) as index:
        tamper(closed, DAMAGE["a text"], DAMAGE["a vector"].replace("id = 9", "id = 1"))
        report = index.check(again)
        assert not report.ok
        assert any(line.startswith("made again from its text") for line in report.repaired)
        with pytest.raises(IndexDamaged):
            index.document(several(20)[7][0].source.id)
        assert len(index.sources()) == 20


def test_mend_of_a_whole_index_takes_nothing_out_and_makes_none_where_there_is_none(closed: Path) -> None:
    assert Index.mend(closed, **MAKER).repaired == ()
    with Index.open(closed, **MAKER, write=False) as index:
        assert len(index.sources()) == 20
    with pytest.raises(IndexMissing):
        Index.mend(closed.parent / "nowhere", **MAKER)
    with pytest.raises(IndexMismatch):
        Index.mend(closed, **(MAKER | {"rules": "other"}))


@pytest.mark.parametrize("what", ["a text", "a span", "a vector", "an owner"])
def test_a_document_damaged_while_open_is_never_quoted_and_can_be_put_again(closed: Path, what: str) -> None:
    (closed / "vectors-1-20.faiss").unlink()
    with Index.open(closed, **MAKER) as index:
        tamper(closed, DAMAGE[what])
        with pytest.raises(IndexDamaged):
            index.passages(range(1, len(index) + 1))
            index.dense(np.ones((1, DIM), np.float32), 3)
        for one in several(20):
            index.put(*one)
        assert index.check().ok
        assert [index.document(one[0].source.id) for one in several(20)] == [one[0] for one in several(20)]


@pytest.mark.parametrize("when", ["open", "closed"])
def test_a_damaged_inverted_index_is_made_again(closed: Path, when: str) -> None:
    statement = "UPDATE words_docsize SET sz = x'7f00' WHERE id < 9"
    if when == "closed":
        tamper(closed, statement)
    with Index.open(closed, **MAKER) as index:
        if when == "open":
            tamper(closed, statement)
        report = index.check()
        assert report.ok
        assert report.repaired == (("the inverted index was made again from the passages",) if when == "open" else ())
        ids = [id for id, _ in index.lexical("paper7", 9)]
        assert [p.source.title for p in index.passages(ids)] == ["d7"] * 4
    with Index.open(closed, **MAKER, write=False) as index:
        assert index.check().repaired == ()


def test_where_a_page_is_wrong_the_inverted_index_is_made_again_though_it_seems_to_hold(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading all words cannot see a bit that only a search for one of them meets (500 flips found such a one)."""
    with Index.open(closed, **MAKER) as index:
        before = index.lexical("paper7 passage", 99)
    monkeypatch.setattr(lexical, "holds", lambda *_: True)
    tamper(closed, "UPDATE words_docsize SET sz = x'7f00' WHERE id < 9")
    with Index.open(closed, **MAKER) as index:
        assert index.lexical("paper7 passage", 99) == before
        assert index.check().repaired == ()


def test_an_inverted_index_of_another_version_is_made_again_when_opened_for_writing(closed: Path) -> None:
    tamper(closed, "UPDATE meta SET words = '0/old'", "INSERT INTO words(words) VALUES ('delete-all')", seal=True)
    with Index.open(closed, **MAKER) as index:
        assert len(index.lexical("paper7", 9)) == 4
        assert index.check().repaired == ()


@pytest.mark.parametrize("bytes_", [None, b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\0" * 5000])
def test_a_lost_database_is_an_error_and_never_a_new_one(closed: Path, bytes_: bytes | None) -> None:
    (closed / "store.db").unlink()
    if bytes_ is not None:
        (closed / "store.db").write_bytes(bytes_)
    for write in (True, False):
        with pytest.raises(IndexDamaged):
            Index.open(closed, **MAKER, write=write)
    assert not (closed / "store.db").exists() or (closed / "store.db").read_bytes() == bytes_


CRASH = """
import os, sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_index import *
index = Index.open(Path({folder!r}), **MAKER)
for one in several(20): index.put(*one)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def crashed(folder: Path) -> Path:
    here = Path(__file__).parent
    code = CRASH.format(tests=str(here), root=str(here.parent), folder=str(folder))
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (folder / "store.db-wal").stat().st_size > 0
    return folder


def test_after_a_kill_everything_acknowledged_is_there(crashed: Path) -> None:
    for write in (False, True):
        with Index.open(crashed, **MAKER, write=write) as index:
            assert {row.source for row in index.sources()} == {one[0].source for one in several(20)}
            assert index.check().ok


def test_a_lost_log_is_seen(crashed: Path) -> None:
    (crashed / "store.db-wal").unlink()
    for write in (True, False):
        with pytest.raises(IndexDamaged, match=r"change 0, but change 20 was acknowledged"):
            Index.open(crashed, **MAKER, write=write)
    (crashed / "SEAL").unlink()  # the hint: go on with what is there
    with Index.open(crashed, **MAKER) as index:
        assert len(index) == 0


def test_a_flipped_bit_in_the_log_is_seen(crashed: Path) -> None:
    data = bytearray((crashed / "store.db-wal").read_bytes())
    data[len(data) // 2] ^= 16
    (crashed / "store.db-wal").write_bytes(data)
    with pytest.raises(IndexDamaged, match="change 20 was acknowledged"):
        Index.open(crashed, **MAKER)


def test_a_seal_that_cannot_be_read_costs_a_closer_look_and_nothing_else(closed: Path) -> None:
    for seal in (b"", b"garbage", b"\xff" * 85, (closed / "SEAL").read_bytes().replace(b"20 ", b"21 ", 1)):
        (closed / "SEAL").write_bytes(seal)
        with Index.open(closed, **MAKER) as index:
            assert index.check().ok


def test_making_an_index_that_was_interrupted_is_finished_by_the_next(closed: Path) -> None:
    (closed / "FORMAT").unlink()
    with pytest.raises(IndexMissing):
        Index.open(closed, **MAKER, write=False)
    with Index.open(closed, **MAKER) as index:
        assert len(index.sources()) == 20


def test_unfinished_files_are_swept_away_by_the_next_writer(closed: Path) -> None:
    (closed / "tmp-1234").write_bytes(b"half")
    (closed / "vectors-1-3.faiss").write_bytes(b"old")
    Index.open(closed, **MAKER).close()
    assert {p.name for p in closed.iterdir()} == {"FORMAT", "LOCK", "PAGES", "SEAL", "store.db", "vectors-1-20.faiss"}


def test_what_was_laid_by_and_does_not_hold_is_embedded_again(folder: Path) -> None:
    _, passages, vectors = made("a", ["one", "two", "three"])
    with Index.open(folder, **MAKER) as index:
        keys = [index.key(p) for p in passages]
        index.lay_by(dict(zip(keys, vectors, strict=True)))
        assert len(index.vectors_of(keys)) == 3
        first, second = (f"WHERE key = x'{key}'" for key in keys[:2])
        tamper(folder, f"UPDATE spare SET row = zeroblob(64) {first}", f"UPDATE spare SET hash = x'00' {second}")
        assert set(index.vectors_of(keys)) == {keys[2]}
