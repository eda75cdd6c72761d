"""A claim and a quote, both read; out, where the claim gives a number, a part or an exception to another thing.

counted      'five electorates' of 'eight electorates of five representatives'
paired       '12,000 in 2010' of 'from 12,000 in 1990 to 18,500 in 2010'
clock        '8:40' of 'leaves at 8:15 and arrives at 9:40'
shares       'the 40 wells', 'most of the 40 wells' of 'some of the 40 wells'
excepted     'all employees', 'interns' of 'all employees except interns'
qualified    'the mayor' of 'a former mayor'
ranked       'longer than C', 'the longest' of 'longer than B but shorter than C'
listed       'A was B' of 'A and B'
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence

from rag.judge.lexicon import MONTHS
from rag.judge.numbers import Number
from rag.judge.statement import Places, Statement

_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2})[:.](\d{2})(?![\d:]|\.\d)(?=\s*(?:[ap]\.?m\b|[^\w%]|$|\s))")
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_SHARES = frozenset("some most many few several all half none one two three each part".split())
_EXCEPT = frozenset({"except", "excluding", "excepting", "save"})
_NEAR = 6  # tokens before an exception among which its whole is named
_WHOLE = frozenset("all every each always any everyone everybody daily weekly monthly".split())
_QUALIFIERS = frozenset(
    "former ex acting deputy vice alleged proposed planned would-be retired honorary suspected".split()
)
_BE = frozenset({"is", "are", "was", "were"})
_JOINTS = frozenset("and or both either the a an".split())
_LOOSE = frozenset("a an the of".split())
_BETWEEN = frozenset("to in and by as of on at for or".split())


def counted(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """What a number counts or measures: the word right behind it, which in the quote stands behind another number."""
    for number in claim.numbers:
        thing = _behind(claim, number)
        if thing is None or not places[thing] or not any(n.value == number.value for n in quote.numbers):
            continue
        owners = [_owner(quote, p) for p in _exact(claim, thing, quote, places)]
        shared = any(key == number.value or key == claim.stems[thing] for key, _ in _shares(quote))
        if not shared and all(o is not None and o.value != number.value for o in owners):
            other = owners[0]
            yield f"the quotes have {other.text if other else ''} {claim.texts[thing]}, the claim {number.text}"


def _exact(claim: Statement, at: int, quote: Statement, places: Places) -> Sequence[int]:
    """The places of a token where its very form stands, else where its stem does, else all."""
    for form in (claim.folds, claim.stems):
        same = [p for p in places[at] if (quote.folds if form is claim.folds else quote.stems)[p] == form[at]]
        if same:
            return same
    return places[at]


def _behind(said: Statement, number: Number) -> int | None:
    """The token that stands right behind a number, or behind one word between; None where that says nothing."""
    if number.kind != "cardinal" or _YEAR.fullmatch(number.text):
        return None
    for at in range(number.last + 1, min(number.last + 3, len(said.folds))):
        if said.content[at]:
            return at
        if not said.folds[at].isalpha() or said.folds[at] in _BETWEEN:
            return None
    return None


def _owner(said: Statement, thing: int) -> Number | None:
    """The number right before a token, at most one word between them; None if there is none."""
    return next((n for n in said.numbers if _behind(said, n) == thing or n.last == thing - 1), None)


def paired(claim: Statement, quote: Statement) -> Iterator[str]:
    """Two numbers with nothing but 'in' between, each of which the quote has with another one."""
    for one, two in _pairs(claim):
        theirs = list(_pairs(quote))
        same = any(a.value == one.value and b.value == two.value for a, b in theirs)
        first = any(a.value == one.value for a, _ in theirs)
        second = any(b.value == two.value for _, b in theirs)
        if first and second and not same:
            yield f"the quotes do not have {one.text} in {two.text}"


def _pairs(said: Statement) -> Iterator[tuple[Number, Number]]:
    for one, two in zip(said.numbers, said.numbers[1:], strict=False):
        if said.folds[one.last + 1 : two.first] in (("in",), ("on",), ("at",), ("by",)):
            yield one, two


def clock(claim: Statement, quote: Statement) -> Iterator[str]:
    """A time of day that the quote does not have."""
    have = {(int(m[1]), m[2]) for m in _CLOCK.finditer(quote.text)}
    for m in _CLOCK.finditer(claim.text):
        if ":" in m.group() and have and (int(m[1]), m[2]) not in have:
            yield f"the time {m.group()} is not in the quotes"


def shares(claim: Statement, quote: Statement) -> Iterator[str]:
    """'Some of the 40 wells': the claim must say the same share of the same number or thing."""
    own, theirs = dict(_shares(claim)), dict(_shares(quote))
    for key, share in theirs.items():
        if key in own and own[key] != share:
            yield f"the quotes say '{share} of' it, the claim '{own[key]} of'"
        elif key not in own and (_plain(claim, key) if isinstance(key, float) else _whole(claim, key)):
            yield f"the quotes say '{share} of the {key if isinstance(key, str) else f'{key:g}'}'"


def _shares(said: Statement) -> Iterator[tuple[float | str, str]]:
    for at, f in enumerate(said.folds):
        if f not in _SHARES or said.folds[at + 1 : at + 2] != ("of",):
            continue
        behind = at + 2
        while behind < len(said.folds) and said.folds[behind] in ("the", "its", "their", "these", "those", "a"):
            behind += 1
        number = next((n for n in said.numbers if n.first == behind), None)
        if number is not None:
            yield number.value, f
            behind = number.last + 1
        if behind < len(said.folds) and said.content[behind] and f not in ("one", "each", "all", "part"):
            yield said.stems[behind], f


def _plain(claim: Statement, value: float) -> bool:
    """True if the claim says that number of a thing, 'the' or nothing before it, and no share anywhere."""
    here = [n for n in claim.numbers if n.value == value]
    return bool(here) and not any(claim.folds[n.first - 1 : n.first] == ("of",) for n in here)


def _whole(claim: Statement, thing: str) -> bool:
    """True if the claim says 'the' or 'all' of a thing."""
    return any(s == thing and claim.folds[at - 1 : at] in (("the",), ("all",)) for at, s in enumerate(claim.stems))


def excepted(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """A whole that the quote says with an exception, and the exception said as if it were none."""
    if any(_exception(claim, at) for at in range(len(claim.folds))) or claim.denials:
        return
    for at in range(len(quote.folds)):
        if not (reach := _exception(quote, at)):
            continue
        behind = range(at + reach, min(at + reach + 3, len(quote.folds)))
        if any(own and all(p in behind for p in own) for own, c in zip(places, claim.content, strict=True) if c):
            yield "the quotes say this of all but it"
        elif any(f in _WHOLE and f in claim.folds for f in quote.folds[max(0, at - _NEAR) : at]):
            yield f"the quotes say '{' '.join(quote.texts[at : at + reach])}' of some"


def _exception(said: Statement, at: int) -> int:
    """The number of tokens of the word for an exception that begins at `at`; 0 for none."""
    two = said.folds[at : at + 2]
    if two in (("apart", "from"), ("other", "than"), ("all", "but"), ("except", "for")):
        return 2
    return int(said.folds[at] in _EXCEPT)


def qualified(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'A former mayor' told as the mayor, or as the former chair."""
    own = {claim.folds[at]: at for at in range(len(claim.folds)) if claim.folds[at] in _QUALIFIERS}
    for at, f in enumerate(quote.folds[:-1]):
        if f not in _QUALIFIERS or not quote.content[at + 1]:
            continue
        heads = [h for h, found in enumerate(places) if found and all(p == at + 1 for p in found)]
        if heads and f not in own and not (f in ("former", "ex") and {"was", "were"} & set(claim.folds)):
            yield f"the quotes say '{f} {quote.texts[at + 1]}'"
        elif f in own:
            head = places[own[f] + 1] if own[f] + 1 < len(places) else ()
            if head and not any(quote.folds[p - 1 : p] == (f,) for p in head):
                yield f"the quotes say '{f}' of '{quote.texts[at + 1]}' only"


