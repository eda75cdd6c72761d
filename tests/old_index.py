"""Indexes as earlier versions of the package left them: their tables word for word, rows with the hashes of then."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rag import lexical
from rag.types import Document, Passage

SCHEMA_2 = """
CREATE TABLE meta(
  one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL, embedder TEXT NOT NULL, dim INTEGER NOT NULL,
  rules TEXT NOT NULL, words TEXT NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL, top INTEGER NOT NULL,
  passages INTEGER NOT NULL, floor INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE documents(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source BLOB UNIQUE NOT NULL, digest BLOB NOT NULL, stat BLOB NOT NULL,
  added REAL NOT NULL, first INTEGER NOT NULL, passages INTEGER NOT NULL, characters INTEGER NOT NULL,
  hash BLOB NOT NULL, note BLOB NOT NULL, about BLOB NOT NULL, marks BLOB NOT NULL, text BLOB NOT NULL);
CREATE TABLE passages(
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
  hash BLOB NOT NULL);
CREATE TABLE vectors(id INTEGER PRIMARY KEY, row BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE gone(seq INTEGER NOT NULL, first INTEGER NOT NULL, passages INTEGER NOT NULL);
CREATE TABLE snapshot(
  one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, seq INTEGER NOT NULL, top INTEGER NOT NULL,
  passages INTEGER NOT NULL, sha256 TEXT NOT NULL);

CREATE VIRTUAL TABLE words USING fts5(text, heading, content='', tokenize="porter unicode61 remove_diacritics 2");
"""


def digest_of(*fields: bytes | int) -> bytes:
    digest = blake2b(digest_size=16)
    for field in fields:
        data = str(field).encode("ascii") if isinstance(field, int) else field
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def make_schema_2(
    folder: Path, maker: dict[str, Any], work: list[tuple[Document, list[Passage], Any]], digest: str = "digest"
) -> None:
    """An index of schema 2, closed in order, without a snapshot; document 3 was deleted, so that its number is free.

    `digest` may name the {title} of its document. The stat of document n is n days after the epoch, at noon.
    """
    folder.mkdir(parents=True)
    con = sqlite3.connect(folder / "store.db", isolation_level=None)
    con.execute("PRAGMA page_size=8192")
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("BEGIN")
    for statement in SCHEMA_2.split(";"):
        con.execute(statement)
    top, content = 0, 0
    for n, (document, passages, vectors) in enumerate(work, start=1):
        content += _put_2(con, n, document, passages, vectors, top + 1, raw(digest.format(title=document.source.title)))
        top += len(passages)
    if len(work) > 2:
        con.execute("INSERT INTO documents SELECT 999, x'00', digest, stat, added, first, passages, characters, hash,"
                    " note, about, marks, text FROM documents WHERE id = 1")  # fmt: skip
        con.execute("DELETE FROM documents WHERE id = 999")
    row = (1, 2, maker["embedder"], maker["dim"], maker["rules"], lexical.VERSION, 1, len(work), top, top, 0)
    total = (content % 2**256).to_bytes(32, "little")
    con.execute(f"INSERT INTO meta VALUES ({', '.join('?' * 12)})", (*row, total))
    con.execute("COMMIT")
    con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = f"{len(work):012d} {hashlib.sha256(con.serialize()).hexdigest()}"
    con.close()
    (folder / "SEAL").write_text(f"{body} {hashlib.sha256(body.encode()).hexdigest()[:6]}\n")
    (folder / "FORMAT").write_text("rag index 1\n")


def _put_2(
    con: sqlite3.Connection,
    n: int,
    document: Document,
    passages: list[Passage],
    vectors: Any,
    first: int,
    digest: bytes,
) -> int:
    source, marks = document.source, [[m.span.start, m.span.end, m.kind, m.label, m.level] for m in document.marks]
    about = raw(json.dumps([source.uri, source.title, source.media_type], ensure_ascii=False))
    whole = (about, raw(json.dumps(marks, ensure_ascii=False)), raw(document.text))
    own = digest_of(raw(source.id), digest, first, len(passages), *whole)
    stat, added = raw(f"{(n * 86_400 + 43_200) * 10**9}:77"), 1e9 + n
    note = digest_of(raw(source.id), stat, repr(added).encode(), len(document.text))
    con.execute(
        f"INSERT INTO documents VALUES ({', '.join('?' * 13)})",
        (n, raw(source.id), digest, stat, added, first, len(passages), len(document.text), own, note, *whole),
    )
    hashes = []
    for id, (passage, vector) in enumerate(zip(passages, vectors, strict=True), start=first):
        blob = vector.astype("<f4").tobytes()
        where = digest_of(raw(source.id), passage.span.start, passage.span.end)
        seal = digest_of(id, blob)
        hashes.append(digest_of(id, where, raw(passage.text), raw(passage.heading), seal))
        con.execute("INSERT INTO vectors VALUES (?, ?, ?)", (id, blob, seal))
        con.execute(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?)", (id, n, passage.span.start, passage.span.end, hashes[-1])
        )
        lexical.add(con, [(id, passage.text, passage.heading)])
    return sum(int.from_bytes(h, "little") for h in (own, *hashes))
