"""Everything that counts against what proves it: texts against documents, passages against texts, vectors against
hashes. What does not hold is made again from a text that does, or named."""

from __future__ import annotations

from dataclasses import dataclass

from rag.errors import IndexDamaged
from rag.index.milvus.engine import BATCH
from rag.index.milvus.view import Entry, View
from rag.index.milvus.writing import Shelf, cut, day_of, ids_of, loaded, vector
from rag.types import Document


@dataclass(frozen=True, slots=True)
class Hurt:
    """A document that does not hold, why, and itself where its text does."""

    entry: Entry
    why: str
    document: Document | None


def examined(shelf: Shelf, view: View) -> list[Hurt]:
    """The documents of a moment that do not hold."""
    hurt = []
    for _, entry in sorted(view.live.items()):
        document = None
        try:
            document = loaded(shelf, entry)
            _prove(shelf, entry, document)
        except (IndexDamaged, KeyError) as error:
            why = error.message if isinstance(error, IndexDamaged) else f"the text of {entry.row.source.uri!r} is gone"
            hurt.append(Hurt(entry, why, document))
    return hurt


def _prove(shelf: Shelf, entry: Entry, document: Document) -> None:
    """Raises IndexDamaged unless all passages of a document are there and hold."""
    ids = ids_of(entry)
    fields = ["document", "start", "end", "hash", "seal", "vector", "day"]
    for first in range(0, len(ids), BATCH):
        some = ids[first : first + BATCH]
        found = shelf.engine.named(shelf.passages, some, fields)
        if missing := [id for id in some if id not in found]:
            raise IndexDamaged(f"{len(missing)} passages of {entry.row.source.uri!r} are missing", "rag check")
        for id in some:
            passage = cut(entry, document, found[id])
            vector(found[id])
            if found[id]["day"] != day_of(document, passage.span):
                raise IndexDamaged(
                    f"the day of a passage of {entry.row.source.uri!r} is not what was stored", "rag check"
                )
