"""The laws of every VectorIndex, run over each of them; the oracle is a loop in pure Python."""

from __future__ import annotations

import io
import math
import resource
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.vectors import VectorIndex, Vectors, cells
from rag.vectors.cells import CellIndex
from rag.vectors.exact import ExactIndex
from rag.vectors.faiss import FaissIndex

DIM = 8


class Cells(CellIndex):
    """Four cells, and beside them the exact rows, which elsewhere the database keeps: of the index that was made last.

    Of so few rows all are looked at, so that every law of the exact ones holds."""

    kept: ClassVar[dict[int, Any]] = {}

    def __init__(self, dim: int) -> None:
        sample = np.random.default_rng(0).standard_normal((64, dim)).astype(np.float32)
        super().__init__(CellIndex.trained(dim, self.fetch, sample, 4)._index, dim, self.fetch)
        Cells.kept = {}

    @staticmethod
    def fetch(ids: Any) -> Vectors:
        return np.stack([Cells.kept[id] for id in ids.tolist()]) if len(ids) else np.empty((0, DIM), np.float32)

    def add(self, ids: Any, vectors: Vectors) -> None:
        before = dict(Cells.kept)
        Cells.kept |= dict(zip(list(ids), np.atleast_1d(vectors), strict=False))
        try:
            super().add(ids, vectors)
        except ValueError:
            Cells.kept = before
            raise

    def remove(self, ids: Any) -> None:
        super().remove(ids)
        Cells.kept = {id: row for id, row in Cells.kept.items() if id not in set(ids)}

    @staticmethod
    def read_from(file: Any, size: int, dim: int) -> CellIndex:  # type: ignore[override]
        return CellIndex.read_from(file, size, dim, Cells.fetch)


KINDS: dict[str, Any] = {"exact": ExactIndex, "faiss": FaissIndex, "cells": Cells}
Rows = dict[int, list[float]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def filled(kind: Callable[[int], VectorIndex], rows: Rows) -> VectorIndex:
    index = kind(DIM)
    index.add(list(rows), np.array(list(rows.values()), np.float32).reshape(-1, DIM))
    return index


def written(index: VectorIndex) -> bytes:
    file = io.BytesIO()
    index.write_to(file)
    return file.getvalue()


def read(kind: Any, data: bytes, dim: int = DIM) -> Any:
    return kind.read_from(io.BytesIO(data), len(data), dim)


def by_hand(rows: Rows, query: list[float], k: int) -> list[tuple[int, float]]:
    """Cosines by the schoolbook, in Python's own numbers."""
    length = math.sqrt(sum(x * x for x in query))
    cosines = {
        id: sum(a * b for a, b in zip(row, query, strict=True)) / length / math.sqrt(sum(x * x for x in row))
        for id, row in rows.items()
    }
    return sorted(cosines.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def random_rows(n: int, seed: int = 0) -> Rows:
    data = np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)
    return {3 * i + 1: row.tolist() for i, row in enumerate(data)}


small = st.integers(-3, 3).map(float)
row = st.lists(small, min_size=DIM, max_size=DIM).filter(any)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(st.integers(0, 2**40), row, max_size=30),
    query=row,
    k=st.integers(1, 40),
)
def test_the_nearest_are_those_of_the_schoolbook(name: str, rows: Rows, query: list[float], k: int) -> None:
    ids, cosines = filled(KINDS[name], rows).search(np.array([query], np.float32), k)
    assert ids.shape == cosines.shape == (1, min(k, len(rows)))
    for (_, wanted), got in zip(by_hand(rows, query, k), cosines[0], strict=True):
        assert got == pytest.approx(wanted, abs=1e-6)
    true = dict(by_hand(rows, query, len(rows)))
    assert [true[int(i)] for i in ids[0]] == pytest.approx(cosines[0].tolist(), abs=1e-6)


def test_faiss_and_brute_force_give_the_same_ids_and_the_same_bits() -> None:
    rows = random_rows(500)
    queries = np.random.default_rng(1).standard_normal((20, DIM)).astype(np.float32)
    exact, fast = filled(ExactIndex, rows), filled(FaissIndex, rows)
    for k in (1, 7, 499, 500, 900):
        for a, b in zip(exact.search(queries, k), fast.search(queries, k), strict=True):
            assert np.array_equal(a, b)


