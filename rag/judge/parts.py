"""A claim and a quote, both read; out, where the claim puts together what the quote says apart.

'The Halden museum was founded in 1931 by Weiss, and the Norham library in 1947 by Lund' has every word of 'Lund founded
the Halden museum'. So a quote is cut into parts, each with a verb of its own, and what a claim says with a verb must
stand with that verb in one part. What stands before the first verb holds for all; a part that begins with its verb has
its subject in the part before it, and 'it' or 'which' may stand for anything said before.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from rag.judge.lexicon import AUXILIARIES, FORMS, MODALS, MONTHS, VERBS
from rag.judge.numbers import Number
from rag.judge.statement import Places, Statement, keys

_CUTS = frozenset(
    ", ; : . but and or while whereas although though which who that when where before after if unless".split()
)
_ANEW = frozenset("; : . but while whereas although though and or".split())
_PRONOUNS = frozenset("it they he she this these which who that them him her its their his".split())
_NOUN_BEFORE = frozenset(
    "a an the this that these those of in on at by for with from into its his her their our my your no any each every "
    "some most many several few all both".split()
)
_TIMES = frozenset({"before", "after", "during", "since", "until"})
_INVERTING = frozenset("in on at near under over above behind beside from to there here only so among".split())
_CONDITIONS = frozenset({"if", "unless", "whether"})
_OPEN = frozenset("if unless whether when would could may might can should provided".split())
_BE = frozenset("is are was were be been being am".split())
_HELPING = _BE | frozenset("has have had do does did".split())


@dataclass(frozen=True, slots=True)
class Part:
    """The tokens `start` to `end` (not included) of a sentence; `verb`: its first verb; `lead`: where its clause
    begins, behind 'In 1990,'; `subject`: True if a word that says something stands before the verb; `condition`: True
    if it only says what would be."""

    start: int
    end: int
    lead: int
    verb: int
    subject: bool
    condition: bool

    def has(self, at: int) -> bool:
        """True if the token lies in it."""
        return self.start <= at < self.end


def parts_of(said: Statement, verbs: Collection[int] = ()) -> list[Part]:
    """The parts of a sentence in order, the first from its beginning; [] if no verb is found. `verbs`: tokens that are
    known to be verbs. Brackets open no part."""
    spine = set(said.spine)
    cuts = [at for at in range(1, len(said.folds)) if said.folds[at] in _CUTS and at in spine]
    edges = [0, *cuts, len(said.folds)]
    found: list[Part] = []
    start = 0
    for begin, end in itertools.pairwise(edges):
        verb = next((at for at in range(begin, end) if at in spine and (at in verbs or _verb(said, at))), None)
        if verb is not None:
            start = min(start, begin) if start >= 0 else begin
            ahead = (at for at in range(start, verb) if said.folds[at] not in _CUTS)
            subject = any(said.content[at] or _number(said, at) for at in ahead)
            condition = bool(_CONDITIONS & set(said.folds[start:verb]))
            found.append(Part(start, end, begin, verb, subject, condition))
            start = -1
        elif found and said.folds[begin] in _ANEW and start < 0:
            start = begin  # 'after it' of '...; after it, the factory made radios'
        elif found and start < 0:
            found[-1] = replace(found[-1], end=end)
    if found and start >= 0:
        found[-1] = replace(found[-1], end=len(said.folds))
    return found


def _number(said: Statement, at: int) -> Number | None:
    return next((n for n in said.numbers if n.first <= at <= n.last), None)


def _verb(said: Statement, at: int) -> bool:
    """True for what is most likely a verb: an auxiliary, a known form, or an ending that one has."""
    f = said.folds[at]
    if f in AUXILIARIES:
        return not said.texts[at][0].isupper() or at == 0
    if said.texts[at][0].isupper() or not f.isalpha() or (at and said.folds[at - 1] in _NOUN_BEFORE):
        return False
    return any(form in FORMS or form in VERBS for form in (f, f.removesuffix("s"))) or _past(said, at)


def _past(said: Statement, at: int) -> bool:
    f = said.folds[at]
    modal = any(g in MODALS for g in said.folds[max(0, at - 2) : at]) and said.content[at]
    return modal or f == "born" or (f.endswith("ed") and len(f) > 3 and not f.endswith("eed"))


def _telling(said: Statement, at: int) -> bool:
    """True for a verb that says more than that something is so."""
    return said.content[at] and _verb(said, at) and said.folds[at] not in _HELPING


def mixed(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """What a part of the claim says with its verb, and no part of the quote does: a name, a number, a month in whose
    place that part of the quote has another, or what stands right behind the verb. `places`: of each token of the claim
    in the quote."""
    for part, verb in _said_with(claim, places):
        told = _told(claim, verb, quote, places)
        theirs = parts_of(quote, told)
        if len(theirs) < 2:
            continue
        firsts = (next((at for at in told if p.has(at)), None) for p in theirs)
        faults = [_fault(part, verb, claim, quote, theirs, at, places) for at in firsts if at is not None]
        if faults and None not in faults:
            yield f"no part of the quotes says '{faults[0]}' with '{claim.texts[verb]}'"
            return


def _said_with(claim: Statement, places: Places) -> Iterator[tuple[Part, int]]:
    """The parts of the claim that have a telling verb which the quote has, too, each with the first such verb."""
    for part in parts_of(claim):
        verb = next((at for at in range(part.verb, part.end) if _telling(claim, at) and places[at]), None)
        if verb is not None:
            yield part, verb


def _told(claim: Statement, verb: int, quote: Statement, places: Places) -> list[int]:
    """Where the quote has the verb itself, in some form of it, outside brackets."""
    spine, own = set(quote.spine), FORMS.get(claim.folds[verb], claim.stems[verb])
    same = [p for p in places[verb] if FORMS.get(quote.folds[p], quote.stems[p]) == own]
    return [p for p in same if p in spine and quote.folds[p - 1 : p] not in (("a",), ("the",), ("of",))]


def _fault(
    part: Part, verb: int, claim: Statement, quote: Statement, theirs: Sequence[Part], there: int, places: Places
) -> str | None:
    """The first word of a part of the claim that stands elsewhere in the quote, with another in its place here, where
    the quote has the verb: in the part with the token `there`."""
    home = next(n for n, p in enumerate(theirs) if p.has(there))
    here = theirs[home]
    said = {p for own in places for p in own}
    slots = _slots(claim, part, verb), _slots(quote, here, there)
    if _done(claim, verb) != _passive(quote, there):
        slots = slots[0], slots[1][::-1]
    displaced = _displaced(slots, claim, quote, here, places)
    for at in range(part.start, part.end):
        own = _found(claim, at, quote, places) if at != verb else ()
        if not own or (at != displaced and _stands(own, at < verb, claim.joint(at), quote, theirs, home)):
            continue
        number = _number(claim, at)
        if number is not None:
            mine = {n.value for n in claim.numbers}
            own_kind = (n for n in quote.numbers if n.kind == number.kind and n.unit == number.unit)
            alike = (n for n in own_kind if here.has(n.first) and n.first in quote.spine)
            rival = any(n.value not in mine and _year(n) == _year(number) for n in alike)
        elif claim.folds[at] in MONTHS:
            rival = any(f in MONTHS and here.has(p) and quote.texts[p][0].isupper() for p, f in enumerate(quote.folds))
        elif any(n.first <= at <= n.last and n.sure for n in claim.names):
            names = (n for n in quote.names if here.has(n.first) and (n.sure or n.last + 1 == there))
            rival = any(not said & set(range(n.first, n.last + 1)) for n in names)
        else:
            rival = any(at == a and b is not None and b not in said for a, b in zip(*slots, strict=True))
        same = [v for v in places[verb] if quote.folds[v] == quote.folds[there]]  # 'was founded by A, B was by C'
        again = [other for other in theirs if other is not here and any(other.has(v) for v in same)]
        if rival or at == displaced or any(other.has(p) for other in again for p in own):
            return claim.texts[at]
    return None


_Slots = tuple[tuple[int | None, int | None], tuple[int | None, int | None]]


def _displaced(slots: _Slots, claim: Statement, quote: Statement, here: Part, places: Places) -> int | None:
    """The claim's subject where that part of the quote names another one of its own, and says of it nowhere."""
    (mine, _), (other, _) = slots
    if mine is None or other is None or not here.subject or other > here.verb:
        return None
    return None if any(here.has(p) for p in _found(claim, mine, quote, places)) else mine


