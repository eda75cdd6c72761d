"""A question in, the passages most worth reading out: embed, nearest vectors, BM25, fuse.

The first half of the story. A follow-up ("and in 2024?") is resolved here without an LLM: where a question leans on the
one before it, both are searched with, and the query that was used is returned to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from rag.config import RetrieveConfig
from rag.embed import Embedder
from rag.errors import QuestionError
from rag.filters import Filter
from rag.fuse import fuse_scores
from rag.index import Index
from rag.text import terms
from rag.types import Hit

MAX_CHARACTERS = 4_000
_LEANS = re.compile(
    r"^(?:and|but|or|so|what about|how about|why|why not|really|who else|what else|where else|when else)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those)\b|\bthat\W*$",
    re.I,
)


def standalone(question: str, history: Sequence[tuple[str, str]] = ()) -> str:
    """`question`, preceded by the last question of `history` where it cannot be understood without.

    >>> standalone("And in 2025?", [("How much did Japan export in 2024?", "...")])
    'How much did Japan export in 2024? And in 2025?'
    >>> standalone("Which planet has most moons?", [("How much did Japan export in 2024?", "...")])
    'Which planet has most moons?'
    """
    if not history or not _leans(question):
        return question
    return f"{history[-1][0].strip()} {question}"[-MAX_CHARACTERS:]


def _leans(question: str) -> bool:
    return len(terms(question)) < 2 or bool(_LEANS.search(question.strip()))


def checked(question: str) -> str:
    """The question without the space around it. Raises QuestionError if it is empty or far too long."""
    question = question.encode("utf-8", "replace").decode("utf-8").strip()
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
            ids, cosines = self._index.dense(vector, depth, where)
            rankings = {
                "dense": [(int(i), float(c)) for i, c in zip(ids[0], cosines[0], strict=True)],
                "lexical": self._index.lexical(query, depth, where),
            }
            fused = fuse_scores(rankings, {"dense": dense, "lexical": 1 - dense})[:wanted]
            passages = self._index.passages([i for i, _ in fused])
        places = {name: {i: rank for rank, (i, _) in enumerate(r, start=1)} for name, r in rankings.items()}
        return tuple(
            Hit(p, score, MappingProxyType({name: ranks[i] for name, ranks in places.items() if i in ranks}))
            for p, (i, score) in zip(passages, fused, strict=True)
        )

    def _within_window(self, query: str) -> str:
        """A question over the embedder's window is searched by its last words for meaning, by all of them for terms."""
        words = query.split()
        while len(words) > 1 and self._embedder.lengths([" ".join(words)])[0] > self._embedder.window - 2:
            words = words[len(words) // 4 + 1 :]
        short = " ".join(words)
        while self._embedder.lengths([short])[0] > self._embedder.window - 2:
            short = short[len(short) // 4 + 1 :]
        return short
