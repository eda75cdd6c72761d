"""Everything against what proves it: passages against documents, vectors against hashes, what is derived against rows.

Documents, passages and vectors cannot be made again here, so damage to them is told; the inverted index and the
snapshot can, so they are.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged
from rag.index import rows, snapshot
from rag.index.store import Store

WORDS, SNAPSHOT = "the inverted index", "the snapshot"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked at and found. `problems` stand after the check, `repaired` are gone."""

    documents: int
    passages: int
    problems: tuple[str, ...]
    repaired: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True if everything holds now."""
        return not self.problems


@dataclass(slots=True)
class _Findings:
    documents: int = 0
    passages: int = 0
    content: int = 0
    hurt: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)


def check(store: Store) -> CheckReport:
    """Prove everything; where the index is open for writing, make again what can be made. Raises IndexError_."""
    start = time.perf_counter()
    with store.still():
        with store.reading() as con:
            found = _examine(con, store)
        repaired = tuple(_repair(store, what) for what in found.repairs if store.write)
    left = () if store.write else tuple(f"{what} does not hold" for what in found.repairs)
    problems = (*found.problems, *left)
    return CheckReport(found.documents, found.passages, problems, repaired, time.perf_counter() - start)


def mend(store: Store) -> CheckReport:
    """Take out what does not hold, then `check`; what went is named in `repaired`. Raises IndexDamaged, IndexError_."""
    start = time.perf_counter()
    with store.still():
        with store.reading() as con:
            found = _examine(con, store)
        if found.problems:
            store.change(lambda con: _take_out(con, found.hurt), lambda _: None)
        report = check(store)
    taken = tuple(f"taken out, to be added again: {what}" for what in found.problems)
    return replace(report, repaired=(*taken, *report.repaired), seconds=time.perf_counter() - start)


def _take_out(con: sqlite3.Connection, hurt: list[int]) -> None:
    """Delete these documents and whatever belongs to none, and count anew what is left."""
    con.executemany("DELETE FROM documents WHERE id = ?", ((number,) for number in hurt))
    con.execute("""DELETE FROM passages WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = passages.document
                   AND passages.id >= d.first AND passages.id < d.first + d.passages)""")
    con.execute("DELETE FROM vectors WHERE id NOT IN (SELECT id FROM passages)")
    con.execute("DELETE FROM snapshot")
    rows.relist(con)
    total = 0
    for number, own in con.execute("SELECT id, hash FROM documents").fetchall():
        total += rows.share(own, (h for (h,) in con.execute("SELECT hash FROM passages WHERE document = ?", (number,))))
    now = rows.meta(con)
    count = con.execute("SELECT count(*) FROM passages").fetchone()[0]
    sql = "UPDATE meta SET seq = ?, floor = ?, passages = ?, content = ?"
    con.execute(sql, (now.seq + 1, now.seq + 1, count, rows.summed(bytes(32), total)))


def _examine(con: sqlite3.Connection, store: Store) -> _Findings:
    found = _Findings()
    verdict = con.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        found.problems.append(f"SQLite: {verdict}")
    for number in rows.numbers(con):
        _document(con, number, found)
    now = rows.meta(con)
    strays = con.execute("SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM vectors)").fetchone()
    if strays != (now.passages, now.passages) or rows.summed(bytes(32), found.content) != now.content:
        found.problems.append(f"{now.passages} passages were stored, {strays[0]} and {strays[1]} vectors are there")
    if not found.problems:
        if now.words != lexical.VERSION or not lexical.holds(con, _words(con)):
            found.repairs.append(WORDS)
        if not _snapshot_holds(con, store, now.dim):
            found.repairs.append(SNAPSHOT)
    return found


def _document(con: sqlite3.Connection, number: int, found: _Findings) -> None:
    """Prove one document with all its passages and vectors."""
    found.documents += 1
    try:
        stored = rows.load(con, number)
        rows.source_rows(con, stored.document.source.id)
        for id in stored.ids:
            rows.cut(con, stored, id)
            found.passages += 1
    except (IndexDamaged, ValueError) as error:
        found.problems.append(error.message if isinstance(error, IndexDamaged) else str(error))
        found.hurt.append(number)
        return
    dim = rows.meta(con).dim
    try:
        for _ in rows.vectors(con, dim, after=stored.ids.start - 1, until=stored.ids.stop - 1):
            pass
    except IndexDamaged as error:
        found.problems.append(f"{stored.document.source.uri}: {error.message}")
        found.hurt.append(number)
        return
    own = con.execute("SELECT hash FROM documents WHERE id = ?", (number,)).fetchone()[0]
    hashes = con.execute("SELECT hash FROM passages WHERE document = ?", (number,))
    found.content += rows.share(own, (h for (h,) in hashes))


def _words(con: sqlite3.Connection) -> Iterator[list[tuple[int, str, str]]]:
    for number in rows.numbers(con):
        stored = rows.load(con, number)
        passages = ((id, rows.cut(con, stored, id)) for id in stored.ids)
        yield [(id, p.text, p.heading) for id, p in passages]


def _snapshot_holds(con: sqlite3.Connection, store: Store, dim: int) -> bool:
    """True if there is none, or if it is readable and each of its rows is the one in the database."""
    if not snapshot.name_of(con):
        return True
    try:
        held = snapshot.read(con, store, dim)
        if not snapshot.catch_up(con, held):
            return False
        return all(held.vectors.holds(np.asarray(ids), vectors) for ids, vectors in rows.vectors(con, dim))
    except (OSError, ValueError):
        return False


def _repair(store: Store, what: str) -> str:
    """Make it again; returns what was done. Raises IndexError_ where the disk refuses."""
    if what == WORDS:
        store.change(rows.relist, lambda _: None)
        return f"{WORDS} was made again from the passages"
    with store.reading() as con:
        held = snapshot.from_rows(con, store)
    snapshot.save(store, held)
    return f"{SNAPSHOT} was made again from the rows"
