"""One folder, one writer, any number of readers, each of whom sees a single moment.

    FORMAT      says that an index lives here: nobody makes a new database beside it
    LOCK        held by the process that may write
    SEAL        the last sequence number that was acknowledged and, after an orderly close, the database's sha256
    store.db    SQLite in WAL mode with synchronous=FULL (and store.db-wal, store.db-shm while it is open)

The seal is what SQLite lacks: a flipped bit in a database that was closed in order is seen when it is opened next, and
so is a write-ahead log that went missing. It is 85 bytes, written in place: a full disk cannot stop it, and half of it
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
from rag.files import TMP, Lock, is_locked, sync_folder, write_atomically
from rag.index import rows
from rag.index.chosen import Connection
from rag.vectors.shared import Shared

T = TypeVar("T")

FORMAT, LOCK, SEAL, DATABASE = "FORMAT", "LOCK", "SEAL", "store.db"
FORMAT_LINE = b"rag index 1\n"
WELCOME = {"README.md", ".gitignore", ".gitkeep", LOCK}  # what may lie in a folder that counts as empty
READING = (sqlite3.Error, UnicodeDecodeError)  # sqlite3 cannot always decode its own message about a damaged schema
CLOSED = "=" * 64  # in place of the sha256: closed in order, but too large to hash
PROVEN_BYTES = 16 << 20  # a larger database is not read row by row after a crash: that takes a second for each 16 MB
CHECKED_BYTES = (
    512 << 20
)  # nor page by page: seconds for each GB; its rows carry hashes, and `rag check` reads them all
HASHED_BYTES = 64 << 20  # a larger database is sealed without its sha256: hashing it would be felt at every start


class _Here(threading.local):
    con: sqlite3.Connection | None = None


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
        self._sealed = True
        self._change = threading.RLock()
        self._writer = connect(folder, write) if write else None

    @property
    def inside(self) -> bool:
        """True for a thread that is reading."""
        return self._here.con is not None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment; inside another `reading` of this thread, the same one.

        Raises IndexDamaged where SQLite finds the file malformed.
        """
        if self._here.con is not None:
            yield self._here.con
            return
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
                write_seal(self.folder, seq, "")
            return result

    @contextmanager
    def still(self) -> Iterator[None]:
        """No change by another thread while this lasts; reading goes on."""
        with self._change:
            yield

    def close(self) -> None:
        """Fold the log into the database, seal it, let go. Closing twice is fine."""
        with self._change, self.turns.changing():
            if self._closed:
                return
            self._closed = True
            if self._writer is not None and not self._sealed and not self.broken:
                with suppress(sqlite3.Error, OSError):
                    seal(self.folder, self._writer)
            for con in [*self._free, self._writer]:
                if con is not None:
                    con.close()

    def seal_again(self) -> None:
        """Let the next orderly close write a new seal, though nothing was changed."""
        self._sealed = False

    def _ready(self) -> sqlite3.Connection:
        if self._closed or self._writer is None:
            raise IndexError_(f"the index in {self.folder} is closed, or open for reading only")
        if self.broken:
            raise IndexError_(f"writing stopped: {self.broken}", hint="answers go on; start again to write")
        if self._sealed:
            try:
                unseal(self.folder)
            except OSError as error:
                raise IndexError_(f"{self.folder} cannot be written: {error}") from error
            self._sealed = False
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
        con.execute("PRAGMA page_size=8192")  # five vectors of 384 numbers to a page, nothing wasted
        con.execute("PRAGMA journal_mode=WAL")
        con.execute("PRAGMA synchronous=FULL")
        con.execute("BEGIN")
        for statement in rows.SCHEMA.split(";"):
            con.execute(statement)
        fill(con)
        con.execute("COMMIT")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        image = con.serialize()
    finally:
        con.close()
    write_atomically(folder / SEAL, _seal_line(0, hashlib.sha256(image).hexdigest()))
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
    ours = {SEAL, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
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


def proven(folder: Path, con: sqlite3.Connection, write: bool) -> bool:
    """True if the seal proves the database, False if somebody must look closer. Raises IndexDamaged.

    Without a fresh seal (a crash, or another process is writing) SQLite's own check must do, up to a size, and only if
    nobody is writing, because that process has done it.
    """
    acknowledged, digest = read_seal(folder)
    seq = con.execute("SELECT seq FROM meta").fetchone()[0]
    if seq < acknowledged:
        raise IndexDamaged(
            f"the database in {folder} holds change {seq}, but change {acknowledged} was acknowledged",
            hint=f"restore {DATABASE} and {DATABASE}-wal, or delete {SEAL} to go on with what is there",
        )
    if digest == CLOSED:
        return True
    if digest.strip("-"):
        same = hashlib.sha256(con.serialize()).hexdigest() == digest
        return same or read_seal(folder) != (acknowledged, digest)  # a writer began meanwhile
    if not is_locked(folder / LOCK) and _size(con) <= CHECKED_BYTES:
        found = con.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise rows.damaged(f"the database in {folder} is damaged: {found}")
    return not (write and _size(con) <= PROVEN_BYTES)  # after a crash, whoever may repair looks at every row


def seal(folder: Path, con: sqlite3.Connection) -> None:
    """Fold the log into the database and write down what it is now."""
    busy = con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    seq = con.execute("SELECT seq FROM meta").fetchone()[0]
    hashed = not busy and _size(con) <= HASHED_BYTES
    write_seal(folder, seq, hashlib.sha256(con.serialize()).hexdigest() if hashed else CLOSED, sync=True)


def unseal(folder: Path) -> None:
    """Before the first change: what the seal says of the file will be true no longer."""
    write_seal(folder, read_seal(folder)[0], "", sync=True)


def write_seal(folder: Path, seq: int, digest: str, sync: bool = False) -> None:
    """Overwrite the seal in place."""
    handle = os.open(folder / SEAL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(handle, _seal_line(seq, digest), 0)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def read_seal(folder: Path) -> tuple[int, str]:
    """Sequence number and sha256 ('-' signs if unknown); (0, '') without a seal that can be believed."""
    try:
        line = (folder / SEAL).read_bytes()
        seq, digest = int(line[:12]), line[13:77].decode("ascii")
    except (OSError, ValueError):
        return 0, ""
    return (seq, digest) if line == _seal_line(seq, digest) else (0, "")


def _seal_line(seq: int, digest: str) -> bytes:
    body = f"{seq:012d} {digest or '-' * 64}"
    return f"{body} {hashlib.sha256(body.encode()).hexdigest()[:6]}\n".encode("ascii")


def _size(con: sqlite3.Connection) -> int:
    pages, size = (int(con.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    return pages * size
