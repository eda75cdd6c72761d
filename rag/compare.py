"""Evidence of several documents in; out, which of them say the same, and which say what cannot both hold.

Each document has one voice: its best sentence with a short answer. Two voices agree where their answers are one value
(250 and 'two hundred and fifty', 4 May 1997 and May 1997), unless one passage is a copy of the other. They conflict
only where everything else is the same: the same kind of value (rag/values.py), the whole question in both, no other
year, place or name in one of them, no word such as 'each' or 'total'. Names conflict where one person, or one place of
a named kind, is asked for; two versions of a document conflict in whatever one sentence has in the place of the other.
A conflict that is none would shake an answer that stands, so in doubt there is none: 0 in 743 answered questions about
Wikipedia paragraphs (squad2-calibration and the reader's sealed articles), of which 685 had several documents as
evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag.judge.lexicon import LIGHT, MONTHS
from rag.judge.statement import Statement, state
from rag.text import stem, stems, terms
from rag.types import Evidence, Kind
from rag.values import Name, Value, contrary, equal, short_of

_COPY = 0.85  # share of common terms from which one passage is a copy of another
_VERSION = 0.6  # ... and a version of it
_FEW = 12  # terms under which two passages may be alike by chance
_COVERED = 0.8  # share of the question's weight that both sentences must hold, with their passage, heading and title
_SAID = 0.5  # ... and that each sentence must hold itself
# Of a question, that its answer need not repeat.
_UNSAID = LIGHT | frozenset(
    "mani much often long citi town villag countri state street place region island person year month day date".split()
)
_BY = 4  # tokens after 'by' that may name who did it, which narrows nothing
_PART = frozenset(
    "each per total overall additional another other further remaining rest half quarter third percent including only "
    "initially originally first second later earlier now then previous previously formerly average annual annually "
    "monthly daily nearly almost over under least most up between estimated planned expected target least record "
    "respectively up down next last new old former will would could may might".split()
)
_STREETS = frozenset("street road avenue lane square drive boulevard".split())
_WHERE = re.compile(r"\bwhere\b", re.I)


@dataclass(frozen=True, slots=True)
class Voice:
    """What one document says, and what that is as a value."""

    evidence: Evidence
    value: Value


def voices(evidence: Sequence[Evidence], value: Callable[[Evidence], Value | None]) -> list[Voice]:
    """One voice for each document, of the first of its sentences that has a value; copies that say the same are counted
    once."""
    found: list[Voice] = []
    for e in evidence:
        own = value(e)
        if own is not None and not any(_one_source(v, Voice(e, own)) for v in found):
            found.append(Voice(e, own))
    return found


def agreeing(question: str, all_: Sequence[Voice], weights: Mapping[str, float]) -> list[Evidence]:
    """The evidence that says what the first voice says in answer to the same, itself first; [] if no other document
    does."""
    asked = set(terms(question)) - _UNSAID
    same = [
        v.evidence for v in all_[1:] if equal(all_[0].value, v.value) and _speaks_of(asked, v.evidence, weights, _SAID)
    ]
    return [all_[0].evidence, *same] if same else []


def conflicting(kind: Kind, question: str, all_: Sequence[Voice], weights: Mapping[str, float]) -> list[list[Evidence]]:
    """The sides that cannot all hold, the first voice's side first; [] for no conflict. `weights`: idf by stem."""
    first = all_[0] if all_ else None
    against = [v for v in all_[1:] if first and _clash(kind, question, first, v, weights)]
    sides: list[list[Voice]] = []
    for v in [v for v in all_ if first and (v in against or equal(v.value, first.value))] if against else []:
        side = next((s for s in sides if equal(s[0].value, v.value)), None)
        sides.append([v]) if side is None else side.append(v)
    return [[v.evidence for v in side] for side in sides]


def _clash(kind: Kind, question: str, one: Voice, two: Voice, weights: Mapping[str, float]) -> bool:
    if not (_apart(kind, question, one, two) or _exchanged(one, two)):
        return False
    asked = set(terms(question)) - _UNSAID
    share = _SAID if _alike(one.evidence, two.evidence, _VERSION) else _COVERED
    return all(_speaks_of(asked, v.evidence, weights, share) for v in (one, two)) and not (
        _beside(asked, one, two) or _beside(asked, two, one)
    )


