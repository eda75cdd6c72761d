"""A claim in; out, what makes it no statement at all: a question, talk of the text or of itself, no whole sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.judge.lexicon import AUXILIARIES, EMPTY, VERBS
from rag.text import fold

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


def fault_of(claim: str, quotes: Sequence[str]) -> tuple[float, str] | None:
    """How far a claim is to be trusted that is no statement, and why; None if it is one."""
    written = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", claim)
    words = [fold(w) for w in written]
    if not words:
        return 0.0, "the claim is empty"
    if claim.rstrip("\"'”’) ").endswith("?") or _asks(claim):
        return 0.0, "the claim is a question"
    if _garbled(words):
        return 0.3, "the claim is no English sentence"
    if (meta := _META.search(claim)) and not any(meta.group().lower() in q.lower() for q in quotes):
        return 0.1, "the claim speaks of the text or of itself"
    if (twice := _TWICE.search(claim)) and not any(twice.group().lower() in q.lower() for q in quotes):
        return 0.3, f"the claim says '{twice[1]}' twice"
    if (words[-1] in _DANGLING and not claim.rstrip("\"'”’) ").endswith((".", "!"))) or not _has_verb(written):
        return 0.3, "the claim is not a whole sentence"
    return None


def _asks(claim: str) -> bool:
    """True for 'Would Japan give trees!': no statement begins with its auxiliary."""
    first, *rest = claim.split()
    return (
        fold(first) in AUXILIARIES - {"being", "having", "may", "will"}
        and first[0].isupper()
        and not (rest and fold(rest[0]) == "not")
    )


_DO = frozenset({"do", "does", "did"})
_FINITE = frozenset("has had is are was were does did".split())
_SUBJECTS = frozenset("each every he she they we".split())  # 'did the work', 'did it' are whole
_LICENSED = frozenset(
    "neither nor not never only so than as rarely seldom hardly little what how why where when who".split()
)


def _garbled(words: Sequence[str]) -> bool:
    """True for 'Five seats does it has', 'Five seats does each party have': a question's words told as a statement."""
    for at, word in enumerate(words[:-1]):
        if word in _DO and at and words[at + 1] in _SUBJECTS and not _LICENSED & set(words[:at]):
            return True
        if word in _DO and words[at + 1] in _FINITE - _DO:
            return True
    return len(words) > 1 and words[0] in ("who", "whom", "when", "where", "why") and words[1] in AUXILIARIES


def _has_verb(words: Sequence[str]) -> bool:
    """Lenient: an auxiliary, a known verb, or an ending that a verb may have; long claims are presumed to have one, if
    they have a word that may be one: 'The Honda, Toyota and Nissan, in 1973.' has none. `words`: as written."""
    last, folds = len(words) - 1, [fold(w) for w in words]
    presumed = last > 4 and any(not w[0].isupper() and not w[0].isdigit() and fold(w) not in EMPTY for w in words)
    return presumed or any(
        w in AUXILIARIES or w in VERBS or (at and w.endswith(("ed", "en"))) or (0 < at < last and w.endswith("s"))
        for at, w in enumerate(folds)
    )
