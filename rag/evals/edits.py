"""A true claim in; out, the same claim with one thing changed, so that its quote no longer carries it.

Each edit takes the claim, its quote, the passage round it and a random source, and gives None where it does not fit.
Where an edit may by chance stay true ('A and B won': 'B won'), it is not made.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable

from rag.text import STOPWORDS

_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w]|[.,]\d)")
_NAME = re.compile(r"\b[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*")
_NOT_NAMES = frozenset(
    "the a an in on at by from it he she they we i this that these those his her its their there when while after "
    "before although as if for with during since under until some many most all both each one however but and or "
    "so then what who where why how you my our your no not yes also once later thus to of other several two three "
    "four".split()
)  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_UNITS = """
    miles kilometres, kilometres miles, km miles, feet metres, metres feet, meters feet, million billion,
    billion million, thousand million, hundred thousand, percent million, % million, $ €, £ $, € $, years months,
    year month, days weeks, hours minutes, minutes hours, months years, weeks days, century decade, pounds ounces,
    kg tonnes, inches feet, acres hectares
"""
_CHANGES = [(one, two) for pair in _UNITS.replace("\n", " ").split(",") for one, two in [pair.split()]]
_OPPOSITES = """
    first last, largest smallest, highest lowest, longest shortest, oldest youngest, most least, more less,
    before after, earlier later, north south, east west, northern southern, eastern western, increase decrease,
    increased decreased, rise fall, won lost, began ended, opened closed, male female, men women, father mother,
    son daughter, brother sister, king queen, best worst, good bad, early late, high low, higher lower, large small,
    larger smaller, long short, old new, hot cold, maximum minimum, upper lower, public private, rich poor,
    strong weak, major minor, positive negative, supported opposed, accepted rejected, allowed prohibited,
    easy difficult, common rare, ancient modern, born died, bought sold, exports imports, above below, always never,
    success failure, included excluded, gained lost, majority minority, domestic foreign, better worse,
    greater smaller, older younger, friend enemy, day night, love hate, same different
"""
_PAIRS = [tuple(pair.split()) for pair in _OPPOSITES.replace("\n", " ").split(",")]
_OTHER = {a: b for one, two in _PAIRS for a, b in ((one, two), (two, one))}
_VERB = re.compile(r"\b(is|are|was|were|can|could|has|have|had|will|would|did|does|do|should|may)\b(?! not)")


def _put(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


def _is_year(number: str) -> bool:
    return number.isdigit() and len(number) == 4 and 1000 <= int(number) <= 2100


def _other_number(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = [m for m in _NUMBER.finditer(claim) if not _is_year(m.group())]
    if not found:
        return None
    match = rng.choice(found)
    plain = match.group().replace(",", "")
    value = (
        float(plain) * rng.choice([0.1, 0.5, 2, 10])
        if rng.random() < 0.3
        else float(plain) + rng.choice([-2, -1, 1, 2, 3, 5, 10, 11])
    )
    new = f"{abs(value):,.1f}" if "." in plain or value != int(value) else f"{abs(int(value)):,}"
    return None if new in quote or new == match.group() else _put(claim, match, new)


def _quote_number(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Another number of the same sentence, of the same look, not in a list with the first."""
    found = list(_NUMBER.finditer(claim))
    rng.shuffle(found)
    for match in found:
        others = [o for o in _NUMBER.findall(quote) if o not in claim and _is_year(o) == _is_year(match.group())]
        others = [o for o in others if not _listed(quote, match.group(), o)]
        if others:
            return _put(claim, match, rng.choice(others))
    return None


def _listed(quote: str, one: str, two: str) -> bool:
    """True if the two stand in one list: what holds of one may hold of the other."""
    a, b = sorted((quote.find(one), quote.find(two)))
    between = quote[a:b][len(one if quote.find(one) == a else two) :]
    return a < 0 or not re.search(r"\b(?!and\b|or\b|the\b|to\b|of\b)[a-z]{2,}", between)


