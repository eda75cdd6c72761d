"""Readings in, evidence out: the sentences that answer, best first, each thing said once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rag import cells
from rag.read import Reading
from rag.text import stem, terms
from rag.types import Evidence, Hit, Span

_MOST = 20
RIVALS = 4  # sentences among which what speaks against one may decide
_GAP = "\n\n"
_SAYS_NOTHING = re.compile(r"\A[\W_]*\Z|^\|(?:\s*:?-+:?\s*\|)+", re.M)  # marks alone, the head of a table
_NEAR = 3.0  # log-odds below the best short answer up to which another one is marked too
_LOOKED_UP = 4.0  # log-odds that the row of a table gains if the question names it and its column: no reader is needed
_DENIES = re.compile(r"\b(?:not|no|never|none|nor|neither|without|cannot)\b|n['’]t\b", re.I)
_SAME = 0.85  # share of common terms from which two sentences say the same


def read_as(hit: Hit) -> str:
    """What the reader sees of a hit: the heading, as a paragraph of its own, so that no sentence begins in it and ends
    in the passage, then the passage."""
    return hit.passage.heading + _GAP * bool(hit.passage.heading) + hit.passage.text


@dataclass(frozen=True, slots=True)
class Ranked:
    """`evidence`, best first; `lead`: that of the first one's short answer over other words of its sentence, infinite
    where the reader cannot tell or has not marked it."""

    evidence: tuple[Evidence, ...]
    lead: float


def ranked(
    hits: Sequence[Hit],
    readings: Sequence[Reading],
    question: str = "",
    held_against: Callable[[Evidence], float] = lambda _: 0.0,
) -> Ranked:
    """Every sentence of the hits as evidence, best first, each thing said once; support is the reader's logit through
    the logistic, so in [0, 1]. A short answer is marked in the first one, and in others where the reader thinks nearly
    as much of it as of the best; in the row of a table, the cell whose column `question` names, and the only row that
    it names besides is what it looks for. `held_against`: the log-odds that the first few lose for what speaks against
    them, in their support too."""
    found = [one for hit, reading in zip(hits, readings, strict=True) for one in _weighed(hit, reading, question)]
    if len({one.evidence.text for one in found if one.looked_up}) == 1:
        found = [one.less(-_LOOKED_UP * one.looked_up) for one in found]
    found.sort(key=lambda one: -one.score)  # stable: of equals, what retrieval put first
    first = sorted((one.less(held_against(one.evidence)) for one in found[:RIVALS]), key=lambda one: -one.score)
    best = max((a.score for r in readings for a in r.answers if a is not None), default=0.0)
    kept = _distinct([*first, *found[RIVALS:]])
    marked = (one.marked() if n == 0 or one.sure >= best - _NEAR else one.evidence for n, one in enumerate(kept))
    return Ranked(tuple(marked), kept[0].lead if kept else math.inf)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A sentence with its joint score, its short answer, how sure the reader is of that, and its lead (log-odds);
    `looked_up`: True for the row of a table that is asked about."""

    evidence: Evidence
    score: float
    answer: Span | None = None
    sure: float = -math.inf
    lead: float = math.inf
    looked_up: bool = False

    def less(self, cost: float) -> _Weighed:
        """The same with a lower score."""
        score = self.score - cost
        return replace(self, score=score, evidence=replace(self.evidence, support=_chance(score)))

    def marked(self) -> Evidence:
        """The sentence with its short answer."""
        return replace(self.evidence, answer=self.answer)


def _weighed(hit: Hit, reading: Reading, question: str) -> Iterator[_Weighed]:
    """The sentences of one hit. The heading is read, but it is no evidence, neither before the passage nor in it."""
    ahead = len(read_as(hit)) - len(hit.passage.text)
    shift, titles = hit.passage.span.start - ahead, set(hit.passage.heading.split(" > "))
    for (span, score), answer in zip_longest(reading.sentences, reading.answers):
        if span.start < ahead:
            continue
        evidence = Evidence(hit, span.shift(shift), _chance(score))
        if evidence.text.lstrip("# ") in titles or _SAYS_NOTHING.search(evidence.text):
            continue
        cell = cells.asked(question, evidence.text, hit.passage.heading)
        if cell is not None:
            here = cells.looked_up(question, evidence.text, hit.passage.heading, cell)
            yield _Weighed(evidence, score, cell.shift(evidence.span.start), math.inf, looked_up=here)
        elif answer is not None:
            yield _Weighed(evidence, score, answer.span.shift(shift), answer.score, answer.lead)
        else:
            yield _Weighed(evidence, score)


def _chance(score: float) -> float:
    """The logistic of the log-odds."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def _distinct(found: Sequence[_Weighed]) -> list[_Weighed]:
    """The sentences without those that say again what a better one said."""
    kept: list[tuple[_Weighed, _Said]] = []
    for one in found:
        said = _Said.of(one.evidence.text)
        if said.terms and not any(said.again(other) for _, other in kept):
            kept.append((one, said))
        if len(kept) == _MOST:
            break
    return [one for one, _ in kept]


@dataclass(frozen=True, slots=True)
class _Said:
    """The terms of a sentence, those that name something (a number, a word with a capital), and whether it denies."""

    terms: frozenset[str]
    names: frozenset[str]
    denies: bool

    @staticmethod
    def of(text: str) -> _Said:
        names = (stem(w) for w in re.findall(r"(?<=\s)[A-Z][\w'’-]*|\w*\d\w*", text))
        return _Said(frozenset(terms(text)), frozenset(names), _DENIES.search(text) is not None)

    def again(self, other: _Said) -> bool:
        """True if two sentences share nearly all terms: not 250 trees and 300, not Leeds and York, not yes and no."""
        differs = self.terms ^ other.terms
        named = any(any(c.isdigit() for c in t) for t in differs)
        exchanged = self.names - other.terms and other.names - self.terms
        least = min(len(self.terms), len(other.terms))
        return (
            len(self.terms & other.terms) >= _SAME * least and not (named or exchanged) and self.denies == other.denies
        )
