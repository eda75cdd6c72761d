"""An index of many passages, made small: rounded vectors in cells, filters that are remembered, few words scored."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_index import DIM, MAKER, made, several, spoil, tamper

from rag import lexical
from rag.errors import IndexDamaged, IndexError_
from rag.filters import Filter
from rag.index import Index, local, rows, snapshot
from rag.index.chosen import REMEMBERED, all_ids, ids_of
from rag.vectors import cells
from rag.vectors.cells import CellIndex
from rag.vectors.exact import ExactIndex
from rag.vectors.faiss import FaissIndex


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 60 passages on there are cells, of which a part is looked at."""
    monkeypatch.setattr(cells, "MANY", 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


def filled(folder: Path, n: int) -> None:
    with Index.open(folder, **MAKER) as index:
        for one in several(n):
            index.put(*one)


def test_two_threads_find_in_one_moment_what_one_finds(
    few_are_many: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each version of a document has six passages that hold the same word: both searches find all of one version."""
    monkeypatch.setattr(local, "BESIDE", 0)
    query, stop, wrong, searches = np.ones((1, DIM), np.float32), threading.Event(), [], []

    def look(index: Index) -> None:
        while not stop.is_set():
            with index.reading():
                (ids, _), words = index.both(query, "common", 1000)
                texts = [p.text for p in index.passages(ids[0].tolist())]
            versions = {tuple(text.split()[1:3]) for text in texts}
            searches.append(index.writable)
            if sorted(ids[0].tolist()) != sorted(id for id, _ in words) or len(texts) != 6 * len(versions):
                wrong.append((len(ids[0]), len(words), len(texts), versions))

    with Index.open(folder, **MAKER) as writer, Index.open(folder, **MAKER, write=False) as reader:
        for n in range(15):
            writer.put(*made(f"d{n}", [f"common d{n} v0 p{j}" for j in range(6)], n))
        threads = [threading.Thread(target=look, args=(index,)) for index in (writer, writer, reader, reader)]
        for thread in threads:
            thread.start()
        for n in range(60):
            writer.put(*made(f"d{n % 15}", [f"common d{n % 15} v{n} p{j}" for j in range(6)], n))
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert set(searches) == {True, False}


def test_a_search_that_fails_in_either_thread_says_so_and_the_next_one_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "BESIDE", 0)
    filled(folder, 12)
    query = np.ones((1, DIM), np.float32)

    def failing(*_: Any) -> Any:
        raise MemoryError("none left")

    with Index.open(folder, **MAKER) as index:
        for what, name in ((lexical, "search"), (index._store, "moment")):
            with monkeypatch.context() as broken, index.reading():
                broken.setattr(what, name, failing)
                with pytest.raises(MemoryError):
                    index.both(query, "paper3", 9)
        with pytest.raises(ValueError, match="row 0 is all zeros"):
            index.both(0 * query, "paper3", 9)
        assert len(index.both(query, "paper3", 9)[1]) == 4
    with pytest.raises(IndexError_, match="closed"):
        index.both(query, "paper3", 9)


def kind_of(index: Index) -> type:
    index.dense(np.ones((1, DIM), np.float32), 1)
    assert index._held is not None
    return type(index._held.vectors)


def test_the_kind_is_chosen_by_size_and_finds_what_brute_force_finds(few_are_many: None, folder: Path) -> None:
    filled(folder, 40)
    exact = ExactIndex(DIM)
    with Index.open(folder, **MAKER, write=False) as index:
        assert kind_of(index) is CellIndex
        for at, (_, passages, vectors) in enumerate(several(40)):
            exact.add(range(100 * at, 100 * at + len(passages)), vectors)
        queries = np.random.default_rng(5).standard_normal((7, DIM)).astype(np.float32)
        cosines = index.dense(queries, 10)[1]
        assert np.array_equal(cosines, exact.search(queries, 10)[1]), "exact cosines, though rounded in memory"
        some = tuple(one[0].source.id for one in several(40)[:9])
        found = index.passages(index.dense(queries, 100, Filter(sources=some))[0][0].tolist())
        assert {p.source.id for p in found} == set(some)


def test_an_index_that_grows_past_the_size_is_kept_in_cells_from_its_next_snapshot_on(
    few_are_many: None, folder: Path
) -> None:
    filled(folder, 20)
    with Index.open(folder, **MAKER) as index:
        assert kind_of(index) is FaissIndex
        for one in several(60)[20:]:
            index.put(*one)
        assert kind_of(index) is FaissIndex, "what is searched stays as it is"
        index.flush()
        assert kind_of(index) is CellIndex
        late = made("late", ["one more", "and one"])
        index.put(*late)
        assert index.passages(index.dense(late[2], 1)[0][:, 0].tolist()) == late[1]
        index.remove(late[0].source.id)
        assert index.dense(late[2], 1)[1].max() < 0.999
        assert index.check().ok
    with Index.open(folder, **MAKER) as index:
        assert kind_of(index) is CellIndex
        assert index.check().repaired == ()
        for one in several(60)[5:]:
            index.remove(one[0].source.id)
        index.flush()
        assert kind_of(index) is FaissIndex, "few are worth no cells"


@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "garbage"])
def test_a_bad_snapshot_of_cells_is_made_again_from_the_rows(few_are_many: None, folder: Path, how: str) -> None:
    filled(folder, 40)
    with Index.open(folder, **MAKER) as index:
        before = index.dense(several(40)[5][2], 20)
    spoil(how)(next(folder.glob("vectors-*.faiss")))
    with Index.open(folder, **MAKER) as index:
        after = index.dense(several(40)[5][2], 20)
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert index.check().repaired == ("the snapshot was made again from the rows",)
        assert index.check().repaired == ()


@pytest.mark.parametrize(
    "how", ["UPDATE vectors SET row = zeroblob(64) WHERE id = 9", "DELETE FROM vectors WHERE id = 9"]
)
def test_a_row_that_does_not_hold_is_never_ranked(few_are_many: None, folder: Path, how: str) -> None:
    filled(folder, 40)
    with Index.open(folder, **MAKER) as index:
        query = index.dense(several(40)[0][2][:1], 1)
        assert query[0].size == 1
        tamper(folder, how)
        with pytest.raises(IndexDamaged, match="vector"):
            index.dense(np.ones((1, DIM), np.float32), 100)


def test_all_ids_are_those_of_the_passages(folder: Path) -> None:
    filled(folder, 30)
    with Index.open(folder, **MAKER) as index:
        index.remove(several(30)[3][0].source.id)
        with index._store.reading() as con:
            wanted = [id for (id,) in con.execute("SELECT id FROM passages ORDER BY id")]
            assert all_ids(con).tolist() == wanted
            assert con.execute("SELECT max(id) FROM vectors").fetchone()[0] == wanted[-1]


def test_a_filter_is_worked_out_once_until_something_changes(folder: Path) -> None:
    with Index.open(folder, **MAKER) as index:
        for at, one in enumerate(several(12)):
            index.put(*one, collection=f"c{at % 3}")
        where = Filter(collections=("c1",))

        def asked(filter: Filter = where) -> Any:
            with index._store.reading() as con:
                return ids_of(con, filter)

        first = asked()
        assert asked() is first
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 1
        for name in range(REMEMBERED):
            asked(Filter(collections=(f"other {name}",)))
        assert asked() is not first, "only a few are remembered"
        count = len(asked())
        index.rename_collection("c2", "c1")  # which changes no passage, and so no sequence number
        assert len(asked()) > count
        index.remove(several(12)[1][0].source.id)
        with index._store.reading() as con:
            plain = sqlite3.connect(folder / "store.db")
            assert np.array_equal(ids_of(con, where), ids_of(plain, where))
            plain.close()
        assert rows.plain(b"c1") == "c1"


def test_half_as_many_as_are_worth_cells_are_few_and_four_times_as_many_want_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)

    def held(count: int, made_for: int) -> snapshot.Held:
        data = rng.standard_normal((count, 4)).astype(np.float32)
        index: Any = FaissIndex(4)
        if made_for:
            index = CellIndex.trained(4, lambda ids: data[ids], data, cells.cells_for(made_for))
        index.add(range(count), data)
        return snapshot.Held(0, count, index)

    monkeypatch.setattr(cells, "MANY", 1_000)
    cases = (
        (999, 0, False),
        (1_000, 0, True),
        (999, 1_000, False),
        (499, 1_000, True),
        (3_000, 1_500, False),
        (5_000, 1_500, True),
    )
    for count, made_for, wanted in cases:
        assert snapshot.outgrown(held(count, made_for)) is wanted, (count, made_for)


def test_a_large_index_is_asked_under_a_budget_and_its_filters_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical, "LARGE", 50)
    monkeypatch.setattr(lexical, "SCORED", 4)
    with Index.open(folder, **MAKER) as index:
        for at, one in enumerate(several(40)):
            index.put(*one, collection=f"c{at % 2}")
        ids = [id for id, _ in index.lexical("the passage on paper7", 4)]
        assert {p.source.title for p in index.passages(ids)} == {"d7"}, "the rarest word chooses"
        assert len(index.lexical("the passage on paper7", 100)) == len(index), "where it finds too few, all words do"
        where = Filter(collections=("c1",))
        found = index.passages([id for id, _ in index.lexical("the passage on paper7", 100, where)])
        assert {int(p.source.title[1:]) % 2 for p in found} == {1}
        assert len(found) == sum(len(one[1]) for one in several(40)[1::2])


def test_a_word_that_is_rare_in_the_whole_is_not_counted_under_a_filter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical, "MANY", 1)
    real, counted = lexical.frequency, []

    def counting(con: Any, term: str, among: Any = None) -> int:
        counted.append((term, among is None))
        return real(con, term, among)

    monkeypatch.setattr(lexical, "frequency", counting)
    with Index.open(folder, **MAKER) as index:
        for one in several(12):
            index.put(*one)
        where = Filter(sources=tuple(one[0].source.id for one in several(12)[4:]))
        assert len(index.lexical("passage paper7", 9, where)) == 4
        assert counted == [('"passage"', True), ('"passage"', False), ('"paper7"', True)]
        index.lexical("passage paper7", 9, where)
        assert counted[3:] == [('"passage"', False)], "what was counted in the whole is remembered"
