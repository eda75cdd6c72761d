"""One sentence in; out, what it states in a form that can be compared: words, numbers, names, negation, modality.

No parser and no model: a clause is what stands between marks and conjunctions, a negation or a modal governs the words
after it up to the end of its clause, a name is a run of capitalised words. What this cannot see (who 'she' is, irony),
the judge does not claim to see.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rag.judge.lexicon import (
    ALIASES,
    DENIALS,
    EMPTY,
    FORMS,
    HARMLESS,
    INTENTS,
    LINKS,
    MODALS,
    MONTHS,
    NEGATIONS,
    OTHER,
    SYNONYMS,
)
from rag.judge.numbers import Number, numbers
from rag.text import fold, stem

_TOKEN = re.compile(
    r"(?:[^\W\d_]\.){2,}"  # U.S.
    r"|(?:(?<![^\s(\[])[-−])?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.\d+)?[^\W\d_]*"  # 332,000, -3.5, 250th
    r"|[^\W_]+(?:['’][^\W\d_]+)*"
    r"|[^\w\s]"
)
_ARTICLES = frozenset({"a", "an", "the"})
_CLAUSE_MARKS = frozenset(",;:.!?()[]—–…")
_BETWEEN = frozenset(", and or & the a an both either".split())  # joins the parts of a list
_LOOSE = frozenset("a an the $ € £ ¥ ₹ \" “ ” ‘ ’ ' approximately about around nearly almost roughly some over".split())
_CLAUSE_WORDS = frozenset(
    "but however although though because while whereas which who whom whose when where since until so unless".split()
)
_SCOPE = 7  # tokens over which a modal looks for its verb
_DENIED = 3  # content words that a negation can govern


Places = Sequence[tuple[int, ...]]
"""Of each token of a claim, the tokens of the quote that are the same."""


@dataclass(frozen=True, slots=True)
class Name:
    """A run of capitalised words: tokens `first` to `last`, both included. `sure` is False for a lone first word."""

    first: int
    last: int
    sure: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """What a claim can have right or wrong as one thing: tokens `first` to `last`; `value` of a number.

    `start` to `end`: the list that it is part of ('A, B and C'), itself where there is none.
    """

    sort: Literal["number", "name", "word"]
    first: int
    last: int
    start: int
    end: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, read. The tuples of bool, int and str run parallel to the tokens.

    `content`: True where the token is worth comparing; `clauses`: number of the clause.
    `negated`: True where an odd number of negations govern the token; `heads`: True for the first word that a negation
    governs; `denials`: how many negations there are; `modal`: the key of the modal that governs the token, '' if it is
    stated as fact. `places`: key (stem, synonym, verb, alias) -> tokens; `initials`: of every longer name.
    `owners`: the position in `units` of the unit that a token belongs to, -1 if it is in none.
    `marks`: True for commas and the like; `spine`: the tokens that count as neighbours, `spots`: where on the spine
    each token is, or the next one that is on it.
    """

    text: str
    texts: tuple[str, ...]
    folds: tuple[str, ...]
    stems: tuple[str, ...]
    content: tuple[bool, ...]
    clauses: tuple[int, ...]
    negated: tuple[bool, ...]
    heads: tuple[bool, ...]
    denials: int
    modal: tuple[str, ...]
    numbers: tuple[Number, ...]
    names: tuple[Name, ...]
    places: dict[str, tuple[int, ...]]
    initials: frozenset[str]
    units: tuple[Unit, ...]
    owners: tuple[int, ...]
    marks: tuple[bool, ...]
    spine: tuple[int, ...]
    spots: tuple[int, ...]

    def named(self, name: Name) -> str:
        """The name as written."""
        return " ".join(self.texts[name.first : name.last + 1])

    def said(self, unit: Unit) -> str:
        """The unit as written."""
        return " ".join(self.texts[unit.first : unit.last + 1])

    def joint(self, at: int) -> str:
        """The word before a token, articles left out; '' for none."""
        at -= 1
        while at > 0 and self.folds[at] in _ARTICLES:
            at -= 1
        return self.folds[at] if at >= 0 else ""


