"""The keeper of documents, passages and vectors: its contract, and the door to whichever keeper there is.

`local` keeps a folder of this machine (SQLite and FAISS), and is the default; `milvus` keeps them on a server or in a
file of Milvus Lite. All that is true of one keeper is true of
the others: `tests/laws/test_keeper.py` runs over each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self

from rag.filters import Filter
from rag.index.check import CheckReport, Make
from rag.index.given import CollectionRow
from rag.index.place import Milvus
from rag.index.rows import DEFAULT, SourceRow, text_key
from rag.types import Document, Passage
from rag.vectors import Cosines, Ids, Vectors

__all__ = ["DEFAULT", "CheckReport", "CollectionRow", "Index", "Make", "Milvus", "Place", "SourceRow", "text_key"]

Place = Path | Milvus


class Index(Protocol):
    """All documents of one place, by meaning and by word. Made by `Index.open`; safe to use from many threads.

    Laws (tests/laws): what was acknowledged is there when it is opened again; a document is there whole or not at all;
    its text, marks and spans come back as they were; an id never means another passage; a search while another thread
    adds sees one moment, before the document or after it; filters let through what passes and nothing else; cosines and
    BM25 are those of brute force.
    """

    embedder: str
    dim: int
    rules: str

    @staticmethod
    def open(place: Place, *, embedder: str, dim: int, rules: str = "", write: bool = True) -> Index:
        """The index in this folder, or at this place; made if `write` and nothing is there.

        `embedder` and `rules` are the fingerprints of the embedder and of the rules by which documents are split: both
        must be those the index was made with. Raises IndexMissing, IndexBusy, IndexMismatch, IndexDamaged.
        """
        return _keeper(place).open(place, embedder=embedder, dim=dim, rules=rules, write=write)

    @staticmethod
    def mend(place: Place, *, embedder: str, dim: int, rules: str = "", make: Make | None = None) -> CheckReport:
        """Make an index usable that `open` calls damaged, and name in `repaired` what was done.

        Where the text of a document holds, `make` gives its passages and vectors anew. What else does not hold is taken
        out: adding those documents again completes it. Raises what `open` raises; IndexDamaged if the database is
        beyond it.
        """
        return _keeper(place).mend(place, embedder=embedder, dim=dim, rules=rules, make=make)

    @staticmethod
    def remake(
        place: Place,
        *,
        embedder: str,
        dim: int,
        rules: str = "",
        make: Make,
        progress: Callable[[int, int], None] = lambda done, all_: None,
    ) -> int:
        """Make an index anew for another embedder or other rules, from its own texts; how many documents
        were made now, 0 if it is so already.

        Readers have the old index until the new one is whole, and must open it again then. May be stopped at any time
        and called again. `progress`: documents done, of all. Raises what `open` raises, but IndexMismatch.
        """
        return _keeper(place).remake(place, embedder=embedder, dim=dim, rules=rules, make=make, progress=progress)

    @staticmethod
    def key(passage: Passage) -> str:
        """What `vectors_of` names the passage's vector by: equal text under an equal heading, equal key."""
        return text_key(passage)

    def __len__(self) -> int:
        """Passages."""
        ...

    @property
    def writable(self) -> bool:
        """True if it was opened for writing."""
        ...

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the embedder, the rules, or anything stored."""
        ...

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
        """Store a document whole, in place of an earlier version of its source; True if there was one.

        `vectors`: float32 (len(passages), dim). `digest`: sha256 of the original bytes; `stat`: what the caller wants
        to compare before reading them again; `dated`: the day that filters go by, if the
        document gives itself none; today if that is unknown too;
        `collection`: None keeps the one it is in. When this returns, the document is stored for good. Raises ValueError
        if a passage was not cut from the document or a vector is not one; IndexError_, with nothing changed, if it
        could not be stored.
        """
        ...

    def remove(self, *source_ids: str) -> bool:
        """Forget these sources, all in one moment; False if none of them is known.

        Raises IndexError_, with nothing changed, if that could not be stored.
        """
        ...

    def note(
        self, source_id: str, *, stat: str | None = None, dated: str | None = None, collection: str | None = None
    ) -> None:
        """Note something new of a source whose bytes are the same. Raises KeyError if it is unknown."""
        ...

    def collections(self) -> list[CollectionRow]:
        """The named sets of documents, by name."""
        ...

    def rename_collection(self, old: str, new: str) -> int:
        """Put every document of `old` into `new`, which may be there already; how many went."""
        ...

    def sources(self) -> list[SourceRow]:
        """All documents, by uri."""
        ...

    def find(self, source_id: str) -> SourceRow | None:
        """One document's row, or None."""
        ...

    def document(self, source_id: str) -> Document:
        """A document with its text. Raises KeyError if it is unknown, IndexDamaged if it does not hold."""
        ...

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, each cut from its document and proven. Raises KeyError, IndexDamaged."""
        ...

    def vectors_of(self, keys: Sequence[str]) -> dict[str, Vectors]:
        """Vectors (dim,) by `key`, from whichever document says the same: what need not be embedded again."""
        ...

    def lay_by(self, vectors: Mapping[str, Vectors]) -> None:
        """Keep vectors (dim,) by `key` of passages whose document is not stored yet, for `vectors_of` to know after a
        stop; none at all: forget them. A keeper need not. Raises IndexError_."""
        return

    def reading(self) -> AbstractContextManager[Self]:
        """One moment for several calls: ids found by `dense` and `lexical` stay valid for `passages`.

        Hold it for a search, not for an answer.
        """
        ...

    def dense(self, vectors: Vectors, k: int, where: Filter | None = None) -> tuple[Ids, Cosines]:
        """The k passages nearest to each query (n, dim) that pass the filter: ids and cosines, each (n, k or fewer)."""
        ...

    def lexical(self, query: str, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        """The k best (id, BM25) for any word of the query that pass the filter; higher is better.

        How rare a word is counts over the whole index; whether it is too common to be searched for, over what passes.
        """
        ...

    def both(
        self, vectors: Vectors, query: str, k: int, where: Filter | None = None
    ) -> tuple[tuple[Ids, Cosines], list[tuple[int, float]]]:
        """`dense` and `lexical` of one moment, side by side where that is sooner done."""
        with self.reading():
            return self.dense(vectors, k, where), self.lexical(query, k, where)

    def idf(self, terms: Sequence[str]) -> list[float]:
        """ln(1 + (N - n + 0.5) / (n + 0.5)) of each term, n of N passages holding it (stemmed, words in a row)."""
        ...

    def flush(self) -> None:
        """Store what is derived, where it has fallen behind. Raises IndexError_; nothing is lost then but speed."""
        ...

    def check(self, make: Make | None = None) -> CheckReport:
        """Prove every passage, vector and document; make again what is derived where it does not hold, and with `make`
        the passages and vectors of documents whose text holds. Nothing is taken out."""
        ...

    def close(self) -> None:
        """Let the next one in. Closing twice is fine."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _keeper(place: Place) -> type[Index]:
    if isinstance(place, Milvus):
        from rag.index.milvus import MilvusIndex

        return MilvusIndex
    from rag.index.local import LocalIndex

    return LocalIndex