def ranked(claim: Statement, quote: Statement, places: Places, granted: Collection[str]) -> Iterator[str]:
    """What is compared with what; and the first of all of what is only more than another."""
    theirs = dict(_comparisons(quote))
    for than, what in _comparisons(claim):
        held = {quote.stems[p - 1] for p, other in theirs.items() if other in places[what]}
        if held and claim.stems[than - 1] not in held and claim.stems[than - 1] in {quote.stems[p - 1] for p in theirs}:
            yield f"the quotes do not say '{claim.texts[than - 1]} than {claim.texts[what]}'"
    for at, f in enumerate(claim.folds):
        most = f.endswith("est") and len(f) > 5 and claim.content[at] and claim.stems[at] not in granted
        if most and f not in quote.folds and {f"{f[:-3]}er", f"{f[:-2]}r"} & set(quote.folds):
            yield f"the quotes do not say '{claim.texts[at]}'"


def _comparisons(said: Statement) -> Iterator[tuple[int, int]]:
    """Each 'than' with a word before it, and the first word behind it that says something."""
    for than, f in enumerate(said.folds):
        behind = range(than + 1, min(than + 5, len(said.folds)))
        what = next((at for at in behind if said.content[at]), None) if f == "than" and than else None
        if what is not None and said.clauses[what] == said.clauses[than]:
            yield than, what


