"""A filter in, passage ids out.

Every document owns one stretch of ids, so that a filter is a look at the documents, never at the passages. The index
`facets` answers it without touching a text. Only messages in a mailbox have days of their own, stretch by stretch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rag.filters import Filter
from rag.index import rows
from rag.vectors import Ids

REMEMBERED = 4  # filters of one connection: at a million passages each may take 8 MB


class Connection(sqlite3.Connection):
    """One that knows what the filters of its last searches let pass, for as long as nobody changes the database."""

    version: int = -1
    passed: dict[Filter, Ids]


def ids_of(con: sqlite3.Connection, where: Filter | None) -> Ids | None:
    """The passages of the documents that pass, ascending; unknown sources are passed over. None means all.

    A filter that is asked again gives the same array, which cannot be written to.
    """
    if where is None or where == Filter():
        return None
    if not isinstance(con, Connection):
        return _passing(con, where)
    version = con.execute("PRAGMA data_version").fetchone()[0]  # of this connection: any commit by another changes it
    if con.version != version:
        con.version, con.passed = version, {}
    if (known := con.passed.pop(where, None)) is None:
        known = _passing(con, where)
        known.setflags(write=False)
    con.passed[where] = known
    if len(con.passed) > REMEMBERED:
        del con.passed[next(iter(con.passed))]
    return known


def all_ids(con: sqlite3.Connection) -> Ids:
    """All passage ids, ascending."""
    return _spread(_stretches(con, Filter()))


def _passing(con: sqlite3.Connection, where: Filter) -> Ids:
    """Of documents; and where the filter is of days, of the stretches that have a day of their own."""
    whole = _spread(_stretches(con, where))
    if not (where.since or where.until) or con.execute("SELECT 1 FROM days LIMIT 1").fetchone() is None:
        return whole
    apart = _spread(con.execute("SELECT first, passages FROM days"))
    own: Ids = np.union1d(np.setdiff1d(whole, apart, True), _spread(_stretches(con, where, own=True)))
    return own


def _spread(stretches: Iterable[tuple[int, int]]) -> Ids:
    """The ids in these stretches, ascending."""
    both = np.fromiter((n for stretch in stretches for n in stretch), np.int64).reshape(-1, 2)
    firsts, counts = both[np.argsort(both[:, 0], kind="stable")].T
    before = np.cumsum(counts) - counts
    ids: Ids = np.repeat(firsts - before, counts) + np.arange(counts.sum(), dtype=np.int64)
    return ids


def _stretches(con: sqlite3.Connection, where: Filter, own: bool = False) -> Iterator[tuple[int, int]]:
    """First passage id and number of passages of each document that passes; with `own`, of each of `days`."""
    tests, values = _tests(where, "days.day" if own else "dated")
    of = "days" if own else "documents"
    joined = "days JOIN documents ON documents.id = days.document" if own else of
    sql = f"SELECT {of}.first, {of}.passages FROM {joined} WHERE"
    if where.sources is None:
        yield from con.execute(f"{sql} {' AND '.join(['TRUE', *tests])}", values)
        return
    sql = f"{sql} {' AND '.join(['source = ?', *tests])}"
    for source in dict.fromkeys(where.sources):
        yield from con.execute(sql, (rows.raw(source), *values))


def _tests(where: Filter, day: str) -> tuple[list[str], list[bytes]]:
    """The conditions but `sources` as SQL, with their values; `day`: the column to compare with days."""
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
        tests.append(f"{day} >= ?")
        values.append(rows.raw(where.since))
    if where.until:
        tests.append(f"{day} <= ?")
        values.append(rows.raw(where.until) + b"~")  # after every day of a month or a year that is meant whole
    return tests, values


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))


def _range(media: bytes) -> tuple[bytes, bytes]:
    """First and last of the media types that are meant."""
    return (media[:-1], media[:-1] + b"\xff") if media.endswith(b"*") else (media, media)
