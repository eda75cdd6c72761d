"""The keeper on Milvus, for those whom one machine does not hold: the same documents, passages and citations.

    patience a server that is started again is waited for
    engine   the collections, and every call of the client
    texts    documents as strings
    words    words as every server counts alike, and their BM25
    view     what documents there are, at one moment
    writing  how a document is stored, and what is left of it swept
    ranking  passages by their words, where the server counts them
    mirror   the same on this machine, where it does not
    right    who may write
    opening  who made it
    proof    everything against what proves it

The server only nominates passages. Cosines are computed here from the vectors that it keeps, BM25 from the words, so
that the order is the one of the local keeper, whichever server it is and whatever sign its scores have. Nothing is
found that the view does not hold, and what went is swept a minute later, so that a search sees one moment.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import date
from typing import Any, Self

import numpy as np

from rag import lexical
from rag.errors import IndexDamaged, IndexError_, IndexMismatch
from rag.filters import Filter
from rag.index import Index, given, rows
from rag.index.check import CheckReport, Make
from rag.index.given import CollectionRow
from rag.index.milvus import opening, proof, view, writing
from rag.index.milvus.mirror import Mirror
from rag.index.milvus.ranking import Ranking, Served, nominated
from rag.index.milvus.right import Right
from rag.index.milvus.view import Entry, View
from rag.index.milvus.writing import Shelf
from rag.index.opening import Maker
from rag.index.remembered import Remembered
from rag.index.rows import DEFAULT, SourceRow, raw
from rag.types import Document, Passage
from rag.vectors import Cosines, Ids, Vectors
from rag.vectors.rows import best, depth, unit

SLACK = 16  # more than asked for: what is as near as the last one must be looked at
KEYS = 200  # of one question
UNSURE = -1


class _Here(threading.local):
    view: View | None = None
    words: Ranking | None = None


class MilvusIndex(Index):
    """All documents of one place on Milvus. Made by `MilvusIndex.open`; safe to use from many threads."""

    def __init__(self, shelf: Shelf, born: str, right: Right | None, maker: Maker) -> None:
        self.place = shelf.engine.place
        self.embedder, self.dim, self.rules = maker
        self._shelf, self._right = shelf, right
        self._mirror = None if shelf.ranked else Mirror(shelf, born, self.place.here)
        self._view, self._looking = View(), threading.Lock()
        self._here = _Here()
        self._known = UNSURE
        self._changing = threading.RLock()
        self._documents = Remembered[Document](lambda document: len(document.text))

    @staticmethod
    def open(place: Any, *, embedder: str, dim: int, rules: str = "", write: bool = True) -> MilvusIndex:
        maker = Maker(embedder, dim, rules)
        return MilvusIndex(*opening.opened(place, maker, write), maker)

    @staticmethod
    def maker(place: Any) -> Maker:
        return opening.maker_of(place)

    @staticmethod
    def mend(place: Any, *, embedder: str, dim: int, rules: str = "", make: Make | None = None) -> CheckReport:
        with MilvusIndex.open(place, embedder=embedder, dim=dim, rules=rules) as index:
            return index._mended(make, taking_out=True)

    @staticmethod
    def remake(
        place: Any,
        *,
        embedder: str,
        dim: int,
        rules: str = "",
        make: Make,
        progress: Callable[[int, int], None] = lambda done, all_: None,
    ) -> int:
        return opening.remade(place, Maker(embedder, dim, rules), make, progress)

    # -- moments -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _moment(self, worded: bool = False) -> Iterator[View]:
        """What there is now, with its words if they are asked for; inside another moment of this thread, what there was
        then."""
        if self._here.view is not None:
            yield self._here.view
            return
        with ExitStack() as held:
            now, words = self._now(), None
            while worded and (words := held.enter_context(self._words(now))) is None:
                now = self._now()  # another process of this machine has seen a later moment
            self._here.view, self._here.words = now, words
            try:
                yield now
            finally:
                self._here.view = self._here.words = None

    def _words(self, now: View) -> AbstractContextManager[Ranking | None]:
        return Served.at(self._shelf, now) if self._mirror is None else self._mirror.at(now)

    def _now(self) -> View:
        with self._looking:
            if self._known != (term := self._term()) or term == UNSURE:
                self._view = view.caught_up(self._shelf.engine, self._shelf.documents, self._view)
                self._known = term
            else:
                self._shelf.engine.open()
            if self._view.moved:
                raise IndexMismatch(f"the index at {self.place} was made anew meanwhile", "open it again")
            return self._view

    def _term(self) -> int:
        """Who has the right to write knows what there is, and need not ask."""
        try:
            if (right := self._right) is None:
                return UNSURE
            right.sure()
            return right.term
        except IndexError_:
            return UNSURE

    def _change(self, act: Callable[[View], list[Entry]]) -> View:
        """Do it to the present, which nobody else of this process changes meanwhile; the present before."""
        if self._here.view is not None:
            raise RuntimeError("an index cannot be changed by a thread that is reading it")
        with self._changing:
            if self._right is None:
                raise IndexError_(f"the index at {self.place} is closed, or open for reading only")
            self._right.sure()
            now = self._now()
            try:
                if swept := writing.sweep(self._shelf, now):
                    now = view.without(now, swept)
                after = view.followed(now, act(now))
            except BaseException:
                self._known = UNSURE  # some of it may be there
                raise
            with self._looking:
                self._view = after
            return now

    @contextmanager
    def reading(self) -> Iterator[Self]:
        with self._moment(worded=True):
            yield self

    # -- documents ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._moment() as now:
            return now.passages

    @property
    def writable(self) -> bool:
        return self._right is not None

    @property
    def fingerprint(self) -> str:
        with self._moment() as now:
            return rows.digest_of(raw(self.embedder), raw(self.rules), f"{now.content:064x}".encode()).hex()[:16]

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
        added: float | None = None,
    ) -> bool:
        vectors = given.whole(document, passages, vectors, self.dim)
        id, seconds = document.source.id, time.time() if added is None else float(added)
        day = document.source.date or dated or date.fromtimestamp(seconds).isoformat()

        def act(now: View) -> list[Entry]:
            there = now.live[id].row.collection if id in now.live else DEFAULT
            counts = len(passages), len(document.text)
            row = SourceRow(document.source, digest, stat, *counts, seconds, day, there)
            row = row if collection is None else replace(row, collection=collection)
            return writing.put(self._shelf, now, document, passages, vectors, row, self._sure)

        return id in self._change(act).live

    def _sure(self) -> None:
        if self._right is not None:
            self._right.sure()

    def remove(self, *source_ids: str) -> bool:
        def act(now: View) -> list[Entry]:
            gone = [now.live[id] for id in dict.fromkeys(source_ids) if id in now.live]
            return writing.remove(self._shelf, now, gone) if gone else []

        before = self._change(act)
        return any(id in before.live for id in source_ids)

    def note(
        self, source_id: str, *, stat: str | None = None, dated: str | None = None, collection: str | None = None
    ) -> None:
        def act(now: View) -> list[Entry]:
            entry = now.live[source_id]
            return writing.note(self._shelf, now, [(entry, given.noted(entry.row, stat, dated, collection))])

        self._change(act)

    def collections(self) -> list[CollectionRow]:
        found: dict[str, list[int]] = {}
        for row in self.sources():
            found.setdefault(row.collection, []).append(row.passages)
        return [CollectionRow(name, len(found[name]), sum(found[name])) for name in sorted(found, key=raw)]

    def rename_collection(self, old: str, new: str) -> int:
        def act(now: View) -> list[Entry]:
            told = [(e, replace(e.row, collection=new)) for e in now.live.values() if e.row.collection == old]
            return writing.note(self._shelf, now, told) if told else []

        return sum(entry.row.collection == old for entry in self._change(act).live.values())

    def sources(self) -> list[SourceRow]:
        with self._moment() as now:
            return sorted((e.row for e in now.live.values()), key=lambda row: (row.source.uri, row.source.id))

    def find(self, source_id: str) -> SourceRow | None:
        with self._moment() as now:
            return now.live[source_id].row if source_id in now.live else None

    def document(self, source_id: str) -> Document:
        with self._moment() as now:
            return self._loaded(now.live[source_id])

    def contents(self, source_id: str) -> tuple[Document, list[Passage], Vectors]:
        fields = ["document", "start", "end", "hash", "seal", "vector"]
        with self._moment() as now:
            entry = now.live[source_id]
            document, ids = self._loaded(entry), writing.ids_of(entry)
            found = self._shelf.engine.named(self._shelf.passages, ids, fields)
        if missing := [id for id in ids if id not in found]:
            raise IndexDamaged(f"{len(missing)} passages of {document.source.uri!r} are missing", "rag check")
        vectors = np.asarray([writing.vector(found[id]) for id in ids], np.float32).reshape(len(ids), self.dim)
        return document, [writing.cut(entry, document, found[id]) for id in ids], vectors

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        fields = ["document", "start", "end", "hash", "seal"]
        with self._moment() as now:
            found = self._shelf.engine.named(self._shelf.passages, [int(id) for id in ids], fields)
            numbers = {entry.number: entry for entry in now.live.values()} if found else {}
            some = [(numbers[found[int(id)]["document"]], found[int(id)]) for id in ids]
            return [writing.cut(entry, self._loaded(entry), row) for entry, row in some]

    def vectors_of(self, keys: Sequence[str]) -> dict[str, Vectors]:
        known: dict[str, Vectors] = {}
        asked = list(dict.fromkeys(keys))
        for first in range(0, len(asked), KEYS):
            some = ", ".join(f'"{key}"' for key in asked[first : first + KEYS])
            fields = ["id", "key", "seal", "vector"]
            for row in self._shelf.engine.rows(self._shelf.passages, f"key in [{some}]", fields):
                with suppress(IndexDamaged):  # then it is embedded again
                    known[row["key"]] = writing.vector(row)
        return known

    def _loaded(self, entry: Entry) -> Document:
        return replace(
            self._documents.get(entry.number, lambda: writing.loaded(self._shelf, entry)), source=entry.row.source
        )

    # -- search ------------------------------------------------------------------------------------------------------

    def dense(self, vectors: Vectors, k: int, where: Filter | None = None) -> tuple[Ids, Cosines]:
        queries, found = unit(vectors, self.dim), []
        with self._moment() as now:
            for query in queries:
                near = nominated(self._shelf, now, "vector", query.tolist(), depth(k) + SLACK, where, ["vector"])
                ids = np.asarray([row["id"] for row in near], np.int64)
                stored = np.asarray([row["vector"] for row in near], np.float32).reshape(-1, self.dim)
                found.append(best(query, ids, unit(stored, self.dim), k))
        most = min((len(ids) for ids, _ in found), default=0)  # the same for each, unless the engine passed some over
        ids_ = np.asarray([ids[:most] for ids, _ in found], np.int64).reshape(len(found), most)
        return ids_, np.asarray([cosines[:most] for _, cosines in found], np.float32).reshape(len(found), most)

    def lexical(self, query: str, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        with self._moment(worded=True):
            assert self._here.words is not None
            return self._here.words.best(query, k, where)

    def idf(self, terms: Sequence[str]) -> list[float]:
        with self._moment(worded=True) as now:
            assert self._here.words is not None
            found = [self._here.words.holding(lexical.phrase(term)) for term in terms]
            return [math.log(1 + (now.passages - n + 0.5) / (n + 0.5)) for n in found]

    # -- life --------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Sweep what went a while ago."""
        if self.writable:
            self._change(lambda now: [])

    def check(self, make: Make | None = None) -> CheckReport:
        return self._mended(make if self.writable else None, taking_out=False)

    def _mended(self, make: Make | None, taking_out: bool) -> CheckReport:
        start, done = time.perf_counter(), []
        hurt = proof.examined(self._shelf, self._now())
        for each in hurt:
            source = each.entry.row.source
            if make is not None and each.document is not None:
                self._again(each.entry, each.document, make)
                done.append(f"made again from its text: {each.why}")
            elif taking_out and self.remove(source.id):
                done.append(f"taken out, to be added again: {each.why}")
        now = self._now()
        left = tuple(each.why for each in (proof.examined(self._shelf, now) if done else hurt))
        return CheckReport(len(now.live), now.passages, left, tuple(done), time.perf_counter() - start)

    def _again(self, entry: Entry, document: Document, make: Make) -> None:
        row, (passages, vectors) = entry.row, make(document)
        vectors = given.whole(document, passages, vectors, self.dim)
        told = replace(row, passages=len(passages))

        def act(now: View) -> list[Entry]:
            stale = view.without_live(now, row.source.id)  # so that all of it is written again
            return writing.put(self._shelf, stale, document, passages, vectors, told)

        self._change(act)

    def close(self) -> None:
        with self._changing:
            if self._right is not None:
                self._right.release()
                self._right = None
            self._shelf.engine.close()
            if self._mirror is not None:
                self._mirror.close()
