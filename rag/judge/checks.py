"""A claim and a quote, both read; out, every way in which the quote does not carry the claim.

Each check is one function that yields failures. A failure has a kind (its cost is in `COSTS`) and says itself in words
for people. Checks only look at what both sides have in common or what the claim adds: what the quote says beyond the
claim is no fault, unless it turns the claim round (a negation, a 'may').
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rag.judge.align import Alignment
from rag.judge.lexicon import ALIASES, FORMS, LIGHT, LINKS, MONTHS, OTHER, TITLES
from rag.judge.measures import (
    clock,
    counted,
    dated,
    excepted,
    joined,
    listed,
    paired,
    placed,
    qualified,
    ranked,
    shares,
)
from rag.judge.numbers import Number
from rag.judge.parts import conditioned, mixed, reversed_
from rag.judge.roles import acted, astray, bracketed, capitals, crossed, swapped, turned
from rag.judge.shifts import modals, parted, shifts
from rag.judge.statement import Name, Places, Statement, Unit

_YEAR = re.compile(r"1\d{3}|20\d{2}")

# What each kind of failure leaves of the trust: the score is the product.
COSTS = {
    "number": 0.1,
    "unit": 0.25,
    "unit unsure": 0.7,
    "bound": 0.7,
    "bound turned": 0.2,
    "date": 0.15,
    "name": 0.15,
    "opener": 0.4,
    "title": 0.6,
    "joined": 0.25,
    "negation": 0.15,
    "opposite": 0.2,
    "role": 0.25,
    "rival": 0.4,
    "rival word": 0.6,
    "replaced": 0.7,
    "first": 0.6,
    "modal": 0.55,
    "apart": 0.4,
    "scaled": 0.25,
    "rate": 0.4,
    "only": 0.7,
    "compared": 0.4,
    "changed": 0.4,
    "step": 0.4,
    "future": 0.6,
    "apart in one": 0.4,
    "condition": 0.4,
    "counted": 0.2,
    "paired": 0.2,
    "time": 0.15,
    "share": 0.4,
    "exception": 0.3,
    "qualified": 0.4,
    "ranked": 0.3,
    "listed": 0.3,
    "joined by": 0.3,
}
# What is left for words that neither the quotes nor the question have: `ADDED` for each, so that one such word is one
# too many ('poisonous trees', 'rice exports'), and less where they are more than `FREE` of the claim.
ADDED, STEEP, FREE, LIGHTNESS = 0.78, 1.0, 0.3, 0.3


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` names a cost; `says` is for people; `left` is the share of the trust that remains, in [0, 1]."""

    kind: str
    says: str
    left: float


def compare(claim: Statement, quote: Statement, granted: Collection[str] = ()) -> list[Failure]:
    """Every failure of `claim` against `quote`, in the order of the checks. `granted`: stems of common words that the
    claim may have without the quote, names and numbers never."""
    alignment = Alignment.of(claim, quote)
    places = alignment.places
    return [
        *_numbers(claim, quote, places),
        *_dates(claim, quote),
        *_names(claim, quote, places),
        *_negation(alignment),
        *_opposites(claim, quote, places),
        *(_failure("role", says) for says in dict.fromkeys(_roles(claim, quote, places))),
        *(_failure("rival", says) for rule in (astray, swapped) for says in rule(claim, quote, places)),
        *_modality(alignment),
        *(_failure(kind, says) for kind, says in shifts(claim, quote, granted)),
        *(_failure("future", says) for says in modals(claim, quote, [alignment.best(at) for at in range(len(places))])),
        *(_failure(kind, says) for kind, rule in _measures(claim, quote, places, granted) for says in rule),
        *_words(alignment, granted),
    ]


def _measures(
    claim: Statement, quote: Statement, places: Places, granted: Collection[str]
) -> Iterator[tuple[str, Iterator[str]]]:
    """What is said apart, and numbers, shares, exceptions and comparisons of other things: by what each costs."""
    yield "apart in one", mixed(claim, quote, places)
    yield "role", reversed_(claim, quote, places)
    yield "condition", conditioned(claim, quote, places, granted)
    yield "counted", counted(claim, quote, places)
    yield "paired", paired(claim, quote)
    yield "time", clock(claim, quote)
    yield "share", shares(claim, quote)
    yield "exception", excepted(claim, quote, places)
    yield "qualified", qualified(claim, quote, places)
    yield "ranked", ranked(claim, quote, places, granted)
    yield "rival", dated(claim, quote)
    yield "listed", listed(claim, quote, places)
    yield "listed", placed(claim, quote, places)
    yield "joined by", joined(claim, quote, places)


