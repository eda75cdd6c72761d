"""Conversations on disk: each a file of its own, whole or not at all, beside the index whose documents it quotes.

    index/conversations/<id>.json             the conversation and the sha256 of its text
    index/conversations/<id>.json.damaged     a file that could not be read, set aside and never touched again

Beside the index and not in the user's data folder, because a citation points into these documents: whoever copies,
moves or deletes the index takes its conversations along, and two libraries never mix.

    export.py    a conversation as Markdown, and as an evaluation set; which of its citations still hold
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rag.errors import ConversationDamaged, ConversationMissing, RagError
from rag.files import TMP, Lock, write_atomically
from rag.plain import from_json
from rag.types import Answer, to_json

__all__ = ["Conversation", "Conversations", "Feedback", "Summary", "Turn", "read", "written"]

FORMAT = 1
TITLE_MOST = 120  # characters
NOTE_MOST = 4000
_ID = re.compile(r"[0-9a-f]{16}")
_LOCK = "LOCK"
_PATIENCE_S = 5.0  # for another process that writes
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the user thinks of an answer. `at`: Unix time, seconds."""

    good: bool
    note: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer. `asked`: Unix time, seconds; `settings`: what was chosen for this question alone;
    `replaced`: asked again since, in other words or more strictly, so that no follow-up leans on it."""

    answer: Answer
    asked: float
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    replaced: bool = False
    feedback: Feedback | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, oldest first. `created`, `changed`: Unix time, seconds."""

    id: str
    title: str
    created: float
    changed: float
    turns: tuple[Turn, ...] = ()

    def history(self, before: int | None = None) -> list[tuple[str, str]]:
        """The (question, answer) pairs that a new question may lean on; `before`: only turns up to this one."""
        return [(t.answer.question, t.answer.text) for t in self.turns[:before] if not t.replaced]


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a list, without its turns."""

    id: str
    title: str
    created: float
    changed: float
    turns: int


class Conversations:
    """The keeper of one folder of conversations. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._lock = threading.RLock()
        self._listed: dict[str, tuple[tuple[int, int, int], Summary, str]] = {}
        self._last: tuple[tuple[int, int, int], Conversation] | None = None

    # -- reading

    def rows(self, words: str = "") -> list[Summary]:
        """All conversations, the one that changed last first; with `words`, those in whose title, questions or answers
        each of them occurs. A file that cannot be read is set aside (`damaged` names it)."""
        wanted = words.casefold().split()
        with self._lock:
            known = {path.stem: self._look(path) for path in self._files()}
            self._listed = {id_: seen for id_, seen in known.items() if seen is not None}
            found = [s for _, s, text in self._listed.values() if all(word in text for word in wanted)]
        return sorted(found, key=lambda s: (-s.changed, s.id))

    def load(self, id_: str) -> Conversation:
        """Raises ConversationMissing; ConversationDamaged once the file was set aside."""
        path = self._path(id_)
        with self._lock:
            try:
                stamp = _stamp(path)
                if self._last is not None and (self._last[0], self._last[1].id) == (stamp, id_):
                    return self._last[1]
                conversation = _parsed(path.read_bytes(), id_)
            except FileNotFoundError:
                raise ConversationMissing(f"there is no conversation {id_!r}", "rag conversations list") from None
            except OSError as e:
                raise RagError(f"{path} cannot be read: {e.strerror}", "check its rights") from e
            except (ValueError, RecursionError) as e:
                raise self._set_aside(path, e) from e
            self._last = (stamp, conversation)
            return conversation

    def damaged(self) -> Sequence[Path]:
        """The files that were set aside, by name."""
        return sorted(self.folder.glob("*.damaged"))

    # -- writing

    def add(
        self,
        id_: str | None,
        answer: Answer,
        *,
        settings: Mapping[str, str] | None = None,
        instead_of: int | None = None,
    ) -> Conversation:
        """Keep a turn at the end of a conversation; None begins one. `instead_of`: the turn that it replaces."""
        now = self._clock()
        turn = Turn(answer, now, MappingProxyType(dict(settings or {})))
        with self._writing():
            old = (
                Conversation(secrets.token_hex(8), titled(answer.question), now, now) if id_ is None else self.load(id_)
            )
            turns = tuple(replace(t, replaced=True) if n == instead_of else t for n, t in enumerate(old.turns))
            return self._keep(replace(old, changed=now, turns=(*turns, turn)))

    def rename(self, id_: str, title: str) -> Conversation:
        """A blank title becomes the first question again."""
        with self._writing():
            old = self.load(id_)
            first = old.turns[0].answer.question if old.turns else ""
            return self._keep(replace(old, title=titled(title) if title.strip() else titled(first)))

    def rate(self, id_: str, turn: int, good: bool | None, note: str = "") -> Conversation:
        """Keep what the user thinks of a turn; None takes it back. Raises ConversationMissing for a turn not there."""
        with self._writing():
            old = self.load(id_)
            if not 0 <= turn < len(old.turns):
                raise ConversationMissing(f"conversation {id_!r} has no turn {turn}", "reload the page")
            said = None if good is None else Feedback(good, note.strip()[:NOTE_MOST], self._clock())
            turns = tuple(replace(t, feedback=said) if n == turn else t for n, t in enumerate(old.turns))
            return self._keep(replace(old, turns=turns))

    def delete(self, id_: str) -> bool:
        """Forget a conversation at once; False if it is not there."""
        with self._writing():
            try:
                self._path(id_).unlink()
            except FileNotFoundError:
                return False
            return True

    def _keep(self, conversation: Conversation) -> Conversation:
        write_atomically(self._path(conversation.id), written(conversation))
        return conversation

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The folder, to one writer at a time. Raises RagError where it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock:
                lock = self._locked()
                try:
                    for left in self.folder.glob(f"{TMP}*"):  # of a process that died while it wrote
                        left.unlink(missing_ok=True)
                    yield
                finally:
                    lock.release()
        except OSError as e:
            raise RagError(f"{self.folder} cannot be written: {e.strerror or e}", "check its rights and space") from e

    def _locked(self) -> Lock:
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return Lock(self.folder / _LOCK)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise

    # -- files

    def _path(self, id_: str) -> Path:
        if not _ID.fullmatch(id_):  # never a path of somebody's choice
            raise ConversationMissing(f"there is no conversation {id_!r}", "rag conversations list")
        return self.folder / f"{id_}.json"

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.glob("*.json") if _ID.fullmatch(path.stem)]

    def _look(self, path: Path) -> tuple[tuple[int, int, int], Summary, str] | None:
        """A file's summary and what can be searched in it, read again only where the file is another one."""
        try:
            stamp = _stamp(path)
            if (seen := self._listed.get(path.stem)) is not None and seen[0] == stamp:
                return seen
            c = self.load(path.stem)
        except (RagError, OSError):
            return None
        said = (part for t in c.turns for part in (t.answer.question, t.answer.text))
        return stamp, Summary(c.id, c.title, c.created, c.changed, len(c.turns)), "\n".join((c.title, *said)).casefold()

    def _set_aside(self, path: Path, why: Exception) -> ConversationDamaged:
        aside = path.with_name(f"{path.name}.damaged")
        with suppress(OSError):
            path.replace(aside)
        return ConversationDamaged(f"a conversation could not be read ({why})", f"its file was set aside: {aside}")