@lru_cache(maxsize=4096)
def state(text: str) -> Statement:
    """Read one sentence; quotes are judged against many claims, so readings are kept."""
    texts = tuple(_TOKEN.findall(text))
    folds = tuple(map(_fold, texts))
    stems = tuple(stem(f) for f in folds)
    found = numbers(texts, list(folds))
    names = _names(texts, folds, found)
    filled = {at for n in found for at in range(n.first, n.last + 1)}
    content = tuple(at not in filled and f not in EMPTY and (f[:1].isalnum()) for at, f in enumerate(folds))
    clauses = _clauses(folds)
    spine = _spine(folds)
    units = _units(folds, content, found, names)
    worth = tuple(c or at in filled for at, c in enumerate(content))
    return Statement(
        text, texts, folds, stems, content, clauses,
        *_negated(folds, stems, clauses, worth), _modal(folds, stems, content, texts),
        tuple(found), tuple(names), _places(folds, stems), _initials(texts, folds, names),
        units, _owners(len(folds), units), tuple(f in _CLAUSE_MARKS for f in folds), spine,
        _spots(len(folds), spine),
    )  # fmt: skip


def keys(folded: str, stemmed: str) -> tuple[str, ...]:
    """Under which keys a word is found: its stem, its synonym group, its verb, its alias."""
    found = [stemmed]
    for sign, table in (("~", FORMS), ("≈", SYNONYMS), ("=", ALIASES)):
        if (first := table.get(folded, table.get(stemmed))) is not None:
            found.append(sign + first)
    return tuple(found)


def _fold(token: str) -> str:
    if len(token) > 2 and token[1] == "." and token[-1] == ".":
        token = token.replace(".", "")  # U.S. -> US
    return fold(token) or token


def _places(folds: Sequence[str], stems: Sequence[str]) -> dict[str, tuple[int, ...]]:
    places: dict[str, tuple[int, ...]] = {}
    for at, (folded, stemmed) in enumerate(zip(folds, stems, strict=True)):
        for key in keys(folded, stemmed):
            places[key] = (*places.get(key, ()), at)
    return places


def _units(
    folds: Sequence[str], content: Sequence[bool], found: Sequence[Number], names: Sequence[Name]
) -> tuple[Unit, ...]:
    """Numbers, names and the other content words, in order, each with the list that it stands in."""
    spans: dict[int, tuple[Literal["number", "name", "word"], int, float | None]] = {}
    for at, is_content in enumerate(content):
        if is_content or folds[at] in OTHER:
            spans[at] = ("word", at, None)
    for name in names:
        for at in range(name.first, name.last + 1):
            spans.pop(at, None)
        spans[name.first] = ("name", name.last, None)
    for n in found:
        for at in range(n.first, n.last + 1):
            spans.pop(at, None)
        spans[n.first] = ("number", n.last, n.value)
    rows = [(first, *spans[first]) for first in sorted(spans)]
    lists = _lists(folds, rows)
    return tuple(Unit(sort, a, b, *lists[i], value) for i, (a, sort, b, value) in enumerate(rows))


def _owners(count: int, units: Sequence[Unit]) -> tuple[int, ...]:
    owners = [-1] * count
    for i, unit in enumerate(units):
        owners[unit.first : unit.last + 1] = [i] * (unit.last + 1 - unit.first)
    return tuple(owners)


def _lists(folds: Sequence[str], rows: Sequence[tuple[int, str, int, float | None]]) -> list[tuple[int, int]]:
    """For each unit the first and last token of its list: neighbours of one sort with nothing but ', and' between."""
    groups: list[list[int]] = []
    for i, (first, sort, _, _) in enumerate(rows):
        between = folds[rows[i - 1][2] + 1 : first] if i else ()
        if i and between and rows[i - 1][1] == sort and all(f in _BETWEEN for f in between):
            groups[-1].append(i)
        else:
            groups.append([i])
    return [(rows[g[0]][0], rows[g[-1]][2]) for g in groups for _ in g]


def _spine(folds: Sequence[str]) -> tuple[int, ...]:
    """The tokens that count as neighbours: no articles, nothing in brackets."""
    spine, depth = [], 0
    for at, f in enumerate(folds):
        if f in "([":
            depth += 1
        elif f in ")]":
            depth = max(0, depth - 1)
        elif not depth and f not in _LOOSE:
            spine.append(at)
    return tuple(spine)


def _spots(count: int, spine: Sequence[int]) -> tuple[int, ...]:
    spots, following = [], 0
    for at in range(count):
        while following < len(spine) and spine[following] < at:
            following += 1
        spots.append(following)
    return tuple(spots)


def _clauses(folds: Sequence[str]) -> tuple[int, ...]:
    clause, found = 0, []
    for f in folds:
        clause += f in _CLAUSE_MARKS or f in _CLAUSE_WORDS
        found.append(clause)
    return tuple(found)