def _roles(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    for rule in (turned, crossed, acted, bracketed):
        yield from rule(claim, quote, places)


def apart(claim: Statement, quotes: Sequence[Statement]) -> Iterator[Failure]:
    """Numbers that no single quote has together with what the claim says them of: the names of the same clause, or its
    words where it has no name."""
    for number in claim.numbers:
        holders = [q for q in quotes if any(_equal(number, n) for n in q.numbers)]
        clause = [at for at in range(len(claim.folds)) if claim.clauses[at] == claim.clauses[number.first]]
        named = [at for name in claim.names for at in capitals(claim, name) if at in clause]
        said = named or [at for at in clause if claim.content[at]]
        shares = [sum(bool(Alignment.of(claim, q).places[at]) for at in said) for q in holders]
        if holders and said and 2 * max(shares) < len(said):
            yield _failure("apart", f"no single quote says {number.text} of {claim.texts[said[0]]}")
    yield from (_failure("apart", says) for says in parted(claim, quotes))
    yield from (_failure("apart", says) for says in _borrowed(claim, quotes))


def _borrowed(claim: Statement, quotes: Sequence[Statement]) -> Iterator[str]:
    """'Exports totaled $80 billion under the July agreement' of a sentence on exports and one on the agreement: what a
    clause says beyond the quote that has the most of it. Another quote may only give it a name, or one word."""
    places = [Alignment.of(claim, q).places for q in quotes]
    for clause in sorted(set(claim.clauses)):
        said = [at for at in range(len(claim.folds)) if claim.clauses[at] == clause and claim.content[at]]
        best = max(places, key=lambda found: sum(bool(found[at]) for at in said))
        other = [at for at in said if not best[at] and any(found[at] for found in places)]
        if len([at for at in other if claim.folds[at] in MONTHS or not claim.texts[at][0].isupper()]) > 1:
            yield f"no single quote says '{' '.join(claim.texts[at] for at in other)}' of the rest"


def _failure(kind: str, says: str) -> Failure:
    return Failure(kind, says, COSTS[kind])


# --- numbers and dates


def _numbers(claim: Statement, quote: Statement, places: Places) -> Iterator[Failure]:
    for number in claim.numbers:
        same = [n for n in quote.numbers if _equal(number, n)]
        if not same:
            if not _excused(number, claim, quote):
                kind = "first" if claim.folds[number.first] == "first" else "number"
                yield _failure(kind, f"the number {number.text} is not in the quotes")
        elif not (fitting := [n for n in same if _unit_fits(number, n)]):
            yield _failure("unit", f"the quotes say {same[0].text}, the claim {number.text}")
        else:
            yield from _context(number, fitting, claim, quote, places)


def _equal(claimed: Number, quoted: Number) -> bool:
    """True if the quoted number makes the claimed one true; years lie in their decades and centuries."""
    if claimed.kind == quoted.kind == "decade" and min(claimed.value, quoted.value) < 100:
        return claimed.value % 100 == quoted.value % 100  # the nineties
    if claimed.kind == quoted.kind:
        return claimed.near(quoted, 0.05 if claimed.bound == "about" and not _yearly(quoted) else 1e-9)
    if quoted.kind == "cardinal" and claimed.kind == "decade":
        return claimed.value <= quoted.value < claimed.value + 10
    if quoted.kind == "cardinal" and claimed.kind == "ordinal" and claimed.unit == "century":
        return 100 * (claimed.value - 1) <= quoted.value - 1 < 100 * claimed.value
    return False


def _yearly(number: Number) -> bool:
    """True for what reads as a year: 'about 1923' is not 2024, though the two are within five in a hundred."""
    return bool(_YEAR.fullmatch(number.text)) and not number.unit


def _excused(number: Number, claim: Statement, quote: Statement) -> bool:
    """'One' is mostly a pronoun, and 'first' often an adverb."""
    word = claim.folds[number.first]
    if word == "one" and number.first == number.last:
        return True
    read = {at for n in quote.numbers for at in range(n.first, n.last + 1)}
    return any(f == word and at not in read for at, f in enumerate(quote.folds))


def _unit_fits(claimed: Number, quoted: Number) -> bool:
    return not claimed.unit or not quoted.unit or claimed.unit == quoted.unit


def _context(
    number: Number, same: Sequence[Number], claim: Statement, quote: Statement, places: Places
) -> Iterator[Failure]:
    """What stands around an equal number: its unit, what is counted, its bound."""
    if number.unit and not any(n.unit for n in same) and not any(n.unit == number.unit for n in quote.numbers):
        yield _failure("unit unsure", f"the quotes have {same[0].text} without '{number.unit}'")
    bounds = {n.bound for n in same}
    if {number.bound, *bounds} >= {"min", "max"} and number.bound not in bounds:
        yield _failure("bound turned", f"the quotes limit {number.text} the other way")
    elif number.bound in ("min", "max") and number.bound not in bounds:
        yield _failure("bound", f"the quotes do not limit {number.text} so")
    counted = _counted(number, claim)
    if counted is not None and not number.unit and (number.kind == "cardinal" or all(n.unit for n in same)):
        near = [p for n in same for p in places[counted] if n.first - 6 <= p <= n.last + 8]
        if not near:
            yield _failure("unit unsure", f"the quotes do not count {number.text} {claim.texts[counted]}")


def _counted(number: Number, claim: Statement) -> int | None:
    """The token of what is counted: the first content word just after the number."""
    if number.kind == "decade" or 1000 <= number.value <= 2100:  # '1997 elections' counts nothing
        return None
    for at in range(number.last + 1, min(number.last + 3, len(claim.folds))):
        if claim.clauses[at] != claim.clauses[number.last] or claim.folds[at] in ("to", "in", "and", "by", "as"):
            return None
        if claim.content[at]:
            return at
    return None


def _dates(claim: Statement, quote: Statement) -> Iterator[Failure]:
    have = {MONTHS[f] for f in quote.folds if f in MONTHS}
    for at, (text, f) in enumerate(zip(claim.texts, claim.folds, strict=True)):
        if f in MONTHS and text[0].isupper() and MONTHS[f] not in have and (at or f not in ("may", "march")):
            yield _failure("date", f"the month {text} is not in the quotes")


# --- names

_PARTING = frozenset({"of", "the", "and", "&"})


def _names(claim: Statement, quote: Statement, places: Places) -> Iterator[Failure]:
    for name in claim.names:
        missing = [at for at in capitals(claim, name) if not places[at] and not _by_initials(claim, at, quote)]
        if missing and not _shortened(claim, name, quote):
            says = " ".join(claim.texts[at] for at in missing)
            kind = "name" if name.sure else "opener"
            if all(claim.folds[at] in TITLES for at in missing):
                kind = "title"
            yield _failure(kind, f"the name {says} is not in the quotes")
        elif not missing and not _together(claim, name, quote, places):
            yield _failure("joined", f"the quotes do not join {claim.named(name)}")


def _by_initials(claim: Statement, at: int, quote: Statement) -> bool:
    """'LDP' where the quote has 'Liberal Democratic Party'."""
    return claim.texts[at].isupper() and len(claim.folds[at]) > 1 and claim.folds[at] in quote.initials


def _shortened(claim: Statement, name: Name, quote: Statement) -> bool:
    """'Liberal Democratic Party' where the quote has 'LDP', 'United States' where it has 'US' or 'American'."""
    initials = "".join(claim.folds[at][0] for at in capitals(claim, name))
    if len(initials) < 2:
        return False
    known = f"={ALIASES[initials]}" if initials in ALIASES else initials
    return known in quote.places or any(
        f == initials and t.replace(".", "").isupper() for f, t in zip(quote.folds, quote.texts, strict=True)
    )


def _together(claim: Statement, name: Name, quote: Statement, places: Places) -> bool:
    """True if the parts of a name stand side by side in the quote too, in any order, what is in brackets left out;
    titles may stand elsewhere. 'of' and a possessive part a name, 'bin' and 'van' do not."""
    for one, two in itertools.pairwise(capitals(claim, name)):
        between = claim.folds[one + 1 : two]
        if {claim.folds[one], claim.folds[two]} & TITLES or not set(between) <= LINKS - _PARTING:
            continue
        if claim.texts[one].endswith(("'s", "’s", "'", "’")):
            continue
        reach = 3 + len(between)
        pairs = [(p, q) for p in places[one] for q in places[two]]
        if pairs and not any(min(abs(p - q), abs(quote.spots[p] - quote.spots[q])) <= reach for p, q in pairs):
            return False
    return True


# --- what turns a statement round


def _negation(pair: Alignment) -> Iterator[Failure]:
    claim, quote = pair.claim, pair.quote
    if claim.denials > quote.denials:
        yield _failure("negation", "the claim denies more than the quotes")
        return
    for at, found in enumerate(pair.places):
        if not claim.content[at] and not claim.heads[at]:
            continue
        here, place = claim.negated[at], pair.best(at)
        if claim.heads[at] and here and not any(quote.negated[p] for p in found):
            yield _failure("negation", f"the claim denies '{claim.texts[at]}', the quotes do not")
            return
        if not here and place is not None and quote.negated[place] and quote.heads[place]:
            yield _failure("negation", f"the quotes deny '{claim.texts[at]}', the claim does not")
            return


def _opposites(claim: Statement, quote: Statement, places: Places) -> Iterator[Failure]:
    for at, f in enumerate(claim.folds):
        if f in OTHER and f not in quote.folds and not (places[at] and claim.content[at]):
            for other in sorted(OTHER[f]):
                if other in quote.folds and other not in claim.folds:
                    yield _failure("opposite", f"the quotes say '{other}', the claim '{f}'")
                    break


def _modality(pair: Alignment) -> Iterator[Failure]:
    """A fact made of a plan or a guess: 'won' of 'hopes to win', 'raised' of 'may raise'."""
    claim, quote = pair.claim, pair.quote
    for at in range(len(claim.folds)):
        if not claim.content[at] or claim.modal[at] or claim.texts[at][0].isupper():
            continue
        place = pair.best(at)
        if place is None or not quote.modal[place] or _infinitive(claim, at):
            continue
        if claim.folds[at] != quote.folds[place] or _finished(claim, at):
            yield _failure("modal", f"the quotes leave '{claim.texts[at]}' open, the claim states it")
            return


def _infinitive(claim: Statement, at: int) -> bool:
    return "to" in claim.folds[max(0, at - 2) : at] or claim.folds[at].endswith("ing")


def _finished(claim: Statement, at: int) -> bool:
    """True if an auxiliary before the verb says that it came about: 'did raise', 'has put', 'was set'."""
    return any(f in ("did", "has", "have", "had", "was", "were", "is", "are") for f in claim.folds[max(0, at - 2) : at])


# --- words


def _words(pair: Alignment, granted: Collection[str]) -> Iterator[Failure]:
    """Words that stand in the place of others, and words that the quotes do not have."""
    claim, quote = pair.claim, pair.quote
    replaced: set[int] = set()
    for unit, other, elsewhere in pair.rivals():
        missing = unit.sort != "word" and not elsewhere  # said already, as a missing number or name
        if unit.sort == "word" and claim.stems[unit.first] in granted and not _opposed(pair, unit, other):
            continue
        kind = "rival" if unit.sort != "word" else "rival word" if elsewhere else "replaced"
        if _opposed(pair, unit, other):
            kind = "opposite"
        replaced.update(range(unit.first, unit.last + 1))
        if not missing:
            yield _failure(kind, f"the quotes have '{quote.said(other)}' where the claim has '{claim.said(unit)}'")
    yield from _coverage(pair, replaced, granted)


def _opposed(pair: Alignment, unit: Unit, other: Unit) -> bool:
    return pair.quote.folds[other.first] in OTHER.get(pair.claim.folds[unit.first], ())


def _coverage(pair: Alignment, replaced: set[int], granted: Collection[str]) -> Iterator[Failure]:
    claim = pair.claim
    skipped = {at for n in claim.names for at in range(n.first, n.last + 1)}
    total = missed = 0.0
    missing = []
    for at, found in enumerate(pair.places):
        if not claim.content[at] or claim.folds[at] in MONTHS or (not found and claim.stems[at] in granted):
            continue
        weight = LIGHTNESS if FORMS.get(claim.folds[at], claim.stems[at]) in LIGHT else 1.0
        total += weight
        if not found and at not in skipped:
            missed += weight * (0.5 if at in replaced else 1.0)
            missing.append(claim.texts[at])
    if missing:
        share = missed / max(total + len(claim.numbers), 3.0)
        left = max(0.0, ADDED**missed * (1.0 - STEEP * max(0.0, share - FREE)))
        yield Failure("words", f"not in the quotes: {', '.join(missing)}", min(1.0, left))
