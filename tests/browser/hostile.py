"""An assistant whose every text is an attack: titles, file names, headings, collections, quotes, notes, errors, all.

What a real library could hold in one place each is held here in all places at once, so that one look at a surface
answers for every payload.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from rag.add import Progress, Report
from rag.errors import RagError
from rag.types import (
    Answer,
    Claim,
    Document,
    Event,
    Evidence,
    Hit,
    Mark,
    Origin,
    Outcome,
    Passage,
    Quoted,
    Side,
    Source,
    Span,
    Trace,
    Verdict,
    Wrote,
)
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant, FakeWatch

ALL = " ".join(PAYLOADS)
FOLDERS = tuple(str(Path("/") / payload) for payload in PAYLOADS)


def file_named(name: str) -> str:
    """The address of a file of that name."""
    return "file:///" + quote(name, safe="")


class HostileWatch(FakeWatch):
    """A watch that is in trouble."""

    trouble = ALL


class HostileAssistant(FakeAssistant):
    """As its parent, with a library of attacks. `book` holds them all in one text, one title, one heading."""

    def __init__(self) -> None:
        super().__init__()
        books = [self._book(payload, payload) for payload in PAYLOADS]
        self.book = self._book(ALL, "\n".join(PAYLOADS))
        self.books = books
        self.documents = {d.source.id: d for d in (*books, self.book)}
        self.collections = {d.source.id: payload for d, payload in zip(books, PAYLOADS, strict=True)}
        self.collections[self.book.source.id] = ALL
        self.config = replace(self.config, llm=replace(self.config.llm, model=ALL))
        self.told = threading.Event()

    def writers(self) -> list[str]:
        return [self.config.llm.model, *PAYLOADS]

    def add(
        self,
        paths: Iterable[Path],
        *,
        collection: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        name = next(iter(paths)).name
        if name.startswith("error"):
            raise RagError(ALL, ALL)
        if progress:
            progress(Progress(0, 1, Path(ALL)))
        self.told.wait(60)
        return Report(refused=tuple((file_named(payload), payload) for payload in PAYLOADS))

    def watch(self, folders: Sequence[Path], told: Callable[[Report], None]) -> FakeWatch:
        return HostileWatch()

    def _book(self, name: str, text: str) -> Document:
        whole = Span(0, len(text))
        marks = (Mark(whole, "page", name), Mark(whole, "heading", name, 1))
        return Document(Source.at(file_named(name), name), text, marks)

    def _everything(self, question: str) -> Iterator[Event]:
        text, claims, evidence = "", [], []
        for document in self.books:
            for origin in (Origin.MODEL, Origin.QUOTE):
                cite = self._cite(document, document.text)
                at = Span(len(text), len(text) + len(document.text))
                claims.append(Claim(at, (cite,), Verdict.PARTIAL, origin))
                text += document.text + "\n"
            hit = Hit(Passage.cut(document, Span(0, len(document.text))), 1.0, {ALL: 1})
            evidence.append(Evidence(hit, hit.passage.span, 0.5))
        trace = Trace(
            query=ALL, prompt=ALL, draft=ALL, trouble=ALL, withheld=tuple((p, p) for p in PAYLOADS),
            signals=dict.fromkeys(PAYLOADS, 0.1), fingerprints={p: p for p in PAYLOADS},
            seconds=dict.fromkeys(PAYLOADS, 0.1),
        )  # fmt: skip
        yield Answer(question, text + ALL, tuple(claims), tuple(evidence), Outcome.ANSWERED, trace)

    def _writing(self, question: str) -> Iterator[Event]:
        yield Quoted(tuple(self._cite(document, document.text) for document in self.books))
        yield Wrote(ALL)
        self.told.wait(60)
        yield Answer(question, ALL, (), (), Outcome.NOTHING)

    def _reason(self, question: str) -> Iterator[Event]:
        cite = self._cite(self.book, self.book.text)
        claims = (Claim(Span(0, 5), (cite,), Verdict.PARTIAL, Origin.MODEL),)
        yield Answer(question, "Whole", claims, (), Outcome.ANSWERED, Trace(withheld=((ALL, ALL),)))

    def _whole(self, question: str) -> Iterator[Event]:
        cite = self._cite(self.book, self.book.text)
        claims = (Claim(Span(0, 5), (cite,), Verdict.SUPPORTED, Origin.MODEL),)
        yield Answer(question, "Whole", claims, (), Outcome.ANSWERED)

    def _refusal(self, question: str) -> Iterator[Event]:
        yield Answer(question, ALL, (), tuple(self._evidence_of(d) for d in self.books[:3]), Outcome.NOTHING)

    def _near(self, question: str) -> Iterator[Event]:
        yield Answer(question, "Nothing.", (), (self._evidence_of(self.book),), Outcome.NOTHING)

    def _differ(self, question: str) -> Iterator[Event]:
        sides = tuple(Side(d.text, (self._cite(d, d.text),), d.text) for d in self.books)
        yield Answer(question, "They differ.", (), (), Outcome.ANSWERED, conflicts=sides)

    def _error(self, question: str) -> Iterator[Event]:
        yield Quoted(())
        raise RagError(ALL, ALL)

    def _evidence_of(self, document: Document) -> Evidence:
        return self._evidence(document, self._cite(document, document.text), 0.2)

    def _trees(self, question: str) -> Iterator[Event]:
        yield Answer(question, f"said: {question}", (), (), Outcome.NOTHING)
