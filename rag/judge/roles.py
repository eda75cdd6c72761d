"""A claim and a quote, both read; out, where the claim gives a name another part than the quote does.

Every word of such a claim stands in the quote: who did it and whom it was done to have changed places, or a name hangs
where the quote has another one ('the mosque in Leyton' of 'the mosque in Hackney, near Leyton'). Without a parser only
the plainest constructions are seen, and what the quote says in a second way is believed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rag.judge.statement import Name, Places, Statement, keys

_PLACED = frozenset("in of from at near for by against under with to".split())
_ARTICLES = frozenset({"the", "a", "an"})
_BEFORE_VERB = frozenset("did does has have had will would also then later first".split())
_NEAR = 3  # tokens between a word and the preposition that hangs on it
_REACH = 5  # tokens before a preposition among which it has its word
_AGENTS = 14  # tokens after a 'by' that may still name who did it


def capitals(claim: Statement, name: Name) -> list[int]:
    """The capitalised tokens of a name."""
    return [at for at in range(name.first, name.last + 1) if claim.texts[at][0].isupper()]


def _ahead(statement: Statement, name: Name) -> int:
    """The token right before a name and its article, -1 if there is none."""
    at = name.first - 1
    while at >= 0 and statement.folds[at] in _ARTICLES:
        at -= 1
    return at


def turned(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """Two names around one verb must stand around it the same way, or the other way round in the passive."""
    sure = [n for n in claim.names if any(places[at] for at in capitals(claim, n))]
    for one, two in itertools.pairwise(sure):
        verbs = [at for at in range(one.last + 1, two.first) if claim.content[at] and places[at]]
        if not verbs or claim.clauses[one.last] != claim.clauses[two.first]:
            continue
        kept, other = _orders(claim, quote, places, one, two, verbs)
        if other and not kept:
            yield f"the quotes have {claim.named(one)} and {claim.named(two)} the other way round"


def crossed(claim: Statement, quote: Statement, _: Places) -> Iterator[str]:
    """'Japanese exports to the U.S. totaled $80 billion' of 'U.S. exports to Japan totaled $80 billion, while Japanese
    exports to the U.S. reached $148 billion': names stand round a number the way they do in its own clause."""
    for number in claim.numbers:
        own = {quote.clauses[n.first] for n in quote.numbers if n.value == number.value and n.kind == number.kind}
        if len(own) != 1:
            continue
        inside = list[tuple[int, ...]]()
        for at, clause in enumerate(claim.clauses):
            there = sorted(p for p in _called(claim, at, quote) if quote.clauses[p] in own)
            inside.append(tuple(there) if clause == claim.clauses[number.first] else ())
        yield from turned(claim, quote, inside)


