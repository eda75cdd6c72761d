"""A filter in, passage ids out.

Every document owns one stretch of ids, so that a filter is a look at the documents, never at the passages. The index
`facets` answers it without touching a text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np

from rag.filters import Filter
from rag.index import rows
from rag.vectors import Ids


def ids_of(con: sqlite3.Connection, where: Filter | None) -> Ids | None:
    """The passages of the documents that pass, ascending; unknown sources are passed over. None means all."""
    if where is None or where == Filter():
        return None
    stretches = np.array(sorted(_stretches(con, where)), np.int64).reshape(-1, 2)
    firsts, counts = stretches[:, 0], stretches[:, 1]
    before = np.cumsum(counts) - counts
    ids: Ids = np.repeat(firsts - before, counts) + np.arange(counts.sum(), dtype=np.int64)
    return ids


def _stretches(con: sqlite3.Connection, where: Filter) -> Iterator[tuple[int, int]]:
    """First passage id and number of passages of each document that passes."""
    tests, values = _tests(where)
    if where.sources is None:
        yield from con.execute(f"SELECT first, passages FROM documents WHERE {' AND '.join(tests)}", values)
        return
    sql = f"SELECT first, passages FROM documents WHERE {' AND '.join(['source = ?', *tests])}"
    for source in dict.fromkeys(where.sources):
        yield from con.execute(sql, (rows.raw(source), *values))


def _tests(where: Filter) -> tuple[list[str], list[bytes]]:
    """The conditions but `sources` as SQL, with their values."""
    tests: list[str] = []
    values: list[bytes] = []
    if where.collections is not None:
        tests.append(f"collection IN ({_marks(where.collections)})")
        values += map(rows.raw, where.collections)
    if where.types is not None:
        ranges = [_range(rows.raw(name)) for name in where.types]
        tests.append("(" + (" OR ".join(["media BETWEEN ? AND ?"] * len(ranges)) or "FALSE") + ")")
        values += (end for pair in ranges for end in pair)
    if where.since:
        tests.append("dated >= ?")
        values.append(rows.raw(where.since))
    if where.until:
        tests.append("dated <= ?")
        values.append(rows.raw(where.until) + b"~")  # after every day of a month or a year that is meant whole
    return tests, values


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))


def _range(media: bytes) -> tuple[bytes, bytes]:
    """First and last of the media types that are meant."""
    return (media[:-1], media[:-1] + b"\xff") if media.endswith(b"*") else (media, media)
