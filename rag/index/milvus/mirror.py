"""The words of all passages in a file of this machine, for a server that has no BM25 (Milvus before 2.5).

The words come from the server, cut and stemmed already, and are ranked by the local keeper's own inverted index
(`rag.lexical`). The file can be thrown away: it is filled from the server, follows it to the moment of whoever asks,
is shared by all processes of this machine, and is made again where it does not hold. It proves nothing: what is found
by it is proven when it is fetched.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from rag import lexical
from rag.errors import IndexError_
from rag.files import Lock
from rag.filters import Filter
from rag.index.milvus import words
from rag.index.milvus.engine import MOST
from rag.index.milvus.ranking import Ranking, apart
from rag.index.milvus.view import Entry, View, in_time
from rag.index.milvus.writing import Shelf, ids_of
from rag.vectors import Ids

UNFINISHED = -1  # between two moments
WAIT_S = 600.0  # for another process that fills the file
SCHEMA = f"""
{lexical.schema("ascii")}
CREATE TABLE said(id INTEGER PRIMARY KEY, passage INTEGER NOT NULL, text TEXT NOT NULL, heading TEXT NOT NULL,
  day TEXT NOT NULL);
CREATE TABLE documents(number INTEGER PRIMARY KEY, first INTEGER NOT NULL, passages INTEGER NOT NULL);
CREATE TABLE moment(seq INTEGER NOT NULL);
INSERT INTO moment VALUES (0);
"""

_Said = tuple[int, str, str, str]


class Mirror:
    """One file; safe to use from many threads and processes."""

    def __init__(self, shelf: Shelf, born: str, folder: Path | None) -> None:
        """`born` tells this index from any other that ever had its name; `folder`: where the file lies, None for one
        that goes when this is closed."""
        self._shelf, self._own = shelf, None if folder else Path(tempfile.mkdtemp(prefix="rag-words-"))
        self._home = home = folder or self._own or Path()
        place, version = shelf.engine.place, f"{lexical.VERSION} {SCHEMA}"
        here, this = (_short(text) for text in (f"{place} {place.database}", f"{born} {shelf.generation} {version}"))
        self.file = home / f"words-{here}-{this}.db"
        for older in home.glob(f"words-{here}-*"):
            if not older.name.startswith(self.file.name):
                older.unlink(missing_ok=True)

    @contextmanager
    def at(self, now: View) -> Iterator[Ranking | None]:
        """The words of this moment; None if another process has brought the file to a later one."""
        try:
            con = self._at(now)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.file}{suffix}").unlink(missing_ok=True)
            con = self._at(now)
        with closing(con):
            at = con.execute("SELECT seq FROM moment").fetchone()[0]
            yield Mirrored(con, now) if at == now.seq else None

    def close(self) -> None:
        """Closing twice is fine."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _at(self, now: View) -> sqlite3.Connection:
        """A connection that sees one moment, this one or a later one."""
        self._home.mkdir(parents=True, exist_ok=True)
        con = sqlite3.connect(self.file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            if not self._seq(con) >= now.seq:
                with self._alone():
                    self._follow(con, now)
            con.execute("BEGIN")
            con.execute("SELECT seq FROM moment").fetchone()  # from here on it is the same
            return con
        except BaseException:
            con.close()
            raise

    def _seq(self, con: sqlite3.Connection) -> int:
        if not con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return UNFINISHED
        found: int = con.execute("SELECT seq FROM moment").fetchone()[0]
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                lock = Lock(Path(f"{self.file}.lock"))
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise IndexError_(f"the words in {self.file} are being filled: {error}") from error
                time.sleep(0.02)
        try:
            yield
        finally:
            lock.release()

    def _follow(self, con: sqlite3.Connection, now: View) -> None:
        """Bring the file to this moment, some thousand passages at a time; what is cut short is gone on with."""
        if not con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            con.execute("PRAGMA journal_mode = WAL")
            con.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        con.execute("PRAGMA synchronous = NORMAL")
        if self._seq(con) >= now.seq:
            return
        there = {number for (number,) in con.execute("SELECT number FROM documents")}
        wanted = {entry.number: entry for entry in now.live.values()}
        gone = [number for number in there if number not in wanted]
        batches = list(_batches([entry for number, entry in wanted.items() if number not in there]))
        for some in batches or [[]]:
            last = not batches or some is batches[-1]
            found = self._fetched(some)
            con.execute("BEGIN IMMEDIATE")
            try:
                _take_out(con, gone)
                _take_in(con, some, found)
                con.execute("UPDATE moment SET seq = ?", (now.seq if last else UNFINISHED,))
                con.execute("COMMIT")
            except BaseException:
                con.execute("ROLLBACK")
                raise
            gone = []

    def _fetched(self, some: Sequence[Entry]) -> dict[int, list[_Said]]:
        """The passages of these documents: (id, words of the text, words of the heading, own day), by document."""
        found: dict[int, list[_Said]] = {entry.number: [] for entry in some}
        if not some:
            return found
        shelf, fields = self._shelf, ["id", "document", "words", "text_words", "day"]
        small = [entry for entry in some if entry.row.passages <= MOST]
        rows = shelf.engine.rows(shelf.passages, f"document in [{', '.join(str(e.number) for e in small)}]", fields)
        for entry in some:
            if entry.row.passages > MOST:
                rows += shelf.engine.named(shelf.passages, ids_of(entry), fields).values()
        for row in rows:
            cut, n = row["words"].split(" "), row["text_words"]
            found[row["document"]].append((row["id"], " ".join(cut[:n]), " ".join(cut[n:]), row["day"]))
        return found


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The ranking of one moment, by the file."""

    con: sqlite3.Connection
    now: View

    def best(self, query: str, k: int, where: Filter | None) -> list[tuple[int, float]]:
        terms = [term for term in map(_quoted, words.phrases(lexical.query_terms(query)).values()) if term]
        top = self.con.execute("SELECT coalesce(max(id), 0) FROM said").fetchone()[0]
        some = self.now.passing(where)
        among = None if some is None else self._ids(where, some)
        found = lexical.ranked(self.con, terms, k, passages=self.now.passages, top=top, count=self._count, among=among)
        names = dict(self._passages([id for id, _ in found]))
        return [(names[id], score) for id, score in found]

    def holding(self, term: str) -> int:
        return self._count(_quoted(words.phrases([term])[term]))

    def _count(self, term: str) -> int:
        if term not in self.now.counts:
            self.now.counts[term] = lexical.frequency(self.con, term)
        return self.now.counts[term]

    def _ids(self, where: Filter | None, some: Sequence[Entry]) -> Ids:
        wanted, ids = {entry.number: entry for entry in some}, list[int]()
        for number, first, count in self.con.execute("SELECT number, first, passages FROM documents"):
            if (entry := wanted.get(number)) is None:
                continue
            if where is None or not apart(where, entry):
                ids += range(first, first + count)
                continue
            days = self.con.execute("SELECT id, day FROM said WHERE id >= ? AND id < ?", (first, first + count))
            ids += (id for id, day in days if in_time(where, day or entry.row.dated))
        return np.asarray(sorted(ids), np.int64)

    def _passages(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        for first in range(0, len(ids), 500):
            some = ids[first : first + 500]
            yield from self.con.execute(
                f"SELECT id, passage FROM said WHERE id IN ({', '.join('?' * len(some))})", some
            )


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Documents whose passages fit into one answer of the server."""
    some: list[Entry] = []
    held = 0
    for entry in entries:
        if some and held + entry.row.passages > MOST // 4:
            yield some
            some, held = [], 0
        some.append(entry)
        held += entry.row.passages
    if some:
        yield some


def _take_out(con: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for number in numbers:
        first, count = con.execute("SELECT first, passages FROM documents WHERE number = ?", (number,)).fetchone()
        stretch = first, first + count
        said = con.execute("SELECT id, text, heading FROM said WHERE id >= ? AND id < ?", stretch).fetchall()
        lexical.remove(con, said)
        con.execute("DELETE FROM said WHERE id >= ? AND id < ?", stretch)
        con.execute("DELETE FROM documents WHERE number = ?", (number,))


def _take_in(con: sqlite3.Connection, some: Sequence[Entry], found: dict[int, list[_Said]]) -> None:
    top = con.execute("SELECT coalesce(max(first + passages), 1) FROM documents").fetchone()[0]
    for entry in some:
        made = [(top + at, *row) for at, row in enumerate(sorted(found[entry.number]))]
        con.execute("INSERT INTO documents VALUES (?, ?, ?)", (entry.number, top, len(made)))
        con.executemany("INSERT INTO said VALUES (?, ?, ?, ?, ?)", made)
        lexical.add(con, ((id, text, heading) for id, _, text, heading, _ in made))
        top += len(made)


def _quoted(phrase: Sequence[str]) -> str:
    """Words as they were sent, as a phrase of FTS5; '' for none."""
    return f'"{" ".join(phrase)}"' if phrase else ""


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
