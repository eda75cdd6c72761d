"""The vectors in a form that opens fast. Disposable: whatever is wrong with it, the rows make it again.

A snapshot is written whole, gets its name, and only then its row in the database. It is believed if its sha256 and its
count are those of that row; what changed after it is caught up from the rows, so that adding one document to a million
does not write a million again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from rag.errors import IndexError_
from rag.files import sha256_of, writing
from rag.index import rows
from rag.index.chosen import all_ids
from rag.index.store import Store
from rag.vectors import Ids, VectorIndex, Vectors
from rag.vectors.cells import SAMPLE, CellIndex, Fetch, cells_for, read_from
from rag.vectors.faiss import FaissIndex

FRESH = 0.05  # behind by less than this share of the index, catching up is cheaper than writing everything again


@dataclass(slots=True)
class Held:
    """The vectors in memory as of change `seq`; `top` is the highest passage id known then."""

    seq: int
    top: int
    vectors: VectorIndex


def name_of(con: sqlite3.Connection) -> str:
    """The file that counts, '' if none does."""
    found = con.execute("SELECT name FROM snapshot").fetchone()
    return "" if found is None else str(found[0])


def load(con: sqlite3.Connection, store: Store) -> Held:
    """The vectors as of this moment: from the snapshot if it holds, else from the rows. Raises IndexDamaged."""
    now = rows.meta(con)
    with suppress(OSError, ValueError):
        held = read(con, store, now.dim)
        if catch_up(con, held) and np.array_equal(held.vectors.ids(), all_ids(con)):
            return held
    return from_rows(con, store)


def from_rows(con: sqlite3.Connection, store: Store) -> Held:
    """The vectors as of this moment, made from their rows, in the kind that suits their number. Raises IndexDamaged."""
    now = rows.meta(con)
    held = Held(now.seq, -1, _kind(con, store, now))
    _add_after(con, held, now)
    if len(held.vectors) != now.passages:
        raise rows.damaged(f"{now.passages} passages were stored, {len(held.vectors)} vectors are there")
    return held


def _kind(con: sqlite3.Connection, store: Store, now: rows.Meta) -> VectorIndex:
    """An index without vectors yet: exact, or with cells, whose centres are found in an even sample of the rows."""
    if not (cells := cells_for(now.passages)):
        return FaissIndex(now.dim)
    ids, fetch = all_ids(con), fetching(store, now.dim)
    sample = fetch(ids[:: max(1, len(ids) // (SAMPLE * cells))])
    return CellIndex.trained(now.dim, fetch, sample, cells)


def fetching(store: Store, dim: int) -> Fetch:
    """How an index that keeps rounded rows gets at the exact ones: within the moment of the search, each proven."""

    def fetch(ids: Ids) -> Vectors:
        sql = "SELECT id, row, hash FROM vectors WHERE id IN (SELECT value FROM json_each(?))"
        with store.reading() as con:
            found = {row[0]: row for row in con.execute(sql, (json.dumps(ids.tolist()),))}
        if len(found) < len(ids):
            raise rows.damaged(f"{len(ids) - len(found)} vectors of {len(ids)} are missing")
        return rows.stacked([found[id] for id in ids.tolist()], dim)

    return fetch


def outgrown(held: Held) -> bool:
    """True if so many vectors should be kept otherwise: in cells, in more of them, or, few as they are, in none.

    Half as many as are worth cells are few, and twice as many as are worth more cells get them: an index about the edge
    is not made anew each time it crosses it.
    """
    count = len(held.vectors)
    if not isinstance(held.vectors, CellIndex):
        return cells_for(count) > 0
    return cells_for(count // 2) > held.vectors.cells or not cells_for(2 * count)


def catch_up(con: sqlite3.Connection, held: Held) -> bool:
    """Bring the vectors to this moment; False if they must be loaded again. Raises IndexDamaged."""
    now = rows.meta(con)
    if held.seq < now.floor or held.seq > now.seq:
        return False
    for first, count in con.execute("SELECT first, passages FROM gone WHERE seq > ?", (held.seq,)):
        held.vectors.remove(range(first, first + count))
    _add_after(con, held, now)
    held.seq = now.seq
    return len(held.vectors) == now.passages


def behind(con: sqlite3.Connection) -> bool:
    """True if the snapshot has fallen so far behind that it should be written again."""
    now = rows.meta(con)
    found = con.execute("SELECT seq, top FROM snapshot").fetchone()
    if found is None:
        return now.passages > 0
    gone = con.execute("SELECT coalesce(sum(passages), 0) FROM gone WHERE seq > ?", (found[0],)).fetchone()[0]
    return bool(gone + now.top - found[1] > FRESH * now.passages)


def save(store: Store, held: Held) -> None:
    """Write the file, then the row that names it, then forget the one before. Raises IndexError_."""
    with store.reading() as con:
        now, old = rows.meta(con), name_of(con)
    name = f"vectors-{now.generation}-{held.seq}.faiss"
    try:
        with writing(store.folder / name) as file:
            held.vectors.write_to(file)
        digest = sha256_of(store.folder / name)
    except OSError as error:
        raise IndexError_(f"no snapshot could be written: {error}", hint="free some space") from error
    row = (name, held.seq, held.top, len(held.vectors), digest)
    store.change(_naming(row), lambda _: None)
    if old and old != name:
        with suppress(OSError):
            (store.folder / old).unlink()


def _naming(row: tuple[str, int, int, int, str]) -> Callable[[sqlite3.Connection], None]:
    def work(con: sqlite3.Connection) -> None:
        con.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?)", row)
        con.execute("DELETE FROM gone WHERE seq <= ?", (row[1],))
        con.execute("UPDATE meta SET floor = max(floor, ?)", (row[1],))

    return work


def read(con: sqlite3.Connection, store: Store, dim: int) -> Held:
    """The snapshot as it was written. Raises OSError or ValueError."""
    found = con.execute("SELECT name, seq, top, passages, sha256 FROM snapshot").fetchone()
    if found is None:
        raise ValueError("no snapshot")
    name, seq, top, count, digest = found
    with (store.folder / name).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError(f"{name} is not what was written")
        size = file.tell()
        file.seek(0)
        vectors = read_from(file, size, dim, fetching(store, dim))
    if len(vectors) != count:
        raise ValueError(f"{name} holds {len(vectors)} vectors, not {count}")
    return Held(seq, top, vectors)


def _add_after(con: sqlite3.Connection, held: Held, now: rows.Meta) -> None:
    for ids, vectors in rows.vectors(con, now.dim, after=held.top):
        held.vectors.add(ids, vectors)
    held.top = now.top
