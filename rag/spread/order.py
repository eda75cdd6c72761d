"""Who does what, and when.

Files are looked at here, read by workers in small groups, and their passages embedded by workers in batches: a group of
notes is one message, a book is many. Results come in any order; they are stored in the order of the files, so that the
index is, row by row, the one that the plain `add` makes. So much waits for its turn at most that memory stays bounded.

What a worker dies over is tried again, in halves: a file that has cost three of them is refused, and the others go on.
Where it is not sure over which of its tasks a worker died, each is tried again while nothing else is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.add import Adder, Looked, Tally, some
from rag.embed import Vectors
from rag.errors import DocumentError, RagError, TextTooLong
from rag.load import Loaded, Loader
from rag.spread import Died, Done, Pool, Reply, Task
from rag.spread.work import Made
from rag.types import Passage

WINDOW_BYTES, WINDOW_FILES = 256_000_000, 4096  # what may wait for its turn
GROUP_BYTES, GROUP_FILES = 500_000, 16  # read by one worker in one go
BATCH = 64  # texts
TRIES = 3


@dataclass(slots=True, eq=False)
class _Turn:
    """A file from the look at it to its storing. `bytes`: what it holds in memory, roughly."""

    number: int
    path: Path
    file: Looked | None = None
    trouble: RagError | OSError | None = None
    loaded: Loaded | None = None
    passages: list[Passage] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    lacking: int = 0
    bytes: int = 0

    @property
    def done(self) -> bool:
        """True if nothing is missing but its turn."""
        if self.trouble is not None or self.file is None:
            return True
        return self.file.data is None or (self.loaded is not None and not self.lacking)


@dataclass(slots=True)
class _Sent:
    """What was given away: files to read, or texts to embed, by key; and how many workers it has cost."""

    turns: Sequence[_Turn] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0
    trial: bool = False

    def halves(self) -> list[_Sent]:
        """The same in two; itself if it is only one thing."""
        if len(self.turns) + len(self.texts) < 2:
            return [self]
        turns, texts = list(self.turns), list(self.texts.items())
        half = (len(turns) + len(texts)) // 2
        parts = (turns[:half], dict(texts[:half])), (turns[half:], dict(texts[half:]))
        return [_Sent(*part, trial=self.trial) for part in parts]


class Spread:
    """A crew of `Adder.add` over the workers that `start` makes. `notes`: what the report is to say beside."""

    def __init__(self, start: Callable[[], Pool], notes: Sequence[tuple[str, str]] = ()) -> None:
        self._start, self._notes = start, notes

    def work(
        self,
        adder: Adder,
        files: Sequence[Path],
        collection: str | None,
        tally: Tally,
        told: Callable[[int, float], None],
    ) -> None:
        """Bring every file into step; `told`: how many are done, and which part of the next. Raises RagError if the
        workers cannot go on."""
        with closing(self._start()) as pool, Loader() as loader:
            run = _Run(adder, pool, loader, files, collection, tally, told)
            run.go()
            if pool.sent:
                tally.notes += self._notes


class _Run:
    def __init__(
        self,
        adder: Adder,
        pool: Pool,
        loader: Loader,
        files: Sequence[Path],
        collection: str | None,
        tally: Tally,
        told: Callable[[int, float], None],
    ) -> None:
        self._adder, self._pool, self._loader = adder, pool, loader
        self._files, self._collection, self._tally, self._told = files, collection, tally, told
        self._turns: deque[_Turn] = deque()  # in the order of the files
        self._looked = 0  # files that have, or had, a turn
        self._held = 0  # bytes of the turns
        self._uris: set[str] = set()
        self._group: list[_Turn] = []
        self._texts: dict[str, str] = {}  # by key, that nobody embeds yet
        self._wanted: dict[str, list[_Turn]] = {}  # by key, who waits for the vector
        self._sent: dict[int, _Sent] = {}
        self._suspects: deque[_Sent] = deque()  # to be tried alone
        self._numbers = 0

    def go(self) -> None:
        """Until every file has had its turn."""
        self._told(0, 0.0)
        while self._turns or self._looked < len(self._files):
            if not self._on_trial():
                self._look_ahead()
                self._send_texts()
            wait_s = 0.0 if self._store() else 1.0
            while (reply := self._pool.next(wait_s)) is not None:
                self._take(reply)
                wait_s = 0.0

    def _on_trial(self) -> bool:
        """True while one that may have killed a worker is tried alone. It begins when all others have their answers."""
        if self._suspects and not self._sent and not self._texts and not self._can_look():
            self._give(self._suspects.popleft())
        return any(sent.trial for sent in self._sent.values())

    def _can_look(self) -> bool:
        return self._looked < len(self._files) and self._has_room()

    def _look_ahead(self) -> None:
        """Give away files until enough is under way; those of which nothing is new have only to wait for their turn."""
        while self._can_look():
            turn = _Turn(self._looked, self._files[self._looked])
            self._looked += 1
            self._turns.append(turn)
            uri = turn.path.resolve().as_uri()
            if uri in self._uris:
                continue  # named twice: nothing to read once the first is stored, which is when its turn comes
            self._uris.add(uri)
            try:
                turn.file = self._adder.look(turn.path, self._collection, self._tally)
            except (DocumentError, OSError) as error:
                turn.trouble = error
                continue
            if turn.file.data is not None:
                self._hold(turn, len(turn.file.data))
                self._group.append(turn)
                self._send_group(self._group_is_full())
        self._send_group(True)

    def _has_room(self) -> bool:
        waiting = len(self._turns)
        return not waiting or (waiting < WINDOW_FILES and self._held < WINDOW_BYTES)

    def _group_is_full(self) -> bool:
        fair = 1 + (len(self._files) - self._looked) // (4 * self._pool.size)  # so that each gets some of a few
        return len(self._group) >= min(GROUP_FILES, fair) or sum(t.bytes for t in self._group) >= GROUP_BYTES

    def _send_group(self, now: bool) -> None:
        if now and self._group:
            self._give(_Sent(turns=self._group))
            self._group = []

    def _send_texts(self) -> None:
        """Full batches at once; what is left over when workers have little else to do."""
        while len(self._texts) >= BATCH or (self._texts and len(self._sent) < 2 * self._pool.size):
            keys = list(self._texts)[:BATCH]
            self._give(_Sent(texts={key: self._texts.pop(key) for key in keys}))

    def _give(self, sent: _Sent) -> None:
        self._numbers += 1
        self._sent[self._numbers] = sent
        if sent.turns:
            files = [turn.file for turn in sent.turns if turn.file is not None]
            payload: Any = [(str(file.path), file.uri, file.data) for file in files]
            task = Task(self._numbers, sent.turns[0].number, "read", payload, sum(turn.bytes for turn in sent.turns))
        else:
            rank = min(turn.number for key in sent.texts for turn in self._wanted[key])
            payload = list(sent.texts.values())
            task = Task(self._numbers, rank, "embed", payload, sum(map(len, payload)))
        self._pool.submit(task)

    def _take(self, reply: Reply) -> None:
        sent = self._sent.pop(reply.number)
        if isinstance(reply, Done):
            for step, seconds in reply.steps.items():
                if step != "worked":
                    self._tally.steps[step] = self._tally.steps.get(step, 0.0) + seconds
            if sent.turns:
                for turn, made in zip(sent.turns, reply.value, strict=True):
                    self._read(turn, made)
            else:
                for key, vector in zip(sent.texts, reply.value, strict=True):
                    self._embedded(key, vector)
                if (first := self._turns[0]).lacking:  # a large one, of which much is there
                    self._told(first.number, 1 - first.lacking / len(first.keys))
        elif isinstance(reply, Died) and not reply.sure and not sent.trial:
            self._suspects.append(replace(sent, trial=True))
        elif isinstance(reply, Died):
            self._again(sent, 1 if reply.sure else TRIES, f"it broke the process that works on it ({reply.why})")
        elif isinstance(reply.error, DocumentError | TextTooLong):
            self._again(sent, TRIES, str(reply.error))
        elif isinstance(reply.error, RagError):
            raise reply.error  # no file's fault
        else:
            self._again(sent, 1, f"it cannot be worked on: {type(reply.error).__name__}: {reply.error}")

    def _again(self, sent: _Sent, times: int, why: str) -> None:
        """Once more, in two halves, since one thing in it is to blame; or not, if this is it."""
        halves = sent.halves()
        if len(halves) < 2:
            sent = replace(sent, tries=sent.tries + times)
            halves = [sent] if sent.tries < TRIES else []
        if sent.trial:
            self._suspects.extend(halves)
        else:
            for half in halves:
                self._give(half)
        if not halves:
            waiting = [turn for key in sent.texts for turn in self._wanted.pop(key)]
            for turn in (*sent.turns, *waiting):
                turn.trouble = DocumentError(f"{turn.path}: {why}"[:1000])

    def _read(self, turn: _Turn, made: Made | tuple[str, str]) -> None:
        """A worker has read a file: what of it must be embedded?"""
        if not isinstance(made, Made):
            turn.trouble = DocumentError(*made)
            return
        document = made.document()
        turn.passages = made.cut()
        try:
            some(document, turn.passages)
        except DocumentError as error:
            turn.trouble = error
            return
        assert turn.file is not None
        turn.file = replace(turn.file, data=b"")  # nobody needs it again
        self._hold(turn, 4 * len(document.text) + 4 * self._adder.dim * len(turn.passages))
        turn.keys, turn.vectors, texts = self._adder.wanting(turn.passages)
        turn.loaded, turn.lacking = Loaded(document, made.notes), len(texts)
        for key, text in texts.items():
            if key not in self._wanted:
                self._wanted[key], self._texts[key] = [], text
            self._wanted[key].append(turn)

    def _embedded(self, key: str, vector: Vectors) -> None:
        for turn in self._wanted.pop(key):
            turn.vectors[key] = vector
            turn.lacking -= 1

    def _store(self) -> bool:
        """Store the file whose turn it is; False if it is not done, or there is none."""
        if not self._turns or not self._turns[0].done:
            return False
        turn = self._turns.popleft()
        self._hold(turn, 0)
        with self._tally.refusing(turn.path):
            if turn.trouble is not None:
                raise turn.trouble
            if turn.file is None:
                self._adder.one(turn.path, self._loader, self._collection, self._tally)
            elif turn.loaded is None:
                self._adder.note(turn.file, self._tally)
            else:
                vectors = np.stack([turn.vectors[key] for key in turn.keys])
                self._adder.keep(turn.file, turn.loaded, turn.passages, vectors, self._tally)
        self._told(turn.number + 1, 0.0)
        return True

    def _hold(self, turn: _Turn, bytes_: int) -> None:
        self._held += bytes_ - turn.bytes
        turn.bytes = bytes_
