"""A claim and a quote, both read; out, which words are which, and what stands in a word's place.

A claim made of a quote by changing one word differs from a paraphrase in its surroundings: they are still the quote's.
So each unit (number, name, word) of the claim is looked up twice: where the quote has it, and where the quote has its
neighbours. If the neighbours clearly stand round something else, that is a rival: '$148 billion' where the quote has
'totaled $80 billion'. Neighbours are counted up to three on each side, never across a comma.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rag.judge.statement import Statement, Unit, keys

_NEIGHBOURS = 3
_OTHERS = (
    {"countri", "counti"},
    {"moral", "mortal"},
    {"univers", "universiti"},
    {"organ", "organis"},
)  # alike, not akin
_AHEAD = 2  # neighbours that a rival must have more than the claim's own place


@dataclass(frozen=True, slots=True)
class Alignment:
    """`places[i]`: the tokens of the quote that mean token i of the claim."""

    claim: Statement
    quote: Statement
    places: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(claim: Statement, quote: Statement) -> Alignment:
        """Every token of the claim with its places in the quote, () if there are none."""
        return Alignment(claim, quote, tuple(_places(claim, at, quote) for at in range(len(claim.folds))))

    def best(self, at: int) -> int | None:
        """The place of token `at` of the claim, the one with most of its neighbours; None if it has none."""
        found = self.places[at]
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=lambda p: (sum(self._around(at, at, p, p)), -p))

    def rivals(self) -> Iterator[tuple[Unit, Unit, bool]]:
        """Units of the claim in whose place the quote has another, that other unit, and whether the quote has the
        claim's unit elsewhere."""
        for unit in self.claim.units:
            there = self._there(unit)
            own = max((self._own(unit, self.quote.units[i]) for i in there), default=0)
            clauses = {self.quote.clauses[self.quote.units[i].first] for i in there}
            for i, other in enumerate(self.quote.units):
                actor = bool(there) and (unit.sort, other.sort) == ("word", "name")  # 'both sides' where 'Trump' did it
                if i in there or not (actor or other.sort == unit.sort):
                    continue
                left, right = self._around(unit.first, unit.last, other.first, other.last)
                elsewhere = bool(there) and self.quote.clauses[other.first] not in clauses
                apart = elsewhere or (actor and right == _NEIGHBOURS)
                if left + right >= max(_NEIGHBOURS, own + _AHEAD) and ((left and right) or apart):
                    yield unit, other, bool(there)
                    break

    def _there(self, unit: Unit) -> set[int]:
        """The positions among the quote's units of those that are the claim's unit."""
        if unit.sort == "number":
            return {i for i, u in enumerate(self.quote.units) if u.value is not None and u.value == unit.value}
        tokens = (at for at in range(unit.first, unit.last + 1) if self.claim.content[at] or unit.sort == "word")
        return {self.quote.owners[p] for at in tokens for p in self.places[at]} - {-1}

    def _own(self, unit: Unit, place: Unit) -> int:
        """The neighbours that the claim's unit keeps at its own place; in a list, those round the whole list count."""
        left, right = self._around(unit.first, unit.last, place.first, place.last)
        if (place.start, place.end) != (place.first, place.last):
            wide = self._around(unit.first, unit.last, place.start, place.end)
            return max(left, wide[0]) + max(right, wide[1])
        return left + right

    def _around(self, first: int, last: int, start: int, end: int) -> tuple[int, int]:
        """How many neighbours before and after tokens `first` to `last` of the claim are those of `start` to `end`."""
        return self._run(first, start, -1), self._run(last, end, 1)

    def _run(self, at: int, place: int, step: int) -> int:
        ours, theirs = self.claim.spine, self.quote.spine
        a, b = self.claim.spots[at], self.quote.spots[place]
        if step > 0:  # `spots` of a token off the spine is the next one on it
            a -= a >= len(ours) or ours[a] != at
            b -= b >= len(theirs) or theirs[b] != place
        for count in range(_NEIGHBOURS):
            a, b = a + step, b + step
            x = ours[a] if 0 <= a < len(ours) else None
            y = theirs[b] if 0 <= b < len(theirs) else None
            ends = x is None or self.claim.marks[x], y is None or self.quote.marks[y]
            if any(ends):
                return count + all(ends)
            if x is None or y is None or y not in self.places[x]:
                return count
        return _NEIGHBOURS


def _places(claim: Statement, at: int, quote: Statement) -> tuple[int, ...]:
    folded, stemmed = claim.folds[at], claim.stems[at]
    found = quote.places.get(stemmed)
    if found:
        return found
    for key in keys(folded, stemmed)[1:]:
        if found := quote.places.get(key):
            return found
    if len(stemmed) < 4 or not claim.content[at]:
        return ()
    return tuple(p for p, other in enumerate(quote.stems) if alike(stemmed, other))


def alike(one: str, two: str) -> bool:
    """True if two stems share so long a beginning that one is a form of the other.

    >>> alike("japan", "japanes"), alike("construct", "constitut")
    (True, False)
    """
    if one[:4] != two[:4] or {one, two} in _OTHERS:
        return False
    short, long = sorted((len(one), len(two)))
    return short >= 4 and short >= 0.6 * long and one[: max(short - 1, 4)] == two[: max(short - 1, 4)]
