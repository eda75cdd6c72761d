"""For many vectors: FAISS again, but a byte a number instead of four, and only the cells near the query looked at.

    below MANY         `faiss.FaissIndex`: every row, exact
    from MANY on       as many cells as about the square root of the rows, each row in the cell of its nearest centre

The rows in memory are rounded, so they only nominate: a few times k candidates are fetched as they really are, from
whoever keeps them, and `rows.best` has the last word on cosine and order. What can be missed is a row whose cell was
not looked at (recall: `rag.evals.scale`). Of few rows under a filter none is missed: they are all fetched.

The centres come from an even sample of the rows, by k-means on the sphere with a fixed seed: same rows, same index.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from rag.vectors import Cosines, Ids, Vectors, rows
from rag.vectors.faiss import FaissIndex, Kept, loaded, selector

MANY = 50_000
"""Rows from which on there are cells: all of so many are looked at in 20 ms, exactly."""
SAMPLE = 40
"""Rows per cell that the centres are made from."""
ROUNDS = 8
LOOKED, LEAST = 0.4, 100_000
"""The share of the rows that is looked at for a question, and how many at least: as many cells as hold them."""
OVER = 32
"""Candidates fetched beyond twice k: rounding may put a row that many places too low."""
FEW = 512
"""So many rows under a filter are all candidates: fetching them takes about 5 ms."""

Fetch = Callable[[Ids], Vectors]
"""Ids in, the float32 rows (ids, dim) under them out, as they were given, in this order."""


def cells_for(count: int) -> int:
    """How many cells so many rows should have: a power of two about the root of their number; 0: none, all is exact.

    >>> [cells_for(n) for n in (49_999, 50_000, 200_000, 1_000_000)]
    [0, 256, 512, 1024]
    """
    return 0 if count < MANY else 1 << (count.bit_length() // 2)


class CellIndex(Kept):
    """`IndexIVFScalarQuantizer`, 8 bits a number, over unit rows. `fetch` gives the exact rows."""

    def __init__(self, index: Any, dim: int, fetch: Fetch) -> None:
        """`index`: of FAISS, with its centres. Use `trained`, or `read_from`."""
        super().__init__(index, dim)
        self._fetch = fetch  # must know what is added, from then on
        self._places: tuple[Ids, Ids, Ids] | None = None
        self._last: tuple[Ids | None, Any] = (None, None)

    @staticmethod
    def trained(dim: int, fetch: Fetch, sample: Vectors, cells: int) -> CellIndex:
        """Without rows yet. `sample`: rows to find the centres of `cells` cells in, at least one of each."""
        import faiss

        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dim), dim, cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        index.cp.spherical, index.cp.niter, index.cp.min_points_per_centroid = True, ROUNDS, 1
        index.train(rows.unit(sample, dim))
        return CellIndex(index, dim, fetch)

    @property
    def cells(self) -> int:
        """How many there are."""
        return int(self._index.nlist)

    def search(self, vectors: Vectors, k: int, among: Ids | None = None) -> tuple[Ids, Cosines]:
        """The k nearest of each query among what was looked at, best first, ties by id; exact cosines."""
        queries, k = rows.unit(vectors, self.dim), rows.depth(k)
        self._faiss.omp_set_num_threads(1)  # as in `FaissIndex`
        with self._lock.reading():
            chosen = None if among is None else self._chosen(among)
            count = len(self) if among is None else len(among)
            return rows.stacked([self._best(query, self._nominated(query, k, chosen, count), k) for query in queries])

    def holds(self, ids: Ids, vectors: Vectors) -> bool:
        """True if under these ids lies what these rows are rounded to."""
        wanted = self._index.sq.compute_codes(rows.unit(vectors, self.dim))
        with self._lock.reading():
            if self._places is None:
                self._places = self._placed()
            names, cells, places = self._places
            at = np.searchsorted(names, ids)
            if at.max(initial=0) >= len(names) or not np.array_equal(names[at], ids):
                return not len(ids)
            found = zip(cells[at].tolist(), places[at].tolist(), wanted, strict=True)
            return all(np.array_equal(self._codes(cell)[place], code) for cell, place, code in found)

    @staticmethod
    def read_from(file: BinaryIO, size: int, dim: int, fetch: Fetch) -> CellIndex:
        """What `write_to` wrote, `size` bytes. Raises ValueError if it is anything else."""
        index = read_from(file, size, dim, fetch)
        if not isinstance(index, CellIndex):
            raise ValueError("not an index with cells")
        return index

    def _chosen(self, among: Ids) -> Any:
        """What lets these ids pass; the last one is kept, because making it for a million takes as long as a search."""
        last, chosen = self._last
        if last is not among:
            chosen = selector(self._faiss, among, self._top)
            self._last = among, chosen
        return chosen

    def _nominated(self, query: Vectors, k: int, chosen: Any, count: int) -> Ids:
        """The ids to be compared exactly; all of the `count` there are if k is as many."""
        if not count or not len(self):
            return np.empty(0, np.int64)
        wanted = min(max(2 * k + OVER, FEW if count <= FEW else 0), count)
        looked = math.ceil(self.cells * max(LOOKED, LEAST / len(self)))
        while True:
            looked = min(looked, self.cells)
            params = self._faiss.SearchParametersIVF(nprobe=looked, sel=chosen)
            found = self._index.search(query[None], wanted, params=params)[1][0]
            ids: Ids = found[found >= 0]  # FAISS pads with -1
            if len(ids) == wanted or looked == self.cells:
                return ids
            looked *= 4

    def _best(self, query: Vectors, ids: Ids, k: int) -> tuple[Ids, Cosines]:
        return rows.best(query, ids, rows.unit(self._fetch(ids), self.dim), k)

    def _changed(self) -> None:
        self._places, self._last = None, (None, None)

    def _names(self) -> Ids:
        lists = self._index.invlists
        each = [self._faiss.rev_swig_ptr(lists.get_ids(c), lists.list_size(c)).copy() for c in range(self.cells)]
        names: Ids = np.concatenate(each)
        return names

    def _placed(self) -> tuple[Ids, Ids, Ids]:
        """All ids, ascending, with the cell of each and its place in there."""
        names = self._names()
        sizes = [self._index.invlists.list_size(cell) for cell in range(self.cells)]
        order = np.argsort(names)
        cells: Ids = np.repeat(np.arange(self.cells), sizes)
        places: Ids = np.concatenate([np.arange(size) for size in sizes])
        return names[order], cells[order], places[order]

    def _codes(self, cell: int) -> Any:
        lists, width = self._index.invlists, self._index.code_size
        size = lists.list_size(cell)
        return self._faiss.rev_swig_ptr(lists.get_codes(cell), size * width).reshape(size, width)


def read_from(file: BinaryIO, size: int, dim: int, fetch: Fetch) -> FaissIndex | CellIndex:
    """What `write_to` of either kind wrote, `size` bytes. Raises ValueError if it is anything else."""
    import faiss

    read = loaded(file, size)
    if not isinstance(read, faiss.IndexIVFScalarQuantizer):
        return FaissIndex.of(read, dim)
    if read.d != dim or read.by_residual or read.code_size != dim:
        raise ValueError(f"not an index of {dim}-dimensional vectors with ids")
    return CellIndex(read, dim, fetch)
