"""What an answer is written on: its rooms, its notes for the trace, its page, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from rag.clock import timed
from rag.config import Config
from rag.gate import Gate
from rag.judge import Judge
from rag.llm import LLM
from rag.read import Reader
from rag.retrieve import Retriever
from rag.types import Citation, Claim, Document, Evidence, Hit, Origin, Span, Trace, Verdict, Wrote


@dataclass(frozen=True, slots=True)
class Rooms:
    """What an answer is made with."""

    retriever: Retriever
    reader: Reader
    gate: Gate
    judge: Judge
    llm: LLM | None
    style: str
    document: Callable[[str], Document]
    weigh: Callable[[Sequence[str]], Mapping[str, float]]
    fingerprints: Callable[[], Mapping[str, str]]
    config: Config


@dataclass(slots=True)
class Notes:
    """What is written down on the way, for the trace."""

    query: str = ""
    hits: tuple[Hit, ...] = ()
    prompt: str = ""
    draft: str = ""
    trouble: str = ""
    confidence: float = 0.0
    signals: dict[str, float] = field(default_factory=dict)
    withheld: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, step: str) -> AbstractContextManager[None]:
        return timed(self.seconds, step)


@dataclass(slots=True)
class Page:
    """The answer so far: claims are written one after the other, and know their places."""

    text: str = ""
    claims: list[Claim] = field(default_factory=list)

    def say(self, words: str, gap: str, citations: tuple[Citation, ...] = ()) -> Wrote:
        piece = (gap if self.text else "") + words
        self.text += piece
        return Wrote(piece, citations)

    def claim(self, words: str, citations: Sequence[Citation], verdict: Verdict, origin: Origin, gap: str) -> Wrote:
        wrote = self.say(words, gap, tuple(citations))
        at = Span(len(self.text) - len(words), len(self.text))
        self.claims.append(Claim(at, wrote.citations, verdict, origin))
        return wrote


def quotes(rooms: Rooms, page: Page, evidence: Sequence[Evidence]) -> Iterator[Wrote]:
    """The evidence in its own words: each claim is its quote, character for character."""
    for e in evidence:
        citation = citation_of(rooms, e)
        yield page.claim(citation.quote, [citation], Verdict.SUPPORTED, Origin.QUOTE, "\n\n")


def nowhere(rooms: Rooms) -> Callable[[str], bool]:
    """Tells of a word whether no passage of the index has it: its idf is then that of the empty word."""

    def tells(word: str) -> bool:
        weights = rooms.weigh([word, ""])
        return weights[word] >= weights[""]

    return tells


def citation_of(rooms: Rooms, e: Evidence) -> Citation:
    return Citation.cut(rooms.document(e.hit.passage.source.id), e.span, e.answer)


class Stop:
    """Ends an answer from any thread: a model that is reading its prompt hears of it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._draft: Iterator[str] | None = None
        self.asked = False

    def now(self) -> None:
        with self._lock:
            self.asked, draft = True, self._draft
        close(draft)

    def ends(self, draft: Iterator[str]) -> Iterator[str]:
        """`draft`, which `now` will close."""
        with self._lock:
            self._draft, late = draft, self.asked
        if late:
            close(draft)
        return draft


def close(draft: object) -> None:
    close = getattr(draft, "close", None)
    if close is not None:
        with suppress(Exception):  # a plain generator that is running ends at its next piece; an LLM may raise anything
            close()


def trace_of(rooms: Rooms, notes: Notes) -> Trace:
    return Trace(
        query=notes.query,
        prompt=notes.prompt,
        draft=notes.draft,
        withheld=tuple(notes.withheld),
        trouble=notes.trouble,
        signals=notes.signals,
        confidence=notes.confidence,
        fingerprints=dict(rooms.fingerprints()),
        seconds=notes.seconds,
        hits=notes.hits,
    )
