"""The same thing wanted in other words than a question's: the keywords of a search, the statement with its answer."""

from __future__ import annotations

import re

from rag.text import STOPWORDS

_ASKED = r"(?:who|what|when|where|(?:in |on |at )?(?:what|which)(?: \w+)?|how many(?: \w+)?)"
_OF_BE = re.compile(rf"{_ASKED} (is|are|was|were) (?!there)(.+)", re.I)
_OF_DO = re.compile(rf"{_ASKED} (?:did|does|do) (.+)", re.I)
_SUBJECT = re.compile(r"(?:who|what|which(?: \w+)?) (?!is|are|was|were|did|does|do|would|can|could)(\w+ .+)", re.I)


def keywords(question: str) -> str:
    """What is left of a question in a search box.

    >>> keywords("In what year did the earthquake in Sichuan occur?")
    'year earthquake Sichuan occur'
    """
    return " ".join(w for w in re.findall(r"[^\W_][\w'’.-]*[^\W_]|[^\W_]", question) if w.lower() not in STOPWORDS)


def statement(question: str, answer: str) -> str | None:
    """The question and its answer as a claim, its grammar near enough; None where no form fits.

    >>> statement("Who built the mill?", "Ann Lee"), statement("When did the crisis begin?", "in 1973")
    ('Ann Lee built the mill', 'the crisis begin in 1973')
    >>> statement("What is the capital of France?", "Paris")
    'the capital of France is Paris'
    """
    asked = question.strip().rstrip("? ")
    if match := _OF_BE.fullmatch(asked):
        return f"{match[2]} {match[1]} {answer}"
    if match := _OF_DO.fullmatch(asked):
        return f"{match[1]} {answer}"
    return f"{answer} {match[1]}" if (match := _SUBJECT.fullmatch(asked)) else None
