"""A document into the collections, out of them again, and whole from its pieces.

First a row that says that it is begun, then text and passages, and last the row that makes it count: whatever is cut
short leaves rows that nobody finds and that are swept later. What a row is called follows from what it says, so that
sending it again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged, IndexError_
from rag.index import rows
from rag.index.milvus.engine import BATCH, BYTES, Engine, Row
from rag.index.milvus.texts import TOGETHER, joined, pieces
from rag.index.milvus.view import BEGUN, GONE, LIVE, Entry, View
from rag.index.milvus.words import sent
from rag.index.rows import SourceRow, digest_of, raw
from rag.types import Document, Passage, Span
from rag.vectors import Vectors

GRACE_S = 60.0  # what went can be fetched by who found it before, for so long


@dataclass(frozen=True, slots=True)
class Shelf:
    """The collections of one generation."""

    engine: Engine
    generation: int
    ranked: bool = True  # by their words, by the server

    @property
    def documents(self) -> str:
        return f"documents_{self.generation}"

    @property
    def texts(self) -> str:
        return f"texts_{self.generation}"

    @property
    def passages(self) -> str:
        return f"passages_{self.generation}"

    def make(self, dim: int) -> None:
        """The collections, where they are not there yet."""
        self.engine.make(self.documents)
        self.engine.make(self.texts)
        self.engine.make(self.passages, dim, self.ranked)

    def load(self) -> None:
        """Before anything is asked of them."""
        for what in (self.documents, self.texts, self.passages):
            self.engine.load(what)

    def drop(self) -> None:
        for what in (self.passages, self.texts, self.documents):
            self.engine.drop(what)


def ids_of(entry: Entry) -> list[int]:
    """The ids of a document's passages, in order. Two of 100 million meet by chance once in 2,000 such indexes."""
    return [_number(entry.number, at) for at in range(entry.row.passages)]


def _number(*fields: bytes | int) -> int:
    """A name of 63 bits."""
    return int.from_bytes(digest_of(*fields)[:8], "little") >> 1


