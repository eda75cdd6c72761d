"""From a place to an index that may be asked: is there one, who made it, may I write; and anew for another embedder."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.errors import IndexMismatch, IndexMissing
from rag.index.check import Make
from rag.index.given import whole
from rag.index.milvus import right, view, writing
from rag.index.milvus.engine import Engine
from rag.index.milvus.right import Right
from rag.index.milvus.view import MOVED, Entry, View
from rag.index.milvus.writing import Shelf
from rag.index.opening import Maker, same
from rag.index.place import Milvus
from rag.index.rows import SourceRow
from rag.types import Source

FORMAT = 2  # passages with days of their own


def opened(place: Milvus, maker: Maker, write: bool) -> tuple[Shelf, str, Right | None]:
    """The collections, what tells them from any others that had their name, and the right to write them.

    Raises IndexMissing, IndexBusy, IndexMismatch, IndexError_.
    """
    engine = _connected(place, write)
    held: Right | None = None
    try:
        if write:
            engine.make("meta")
            engine.load("meta")
            held = right.taken(engine)
            if _meta(engine) is None:
                shelf = Shelf(engine, 1, engine.ranked)
                shelf.make(maker.dim)
                _say(engine, maker, 1, ranked=shelf.ranked, born=secrets.token_hex(8))
        meta = _current(engine)
        same(place, _maker(meta), maker)
        shelf = _shelf(engine, meta)
        shelf.load()
        if write:
            Shelf(engine, shelf.generation - 1).drop()  # an older generation, whose readers are told to open again
        return shelf, meta.get("born", ""), held
    except BaseException:
        if held is not None:
            held.release()
        engine.close()
        raise


def remade(place: Milvus, maker: Maker, make: Make, progress: Callable[[int, int], None]) -> int:
    """Make the index anew in a generation beside the old, then let that one be in force. Raises as `opened` does."""
    engine = _connected(place, write=False)
    try:
        if _meta(engine) is None:
            raise _missing(place)
        held = right.taken(engine)
        try:
            meta = _current(engine)
            if _maker(meta) == maker:
                return 0
            old, ranked, born = _shelf(engine, meta), engine.ranked, meta.get("born", "")
            if meta.get("making") != [*maker, ranked]:
                Shelf(engine, old.generation + 1).drop()
                Shelf(engine, old.generation + 1, ranked).make(maker.dim)
                _say(engine, _maker(meta), old.generation, ranked=old.ranked, born=born, making=[*maker, ranked])
            new = Shelf(engine, old.generation + 1, ranked)
            old.load()
            new.load()
            number = _moved(old, new, maker, make, progress)
            _say(engine, maker, new.generation, ranked=ranked, born=born)
            seq = view.caught_up(engine, old.documents, View()).seq
            last = Entry(
                0, seq + 1, MOVED, SourceRow(Source("", "", ""), "", "", 0, 0, 0.0, ""), "", 0, 0, 0, time.time()
            )
            engine.upsert(old.documents, [last.sent()])
            return number
        finally:
            held.release()
    finally:
        engine.close()


def _moved(old: Shelf, new: Shelf, maker: Maker, make: Make, progress: Callable[[int, int], None]) -> int:
    """Bring the new generation in step with the old one; how many documents were made."""
    before = view.caught_up(old.engine, old.documents, View())
    now = view.caught_up(new.engine, new.documents, View())
    if gone := [entry for id, entry in now.live.items() if id not in before.live]:
        writing.remove(new, now, gone)
    number = 0
    for done, (id, entry) in enumerate(sorted(before.live.items())):
        progress(done, len(before.live))
        made = now.live.get(id)
        if made is not None and replace(made.row, passages=entry.row.passages) == entry.row and made.own == entry.own:
            continue
        document = writing.loaded(old, entry)
        passages, vectors = make(document)
        row = replace(entry.row, passages=len(passages))
        now = view.caught_up(new.engine, new.documents, now)
        writing.put(new, now, document, passages, whole(document, passages, vectors, maker.dim), row)
        number += 1
    progress(len(before.live), len(before.live))
    return number


def maker_of(place: Milvus) -> Maker:
    """Who made the index. Raises IndexMissing, IndexBusy, IndexMismatch, IndexError_."""
    engine = _connected(place, write=False)
    try:
        return _maker(_current(engine))
    finally:
        engine.close()


def there(place: Milvus) -> bool:
    """True if there is an index. Raises IndexBusy, IndexError_."""
    try:
        engine = _connected(place, write=False)
    except IndexMissing:
        return False
    try:
        return _meta(engine) is not None
    finally:
        engine.close()


def _connected(place: Milvus, write: bool) -> Engine:
    if place.file and not Path(place.file).exists():
        if not write:
            raise _missing(place)  # opening would make it
        Path(place.file).resolve().parent.mkdir(parents=True, exist_ok=True)
    return Engine(place)


def _current(engine: Engine) -> dict[str, Any]:
    if (meta := _meta(engine)) is None:
        raise _missing(engine.place)
    if meta["format"] > FORMAT:
        raise IndexMismatch(f"{engine.place} was made by a newer version", "update this package")
    if meta["format"] < FORMAT:
        raise IndexMismatch(f"{engine.place} was made by an older version", "rag add PATH --index ANOTHER_NAME")
    return meta


def _meta(engine: Engine) -> dict[str, Any] | None:
    if not engine.has("meta"):
        return None
    engine.load("meta")
    found = engine.named("meta", ["index"], ["value"])
    return json.loads(found["index"]["value"]) if found else None


def _say(engine: Engine, maker: Maker, generation: int, **more: Any) -> None:
    told = {"format": FORMAT, **maker._asdict(), "generation": generation, **more}
    engine.upsert("meta", [{"id": "index", "value": json.dumps(told)}])


def _maker(meta: dict[str, Any]) -> Maker:
    return Maker(meta["embedder"], meta["dim"], meta["rules"])


def _shelf(engine: Engine, meta: dict[str, Any]) -> Shelf:
    return Shelf(engine, meta["generation"], meta.get("ranked", True))


def _missing(place: Milvus) -> IndexMissing:
    return IndexMissing(f"there is no index at {place}", f"rag add PATH --index {place}")