def acted(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'The trees will be given to Japan by the States' of 'Japan will give trees to the States': who did it stands
    before its verb where the quote says it in the active."""
    for name in claim.names:
        at = _ahead(claim, name)
        if at < 0 or claim.folds[at] != "by":
            continue
        own = {p for n in capitals(claim, name) for p in places[n]}
        verbs = [v for v in range(at) if claim.content[v] and _participle(claim, v) and places[v]]
        theirs = [p for v in verbs[-1:] for p in places[v]]
        if own and theirs and all(_agent(quote, p, own) is False for p in theirs):
            yield f"the quotes do not say that {claim.named(name)} did it"


_BE = frozenset("is are was were be been being".split())


def _participle(claim: Statement, at: int) -> bool:
    """True for 'given' of 'will be given'."""
    return any(f in _BE for f in claim.folds[max(0, at - 2) : at]) and not claim.texts[at][0].isupper()


def _agent(quote: Statement, verb: int, own: set[int]) -> bool | None:
    """Whether the name at `own` did what the active `verb` says: False if it stands after it, and another name before;
    None where the quote says it otherwise."""
    clause = [at for at in range(len(quote.folds)) if quote.clauses[at] == quote.clauses[verb]]
    if "by" in (quote.folds[at] for at in clause if at > verb):
        return None
    before = [n for n in quote.names if n.last < verb and n.first in clause]
    if any(at in own for n in before for at in range(n.first, n.last + 1)):
        return True
    return False if before and any(p in own for p in clause if p > verb) else None


def _orders(
    claim: Statement, quote: Statement, places: Places, one: Name, two: Name, verbs: Sequence[int]
) -> tuple[bool, bool]:
    """Whether the quote has one-verb-two somewhere, and whether it has two-verb-one; the passive counts as turned."""
    firsts = [p for at in capitals(claim, one) for p in places[at]]
    seconds = [p for at in capitals(claim, two) for p in places[at]]
    passive = _passive(claim, one.last, two.first)
    kept = other = False
    for verb in (p for at in verbs for p in places[at]):
        for a in firsts:
            for b in seconds:
                if a < verb < b or b < verb < a:
                    same = (a < verb) == (passive == _passive(quote, min(a, b), max(a, b)))
                    kept, other = kept or same, other or not same
    return kept, other


def _passive(statement: Statement, start: int, end: int) -> bool:
    """True if 'by' introduces what stands at `end`: 'was given by the'."""
    return "by" in statement.folds[start + 1 : end][-3:]


def astray(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'The mosque is in Leyton' where the quote has 'the mosque in Hackney'; 'Berg wrote it' where it has 'written by
    Weiss'. `places`: of each token of the claim in the quote."""
    for name in claim.names:
        own = {p for at in capitals(claim, name) for p in places[at]}
        joint, heads = _hung(claim, name, places)
        if not own or not heads:
            continue
        there = [_hanging(quote, head, joint) for head in heads]
        if any(n is None or own & _listed(quote, n) for n in there):
            continue
        if any(_beside(quote, own, head, joint) for head in heads):
            continue
        other = next(n for n in there if n is not None)
        said = (
            f"{joint} {claim.named(name)}"
            if claim.folds[name.first - 1 : name.first] == (joint,)
            else claim.named(name)
        )
        yield f"the quotes have '{joint} {quote.named(other)}' where the claim has '{said}'"


def swapped(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'A win at the Cup' of 'wins at the Regatta, with victory in the Cup': the claim's preposition stands before
    another name in the quote, and the claim's name behind other prepositions only."""
    said = {p for found in places for p in found}
    for name in claim.names:
        joint, same = _joint(claim, name), _same(claim, name, quote)
        own = [n for n in quote.names if same & set(range(n.first, n.last + 1))]
        if not joint or not own or not all(_joint(quote, n) not in ("", joint) for n in own):
            continue
        others = (n for n in quote.names if n not in own and _joint(quote, n) == joint)
        other = next((n for n in others if not said & set(range(n.first, n.last + 1))), None)
        if other is not None:
            yield f"the quotes have '{joint} {quote.named(other)}' where the claim has '{joint} {claim.named(name)}'"


def _same(claim: Statement, name: Name, quote: Statement) -> set[int]:
    """The tokens of the quote that are a word of the name, by whatever it is called ('America', 'United States')."""
    return {p for at in capitals(claim, name) for p in _called(claim, at, quote)}


def _called(claim: Statement, at: int, quote: Statement) -> set[int]:
    """The tokens of the quote that mean token `at` of the claim, whichever way they are called."""
    return {p for key in keys(claim.folds[at], claim.stems[at]) for p in quote.places.get(key, ())}


def _joint(statement: Statement, name: Name) -> str:
    """The preposition right before a name, '' if there is none."""
    at = _ahead(statement, name)
    return statement.folds[at] if at >= 0 and statement.folds[at] in _PLACED else ""


def bracketed(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'The Lions play in Comerica Park' of 'Comerica Park (home of the Tigers), Ford Field (home of the Lions)', 'Hoffa
    led the Autoworkers' of 'Hoffa of the Teamsters and Reuther of the Autoworkers': what stands in the brackets behind
    one name, or hangs on it, is said of that name alone."""
    owned = [pair for name in quote.names if (pair := _owned(quote, name)) is not None]
    said = {p for name in claim.names for at in capitals(claim, name) for p in places[at]}
    named = [owner for owner, _ in owned if said.issuperset(owner)]
    if len(owned) < 2 or len(named) != 1:
        return
    for name in claim.names:
        own = {p for at in capitals(claim, name) for p in places[at]}
        holder = next((owner for owner, inside in owned if own and own <= inside), None)
        if holder is not None and holder != named[0]:
            one, other = (" ".join(quote.texts[p] for p in tokens) for tokens in (holder, named[0]))
            yield f"the quotes say {claim.named(name)} of {one}, not of {other}"


def _owned(quote: Statement, name: Name) -> tuple[list[int], set[int]] | None:
    """The tokens of a name, and those in the brackets right behind it, or behind the 'of' in it; None without any."""
    start = name.last + 1
    if quote.folds[start : start + 1] == ("(",) and ")" in quote.folds[start:]:
        return capitals(quote, name), set(range(start + 1, quote.folds.index(")", start)))
    parting = next((at for at in range(name.first, name.last) if quote.folds[at] == "of"), None)
    if parting is None:
        return None
    every = capitals(quote, name)
    return [at for at in every if at < parting], {at for at in every if at > parting}


def _hung(claim: Statement, name: Name, places: Places) -> tuple[str, list[int]]:
    """What `name` hangs on: a preposition, and the places in the quote of the word before it; a name before its verb
    hangs on that by 'by'."""
    at = _ahead(claim, name)
    if at >= 0 and claim.folds[at] in _PLACED:
        before = range(at - 1, max(-1, at - 1 - _REACH), -1)
        same = [b for b in before if claim.clauses[b] == claim.clauses[at] and claim.content[b] and places[b]]
        return claim.folds[at], _phrase(claim, same[0], places) if same else []
    verb = name.last + 1
    while verb < len(claim.folds) and claim.folds[verb] in _BEFORE_VERB:
        verb += 1
    if verb == len(claim.folds) or claim.clauses[verb] != claim.clauses[name.last] or claim.texts[verb][0].isupper():
        return "", []
    return "by", list(places[verb]) if claim.content[verb] else []


def _phrase(claim: Statement, head: int, places: Places) -> list[int]:
    """The places of `head`, with the word before it if the quote has that too."""
    if head and claim.content[head - 1] and places[head - 1]:
        return [p for p in places[head] if p - 1 in places[head - 1]]
    return list(places[head])


def _hanging(quote: Statement, head: int, joint: str) -> Name | None:
    """The name that hangs on the token `head` by the preposition `joint`: 'Leyton' of 'the Mosque in Leyton'."""
    for name in quote.names:
        if head < name.first <= head + _NEAR + 1 and quote.clauses[head] == quote.clauses[name.first]:
            return name if joint in quote.folds[head + 1 : name.first] else None
    return None


def _listed(quote: Statement, name: Name) -> set[int]:
    """The tokens of a name, and the first ones of the names in a list with it: 'in Leyton and Hackney' has both, 'in
    Leyton and the Mosque of Hackney' has not."""
    unit = quote.units[quote.owners[name.first]]
    return set(range(name.first, name.last + 1)) | {u.first for u in quote.units if u.start == unit.start}


def _beside(quote: Statement, own: set[int], head: int, joint: str) -> bool:
    """True if the claim's name stands at `head` all the same: close by in its clause, or among those who did it."""
    if joint != "by" and any(abs(p - head) <= _NEAR and quote.clauses[p] == quote.clauses[head] for p in own):
        return True
    return joint == "by" and any(head < p <= head + _AGENTS for p in own) and not _second_by(quote, head, own)


def _second_by(quote: Statement, head: int, own: set[int]) -> bool:
    """True if another 'by' stands before the name: 'written by Weiss and illustrated by Berg'."""
    nearest = min(p for p in own if p > head)
    return quote.folds[head + 1 : nearest].count("by") > 1
