"""Everything against what proves it: passages against documents, vectors against hashes, what is derived against rows.

What is derived (the inverted index, the snapshot) is made again at once. Passages and vectors are made again by `mend`,
which is told how, where the text of their document holds; a document that does not hold itself can only be taken out.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged, IndexError_
from rag.index import days, rows, snapshot
from rag.index.store import Store
from rag.types import Document, Passage
from rag.vectors import Vectors

Make = Callable[[Document], tuple[Sequence[Passage], Vectors]]
"""How a document is split, and its passages embedded: float32 (passages, dim), rows of length 1."""

WORDS, DAYS, SNAPSHOT = "the inverted index", "the days of messages", "the snapshot"


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
    days: list[days.Stretch] = field(default_factory=list)
    hurt: dict[int, str] = field(default_factory=dict)  # documents, with what is wrong
    texts: set[int] = field(default_factory=set)  # those of them whose own row holds
    problems: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)

    def hurts(self, number: int, error: Exception, uri: str = "") -> None:
        """Note what is wrong with a document."""
        what = error.message if isinstance(error, IndexDamaged) else str(error)
        self.hurt[number] = what if uri in what else f"{uri}: {what}"
        self.problems.append(self.hurt[number])


def check(store: Store) -> CheckReport:
    """Prove everything; where the index is open for writing, make again what can be made. Raises IndexError_."""
    start = time.perf_counter()
    with store.still(), store.examining():
        with store.reading() as con:
            found = _examine(con, store)
        if store.write and not found.problems and WORDS not in found.repairs and not store.sound():
            found.repairs.append(WORDS)  # a flipped bit may hide what a search for a word finds from who reads them all
        if store.write:
            repaired = tuple(_repair(store, what) for what in found.repairs)
            problems = tuple(found.problems)
        else:
            repaired = ()
            left = [*(f"{what} does not hold" for what in found.repairs), *([store.damage] if store.damage else [])]
            problems = (*found.problems, *left)
        if store.write and not problems:
            repaired += _resealed(store)
    return CheckReport(found.documents, found.passages, problems, repaired, time.perf_counter() - start)


def _resealed(store: Store) -> tuple[str, ...]:
    """Every row holds, so the pages are right as they are. Raises IndexError_."""
    before = store.damage
    try:
        store.seal_again()
    except OSError as error:
        raise IndexError_(f"no page hashes could be written: {error}", hint="free some space") from error
    return (f"all that it means holds, so its hash was made again: {before}",) if before else ()


def mend(store: Store, make: Make | None, taking_out: bool = True) -> CheckReport:
    """Make again what does not hold, take out what cannot be made again, then `check`; both are named in `repaired`.

    `make`: as in `opening`; None takes out all of it. Without `taking_out`, what would have to go stays as it is, and
    is a problem. Raises IndexDamaged, IndexError_.
    """
    start = time.perf_counter()
    with store.still(), store.examining():
        with store.reading() as con:
            found = _examine(con, store)
        again = {} if make is None else {n: what for n, what in found.hurt.items() if n in found.texts}
        gone = {n: what for n, what in found.hurt.items() if n not in again}
        if found.problems and (taking_out or again):
            hurt = [*again, *gone] if taking_out else list(again)
            store.change(lambda con: _mended(con, hurt, list(again), make), lambda _: None)
        report = check(store)
    done = [f"made again from its text: {what}" for what in again.values()]
    if taking_out:
        left = [what for what in found.problems if what not in again.values()]
        done += [f"taken out, to be added again: {what}" for what in left]
    return replace(report, repaired=(*done, *report.repaired), seconds=time.perf_counter() - start)


def _mended(con: sqlite3.Connection, hurt: list[int], again: list[int], make: Make | None) -> None:
    """Delete the documents that are hurt and whatever belongs to none; put those back that can be made `again`; count
    anew."""
    whole = [(stored.document, _noted(con, stored)) for stored in (rows.load(con, n) for n in again)]
    con.executemany("DELETE FROM documents WHERE id = ?", ((number,) for number in hurt))
    con.execute("""DELETE FROM passages WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = passages.document
                   AND passages.id >= d.first AND passages.id < d.first + d.passages)""")
    con.execute("DELETE FROM vectors WHERE id NOT IN (SELECT id FROM passages)")
    con.execute("DELETE FROM snapshot")
    lexical.clear(con)  # or it would not take in what it does not hold together for
    now = rows.meta(con)
    top = now.top
    for document, noted in whole:
        assert make is not None
        passages, vectors = make(document)
        rows.insert(con, document, passages, vectors, top + 1, replace(noted, passages=len(passages)))
        top += len(passages)
    rows.relist(con)
    total = 0
    for number, own in con.execute("SELECT id, hash FROM documents").fetchall():
        total += rows.share(own, (h for (h,) in con.execute("SELECT hash FROM passages WHERE document = ?", (number,))))
    count = con.execute("SELECT count(*) FROM passages").fetchone()[0]
    sql = "UPDATE meta SET seq = ?, floor = ?, top = ?, passages = ?, content = ?"
    con.execute(sql, (now.seq + 1, now.seq + 1, top, count, rows.summed(bytes(32), total)))


def _examine(con: sqlite3.Connection, store: Store) -> _Findings:
    found = _Findings()
    verdict = con.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        found.problems.append(f"SQLite: {verdict}")
    for number in rows.numbers(con):
        _document(con, number, found)
    now = rows.meta(con)
    strays = con.execute("SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM vectors)").fetchone()
    whole = strays == (now.passages, now.passages) and rows.summed(bytes(32), found.content) == now.content
    if not whole and not found.hurt:  # it follows from what is hurt
        found.problems.append(f"{now.passages} passages were stored, {strays[0]} and {strays[1]} vectors are there")
    if not found.problems:
        if now.words != lexical.VERSION or not lexical.holds(con, _words(con)):
            found.repairs.append(WORDS)
        if sorted(found.days) != con.execute("SELECT first, passages, day FROM days ORDER BY first").fetchall():
            found.repairs.append(DAYS)
        if not _snapshot_holds(con, store, now.dim):
            found.repairs.append(SNAPSHOT)
    return found


def _document(con: sqlite3.Connection, number: int, found: _Findings) -> None:
    """Prove one document with all its passages and vectors."""
    found.documents += 1
    try:
        stored = rows.load(con, number)
        _noted(con, stored)
    except (IndexDamaged, ValueError) as error:
        found.hurts(number, error)
        return
    try:
        passages = [rows.cut(con, stored, id) for id in stored.ids]
        found.passages += len(passages)
        dim = rows.meta(con).dim
        for _ in rows.vectors(con, dim, after=stored.ids.start - 1, until=stored.ids.stop - 1):
            pass
    except (IndexDamaged, ValueError) as error:
        found.hurts(number, error, stored.document.source.uri)
        found.texts.add(number)
        return
    found.days += days.of(stored.document, passages, stored.ids.start)
    own = con.execute("SELECT hash FROM documents WHERE id = ?", (number,)).fetchone()[0]
    hashes = con.execute("SELECT hash FROM passages WHERE document = ?", (number,))
    found.content += rows.share(own, (h for (h,) in hashes))


def _noted(con: sqlite3.Connection, stored: rows.Stored) -> rows.SourceRow:
    """What is noted of a document beside its text, proven. Raises IndexDamaged."""
    found = rows.source_rows(con, stored.document.source.id)
    if not found:
        raise rows.damaged(f"{stored.document.source.uri!r} is not found by its name")
    return found[0]


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
    if what != SNAPSHOT:
        store.change(rows.relist, lambda _: None)
        return f"{what} {'was' if what == WORDS else 'were'} made again from the passages"
    with store.reading() as con:
        held = snapshot.from_rows(con, store)
    snapshot.save(store, held)
    return f"{SNAPSHOT} was made again from the rows"