def _negated(
    folds: Sequence[str], stems: Sequence[str], clauses: Sequence[int], content: Sequence[bool]
) -> tuple[tuple[bool, ...], tuple[bool, ...], int]:
    """`negated`, `heads` and `denials` of a Statement. A denying verb governs what follows, not itself."""
    odd, heads, denials = [False] * len(folds), [False] * len(folds), 0
    for at, f in enumerate(folds):
        if not (f in NEGATIONS or stems[at] in DENIALS) or _harmless(folds, at):
            continue
        denials += 1
        reach = whole = 1 if f in ("no", "without", "neither", "nor") else _DENIED
        whole_clause = {clauses[at], clauses[min(at + 1, len(folds) - 1)]}  # 'not because of the flood'
        for later in range(at + 1, len(folds)):
            if clauses[later] not in whole_clause or reach == 0 or folds[later] == "that":
                break
            odd[later] = not odd[later]
            heads[later] |= reach == whole and content[later]
            reach -= content[later]
    return tuple(odd), tuple(heads), denials


def _harmless(folds: Sequence[str], at: int) -> bool:
    return (
        tuple(folds[at : at + 2]) in HARMLESS
        or tuple(folds[at : at + 3]) in HARMLESS
        or (folds[at] == "no" and at + 1 < len(folds) and folds[at + 1] in (".", ","))
    )


def _modal(
    folds: Sequence[str], stems: Sequence[str], content: Sequence[bool], texts: Sequence[str]
) -> tuple[str, ...]:
    """The key of the modal that governs each token: only the first content word after it, mostly its verb."""
    found, key, since = [], "", 0
    for at, f in enumerate(folds):
        found.append(key if at - since <= _SCOPE and content[at] else "")
        if content[at] or f in _CLAUSE_MARKS:
            key = ""
        if f in MODALS and texts[at] not in ("May", "Will"):
            key, since = MODALS[f], at
        elif stems[at] in INTENTS and "to" in folds[at + 1 : at + 3]:
            key, since = "intent", at
    return tuple(found)


def _names(texts: Sequence[str], folds: Sequence[str], found: Sequence[Number]) -> list[Name]:
    """Runs of capitalised words; a capital says nothing where most words have one."""
    words = [t for t in texts if t[0].isalpha()]
    if len(words) > 3 and sum(t[0].isupper() for t in words) > 0.8 * len(words):
        return []
    numbered = {at for n in found for at in range(n.first, n.last + 1)}
    names: list[Name] = []
    at = 0
    while at < len(texts):
        if not _capital(texts, folds, at) or at in numbered:
            at += 1
            continue
        last = _run(texts, folds, at)
        sure = last > at or not _opens(texts, at) or texts[at].isupper()
        names.append(Name(at, last, sure))
        at = last + 1
    return names


def _capital(texts: Sequence[str], folds: Sequence[str], at: int) -> bool:
    if not texts[at][0].isupper() or (folds[at] in MONTHS and folds[at] not in ("may", "march")):
        return False
    return folds[at] not in EMPTY or (texts[at].isupper() and len(folds[at]) > 1 and not _opens(texts, at))


def _opens(texts: Sequence[str], at: int) -> bool:
    """True if the token begins a sentence or a quotation, where any word has a capital."""
    return at == 0 or texts[at - 1] in ".!?:\"“‘'([•…" or (at == 1 and not texts[0][0].isalnum())


def _run(texts: Sequence[str], folds: Sequence[str], at: int) -> int:
    """The last token of the name that begins at `at`; 'of' and the like join two capitalised words."""
    last = at
    while last + 1 < len(texts):
        following = last + 1
        while following < len(texts) and following - last < 3 and folds[following] in LINKS - {"and", "&"}:
            following += 1
        if following >= len(texts) or not _capital(texts, folds, following):
            break
        last = following
    return last


def _initials(texts: Sequence[str], folds: Sequence[str], names: Sequence[Name]) -> frozenset[str]:
    """The initials of every run of two or more capitalised words: 'United States' gives 'us', its parts too."""
    found = set()
    for name in names:
        letters = [folds[i][0] for i in range(name.first, name.last + 1) if texts[i][0].isupper()]
        for start in range(len(letters)):
            for end in range(start + 2, len(letters) + 1):
                found.add("".join(letters[start:end]))
    return frozenset(found)
