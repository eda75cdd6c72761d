"""From an older schema to the present one, a numbered step at a time, all in one transaction.

A step knows only the schema it starts from and the one it makes: what `rows` says today does not concern it. It never
judges: what does not hold before it does not hold after it, so that `check` finds the same damage on either side.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from itertools import groupby

from rag.errors import IndexMismatch
from rag.index.rows import SCHEMA_VERSION, digest_of, plain, raw
from rag.types import Document, Mark, Source, Span

_DAY = re.compile(r", (\d{4}-\d\d-\d\d)$")  # at the end of what a message's mark says


def migrate(con: sqlite3.Connection) -> None:
    """Bring the database to the present schema, within the transaction that is open. Raises IndexMismatch."""
    schema = con.execute("SELECT schema FROM meta").fetchone()[0]
    while schema < SCHEMA_VERSION:
        if schema not in STEPS:  # schema 1 was never released
            raise IndexMismatch(f"the index has schema {schema}, which nothing knows any more", "delete it, add again")
        STEPS[schema](con)
        schema += 1
        con.execute("UPDATE meta SET schema = ?", (schema,))


def _to_3(con: sqlite3.Connection) -> None:
    """Collections, dates and media types to filter by; keys that find a passage which says the same."""
    last = con.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").fetchone()
    for statement in (
        "ALTER TABLE documents RENAME TO documents_2",
        "ALTER TABLE passages RENAME TO passages_2",
        """CREATE TABLE documents(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source BLOB UNIQUE NOT NULL, digest BLOB NOT NULL, stat BLOB NOT NULL,
  added REAL NOT NULL, dated BLOB NOT NULL, collection BLOB NOT NULL, media BLOB NOT NULL, first INTEGER NOT NULL,
  passages INTEGER NOT NULL, characters INTEGER NOT NULL, hash BLOB NOT NULL, note BLOB NOT NULL, about BLOB NOT NULL,
  marks BLOB NOT NULL, text BLOB NOT NULL)""",
        "CREATE INDEX facets ON documents(collection, media, dated, first, passages)",
        """CREATE TABLE passages(
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
  key INTEGER NOT NULL, hash BLOB NOT NULL)""",
        """INSERT INTO documents SELECT id, source, digest, stat, added, x'', CAST('default' AS BLOB), x'', first,
             passages, characters, hash, note, about, marks, text FROM documents_2""",
        'INSERT INTO passages SELECT id, document, start, "end", 0, hash FROM passages_2',
        "DROP TABLE documents_2",
        "DROP TABLE passages_2",
    ):
        con.execute(statement)
    if last is not None:  # the numbers of deleted documents must not come again
        con.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'documents'", last)
    for (number,) in con.execute("SELECT id FROM documents ORDER BY id").fetchall():
        with suppress(TypeError, ValueError, AttributeError, OverflowError, OSError):  # damage stays damage
            _note_3(con, number)
            _keys_3(con, number)
    con.execute("CREATE INDEX keys ON passages(key)")


def _note_3(con: sqlite3.Connection, number: int) -> None:
    sql = "SELECT source, stat, added, characters, note, about FROM documents WHERE id = ?"
    source, stat, added, characters, note, about = con.execute(sql, (number,)).fetchone()
    held = digest_of(source, stat, repr(added).encode("ascii"), characters) == note
    media, *day = json.loads(plain(about))[2:]
    dated = raw(day[0] if day and day[0] else _day_of(plain(stat), added))
    note = digest_of(source, stat, b"default", raw(media), dated, repr(added).encode("ascii"), characters)
    sql = "UPDATE documents SET dated = ?, media = ?, note = ? WHERE id = ?"
    con.execute(sql, (dated, raw(media), note if held else b"", number))


def _day_of(stat: str, added: float) -> str:
    """When the file was last changed, of which schema 2 knew only 'nanoseconds:bytes'."""
    nanoseconds = stat.partition(":")[0]
    return date.fromtimestamp(int(nanoseconds) / 1e9 if nanoseconds.isdecimal() else added).isoformat()


def _keys_3(con: sqlite3.Connection, number: int) -> None:
    marks, text = con.execute("SELECT marks, text FROM documents WHERE id = ?", (number,)).fetchone()
    whole = plain(text)
    headings = [Mark(Span(m[0], m[1]), m[2], m[3], m[4]) for m in json.loads(plain(marks))]
    document = Document(Source("", "", ""), whole, tuple(headings))
    found = con.execute('SELECT id, start, "end" FROM passages WHERE document = ?', (number,)).fetchall()
    for id, start, end in found:
        span = Span(start, end)
        key = digest_of(raw(span.of(whole)), raw(document.heading(span)))[:8]
        con.execute("UPDATE passages SET key = ? WHERE id = ?", (int.from_bytes(key, "little", signed=True), id))


def _to_4(con: sqlite3.Connection) -> None:
    """Each message of a mailbox gets its own day, which its mark had in words only; large documents that were begun."""
    con.execute("CREATE TABLE spare(key BLOB PRIMARY KEY, row BLOB NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID")
    columns = "first INTEGER PRIMARY KEY, passages INTEGER NOT NULL, document INTEGER NOT NULL, day BLOB NOT NULL"
    con.execute(f"CREATE TABLE days({columns})")
    change, sql = 0, "SELECT id FROM documents WHERE media IN (?, ?)"
    for (number,) in con.execute(sql, (b"application/mbox", b"message/rfc822")).fetchall():
        with suppress(TypeError, ValueError, AttributeError, KeyError):  # damage stays damage
            change += _days_4(con, number)
    content = int.from_bytes(con.execute("SELECT content FROM meta").fetchone()[0], "little") + change
    con.execute("UPDATE meta SET content = ?", ((content % 2**256).to_bytes(32, "little"),))


def _days_4(con: sqlite3.Connection, number: int) -> int:
    """Date the marks of one document, and note the days of its passages; what this adds to the content."""
    sql = "SELECT source, digest, first, passages, hash, about, marks, text FROM documents WHERE id = ?"
    source, digest, first, count, own, about, marks, text = con.execute(sql, (number,)).fetchone()
    if digest_of(source, digest, first, count, about, marks, text) != own:
        return 0
    dated = [[*mark, *_DAY.findall(mark[3])] if mark[2] == "message" else mark for mark in json.loads(plain(marks))]
    day = json.loads(plain(about))[3]
    document = Document(Source("", "", "", "", day), "", tuple(Mark.of(*mark) for mark in dated))
    found = con.execute('SELECT id, start, "end" FROM passages WHERE document = ? ORDER BY id', (number,)).fetchall()
    for its, some in groupby(found, lambda row: document.day(Span(row[1], row[2]))):
        if its != day:
            ids = [id for id, _, _ in some]
            con.execute("INSERT INTO days VALUES (?, ?, ?, ?)", (ids[0], len(ids), number, raw(its)))
    marks = raw(json.dumps(dated, ensure_ascii=False))
    new = digest_of(source, digest, first, count, about, marks, text)
    con.execute("UPDATE documents SET marks = ?, hash = ? WHERE id = ?", (marks, new, number))
    return int.from_bytes(new, "little") - int.from_bytes(own, "little")


STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {2: _to_3, 3: _to_4}
"""What brings a database from this schema to the next."""