def listed(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'A was B' where the quote only names both side by side, 'A and B'."""
    for at, f in enumerate(claim.folds):
        if f not in _BE:
            continue
        left = next((b for b in range(at - 1, -1, -1) if claim.folds[b] not in _LOOSE), None)
        right = next((a for a in range(at + 1, len(claim.folds)) if claim.folds[a] not in _LOOSE), None)
        if left is None or right is None or not places[left] or not places[right]:
            continue
        if all(_joined(quote, p, q) for p in places[left] for q in places[right]):
            yield f"the quotes name '{claim.texts[left]}' and '{claim.texts[right]}', and do not say that they are one"


_WHERE = frozenset("in at from near to on with into along through around outside off".split())


def placed(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """'The quarter is Norham' where the quote only has the quarter 'in Norham'."""
    for name in claim.names:
        be, at = name.first - 1, name.first - 2
        if be < 1 or claim.folds[be] not in _BE or not places[at] or not claim.content[at]:
            continue
        own = [n for n in quote.names if any(n.first <= p <= n.last for p in places[name.last])]
        if own and all(quote.joint(n.first) in _WHERE for n in own):
            yield f"the quotes have '{quote.joint(own[0].first)} {quote.named(own[0])}', and do not say it is that"


def _joined(quote: Statement, one: int, two: int) -> bool:
    """True if nothing but 'and' or 'or' stands between two tokens, the rest of their names left out."""
    first, last = sorted((one, two))
    between = range(first + 1, last)
    own = {quote.owners[first], quote.owners[last]} - {-1}
    rest = [quote.folds[at] for at in between if quote.owners[at] not in own]
    return bool(rest) and all(f in _JOINTS for f in rest) and ("and" in rest or "or" in rest)


_MEANT = frozenset("it them then that this".split())
_TURNED = {
    one: two
    for a, b in (
        pair.split()
        for pair in ("for against", "with without", "before after", "above below", "from to", "into out", "until since")
    )
    for one, two in ((a, b), (b, a))
}


def joined(claim: Statement, quote: Statement, places: Places) -> Iterator[str]:
    """A preposition that is the opposite of the one that its word has in the quote."""
    for at, own in enumerate(places):
        mine, theirs = claim.joint(at), {quote.joint(p) for p in own}
        pronoun = any(f == mine and g in _MEANT for f, g in itertools.pairwise(quote.folds))  # 'the war; after it'
        way = mine in ("from", "to") and mine not in quote.folds
        if mine in _TURNED and theirs == {_TURNED[mine]} and not (pronoun or way):
            yield f"the quotes say '{_TURNED[mine]} {claim.texts[at]}', the claim '{mine}'"


_OWNER = re.compile(r"['’]s?$")


def dated(claim: Statement, quote: Statement) -> Iterator[str]:
    """'They will give trees in 2026' where the quote has 'trees for the anniversary of America's founding in 2026', 'it
    opened in 1973' where it has 'after the 1973 oil crisis', or 'of the Treaty of Rome 1973': a year that the quotes
    give to a thing the claim does not name."""
    for number in claim.numbers:
        if claim.folds[number.first - 1 : number.first] not in (("in",), ("on",)) or not _YEAR.fullmatch(number.text):
            continue
        heads = [_owned(quote, n.first - 2) or _dating(quote, n) for n in quote.numbers if n.text == number.text]
        if heads and all(head is not None and quote.stems[head] not in claim.stems for head in heads):
            yield f"the quotes have {number.text} for '{quote.texts[heads[0] or 0]}' only"


def _dating(quote: Statement, year: Number) -> int | None:
    """The thing that a year tells apart: the last of 'the 1973 oil crisis', 'Rome' of 'the Treaty of Rome 1957'; None
    where it dates what happened."""
    label, last = year.first - 1, year.last
    if label >= 0 and quote.content[label] and quote.texts[label][0].isupper() and quote.folds[label] not in MONTHS:
        return label
    while last + 1 < len(quote.folds) and quote.content[last + 1] and quote.texts[last + 1].islower():
        last += 1
    return last if last > year.last and quote.folds[year.first - 1 : year.first] in (("the",), ("a",)) else None


def _owned(quote: Statement, head: int) -> int | None:
    """`head` if it is a thing of somebody's or something's and is followed by 'in', as 'America's founding in'."""
    if head < 1 or quote.folds[head + 1] != "in" or not quote.content[head] or quote.texts[head][0].isupper():
        return None
    of = "of" in quote.folds[max(0, head - 2) : head]
    return head if of or _OWNER.search(quote.texts[head - 1]) else None