def test_cosines_are_between_minus_one_and_one_and_best_comes_first(kind: Any) -> None:
    index = filled(kind, random_rows(200))
    _, cosines = index.search(np.array(list(random_rows(200).values()), np.float32), 200)
    assert cosines.max() == 1.0
    assert cosines.min() >= -1.0
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_of_equal_rows_the_lower_id_comes_first_at_the_edge_of_k_too(kind: Any) -> None:
    same = [1.0] * DIM
    rows = {id: [2.0] * DIM for id in range(1100, 1000, -1)} | dict.fromkeys((50, 7, 900, 3, 41, 12), same)
    ids, _ = filled(kind, rows).search(np.array([same], np.float32), 4)
    assert ids[0].tolist() == [3, 7, 12, 41]


@pytest.mark.parametrize("scale", [1e-30, 0.5, 3.0, 1e30])
def test_scaling_the_query_changes_nothing(kind: Any, scale: float) -> None:
    index = filled(kind, random_rows(50))
    query = np.array([[1, 2, -1, 0, 0, 3, 1, 1]], np.float32)
    plain, scaled = index.search(query, 10), index.search(query * np.float32(scale), 10)
    assert np.array_equal(plain[0], scaled[0])
    assert np.allclose(plain[1], scaled[1], atol=1e-6)


def test_adding_an_id_again_replaces_it(kind: Any) -> None:
    index = filled(kind, {5: [1.0] + [0.0] * 7, 6: [0.0, 1.0] + [0.0] * 6})
    index.add([5], np.array([[0, 0, 1, 0, 0, 0, 0, 0]], np.float32))
    assert len(index) == 2
    assert index.ids().tolist() == [5, 6]
    _, cosines = index.search(np.array([[1, 0, 0, 0, 0, 0, 0, 0]], np.float32), 2)
    assert cosines[0].tolist() == [0.0, 0.0]


def test_a_removed_id_is_never_found_and_unknown_ones_are_passed_over(kind: Any) -> None:
    rows = random_rows(40)
    index = filled(kind, rows)
    index.remove([1, 4, 99999])
    index.remove([])
    ids, _ = index.search(np.array([rows[1]], np.float32), 100)
    assert sorted(ids[0].tolist()) == sorted(set(rows) - {1, 4})


def test_among_looks_at_these_ids_only(kind: Any) -> None:
    rows = random_rows(60)
    index = filled(kind, rows)
    query = [1.0, 0, 0, 2.0, 0, 0, 0, 1.0]
    chosen = [id for id in rows if id % 2]
    ids, _ = index.search(np.array([query], np.float32), 10, np.array([*chosen, 10**9, 2]))
    assert ids[0].tolist() == [id for id, _ in by_hand({id: rows[id] for id in chosen}, query, 10)]
    assert index.search(np.array([query], np.float32), 10, np.empty(0, np.int64))[0].shape == (1, 0)


def test_save_and_load_change_nothing(kind: Any) -> None:
    rows = random_rows(80)
    index = filled(kind, rows)
    again = read(kind, written(index))
    queries = np.array(list(rows.values())[:5], np.float32)
    for a, b in zip(index.search(queries, 20), again.search(queries, 20), strict=True):
        assert np.array_equal(a, b)
    everything = np.array(list(rows.values()), np.float32)
    assert index.holds(index.ids(), everything)
    assert again.holds(again.ids(), everything)
    again.add([4], np.ones((1, DIM), np.float32))
    assert len(again) == len(index)


def test_an_index_holds_what_was_added_and_nothing_else(kind: Any) -> None:
    rows = random_rows(80)
    ids, everything = np.array(list(rows)), np.array(list(rows.values()), np.float32)
    index = filled(kind, rows)
    assert index.holds(ids, everything)
    assert index.holds(ids[[7, 3]], 4 * everything[[7, 3]])
    assert index.holds(ids[:0], everything[:0])
    other = everything.copy()
    other[40] = -other[40]
    assert not index.holds(ids, other)
    assert not index.holds(ids + 1, everything)
    assert not index.holds(np.array([ids[-1] + 1]), everything[-1:])
    index.remove([int(ids[40])])
    assert not index.holds(ids, everything)


