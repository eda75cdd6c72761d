"""Evidence in, the sentences of the LLM's draft out, each as soon as it is whole, whatever the LLM does.

An LLM may be any file or any server: it may die, fall silent, drip, write without end, or raise what no contract
names. Its draft is cut at the length and the time that were allowed, and whatever else goes wrong is written down as
`trouble`; the quotes are then the answer. Only Busy (too many askers) and Cancelled (the asker left) are for the asker.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from rag.answer.page import Notes, Rooms, Stop, close
from rag.config import LLMConfig
from rag.errors import Busy, Cancelled, PromptTooLong, RagError
from rag.llm import LLM, waits
from rag.llm.thinking import Thinking
from rag.prompt import fitting
from rag.text import sentences
from rag.types import Evidence, Message, Waits

PER_TOKEN = 8
"""Characters that a token may have on the average: English has four or five, so this only stops who does not count."""
_LONGEST = 2_000  # characters of one sentence: more is none, and costs more to look through with each piece
_FINISHED = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_LEADING = re.compile(r"^\s*(?:(?:[-*•]|\d{1,2}[.)]|\[\d+\]|(?:Answer|A):)\s*)+")


def drafted(rooms: Rooms, notes: Notes, evidence: Sequence[Evidence], stop: Stop) -> Iterator[str | Waits]:
    """The sentences of the draft; before them, the place in the model's line. Raises Busy and Cancelled only."""
    if rooms.llm is None:
        return
    try:
        yield from _prompted(rooms.llm, rooms, notes, evidence, stop)
    except (Busy, Cancelled):
        raise
    except RagError as e:
        notes.trouble = str(e)
    except Exception as e:  # an LLM is not ours: whatever it raises, the quotes answer
        notes.trouble = f"the LLM failed: {type(e).__name__}: {e}"


def _prompted(llm: LLM, rooms: Rooms, notes: Notes, evidence: Sequence[Evidence], stop: Stop) -> Iterator[str | Waits]:
    """Asks with as much evidence as fits; once more with the best sentence alone where that was still too much, which
    only a server's own tokeniser knows."""
    for some in (evidence, evidence[:1]):
        with notes.timed("prompt"):
            room = llm.window - rooms.config.llm.max_tokens
            prompt = fitting(rooms.style, notes.query, some, llm.length, room)
            notes.prompt = llm.render(prompt) if prompt else ""
        if not prompt:
            notes.trouble = "the question leaves no room for evidence in the model's window"
            return
        try:
            yield from _asked(llm, rooms, notes, prompt, stop)
            return
        except PromptTooLong:
            if notes.draft or len(some) < 2 or rooms.style == "sentence":
                raise


def _asked(llm: LLM, rooms: Rooms, notes: Notes, prompt: Sequence[Message], stop: Stop) -> Iterator[str | Waits]:
    config = rooms.config.llm
    draft = stop.ends(llm.stream(prompt, config.max_tokens, config.seed))
    with notes.timed("wait"):
        yield from map(Waits, waits(draft))
    pending = ""
    with notes.timed("llm"), _Limits(draft, config, notes) as limits:
        for text in limits.spoken():
            whole, pending = _whole_sentences(pending + text)
            if whole and rooms.style == "sentence":
                yield whole[0]
                return  # one was asked for; leaving frees the model
            yield from whole
            if len(pending) > _LONGEST:
                limits.end(f"the model wrote {_LONGEST:,} characters that end no sentence, and was stopped")
    yield from _last(pending, notes)


class _Limits:
    """A draft with an end: it is closed where it is longer, or takes longer, than the settings allow."""

    def __init__(self, draft: Iterator[str], config: LLMConfig, notes: Notes) -> None:
        self._draft, self._notes = draft, notes
        self._most, self._deadline_s = PER_TOKEN * config.max_tokens, config.deadline_s
        self._late = threading.Event()
        self._over = False
        self._timer = threading.Timer(self._deadline_s, self._ring)  # for a draft that says nothing at all
        self._timer.daemon = True
        self._ends = time.monotonic() + self._deadline_s

    def __enter__(self) -> _Limits:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timer.cancel()
        close(self._draft)

    def _ring(self) -> None:
        self._late.set()
        close(self._draft)

    def end(self, why: str) -> None:
        """No more of it."""
        self._over, self._notes.trouble = True, why

    def spoken(self) -> Iterator[str]:
        """What the model says, without what it thinks."""
        thinking = Thinking()
        for piece in self._pieces():
            if (text := thinking.spoken(piece)) != "":
                yield text
        if thinking.aloud and not self._over:
            self.end("the model was still thinking when its tokens were spent (raise llm.max_tokens)")
        elif (text := thinking.rest()) != "":
            yield text

    def _pieces(self) -> Iterator[str]:
        left = self._most
        while not self._over:
            try:
                piece = next(self._draft, None)
            except Cancelled:
                if not self._late.is_set():
                    raise
                piece = None
            if self._late.is_set() or time.monotonic() > self._ends:
                self.end(f"the model took longer than llm.deadline_s = {self._deadline_s:g} s, and was stopped")
            elif piece is None:
                return
            else:
                self._notes.draft += piece[:left]
                left -= len(piece)
                yield piece if left >= 0 else piece[:left]
                if left < 0 and not self._over:
                    self.end(f"the model wrote more than {self._most:,} characters, and was stopped")


def _whole_sentences(text: str) -> tuple[list[str], str]:
    """The sentences of `text` that another one follows, and the rest."""
    spans = sentences(text)
    if len(spans) < 2:
        return [], text
    return [words for s in spans[:-1] if (words := _line(s.of(text)))], text[spans[-1].start :]


def _last(pending: str, notes: Notes) -> Iterator[str]:
    words = _line(pending)
    if words and _FINISHED.search(words):
        yield words
    elif words:
        notes.withheld.append((words, "the model did not finish it"))


def _line(text: str) -> str:
    """A sentence on one line, without a bullet or a number before it."""
    return " ".join(_LEADING.sub("", text).split())
