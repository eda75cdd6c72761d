"""The laws of every VectorIndex, run over each of them; the oracle is a loop in pure Python."""

from __future__ import annotations

import io
import math
import resource
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.vectors import VectorIndex
from rag.vectors.exact import ExactIndex
from rag.vectors.faiss import FaissIndex

DIM = 8
KINDS: dict[str, Any] = {"exact": ExactIndex, "faiss": FaissIndex}
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
    assert np.array_equal(index.rows(index.ids()), again.rows(again.ids()))
    again.add([4], np.ones((1, DIM), np.float32))
    assert len(again) == len(index)


def test_an_empty_index_finds_nothing_and_no_query_asks_nothing(kind: Any) -> None:
    assert kind(DIM).search(np.ones((2, DIM), np.float32), 5)[0].shape == (2, 0)
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


def test_k_below_one_and_unknown_rows_are_refused(kind: Any) -> None:
    index = filled(kind, random_rows(3))
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(np.ones((1, DIM), np.float32), 0)
    with pytest.raises(KeyError):
        index.rows(np.array([1, 2]))


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
            if self.tell() > 4_000_000:
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
