"""A new embedder or new rules: the index made anew beside the old one, from its own texts, then swapped in one step.

    next_meta        one row, while a new generation is being made: for whom
    next_documents   which documents are done, and the passage ids they will own
    next_passages    as `passages` and `vectors` will be
    next_vectors

One document, one transaction, so that a kill costs one document. The old generation answers until the swap, and may
even be changed in between: a document that went is dropped, one that came is made. Ids begin again at 1, which nobody
can mistake, because an index that was open before the swap refuses to go on after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rag.index import rows
from rag.types import Document, Passage
from rag.vectors import Vectors

TABLES = ("next_meta", "next_documents", "next_passages", "next_vectors")
SCHEMA = """
CREATE TABLE next_meta(one INTEGER PRIMARY KEY CHECK (one = 1), embedder TEXT, dim INTEGER, rules TEXT);
CREATE TABLE next_documents(id INTEGER PRIMARY KEY, first INTEGER NOT NULL, passages INTEGER NOT NULL);
CREATE TABLE next_passages(
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
  key INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE next_vectors(id INTEGER PRIMARY KEY, row BLOB NOT NULL, hash BLOB NOT NULL)
"""


def begin(con: sqlite3.Connection, maker: tuple[str, int, str]) -> None:
    """Make room, or go on with what is there if it was begun for the same maker."""
    there = con.execute("SELECT 1 FROM sqlite_master WHERE name = 'next_meta'").fetchone()
    if there and con.execute("SELECT embedder, dim, rules FROM next_meta").fetchone() == tuple(maker):
        return
    for table in TABLES:
        con.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in SCHEMA.split(";"):
        con.execute(statement)
    con.execute("INSERT INTO next_meta VALUES (1, ?, ?, ?)", tuple(maker))


def missing(con: sqlite3.Connection) -> list[int]:
    """The row ids of the documents that are not done yet, ascending."""
    sql = "SELECT id FROM documents WHERE id NOT IN (SELECT id FROM next_documents) ORDER BY id"
    return [number for (number,) in con.execute(sql)]


def add(
    con: sqlite3.Connection, number: int, document: Document, passages: Sequence[Passage], vectors: Vectors
) -> None:
    """One document of the new generation."""
    sql = "SELECT coalesce(max(first + passages), 1) FROM next_documents"
    first = con.execute(sql).fetchone()[0]
    con.execute("INSERT INTO next_documents VALUES (?, ?, ?)", (number, first, len(passages)))
    rows.insert_passages(con, number, passages, vectors, first, "next_")


def swap(con: sqlite3.Connection) -> None:
    """The new generation takes the place of the old one, which is gone. Raises IndexDamaged if a text does not hold."""
    maker = con.execute("SELECT embedder, dim, rules FROM next_meta").fetchone()
    for name in ("passages", "vectors"):
        con.execute(f"DROP TABLE {name}")
        con.execute(f"ALTER TABLE next_{name} RENAME TO {name}")
    con.execute("""DELETE FROM vectors WHERE id IN
                   (SELECT id FROM passages WHERE document NOT IN (SELECT id FROM documents))""")
    con.execute("DELETE FROM passages WHERE document NOT IN (SELECT id FROM documents)")
    con.execute("CREATE INDEX keys ON passages(key)")
    content = 0
    sql = "SELECT n.id, n.first, n.passages FROM next_documents n JOIN documents USING (id)"
    for number, first, count in con.execute(sql).fetchall():
        content += rows.renumber(con, number, first, count)
    con.execute("DELETE FROM gone")
    con.execute("DELETE FROM spare")
    con.execute("DELETE FROM snapshot")
    now = rows.meta(con)
    top = con.execute("SELECT coalesce(max(id), 0) FROM passages").fetchone()[0]
    passages = con.execute("SELECT count(*) FROM passages").fetchone()[0]
    values = (*maker, now.generation + 1, now.seq + 1, top, passages, now.seq + 1, rows.summed(bytes(32), content))
    con.execute(
        """UPDATE meta SET embedder = ?, dim = ?, rules = ?, generation = ?, seq = ?, top = ?, passages = ?, floor = ?,
           content = ?""",
        values,
    )
    for table in ("next_meta", "next_documents"):
        con.execute(f"DROP TABLE {table}")
    rows.relist(con)
