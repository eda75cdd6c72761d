"""Words as every server counts alike, and BM25 over them.

A passage's words are cut and stemmed here, by the very tokeniser of the local keeper, and sent as plain ASCII: so no
analyser of any server has a say in them. The server nominates passages by its BM25; what is told is the score of the
formula that the local keeper uses (Robertson and Zaragoza, 2009; FTS5's k1, b and weights), so that both put the same
passages in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rag import lexical

K1, B = 1.2, 0.75
LEAST_IDF = 1e-6  # of a word in more than half of the passages, as in FTS5


def sent(tokens: Sequence[str]) -> str:
    """Tokens as one string of ASCII words, none of which an analyser takes apart.

    >>> sent(["tree", "京"])
    'tree 0xe4baac'
    """
    return " ".join(
        t if t.isascii() and not t.startswith("0x") else f"0x{t.encode('utf-8', 'surrogatepass').hex()}" for t in tokens
    )


def phrases(terms: Sequence[str]) -> dict[str, list[str]]:
    """Each quoted phrase as the words that must follow one another, as they were sent."""
    return {term: sent(cut).split() for term, cut in zip(terms, lexical.cut(terms), strict=True)}


def times(phrase: list[str], words: list[str]) -> int:
    """How often these words follow one another.

    >>> times(["a", "b"], ["a", "b", "a", "a", "b"])
    2
    """
    n = len(phrase)
    if n == 1:
        return words.count(phrase[0])
    return sum(words[at : at + n] == phrase for at in range(len(words) - n + 1)) if n else 0


def bm25(
    words: list[str], text_words: int, terms: Mapping[str, list[str]], idf: Mapping[str, float], mean: float
) -> float:
    """The score of a passage whose first `text_words` words are its text's, the others its heading's; 0 if it holds
    none of the terms. `mean`: words of a passage, on average."""
    text, heading = words[:text_words], words[text_words:]
    norm = K1 * (1 - B + B * len(words) / mean)
    score = 0.0
    for term, phrase in terms.items():
        f = times(phrase, text) + lexical.HEADING_WEIGHT * times(phrase, heading)
        score += idf[term] * f * (K1 + 1) / (f + norm)
    return score


def idf(passages: int, holding: int) -> float:
    """What finding a term says, if `holding` of all passages hold it."""
    return max(math.log((passages - holding + 0.5) / (holding + 0.5)), LEAST_IDF)
