"""A question in, the passages most worth reading out: embed, nearest vectors, BM25, fuse.

The first half of the story. A follow-up ("and in 2024?") is resolved here without an LLM: where a question leans on the
one before it, both are searched with, and the query that was used is returned to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from rag.config import RetrieveConfig
from rag.embed import Embedder
from rag.errors import QuestionError
from rag.filters import Filter
from rag.fuse import fuse_scores
from rag.index import Index
from rag.text import STOPWORDS, fold, stem, terms, words
from rag.types import Hit

MAX_CHARACTERS = 4_000
PLAIN, JOINED, CARRIED = 0.4, 0.4, 0.2
"""Weights of the three searches of a follow-up (`python -m rag.evals.followups`): by itself, after what it leans on,
and with words carried over."""
_MOST_CARRIED = 5
_UNSPOKEN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # of a terminal: colours and the like
    r"|(?!\s)[\x00-\x1f\x7f-\x9f]|[\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LEANS = re.compile(
    r"^(?:and|but|or|so|what about|how about|why|why not|really|who else|what else|where else|when else)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those)\b|\bthat\W*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched with: `text` is shown and read with; `searches` are made and fused, each with its weight."""

    text: str
    searches: tuple[tuple[str, float], ...]


def resolved(question: str, history: Sequence[tuple[str, str]], rare: Callable[[Sequence[str]], list[str]]) -> Query:
    """`question` by itself where it can be understood so; else also with what it leans on: the last question of
    `history` that stands by itself, and names and rare words of the last question and its answer. `rare`: the rarest of
    some words, first.

    >>> resolved("And in 2025?", [("How much did Japan export?", "$80 billion."), ("And rice?", "None.")], list).text
    'How much did Japan export? And in 2025?'
    >>> resolved("Which planet has most moons?", [("How much did Japan export?", "...")], list).searches
    (('Which planet has most moons?', 1.0),)
    """
    if not history or not _leans(question):
        return Query(question, ((question, 1.0),))
    joined = standalone(question, history)
    carried = _carried(question, history[-1], rare)
    searches = {joined: JOINED, question: PLAIN}
    if carried:
        searches[f"{question} {' '.join(carried)}"[-MAX_CHARACTERS:]] = CARRIED
    return Query(joined, tuple(searches.items()))


def standalone(question: str, history: Sequence[tuple[str, str]] = ()) -> str:
    """`question`, preceded by what it leans on where it cannot be understood without: the last question of `history`
    that can, so that a chain of follow-ups keeps its subject.

    >>> standalone("And in 2025?", [("How much did Japan export in 2024?", "...")])
    'How much did Japan export in 2024? And in 2025?'
    >>> standalone("Which planet has most moons?", [("How much did Japan export in 2024?", "...")])
    'Which planet has most moons?'
    """
    if not history or not _leans(question):
        return question
    asked = [q.strip() for q, _ in history]
    anchor = next((q for q in reversed(asked) if not _leans(q)), asked[0])
    return f"{anchor} {question}"[-MAX_CHARACTERS:]


def _leans(question: str) -> bool:
    return len(terms(question)) < 2 or bool(_LEANS.search(question.strip()))


def _carried(question: str, last: tuple[str, str], rare: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Names and rare words of the last question and its answer that the question has not, at most `_MOST_CARRIED`."""
    known, found = set(terms(question)), dict[str, str]()
    for text in last:
        plain = text[:MAX_CHARACTERS]
        for span in words(plain):
            word = span.of(plain)
            key = stem(word)
            if key not in known and fold(word) not in STOPWORDS and not word[0].isdigit():
                found.setdefault(key, word)
    return [found[key] for key in rare(list(found))[:_MOST_CARRIED]]


def checked(question: str) -> str:
    """The question as its words alone: without control characters, its lines joined, paragraphs kept. Raises
    QuestionError if it is empty or far too long.

    >>> checked("\\0How many\\ntrees? ")
    'How many trees?'
    """
    question = "\n\n".join(" ".join(p.split()) for p in re.split(r"\n\s*\n", _UNSPOKEN.sub(" ", question)) if p.strip())
    if not re.search(r"\w", question):
        raise QuestionError("the question is empty", "ask in words, for example: How many trees will Japan give?")
    if len(question) > MAX_CHARACTERS:
        raise QuestionError(
            f"the question has {len(question):,} characters, over {MAX_CHARACTERS:,}", "ask more briefly"
        )
    return question


class Retriever:
    """Finds passages of one index with one embedder."""

    def __init__(self, index: Index, embedder: Embedder, config: RetrieveConfig) -> None:
        self._index, self._embedder, self._config = index, embedder, config

    def retrieve(self, query: str, k: int | None = None, where: Filter | None = None) -> tuple[Hit, ...]:
        """The best `k` passages that pass the filter, best first, each with its rank by each retriever."""
        wanted = self._config.k if k is None else k
        depth = max(self._config.depth, wanted)
        vector = self._embedder.questions([self._within_window(query)])
        dense = self._config.dense_weight
        with self._index.reading():  # one moment: no id may vanish between finding and fetching
            (ids, cosines), words = self._index.both(vector, query, depth, where)
            rankings = {
                "dense": [(int(i), float(c)) for i, c in zip(ids[0], cosines[0], strict=True)],
                "lexical": words,
            }
            fused = fuse_scores(rankings, {"dense": dense, "lexical": 1 - dense})[:wanted]
            passages = self._index.passages([i for i, _ in fused])
        places = {name: {i: rank for rank, (i, _) in enumerate(r, start=1)} for name, r in rankings.items()}
        return tuple(
            Hit(p, score, MappingProxyType({name: ranks[i] for name, ranks in places.items() if i in ranks}))
            for p, (i, score) in zip(passages, fused, strict=True)
        )

    def follow(self, query: Query, where: Filter | None = None) -> tuple[Hit, ...]:
        """The best passages for a query that may need several searches, their scores fused."""
        if len(query.searches) == 1:
            return self.retrieve(query.searches[0][0], where=where)
        found = [self.retrieve(text, self._config.depth, where) for text, _ in query.searches]
        hits = {(h.passage.source.id, h.passage.span): h for some in reversed(found) for h in some}
        number = {key: n for n, key in enumerate(hits)}
        rankings = {
            str(n): [(number[h.passage.source.id, h.passage.span], h.score) for h in some]
            for n, some in enumerate(found)
        }
        fused = fuse_scores(rankings, {str(n): weight for n, (_, weight) in enumerate(query.searches)})
        every = list(hits.values())
        return tuple(replace(every[n], score=score) for n, score in fused[: self._config.k])

    def rare(self, stems: Sequence[str]) -> list[str]:
        """The stems that the index has, the rarest first."""
        weights = dict(zip(stems, self._index.idf(stems), strict=True))
        (absent,) = self._index.idf([""])
        return sorted((s for s in weights if weights[s] < absent), key=lambda s: (-weights[s], s))

    def _within_window(self, query: str) -> str:
        """A question over the embedder's window is searched by its last words for meaning, by all of them for terms."""
        words = query.split()
        while len(words) > 1 and self._embedder.lengths([" ".join(words)])[0] > self._embedder.window - 2:
            words = words[len(words) // 4 + 1 :]
        short = " ".join(words)
        while self._embedder.lengths([short])[0] > self._embedder.window - 2:
            short = short[len(short) // 4 + 1 :]
        return short