def _slots(said: Statement, part: Part, verb: int) -> tuple[int | None, int | None]:
    """The word right before a verb, and the one right behind it, that say something."""
    ahead = next((at for at in range(verb - 1, part.start - 1, -1) if said.content[at]), None)
    return ahead, next((at for at in range(verb + 1, part.end) if said.content[at]), None)


def _year(number: Number) -> bool:
    return number.text.isdigit() and 1000 <= number.value <= 2100


def _found(claim: Statement, at: int, quote: Statement, places: Places) -> tuple[int, ...]:
    """The tokens of the quote that are the word, the month or the number at `at`; () for what says nothing alone."""
    number = _number(claim, at)
    if number is not None:
        return tuple(n.first for n in quote.numbers if n.value == number.value) if at == number.first else ()
    if claim.folds[at] in MONTHS and claim.texts[at][0].isupper():
        month = MONTHS[claim.folds[at]]
        return tuple(p for p, f in enumerate(quote.folds) if MONTHS.get(f) == month and quote.texts[p][0].isupper())
    if not claim.content[at]:
        return ()
    called = {p for key in keys(claim.folds[at], claim.stems[at]) for p in quote.places.get(key, ())}  # 'Japanese'
    return tuple(sorted(called.union(places[at])))


def _stands(there: Sequence[int], ahead: bool, joint: str, quote: Statement, parts: Sequence[Part], home: int) -> bool:
    """True if one of the tokens `there` lies in the part `home` of the quote, or in what holds for it too: 'In 1990,'
    before the first part, the subject of the part before, what a pronoun may stand for, the object of two verbs."""
    part = parts[home]
    if any(part.has(p) or p < parts[0].lead for p in there):
        return True
    pronouns = [p for p in range(part.start, part.end) if quote.folds[p] in _PRONOUNS]
    meant = any({quote.joint(p), joint} & _TIMES == {joint} & _TIMES for p in pronouns)
    if any(p < part.start for p in there) and (meant or (ahead and not part.subject)):
        return True
    behind = range(part.verb + 1, part.end)
    shared = not any(quote.content[p] or _number(quote, p) for p in behind)  # 'developed and published by N'
    return shared and home + 1 < len(parts) and any(parts[home + 1].has(p) for p in there)