def _apart(kind: Kind, question: str, one: Voice, two: Voice) -> bool:
    """True if the values cannot both answer. Of names only where one thing of a known kind is asked for, a person by
    the whole name or a place ('where' is a town, its country and its street), and neither passage speaks of both."""
    if not contrary(one.value, two.value):
        return False
    if not (isinstance(one.value, Name) and isinstance(two.value, Name)):
        return True
    if kind is Kind.PERSON:
        known = one.value.whole and two.value.whole
    else:
        streets = all(short_of(v.evidence).lower().split()[-1] in _STREETS for v in (one, two))
        known = kind is Kind.PLACE and (streets or _WHERE.search(question) is None)
    return known and not (_names(one, two.value) or _names(two, one.value))


def _names(voice: Voice, name: Name) -> bool:
    """True if the passage of `voice` has a word of `name`."""
    return bool(name.stems & stems(voice.evidence.hit.passage.text))


def _exchanged(one: Voice, two: Voice) -> bool:
    """True if two versions of a document have one sentence, but for the short answer in it."""
    answers = [set(terms(short_of(v.evidence))) for v in (one, two)]
    rests = [_rest(v.evidence) for v in (one, two)]
    apart = bool(answers[0] - answers[1]) and bool(answers[1] - answers[0])
    return apart and len(rests[0]) > 1 and rests[0] == rests[1] and _alike(one.evidence, two.evidence, _VERSION)


def _rest(e: Evidence) -> list[str]:
    """The terms of a sentence without its short answer."""
    at = None if e.answer is None else e.answer.shift(-e.span.start)
    return terms(e.text) if at is None else [*terms(e.text[: at.start]), "", *terms(e.text[at.end :])]


def _speaks_of(asked: set[str], e: Evidence, weights: Mapping[str, float], share: float) -> bool:
    """True if the sentence speaks of half of what is asked, and of `share` with its passage and the titles over it."""
    whole = sum(weights.get(t, 1.0) for t in asked) or 1.0
    own = set(terms(e.text))
    named = own | set(terms(f"{e.hit.passage.text} {e.hit.passage.heading} {e.hit.passage.source.title}"))
    return (
        sum(weights.get(t, 1.0) for t in asked & named) >= share * whole
        and sum(weights.get(t, 1.0) for t in asked & own) >= _SAID * whole
    )


def _beside(asked: set[str], one: Voice, two: Voice) -> bool:
    """True if `one` narrows what it says in a way that `two` does not: by a year, a name, a word such as 'each'."""
    e, passage = one.evidence, two.evidence.hit.passage
    said, other = (state(" ".join(v.evidence.text.split())) for v in (one, two))
    answer = stems(short_of(e))
    around = asked | stems(f"{passage.text} {passage.heading} {passage.source.title}")
    years = {said.stems[at] for at, t in enumerate(said.texts) if re.fullmatch(r"1\d{3}|20\d{2}", t)}
    months = {said.stems[at] for at, f in enumerate(said.folds) if f in MONTHS and said.texts[at][0].isupper()}
    if (_narrowing(said) | years | months) - around - answer - _since(said):
        return True
    parts = {f for f in said.folds if f in _PART} - {f for f in other.folds if f in _PART}
    denied = said.denials != other.denials and not isinstance(one.value, bool)
    return bool({p for p in parts if stem(p) not in asked}) or denied


def _narrowing(said: Statement) -> set[str]:
    """The stems of the names of a sentence, but for who it says did it: 'opened by the mayor, Karl Brandt'."""
    named = [n for n in said.names if n.sure and "by" not in said.folds[max(0, n.first - _BY) : n.first]]
    return {said.stems[at] for n in named for at in range(n.first, n.last + 1) if said.content[at]}


def _since(said: Statement) -> set[str]:
    """The stems of 'as of May 2024': when it was so, which is shown beside it."""
    of = next((at for at in range(1, len(said.folds)) if said.folds[at - 1 : at + 1] == ("as", "of")), len(said.folds))
    return set(said.stems[of : of + 4])


def _one_source(one: Voice, two: Voice) -> bool:
    """True if both are of one document, or of a document and its copy that says the same."""
    a, b = one.evidence, two.evidence
    if a.hit.passage.source.id == b.hit.passage.source.id:
        return True
    digits = any(c.isdigit() for t in set(terms(a.text)) ^ set(terms(b.text)) for c in t)
    return equal(one.value, two.value) and _alike(a, b, _COPY) and not digits


def _alike(one: Evidence, two: Evidence, share: float) -> bool:
    """True if the passages have `share` of the terms of the shorter one in common; all, where these are few."""
    first, second = set(terms(one.hit.passage.text)), set(terms(two.hit.passage.text))
    least = min(len(first), len(second))
    return first == second if least < _FEW else len(first & second) >= share * least
