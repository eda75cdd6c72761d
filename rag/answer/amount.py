"""A question that asks for a number, and its best sentence; out, the sentence with the number marked as the answer.

The reader marks the stretch that it likes best, which need not hold a number at all. Where 'how many', 'how much' or
'what percentage' is asked and the sentence has exactly one number that fits, a count of the thing that is asked for,
an amount of money, a share, that number is the answer. In every other case the reader's mark stands.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rag.judge.lexicon import CURRENCIES
from rag.judge.numbers import Number
from rag.judge.statement import Statement, state
from rag.text import stem, terms, words
from rag.types import Evidence, Span

_MANY = re.compile(r"\bhow many\s+(.+)", re.I)
_MUCH = re.compile(r"\bhow much\b(?!\s+(?:more|less|of)\b)", re.I)
_SHARE = re.compile(r"\b(?:what|which) (?:percentage|percent|per cent|share)\b|\bhow many per ?cent\b", re.I)
_SOME = re.compile(
    r"\b(?:none|no|nothing|both|several|many|few|pair|couple|all|half|third|quarter|dozens?|most)\b", re.I
)
_MONEY = frozenset(CURRENCIES.values())
_NEAR = 4  # words behind a number among which the thing stands that it counts
_YEARS = range(1000, 2101)


def amount(question: str, best: Evidence) -> Evidence:
    """`best` with its only fitting number as the short answer; itself where its mark holds a number or a word such as
    'half', and where no number fits, or more than one."""
    marked = "" if best.answer is None else best.answer.shift(-best.span.start).of(best.text)
    if state(marked).numbers or _SOME.search(marked):
        return best
    said = state(" ".join(best.text.split()))
    known = {n.value for n in state(question).numbers}
    fitting = [n for n in said.numbers if n.kind == "cardinal" and n.value not in known and _fits(question, said, n)]
    place = _place(best.text, fitting[0]) if len(fitting) == 1 else None
    return best if place is None else replace(best, answer=place.shift(best.span.start))


def _fits(question: str, said: Statement, number: Number) -> bool:
    if _SHARE.search(question):
        return number.unit == "percent"
    if _MUCH.search(question):
        return number.unit in _MONEY
    many = _MANY.search(question)
    if many is None or number.unit in _MONEY | {"percent"} or (number.value in _YEARS and number.text.isdigit()):
        return False
    counted = set(terms(" ".join(s.of(many[1]) for s in words(many[1])[:2])))
    behind = {stem(t) for t in said.texts[number.first : number.last + 1 + _NEAR]}
    return bool(counted & behind)


def _place(text: str, number: Number) -> Span | None:
    """Where the number stands, if it stands there once."""
    pattern = r"\s*".join(re.escape(part) for part in re.findall(r"\w+|[^\w\s]", number.text))
    found = list(re.finditer(rf"(?<![\w.,]){pattern}(?!\w)", text))
    return Span(*found[0].span()) if len(found) == 1 else None
