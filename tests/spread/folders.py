"""Folders to ingest, two indexes compared row by row, and workers that misbehave where a file tells them to."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from load.make import message, word

WORDS = "The harbour of {0} was widened in {1}, and {2} ships a year have called there since. "

HOOK = """
import os, signal, sys, time
from pathlib import Path
if "rag.load.worker" not in sys.orig_argv and "TEST_FOLDER" in os.environ:
    from rag.spread import line, work
    here = Path(os.environ["TEST_FOLDER"])
    line.CONNECT_S = float(os.environ.get("TEST_CONNECT_S", line.CONNECT_S))
    read, made = work.Hands._one, work.Hands.__init__
    def said(what):
        with (here / "said").open("a") as file:
            file.write(f"{what} {os.getpid()}\\n")
    def __init__(self, *args):
        said("model")
        made(self, *args)
    def _one(self, file, steps):
        said("read")
        time.sleep(float(os.environ.get("TEST_PAUSE_S", "0")))
        if b"KILL" in file[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"WAIT" in file[2] and not (here / "go").exists():
            (here / "pid").write_text(str(os.getpid()))
            while not (here / "go").exists():
                time.sleep(0.02)
        return read(self, file, steps)
    work.Hands._one, work.Hands.__init__ = _one, __init__
"""


def fill(folder: Path, notes: int = 10) -> Path:
    """A folder of most of what can happen: kinds, refusals, copies, a long file, files that are passed over."""
    (folder / "deep").mkdir(parents=True)
    for n in range(notes):
        (folder / "deep" / f"note{n}.md").write_text(
            f"# Harbour {n}\n\n" + WORDS.format(n, 1900 + n, 7 * n) * (1 + n % 4)
        )
    text = "\n\n".join(WORDS.format(f"number {n}", 1700 + n, n) * 4 for n in range(100))
    (folder / "b long.txt").write_text(text)
    (folder / "copy.txt").write_text((folder / "deep" / "note1.md").read_text() + "\n\nAnd more.")
    (folder / "a.docx").write_bytes(word("The refund takes 14 days.", "It is paid in euros."))
    (folder / "mail.eml").write_bytes(message().as_bytes())
    (folder / "page.html").write_text("<h1>Ports</h1><p>The port is open.</p><p style='display:none'>hidden</p>")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is no PDF")
    (folder / "empty.txt").write_text("")
    (folder / ".hidden.txt").write_text("nobody reads this")
    return folder


def change(folder: Path) -> None:
    """A day later: one changed in the middle, one moved, one gone, one touched, one new, one no longer readable."""
    text = (folder / "b long.txt").read_text()
    (folder / "b long.txt").write_text(text.replace("number 50 ", "number fifty "))
    (folder / "deep" / "note2.md").rename(folder / "moved.md")
    (folder / "deep" / "note3.md").unlink()
    os.utime(folder / "deep" / "note4.md", (0, 0))
    (folder / "new.txt").write_text("Something new is here.")
    (folder / "page.html").write_text("")


def index(folder: Path) -> dict[str, list[Any]]:
    """Every row of an index, vectors bit by bit, but for the moment at which it was added and what hashes that."""
    rows = {}
    with sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True) as con:
        tables = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [c[1] for c in con.execute(f"PRAGMA table_info({table})") if c[1] not in ("added", "note")]
            rows[table] = con.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall() if columns else []
    con.close()
    assert rows["passages"] and rows["vectors"] and rows["documents"]
    return rows


def outcome(report: Any) -> tuple[Any, ...]:
    """A report without its seconds."""
    return tuple(
        getattr(report, name) for name in ("added", "changed", "unchanged", "removed", "refused", "notes", "passages")
    )


def misbehaving(folder: Path, **more: str) -> dict[str, str]:
    """The environment in which a worker dies over a file that says KILL, and waits over one that says WAIT, its pid in
    `folder`/pid, until there is a file `folder`/go. What workers do is noted, see `said`. `more`: TEST_PAUSE_S, seconds
    for each file; TEST_CONNECT_S, those in which a scheduler must answer."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK)
    root = Path(__file__).resolve().parent.parent.parent
    return {"PYTHONPATH": f"{folder}{os.pathsep}{root}", "TEST_FOLDER": str(folder)} | more


def said(folder: Path, what: str) -> list[int]:
    """The process ids of the workers that misbehave, once for each model that they load or file that they read."""
    lines = (folder / "said").read_text().splitlines() if (folder / "said").exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(what)]


def wait_for(there: Callable[[], Any], most_s: float = 120.0) -> Any:
    """What `there` gives as soon as it is something; fails after `most_s`."""
    end = time.monotonic() + most_s
    while not (found := there()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


def pid_in(folder: Path) -> Callable[[], int]:
    """The process that waits, 0 while none does."""
    file = folder / "pid"
    return lambda: int(file.read_text() or 0) if file.exists() else 0


def alive(pid: int) -> bool:
    """True if there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
