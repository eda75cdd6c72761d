"""Evidence in; out, the items of a list that answers 'Which countries ...?', each at its place in the document.

A list is what stands round the reader's short answer between commas and 'and': 'Japan, Korea and the Philippines'. The
items of the best sentence come first, further sentences add theirs where they hold a list, or an answer, of their own.
Where each sentence holds one thing ('Trout came back in 2014.' 'Grayling came back two years later.') they are a list
if they say the same of it, in the question's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.judge.statement import state
from rag.text import terms
from rag.types import Evidence, Span

_JOINT = re.compile(r"\s*(?:,\s*(?:and|or|as well as)\b|,|;|\band\b|\bor\b|\bas well as\b|&)\s*", re.I)
_LONGEST = 6  # words of one item: more is a clause
_SAID = 2  # words of the question that sentences with one item each must share
_SURE = 0.7  # share of the best one's support from which a further sentence adds its items


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a list: its place in the document and the evidence that holds it."""

    evidence: Evidence
    at: Span

    @property
    def text(self) -> str:
        """The item, as its document writes it."""
        return self.at.shift(-self.evidence.span.start).of(self.evidence.text)


def items(evidence: Sequence[Evidence], question: str) -> list[Item]:
    """The items of all evidence that is sure enough, each thing once; [] where there are not two."""
    asked = set(terms(question))
    found: list[Item] = []
    alone = False
    for n, e in enumerate(evidence):
        own = [i for i in _of(e) if set(terms(i.text)) - asked]
        if n == 0 and not own:
            return []
        alone = alone or (n == 0 and len(own) == 1)
        if e.support < _SURE * evidence[0].support or (n and alone and not _alike(evidence[0], e, asked)):
            continue
        known = [set(terms(i.text)) for i in found]
        found += [i for i in own if not any(set(terms(i.text)) <= k for k in known)]
    return found if len(found) > 1 else []


def _alike(one: Evidence, two: Evidence, asked: set[str]) -> bool:
    """True if the second sentence has all words of the question that the first has, two at least, and neither denies
    it: both say it of their own thing."""
    first, second = asked & set(terms(one.text)), asked & set(terms(two.text))
    denied = any(state(" ".join(e.text.split())).denials for e in (one, two))
    return len(first) >= _SAID and first <= second and not denied


def _of(e: Evidence) -> list[Item]:
    """The parts of the short answer, if all of them are short things; else nothing."""
    if e.answer is None:
        return []
    start = e.answer.start - e.span.start
    parts = _parts(e.answer.shift(-e.span.start).of(e.text))
    return [Item(e, Span(a, b).shift(start + e.span.start)) for a, b in parts]


def _parts(text: str) -> list[tuple[int, int]]:
    """Where the items of `text` begin and end; [] if one of them is no short thing.

    >>> _parts("Japan, Korea and Nauru")
    [(0, 5), (7, 12), (17, 22)]
    """
    edges = [0]
    for joint in _JOINT.finditer(text):
        edges += [joint.start(), joint.end()]
    edges.append(len(text))
    parts = [_trimmed(text, a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if text[a:b].strip()]
    if any(
        not 0 < len(text[a:b].split()) <= _LONGEST or text[a:b].count("(") != text[a:b].count(")") for a, b in parts
    ):
        return []
    return parts


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The part without white space and without 'both', 'the following' and the like before it."""
    lead = re.match(r"\s*(?:(?:both|either|such as|including|namely)\s+)?", text[start:end], re.I)
    start += lead.end() if lead else 0
    return start, start + len(text[start:end].rstrip())
