"""The keeper on Milvus, for those whom one machine does not hold: the same documents, passages and citations.

    engine   the collections, and every call of the client
    texts    documents as strings
    words    words as every server counts alike, and their BM25
    view     what documents there are, at one moment
    writing  how a document is stored, and what is left of it swept
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
from contextlib import contextmanager, suppress
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
from rag.index.milvus import opening, proof, view, words, writing
from rag.index.milvus.engine import MOST, Row
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
DEEP = 200  # passages whose words are looked at, at least


class _Here(threading.local):
    view: View | None = None


class MilvusIndex(Index):
    """All documents of one place on Milvus. Made by `MilvusIndex.open`; safe to use from many threads."""

    def __init__(self, shelf: Shelf, maker: Maker, right: Right | None) -> None:
        self.place = shelf.engine.place
        self.embedder, self.dim, self.rules = maker
        self._shelf, self._right = shelf, right
        self._view, self._looking = View(), threading.Lock()
        self._here = _Here()
        self._change = threading.RLock()
        self._documents = Remembered[Document](lambda document: len(document.text))

    @staticmethod
    def open(place: Any, *, embedder: str, dim: int, rules: str = "", write: bool = True) -> MilvusIndex:
        maker = Maker(embedder, dim, rules)
        shelf, right = opening.opened(place, maker, write)
        return MilvusIndex(shelf, maker, right)

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
    def _moment(self) -> Iterator[View]:
        """What there is now; inside another moment of this thread, what there was then."""
        if self._here.view is not None:
            yield self._here.view
            return
        self._here.view = self._now()
        try:
            yield self._here.view
        finally:
            self._here.view = None

    def _now(self) -> View:
        with self._looking:
            self._view = view.caught_up(self._shelf.engine, self._shelf.documents, self._view)
            if self._view.moved:
                raise IndexMismatch(f"the index at {self.place} was made anew meanwhile", "open it again")
            return self._view

    @contextmanager
    def _changing(self) -> Iterator[View]:
        """The present, which nobody else of this process changes."""
        if self._here.view is not None:
            raise RuntimeError("an index cannot be changed by a thread that is reading it")
        with self._change:
            if self._right is None:
                raise IndexError_(f"the index at {self.place} is closed, or open for reading only")
            self._right.sure()
            now = self._now()
            if swept := writing.sweep(self._shelf, now):
                with self._looking:
                    self._view = now = view.without(now, swept)
            yield now

    @contextmanager
    def reading(self) -> Iterator[Self]:
        with self._moment():
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
    ) -> bool:
        vectors = given.whole(document, passages, vectors, self.dim)
        with self._changing() as now:
            known, seconds = now.live.get(document.source.id), time.time()
            if collection is None:
                collection = known.row.collection if known is not None else DEFAULT
            day = document.source.date or dated or date.fromtimestamp(seconds).isoformat()
            counts = len(passages), len(document.text)
            row = SourceRow(document.source, digest, stat, *counts, seconds, day, collection)
            writing.put(self._shelf, now, document, passages, vectors, row)
            return known is not None

    def remove(self, *source_ids: str) -> bool:
        with self._changing() as now:
            gone = [now.live[id] for id in dict.fromkeys(source_ids) if id in now.live]
            if gone:
                writing.remove(self._shelf, now, gone)
            return bool(gone)

    def note(
        self, source_id: str, *, stat: str | None = None, dated: str | None = None, collection: str | None = None
    ) -> None:
        with self._changing() as now:
            entry = now.live[source_id]
            told = given.noted(entry.row, stat, dated, collection)
            writing.note(self._shelf, now, [(entry, told)])

    def collections(self) -> list[CollectionRow]:
        found: dict[str, list[int]] = {}
        for row in self.sources():
            found.setdefault(row.collection, []).append(row.passages)
        return [CollectionRow(name, len(found[name]), sum(found[name])) for name in sorted(found, key=raw)]

    def rename_collection(self, old: str, new: str) -> int:
        with self._changing() as now:
            told = [(e, replace(e.row, collection=new)) for e in now.live.values() if e.row.collection == old]
            if told:
                writing.note(self._shelf, now, told)
            return len(told)

    def sources(self) -> list[SourceRow]:
        with self._moment() as now:
            return sorted((e.row for e in now.live.values()), key=lambda row: (row.source.uri, row.source.id))

    def find(self, source_id: str) -> SourceRow | None:
        with self._moment() as now:
            return now.live[source_id].row if source_id in now.live else None

    def document(self, source_id: str) -> Document:
        with self._moment() as now:
            return self._loaded(now.live[source_id])

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
        for first in range(0, len(asked), DEEP):
            some = ", ".join(f'"{key}"' for key in asked[first : first + DEEP])
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
                near = self._nominated(now, "vector", query.tolist(), depth(k) + SLACK, where, ["vector"])
                ids = np.asarray([row["id"] for row in near], np.int64)
                stored = np.asarray([row["vector"] for row in near], np.float32).reshape(-1, self.dim)
                found.append(best(query, ids, unit(stored, self.dim), k))
        most = min((len(ids) for ids, _ in found), default=0)  # the same for each, unless the engine passed some over
        ids_ = np.asarray([ids[:most] for ids, _ in found], np.int64).reshape(len(found), most)
        return ids_, np.asarray([cosines[:most] for _, cosines in found], np.float32).reshape(len(found), most)

    def lexical(self, query: str, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        with self._moment() as now:
            some = now.passing(where)
            passing = now.passages if some is None else sum(entry.row.passages for entry in some)
            terms = words.phrases(lexical.query_terms(query))

            def frequency(term: str) -> int:
                whole = self._holding(now, terms[term])
                rare = some is None or whole <= lexical.COMMON * passing
                return whole if rare else self._counted(terms[term], _among(some or []))

            chosen = {term: terms[term] for term in lexical.rarer(list(terms), passing, frequency) if terms[term]}
            if not chosen or k < 1:
                return []
            idf = {term: words.idf(now.passages, self._holding(now, phrase)) for term, phrase in chosen.items()}
            asked = " ".join(dict.fromkeys(word for phrase in chosen.values() for word in phrase))
            near = self._nominated(now, "sparse", asked, max(4 * k, DEEP), where, ["words", "text_words"])
            mean = now.words / max(1, now.passages)
            scores = [(r["id"], words.bm25(r["words"].split(), r["text_words"], chosen, idf, mean)) for r in near]
            return sorted((pair for pair in scores if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:k]

    def idf(self, terms: Sequence[str]) -> list[float]:
        with self._moment() as now:
            cut = words.phrases([lexical.phrase(term) for term in dict.fromkeys(terms)])
            found = [self._holding(now, cut[lexical.phrase(term)]) for term in terms]
            return [math.log(1 + (now.passages - n + 0.5) / (n + 0.5)) for n in found]

    def _nominated(
        self, now: View, field: str, query: Any, k: int, where: Filter | None, fields: Sequence[str]
    ) -> list[Row]:
        """What the engine holds for the k nearest, of those that may be found now."""
        some = now.passing(where)
        numbers = {entry.number for entry in (now.live.values() if some is None else some)}
        if not numbers:
            return []
        among, ask = "" if some is None else _among(some), min(k, MOST)
        while True:
            near = self._shelf.engine.nearest(self._shelf.passages, field, query, ask, among, ["document", *fields])
            found = [row for row in near if row["document"] in numbers]
            if len(found) >= k or len(near) < ask or ask == MOST:
                return found
            ask = min(2 * ask, MOST)  # it nominated what went, or does not count yet

    def _holding(self, now: View, phrase: list[str]) -> int:
        """How many passages hold this phrase now; counted once per moment."""
        key = " ".join(phrase)
        if key not in now.counts:
            dead = f" and document not in [{', '.join(map(str, now.dead))}]" if now.dead else ""
            now.counts[key] = self._counted(phrase, f"begun <= {now.seq}{dead}")
        return now.counts[key]

    def _counted(self, phrase: list[str], among: str) -> int:
        if not phrase:
            return 0
        tests = [f'text_match(words, "{word}")' for word in dict.fromkeys(phrase)]
        what, where = self._shelf.passages, " and ".join([*tests, among])
        if len(phrase) == 1:
            return self._shelf.engine.count(what, where)
        found = self._shelf.engine.rows(what, where, ["words", "text_words"])  # the words must follow one another
        cut = ((row["words"].split(), row["text_words"]) for row in found)
        return sum(any(words.times(phrase, part) for part in (w[:n], w[n:])) for w, n in cut)

    # -- life --------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Sweep what went a while ago."""
        if self.writable:
            with self._changing():
                pass

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
        with self._changing() as now:
            told = replace(row, passages=len(passages))
            stale = view.without_live(now, row.source.id)  # so that all of it is written again
            writing.put(
                self._shelf, stale, document, passages, given.whole(document, passages, vectors, self.dim), told
            )

    def close(self) -> None:
        with self._change:
            if self._right is not None:
                self._right.release()
                self._right = None
            self._shelf.engine.close()


def _among(some: Sequence[Entry]) -> str:
    """The condition that a passage is of one of these documents."""
    return f"document in [{', '.join(str(entry.number) for entry in some)}]"
