"""Claims and the quotes they rest on in; out, how far each claim is supported, and what fails.

The contract first; then `RuleJudge`, which compares numbers, units, dates, names, negation, roles and coverage:

    statement.py   a sentence, read: words, names, negation, modality     (numbers.py: its numbers as values)
    align.py       which words of the claim are which of the quote, and what stands in a word's place
    form.py        what is no statement at all: a question, talk of the text, no sentence
    letters.py     what a person might read otherwise than it is judged
    roles.py       who did what, and where a name hangs
    parts.py       what the quote says apart, and the claim together
    measures.py    numbers, shares, exceptions and comparisons given to another thing
    shifts.py      small words that shift what a quote says: half, only, a year, by instead of to
    checks.py      every way in which the quote does not carry the claim, and what each costs
    lexicon.py     the closed classes of words behind both

No threshold in here: which score is SUPPORTED is configuration (`AnswerConfig`), calibrated by `rag.evals.judge`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.judge.checks import Failure, apart, compare
from rag.judge.form import fault_of
from rag.judge.letters import odd, read
from rag.judge.statement import state
from rag.text import sentences


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` in [0, 1]: how far the quotes carry the claim; `failures`: what they contradict or do not hold, in words
    a person understands ('the number 260 is not in the quotes')."""

    score: float
    failures: tuple[str, ...] = ()


class Judge(Protocol):
    """Says how far claims are supported. Laws (tests/laws): one judgement per claim, in order; a sentence of its own
    quotes scores 1 without failures; the order of the quotes changes nothing."""

    def judge(self, claims: Sequence[str], quotes: Sequence[Sequence[str]], question: str = "") -> list[Judgement]:
        """One judgement per claim; `quotes[i]` are the texts that claim i cites. The common words of `question` are
        granted, its names and numbers are not: that the quotes answer it was decided before a word was written."""
        ...


_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]|\*\*|^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_LEAD = re.compile(
    r"^(?:(?:yes|no|so|thus|therefore|in short|answer)\s*[,:]\s*)?"
    r"(?:(?:according to|based on|as stated in|as mentioned in|from) the (?:given |provided |above )?"
    r"(?:text|texts|passage|passages|document|documents|quote|quotes|evidence|sentences?|context|article|source|sources)"
    r"(?: provided)?(?: \d+)?\s*,\s*)?",
    re.IGNORECASE,
)
_MOST_QUOTES = 8  # more than a claim needs; a bound on the time of one judgement


class RuleJudge:
    """Compares a claim with its quotes by rule: each failure leaves a share of the trust, the score is their product.

    >>> RuleJudge().judge(["Japan will donate 260 trees."], [["Japan will donate 250 trees."]])[0].failures
    ('the number 260 is not in the quotes',)
    """

    def judge(self, claims: Sequence[str], quotes: Sequence[Sequence[str]], question: str = "") -> list[Judgement]:
        """One judgement per claim; a claim may rest on two quotes together, but never a number apart from its name.

        >>> RuleJudge().judge(["The primary organ is the lung."], [["It affects the lung."]], "Which primary organ?")
        [Judgement(score=1.0, failures=())]
        """
        granted = _common(question)
        return [self._one(claim, own, granted) for claim, own in zip(claims, quotes, strict=True)]

    def _one(self, claim: str, own: Sequence[str], granted: frozenset[str]) -> Judgement:
        if _quoted(_plain(claim), own):
            return Judgement(1.0)
        quotes = sorted({read(q) for q in own})
        words = _stripped(read(claim))
        if (fault := fault_of(words, quotes)) is not None:
            return Judgement(fault[0], (fault[1],))
        if (strange := odd(_MARKER.sub(" ", _plain(claim)), own)) is not None:
            return Judgement(0.0, (strange,))
        if not any(quotes):
            return Judgement(0.0, ("there is no quote",))
        best = min((self._against(words, [q], granted) for q in quotes), key=_rank)
        if len(quotes) > 1 and best.failures:
            best = min(best, self._against(words, quotes[:_MOST_QUOTES], granted), key=_rank)
        return best

    def _against(self, claim: str, quotes: Sequence[str], granted: frozenset[str]) -> Judgement:
        """The claim against some quotes read as one text."""
        stated = state(claim)
        if len(quotes) == 1:
            return _judgement(compare(stated, state(quotes[0]), granted))
        failures = compare(stated, state(" . ".join(quotes)), granted)
        return _judgement([*failures, *apart(stated, [state(q) for q in quotes])])


def _common(question: str) -> frozenset[str]:
    """The stems of the question's words that name and number nothing."""
    asked = state(question)
    named = {at for name in asked.names for at in range(name.first, name.last + 1)}
    return frozenset(
        stem
        for at, stem in enumerate(asked.stems)
        if asked.content[at] and at not in named and not any(c.isdigit() for c in stem)
    )


def _judgement(failures: Sequence[Failure]) -> Judgement:
    return Judgement(
        math.prod((f.left for f in failures), start=1.0), tuple(dict.fromkeys(f.says for f in failures if f.left < 1.0))
    )


def _rank(judgement: Judgement) -> tuple[float, tuple[str, ...]]:
    return -judgement.score, judgement.failures


def _plain(text: str) -> str:
    return " ".join(text.split())


def _quoted(claim: str, quotes: Sequence[str]) -> bool:
    """True if the claim is a quote or a sentence of one, character for character but for white space."""
    return bool(claim) and any(
        claim in (plain := _plain(q)) and (claim == plain or claim in (_plain(s.of(q)) for s in sentences(q)))
        for q in quotes
    )


def _stripped(claim: str) -> str:
    """The claim without citation marks, bullets and 'According to the text,'."""
    return _LEAD.sub("", _plain(_MARKER.sub(" ", claim)))
