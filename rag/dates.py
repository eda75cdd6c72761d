"""A sentence and its document in; out, the day, the month or the year for which it holds, where one of them says so."""

from __future__ import annotations

import re
from urllib.parse import unquote

from rag.judge.lexicon import MONTHS
from rag.text import fold
from rag.types import Source

_SINCE = re.compile(
    r"\b[Aa]s (?:of|at)(?: the)?(?: (?P<day>\d{1,2})(?:st|nd|rd|th)?)? ?(?P<month>[A-Z][a-z]+\.?)? ?"
    r"(?:(?P<late>\d{1,2})(?:st|nd|rd|th)?,? )?(?P<year>(?:19|20)\d\d)\b"
)
_YEAR = re.compile(r"(?<![\d.,])(?:19|20)\d\d(?![\d]|[.,]\d)")


def as_of(sentence: str, source: Source) -> str:
    """'YYYY-MM-DD', 'YYYY-MM' or 'YYYY': what the sentence says ('As of May 2024'), else the day that the document
    gives itself, else the only year in its title or its file's name; '' if there is none of these.

    >>> as_of("As of 4 May 2024 it has 120 staff.", Source.at("mem:a", "Report 2025"))
    '2024-05-04'
    >>> as_of("It has 120 staff.", Source.at("mem:a", "Report 2025"))
    '2025'
    """
    if found := _SINCE.search(sentence):
        month = _month(found["month"] or "")
        day = found["day"] or found["late"]
        return "-".join([found["year"], *([month] if month else []), *([f"{int(day):02}"] if month and day else [])])
    if source.date:
        return source.date
    named = f"{source.title} {unquote(source.uri.rsplit('/', 1)[-1])}"
    years = set(_YEAR.findall(named))
    return years.pop() if len(years) == 1 else ""


_ORDER = tuple(dict.fromkeys(MONTHS.values()))


def _month(word: str) -> str:
    name = MONTHS.get(fold(word.rstrip(".")), "")
    return f"{_ORDER.index(name) + 1:02}" if name in _ORDER else ""