def put(
    shelf: Shelf,
    view: View,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    row: SourceRow,
    sure: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """Store a document in place of an earlier version; the change. `sure` raises where it may not count any more.

    Raises IndexError_; what was stored by then does not count.
    """
    own, parts = _own(document), pieces(document)
    blobs = [vector.astype("<f4").tobytes() for vector in vectors]
    spans = (n for p in passages for n in (p.span.start, p.span.end))
    number = _number(own, *spans, *blobs)
    entry = Entry(number, view.seq + 2, LIVE, row, own.hex(), 0, 0, len(parts), time.time())
    made = _passage_rows(entry, view.seq + 1, document, passages, vectors, blobs)
    hashes = [bytes.fromhex(row["hash"]) for row in made]
    words, apart = sum(len(row["words"].split()) for row in made), any(row["day"] for row in made)
    entry = replace(entry, content=rows.share(own, hashes) % 2**256, words=words, apart=apart)
    known = view.live.get(document.source.id)
    if known is None or known.number != number:
        begun = replace(entry, seq=view.seq + 1, state=BEGUN)
        shelf.engine.upsert(shelf.documents, [begun.sent()])
        texts: list[Row] = [{"id": f"{number}:{at}", "document": number, "text": part} for at, part in enumerate(parts)]
        for first in range(0, len(texts), TOGETHER):
            shelf.engine.upsert(shelf.texts, texts[first : first + TOGETHER])
        for first in range(0, len(made), BATCH):
            shelf.engine.upsert(shelf.passages, made[first : first + BATCH])
        sure()
    shelf.engine.upsert(shelf.documents, [entry.sent()])
    return [entry]


def _passage_rows(
    entry: Entry,
    begun: int,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    blobs: Sequence[bytes],
) -> list[Row]:
    cut = lexical.cut([text for p in passages for text in (p.text, p.heading)])
    made: list[Row] = []
    for at, (id, p, blob) in enumerate(zip(ids_of(entry), passages, blobs, strict=True)):
        text, heading = cut[2 * at : 2 * at + 2]
        words = sent([*text, *heading])
        if len(words) > BYTES:
            raise IndexError_(f"the words of a passage of {p.source.uri} fill {len(words):,} bytes, over {BYTES:,}",
                              "smaller passages: --set split.max_tokens")  # fmt: skip
        seal = rows.vector_hash(id, blob)
        hash_ = rows.passage_hash(id, p, seal)
        made.append({
            "id": id, "document": entry.number, "start": p.span.start, "end": p.span.end, "key": rows.text_key(p),
            "hash": hash_.hex(), "seal": seal.hex(), "words": words, "text_words": len(text), "begun": begun,
            "day": day_of(document, p.span), "vector": vectors[at].tolist(),
        })  # fmt: skip
    return made


def note(shelf: Shelf, view: View, told: Sequence[tuple[Entry, SourceRow]]) -> list[Entry]:
    """Say something new of documents that stay as they are, of all in one moment; the changes."""
    entries = [replace(entry, row=row, seq=view.seq + n) for n, (entry, row) in enumerate(told, start=1)]
    shelf.engine.upsert(shelf.documents, [entry.sent() for entry in entries])
    return entries


def remove(shelf: Shelf, view: View, gone: Sequence[Entry]) -> list[Entry]:
    """Let these documents count no more, all from one moment on; the changes."""
    now = time.time()
    entries = [
        replace(entry, number=_number(b"gone", raw(entry.row.source.id)), seq=view.seq + n, state=GONE, since=now)
        for n, entry in enumerate(gone, start=1)
    ]
    shelf.engine.upsert(shelf.documents, [entry.sent() for entry in entries])
    return entries


def sweep(shelf: Shelf, view: View) -> list[int]:
    """Delete what is left of documents that went more than GRACE_S ago; their numbers."""
    due = [number for number, since in view.dead.items() if since + GRACE_S < time.time()]
    for number in due:
        shelf.engine.delete(shelf.passages, f"document == {number}")
        shelf.engine.delete(shelf.texts, f"document == {number}")
        shelf.engine.delete(shelf.documents, f"id == {number}")
    return due


def loaded(shelf: Shelf, entry: Entry) -> Document:
    """A document, proven. Raises IndexDamaged if it is not what was stored, KeyError if nothing is there any more."""
    names = [f"{entry.number}:{at}" for at in range(entry.pieces)]
    found: dict[str, Row] = {}
    for first in range(0, len(names), TOGETHER):
        found |= shelf.engine.named(shelf.texts, names[first : first + TOGETHER], ["text"])
    if not found:
        raise KeyError(entry.row.source.id)
    uri = entry.row.source.uri
    try:
        document = joined(entry.row.source, [found[name]["text"] for name in names])
        holds = _own(document).hex() == entry.own
    except (ValueError, KeyError, TypeError) as error:
        raise IndexDamaged(f"the text of {uri!r} is not what was stored: {error}", "rag check") from error
    if not holds:
        raise IndexDamaged(f"the text of {uri!r} is not what was stored", "rag check")
    return document


def cut(entry: Entry, document: Document, row: Row) -> Passage:
    """A passage of a document, proven. Raises IndexDamaged."""
    try:
        passage = Passage.cut(document, Span(row["start"], row["end"]))
        seal = bytes.fromhex(row["seal"])
        holds = rows.passage_hash(row["id"], passage, seal).hex() == row["hash"] and row["document"] == entry.number
    except (ValueError, TypeError) as error:
        raise IndexDamaged(f"a passage of {entry.row.source.uri!r} leaves its document", "rag check") from error
    if not holds:
        raise IndexDamaged(f"a passage of {entry.row.source.uri!r} is not what was stored", "rag check")
    return passage


def vector(row: Row) -> Vectors:
    """The vector of a passage, (dim,), proven. Raises IndexDamaged."""
    found = np.asarray(row["vector"], np.float32)
    if rows.vector_hash(row["id"], found.astype("<f4").tobytes()).hex() != row["seal"]:
        raise IndexDamaged(f"the vector of passage {row['id']} is not what was stored", "rag check")
    return found


def day_of(document: Document, span: Span) -> str:
    """The day of a passage, where it has another than its document: that of a message in a mailbox; else ''."""
    day = document.day(span)
    return "" if day == document.source.date else day


def _own(document: Document) -> bytes:
    s = document.source
    return digest_of(*map(raw, (s.id, s.uri, s.title, s.media_type, s.date, *pieces(document))))
