"""An assistant that answers from a script, so that the page alone is on trial.

The first word of a question chooses what happens; every quote is cut from a real document, as in the house.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from rag.add import Progress, Report
from rag.config import Config
from rag.conversation import Conversations
from rag.errors import ModelDied, UsageError
from rag.files import kept
from rag.index.rows import SourceRow
from rag.standing import Stands, standing
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Event,
    Evidence,
    Found,
    Hit,
    Mark,
    Origin,
    Outcome,
    Passage,
    Quoted,
    Source,
    Span,
    Trace,
    Verdict,
    Wrote,
)

PAYLOADS = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "<script>document.title='pwned'</script>",
    "<style>body{display:none}</style>",
    '"><svg/onload="document.title=\'pwned\'">',
    "<iframe srcdoc=\"<script>parent.document.title='pwned'</script>\"></iframe>",
    '<a href="javascript:document.title=1">go</a>',
    "[click](javascript:document.title='pwned')",
    "![x](http://evil.example/x.png)",
    '<link rel="stylesheet" href="http://evil.example/x.css">',
    '<video src="http://evil.example/x.mp4" autoplay></video>',
    "${document.title='pwned'}",
    "{{constructor.constructor(\"document.title='pwned'\")()}}",
    "`${document.title='pwned'}`",
    '" onmouseover="document.title=\'pwned\'" x="',
    "' autofocus onfocus='document.title=1",
    "<details open ontoggle=\"document.title='pwned'\">",
    "</textarea></pre></button></article><h1>out</h1>",
    "<base href=http://evil.example/>",
)
_TREES = (
    "A visit in October 😀\nThe meeting was held at the Akasaka Palace. Japan will donate 250 cherry blossom trees to "
    "the United States.\nThe gift\ncontinues a custom of 1912. Trade was also discussed."
)
_LONG = "\n".join(f"Line {n} of a long report that says nothing of interest." for n in range(1, 4001))


def _row(document: Document) -> SourceRow:
    return SourceRow(document.source, "", "", 1, len(document.text), 1_760_000_000.0, "2025-10-09")


def _document(name: str, text: str, marks: tuple[Mark, ...] = (), title: str = "") -> Document:
    return Document(Source.at(f"file:///{name}", title or name), text, marks)


class FakeWatch:
    """A watch that has nothing more to do."""

    trouble = ""

    def stop(self, seconds: float) -> None:
        """It is over."""


class FakeAssistant:
    """What `rag.chat` needs of an assistant. `closed` holds the monotonic time at which each stream ended."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rag-fake-"))
        hostile = "\n".join(PAYLOADS)
        marks = (Mark(Span(0, len(hostile)), "heading", PAYLOADS[0], 1), Mark(Span(0, 20), "page", PAYLOADS[3]))
        documents = [
            _document("001_6b10a84c2a205f2b.txt", _TREES, title="A visit in October"),
            _document("long.txt", _LONG),
            _document("hostile.txt", hostile, marks, title=PAYLOADS[0]),
        ]
        self.documents = {d.source.id: d for d in documents}
        self.digests: dict[str, str] = {}
        self.collections: dict[str, str] = {}
        self.config = Config()
        self.conversations = Conversations(self.folder / "conversations")
        self.trees, self.long, self.hostile = documents
        self.histories: list[tuple[tuple[str, str], ...]] = []
        self.looked_into: list[set[str] | None] = []
        self.chosen: list[dict[str, str]] = []
        self.closed: list[float] = []
        self.adding = threading.Event()
        self.go_on = threading.Event()

    # -- what the page calls

    def warm(self) -> None:
        """Nothing to load."""

    def writers(self) -> list[str]:
        return [self.config.llm.model, "another-model"]

    def sources(self) -> list[SourceRow]:
        return [
            replace(_row(d), digest=self.digests.get(id_, ""), collection=self.collections.get(id_, "default"))
            for id_, d in list(self.documents.items())
        ]

    def document(self, source_id: str) -> Document:
        return self.documents[source_id]

    def remove(self, source_id: str) -> bool:
        return self.documents.pop(source_id, None) is not None

    def keep(self, file: BinaryIO, name: str) -> Path:
        return kept(file, name, self.folder / "originals")

    def sweep(self, places: Iterable[Path]) -> None:
        """Its folder is taken away as a whole."""

    def add(
        self,
        paths: Iterable[Path],
        *,
        collection: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        added, refused = [], []
        files = list(paths)
        for done, path in enumerate(files):
            if progress:
                progress(Progress(done, len(files), path))
            if path.name.startswith("wait"):
                self.adding.set()
                self.go_on.wait(20)
            if path.name.startswith("bad"):
                refused.append((path.as_uri(), f"{path}: it holds no text <b>at all</b>"))
                continue
            document = _document(path.name, path.read_text("utf-8"))
            self.documents[document.source.id] = document
            added.append(path.as_uri())
        return Report(added=tuple(added), refused=tuple(refused))

    def watch(self, folders: Sequence[Path], told: Callable[[Report], None]) -> FakeWatch:
        if not folders[0].is_dir():
            raise UsageError(f"{folders[0]} is no folder", "name folders that are there")
        report = self.add(sorted(folders[0].iterdir()))
        told(report)
        return FakeWatch()

    def standing(self, citation: Citation) -> Stands:
        return standing(citation, self.documents.get(citation.source.id))

    def stream(
        self,
        question: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        sources: Collection[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Iterator[Event]:
        self.chosen.append(dict(settings or {}))
        self.histories.append(tuple(history))
        self.looked_into.append(None if sources is None else set(sources))
        try:
            yield from getattr(self, "_" + question.split()[0].strip("?.,").lower(), self._trees)(question)
        finally:
            self.closed.append(time.monotonic())

    # -- the script

    def _trees(self, question: str) -> Iterator[Event]:
        tree = self._cite(
            self.trees, "Japan will donate 250 cherry blossom trees to the United States.", "250 cherry blossom trees"
        )
        custom = self._cite(self.trees, "The gift\ncontinues a custom of 1912.", "1912")
        evidence = (self._evidence(self.trees, tree, 0.93), self._evidence(self.trees, custom, 0.41))
        yield Found(tuple(e.hit for e in evidence))
        yield Quoted((tree,))
        time.sleep(3.0 if "slowly" in question else 0.3)
        first, second = "Japan will give 250 cherry trees.", "It repeats a gift of 1912."
        yield Wrote(first)
        yield Wrote(" " + second)
        text = f"{first} {second}"
        claims = (
            Claim(Span(0, len(first)), (tree,), Verdict.SUPPORTED),
            Claim(Span(len(first) + 1, len(text)), (custom, tree), Verdict.PARTIAL),
        )
        trace = Trace(
            query=question, prompt="<|system|> Answer from the sentences.\n[1] ...", draft=text + " And 1913.",
            withheld=(("And 1913.", "1913 is not in the quotes"),), signals={"coverage": 0.8}, confidence=0.91,
            fingerprints={"llm": "fake@1"}, seconds={"retrieve": 0.02, "llm": 0.3},
        )  # fmt: skip
        yield Answer(question, text, claims, evidence, Outcome.ANSWERED, trace)

    def _closest(self, question: str) -> Iterator[Event]:
        quotes = [
            self._cite(self.trees, "Trade was also discussed."),
            self._cite(self.long, "Line 3000 of a long report that says nothing of interest."),
        ]
        yield Quoted(tuple(quotes))
        text, claims = "I found no confirmed answer in the documents. The closest passages are:", []
        for quote in quotes:
            text += "\n\n" + quote.quote
            claims.append(
                Claim(Span(len(text) - len(quote.quote), len(text)), (quote,), Verdict.SUPPORTED, Origin.QUOTE)
            )
        yield Wrote(text)
        yield Answer(question, text, tuple(claims), (), Outcome.CLOSEST)

    def _nothing(self, question: str) -> Iterator[Event]:
        text = "The documents do not hold an answer to this."
        yield Wrote(text)
        yield Answer(question, text, (), (), Outcome.NOTHING)

    def _slow(self, question: str) -> Iterator[Event]:
        for n in range(400):
            time.sleep(0.05)
            yield Wrote(f"word{n} ")
        yield Answer(question, "over", (), (), Outcome.NOTHING)

    def _silent(self, question: str) -> Iterator[Event]:
        """Says nothing for long, as a prefill does, but lets go soon: each event is a `Found` that changes nothing."""
        for _ in range(60):
            time.sleep(0.4)
            yield Found(())

    def _fail(self, question: str) -> Iterator[Event]:
        yield Found(())
        raise ModelDied("the model's process ended", "ask again: it starts anew")

    def _crash(self, question: str) -> Iterator[Event]:
        yield Found(())
        raise RuntimeError("secret detail")

    def _repeat(self, question: str) -> Iterator[Event]:
        text = f"said: {question}"
        yield Wrote(text)
        yield Answer(question, text, (), (), Outcome.NOTHING)

    def _hostile(self, question: str) -> Iterator[Event]:
        citations = tuple(self._cite(self.hostile, payload) for payload in PAYLOADS)
        yield Quoted(citations[:3])
        yield Wrote(PAYLOADS[0])
        text, claims = "", []
        for n, citation in enumerate(citations):
            origin = Origin.QUOTE if n % 2 else Origin.MODEL
            text += citation.quote + " "
            claims.append(
                Claim(Span(len(text) - 1 - len(citation.quote), len(text) - 1), (citation,), Verdict.PARTIAL, origin)
            )
        evidence = tuple(self._evidence(self.hostile, c, 0.5) for c in citations)
        trace = Trace(
            query=PAYLOADS[0], prompt="\n".join(PAYLOADS), draft="\n".join(PAYLOADS),
            withheld=tuple((p, p) for p in PAYLOADS), trouble=PAYLOADS[1], signals=dict.fromkeys(PAYLOADS, 0.1),
            fingerprints={p: p for p in PAYLOADS}, seconds=dict.fromkeys(PAYLOADS, 0.1),
        )  # fmt: skip
        yield Answer(question, text, tuple(claims), evidence, Outcome.ANSWERED, trace)

    def _cite(self, document: Document, quote: str, answer: str = "") -> Citation:
        at = document.text.index(quote)  # a script may look its quotes up; the house never does
        span = Span(at, at + len(quote))
        short = quote.index(answer) if answer else 0
        return Citation.cut(document, span, Span(short, short + len(answer)).shift(at) if answer else None)

    def _evidence(self, document: Document, citation: Citation, support: float) -> Evidence:
        passage = Passage.cut(document, Span(0, len(document.text)))
        hit = Hit(passage, support, {"dense": 1, "lexical": 2})
        return Evidence(hit, citation.span, support, citation.answer)
