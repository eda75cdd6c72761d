"""What a worker does, on whichever machine: bytes into a document and its passages; texts into vectors.

    read    [(path, uri, bytes)]  ->  per file what `Made` says, or [message, hint] of why it was refused
    embed   [text]                ->  float32 (texts, dim)

The embedder is loaded once in a process, and must be the very one of the index: its fingerprint is compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag import split as splitting
from rag.clock import timed
from rag.config import Config
from rag.embed import Embedder, Vectors
from rag.errors import DocumentError, ModelError, TextTooLong
from rag.load import Loader
from rag.models import Models
from rag.models.embedding import embedder
from rag.types import Document, Mark, Passage, Source, Span

File = tuple[str, str, bytes]
"""Path as it was named, uri, content."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What all workers of one `add` must have in common. `model` is embed.model; `fingerprint` and `max_tokens` are
    those of the index; `threads` 0: as many as the worker has. `folder`: models.folder; None: the worker's own."""

    model: str
    fingerprint: str
    max_tokens: int
    threads: int = 0
    folder: str | None = None
    split: str = splitting.RULES


@dataclass(frozen=True, slots=True)
class Made:
    """A document as it travels: nothing twice, and passages as (start, end, heading)."""

    source: Source
    text: str
    marks: tuple[Mark, ...]
    notes: tuple[str, ...]
    passages: tuple[tuple[int, int, str], ...]

    def document(self) -> Document:
        """The document."""
        return Document(self.source, self.text, self.marks)

    def cut(self) -> list[Passage]:
        """Its passages."""
        spans = ((Span(start, end), heading) for start, end, heading in self.passages)
        return [Passage(self.source, span, span.of(self.text), heading) for span, heading in spans]


Refusal = tuple[str, str]
"""Message and hint."""


def hands_of(rules: Rules) -> Hands:
    """This process's hands. Raises ModelError if this machine has not the embedder of the index, or other rules."""
    if rules.split != splitting.RULES:
        raise ModelError(
            f"a worker splits by {splitting.RULES!r}, the index by {rules.split!r}", "install the same rag there"
        )
    folder = Config.load().models.folder if rules.folder is None else rules.folder
    made = embedder(Models(Path(folder) if folder else None), rules.model, rules.threads)
    if made.fingerprint != rules.fingerprint:
        raise ModelError(
            f"a worker's {rules.model} is another one: {made.fingerprint}, not {rules.fingerprint}",
            "install the same rag and the same model there",
        )
    return Hands(made, rules.max_tokens)


class Hands:
    """One process's embedder and parser. Safe to use from several threads, each of which parses on its own."""

    def __init__(self, embedder: Embedder, max_tokens: int) -> None:
        self._embedder, self._max_tokens = embedder, max_tokens
        self._mine = threading.local()

    def do(self, verb: str, payload: Any) -> tuple[Any, dict[str, float]]:
        """What came of it, and the seconds by kind of work; 'worked' is all of them."""
        steps: dict[str, float] = {}
        start = time.perf_counter()
        value = self.read(payload, steps) if verb == "read" else self.embed(payload, steps)
        steps["worked"] = time.perf_counter() - start
        return value, steps

    def read(self, files: Sequence[File], steps: dict[str, float]) -> list[Made | Refusal]:
        """Each file parsed and split; one that cannot be costs no other."""
        return [self._one(file, steps) for file in files]

    def embed(self, texts: Sequence[str], steps: dict[str, float]) -> Vectors:
        """Vectors of texts to be found, (texts, dim). Raises TextTooLong."""
        with timed(steps, "embed"):
            return self._embedder.passages(texts)

    def _one(self, file: File, steps: dict[str, float]) -> Made | Refusal:
        path, uri, data = file
        try:
            with timed(steps, "parse"):
                loaded = self._loader().parse(data, Path(path))
            read = loaded.document
            source = Source.at(uri, read.source.title, read.source.media_type, read.source.date)
            with timed(steps, "split"):
                passages = splitting.split(read, self._embedder.lengths, self._max_tokens)
        except (DocumentError, TextTooLong) as e:
            return e.message, e.hint
        spans = tuple((p.span.start, p.span.end, p.heading) for p in passages)
        return Made(source, read.text, read.marks, loaded.notes, spans)

    def _loader(self) -> Loader:
        if not hasattr(self._mine, "loader"):
            self._mine.loader = Loader()
        loader: Loader = self._mine.loader
        return loader
