"""A yes-or-no question and a quote in; out, whether the quote settles it, and how.

The question is read as a statement and compared with the quote by the judge. 'Yes' needs a quote that carries all of
it; 'No' needs a quote that carries all but one thing and says the contrary of that one: a denial, an opposite, another
number. In every other case the quote is left to speak for itself.
"""

from __future__ import annotations

import re

from rag.judge.align import Alignment
from rag.judge.checks import compare
from rag.judge.numbers import Number
from rag.judge.statement import Statement, state
from rag.text import STOPWORDS, fold, sentences, stem, terms, words
from rag.types import Evidence

_OPENING = re.compile(
    r"^(?:(?:and|but|so|then|now)\s+)?(?:is it (?:true|the case) that\s+)?"
    r"(?:(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)\s+)?",
    re.I,
)
_OPEN = re.compile(r"\b(?:can|could|will|would|shall|should|may|might|must)\b", re.I)
_CARRIED = 0.75  # the judge's score, of words alone, from which a quote carries the question
_BEYOND = re.compile(r"\b(?:exceed|surpass|top|reach)(?:s|es|ed)?\b", re.I)
_ENOUGH = 3  # words of weight without which 'yes' rests on too little
_QUALIFIERS = frozenset(
    "all only every always same any ever most must entirely completely still yet almost nearly some few less unlike "
    "despite although though if unless instead rarely seldom partly allegedly supposedly reportedly claimed rumoured "
    "former formerly need needs except until before".split()
)
_YEAR = re.compile(r"1\d{3}|20\d{2}")
# What happens once: another year is then a contradiction. A title can be won in both.
_ONCE = frozenset(
    map(stem, "born died founded established built erected invented opened completed straightened".split())
)
_CONTRARY = frozenset({"negation", "opposite"})


def settled(question: str, quote: str, before: str = "") -> bool | None:
    """True for yes, False for no, None where the quote does not settle it. `before`: the sentence before the quote; its
    subject is what 'it', 'he', 'she' or 'they' at the beginning of the quote stands for.

    >>> settled("Did Ishiba sign the treaty?", "Ishiba did not sign the treaty.")
    False
    >>> settled("Did Edith Lowe learn to swim?", "She never learned to swim.", "Edith Lowe sailed round Cape Horn.")
    False
    """
    said = _settled(question, quote)
    if said is None and before and (whole := _named(question, quote, before)):
        return _settled(question, whole)
    return said


_PRONOUN = re.compile(r"^((?:(?:in|on|at|by|after|before|during|for)\b[^,.;]{0,40}?,?\s+)?)(it|he|she|they)\b", re.I)


def _named(question: str, quote: str, before: str) -> str:
    """The quote with what its pronoun stands for: words of the question, side by side, that the quote does not have and
    that the sentence before it begins with; '' where that is not so."""
    pronoun, held, spans = _PRONOUN.match(quote), set(terms(quote)), words(question)
    folds = [fold(s.of(question)) for s in spans]
    lost = [n for n, f in enumerate(folds) if stem(f) not in held and f not in STOPWORDS]
    if pronoun is None or not lost or lost[-1] - lost[0] != len(lost) - 1:
        return ""
    subject = question[spans[lost[0]].start : spans[lost[-1]].end]
    opening = re.match(rf"(?:(?:the|an?|its|his|her|their|our)\s+)?{re.escape(subject)}\b", before, re.I)
    if opening is None:
        return ""
    return f"{pronoun[1]}{opening.group()}{quote[pronoun.end() :]}"


def before(e: Evidence) -> str:
    """The sentence before this one in its passage; '' for the first of a paragraph."""
    text, at = e.hit.passage.text, e.span.start - e.hit.passage.span.start
    ends = [s for s in sentences(text[:at]) if "\n\n" not in text[s.end : at]]
    return ends[-1].of(text) if ends else ""


def _settled(question: str, quote: str) -> bool | None:
    claim = state(_BEYOND.sub("over", _OPENING.sub("", " ".join(question.split()).rstrip("? "), count=1)))
    said = state(" ".join(quote.split()))
    if (
        claim.denials
        or "against" in claim.folds
        or sum(claim.content) + len(claim.numbers) < 2
        or quote.rstrip("\"'”’ ").endswith("?")
    ):
        return None
    if not _OPEN.match(question) and any(said.modal[p] for p in _aligned(claim, said)):
        return None  # 'did' of what will or may be
    failures = compare(claim, said)
    words = min((f.left for f in failures if f.kind == "words"), default=1.0)
    kinds = {f.kind for f in failures if f.left < 1.0} - {"words"}
    missed = _missed(claim, said)
    if words < _CARRIED or missed > ("opposite" in kinds):
        return None
    if not kinds:
        return None if said.denials or _qualified(claim, said) or sum(claim.content) < _ENOUGH else True
    if kinds <= _CONTRARY and len(kinds) == 1 and not (kinds == {"opposite"} and said.denials):
        return False
    return _measured(claim, said) if kinds <= {"number", "bound", "bound turned", "unit unsure"} else None


def _aligned(claim: Statement, said: Statement) -> list[int]:
    places = Alignment.of(claim, said).places
    return [p for at, found in enumerate(places) if claim.content[at] for p in found[:1]]


def _missed(claim: Statement, said: Statement) -> int:
    """How many words of weight of the claim the quote does not have."""
    places = Alignment.of(claim, said).places
    return sum(not found for at, found in enumerate(places) if claim.content[at])


def _qualified(claim: Statement, said: Statement) -> bool:
    """True if either side has a word that may turn a yes into a 'yes, but': 'all', 'only', 'almost', 'less'."""
    return any((f in _QUALIFIERS) and (f not in other.folds) for one, other in ((claim, said), (said, claim))
               for f in one.folds)  # fmt: skip


def _measured(claim: Statement, said: Statement) -> bool | None:
    """One number against one number of the same sort: equal, over or under."""
    numbers = [n for n in said.numbers if _comparable(claim, n)]
    if said.denials or len(claim.numbers) != 1 or len(numbers) != 1 or numbers[0].bound in ("min", "max"):
        return None
    wanted, have = claim.numbers[0], numbers[0]
    if wanted.bound == "min":
        return have.value > wanted.value or (have.value == wanted.value and "least" in claim.folds)
    if wanted.bound == "max":
        return have.value < wanted.value or (have.value == wanted.value and "most" in claim.folds)
    if _YEAR.fullmatch(wanted.text) and _YEAR.fullmatch(have.text):
        return False if wanted.value != have.value and _ONCE & set(said.stems) else None
    return None if wanted.bound or have.bound or have.near(wanted, 0.05) else False


def _comparable(claim: Statement, number: Number) -> bool:
    wanted = claim.numbers[0] if claim.numbers else None
    return (
        wanted is not None
        and number.kind == wanted.kind
        and number.unit == wanted.unit
        and (1000 <= number.value <= 2100) == (1000 <= wanted.value <= 2100)
    )
