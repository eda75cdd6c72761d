"""What one transaction does to the rows: put a document, take some out, note something of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.index import rows
from rag.index.rows import SourceRow
from rag.types import Document, Passage
from rag.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction did, for those who keep a copy: the number it has, the ids that came and went."""

    seq: int
    top: int
    added: range
    gone: tuple[range, ...]


def put(
    con: sqlite3.Connection,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    row: SourceRow,
    collection: str | None,
) -> Change:
    """Store a document in place of an earlier version of its source, whose collection it keeps if it is given none."""
    before = rows.meta(con)
    if collection is None and (found := rows.owner(con, document.source.id)) is not None:
        collection = rows.plain(con.execute("SELECT collection FROM documents WHERE id = ?", found[:1]).fetchone()[0])
    gone, lost = _take_out(con, before.seq + 1, [document.source.id])
    first = before.top + 1
    row = replace(row, collection=rows.DEFAULT if collection is None else collection)
    gained = rows.insert(con, document, passages, vectors, first, row)
    return _count(con, before, range(first, first + len(passages)), gone, gained - lost)


def remove(con: sqlite3.Connection, sources: Sequence[str]) -> Change:
    """Take these sources out; unknown ones are passed over."""
    before = rows.meta(con)
    gone, lost = _take_out(con, before.seq + 1, sources)
    return _count(con, before, range(0), gone, -lost)


def _take_out(con: sqlite3.Connection, seq: int, sources: Sequence[str]) -> tuple[tuple[range, ...], int]:
    """Delete the sources that are there: the ids that went, and their share of the content."""
    gone, lost = [], 0
    for source in sources:
        if (owner := rows.owner(con, source)) is not None:
            number, ids = owner
            lost += rows.delete(con, number, ids)
            con.execute("INSERT INTO gone VALUES (?, ?, ?)", (seq, ids.start, len(ids)))
            gone.append(ids)
    return tuple(gone), lost


def _count(con: sqlite3.Connection, before: rows.Meta, added: range, gone: tuple[range, ...], change: int) -> Change:
    """Write the next state of `meta`."""
    after = Change(before.seq + 1, before.top + len(added), added, gone)
    passages = before.passages + len(added) - sum(map(len, gone))
    content = rows.summed(before.content, change)
    con.execute(
        "UPDATE meta SET seq = ?, top = ?, passages = ?, content = ?", (after.seq, after.top, passages, content)
    )
    return after
