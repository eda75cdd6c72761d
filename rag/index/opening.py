"""From a folder to an index that may be asked: who may, who made it, and whether it still holds.

In this order: is there one (FORMAT), may I write (LOCK), is it mine (embedder and rules), is it whole (SEAL, and where
the seal says nothing, every row).
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rag import lexical
from rag.errors import IndexError_, IndexMismatch
from rag.files import Lock
from rag.index import check, rows, snapshot, store
from rag.index.check import CheckReport
from rag.index.store import Store


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


def mend(folder: Path, maker: Maker) -> CheckReport:
    """Take out what does not hold, make again what is derived, seal it. Raises as `opened` does."""
    if store.state(folder) == "none":
        raise store.missing(folder)
    lock = store.take(folder)
    try:
        found = Store(folder, write=True)
        try:
            with found.reading() as con:
                _same_maker(folder, rows.meta(con), maker)
            report = check.mend(found)
            found.seal_again()
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
            _same_maker(folder, rows.meta(con), maker)
            proven = store.proven(folder, con, lock is not None)
        if not proven:
            _prove(found)
        if lock is not None:
            with found.reading() as con:
                keep, words = snapshot.name_of(con), rows.meta(con).words
            store.clean(folder, keep)
            if words != lexical.VERSION:
                found.change(rows.relist, lambda _: None)
        return found
    except BaseException:
        found.close()
        raise


def _same_maker(folder: Path, meta: rows.Meta, maker: Maker) -> None:
    if meta.schema > rows.SCHEMA_VERSION:
        raise IndexMismatch(f"{folder} was made by a newer version (schema {meta.schema})", hint="update this package")
    if meta.schema < rows.SCHEMA_VERSION:  # schema 1 was never released
        raise IndexMismatch(
            f"{folder} was made by an older version (schema {meta.schema})", hint="delete it, add again"
        )
    for what, has, wants in (
        ("embedder", f"{meta.embedder} ({meta.dim} numbers)", f"{maker.embedder} ({maker.dim} numbers)"),
        ("passage rules", repr(meta.rules), repr(maker.rules)),
    ):
        if has != wants:
            raise IndexMismatch(
                f"{folder} was made with the {what} {has}, this is {wants}",
                hint="go back to that setting, or add the documents again to an index in a new folder",
            )


def _prove(found: Store) -> None:
    """A seal that does not fit: prove every row, make the rest again, seal anew. Raises IndexDamaged."""
    report = check.check(found) if found.write else None
    if report is None or not report.ok:
        first = report.problems[0] if report is not None else "its seal does not fit"
        raise rows.damaged(f"the index in {found.folder} is damaged: {first}")
    found.seal_again()
