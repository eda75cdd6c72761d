"""A hash for each page: what lies in the database is what was written, at any size, and whoever asks is told if not."""

from __future__ import annotations

import os
import random
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_index import MAKER, several

from rag.errors import IndexDamaged, IndexMismatch
from rag.filters import Filter
from rag.index import Index, store
from rag.index.log import Log, _summed
from rag.index.pages import Pages, hashes_of

WRITER = """
import os, sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_index import *
from rag.index import store
store.LOG_PAGES = 20
index = Index.open(Path({folder!r}), **MAKER)
print("there", flush=True)
for one in several(40): index.put(*one)
for _ in range(40): index.put(*several(1)[0])  # the pages of the others have left the log by now
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A closed index that counts as too large to be proven before it is opened."""
    monkeypatch.setattr(store, "HASHED_BYTES", 0)
    with Index.open(tmp_path / "index", **MAKER) as index:
        for n, one in enumerate(several(20)):
            index.put(*one, collection=f"c{n % 2}")
    return tmp_path / "index"


def flip(folder: Path, table: str, seed: int = 1) -> None:
    """Turn over one bit of a leaf page of this table or index."""
    con = sqlite3.connect(folder / "store.db")
    root = con.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    con.close()
    data = bytearray((folder / "store.db").read_bytes())
    page = root - 1
    while data[page * 8192] in (2, 5):  # an inner page: its last four bytes of head name the last child
        page = int.from_bytes(data[page * 8192 + 8 : page * 8192 + 12], "big") - 1
    used = random.Random(seed).randrange(int.from_bytes(data[page * 8192 + 5 : page * 8192 + 7], "big"), 8192)
    data[page * 8192 + used] ^= 1
    (folder / "store.db").write_bytes(data)


def asked(index: Index) -> Any:
    words = [index.lexical(word, 99) for word in ("paper7", "passage", "paper1 paper2")]
    return words, index.lexical("passage", 99, Filter(collections=("c1",))), index.sources()


@pytest.mark.parametrize("table", ["words_data", "words_docsize", "facets", "keys", "documents", "vectors"])
@pytest.mark.parametrize("write", [True, False])
def test_damage_to_a_large_index_is_told_by_the_first_question_and_check_cures_it(
    large: Path, table: str, write: bool
) -> None:
    with Index.open(large, **MAKER) as index:
        before = asked(index)
    flip(large, table)
    with Index.open(large, **MAKER, write=write) as index:
        with pytest.raises(IndexDamaged, match=r"page \d+ of the database.*(\n.*)?rag check"):
            asked(index)
        with pytest.raises(IndexDamaged):
            index.dense(np.ones((1, index.dim), np.float32), 3)
        report = index.check()
        assert report.ok == (write and table in ("words_data", "words_docsize"))
        assert report.problems or report.repaired
    if table in ("words_data", "words_docsize"):
        Index.mend(large, **MAKER)
        for write_ in (True, False):
            with Index.open(large, **MAKER, write=write_) as index:
                assert asked(index) == before
                assert index.check().repaired == ()


def test_a_change_of_a_damaged_large_index_is_refused_before_it_blesses_the_damage(large: Path) -> None:
    flip(large, "words_docsize")
    with Index.open(large, **MAKER) as index, pytest.raises(IndexDamaged):
        index.put(*several(21)[20])


def test_opening_a_large_index_does_not_wait_for_its_proof(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    go = threading.Event()
    looked = Pages.wrong
    monkeypatch.setattr(Pages, "wrong", lambda self, *stopped: go.wait(60) and looked(self, *stopped))
    index = Index.open(large, **MAKER)
    assert not go.is_set()
    go.set()
    assert len(index) == 50
    index.close()


def test_without_page_hashes_a_writer_looks_at_every_row_and_a_reader_names_the_cure(large: Path) -> None:
    (large / "PAGES").unlink()
    with pytest.raises(IndexMismatch) as error:
        Index.open(large, **MAKER, write=False)
    assert "rag check" in error.value.hint
    Index.open(large, **MAKER).close()
    flip(large, "words_docsize")
    with Index.open(large, **MAKER, write=False) as index, pytest.raises(IndexDamaged):
        asked(index)


def test_the_sum_of_the_log_is_sqlites() -> None:
    def slowly(a: int, b: int, words: tuple[int, ...]) -> tuple[int, int]:
        for x, y in zip(words[::2], words[1::2], strict=True):
            a = (a + x + b) % 2**32
            b = (b + y + a) % 2**32
        return a, b

    for size in (24, 520, 8200):
        data = os.urandom(size)
        for sign in "<>":
            words = struct.unpack(f"{sign}{size // 4}I", data)
            assert _summed((5, 2**32 - 3), data, f"{sign}u4") == slowly(5, 2**32 - 3, words)


def test_the_log_says_what_sqlite_would_read(tmp_path: Path) -> None:
    """Database and log together are, page by page, the image that SQLite gives, without what was never committed."""
    path, dice = tmp_path / "store.db", random.Random(3)
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("PRAGMA page_size=1024")
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("PRAGMA cache_size=5")  # so that pages reach the log before their transaction is over
    con.execute("CREATE TABLE t(a)")
    log = Log(tmp_path / "store.db-wal", 1024, lambda page: int(hashes_of(page, 1024)[0]))
    known: dict[int, int] = {}
    for turn in range(30):
        con.execute("BEGIN")
        con.executemany("INSERT INTO t VALUES (?)", [(dice.randbytes(dice.randrange(3000)),) for _ in range(20)])
        con.execute("DELETE FROM t WHERE rowid % 7 = ?", (turn % 7,))
        con.execute("ROLLBACK" if turn % 3 == 2 else "COMMIT")
        if turn % 11 == 10:
            con.execute("PRAGMA wal_checkpoint(PASSIVE)")  # the log begins anew with the next change
        known |= log.committed()
        image = hashes_of(con.serialize(), 1024)
        assert [known[n] for n in range(1, len(image) + 1)] == image.tolist()
    con.close()


def test_the_pages_hold_while_another_process_writes_and_after_it_was_killed(tmp_path: Path) -> None:
    here = Path(__file__).parent
    code = WRITER.format(tests=str(here), root=str(here.parent), folder=str(tmp_path / "index"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "there\n"
        pages, looks = Pages(tmp_path / "index" / "store.db"), 0
        while writer.poll() is None:
            assert pages.wrong() == []
            looks += 1
        assert looks
    assert pages.wrong() == []
    before = pages.bytes
    pages.close()
    with Index.open(tmp_path / "index", **MAKER) as index:
        assert len(index) == sum(len(one[1]) for one in several(40))
    assert before > 8 * 8192, "nothing had been copied into the database"