def test_an_empty_index_finds_nothing_and_no_query_asks_nothing(kind: Any) -> None:
    assert kind(DIM).search(np.ones((2, DIM), np.float32), 5)[0].shape == (2, 0)
    assert kind(DIM).search(np.ones((2, DIM), np.float32), 5, np.array([3]))[0].shape == (2, 0)
    assert filled(kind, random_rows(3)).search(np.empty((0, DIM), np.float32), 5)[0].size == 0


BAD = {
    "wrong width": np.ones((1, DIM + 1), np.float32),
    "one row without its axis": np.ones(DIM, np.float32),
    "NaN": np.full((1, DIM), np.nan, np.float32),
    "infinity": np.full((1, DIM), np.inf, np.float32),
    "zero": np.zeros((1, DIM), np.float32),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_vector_is_refused_and_changes_nothing(kind: Any, bad: str) -> None:
    index = filled(kind, {1: [1.0] * DIM})
    with pytest.raises(ValueError, match=r"shape|NaN|zeros"):
        index.add([2], BAD[bad])
    with pytest.raises(ValueError, match=r"shape|NaN|zeros"):
        index.search(BAD[bad], 1)
    assert index.ids().tolist() == [1]


@pytest.mark.parametrize(("ids", "rows"), [([1, 1], 2), ([-1], 1), ([1, 2], 1)], ids=["twice", "negative", "too many"])
def test_ids_that_name_no_row_or_two_are_refused(kind: Any, ids: list[int], rows: int) -> None:
    with pytest.raises(ValueError, match=r"id"):
        kind(DIM).add(ids, np.ones((rows, DIM), np.float32))


def test_k_below_one_is_refused(kind: Any) -> None:
    index = filled(kind, random_rows(3))
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(np.ones((1, DIM), np.float32), 0)


def test_damaged_bytes_are_a_value_error_or_the_same_index(kind: Any) -> None:
    """FAISS has no checksum of its own, so some flips only change numbers: the snapshot's sha256 is for those."""
    data = written(filled(kind, random_rows(20)))
    for cut in (0, 1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="not a"):
            read(kind, data[:cut])
    with pytest.raises(ValueError, match=r"not a|shape"):
        read(kind, data, DIM + 1)


def test_a_declared_size_of_a_gigabyte_costs_no_memory() -> None:
    data = bytearray(written(filled(FaissIndex, random_rows(20))))
    huge = (2**28).to_bytes(8, "little")
    wanted = (20 * DIM).to_bytes(8, "little")  # how many numbers FAISS says will follow
    at = bytes(data).find(wanted)
    assert at > 0
    data[at : at + 8] = huge
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="not a FAISS index"):
        read(FaissIndex, bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_writing_costs_no_second_copy_and_a_disk_that_refuses_is_heard(kind: Any) -> None:
    class Full(io.BytesIO):
        most = 0

        def write(self, data: Any) -> int:
            self.most = max(self.most, len(data))
            if self.tell() > 2_000_000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    index = kind(384)
    index.add(range(8_000), np.random.default_rng(0).standard_normal((8_000, 384)).astype(np.float32))
    file = Full()
    with pytest.raises(OSError, match="No space"):
        index.write_to(file)
    assert kind is ExactIndex or file.most <= 2 << 20


def test_searching_while_another_thread_adds_and_removes_never_tears_a_row(kind: Any) -> None:
    """Row i is the axis i % DIM with id i: a cosine that is not 0 or 1, or a wrong id, is a torn row."""
    axes = np.eye(DIM, dtype=np.float32)
    index = kind(DIM)
    index.add(range(DIM), axes)
    stop, wrong = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            ids, cosines = index.search(axes[:2], 50)
            for query in (0, 1):
                hits = {int(i) % DIM for i, c in zip(ids[query], cosines[query], strict=True) if c > 0.5}
                if not set(np.unique(cosines[query]).tolist()) <= {0.0, 1.0} or hits != {query}:
                    wrong.append((ids, cosines))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for round in range(1, 150):
        ids = np.arange(round * 64, round * 64 + 64)
        index.add(ids, axes[ids % DIM])
        if round % 3 == 0:
            index.remove(ids[::2])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- many rows: what is looked at is a part ----------------------------------------------------------------------------


def clustered(n: int, dim: int = 24) -> Vectors:
    """Rows about 300 directions, as passages lie about topics."""
    rng = np.random.default_rng(3)
    topics = rng.standard_normal((300, dim))
    rows: Vectors = (topics[rng.integers(0, 300, n)] + 0.45 * rng.standard_normal((n, dim))).astype(np.float32)
    return rows


@pytest.fixture(scope="module")
def many() -> Vectors:
    return clustered(20_000)


@pytest.fixture
def parted(many: Vectors, monkeypatch: pytest.MonkeyPatch) -> CellIndex:
    monkeypatch.setattr(cells, "LEAST", 0)
    index = CellIndex.trained(many.shape[1], lambda ids: many[ids], many[::5], 128)
    index.add(range(len(many)), many)
    return index


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01])
def test_of_the_ten_nearest_98_in_100_are_found_though_a_part_of_the_cells_is_looked_at(
    parted: CellIndex, many: Vectors, share: float
) -> None:
    queries = clustered(100)[:, ::-1] + many[::200]
    among = np.flatnonzero(np.random.default_rng(4).random(len(many)) < share) if share < 1 else None
    exact = ExactIndex(many.shape[1])
    exact.add(range(len(many)), many)
    wanted, best = exact.search(queries, 10, among)
    ids, cosines = parted.search(queries, 10, among)
    found = [len(set(a) & set(b)) for a, b in zip(ids.tolist(), wanted.tolist(), strict=True)]
    assert sum(found) >= 0.98 * wanted.size
    assert (cosines <= best).all(), "no cosine is better than the exact ones, rounded or not"
    assert among is None or np.isin(ids, among).all()


