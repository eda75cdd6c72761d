"""Brute force in NumPy: every row is looked at, so it is right by construction, and the measure of every other one.

What a search sees is one immutable tuple, replaced whole: no search ever waits. New rows go into spare room behind the
rows that are already seen, so that adding n rows one by one costs O(n), not O(n^2).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from rag.vectors import Cosines, Ids, Vectors, rows


class ExactIndex:
    """All vectors in one array (n, dim)."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._change = threading.Lock()
        self._seen: tuple[Ids, Vectors] = (np.empty(0, np.int64), np.empty((0, dim), np.float32))
        self._room: tuple[Ids, Vectors] = self._seen

    def __len__(self) -> int:
        return len(self._seen[0])

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Store the rows, each under its id; an id that is there is replaced."""
        fresh = rows.unit(vectors, self.dim)
        names = rows.named(ids, len(fresh))
        with self._change:
            self._drop(names)
            self._append(names, fresh)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Forget these ids; unknown ones are passed over."""
        with self._change:
            self._drop(np.asarray(ids, np.int64).reshape(-1))

    def search(self, vectors: Vectors, k: int, among: Ids | None = None) -> tuple[Ids, Cosines]:
        """The k nearest of each query, best first, ties by id; with `among`, of these ids only."""
        queries, k = rows.unit(vectors, self.dim), rows.depth(k)
        ids, stored = self._seen
        if among is not None:
            allowed = np.isin(ids, among)
            ids, stored = ids[allowed], stored[allowed]
        return rows.stacked([self._nearest(query, ids, stored, k) for query in queries])

    def ids(self) -> Ids:
        """All ids, ascending."""
        return np.sort(self._seen[0])

    def rows(self, ids: Ids) -> Vectors:
        """The unit rows under these ids. Raises KeyError if one is unknown."""
        names, stored = self._seen
        place = {int(name): at for at, name in enumerate(names)}
        return stored[[place[int(name)] for name in ids]]

    def holds(self, ids: Ids, vectors: Vectors) -> bool:
        """True if under these ids lie these rows, at length 1."""
        try:
            return np.array_equal(self.rows(ids), rows.unit(vectors, self.dim))
        except KeyError:
            return False

    def write_to(self, file: BinaryIO) -> None:
        """Ids and rows in NumPy's own format."""
        np.savez(file, ids=self._seen[0], rows=self._seen[1])

    @staticmethod
    def read_from(file: BinaryIO, size: int, dim: int) -> ExactIndex:
        """What `write_to` wrote, `size` bytes. Raises ValueError if it is anything else."""
        try:
            with np.load(file, allow_pickle=False) as arrays:
                ids, stored = arrays["ids"], arrays["rows"]
        except Exception as error:
            raise ValueError(f"not a vector index of {size} bytes: {error}") from error
        index = ExactIndex(dim)
        index.add(ids, stored)
        return index

    @staticmethod
    def _nearest(query: Vectors, ids: Ids, stored: Vectors, k: int) -> tuple[Ids, Cosines]:
        if len(ids) > k:
            rough = stored @ query
            near = rough >= np.partition(rough, -k)[-k] - rows.SLACK
            ids, stored = ids[near], stored[near]
        return rows.best(query, ids, stored, k)

    def _drop(self, names: Ids) -> None:
        ids, stored = self._seen
        stay = ~np.isin(ids, names)
        if not stay.all():
            self._seen = self._room = (ids[stay], stored[stay])

    def _append(self, names: Ids, fresh: Vectors) -> None:
        start, end = len(self), len(self) + len(names)
        if end > len(self._room[0]):
            spare = max(end, 2 * start)
            room = (np.empty(spare, np.int64), np.empty((spare, self.dim), np.float32))
            room[0][:start], room[1][:start] = self._seen
            self._room = room
        self._room[0][start:end], self._room[1][start:end] = names, fresh
        self._seen = (self._room[0][:end], self._room[1][:end])
