"""What every keeper does with what it is given, before it stores it in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.index.rows import SourceRow
from rag.types import Document, Passage
from rag.vectors import Vectors
from rag.vectors.rows import unit


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A named set of documents of the index. A collection is there as long as a document is in it."""

    name: str
    documents: int
    passages: int


def whole(document: Document, passages: Sequence[Passage], vectors: Vectors, dim: int) -> Vectors:
    """The vectors as they are stored, float32 (passages, dim). Raises ValueError if passages or vectors are not the
    document's."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if len(unit(vectors, dim)) != len(passages):
        raise ValueError(f"{len(vectors)} vectors for {len(passages)} passages")
    for passage in passages:
        if passage != Passage.cut(document, passage.span):
            raise ValueError(f"the passage at {passage.span} was not cut from {document.source.uri!r}")
    return vectors


def noted(row: SourceRow, stat: str | None, dated: str | None, collection: str | None) -> SourceRow:
    """A document's row with what is new; None leaves what is there. A document's own date stays."""
    return replace(
        row,
        stat=row.stat if stat is None else stat,
        dated=row.source.date or (row.dated if dated is None else dated),
        collection=row.collection if collection is None else collection,
    )
