"""A claim and a quote, both read; out, small words of the claim that shift what the quote says.

Half of it, twice it, each year, only, more than the others, by instead of to: words too common to be missed one by one,
and each of them makes a true sentence false. The quote must have them, or something of their kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence

from rag.judge.statement import Statement

_SCALES = frozenset("half halv twice thrice doubl tripl trebl quadrupl quarter tenfold twofold threefold".split())
_ONLY = frozenset(
    "only solely exclusively all every always entirely completely wholly everywhere everyone everybody exactly "
    "precisely".split()
)
_SPANS = dict(
    pair.split(":")
    for pair in "second:s minute:min hour:h hourly:h day:d daily:d week:w weekly:w fortnight:w month:m monthly:m "
    "quarterly:q year:y yearly:y annually:y annual:y decade:dec century:cen capita:head head:head person:head "
    "household:house".split()
)
_BEFORE_SPAN = frozenset("a an per each every".split())
_UP = frozenset("rise grow increas climb jump soar surg ascend expand".split())
_DOWN = frozenset("fall drop declin decreas shrink plung plummet sink slump dwindl diminish".split())
_FORMS = {"rose": "rise", "risen": "rise", "grew": "grow", "grown": "grow", "fell": "fall", "fallen": "fall",
          "shrank": "shrink", "shrunk": "shrink", "sank": "sink", "sunk": "sink"}  # fmt: skip
_STEPS = frozenset({"to", "by", "from"})
_LOOSE = frozenset("a an the $ € £ ¥ about around nearly almost approximately roughly some".split())
# Words that deny in other languages; no English word is among them.
_DENYING = frozenset(
    "nicht kein keine keinen keinem keiner nie niemals pas jamais rien aucun aucune ningun ninguna nunca tampoco nao "
    "nenhum nenhuma nessuno nessuna niente niet geen nooit ikke inte aldrig не нет никогда нельзя δεν μην 不 没 沒 無 "
    "非 لا ليس لم لن".split()
)
_DENYING_ENDS = ("ない", "ません", "なかった", "않", "없")


def shifts(claim: Statement, quote: Statement, granted: Collection[str]) -> Iterator[tuple[str, str]]:
    """(kind, what is said) of each shift."""
    yield from _scaled(claim, quote, granted)
    yield from (("rate", f"the quotes do not say it {word}") for word in _rates(claim, quote, granted))
    for word in sorted(_ONLY & set(claim.folds) - set(quote.folds)):
        if not _alike(word, quote) and word not in granted:
            yield "only", f"the quotes do not say '{word}'"
    if _compares(claim) and "than" not in quote.folds:
        yield "compared", "the quotes compare nothing"
    yield from _changes(claim, quote, granted)
    yield from _steps(claim, quote)
    if _denials(claim) != _denials(quote):
        yield "negation", "one of claim and quotes denies, the other does not"


def _scaled(claim: Statement, quote: Statement, granted: Collection[str]) -> Iterator[tuple[str, str]]:
    for at, stem in enumerate(claim.stems):
        if stem in _SCALES and stem not in quote.stems and stem not in granted:
            yield "scaled", f"the quotes do not say '{claim.texts[at]}'"


def _rates(claim: Statement, quote: Statement, granted: Collection[str]) -> Iterator[str]:
    """Rates of the claim ('a year', 'monthly') whose span of time the quote does not speak of so."""
    have = {span for span, _ in _spans(quote)}
    asked = {_SPANS[g] for g in granted if g in _SPANS}
    yield from (words for span, words in _spans(claim) if span not in have | asked)


def _spans(statement: Statement) -> Iterator[tuple[str, str]]:
    for at, f in enumerate(statement.folds):
        if f not in _SPANS:
            continue
        before = statement.folds[at - 1] if at else ""
        if f.endswith("ly") or f == "annual" or f == "capita":
            yield _SPANS[f], statement.texts[at]
        elif before in _BEFORE_SPAN:
            yield _SPANS[f], f"{before} {statement.texts[at]}"


def _alike(word: str, quote: Statement) -> bool:
    """True if the quote has a word of the same force."""
    strict = {"only", "solely", "exclusively"}
    kin = strict if word in strict else {"exactly", "precisely"} if word in ("exactly", "precisely") else _ONLY - strict
    return bool(kin & set(quote.folds)) or (word in ("all", "every") and bool({"each", "any"} & set(quote.folds)))


def _compares(claim: Statement) -> bool:
    """True if 'than' stands before something else than a number: 'more than its neighbours'."""
    starts = {n.first for n in claim.numbers}
    for at, f in enumerate(claim.folds):
        after = at + 1
        while after < len(claim.folds) and claim.folds[after] in _LOOSE:
            after += 1
        if f == "than" and after not in starts and claim.folds[at - 1 : at] != ("rather",):
            return True
    return False


def _changes(claim: Statement, quote: Statement, granted: Collection[str]) -> Iterator[tuple[str, str]]:
    """'Exports fell to $80 billion' where the quote only has what they were."""
    for kin in (_UP, _DOWN):
        words = [t for t, f, s in zip(claim.texts, claim.folds, claim.stems, strict=True) if _FORMS.get(f, s) in kin]
        have = {_FORMS.get(f, s) for f, s in zip(quote.folds, quote.stems, strict=True)}
        if words and not have & kin and not kin & set(granted):
            yield "changed", f"the quotes do not say '{words[0]}'"


def _steps(claim: Statement, quote: Statement) -> Iterator[tuple[str, str]]:
    """'raised by 25' where the quote has 'raised to 25'."""
    for number in claim.numbers:
        step = _step(claim, number.first)
        theirs = {_step(quote, n.first) for n in quote.numbers if n.value == number.value and n.kind == number.kind}
        if step and theirs and all(t and t != step for t in theirs):
            yield (
                "step",
                f"the quotes have '{sorted(theirs)[0]} {number.text}' where the claim has '{step} {number.text}'",
            )


def _step(statement: Statement, first: int) -> str:
    at = first - 1
    while at > 0 and statement.folds[at] in _LOOSE:
        at -= 1
    ranged = any(  # '3 to 5', not 'from 12 in 1990 to 18'
        n.last == at - 1 and statement.folds[n.first - 1 : n.first] != ("in",) for n in statement.numbers
    )
    return statement.folds[at] if at >= 0 and statement.folds[at] in _STEPS and not ranged else ""


def _denials(statement: Statement) -> int:
    """Denials in other languages than English."""
    return sum(f in _DENYING for f in statement.folds) + sum(statement.text.count(end) for end in _DENYING_ENDS)


def modals(claim: Statement, quote: Statement, places: Sequence[int | None]) -> Iterator[str]:
    """'Will' or 'may' of the claim where the quote states a fact, or another chance of it. `places`: the best place of
    each token."""
    for at, place in enumerate(places):
        key = claim.modal[at]
        if key in ("", "intent", "would") or place is None or claim.texts[at][0].isupper():
            continue
        theirs = quote.modal[place]
        if theirs == key or (theirs == "intent" and key == "will") or key in quote.modal:
            continue  # where the quote has that modal of anything, which word it governs is a guess
        yield f"the claim says '{key}' of '{claim.texts[at]}', the quotes do not"
        return


def parted(claim: Statement, quotes: Sequence[Statement]) -> Iterator[str]:
    """Two numbers of one clause of the claim that no single quote has together."""
    for one, two in itertools.combinations(claim.numbers, 2):
        if claim.clauses[one.first] != claim.clauses[two.first]:
            continue
        holders = [{i for i, q in enumerate(quotes) if any(n.value == x.value for n in q.numbers)} for x in (one, two)]
        if all(holders) and not holders[0] & holders[1]:
            yield f"no single quote says {one.text} and {two.text} of one thing"
