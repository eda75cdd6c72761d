"""Which passages have a day of their own: those of a message in a mailbox. Any other has that of its document.

Derived from the marks of the documents, in the transaction of the passages, and made again from them at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby

from rag.types import Document, Passage

SCHEMA = """
CREATE TABLE days(first INTEGER PRIMARY KEY, passages INTEGER NOT NULL, document INTEGER NOT NULL, day BLOB NOT NULL);
"""
Stretch = tuple[int, int, bytes]
"""First passage id, number of passages, their day."""


def of(document: Document, passages: Sequence[Passage], first: int) -> list[Stretch]:
    """The stretches of passages, whose ids begin with `first`, that have another day than the document's own."""
    if not any(mark.date for mark in document.marks):
        return []
    found, at = [], first
    for day, some in groupby(document.day(p.span) for p in passages):
        count = len(list(some))
        if day != document.source.date:
            found.append((at, count, day.encode("ascii")))
        at += count
    return found


def add(con: sqlite3.Connection, number: int, stretches: Iterable[Stretch]) -> None:
    """Those of document `number`."""
    con.executemany("INSERT INTO days VALUES (?, ?, ?, ?)", ((f, n, number, day) for f, n, day in stretches))


def remove(con: sqlite3.Connection, ids: range) -> None:
    """Those of the document that these passages are of."""
    con.execute("DELETE FROM days WHERE first >= ? AND first < ?", (ids.start, ids.stop))


def there(con: sqlite3.Connection, number: int) -> list[Stretch]:
    """Those of document `number`, in order."""
    return con.execute("SELECT first, passages, day FROM days WHERE document = ? ORDER BY first", (number,)).fetchall()
