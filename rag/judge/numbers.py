"""Words of a sentence in; out, its numbers as values: '$332 billion' and '332,000,000,000 US dollars' become one.

A number keeps what must agree with a quote beside its value: its kind (3 is not 3rd, the 1990s are not 1990), its unit
if it is one of the closed class (money, per cent, measures), its bound ('more than', 'up to') and its place.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.judge.lexicon import BOUNDS, CURRENCIES, DECADES, MAGNITUDES, MEASURES, ORDINALS, SMALL

Kind = Literal["cardinal", "ordinal", "decade"]
_DIGITS = re.compile(r"([-−]?)(\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)([^\W\d_]*)")
_SUFFIXES = {"st": "ordinal", "nd": "ordinal", "rd": "ordinal", "th": "ordinal", "s": "decade"}


@dataclass(frozen=True, slots=True)
class Number:
    """`value` with its `unit` ('' if none of the closed class); it fills the words `first` to `last`, both included.

    `bound`: '' exact, 'about', 'min' (more than) or 'max' (up to). `text`: as written, for people.
    """

    value: float
    kind: Kind
    unit: str
    bound: str
    first: int
    last: int
    text: str

    def near(self, other: Number, tolerance: float = 1e-9) -> bool:
        """True if both values are equal up to `tolerance`, a share of the larger one."""
        return self.value == other.value or abs(self.value - other.value) <= tolerance * max(
            abs(self.value), abs(other.value)
        )


def numbers(texts: Sequence[str], folds: list[str]) -> list[Number]:
    """The numbers among the tokens of one sentence, in order; `texts` as written, `folds` folded."""
    found: list[Number] = []
    at = 0
    while at < len(texts):
        read = _digits(texts, folds, at) if texts[at][-1:].isdecimal() or texts[at][0].isdecimal() else None
        read = _spelled(folds, at) if read is None else read
        if read is None:
            at += 1
            continue
        value, kind, unit, last = read
        unit, last = _unit(folds, at, last, unit)
        words = " ".join(texts[_first(folds, at) : last + 1])
        found.append(Number(value, kind, unit, _bound(folds, _first(folds, at)), at, last, _tight(words)))
        at = last + 1
    return _shared(found, folds)


def _shared(found: list[Number], folds: list[str]) -> list[Number]:
    """'3 to 5 billion dollars': what stands after the second number holds of the first."""
    for i, (one, two) in enumerate(itertools.pairwise(found)):
        if folds[one.last + 1 : two.first] in (["to"], ["-"], ["–"]) and not one.unit and one.kind == two.kind:
            factor = math.prod(MAGNITUDES.get(f, 1.0) for f in folds[two.first + 1 : two.last + 1])
            factor = factor if one.first == one.last and one.value < 1000 else 1.0
            found[i] = replace(one, value=one.value * factor, unit=two.unit)
    return found


_Read = tuple[float, Kind, str, int]


def _digits(texts: Sequence[str], folds: Sequence[str], at: int) -> _Read | None:
    """A number in digits with its magnitude words: value, kind, unit glued to it, last token."""
    match = _DIGITS.fullmatch(texts[at])
    if match is None:
        return None
    value = float(re.sub("[,\u00a0\u202f]", "", match[2])) * (-1 if match[1] else 1)
    suffix = match[3].lower()
    if suffix in _SUFFIXES:
        decade = suffix == "s"
        if decade and value % 10:
            return None
        return value, "decade" if decade else "ordinal", "", at
    unit = MEASURES.get(suffix, "")
    if suffix and not unit and suffix not in MAGNITUDES and suffix not in ("m", "b"):
        return None
    value *= MAGNITUDES.get(suffix, {"m": 1e6, "b": 1e9}.get(suffix, 1.0))
    value, last = _magnitudes(folds, value, at)
    return value, "cardinal", unit, last


def _magnitudes(folds: Sequence[str], value: float, at: int) -> tuple[float, int]:
    while at + 1 < len(folds) and len(folds[at + 1]) > 2 and folds[at + 1] in MAGNITUDES:
        at += 1
        value *= MAGNITUDES[folds[at]]
    if at + 1 < len(folds) and folds[at + 1] in ("bn", "mn", "tn"):
        at += 1
        value *= MAGNITUDES[folds[at]]
    return value, at


def _spelled(folds: Sequence[str], at: int) -> _Read | None:
    """A number in words ('two hundred and fifty', 'twenty-first', 'nineties')."""
    word = folds[at]
    if word in ORDINALS:
        return ORDINALS[word], "ordinal", "", at
    if word in DECADES:
        return DECADES[word], "decade", "", at
    if word not in SMALL and not (word in MAGNITUDES and len(word) > 3):
        return None
    total, part, last = 0.0, 0.0, at
    while at < len(folds):
        word = folds[at]
        if word in SMALL and (part == 0 or (part % 10 == 0 and SMALL[word] < 10) or part % 100 == 0):
            part, last = part + SMALL[word], at
        elif word in MAGNITUDES and len(word) > 3:
            total, part = (total, max(part, 1.0) * 100) if word.startswith("hundred") else (
                total + max(part, 1.0) * MAGNITUDES[word], 0.0)  # fmt: skip
            last = at
        elif word in ORDINALS and part % 10 == 0 and at == last + 1 + (folds[at - 1] == "-"):
            return total + part + ORDINALS[word], "ordinal", "", at
        elif not (word in ("-", "and") and at == last + 1 and _continues(folds, at + 1, word, part)):
            break
        at += 1
    return total + part, "cardinal", "", last


def _continues(folds: Sequence[str], at: int, joint: str, part: float) -> bool:
    """True if a hyphen or 'and' after a number word goes on with the same number."""
    if at >= len(folds):
        return False
    if joint == "and":
        return part >= 100 and folds[at] in SMALL
    return 20 <= part % 100 <= 90 and (0 < SMALL.get(folds[at], 0) < 10 or ORDINALS.get(folds[at], 99) < 10)


def _unit(folds: Sequence[str], first: int, last: int, glued: str) -> tuple[str, int]:
    """The unit of the number at `first` to `last`, and the last token of number and unit."""
    if glued:
        return glued, last
    if first and folds[first - 1] in CURRENCIES and not folds[first - 1].isalpha():
        return CURRENCIES[folds[first - 1]], last
    after = last + 1
    if after < len(folds) and folds[after] == "-":
        after += 1
    for skip in ("us", "u.s", "american"):  # '332 billion US dollars'
        if after + 1 < len(folds) and folds[after] == skip and folds[after + 1] in CURRENCIES:
            after += 1
    if after + 1 < len(folds) and folds[after] == "per" and folds[after + 1] == "cent":
        return "percent", after + 1
    if tuple(folds[after : after + 2]) in (("percentage", "points"), ("percentage", "point")):
        return "percentage point", after + 1
    if after < len(folds) and (unit := CURRENCIES.get(folds[after]) or MEASURES.get(folds[after])):
        return unit, after
    return "", last


def _first(folds: Sequence[str], at: int) -> int:
    """The token where the number begins for a reader: with its currency sign or minus."""
    return at - 1 if at and folds[at - 1] in ("$", "€", "£", "¥", "₹") else at


def _bound(folds: Sequence[str], at: int) -> str:
    at -= at > 0 and folds[at - 1] in ("a", "the", "an")
    for phrase, bound in BOUNDS:
        if at >= len(phrase) and tuple(folds[at - len(phrase) : at]) == phrase:
            return bound
    return ""


def _tight(words: str) -> str:
    return re.sub(r"([$€£¥₹]) | (?=%)", r"\1", words).replace(" - ", "-")
