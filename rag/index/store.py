"""One folder, one writer, any number of readers, each of whom sees a single moment.

    FORMAT      says that an index lives here: nobody makes a new database beside it
    LOCK        held by the process that may write
    SEAL        the last sequence number that was acknowledged
    PAGES       a hash for every page of the database (`pages`)
    store.db    SQLite in WAL mode with synchronous=FULL (and store.db-wal, store.db-shm while it is open)

Seal and pages are what SQLite lacks: a flipped bit in the database is seen when it is opened next, and so is a
write-ahead log that went missing. The seal is 85 bytes, written in place: a full disk cannot stop it, and half of it
cannot be taken for the whole.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote

from rag.errors import IndexBusy, IndexDamaged, IndexError_, IndexMismatch, IndexMissing
from rag.files import TMP, Lock, sync_folder, write_atomically
from rag.index import pages, rows
from rag.index.chosen import Connection
from rag.index.pages import PAGES, Pages
from rag.vectors.shared import Shared

T = TypeVar("T")

FORMAT, LOCK, SEAL, DATABASE = "FORMAT", "LOCK", "SEAL", "store.db"
FORMAT_LINE = b"rag index 1\n"
WELCOME = {"README.md", ".gitignore", ".gitkeep", LOCK}  # what may lie in a folder that counts as empty
READING = (sqlite3.Error, UnicodeDecodeError)  # sqlite3 cannot always decode its own message about a damaged schema
HASHED_BYTES = 256 << 20  # a larger database is proven while it is open already; whoever asks first waits for the rest
LOG_PAGES = 1000  # so many pages in the log, and they are copied into the database
PAGE_BYTES = 8192  # five vectors of 384 numbers to a page, nothing wasted


class _Here(threading.local):
    con: sqlite3.Connection | None = None
    examining = False


class Store:
    """The database of one index folder; what is checked before it is believed stands in `opening`."""

    def __init__(self, folder: Path, write: bool) -> None:
        self.folder = folder
        self.write = write
        self._generation: int | None = None
        self.broken = ""  # why writing stopped, '' while it goes on
        self.turns = Shared()
        self._here = _Here()
        self._free: list[sqlite3.Connection] = []
        self._closed = False
        self._change = threading.RLock()
        self._writer = connect(folder, write) if write else None
        self._pages = Pages(folder / DATABASE)
        self._proof: threading.Thread | None = None
        self.damage = ""  # what is not as it was written, '' as far as is known

    @property
    def inside(self) -> bool:
        """True for a thread that is reading."""
        return self._here.con is not None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment; inside another `reading` of this thread, the same one.

        Raises IndexDamaged where SQLite finds the file malformed, or a page is not what was written.
        """
        if self._here.con is not None:
            yield self._here.con
            return
        self._believe()
        with self.turns.reading(), self.moment() as con:
            yield con

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """`reading` for a thread that holds `turns` already."""
        con = self._borrow()
        try:
            con.execute("BEGIN")
            generation = con.execute("SELECT generation FROM meta").fetchone()[0]  # a transaction begins with a look
            if self._generation not in (None, generation):
                raise IndexMismatch(f"the index in {self.folder} was made anew meanwhile", hint="open it again")
            self._generation = generation
            self._here.con = con
            yield con
        except READING as error:
            raise unread(self.folder, error) from error
        finally:
            self._here.con = None
            self._give_back(con)

    def change(self, work: Callable[[sqlite3.Connection], T], publish: Callable[[T], None]) -> T:
        """Run `work` in one transaction; when it is on the disk, `publish` before anybody reads again.

        Raises IndexError_ and changes nothing where the disk refuses. After a failed fsync nobody can know what the
        disk holds, so writing stops for good; reading goes on.
        """
        if self._here.con is not None:
            raise RuntimeError("an index cannot be changed by a thread that is reading it")
        self._believe()
        with self._change:
            con = self._ready()
            try:
                con.execute("BEGIN IMMEDIATE")
                result = work(con)
                with self.turns.changing():
                    seq = con.execute("SELECT seq FROM meta").fetchone()[0]
                    con.execute("COMMIT")
                    publish(result)
            except READING as error:
                self._undo(con)
                self._refuse(error)
            except BaseException:
                self._undo(con)
                raise
            with suppress(OSError):  # without it a lost log would go unseen, no more
                write_seal(self.folder, seq)
            with suppress(OSError, sqlite3.Error):  # then the log grows, until it can be done
                if self._pages.follow() >= LOG_PAGES:
                    self._pages.fold(con, "PASSIVE")
            return result

    @contextmanager
    def still(self) -> Iterator[None]:
        """No change by another thread while this lasts; reading goes on."""
        with self._change:
            yield

    @property
    def hashed(self) -> bool:
        """True if there are page hashes to prove the database with."""
        return self._pages.known

    def proven(self) -> bool:
        """False if a page is not what was written, or nobody knows. Of a large database that is found out beside other
        work from now on: whoever reads or changes it waits until it is known. Raises OSError."""
        if self.write:
            with suppress(OSError, sqlite3.Error):  # what an earlier process left in the log
                self._pages.fold(self._ready(), "TRUNCATE")
        if not self._pages.known:
            return False
        if self._pages.bytes <= HASHED_BYTES:
            return not self._pages.wrong()
        self._proof = threading.Thread(target=self._prove, name="rag-prove", daemon=True)
        self._proof.start()
        return True

    def sound(self) -> bool:
        """True if every page is what was written, as far as that is known. For who is alone. Raises IndexError_."""
        try:
            return self._pages.known and not self._pages.wrong()
        except OSError as error:
            raise IndexError_(f"the database in {self.folder} cannot be read: {error}", hint="try again") from error

    @contextmanager
    def examining(self) -> Iterator[None]:
        """For this thread, everything can be read, whatever `proven` finds: it looks for itself."""
        if self._proof is not None:
            self._proof.join()
        before, self._here.examining = self._here.examining, True
        try:
            yield
        finally:
            self._here.examining = before

    def seal_again(self) -> None:
        """The pages are right as they are: somebody has looked at every row. Raises OSError."""
        with self._change:
            self._pages.anew()
        self.damage = ""

    def close(self) -> None:
        """Fold the log into the database, let go. Closing twice is fine."""
        with self._change, self.turns.changing():
            if self._closed:
                return
            self._closed = True
            if self._proof is not None:
                self._proof.join()
            # whoever closes last copies the log into the database, if he may write: not without its hashes
            writers = [self._writer] if self._writer is not None else []
            for con in [*self._free, *writers] if self._folded() else [*writers, *self._free]:
                con.close()
            self._pages.close()

    def _folded(self) -> bool:
        if self._writer is None or self.broken:
            return False
        try:
            return self._pages.fold(self._writer, "TRUNCATE")
        except (sqlite3.Error, OSError):
            return False

    def _prove(self) -> None:
        try:
            if wrong := self._pages.wrong(lambda: self._closed):
                self.damage = f"page {wrong[0]} of the database in {self.folder} is not what was written"
        except OSError as error:
            self.damage = f"the database in {self.folder} cannot be read: {error}"

    def _believe(self) -> None:
        if self._proof is not None and not self._here.examining:
            self._proof.join()
            if self.damage:
                raise rows.damaged(self.damage)

    def _ready(self) -> sqlite3.Connection:
        if self._closed or self._writer is None:
            raise IndexError_(f"the index in {self.folder} is closed, or open for reading only")
        if self.broken:
            raise IndexError_(f"writing stopped: {self.broken}", hint="answers go on; start again to write")
        return self._writer

    def _refuse(self, error: Exception) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise IndexError_(
                "the disk is full; nothing of this document was stored", hint="free some space"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self.broken = str(error)
            raise rows.damaged(f"the database in {self.folder} is damaged: {error}") from error
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            self.broken = str(error)
        raise IndexError_(f"the index in {self.folder} could not be changed: {error}") from error

    @staticmethod
    def _undo(con: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            if con.in_transaction:
                con.execute("ROLLBACK")

    def _borrow(self) -> sqlite3.Connection:
        if self._closed:
            raise IndexError_(f"the index in {self.folder} is closed")
        try:
            return self._free.pop()
        except IndexError:
            return connect(self.folder, write=False)

    def _give_back(self, con: sqlite3.Connection) -> None:
        try:
            if con.in_transaction:
                con.execute("ROLLBACK")
            self._free.append(con)
        except sqlite3.Error:
            con.close()


def connect(folder: Path, write: bool) -> sqlite3.Connection:
    """A connection to the database, which must exist. In a folder that cannot be written, the file as it stands."""
    mode = "rw" if write else "ro"
    if not write and not os.access(folder, os.W_OK):
        mode += "&immutable=1"  # SQLite could not make its -shm file there
    uri = f"file:{quote(str((folder / DATABASE).absolute()))}?mode={mode}"
    try:
        con = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30, factory=Connection
        )
        con.execute("PRAGMA synchronous=FULL")
        con.execute("PRAGMA wal_autocheckpoint=0")  # `change` does it
    except READING as error:
        raise unread(folder, error) from error
    return con


def unread(folder: Path, error: Exception) -> IndexError_:
    """The error for a database that would not be read: damaged, unless the machine is to blame."""
    machine = (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
    )
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in machine:
        return IndexError_(f"the database in {folder} cannot be read now: {error}", hint="try again")
    return rows.damaged(f"the database in {folder} cannot be read: {error}")


def make(folder: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """A new database, whole before it gets its name. FORMAT comes last: before it there is nothing worth keeping."""
    folder.mkdir(parents=True, exist_ok=True)
    tmp = folder / f"{TMP}{os.getpid()}.db"
    con = sqlite3.connect(tmp, isolation_level=None)
    try:
        con.execute(f"PRAGMA page_size={PAGE_BYTES}")
        if con.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":  # it only says so
            raise OSError("the disk refused a log")
        con.execute("PRAGMA synchronous=FULL")
        con.execute("BEGIN")
        for statement in rows.SCHEMA.split(";"):
            con.execute(statement)
        fill(con)
        con.execute("COMMIT")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # closing would do it too, and say nothing if the disk refuses
    finally:
        con.close()
    pages.begin(tmp, folder, PAGE_BYTES)
    write_atomically(folder / SEAL, _seal_line(0))
    tmp.replace(folder / DATABASE)
    sync_folder(folder)
    write_atomically(folder / FORMAT, FORMAT_LINE)


def state(folder: Path) -> str:
    """'none', 'begun' (making it was interrupted) or 'there'. Raises IndexDamaged, IndexMismatch, IndexError_."""
    if not folder.exists():
        return "none"
    if not folder.is_dir():
        raise IndexError_(f"{folder} is not a folder")
    try:
        line = (folder / FORMAT).read_bytes()
    except FileNotFoundError:
        line = b""
    if line:
        if line != FORMAT_LINE:
            _unknown(folder, line)
        if not (folder / DATABASE).is_file() or (folder / DATABASE).stat().st_size == 0:
            raise IndexDamaged(f"{folder / DATABASE} is missing or empty", hint="restore it, or start in a new folder")
        return "there"
    names = {p.name for p in folder.iterdir() if not p.name.startswith(TMP)} - WELCOME
    ours = {SEAL, PAGES, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
    if others := {name for name in names - ours if not name.endswith(".faiss")}:
        raise IndexError_(f"{folder} holds other files, such as {min(others)!r}", hint="choose an empty folder")
    return "begun" if names else "none"


def settle(folder: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make the index if there is none, or finish making it. For the lock's holder. Raises IndexError_."""
    there = state(folder)
    if there == "there":
        return
    try:
        if there == "none" or not (folder / DATABASE).exists():
            make(folder, fill)
        elif (folder / DATABASE).stat().st_size:
            write_atomically(folder / FORMAT, FORMAT_LINE)
        else:
            raise IndexDamaged(f"{folder / DATABASE} is empty", hint="restore it, or start in a new folder")
    except (OSError, sqlite3.Error) as error:
        raise IndexError_(f"no index could be made in {folder}: {error}", hint="free some space") from error


def _unknown(folder: Path, line: bytes) -> NoReturn:
    if line.startswith(b"rag index ") and line[10:].strip().isdigit():
        raise IndexMismatch(f"{folder} was made by a newer version ({line[:40]!r})", hint="update this package")
    raise IndexDamaged(f"{folder / FORMAT} is not what was written: {line[:40]!r}", hint="restore it from a copy")


def clean(folder: Path, keep: str) -> None:
    """Delete what an interrupted process left: unfinished files and all snapshots but `keep`. For the lock's holder."""
    for path in folder.iterdir():
        if path.name.startswith(TMP) or (path.suffix == ".faiss" and path.name != keep):
            with suppress(OSError):
                path.unlink()


def take(folder: Path) -> Lock:
    """The right to write. Raises IndexBusy if another process has it."""
    try:
        return Lock(folder / LOCK)
    except BlockingIOError as error:
        raise IndexBusy(str(error), hint="wait for it, or open the index for reading") from error
    except OSError as error:
        raise IndexError_(f"{folder} cannot be written: {error}") from error


def missing(folder: Path) -> IndexMissing:
    """The error for a folder without an index."""
    return IndexMissing(f"there is no index in {folder}", hint="rag add PATH...")


def acknowledged(folder: Path, con: sqlite3.Connection) -> None:
    """Raises IndexDamaged if a change that was acknowledged is not there."""
    promised = read_seal(folder)
    seq = con.execute("SELECT seq FROM meta").fetchone()[0]
    if seq < promised:
        raise IndexDamaged(
            f"the database in {folder} holds change {seq}, but change {promised} was acknowledged",
            hint=f"restore {DATABASE} and {DATABASE}-wal, or delete {SEAL} to go on with what is there",
        )


def write_seal(folder: Path, seq: int) -> None:
    """Overwrite the seal in place."""
    handle = os.open(folder / SEAL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(handle, _seal_line(seq), 0)
    finally:
        os.close(handle)


def read_seal(folder: Path) -> int:
    """The number of the last acknowledged change; 0 without a seal that can be believed."""
    try:
        line = (folder / SEAL).read_bytes()
        seq, digest = int(line[:12]), line[13:77].decode("ascii")
    except (OSError, ValueError):
        return 0
    return seq if line == _seal_line(seq, digest) else 0


def _seal_line(seq: int, digest: str = "-" * 64) -> bytes:
    """`digest`: where older versions had a hash of the whole database."""
    body = f"{seq:012d} {digest}"
    return f"{body} {hashlib.sha256(body.encode()).hexdigest()[:6]}\n".encode("ascii")
