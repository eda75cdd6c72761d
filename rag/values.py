"""A short answer in, what it says as a value; two values in, whether they are one, and whether both can hold.

Number    250 and 'two hundred and fifty' are one; 250 and 300 of one unit and thing cannot both hold
Date      4 May 1997 and May 1997 may be one; 1997 and 1998 cannot both be the day
Name      Anna Weiss and Ms Weiss may be one; Anna Weiss and Karl Lund cannot both be the person
bool      yes and no
words     anything else: only the same words are known to be the same
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.judge.lexicon import LINKS, MONTHS, TITLES
from rag.judge.statement import Statement, state
from rag.text import fold, stem, stems, words
from rag.types import Evidence, Kind

_ROUND = 0.02  # share by which two numbers may differ by rounding alone
_ARTICLES = frozenset({"the", "a", "an"})


@dataclass(frozen=True, slots=True)
class Number:
    """A quantity. `thing`: the stem of what is counted, '' if it is not said."""

    value: float
    unit: str
    thing: str
    about: bool


@dataclass(frozen=True, slots=True)
class Date:
    """A day, a month or a year; None for what is not said."""

    year: int | None
    month: str | None
    day: int | None


@dataclass(frozen=True, slots=True)
class Name:
    """The stems of a name, its titles left out; `whole`: of two words or more, so that it names one alone."""

    stems: frozenset[str]
    whole: bool


Value = Number | Date | Name | frozenset[str] | bool


def short_of(e: Evidence) -> str:
    """The short answer marked in a sentence, '' if there is none."""
    return "" if e.answer is None else " ".join(e.answer.shift(-e.span.start).of(e.text).split())


def value_of(kind: Kind, e: Evidence) -> Value | None:
    """What the short answer of `e` says, asked for `kind`; None where it says nothing of that kind."""
    short = short_of(e)
    if not short:
        return None
    if kind is Kind.DATE:
        return _date(short)
    if kind is Kind.NUMBER:
        return _number(short, state(" ".join(e.text.split())))
    return _name(short) or frozenset(stems(short)) - _ARTICLES or None


def _number(short: str, said: Statement) -> Number | None:
    own = state(short).numbers
    here = [n for n in said.numbers if own and n.value == own[0].value]
    if len(own) != 1 or not here or own[0].kind != "cardinal":
        return None
    return Number(own[0].value, own[0].unit or here[0].unit, _thing(said, here[0].last), here[0].bound != "")


def _thing(said: Statement, last: int) -> str:
    after = [at for at in range(last + 1, min(last + 4, len(said.folds))) if said.content[at]]
    return said.stems[after[0]] if after and said.clauses[after[0]] == said.clauses[last] else ""


def _date(text: str) -> Date | None:
    year = re.search(r"\b(1\d{3}|20\d{2})\b", text)
    month = next((MONTHS[fold(w)] for w in re.findall(r"[^\W\d]+", text) if fold(w) in MONTHS), None)
    day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", text) if month else None
    if (year is None and month is None) or len(re.findall(r"\b(?:1\d{3}|20\d{2})\b", text)) > 1:
        return None
    return Date(int(year[1]) if year else None, month, int(day[1]) if day else None)


def _name(short: str) -> Name | None:
    """A name alone: words with capitals, joined by 'of' and the like at most; not 'the Vice President' and not 'UN', as
    who is meant by them is a guess."""
    said = [s.of(short) for s in words(short)]
    own = [w for w in said if fold(w) not in LINKS]
    if not own or short.isupper() or not all(w[0].isupper() for w in own) or re.search(r"[,;]| and ", short):
        return None
    kept = [w for w in own if fold(w) not in TITLES]
    if not kept or kept[-1] != own[-1]:
        return None
    return Name(frozenset(stem(w) for w in kept), len(kept) > 1)


def equal(one: Value, two: Value) -> bool:
    """True if the two may be one value, said more or less exactly."""
    if isinstance(one, Number) and isinstance(two, Number):
        return one.unit == two.unit and one.value == two.value and _same_thing(one, two)
    if isinstance(one, Date) and isinstance(two, Date):
        pairs = ((one.year, two.year), (one.month, two.month), (one.day, two.day))
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        return bool(known) and all(a == b for a, b in known)
    return one == two


def contrary(one: Value, two: Value) -> bool:
    """True if the two are of one sort and cannot both be the only answer."""
    if isinstance(one, Number) and isinstance(two, Number):
        near = abs(one.value - two.value) <= _ROUND * max(abs(one.value), abs(two.value))
        return one.unit == two.unit and _same_thing(one, two) and not (near or one.about or two.about)
    if isinstance(one, Date) and isinstance(two, Date):
        if one.year is not None and two.year is not None and one.year != two.year:
            return True
        return one.year == two.year and None not in (one.month, two.month) and not equal(one, two)
    if isinstance(one, bool) and isinstance(two, bool):
        return one is not two
    if isinstance(one, Name) and isinstance(two, Name):
        return not one.stems & two.stems and one.whole == two.whole
    return False


def _same_thing(one: Number, two: Number) -> bool:
    return not one.thing or not two.thing or one.thing == two.thing
