"""What the rules settle of an answer, without the LLM: yes or no, the items of a list, documents that agree or differ.

What is settled here is said in the house's own few words, each backed by quotes; the LLM is then not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.answer.items import items
from rag.answer.page import Notes, Page, Rooms, citation_of
from rag.answer.polarity import before, settled
from rag.answer.weighing import log_odds
from rag.compare import agreeing, conflicting, voices
from rag.dates import as_of
from rag.text import terms
from rag.types import Citation, Evidence, Kind, Origin, Outcome, Side, Verdict, Wrote
from rag.values import Value, short_of, value_of


@dataclass(frozen=True, slots=True)
class Settled:
    """`said`: the house's words, each with its citations; `quoted`: the evidence to show, () where the LLM may word the
    answer; `short`, `agreement`, `conflicts`: as in `Answer`."""

    said: tuple[tuple[str, tuple[Citation, ...]], ...] = ()
    quoted: tuple[Evidence, ...] = ()
    short: str = ""
    agreement: tuple[Citation, ...] = ()
    conflicts: tuple[Side, ...] = ()


def settle(rooms: Rooms, notes: Notes, kind: Kind, question: str, evidence: Sequence[Evidence]) -> Settled:
    """What can be said of the evidence, best first, by rule."""
    best = evidence[0]
    cited = citation_of(rooms, best)
    if kind is Kind.LIST and (listed := items(evidence, question)):
        said = tuple((i.text, (citation_of(rooms, i.evidence),)) for i in listed)
        holders = {c[0]: i.evidence for i, (_, c) in zip(listed, said, strict=True)}
        return Settled(said, tuple(holders.values()), "; ".join(i.text for i in listed))

    def value(e: Evidence) -> Value | None:
        if e is not best and not _sure(rooms, notes, e):
            return None
        return settled(question, e.text, before(e)) if kind is Kind.YES_NO else value_of(kind, e)

    weights = rooms.weigh(list(dict.fromkeys(terms(question))))
    heard = voices(evidence, value)
    if heard and heard[0].evidence is best and (sides := conflicting(kind, question, heard, weights)):
        return _differing(rooms, kind, question, sides)
    if kind is Kind.YES_NO:
        word = _word(question, best)
        return Settled(((f"{word}.", (cited,)),) if word else (), (best,), word)
    agreement = tuple(citation_of(rooms, e) for e in agreeing(question, heard, weights))
    return Settled((), (), short_of(best), agreement if agreement[:1] == (cited,) else ())


def _word(question: str, e: Evidence) -> str:
    """'Yes' or 'No' where the sentence settles it, '' where it does not."""
    yes = settled(question, e.text, before(e))
    return "" if yes is None else "Yes" if yes else "No"


def told(page: Page, what: Settled) -> Iterator[Wrote]:
    """The house's words, each a claim of its own."""
    for words, citations in what.said:
        yield page.claim(words, citations, Verdict.SUPPORTED, Origin.RULE, "; ")


def agreed(page: Page, what: Settled) -> Iterator[Wrote]:
    """In how many documents the short answer stands, where it is more than one: what is counted, and no more."""
    if what.agreement:
        words = f"“{what.short}” stands in {len(what.agreement)} documents."
        yield page.claim(words, what.agreement, Verdict.SUPPORTED, Origin.RULE, "\n\n")


def _differing(rooms: Rooms, kind: Kind, question: str, sides: Sequence[Sequence[Evidence]]) -> Settled:
    """All sides with the dates of their documents, the latest first where all have one; none is chosen."""
    says = short_of if kind is not Kind.YES_NO else lambda e: _word(question, e)
    both = [(_side(rooms, side, says(side[0])), side) for side in sides]
    if all(shown.as_of for shown, _ in both):
        both.sort(key=lambda pair: pair[0].as_of, reverse=True)
    shown = tuple(side for side, _ in both)
    said = [f"“{s.says}”" + (f" (as of {s.as_of})" if s.as_of else "") for s in shown]
    words = f"The documents differ: {', '.join(said[:-1])} or {said[-1]}."
    cited = tuple(c for s in shown for c in s.citations)
    return Settled(((words, cited),), tuple(e for _, side in both for e in side), "", (), shown)


def _side(rooms: Rooms, side: Sequence[Evidence], says: str) -> Side:
    cited = tuple(citation_of(rooms, e) for e in side)
    return Side(says, cited, as_of(side[0].text, cited[0].source))


def _sure(rooms: Rooms, notes: Notes, e: Evidence) -> bool:
    """True if the sentence would be an answer by itself."""
    alone = rooms.gate.confidence({**notes.signals, "sentence": log_odds(e.support)})
    return rooms.gate.outcome(alone, rooms.config.answer.strictness) is Outcome.ANSWERED
