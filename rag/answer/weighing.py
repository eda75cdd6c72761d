"""Hits in; out, the evidence, best first, whether it is an answer, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.answer.amount import amount
from rag.answer.page import Notes, Rooms, nowhere
from rag.answer.polarity import before, settled
from rag.gate import signals
from rag.kinds import kind_of
from rag.lack import Lack, against, cost
from rag.text import terms
from rag.types import Evidence, Hit, Kind, Outcome, Span
from rag.weigh import ranked, read_as

_ALSO = 0.5  # share of the best one's support from which a further sentence is quoted beside it
_CLEAREST = 12.0  # log-odds beyond this say no more


@dataclass(frozen=True, slots=True)
class Weighed:
    """`evidence`, best first; `outcome`; `lacks`: where the question and the best sentence do not meet."""

    evidence: tuple[Evidence, ...]
    outcome: Outcome
    lacks: tuple[Lack, ...] = ()


def weighed(rooms: Rooms, question: str, notes: Notes, hits: Sequence[Hit]) -> Weighed:
    """What the hits hold. An answer that the question itself speaks against is none, unless it is asked leniently."""
    if not hits:
        return Weighed((), Outcome.NOTHING)
    texts = [read_as(h) for h in hits]
    readings = rooms.reader.read(notes.query, texts)
    lacking = _lacking(question, nowhere(rooms))
    best = ranked(hits, readings, notes.query, lambda e: cost(lacking(e)))
    evidence = best.evidence[: rooms.config.answer.sentences]
    if not evidence:
        return Weighed((), Outcome.NOTHING)
    kind = kind_of(question)
    if kind is Kind.NUMBER:
        evidence = (amount(question, evidence[0]), *evidence[1:])
    contrary = kind is Kind.YES_NO and settled(question, evidence[0].text, before(evidence[0])) is not None
    lacks = () if contrary else lacking(evidence[0])  # 'No.' is an answer
    weights = rooms.weigh(list(dict.fromkeys(terms(notes.query))))
    notes.signals = {
        **signals(notes.query, readings, texts, weights),
        "sentence": log_odds(evidence[0].support),
        "lack": float(bool(lacks)),
        "clear": min(_CLEAREST, best.lead),
    }
    notes.confidence = rooms.gate.confidence(notes.signals)
    if notes.query != question:
        # what it leans on was answered before: a follow-up needs a passage that also speaks of what is new in it
        notes.confidence *= _share(terms(question), evidence[0].hit.passage.text)
    strictness = rooms.config.answer.strictness
    outcome = rooms.gate.outcome(notes.confidence, strictness)
    if lacks and outcome is Outcome.ANSWERED and strictness != "lenient":
        outcome = Outcome.CLOSEST
    return Weighed(evidence, outcome, lacks)


def _lacking(question: str, absent: Callable[[str], bool]) -> Callable[[Evidence], tuple[Lack, ...]]:
    """What speaks against a sentence, looked up once for each: the best one is asked about again."""
    known: dict[tuple[str, Span], tuple[Lack, ...]] = {}

    def lacking(e: Evidence) -> tuple[Lack, ...]:
        place = (e.hit.passage.source.id, e.span)
        if place not in known:
            known[place] = tuple(against(question, e, absent))
        return known[place]

    return lacking


def log_odds(support: float) -> float:
    """The reader's logit again, of a support in [0, 1]."""
    held = min(max(support, 1e-9), 1 - 1e-9)
    return math.log(held / (1 - held))


def _share(wanted: Sequence[str], text: str) -> float:
    """Share of the terms that `text` holds; 1 for no terms."""
    held = set(terms(text))
    return sum(t in held for t in wanted) / len(wanted) if wanted else 1.0


def worth_quoting(evidence: Sequence[Evidence], most: int) -> list[Evidence]:
    return [e for e in evidence[:most] if e.support >= _ALSO * evidence[0].support]
