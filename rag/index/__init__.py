"""The keeper of documents, passages and vectors.

SQLite is the only truth; the inverted index and the FAISS snapshot are derived from it and made again when they do not
hold. One document is one transaction, acknowledged when it is on the disk. The floors inside: `rows` (how things lie in
the database), `store` (one folder, one writer, many readers), `snapshot`, `check`, `opening`; then `Index`, the door.

A search while another thread adds is safe and sees one moment: before the document or after it, never half of it.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rag import lexical
from rag.errors import IndexError_
from rag.files import Lock
from rag.index import check, opening, rows, snapshot
from rag.index.check import CheckReport
from rag.index.opening import Maker
from rag.index.rows import SourceRow, text_key
from rag.index.store import Store
from rag.types import Document, Passage
from rag.vectors import Cosines, Ids, Vectors
from rag.vectors.rows import unit

__all__ = ["CheckReport", "Index", "SourceRow", "text_key"]

CACHED_DOCUMENTS = 64
CACHED_CHARACTERS = 32_000_000


@dataclass(frozen=True, slots=True)
class _Change:
    """What one transaction did, for those who keep a copy."""

    seq: int
    top: int
    added: range
    gone: range | None


class Index:
    """All documents of one folder, by meaning and by word. Made by `Index.open`; safe to use from many threads."""

    def __init__(self, store: Store, lock: Lock | None) -> None:
        self._store = store
        self._lock = lock
        with store.reading() as con:
            meta = rows.meta(con)
        self.folder = store.folder
        self.embedder, self.dim, self.rules = meta.embedder, meta.dim, meta.rules
        self._held: snapshot.Held | None = None
        self._documents: OrderedDict[int, rows.Stored] = OrderedDict()
        self._cache = threading.Lock()
        self._counts: tuple[int, dict[str, int]] = (-1, {})

    @staticmethod
    def open(folder: Path, *, embedder: str, dim: int, rules: str = "", write: bool = True) -> Index:
        """The index in `folder`; made if `write` and nothing is there.

        `embedder` and `rules` are the fingerprints of the embedder and of the rules by which documents are split: both
        must be those the index was made with. Raises IndexMissing, IndexBusy, IndexMismatch, IndexDamaged.
        """
        return Index(*opening.opened(Path(folder), Maker(embedder, dim, rules), write))

    @staticmethod
    def mend(folder: Path, *, embedder: str, dim: int, rules: str = "") -> CheckReport:
        """Make an index usable that `open` calls damaged: what does not hold is taken out and named in `repaired`.

        Adding those documents again completes it. Raises what `open` raises; IndexDamaged if the database is beyond it.
        """
        return opening.mend(Path(folder), Maker(embedder, dim, rules))

    def __len__(self) -> int:
        """Passages."""
        with self._store.reading() as con:
            return rows.meta(con).passages

    @staticmethod
    def key(passage: Passage) -> str:
        """What `vectors_of` names the passage's vector by: equal text under an equal heading, equal key."""
        return text_key(passage)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the embedder, the rules, or anything stored."""
        with self._store.reading() as con:
            meta = rows.meta(con)
        return rows.digest_of(rows.raw(self.embedder), rows.raw(self.rules), meta.content).hex()[:16]

    def put(
        self, document: Document, passages: Sequence[Passage], vectors: Vectors, *, digest: str = "", stat: str = ""
    ) -> bool:
        """Store a document whole, in place of an earlier version of its source; True if there was one.

        `vectors`: float32 (len(passages), dim). `digest`: sha256 of the original bytes; `stat`: what the caller wants
        to compare before reading them again. When this returns, the document is on the disk. Raises ValueError if a
        passage was not cut from the document or a vector is not one; IndexError_, with nothing changed, if the disk
        refuses.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        if len(unit(vectors, self.dim)) != len(passages):
            raise ValueError(f"{len(vectors)} vectors for {len(passages)} passages")
        for passage in passages:
            if passage != Passage.cut(document, passage.span):
                raise ValueError(f"the passage at {passage.span} was not cut from {document.source.uri!r}")
        row = SourceRow(document.source, digest, stat, len(passages), len(document.text), time.time())

        def work(con: sqlite3.Connection) -> _Change:
            before = rows.meta(con)
            gone, lost = _take_out(con, before, document.source.id)
            first = before.top + 1
            gained = rows.insert(con, document, passages, vectors, first, row)
            return _count(con, before, range(first, first + len(passages)), gone, gained - lost)

        change = self._store.change(work, lambda change: self._publish(change, vectors))
        return change.gone is not None

    def remove(self, source_id: str) -> bool:
        """Forget a source; False if it is unknown. Raises IndexError_, with nothing changed, if the disk refuses."""
        if self.find(source_id) is None:
            return False

        def work(con: sqlite3.Connection) -> _Change:
            before = rows.meta(con)
            gone, lost = _take_out(con, before, source_id)
            return _count(con, before, range(0), gone, -lost)

        none = np.empty((0, self.dim), np.float32)
        return self._store.change(work, lambda change: self._publish(change, none)).gone is not None

    def touch(self, source_id: str, stat: str) -> None:
        """Note a new `stat` of a source whose bytes are the same. Raises KeyError if it is unknown."""
        if self.find(source_id) is None:
            raise KeyError(source_id)
        self._store.change(lambda con: rows.touch(con, source_id, stat), lambda _: None)

    def sources(self) -> list[SourceRow]:
        """All documents, by uri."""
        with self._store.reading() as con:
            return rows.source_rows(con)

    def find(self, source_id: str) -> SourceRow | None:
        """One document's row, or None."""
        with self._store.reading() as con:
            return next(iter(rows.source_rows(con, source_id)), None)

    def document(self, source_id: str) -> Document:
        """A document with its text. Raises KeyError if it is unknown, IndexDamaged if it does not hold."""
        with self._store.reading() as con:
            if (owner := rows.owner(con, source_id)) is None:
                raise KeyError(source_id)
            return self._stored(con, owner[0]).document

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, each cut from its document and proven. Raises KeyError, IndexDamaged."""
        with self._store.reading() as con:
            return [rows.cut(con, self._stored(con, rows.document_of(con, int(id))), int(id)) for id in ids]

    def vectors_of(self, source_id: str) -> dict[str, Vectors]:
        """Vectors of a source's passages by `key`, each (dim,): what need not be embedded again. {} if unknown."""
        with self._store.reading() as con:
            if (owner := rows.owner(con, source_id)) is None:
                return {}
            stored, ids = self._stored(con, owner[0]), owner[1]
            keys = [text_key(rows.cut(con, stored, id)) for id in ids]
            parts = [part for _, part in rows.vectors(con, self.dim, after=ids.start - 1, until=ids.stop - 1)]
        return dict(zip(keys, np.concatenate(parts), strict=True)) if parts else {}

    @contextmanager
    def reading(self) -> Iterator[Self]:
        """One moment for several calls: ids found by `dense` and `lexical` stay valid for `passages`.

        Changes wait until it ends, so hold it for a search, not for an answer.
        """
        if self._store.inside:
            yield self
            return
        while True:
            with self._store.reading() as con:
                if self._held is not None and self._held.seq == rows.meta(con).seq:
                    yield self
                    return
            self._keep_up()

    def dense(self, vectors: Vectors, k: int, sources: Collection[str] | None = None) -> tuple[Ids, Cosines]:
        """The k passages nearest to each query (n, dim), in these sources: ids and cosines, each (n, k or fewer)."""
        with self.reading(), self._store.reading() as con:
            if self._held is None:
                raise RuntimeError("dense inside another kind of reading")
            return self._held.vectors.search(vectors, k, _ids_of(con, sources))

    def lexical(self, query: str, k: int, sources: Collection[str] | None = None) -> list[tuple[int, float]]:
        """The k best (id, BM25) for any word of the query, in these sources; higher is better."""
        with self._store.reading() as con:
            count = self._counter(con)
            terms = lexical.rarer(lexical.query_terms(query), rows.meta(con).passages, count)
            among = _ids_of(con, sources)
            return lexical.search(con, terms, k, None if among is None else among.tolist())

    def idf(self, terms: Sequence[str]) -> list[float]:
        """ln(1 + (N - n + 0.5) / (n + 0.5)) of each term, n of N passages holding it (stemmed, words in a row)."""
        with self._store.reading() as con:
            total, count = rows.meta(con).passages, self._counter(con)
            found = [count(lexical.phrase(term)) for term in terms]
        return [math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in found]

    def flush(self) -> None:
        """Write the snapshot, if it has fallen behind. Raises IndexError_; nothing is lost then but speed."""
        if not self._store.write:
            return
        with self._store.still():
            with self._store.reading() as con:
                behind = snapshot.behind(con)
            if not behind:
                return
            with self.reading():
                held = self._held
            if held is not None:
                snapshot.save(self._store, held)

    def check(self) -> CheckReport:
        """Prove every passage, vector and document; make again what is derived where it does not hold."""
        report = check.check(self._store)
        if report.repaired:
            with self._store.turns.changing():
                self._held = None
        return report

    def close(self) -> None:
        """Write the snapshot, seal the database, let the next one in. Closing twice is fine."""
        if self._lock is not None:
            with suppress(IndexError_):
                self.flush()
        self._store.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish(self, change: _Change, vectors: Vectors) -> None:
        """Follow a change in memory; whatever goes wrong, the rows are there to load again. Called alone."""
        held, self._held = self._held, None
        if held is None or held.seq != change.seq - 1:
            return
        with suppress(Exception):  # the change is on the disk: nothing that happens here may look like its failure
            if change.gone is not None:
                held.vectors.remove(change.gone)
            held.vectors.add(change.added, vectors)
            held.seq, held.top = change.seq, change.top
            self._held = held

    def _keep_up(self) -> None:
        """Bring the vectors in memory to the present, while nobody reads."""
        with self._store.turns.changing(), self._store.moment() as con:
            held, self._held = self._held, None
            if held is None or not snapshot.catch_up(con, held):
                held = snapshot.load(con, self.folder)
            self._held = held

    def _stored(self, con: sqlite3.Connection, number: int) -> rows.Stored:
        """A document by its row id, which never means another document: so a cached one cannot be stale."""
        with self._cache:
            if (stored := self._documents.get(number)) is not None:
                self._documents.move_to_end(number)
                return stored
        stored = rows.load(con, number)
        with self._cache:
            self._documents[number] = stored
            while len(self._documents) > 1 and self._full():
                self._documents.popitem(last=False)
        return stored

    def _full(self) -> bool:
        characters = sum(len(stored.document.text) for stored in self._documents.values())
        return len(self._documents) > CACHED_DOCUMENTS or characters > CACHED_CHARACTERS

    def _counter(self, con: sqlite3.Connection) -> _Counter:
        seq = rows.meta(con).seq
        if self._counts[0] != seq:
            self._counts = (seq, {})
        return _Counter(con, self._counts[1])