def titled(text: str) -> str:
    """`text` on one line, cut at a word.

    >>> titled("How many  trees\\nwill Japan give?")
    'How many trees will Japan give?'
    """
    line = _SPACE.sub(" ", text).strip()
    if len(line) <= TITLE_MOST:
        return line or "Untitled"
    return line[: TITLE_MOST - 1].rsplit(" ", 1)[0] + "…"


def written(conversation: Conversation) -> bytes:
    """A conversation as the bytes of its file: plain JSON and its sha256. ASCII, so that lone surrogates survive."""
    plain = plain_of(conversation)
    return json.dumps({"sha256": _sum(plain), "conversation": plain}, separators=(",", ":")).encode("ascii")


def plain_of(conversation: Conversation) -> dict[str, Any]:
    """A conversation as plain JSON types: what `rag conversations export --json` writes."""
    return {"format": FORMAT, **to_json(conversation)}


def read(plain: Any) -> Conversation:
    """The conversation in `plain`, as it was exported or kept. Raises ValueError where there is none."""
    if isinstance(plain, dict) and "conversation" in plain:
        if _sum(plain["conversation"]) != plain.get("sha256"):
            raise ValueError("its sha256 is another one")
        plain = plain["conversation"]
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ValueError("it is no conversation of this version")
    return from_json(Conversation, plain)


def _parsed(data: bytes, id_: str) -> Conversation:
    plain = json.loads(data)
    if not isinstance(plain, dict) or "sha256" not in plain:
        raise ValueError("its sha256 is missing")
    conversation = read(plain)
    if conversation.id != id_:
        raise ValueError(f"it is the conversation {conversation.id!r}")
    return conversation


def _sum(plain: Any) -> str:
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
