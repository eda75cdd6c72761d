"""Claims and the quotes they rest on in; out, how far each claim is supported, and what fails.

The contract first; then `RuleJudge`, which compares numbers, units, dates, names, negation, roles and coverage:

    statement.py   a sentence, read: words, names, negation, modality     (numbers.py: its numbers as values)
    align.py       which words of the claim are which of the quote, and what stands in a word's place
    letters.py     what a person might read otherwise than it is judged
    roles.py       who did what, and where a name hangs
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
from rag.judge.letters import odd, read
from rag.judge.lexicon import AUXILIARIES, VERBS
from rag.judge.statement import state
from rag.text import fold, sentences


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
_TALK = r"(?:text|passage|document|quote|evidence|context|question|answer|sentence|prompt)s?"
_META = re.compile(
    r"\bas an? (?:ai|language model|assistant)\b|\blanguage model\b|\blet me know\b|\bhere (?:is|are) (?:the|a|an)\b"
    r"|\bi(?:'m| am) (?:sorry|unable|an ai|not (?:able|sure))"
    r"|\bi (?:cannot|can't|do not|don't|hope|think|believe|will|can)\b"
    rf"|\b(?:the|this|these|your|my) (?:given |provided |above )?{_TALK} "
    r"(?:says?|states?|stated|mentions?|mentioned|does|do|did|is|are|was|provided|provides?|asks?|describes?|shows?|above)\b"
    r"|\b(?:not|isn't|aren't) (?:mentioned|provided|stated|specified|given) (?:in|by) the\b",
    re.IGNORECASE,
)
_DANGLING = frozenset(
    "the a an of to in on at for with from by and or but as that which who is are was were be his her its their".split()
)
_TWICE = re.compile(r"(?<![^\W_])(?!(?:had|that|very|so|much)\b)([^\W_]{2,}),?\s+\1(?![^\W_])", re.IGNORECASE)
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
        if (fault := _form(words, quotes)) is not None:
            return fault
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


def _form(claim: str, quotes: Sequence[str]) -> Judgement | None:
    """What is no statement at all; None if it is one."""
    words = [fold(w) for w in re.findall(r"[^\W_]+(?:['’][^\W_]+)*", claim)]
    if not words:
        return Judgement(0.0, ("the claim is empty",))
    if claim.rstrip("\"'”’) ").endswith("?") or _asks(claim):
        return Judgement(0.0, ("the claim is a question",))
    if (meta := _META.search(claim)) and not any(meta.group().lower() in q.lower() for q in quotes):
        return Judgement(0.1, ("the claim speaks of the text or of itself",))
    if (twice := _TWICE.search(claim)) and not any(twice.group().lower() in q.lower() for q in quotes):
        return Judgement(0.3, (f"the claim says '{twice[1]}' twice",))
    if (words[-1] in _DANGLING and not claim.rstrip("\"'”’) ").endswith((".", "!"))) or not _has_verb(words):
        return Judgement(0.3, ("the claim is not a whole sentence",))
    return None


def _asks(claim: str) -> bool:
    """True for 'Would Japan give trees!': no statement begins with its auxiliary."""
    first, *rest = claim.split()
    return (
        fold(first) in AUXILIARIES - {"being", "having", "may", "will"}
        and first[0].isupper()
        and not (rest and fold(rest[0]) == "not")
    )


def _has_verb(words: Sequence[str]) -> bool:
    """Lenient: an auxiliary, a known verb, or an ending that a verb may have; long claims are presumed to have one."""
    last = len(words) - 1
    return last > 4 or any(
        w in AUXILIARIES or w in VERBS or (at and w.endswith(("ed", "en"))) or (0 < at < last and w.endswith("s"))
        for at, w in enumerate(words)
    )
