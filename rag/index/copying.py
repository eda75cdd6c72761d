"""An index from one place into another: a folder into Milvus, Milvus into a folder, one server into another.

Every document is read back from where it went, and compared with what it was: source, text, marks, each passage with
its span and heading, each vector bit by bit, collection, dates, and what is noted of the file. The keepers prove their
own hashes whenever they read. What is there already is compared and left, so that a copy that was cut short goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import IndexDamaged, UsageError
from rag.index import Index, Place
from rag.index.rows import SourceRow
from rag.types import Document, Passage
from rag.vectors import Vectors

if TYPE_CHECKING:
    from rag.index.opening import Maker

TOGETHER = 32  # documents that are written before they are read back: a server that was asked just now lags a moment
Contents = tuple[Document, list[Passage], Vectors]


@dataclass(frozen=True, slots=True)
class Copied:
    """`documents` and `passages` are at the other place as they are here, `already` of the documents were before;
    `others` are documents there of which this index knows nothing, left as they were."""

    documents: int
    passages: int
    already: int
    others: int
    seconds: float


def copied(here: Place, there: Place, progress: Callable[[int, int], None] = lambda done, all_: None) -> Copied:
    """Bring all documents of one index into another, which is made if it is not there.

    What changes here meanwhile is followed. May be stopped at any time and called again. `progress`: documents done, of
    all. Raises UsageError for twice the same place, IndexMismatch with both names if the other was made with another
    embedder or other rules, IndexDamaged if something came back otherwise, and what `Index.open` raises.
    """
    if here == there:
        raise UsageError(f"{here} is where it is already", "name another place to copy it to")
    start, maker = time.perf_counter(), Index.maker(here)
    done: dict[str, SourceRow] = {}
    already = 0
    with _opened(here, maker, write=False) as old, _opened(there, maker, write=True) as new:
        now = old.sources()
        while todo := [row for row in now if done.get(row.source.id) != row]:
            for first in range(0, len(todo), TOGETHER):
                progress(len(done), len(now))
                some = todo[first : first + TOGETHER]
                already += _sent(old, new, some)
                done |= {row.source.id: row for row in some}
            now = old.sources()  # what changed meanwhile
        if gone := done.keys() - {row.source.id for row in now}:
            new.remove(*gone)
        progress(len(now), len(now))
        others = len(new.sources()) - len(now)
    return Copied(len(now), sum(row.passages for row in now), already, others, time.perf_counter() - start)


def _opened(place: Place, maker: Maker, write: bool) -> Index:
    return Index.open(place, **maker._asdict(), write=write)


def _sent(old: Index, new: Index, some: Sequence[SourceRow]) -> int:
    """Copy some documents and compare them; how many were there already."""
    already, left = 0, list[tuple[SourceRow, Contents]]()
    for row in some:
        try:
            whole = old.contents(row.source.id)
        except KeyError:  # it was removed meanwhile
            continue
        if _same(new, row, whole):
            already += 1
            continue
        document, passages, vectors = whole
        about = {"digest": row.digest, "stat": row.stat, "dated": row.dated, "collection": row.collection}
        new.put(document, passages, vectors, **about, added=row.added)
        left.append((row, whole))
    for row, whole in left:
        if not _same(new, row, whole):
            raise IndexDamaged(f"{row.source.uri!r} did not come back as it was sent", "copy it again, then rag check")
    return already


def _same(new: Index, row: SourceRow, whole: Contents) -> bool:
    """True if all of it is there, character for character and bit for bit."""
    if new.find(row.source.id) != row:
        return False
    try:
        document, passages, vectors = new.contents(row.source.id)
    except IndexDamaged:
        return False
    return (document, passages) == whole[:2] and np.array_equal(vectors, whole[2])
