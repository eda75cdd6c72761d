"""Folders in; an index that stays in step with them, for as long as it is watched.

The system's events (by watchfiles) tell where to look, never what to believe: every path they name is looked at again
and goes the way of `add`. Where the system has none (network folders), every file is looked at at an interval. What was
missed is found by comparing everything with the index: at the beginning, when an ignore file changes, after a failure,
and when a watched folder comes back.

One process writes an index, so a watch lives in the process that has it open for writing: `rag watch` beside a chat
page that reads, or `assistant.watch(...)` inside the chat page itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rag.add import Adder, Progress, Report
from rag.errors import Cancelled, RagError, UsageError
from rag.load import SUFFIXES
from rag.tree import IGNORE_FILES, Tree

TICK_MS = 500
"""How often a quiet watch looks whether it should stop, and whether its folders are still the same."""
DEBOUNCE_MS = 1_600
"""How long changes are collected, at most, before they are acted on."""
FALLBACK_POLL_S = 5.0
"""Between looks at every file, where the system cannot watch so many."""
PATIENCE_S = (5.0, 60.0)
"""After a failure everything is compared again: after this long, at first and at most."""


class _Deaf(Exception):
    """The system tells nothing of changes: there are more folders, or more who watch, than it can serve."""


Changes = tuple[list[Path], list[Path]]
"""Files to look at, and files and folders that seem to be gone."""


class Watch:
    """Keeps one index in step with folders, in a thread of its own, until `stop`.

    `told` gets the report of each round that changed or refused something. `trouble` says why the last round failed, ''
    if it did not; after a failure everything is compared again, a little later each time.
    """

    def __init__(
        self,
        adder: Adder,
        folders: Sequence[Path],
        told: Callable[[Report], None] | None = None,
        *,
        collection: str | None = None,
        exclude: Sequence[str] = (),
        poll_s: float | None = None,
    ) -> None:
        if not folders or (strange := next((f for f in folders if not f.is_dir()), None)) is not None:
            raise UsageError(
                f"{strange} is no folder" if folders else "no folder to watch", "name folders that are there"
            )
        self.folders = tuple(folder.resolve() for folder in folders)
        self.trouble = ""
        self._adder, self._told, self._collection, self._exclude = adder, told, collection, tuple(exclude)
        self._poll_s, self._wait_s = poll_s, PATIENCE_S[0]
        self._stop = threading.Event()
        self._in_step = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rag-watch", daemon=True)
        self._thread.start()

    @property
    def polls(self) -> bool:
        """True if every file is looked at at an interval, because that was asked for or there is no other way."""
        return self._poll_s is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until everything was compared once; False if that took longer."""
        return self._in_step.wait(seconds)

    def stop(self, seconds: float = 60.0) -> None:
        """Finish the document in hand and end. Stopping twice is fine."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch()
            except Cancelled:
                return
            except _Deaf as error:
                self.trouble = str(error)
                if any(folder.is_dir() for folder in self.folders):
                    self._poll_s = FALLBACK_POLL_S
            except (OSError, RagError) as error:
                self.trouble = str(error)
            except Exception as error:  # whatever it is, it must not end the watch unseen
                self.trouble = f"{type(error).__name__}: {error}"
            if self.trouble:
                self._stop.wait(self._wait_s)
                self._wait_s = min(2 * self._wait_s, PATIENCE_S[1])

    def _watch(self) -> None:
        """Compare everything, then follow what changes; ends when it is time to compare everything again."""
        before = _identities(self.folders)
        there = [folder for folder in self.folders if folder.is_dir()]
        away = [str(folder) for folder in self.folders if folder not in there]
        trouble = f"not there, and kept as indexed: {', '.join(away)}" if away else ""
        if not there:
            raise OSError(trouble)
        for number, (files, gone) in enumerate(self._events(there) if self._poll_s is None else self._looks(there)):
            if number == 0:  # whoever tells of changes has begun: nothing can be missed in between
                self._tell(self._adder.add(there, self._go_on, True, self._collection, self._exclude))
                self._in_step.set()
            if _identities(self.folders) != before:
                return
            if files or gone:
                self._tell(self._adder.follow(files, gone, self._go_on, self._collection))
            self.trouble, self._wait_s = trouble, PATIENCE_S[0]

    def _events(self, folders: Sequence[Path]) -> Iterator[Changes]:
        """What the system says has changed; nothing first, and at each tick. Ends when an ignore file changes."""
        from watchfiles import watch

        trees = self._trees(folders)
        told = watch(
            *folders,
            watch_filter=None,
            stop_event=self._stop,
            debounce=DEBOUNCE_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=False,
            ignore_permission_denied=True,
        )
        while True:
            try:
                changes = next(told)
            except StopIteration:
                return
            except (OSError, RuntimeError) as error:
                raise _Deaf(str(error)) from error
            paths = sorted({Path(path) for _, path in changes})
            if any(path.name in IGNORE_FILES for path in paths):
                return
            here = [(tree, path) for path in paths for tree in trees if tree.wants(path)]
            files = {file: None for tree, path in here for file in _files(tree, path)}
            yield list(files), [path for _, path in here if not os.path.lexists(path)]

    def _looks(self, folders: Sequence[Path]) -> Iterator[Changes]:
        """What differs from one look at every file to the next; nothing first. (The library's own polling tells times
        by the second, and so would miss the second change within one.)"""
        assert self._poll_s is not None
        before: dict[Path, tuple[int, int]] | None = None
        while not self._stop.is_set():
            now = {
                file: at for tree in self._trees(folders) for file in tree.files() if (at := _stat(file)) is not None
            }
            seen = now if before is None else before
            yield [file for file, at in now.items() if seen.get(file) != at], [file for file in seen if file not in now]
            before = now
            self._stop.wait(self._poll_s)

    def _trees(self, folders: Sequence[Path]) -> list[Tree]:
        return [Tree(folder, SUFFIXES, self._exclude) for folder in folders]

    def _go_on(self, _: Progress) -> None:
        if self._stop.is_set():
            raise Cancelled("the watch was stopped")

    def _tell(self, report: Report) -> None:
        if self._told is not None and (report.added or report.changed or report.removed or report.refused):
            self._told(report)


def _files(tree: Tree, path: Path) -> Iterator[Path]:
    """The files to look at because of a change at `path`: itself, or all in it if it is a folder that came."""
    if path.is_dir():
        yield from tree.files(path)
    elif path.is_file():
        yield path


def _stat(file: Path) -> tuple[int, int] | None:
    try:
        info = file.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size


def _identities(folders: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Which folders these are on the disk: another one under the same name, of a disk that went or came, is another."""
    found: list[tuple[int, int] | None] = []
    for folder in folders:
        try:
            info = folder.stat()
            found.append((info.st_dev, info.st_ino))
        except OSError:
            found.append(None)
    return found