@dataclass(frozen=True, slots=True)
class _Counter:
    """How many passages hold a phrase; counted once per state of the index."""

    con: sqlite3.Connection
    known: dict[str, int]

    def __call__(self, phrase: str) -> int:
        if phrase not in self.known:
            self.known[phrase] = lexical.frequency(self.con, phrase)
        return self.known[phrase]


def _take_out(con: sqlite3.Connection, before: rows.Meta, source_id: str) -> tuple[range | None, int]:
    """Delete a source if it is there: the ids that went, and their share of the content."""
    if (owner := rows.owner(con, source_id)) is None:
        return None, 0
    number, ids = owner
    lost = rows.delete(con, number, ids)
    con.execute("INSERT INTO gone VALUES (?, ?, ?)", (before.seq + 1, ids.start, len(ids)))
    return ids, lost


def _count(con: sqlite3.Connection, before: rows.Meta, added: range, gone: range | None, change: int) -> _Change:
    """Write the next state of `meta`."""
    after = _Change(before.seq + 1, before.top + len(added), added, gone)
    passages = before.passages + len(added) - (0 if gone is None else len(gone))
    content = rows.summed(before.content, change)
    con.execute(
        "UPDATE meta SET seq = ?, top = ?, passages = ?, content = ?", (after.seq, after.top, passages, content)
    )
    return after


def _ids_of(con: sqlite3.Connection, sources: Collection[str] | None) -> Ids | None:
    """The passages of these sources, ascending; unknown sources are passed over. None means all."""
    if sources is None:
        return None
    owners = (rows.owner(con, source_id) for source_id in set(sources))
    ranges = [np.arange(o[1].start, o[1].stop, dtype=np.int64) for o in owners if o is not None]
    return np.sort(np.concatenate(ranges)) if ranges else np.empty(0, np.int64)
