"""The default: FAISS, flat inner product over unit rows, each under its own id.

Flat means that every row is looked at: exact, and quick enough for tens of thousands (50,000 rows: about 20 ms); more
of them are kept in `cells`. FAISS is not safe to change while it is searched, so searches share a lock and a change
takes it alone. FAISS nominates; `rows.best` has the last word on order, so that ties and last bits agree with
`exact.ExactIndex`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from rag.vectors import Cosines, Ids, Vectors, rows
from rag.vectors.shared import Shared

SPARE = 8
"""Candidates fetched beyond k, so that a tie at the k-th place is usually settled in one go."""


PIECE = 1 << 20
"""Bytes at a time from and to a file."""


class Kept:
    """What every index of FAISS does with the rows it keeps. `_index` takes unit rows under ids, `_lock` guards it."""

    def __init__(self, index: Any, dim: int) -> None:
        import faiss  # loads in 0.1 s: only who searches pays

        self.dim = dim
        self._faiss: Any = faiss
        self._index = index
        self._lock = Shared()
        self._top = int(self._names().max(initial=-1))  # an id above it needs no search for an older row to replace

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Store the rows, each under its id; an id that is there is replaced."""
        fresh = rows.unit(vectors, self.dim)
        names = rows.named(ids, len(fresh))
        if not len(names):
            return
        with self._lock.changing():
            if int(names.min()) <= self._top:
                self._index.remove_ids(names)
            self._index.add_with_ids(fresh, names)
            self._top = max(self._top, int(names.max()))
            self._changed()

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Forget these ids; unknown ones are passed over."""
        names = np.asarray(ids, np.int64).reshape(-1)
        if len(names):
            with self._lock.changing():
                self._index.remove_ids(names)
                self._changed()

    def ids(self) -> Ids:
        """All ids, ascending."""
        with self._lock.reading():
            return np.sort(self._names())

    def write_to(self, file: BinaryIO) -> None:
        """The whole index in FAISS's own format, a piece at a time: the vectors are never twice in memory."""
        with self._lock.reading():
            self._faiss.write_index(self._index, self._faiss.PyCallbackIOWriter(file.write, PIECE))

    def _names(self) -> Ids:
        """All ids, in the order of the rows."""
        raise NotImplementedError

    def _changed(self) -> None:
        """Rows came or went: what was worked out of them is stale."""


class FaissIndex(Kept):
    """`IndexIDMap2` over `IndexFlatIP`."""

    def __init__(self, dim: int, index: Any = None) -> None:
        """`index`: of FAISS, with rows; without, there are none yet."""
        import faiss

        super().__init__(faiss.IndexIDMap2(faiss.IndexFlatIP(dim)) if index is None else index, dim)

    def search(self, vectors: Vectors, k: int, among: Ids | None = None) -> tuple[Ids, Cosines]:
        """The k nearest of each query, best first, ties by id; with `among`, of these ids only."""
        queries, k = rows.unit(vectors, self.dim), rows.depth(k)
        # one query is one pass over memory: a second thread mostly waits (0.3 ms became 17 on a busy machine)
        self._faiss.omp_set_num_threads(1)
        with self._lock.reading():
            chosen = None if among is None else selector(self._faiss, among, self._top)
            return rows.stacked([self._nearest(query, k, chosen) for query in queries])

    def rows(self, ids: Ids) -> Vectors:
        """The unit rows under these ids. Raises KeyError if one is unknown."""
        with self._lock.reading():
            try:
                stored: Vectors = self._index.reconstruct_batch(np.asarray(ids, np.int64))
            except RuntimeError as error:
                raise KeyError(f"an unknown id among {len(ids)}") from error
        return stored

    def holds(self, ids: Ids, vectors: Vectors) -> bool:
        """True if under these ids lie these rows, at length 1."""
        try:
            return np.array_equal(self.rows(ids), rows.unit(vectors, self.dim))
        except KeyError:
            return False

    @staticmethod
    def read_from(file: BinaryIO, size: int, dim: int) -> FaissIndex:
        """What `write_to` wrote, `size` bytes. Raises ValueError if it is anything else."""
        return FaissIndex.of(loaded(file, size), dim)

    @staticmethod
    def of(read: Any, dim: int) -> FaissIndex:
        """What FAISS read, if it is such an index. Raises ValueError otherwise."""
        import faiss

        if not isinstance(read, faiss.IndexIDMap2) or read.d != dim or read.id_map.size() != read.ntotal:
            raise ValueError(f"not an index of {dim}-dimensional vectors with ids")
        return FaissIndex(dim, read)

    def _names(self) -> Ids:
        names: Ids = self._faiss.vector_to_array(self._index.id_map)
        return names

    def _nearest(self, query: Vectors, k: int, chosen: Any) -> tuple[Ids, Cosines]:
        wanted = min(k + SPARE, len(self))
        while True:
            ids, rough = self._candidates(query, wanted, chosen)
            settled = len(ids) <= k or rough[-1] < rough[k - 1] - rows.SLACK
            if settled or len(ids) < wanted or wanted == len(self):
                return rows.best(query, ids, self._index.reconstruct_batch(ids), k)
            wanted = min(4 * wanted, len(self))

    def _candidates(self, query: Vectors, wanted: int, chosen: Any) -> tuple[Ids, Cosines]:
        if not wanted:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        params = None if chosen is None else self._faiss.SearchParameters(sel=chosen)
        rough, ids = self._index.search(query[None], wanted, params=params)
        there = ids[0] >= 0  # FAISS pads with -1
        return ids[0][there], rough[0][there]


def loaded(file: BinaryIO, size: int) -> Any:
    """What FAISS wrote, `size` bytes, as FAISS reads it. Raises ValueError if it is nothing of that sort."""
    import faiss

    library: Any = faiss
    try:
        library.set_deserialization_vector_byte_limit(2 * size + 1024)  # a damaged length would ask for gigabytes
        return library.read_index(library.PyCallbackIOReader(file.read, PIECE))
    except Exception as error:
        raise ValueError(f"not a FAISS index: {str(error).splitlines()[0]}") from error


def selector(faiss: Any, among: Ids, top: int) -> Any:
    """Of the ids up to `top`, only those in `among`."""
    bits = np.zeros(top + 1, bool)
    bits[among[(among >= 0) & (among <= top)]] = True
    return faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
