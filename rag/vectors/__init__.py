"""Vectors in, nearest ids out.

The contract first; then `exact.ExactIndex`, brute force in NumPy and the measure of every other one,
`faiss.FaissIndex`, the default, and `cells.CellIndex`, which takes its place when there are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Cosines = NDArray[np.float32]
Vectors = NDArray[np.float32]


class VectorIndex(Protocol):
    """Finds the stored vectors nearest to a query.

    Laws (tests/laws): cosines lie in [-1, 1], best first, ties by id; scaling the query changes nothing; adding an id
    again replaces it; k > n gives n; save and load change nothing; agrees with `exact.ExactIndex`, or, where it looks
    at some of the rows only, finds at least 98 of 100 of the nearest. Searching while another thread adds is safe.
    """

    dim: int

    def __len__(self) -> int:
        """How many vectors are stored."""
        ...

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Store float32 (len(ids), dim), each row under its id. Raises ValueError on a wrong shape, NaN, a zero row."""
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Forget these ids; unknown ones are passed over."""
        ...

    def search(self, vectors: Vectors, k: int, among: Ids | None = None) -> tuple[Ids, Cosines]:
        """The k nearest of each query: ids and cosines, each (queries, min(k, len(self))); with `among`, of these ids.

        Raises ValueError when k < 1, and for queries on a wrong shape, NaN or a zero row.
        """
        ...

    def ids(self) -> Ids:
        """All ids, ascending."""
        ...

    def holds(self, ids: Ids, vectors: Vectors) -> bool:
        """True if under these ids is stored what adding these vectors would store."""
        ...

    def write_to(self, file: BinaryIO) -> None:
        """The whole index, piece by piece, for a snapshot. Raises what writing to `file` raises."""
        ...