def _date(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = list(re.finditer(rf"\b(?:{'|'.join(_MONTHS + _DAYS)})\b|\b(?:1[0-9]|20)\d\d\b", claim))
    if not found:
        return None
    match = rng.choice(found)
    word = match.group()
    if word.isdigit():
        new = str(int(word) + rng.choice([-30, -11, -10, -4, -2, -1, 1, 2, 5, 9, 12, 100]))
    else:
        new = rng.choice([w for w in (_MONTHS if word in _MONTHS else _DAYS) if w != word])
    return None if new in quote else _put(claim, match, new)


def _names(text: str) -> list[re.Match[str]]:
    found = []
    for m in _NAME.finditer(text):
        first = m.group().split()[0].lower()
        opens = m.start() == 0 or text[m.start() - 2 : m.start() - 1] in ".?!"
        if (
            first not in _NOT_NAMES
            and not re.search("['’]", m.group())
            and m.group() not in _MONTHS + _DAYS
            and not (opens and " " not in m.group())
        ):
            found.append(m)
    return found


def _short(name: str) -> str:
    """The initials of a longer name, which would be the same name; itself otherwise."""
    return "".join(w[0] for w in name.split() if w[0].isupper()) if " " in name else name


def _article_name(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = _names(claim)
    others = sorted({m.group() for m in _names(context)} - {m.group() for m in found})
    others = [o for o in others if not any(w[:4] in quote.lower() for w in o.lower().split()) and len(o) > 3]
    others = [
        o
        for o in others
        if not re.search(rf"\b{re.escape(o.split()[0].lower())}\b", context) and _short(o) not in quote
    ]
    return _put(claim, rng.choice(found), rng.choice(others)) if found and others else None


def _quote_name(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Another name of the same sentence, not in a list with the first: the commonest lie of a small model."""
    found = _names(claim)
    rng.shuffle(found)
    for match in found:
        others = [
            m.group() for m in _names(quote) if not any(w[:4] in claim.lower() for w in m.group().lower().split())
        ]
        others = [o for o in others if not _listed(quote, match.group(), o)]
        if others and match.group() in quote:
            return _put(claim, match, rng.choice(others))
    return None


def _roles(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Two names around a verb change places."""
    found = _names(claim)
    for one, two in itertools.pairwise(found):
        between = claim[one.end() : two.start()]
        if re.search(
            r"\b\w+(?:ed|es|s|wrote|won|led|gave|took|beat|met|saw|told|made|became|built)\b", between
        ) and not re.search(r"\band\b|\bor\b|,|\bwith\b|\bis\b|\bwas\b(?! \w+ed)|['’]s?\b", between):
            return claim[: one.start()] + two.group() + between + one.group() + claim[two.end() :]
    return None


def _unit(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    for old, new in rng.sample(_CHANGES, len(_CHANGES)):
        match = re.search(_unit_pattern(old), claim)
        if match and new not in quote:
            return _put(claim, match, f" {new}" if old == "%" and new.isalpha() else new)
    return None


def _unit_pattern(unit: str) -> str:
    """The unit where it belongs to a number, in digits or in words."""
    if unit in "$£€":
        return re.escape(unit)
    if unit == "%":
        return r"(?<=\d)%"
    return rf"(?:(?<=[\d-])|(?<=\d )|(?<=(?:ion|and|two|ree|our|ive|six|ven|ght|ine|ten|red) )){unit}\b"


def _negated(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    if re.search(r"\bnot (?:only|just)\b", claim):
        return None
    if match := re.search(r"\b(?:not|never) |n't\b", claim):
        return _put(claim, match, "")
    found = list(_VERB.finditer(claim))
    match = found[0] if found else None
    return _put(claim, match, match.group() + rng.choice([" not", " never"])) if match else None


def _compared(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"\b[a-z]+\b", claim) if m.group() in _OTHER and _OTHER[m.group()] not in quote]
    return _put(claim, match, _OTHER[match.group()]) if found and (match := rng.choice(found)) else None


_OPEN = re.compile(
    r"\b(?:will|may|might|could|would|plans? to|planned to|hopes? to|intends? to|expected to) "
    r"(?!have|be|not|also|only|well|with|get|put|see|give|then|still|never|just)([a-z]{4,})\b"
)


def _settled(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """A plan or a guess told as done."""
    match = _OPEN.search(claim)
    if match is None:
        return None
    verb = match[1]
    return _put(claim, match, verb + "d" if verb.endswith("e") else verb + "ed")


_FUNCTION = STOPWORDS | set(
    "among within without other another would could should might since until along upon against toward towards "
    "including whether although though every several either neither around across behind beyond despite except "
    "instead there where still never always often again rather quite almost perhaps already later early besides "
    "shall having".split()
)


def _word(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """A longer word gives way to one of the passage with the same ending."""
    found = [m for m in re.finditer(r"\b[a-z]{5,}\b", claim) if m.group() not in _FUNCTION]
    new = {w for w in re.findall(r"\b[a-z]{5,}\b", context) if w[:4] not in quote and w not in _FUNCTION}
    rng.shuffle(found)
    for match in found:
        others = sorted(w for w in new if w[-2:] == match.group()[-2:])
        if others and match.group() in quote:
            return _put(claim, match, rng.choice(others))
    return None


EDITS: dict[str, Callable[[str, str, str, random.Random], str | None]] = {
    "number": _other_number,
    "number of the quote": _quote_number,
    "date": _date,
    "name of the article": _article_name,
    "name of the quote": _quote_name,
    "roles": _roles,
    "unit": _unit,
    "negation": _negated,
    "comparison": _compared,
    "modality": _settled,
    "word": _word,
}
