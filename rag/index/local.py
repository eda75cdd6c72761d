"""The keeper on this machine: a folder with a database and a snapshot of the vectors.

SQLite is the only truth; the inverted index and the FAISS snapshot are derived from it and made again when they do not
hold. One document is one transaction, acknowledged when it is on the disk. The floors below: `rows` (how things lie in
the database), `log` and `pages` (a hash for each page), `store` (one folder, one writer, many readers), `work` (what a
change does), `chosen` (filters), `snapshot`, `check`, `migrate`, `generation`, `opening`; then `LocalIndex`, the door.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged, IndexError_
from rag.files import Lock
from rag.filters import Filter
from rag.index import Index, check, given, opening, rows, snapshot, spare, work
from rag.index.check import CheckReport, Make
from rag.index.chosen import ids_of
from rag.index.given import CollectionRow
from rag.index.opening import Maker
from rag.index.remembered import Remembered
from rag.index.rows import SourceRow, text_key
from rag.index.store import Store
from rag.index.work import Change
from rag.types import Document, Passage
from rag.vectors import Cosines, Ids, Vectors

BESIDE = 20_000  # passages from which on a second thread is worth its start
ABREAST = 4  # searches that have one at the same time; others wait for it


class LocalIndex(Index):
    """All documents of one folder, by meaning and by word. Made by `LocalIndex.open`; safe to use from many threads."""

    def __init__(self, store: Store, lock: Lock | None) -> None:
        self._store = store
        self._lock = lock
        with store.moment() as con:  # it need not be proven yet
            meta = rows.meta(con)
        self.folder = store.folder
        self.embedder, self.dim, self.rules = meta.embedder, meta.dim, meta.rules
        self._held: snapshot.Held | None = None
        self._documents = Remembered[rows.Stored](lambda stored: len(stored.document.text))
        self._counts: tuple[int, dict[str, int]] = (-1, {})
        self._beside = ThreadPoolExecutor(ABREAST, "rag-words")

    @staticmethod
    def open(folder: Any, *, embedder: str, dim: int, rules: str = "", write: bool = True) -> LocalIndex:
        return LocalIndex(*opening.opened(Path(folder), Maker(embedder, dim, rules), write))

    @staticmethod
    def mend(folder: Any, *, embedder: str, dim: int, rules: str = "", make: Make | None = None) -> CheckReport:
        return opening.mend(Path(folder), Maker(embedder, dim, rules), make)

    @staticmethod
    def remake(
        folder: Any,
        *,
        embedder: str,
        dim: int,
        rules: str = "",
        make: Make,
        progress: Callable[[int, int], None] = lambda done, all_: None,
    ) -> int:
        return opening.remade(Path(folder), Maker(embedder, dim, rules), make, progress)

    def __len__(self) -> int:
        with self._store.reading() as con:
            return rows.meta(con).passages

    @property
    def writable(self) -> bool:
        return self._store.write

    @property
    def fingerprint(self) -> str:
        with self._store.reading() as con:
            meta = rows.meta(con)
        return rows.digest_of(rows.raw(self.embedder), rows.raw(self.rules), meta.content).hex()[:16]

    def put(
        self,
        document: Document,
        passages: Sequence[Passage],
        vectors: Vectors,
        *,
        digest: str = "",
        stat: str = "",
        dated: str = "",
        collection: str | None = None,
    ) -> bool:
        vectors = given.whole(document, passages, vectors, self.dim)
        now = time.time()
        day = document.source.date or dated or date.fromtimestamp(now).isoformat()
        row = SourceRow(document.source, digest, stat, len(passages), len(document.text), now, day)
        change = self._store.change(
            lambda con: work.put(con, document, passages, vectors, row, collection),
            lambda change: self._publish(change, vectors),
        )
        return bool(change.gone)

    def remove(self, *source_ids: str) -> bool:
        if not any(self.find(source_id) for source_id in source_ids):
            return False
        none = np.empty((0, self.dim), np.float32)
        change = self._store.change(
            lambda con: work.remove(con, source_ids), lambda change: self._publish(change, none)
        )
        return bool(change.gone)

    def note(
        self, source_id: str, *, stat: str | None = None, dated: str | None = None, collection: str | None = None
    ) -> None:
        if (row := self.find(source_id)) is None:
            raise KeyError(source_id)
        told = given.noted(row, stat, dated, collection)
        self._store.change(lambda con: rows.note(con, told), lambda _: None)

    def collections(self) -> list[CollectionRow]:
        sql = "SELECT collection, count(*), sum(passages) FROM documents GROUP BY collection ORDER BY collection"
        with self._store.reading() as con:
            return [CollectionRow(rows.plain(name), documents, sum_) for name, documents, sum_ in con.execute(sql)]

    def rename_collection(self, old: str, new: str) -> int:
        def rename(con: sqlite3.Connection) -> int:
            found = [row for row in rows.source_rows(con) if row.collection == old]
            for row in found:
                rows.note(con, given.noted(row, None, None, new))
            return len(found)

        return self._store.change(rename, lambda _: None)

    def sources(self) -> list[SourceRow]:
        with self._store.reading() as con:
            return rows.source_rows(con)

    def find(self, source_id: str) -> SourceRow | None:
        with self._store.reading() as con:
            return next(iter(rows.source_rows(con, source_id)), None)

    def document(self, source_id: str) -> Document:
        with self._store.reading() as con:
            if (owner := rows.owner(con, source_id)) is None:
                raise KeyError(source_id)
            return self._stored(con, owner[0]).document

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        with self._store.reading() as con:
            return [rows.cut(con, self._stored(con, rows.document_of(con, int(id))), int(id)) for id in ids]

    def vectors_of(self, keys: Sequence[str]) -> dict[str, Vectors]:
        known = {}
        with self._store.reading() as con:
            for key in dict.fromkeys(keys):
                with suppress(IndexDamaged):  # then it is embedded again
                    vector = self._vector_of(con, key)
                    vector = spare.find(con, key, self.dim) if vector is None else vector
                    if vector is not None:
                        known[key] = vector
        return known

    def _vector_of(self, con: sqlite3.Connection, key: str) -> Vectors | None:
        for number, id in rows.alike(con, key):
            if text_key(rows.cut(con, self._stored(con, number), id)) == key:
                ((_, vectors),) = rows.vectors(con, self.dim, after=id - 1, until=id)
                vector: Vectors = vectors[0]
                return vector
        return None

    def lay_by(self, vectors: Mapping[str, Vectors]) -> None:
        self._store.change(lambda con: spare.add(con, vectors), lambda _: None)

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

    def dense(self, vectors: Vectors, k: int, where: Filter | None = None) -> tuple[Ids, Cosines]:
        """The k passages nearest to each query (n, dim) that pass the filter: ids and cosines, each (n, k or fewer)."""
        with self.reading(), self._store.reading() as con:
            if self._held is None:
                raise RuntimeError("dense inside another kind of reading")
            return self._held.vectors.search(vectors, k, ids_of(con, where))

    def lexical(self, query: str, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        """The k best (id, BM25) for any word of the query that pass the filter; higher is better.

        How rare a word is counts over the whole index; whether it is too common to be searched for, over what passes.
        In a large index (`lexical.LARGE`) a passage must hold one of the query's rarest words.
        """
        with self._store.reading() as con:
            among, terms = ids_of(con, where), lexical.query_terms(query)
            now, count = rows.meta(con), self._counter(con)
            passing = now.passages if among is None else len(among)
            if now.passages >= lexical.LARGE:
                return lexical.search_large(con, terms, k, now.top, passing / now.passages, among)

            def frequency(term: str) -> int:
                whole = count(term)  # rare in the whole, rare in a part of it: that need not be counted
                rare = among is None or whole <= lexical.COMMON * passing
                return whole if rare else lexical.frequency(con, term, among)

            return lexical.search(con, lexical.rarer(terms, passing, frequency), k, among)

    def both(
        self, vectors: Vectors, query: str, k: int, where: Filter | None = None
    ) -> tuple[tuple[Ids, Cosines], list[tuple[int, float]]]:
        """Both let go of the interpreter while they search, so that a large index is searched by two threads."""
        with self.reading(), self._store.reading() as con:
            now = rows.meta(con)
            if now.passages < BESIDE:
                return super().both(vectors, query, k, where)
            words = self._beside.submit(self._words_at, now.seq, query, k, where)
            try:
                near = self.dense(vectors, k, where)
            finally:
                wait([words])
            found = words.result()
            return near, self.lexical(query, k, where) if found is None else found

    def _words_at(self, seq: int, query: str, k: int, where: Filter | None) -> list[tuple[int, float]] | None:
        """`lexical` in another thread than the one that reads; None if another process has changed the index since."""
        with self._store.moment() as con:
            return self.lexical(query, k, where) if rows.meta(con).seq == seq else None

    def idf(self, terms: Sequence[str]) -> list[float]:
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
            with self.reading(), self._store.reading() as con:
                held = self._held
                if held is not None and snapshot.outgrown(held):
                    held = snapshot.from_rows(con, self._store)
            if held is not None:
                snapshot.save(self._store, held)
                with self._store.turns.changing():
                    self._held = held

    def check(self, make: Make | None = None) -> CheckReport:
        report = check.check(self._store)
        if make is not None and not report.ok and self.writable:
            report = check.mend(self._store, make, taking_out=False)
        if report.repaired:
            with self._store.turns.changing():
                self._held = None
        return report

    def close(self) -> None:
        """Write the snapshot, seal the database, let the next one in. Closing twice is fine."""
        if self._lock is not None:
            with suppress(IndexError_):
                self.flush()
        self._beside.shutdown()
        self._store.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _publish(self, change: Change, vectors: Vectors) -> None:
        """Follow a change in memory; whatever goes wrong, the rows are there to load again. Called alone."""
        held, self._held = self._held, None
        if held is None or held.seq != change.seq - 1:
            return
        with suppress(Exception):  # the change is on the disk: nothing that happens here may look like its failure
            for gone in change.gone:
                held.vectors.remove(gone)
            held.vectors.add(change.added, vectors)
            held.seq, held.top = change.seq, change.top
            self._held = held

    def _keep_up(self) -> None:
        """Bring the vectors in memory to the present, while nobody reads."""
        with self._store.turns.changing(), self._store.moment() as con:
            held, self._held = self._held, None
            if held is None or not snapshot.catch_up(con, held):
                held = snapshot.load(con, self._store)
            self._held = held

    def _stored(self, con: sqlite3.Connection, number: int) -> rows.Stored:
        """A document by its row id, which never means another document."""
        return self._documents.get(number, lambda: rows.load(con, number))

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
