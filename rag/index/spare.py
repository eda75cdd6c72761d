"""Vectors of a large document that is not stored yet: whoever was stopped in the middle of it goes on there.

Nothing is lost with them but time, so they are no part of what the index holds: what does not hold is embedded again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from rag.vectors import Vectors

SCHEMA = """
CREATE TABLE spare(key BLOB PRIMARY KEY, row BLOB NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID;
"""


def add(con: sqlite3.Connection, vectors: Mapping[str, Vectors]) -> None:
    """Lay these by, (dim,) under each `text_key`; none at all: forget what was laid by."""
    if not vectors:
        con.execute("DELETE FROM spare")
    rows = ((bytes.fromhex(key), vector.astype("<f4").tobytes()) for key, vector in vectors.items())
    con.executemany("INSERT OR REPLACE INTO spare VALUES (?, ?, ?)", ((k, row, _hash(k, row)) for k, row in rows))


def find(con: sqlite3.Connection, key: str, dim: int) -> Vectors | None:
    """The vector under this key, None if there is none that holds."""
    found = con.execute("SELECT row, hash FROM spare WHERE key = ?", (bytes.fromhex(key),)).fetchone()
    if found is None or len(found[0]) != 4 * dim or _hash(bytes.fromhex(key), found[0]) != found[1]:
        return None
    vector: Vectors = np.frombuffer(found[0], "<f4").astype(np.float32)
    return vector


def _hash(key: bytes, row: bytes) -> bytes:
    return blake2b(key + row, digest_size=16).digest()