def reversed_(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'The closure caused flooding' of 'flooding caused the closure': all that stands before a verb stands behind it in
    the quote, and the other way round."""
    for part, verb in _said_with(claim, places):
        told = _told(claim, verb, quote, places)
        if len(told) != 1 or len(places[verb]) != 1:
            continue
        there = told[0]
        home = next((p for p in parts_of(quote, (there,)) if p.has(there)), None)
        if home is None or _inverted(quote, home) or _done(claim, verb) != _passive(quote, there):
            continue
        ahead = [p for at in range(part.start, verb) for p in _found(claim, at, quote, places)]
        behind = [p for at in range(verb + 1, part.end) for p in _found(claim, at, quote, places)]
        before = there if home.subject else home.verb  # of 'which led to it', all that was said before
        first = home.start if home.subject else 0
        if ahead and all(p > there for p in ahead) and any(first <= p < before for p in behind):
            yield f"the quotes say '{quote.texts[there]}' the other way round"
            return


def _inverted(said: Statement, part: Part) -> bool:
    """True for 'there stood the prince', 'in May came the flood'."""
    first = next((at for at in range(part.start, part.end) if said.folds[at] not in _CUTS), part.start)
    return said.folds[first] in _INVERTING


def _done(said: Statement, verb: int) -> bool:
    return bool(_BE & set(said.folds[max(0, verb - 2) : verb]))


def _passive(said: Statement, verb: int) -> bool:
    """True if what stands before the verb did not do it: 'was written', 'a song written in 1808 by'."""
    end = next((at for at in range(verb + 1, len(said.folds)) if said.marks[at]), len(said.folds))
    return _done(said, verb) or "by" in said.folds[verb + 1 : end]


def conditioned(claim: Statement, quote: Statement, places: Places, granted: Collection[str]) -> Iterator[str]:
    """'Sales fell' of 'if sales fall': what the quote only says under a condition."""
    if _OPEN & set(claim.folds):
        return
    for part in parts_of(quote):
        for at in range(len(claim.folds)) if part.condition else ():
            own = places[at]
            asked = claim.stems[at] in granted
            if _telling(claim, at) and not asked and own and all(part.has(p) and p >= part.verb for p in own):
                yield f"the quotes say '{claim.texts[at]}' under a condition"
                return
