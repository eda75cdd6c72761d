"""What every vector index must agree on: which rows are welcome, what a cosine is, and who comes first on a tie.

Engines sum in different orders and so differ in the last bits, which is enough to swap two equal passages. Therefore an
engine only nominates; the final cosines are computed here, in one way, in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.vectors import Cosines, Ids, Vectors

SLACK = 1e-5
"""More than single-precision sums of unit rows can differ by; a candidate this near to the k-th must be looked at."""


def unit(vectors: Vectors, dim: int) -> Vectors:
    """The rows scaled to length 1, float32 (n, dim). Raises ValueError on a wrong shape, NaN, infinity, a zero row."""
    rows = np.asarray(vectors)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"vectors must have the shape (n, {dim}), got {rows.shape}")
    exact = rows.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(exact).all(axis=1)))} holds NaN or infinity")
    lengths = np.sqrt((exact * exact).sum(axis=1, keepdims=True))
    if not lengths.all():
        raise ValueError(f"row {int(np.argmin(lengths))} is all zeros and has no direction")
    scaled: Vectors = (exact / lengths).astype(np.float32)
    return scaled


def named(ids: Sequence[int] | Ids, count: int) -> Ids:
    """The ids as int64 (count,). Raises ValueError if they are not `count` different numbers of 0 or more."""
    names = np.asarray(ids, dtype=np.int64).reshape(-1)
    if len(names) != count:
        raise ValueError(f"{len(names)} ids for {count} vectors")
    if count and int(names.min()) < 0:
        raise ValueError(f"an id must be 0 or more, got {int(names.min())}")
    if len(np.unique(names)) != count:
        raise ValueError("the same id twice in one call")
    return names


def best(query: Vectors, ids: Ids, rows: Vectors, k: int) -> tuple[Ids, Cosines]:
    """The k nearest of these unit rows to one unit query (dim,): best first, ties by id; cosines in [-1, 1]."""
    exact = (rows.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    cosines = exact.clip(-1.0, 1.0).astype(np.float32)
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


def depth(k: int) -> int:
    """Raises ValueError unless k is at least 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return int(k)


def stacked(found: Sequence[tuple[Ids, Cosines]]) -> tuple[Ids, Cosines]:
    """One answer per query as two arrays (queries, k); no query gives (0, 0)."""
    if not found:
        return np.empty((0, 0), np.int64), np.empty((0, 0), np.float32)
    return np.stack([ids for ids, _ in found]), np.stack([cosines for _, cosines in found])
