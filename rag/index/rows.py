"""How documents, passages and vectors lie in the database, and what proves that they still do.

    meta        one row: who made it (embedder, rules), the sequence number, the highest id ever given, the counts
    documents   source, text and marks of each document, the stretch of passage ids that it owns, and what filters ask
                for: collection, media type, date
    passages    id -> span, in code points of the document's text; the text is cut from it, never stored twice; `key`
                finds a passage that says the same
    vectors     id -> float32 row, little-endian
    days        which passages have a day of their own (rag/index/days.py), derived
    spare       vectors of a document that is not stored yet (rag/index/spare.py)
    gone        which ids went when, so that a snapshot can catch up
    snapshot    one row, once there is one: the file, what it holds, its sha256
    words       the inverted index (rag/lexical.py), derived

SQLite has no page checksums, so each row carries a hash of what it must mean. Strings are bytes here (UTF-8, surrogates
let through): whatever a document or a file name holds comes back as it was.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged
from rag.index import days, spare
from rag.types import Document, Mark, Passage, Source, Span
from rag.vectors import Vectors

DEFAULT = "default"
"""The collection of a document that was put into none."""

SCHEMA_VERSION = 4  # a change of it needs a step in rag/index/migrate.py
SCHEMA = f"""
CREATE TABLE meta(
  one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL, embedder TEXT NOT NULL, dim INTEGER NOT NULL,
  rules TEXT NOT NULL, words TEXT NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL, top INTEGER NOT NULL,
  passages INTEGER NOT NULL, floor INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE documents(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source BLOB UNIQUE NOT NULL, digest BLOB NOT NULL, stat BLOB NOT NULL,
  added REAL NOT NULL, dated BLOB NOT NULL, collection BLOB NOT NULL, media BLOB NOT NULL, first INTEGER NOT NULL,
  passages INTEGER NOT NULL, characters INTEGER NOT NULL, hash BLOB NOT NULL, note BLOB NOT NULL, about BLOB NOT NULL,
  marks BLOB NOT NULL, text BLOB NOT NULL);
CREATE INDEX facets ON documents(collection, media, dated, first, passages);
CREATE TABLE passages(
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
  key INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE INDEX keys ON passages(key);
CREATE TABLE vectors(id INTEGER PRIMARY KEY, row BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE gone(seq INTEGER NOT NULL, first INTEGER NOT NULL, passages INTEGER NOT NULL);
CREATE TABLE snapshot(
  one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, seq INTEGER NOT NULL, top INTEGER NOT NULL,
  passages INTEGER NOT NULL, sha256 TEXT NOT NULL);
{days.SCHEMA}
{spare.SCHEMA}
{lexical.SCHEMA}
"""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One document of the index, without its text. `characters`: code points; `added`: when it came into the index,
    Unix time in seconds; `dated`: the day that filters go by, 'YYYY-MM-DD'."""

    source: Source
    digest: str
    stat: str
    passages: int
    characters: int
    added: float
    dated: str
    collection: str = DEFAULT


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it lies in the database: its row id, the ids of its passages, and itself."""

    row: int
    ids: range
    document: Document


@dataclass(frozen=True, slots=True)
class Meta:
    """The one row of `meta`. `top`: highest passage id ever given; `floor`: `gone` is complete after this number."""

    schema: int
    embedder: str
    dim: int
    rules: str
    words: str
    generation: int
    seq: int
    top: int
    passages: int
    floor: int
    content: bytes


def meta(con: sqlite3.Connection) -> Meta:
    """What the database says of itself. Raises IndexDamaged if it does not say it."""
    names = ", ".join(field.name for field in fields(Meta))
    try:
        return Meta(*con.execute(f"SELECT {names} FROM meta").fetchone())
    except (sqlite3.DatabaseError, TypeError) as error:
        raise damaged(f"the database does not say who made it: {error}") from error


def raw(text: str) -> bytes:
    """A string as bytes, lone surrogates and all."""
    return text.encode("utf-8", "surrogatepass")


def plain(data: bytes) -> str:
    """What `raw` was given."""
    return data.decode("utf-8", "surrogatepass")


def digest_of(*fields: bytes | int) -> bytes:
    """16 bytes over the fields; each is preceded by its length, so that none can run into the next."""
    digest = blake2b(digest_size=16)
    for field in fields:
        data = str(field).encode("ascii") if isinstance(field, int) else field
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def text_key(passage: Passage) -> str:
    """Names what was embedded: equal text under an equal heading has an equal key, in any document."""
    return digest_of(raw(passage.text), raw(passage.heading)).hex()


def short_key(key: str) -> int:
    """The first 8 bytes of a `text_key`, as the number that `passages.key` holds."""
    return int.from_bytes(bytes.fromhex(key[:16]), "little", signed=True)


def vector_hash(id: int, row: bytes) -> bytes:
    """What a row of `vectors` must carry."""
    return digest_of(id, row)


def passage_hash(id: int, passage: Passage, vector: bytes) -> bytes:
    """What a row of `passages` must carry; `vector` is the hash of its vector's row."""
    where = digest_of(raw(passage.source.id), passage.span.start, passage.span.end)
    return digest_of(id, where, raw(passage.text), raw(passage.heading), vector)


def note_hash(row: SourceRow) -> bytes:
    """What a row of `documents` must carry for what is noted of it but is no part of its content."""
    noted = row.source.id, row.stat, row.collection, row.source.media_type, row.dated
    return digest_of(*map(raw, noted), repr(row.added).encode("ascii"), row.characters)


def damaged(what: str) -> IndexDamaged:
    """The error for anything in the database that is not what its hash says."""
    return IndexDamaged(what, hint="rag check")


def insert(
    con: sqlite3.Connection,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    first: int,
    row: SourceRow,
) -> int:
    """Write one document and its passages under the ids from `first`; returns its share of `meta.content`."""
    whole = (_about(document.source), _marks(document), raw(document.text))
    own = digest_of(raw(document.source.id), raw(row.digest), first, len(passages), *whole)
    sql = f"""INSERT INTO documents
              (source, digest, stat, added, dated, collection, media, first, passages, characters, hash, note, about,
               marks, text) VALUES ({", ".join("?" * 15)})"""
    source = raw(document.source.id), raw(row.digest), raw(row.stat), row.added, raw(row.dated)
    facets = raw(row.collection), raw(document.source.media_type)
    counts = first, len(passages), row.characters
    number = con.execute(sql, (*source, *facets, *counts, own, note_hash(row), *whole)).lastrowid
    assert number is not None
    hashes = insert_passages(con, number, passages, vectors, first)
    ids = range(first, first + len(passages))
    lexical.add(con, [(id, p.text, p.heading) for id, p in zip(ids, passages, strict=True)])
    days.add(con, number, days.of(document, passages, first))
    return share(own, hashes)


def insert_passages(
    con: sqlite3.Connection,
    number: int,
    passages: Sequence[Passage],
    vectors: Vectors,
    first: int,
    prefix: str = "",
) -> list[bytes]:
    """Write the passages of document `number`, with their vectors, under the ids from `first`; returns their hashes.

    `prefix`: of the tables, for a generation in the making.
    """
    blobs = [vector.astype("<f4").tobytes() for vector in vectors]
    ids = range(first, first + len(passages))
    seals = [vector_hash(id, blob) for id, blob in zip(ids, blobs, strict=True)]
    hashes = [passage_hash(id, p, seal) for id, p, seal in zip(ids, passages, seals, strict=True)]
    con.executemany(f"INSERT INTO {prefix}vectors VALUES (?, ?, ?)", zip(ids, blobs, seals, strict=True))
    spans = (
        (id, number, p.span.start, p.span.end, short_key(text_key(p)), h)
        for id, p, h in zip(ids, passages, hashes, strict=True)
    )
    con.executemany(f"INSERT INTO {prefix}passages VALUES (?, ?, ?, ?, ?, ?)", spans)
    return hashes


def renumber(con: sqlite3.Connection, number: int, first: int, count: int) -> int:
    """Give a document other passages, which are there already; returns its share of `meta.content`."""
    load(con, number)  # proven before its hash is made anew
    sql = "SELECT source, digest, about, marks, text FROM documents WHERE id = ?"
    source, digest, *whole = con.execute(sql, (number,)).fetchone()
    own = digest_of(source, digest, first, count, *whole)
    con.execute("UPDATE documents SET first = ?, passages = ?, hash = ? WHERE id = ?", (first, count, own, number))
    hashes = con.execute("SELECT hash FROM passages WHERE document = ? ORDER BY id", (number,))
    return share(own, (h for (h,) in hashes))


def share(document: bytes, passages: Iterable[bytes]) -> int:
    """What one document adds to `meta.content`: a sum of hashes, the same in whatever order documents came."""
    return sum((int.from_bytes(h, "little") for h in passages), int.from_bytes(document, "little"))


def summed(content: bytes, change: int) -> bytes:
    """`meta.content` after a change, 32 bytes."""
    return ((int.from_bytes(content, "little") + change) % 2**256).to_bytes(32, "little")


def delete(con: sqlite3.Connection, number: int, ids: range) -> int:
    """Take out one document; returns its share of `meta.content`. A damaged document can be taken out too."""
    own = con.execute("SELECT hash FROM documents WHERE id = ?", (number,)).fetchone()[0]
    hashes = [h for (h,) in con.execute("SELECT hash FROM passages WHERE document = ? ORDER BY id", (number,))]
    try:
        stored = load(con, number)
        words = [(id, p.text, p.heading) for id, p in ((id, cut(con, stored, id)) for id in ids)]
    except IndexDamaged:
        words = None
    con.execute("DELETE FROM vectors WHERE id >= ? AND id < ?", (ids.start, ids.stop))
    con.execute("DELETE FROM passages WHERE id >= ? AND id < ?", (ids.start, ids.stop))
    con.execute("DELETE FROM documents WHERE id = ?", (number,))
    days.remove(con, ids)
    if words is None:
        relist(con)
    else:
        lexical.remove(con, words)
    return share(own, hashes)


def relist(con: sqlite3.Connection) -> None:
    """Make what is derived, the inverted index and the days, again from all documents that hold."""
    lexical.clear(con)
    con.execute("DELETE FROM days")
    for number in numbers(con):
        try:
            stored = load(con, number)
            passages = [cut(con, stored, id) for id in stored.ids]
        except IndexDamaged:
            continue
        lexical.add(con, [(id, p.text, p.heading) for id, p in zip(stored.ids, passages, strict=True)])
        days.add(con, number, days.of(stored.document, passages, stored.ids.start))
    con.execute("UPDATE meta SET words = ?", (lexical.VERSION,))


def numbers(con: sqlite3.Connection) -> list[int]:
    """The row ids of all documents, ascending."""
    return [number for (number,) in con.execute("SELECT id FROM documents ORDER BY id")]


def owner(con: sqlite3.Connection, source_id: str) -> tuple[int, range] | None:
    """Row id and passage ids of a source, or None."""
    sql = "SELECT id, first, passages FROM documents WHERE source = ?"
    found = con.execute(sql, (raw(source_id),)).fetchone()
    return None if found is None else (found[0], range(found[1], found[1] + found[2]))


def load(con: sqlite3.Connection, number: int) -> Stored:
    """One document, proven against its hash. Raises KeyError if there is none, IndexDamaged if it does not hold."""
    sql = "SELECT source, digest, first, passages, hash, about, marks, text FROM documents WHERE id = ?"
    found = con.execute(sql, (number,)).fetchone()
    if found is None:
        raise KeyError(f"no document {number}")
    try:
        return _proven(number, *found)
    except (TypeError, ValueError) as error:  # a flipped bit can make a number of a text
        raise damaged(f"document {number} is not what was stored: {error}") from error


def _proven(
    number: int,
    source: bytes,
    digest: bytes,
    first: int,
    count: int,
    own: bytes,
    about: bytes,
    marks: bytes,
    text: bytes,
) -> Stored:
    if digest_of(source, digest, first, count, about, marks, text) != own:
        raise ValueError(f"the hash of {plain(source)} does not hold")
    at = Source(plain(source), *json.loads(plain(about)))
    document = Document(at, plain(text), tuple(Mark.of(*mark) for mark in json.loads(plain(marks))))
    return Stored(number, range(first, first + count), document)


def document_of(con: sqlite3.Connection, id: int) -> int:
    """The row id of the document that passage `id` was cut from. Raises KeyError if there is no such passage."""
    found = con.execute("SELECT document FROM passages WHERE id = ?", (id,)).fetchone()
    if found is None:
        raise KeyError(f"no passage {id}")
    number: int = found[0]
    return number


def alike(con: sqlite3.Connection, key: str) -> list[tuple[int, int]]:
    """(document, passage id) of passages that probably have this `text_key`, the newest first."""
    sql = "SELECT document, id FROM passages WHERE key = ? ORDER BY id DESC LIMIT 4"
    return con.execute(sql, (short_key(key),)).fetchall()


def cut(con: sqlite3.Connection, stored: Stored, id: int) -> Passage:
    """One passage of a document, cut from it and proven. Raises IndexDamaged."""
    sql = 'SELECT document, start, "end", key, p.hash, v.hash FROM passages p JOIN vectors v USING (id) WHERE p.id = ?'
    found = con.execute(sql, (id,)).fetchone()
    if found is None or found[0] != stored.row:
        raise damaged(f"passage {id} of {stored.document.source.uri!r} is missing")
    _, start, end, key, own, vector = found
    try:
        passage = Passage.cut(stored.document, Span(start, end))
        same = passage_hash(id, passage, vector) == own and short_key(text_key(passage)) == key
    except (TypeError, ValueError) as error:
        raise damaged(f"passage {id} of {stored.document.source.uri!r} leaves its document") from error
    if not same:
        raise damaged(f"passage {id} of {stored.document.source.uri!r} is not what was stored")
    return passage


def vectors(
    con: sqlite3.Connection, dim: int, after: int = -1, until: int = 2**62
) -> Iterator[tuple[list[int], Vectors]]:
    """All ids in (after, until] with their rows, proven, ascending, some thousand at a time. Raises IndexDamaged."""
    sql = "SELECT id, row, hash FROM vectors WHERE id > ? AND id <= ? ORDER BY id"
    cursor = con.execute(sql, (after, until))
    while found := cursor.fetchmany(4096):
        yield [id for id, _, _ in found], stacked(found, dim)


def stacked(found: Sequence[tuple[int, bytes, bytes]], dim: int) -> Vectors:
    """Rows of the table `vectors` as one array, each proven. Raises IndexDamaged."""
    for id, blob, own in found:
        if not isinstance(blob, bytes) or len(blob) != 4 * dim or vector_hash(id, blob) != own:
            raise damaged(f"the vector of passage {id} is not what was stored")
    return np.frombuffer(b"".join(blob for _, blob, _ in found), "<f4").reshape(-1, dim).astype(np.float32)


def source_rows(con: sqlite3.Connection, source_id: str | None = None) -> list[SourceRow]:
    """All documents, or the one of a source, without their texts, by uri. Raises IndexDamaged."""
    sql = (
        "SELECT source, stat, added, dated, collection, media, characters, note, digest, passages, about FROM documents"
    )
    if source_id is not None:
        found = con.execute(f"{sql} WHERE source = ?", (raw(source_id),)).fetchall()
    else:
        found = con.execute(sql).fetchall()
    try:
        return sorted((_source_row(*row) for row in found), key=lambda row: (row.source.uri, row.source.id))
    except (TypeError, ValueError) as error:
        raise damaged(f"the list of documents is not what was stored: {error}") from error


def _source_row(
    source: bytes,
    stat: bytes,
    added: float,
    dated: bytes,
    collection: bytes,
    media: bytes,
    characters: int,
    note: bytes,
    digest: bytes,
    passages: int,
    about: bytes,
) -> SourceRow:
    at = Source(plain(source), *json.loads(plain(about)))
    row = SourceRow(at, plain(digest), plain(stat), passages, characters, added, plain(dated), plain(collection))
    if note_hash(row) != note or raw(at.media_type) != media:
        raise ValueError(f"the note on {plain(source)} does not hold")
    return row


def note(con: sqlite3.Connection, row: SourceRow) -> None:
    """Note what a row now says of its source beside the content: stat, date, collection. Numbered like every change,
    so that its loss would be seen."""
    sql = "UPDATE documents SET stat = ?, dated = ?, collection = ?, note = ? WHERE source = ?"
    con.execute(sql, (raw(row.stat), raw(row.dated), raw(row.collection), note_hash(row), raw(row.source.id)))
    con.execute("UPDATE meta SET seq = seq + 1")


def _about(source: Source) -> bytes:
    return raw(json.dumps([source.uri, source.title, source.media_type, source.date], ensure_ascii=False))


def _marks(document: Document) -> bytes:
    return raw(json.dumps([m.flat() for m in document.marks], ensure_ascii=False))
