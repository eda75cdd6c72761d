"""From a folder to an index that may be asked: who may, who made it, and whether it still holds.

In this order: is there one (FORMAT), may I write (LOCK), is it mine (embedder and rules), is it all there (SEAL), is it
what was written (PAGES, and where they say nothing or no, every row).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from rag import lexical
from rag.errors import IndexError_, IndexMismatch
from rag.files import Lock
from rag.index import check, generation, migrate, rows, snapshot, store
from rag.index.check import CheckReport, Make
from rag.index.pages import PAGES
from rag.index.store import Store
from rag.vectors.rows import unit


class Maker(NamedTuple):
    """What an index is made with: fingerprint of the embedder, numbers per vector, fingerprint of the passage rules."""

    embedder: str
    dim: int
    rules: str


def opened(folder: Path, maker: Maker, write: bool) -> tuple[Store, Lock | None]:
    """The store, and the right to write it. Raises IndexMissing, IndexBusy, IndexMismatch, IndexDamaged."""
    try:
        if write:
            return _for_writing(folder, maker)
        if store.state(folder) != "there":
            raise store.missing(folder)
        return _checked(folder, maker, None), None
    except OSError as error:
        raise IndexError_(f"the index in {folder} cannot be opened: {error}") from error


def maker_of(folder: Path) -> Maker:
    """Who made the index. Raises IndexMissing, IndexMismatch, IndexDamaged."""
    if store.state(folder) != "there":
        raise store.missing(folder)
    with closing(Store(folder, write=False)) as found, found.reading() as con:
        meta = rows.meta(con)
        _not_newer(folder, meta)
        return Maker(meta.embedder, meta.dim, meta.rules)


def remade(folder: Path, maker: Maker, make: Make, progress: Callable[[int, int], None]) -> int:
    """Make the index anew with another embedder or other rules; how many documents were made now.

    The texts are those that are stored. Whoever reads goes on with the old index until the end; a kill costs the
    document in hand, and the next call goes on after it. 0 if this maker made the index already. Raises as `opened`.
    """
    if store.state(folder) != "there":
        raise store.missing(folder)
    lock = store.take(folder)
    try:
        with closing(Store(folder, write=True)) as found:
            with found.reading() as con:
                now = rows.meta(con)
                _not_newer(folder, now)
                store.acknowledged(folder, con)  # each text is proven when it is read
            if (now.embedder, now.dim, now.rules) == maker:
                return 0
            _brought_up(found)
            found.change(lambda con: generation.begin(con, maker), lambda _: None)
            with found.reading() as con:
                missing, all_ = generation.missing(con), len(rows.numbers(con))
            for done, number in enumerate(missing, start=all_ - len(missing)):
                progress(done, all_)
                _remake(found, number, maker.dim, make)
            progress(all_, all_)
            found.change(generation.swap, lambda _: None)
            return len(missing)
    finally:
        lock.release()


def _remake(found: Store, number: int, dim: int, make: Make) -> None:
    with found.reading() as con:
        document = rows.load(con, number).document
    passages, vectors = make(document)
    if len(unit(vectors, dim)) != len(passages):
        raise ValueError(f"{len(vectors)} vectors for {len(passages)} passages")
    found.change(lambda con: generation.add(con, number, document, passages, vectors), lambda _: None)


def mend(folder: Path, maker: Maker, make: Make | None) -> CheckReport:
    """Make again what can be made again, take out what else does not hold, seal it. Raises as `opened` does."""
    if store.state(folder) == "none":
        raise store.missing(folder)
    lock = store.take(folder)
    try:
        found = Store(folder, write=True)
        try:
            with found.reading() as con:
                _same_maker(folder, rows.meta(con), maker, write=True)
            _brought_up(found)
            report = check.mend(found, make)
        finally:
            found.close()
    finally:
        lock.release()
    return report


def _for_writing(folder: Path, maker: Maker) -> tuple[Store, Lock]:
    store.state(folder)
    with suppress(OSError):  # what cannot be made is told by the lock
        folder.mkdir(parents=True, exist_ok=True)
    lock = store.take(folder)
    try:
        store.settle(folder, lambda con: _begin(con, maker))
        return _checked(folder, maker, lock), lock
    except BaseException:
        lock.release()
        raise


def _begin(con: sqlite3.Connection, maker: Maker) -> None:
    row = (1, rows.SCHEMA_VERSION, *maker, lexical.VERSION, 1, 0, 0, 0, 0, bytes(32))
    con.execute(f"INSERT INTO meta VALUES ({', '.join('?' * len(row))})", row)


def _checked(folder: Path, maker: Maker, lock: Lock | None) -> Store:
    """The store, after everything that can be asked of it at once."""
    found = Store(folder, write=lock is not None)
    try:
        with found.reading() as con:
            meta, keep = rows.meta(con), snapshot.name_of(con)
            _same_maker(folder, meta, maker, found.write)
            store.acknowledged(folder, con)
        if found.write:
            store.clean(folder, keep)
            _brought_up(found)
            if meta.words != lexical.VERSION:
                found.change(rows.relist, lambda _: None)
        if not found.proven():
            _prove(found)
        return found
    except BaseException:
        found.close()
        raise


def _brought_up(found: Store) -> None:
    """Migrate an older schema: all of it or, if that is interrupted, nothing."""
    with found.reading() as con:
        older = rows.meta(con).schema < rows.SCHEMA_VERSION
    if older:
        found.change(migrate.migrate, lambda _: None)


def _same_maker(folder: Path, meta: rows.Meta, maker: Maker, write: bool) -> None:
    _not_newer(folder, meta)
    same(folder, Maker(meta.embedder, meta.dim, meta.rules), maker)
    if meta.schema < rows.SCHEMA_VERSION and not write:
        raise IndexMismatch(
            f"{folder} was made by an older version (schema {meta.schema}, now {rows.SCHEMA_VERSION})",
            hint=f"`rag check --index {folder}` brings it up to date; nothing is lost",
        )


def same(place: object, made: Maker, maker: Maker) -> None:
    """Raises IndexMismatch if the index at `place` was made by another one."""
    for what, has, wants in (
        ("embedder", f"{made.embedder} ({made.dim} numbers)", f"{maker.embedder} ({maker.dim} numbers)"),
        ("passage rules", repr(made.rules), repr(maker.rules)),
    ):
        if has != wants:
            raise IndexMismatch(
                f"{place} was made with the {what} {has}, this is {wants}",
                hint=f"go back to that setting, or `rag reindex --index {place}` makes it anew from its own texts",
            )


def _prove(found: Store) -> None:
    """Nothing proves the database as it lies there: prove every row, make the rest again. Raises IndexDamaged, and
    IndexMismatch where it can only be read and has no page hashes."""
    if not found.write and not found.hashed:
        raise IndexMismatch(
            f"{found.folder} has no page hashes: an older version made it, or the file {PAGES} was lost",
            hint=f"`rag check --index {found.folder}` makes them; nothing is lost",
        )
    report = check.check(found) if found.write else None
    if report is None or not report.ok:
        first = report.problems[0] if report is not None else "a page is not what was written"
        raise rows.damaged(f"the index in {found.folder} is damaged: {first}")


def _not_newer(folder: Path, meta: rows.Meta) -> None:
    if meta.schema > rows.SCHEMA_VERSION:
        raise IndexMismatch(f"{folder} was made by a newer version (schema {meta.schema})", hint="update this package")