def test_rounding_changes_no_cosine(parted: CellIndex, many: Vectors) -> None:
    ids, cosines = parted.search(many[:50], 5)
    assert cosines[:, 0] == pytest.approx(np.ones(50), abs=1e-6)
    unit = many / np.linalg.norm(many, axis=1, keepdims=True)
    assert np.allclose(cosines, np.einsum("qd,qkd->qk", unit[:50], unit[ids]), atol=1e-6)


def test_cells_give_as_many_as_are_asked_for_and_looking_goes_on_until_they_are_found(
    parted: CellIndex, many: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "LOOKED", 0.001)
    for k in (1, 5_000, 25_000):
        ids, _ = parted.search(many[:2], k)
        assert ids.shape == (2, min(k, len(many)))
        assert len(set(ids[0].tolist())) == min(k, len(many))
    few = np.array([5, 500, 19_999, 10**7])
    assert sorted(parted.search(many[:1], 9, few)[0][0].tolist()) == [5, 500, 19_999]


def test_the_same_rows_make_the_same_cells(many: Vectors) -> None:
    made = [CellIndex.trained(many.shape[1], lambda ids: many[ids], many[::5], 64) for _ in range(2)]
    for index in made:
        index.add(range(len(many)), many)
    assert written(made[0]) == written(made[1])


def test_either_kind_is_read_as_what_it_is_and_nothing_else_is() -> None:
    for kind, wanted in ((FaissIndex, FaissIndex), (Cells, CellIndex)):
        data = written(filled(kind, random_rows(20)))
        assert type(cells.read_from(io.BytesIO(data), len(data), DIM, Cells.fetch)) is wanted
        with pytest.raises(ValueError, match="not an index of 9"):
            cells.read_from(io.BytesIO(data), len(data), DIM + 1, Cells.fetch)
    with pytest.raises(ValueError, match="not a FAISS index"):
        cells.read_from(io.BytesIO(b"garbage"), 7, DIM, Cells.fetch)
    flat = written(filled(FaissIndex, random_rows(20)))
    with pytest.raises(ValueError, match="cells"):
        CellIndex.read_from(io.BytesIO(flat), len(flat), DIM, Cells.fetch)
