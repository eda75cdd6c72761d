"""As many passages as are asked for, from real texts: the texts themselves first, then edited copies of them.

    base    every text of a data folder, split as `rag add` splits, embedded once by the shipped embedder, kept on disk
    copy    of a base document: one word in ten gives way to a word of another base text, drawn by a seeded die
    vector  of a copied passage: the original's, moved by what such an edit did to the vector of some other passage

Only the base and 1,024 edited passages are embedded for real; the vectors of all other copies are made from those
differences, because embedding a million passages takes hours. So the vectors of copies lie about their originals as
those of real edits do, in length and in direction, but they are no embeddings of the copies' own words. And copies
share their originals' words: a million passages from as many different texts would have more rare words than these.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.embed import Embedder
from rag.evals.datasets import Text, load
from rag.files import writing
from rag.split import embedded_text, split
from rag.types import Document, Passage, Source, Span
from rag.vectors import Vectors

PART = 500  # texts that are embedded and kept at a time: what an interrupted run does not do again
EDITED = 1_024
SHARE = 0.1  # of the words of a copy that are another text's
COLLECTIONS = (("one", 0.01), ("ten", 0.10), ("half", 0.50), ("rest", 0.39))
"""Where documents go, with the share of each: what a filter is measured on."""

Said = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the base: where its passages lie in it, and from which row of the vectors on."""

    title: str
    text: str
    spans: tuple[Span, ...]
    first: int


@dataclass(frozen=True, slots=True)
class Base:
    """Real texts with real vectors. `moves`: float32 (EDITED or fewer, dim), what edits did to vectors; `likeness`:
    the mean cosine of an edited passage with its original."""

    pieces: tuple[Piece, ...]
    vectors: Vectors
    moves: Vectors
    likeness: float


Grown = tuple[Document, list[Passage], Vectors, str]
"""A document with its passages, their vectors and its collection."""


def files_of(data: Path) -> list[Path]:
    """What a data folder holds to be read: reading/*.jsonl.gz, and each folder of retrieval/."""
    return sorted([*data.glob("reading/*.jsonl.gz"), *(p.parent for p in data.glob("retrieval/*/corpus.jsonl*"))])


def texts_of(data: Path) -> list[Text]:
    """Every different text, shuffled, so that the first few are a fair sample."""
    found = {text.text: text for file in files_of(data) for text in load(file).texts if text.text.strip()}
    texts = list(found.values())
    random.Random(0).shuffle(texts)
    return texts


def questions_of(data: Path, most: int) -> list[str]:
    """Real questions, as many of each dataset as of any other."""
    each = [load(file).sample(-(-most // len(files_of(data))), 0).questions for file in files_of(data)]
    some = [" ".join(q.text.split()) for questions in each for q in questions if q.answerable]
    random.Random(0).shuffle(some)
    return list(dict.fromkeys(some))[:most]


def base_of(texts: Sequence[Text], embedder: Embedder, tokens: int, folder: Path, said: Said) -> Base:
    """The texts as documents with vectors, a part at a time from `folder` if it was made before."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces: list[Piece] = []
    rows: list[Vectors] = []
    for at in range(0, len(texts), PART):
        said("embedding", at, len(texts))
        part = folder / f"part-{at // PART:04d}.npz"
        if not part.exists():
            _embed(texts[at : at + PART], embedder, tokens, part)
        with np.load(part, allow_pickle=False) as kept:
            told, vectors = json.loads(kept["told"].tobytes()), kept["vectors"]
        first = sum(map(len, rows))
        for title, text, spans in told[: len(texts) - at]:
            pieces.append(Piece(title, text, tuple(Span(*span) for span in spans), first))
            first += len(spans)
        rows.append(vectors[: first - sum(map(len, rows))])
    vectors = np.concatenate(rows)
    moves, likeness = _moves(pieces, vectors, embedder, folder / f"moves-{len(texts)}.npz")
    return Base(tuple(pieces), vectors, moves, likeness)


def _embed(texts: Sequence[Text], embedder: Embedder, tokens: int, part: Path) -> None:
    told, said = [], []
    for text in texts:
        whole = f"{text.title}\n\n{text.text}" if text.title and not text.text.startswith(text.title) else text.text
        document = Document(Source.at("", ""), whole)
        passages = split(document, embedder.lengths, tokens)
        told.append([text.title, whole, [[p.span.start, p.span.end] for p in passages]])
        said += [embedded_text(p, embedder.lengths, tokens) for p in passages]
    with writing(part) as file:
        packed = np.frombuffer(json.dumps(told).encode("utf-8"), np.uint8)
        np.savez(file, told=packed, vectors=embedder.passages(said))


def _moves(pieces: Sequence[Piece], vectors: Vectors, embedder: Embedder, kept: Path) -> tuple[Vectors, float]:
    """What an edit of a passage does to its vector, measured on some."""
    if not kept.exists():
        rng = random.Random(1)
        some = rng.sample(pieces, min(EDITED, len(pieces)))
        firsts = np.array([piece.first for piece in some if piece.spans])
        edited = [_edited(p.spans[0].of(p.text), rng.choice(pieces).text, rng) for p in some if p.spans]
        with writing(kept) as file:
            np.savez(file, firsts=firsts, after=embedder.passages(edited))
    with np.load(kept, allow_pickle=False) as found:
        before, after = vectors[found["firsts"]], found["after"]
    return after - before, float((after * before).sum(axis=1).mean())


def grown(base: Base, passages: int) -> Iterator[Grown]:
    """Documents with `passages` passages in all: the base once, then edited copies of it, round after round."""
    left, turn = passages, 0
    while left > 0:
        for number in range(len(base.pieces)):
            if left <= 0:
                return
            made = copied(base, number, turn, left)
            left -= len(made[1])
            yield made
        turn += 1


def copied(base: Base, number: int, turn: int, most: int = 10**9) -> Grown:
    """A base document as it is in turn 0, edited in any other turn; at most so many passages of it."""
    piece, rng = base.pieces[number], random.Random(f"{turn}:{number}")
    spans = piece.spans[:most]
    vectors = base.vectors[piece.first : piece.first + len(spans)]
    text = piece.text[: spans[-1].end] if spans else piece.text
    if turn:
        other = rng.choice(base.pieces).text
        text, spans = _rewritten(text, spans, lambda words: _edited(words, other, rng))
        moved = vectors + base.moves[[rng.randrange(len(base.moves)) for _ in spans]]
        vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    document = Document(Source.at(f"grown:///{number}/{turn}", piece.title), text)
    where = rng.choices([name for name, _ in COLLECTIONS], [share for _, share in COLLECTIONS])[0]
    return document, [Passage.cut(document, span) for span in spans], vectors, where


def _rewritten(text: str, spans: Sequence[Span], edit: Callable[[str], str]) -> tuple[str, tuple[Span, ...]]:
    """The text with each span edited, what lies between them kept."""
    out, places, at, length = [], [], 0, 0
    for span in spans:
        between, words = text[at : span.start], edit(span.of(text))
        places.append(Span(length + len(between), length + len(between) + len(words)))
        out += [between, words]
        at, length = span.end, places[-1].end
    return "".join(out), tuple(places)


def _edited(words: str, other: str, rng: random.Random) -> str:
    """One word in ten gives way to one of `other`."""
    own, theirs = re.split(r"(\s+)", words), other.split()  # words at even places, what lies between them at odd ones
    count = len(own) // 2 + 1
    for at in rng.sample(range(count), max(1, round(SHARE * count))):
        own[2 * at] = rng.choice(theirs)
    return "".join(own)
