"""Questions that look answerable and are not: one word of a good question is changed.

The model can only tell them by comparing every part of the question with the passage, which is the skill wanted:
names, numbers and opposites must fit, not only the topic (the kinds are those of SQuAD 2.0, Rajpurkar et al. 2018).
"""

from __future__ import annotations

import random
import re
from typing import Any

OPPOSITES = [
    "first last", "largest smallest", "largest least", "biggest smallest", "highest lowest", "longest shortest",
    "oldest newest", "oldest youngest", "most least", "more less", "more fewer", "before after", "earlier later",
    "north south", "east west", "northern southern", "eastern western", "increase decrease", "increased decreased",
    "rise fall", "rose fell", "won lost", "win lose", "begin end", "began ended", "start stop", "started stopped",
    "start finish", "open close", "opened closed", "male female", "men women", "man woman", "father mother",
    "son daughter", "brother sister", "king queen", "husband wife", "best worst", "good bad", "early late",
    "high low", "large small", "big small", "long short", "old new", "old young", "hot cold", "maximum minimum",
    "upper lower", "inside outside", "internal external", "public private", "rich poor", "strong weak", "major minor",
    "positive negative", "support oppose", "supported opposed", "accept reject", "accepted rejected", "agree disagree",
    "legal illegal", "allowed forbidden", "allow prohibit", "easy difficult", "common rare", "ancient modern",
    "birth death", "born died", "buy sell", "bought sold", "import export", "enter leave", "arrive leave",
    "above below",
    "left right", "top bottom", "front back", "always never", "all no", "summer winter", "spring autumn", "day night",
    "morning evening", "create destroy", "created destroyed", "built demolished", "success failure", "attack defend",
    "true false", "with without", "include exclude", "included excluded", "gain lose", "gained lost", "love hate",
    "teacher student", "similar different", "same different", "main secondary", "many few", "friend enemy",
]  # fmt: skip
_OTHER: dict[str, list[str]] = {}
for _one, _two in (line.split() for line in OPPOSITES):
    _OTHER.setdefault(_one, []).append(_two)
    _OTHER.setdefault(_two, []).append(_one)
_AUXILIARY = re.compile(r"\b(did|does|do|was|were|is|are|can|could|has|have|had|will|would)\b(?! not)", re.I)
_NAME = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][\w'-]+(?: (?:of |the |de )?[A-Z][\w'-]+)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_FUNCTION = frozenset(
    "what which who whom whose when where that this these those there have been were with from into about does many "
    "much they them their than then some such also name type kind year used called known according would could "
    "will".split()
)


def edited(
    question: str, passage: str, answers: list[dict[str, Any]], rng: random.Random, safe: bool = False
) -> str | None:
    """The question with one part changed so that the passage no longer answers it; None if no edit fits. `safe`: only
    the ways after which hardly any question is still answered."""
    ways = [_number, _name, _opposite] if safe else [_number, _name, _opposite, _negation, _word]
    order = sorted(ways, key=lambda way: rng.random() * (0.45 if way in (_negation, _word) else 1.0), reverse=True)
    taken = (question + " " + " ".join(a["text"] for a in answers)).lower()
    for way in order:
        changed = way(question, passage, taken, rng)
        if changed is not None and changed != question:
            return changed
    return None


def _replace(question: str, match: re.Match[str], new: str) -> str:
    return question[: match.start()] + new + question[match.end() :]


def _number(question: str, passage: str, taken: str, rng: random.Random) -> str | None:
    found = list(_NUMBER.finditer(question))
    if not found:
        return None
    match = rng.choice(found)
    year = len(match.group()) == 4 and match.group().isdigit()
    others = [n for n in _NUMBER.findall(passage) if n not in taken and (len(n) == 4 and n.isdigit()) == year]
    if others and rng.random() < 0.6:
        return _replace(question, match, rng.choice(others))
    value = re.sub(r"\D", "", match.group()) or "1"
    new = str(max(1, int(value) + rng.choice([-40, -12, -10, -7, -5, -3, -2, -1, 1, 2, 3, 4, 6, 9, 11, 15, 30])))
    return None if new in passage or new == value else _replace(question, match, new)


def _name(question: str, passage: str, taken: str, rng: random.Random) -> str | None:
    """A name gives way to one of the passage, rather to one that comes after the same word or is as long."""
    found = list(_NAME.finditer(question))
    others = [m for m in _NAME.finditer(passage) if len(m[0]) > 3 and not any(_stem(w) in taken for w in m[0].split())]
    if not found or not others:
        return None
    match = rng.choice(found)
    before, size = _before(question, match), len(match[0].split())
    alike = [m for m in others if _before(passage, m) == before] or [m for m in others if len(m[0].split()) == size]
    return _replace(question, match, rng.choice(alike or others)[0])


def _stem(word: str) -> str:
    """'Macs' and "Mac's" are no other name than 'Mac'."""
    return word.lower().rstrip("s'’")[:6]


def _before(text: str, match: re.Match[str]) -> str:
    """The word before it."""
    return next(iter(text[max(0, match.start() - 20) : match.start()].lower().split()[-1:]), "")


def _opposite(question: str, passage: str, taken: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"\b[a-zA-Z]+\b", question) if m.group().lower() in _OTHER]
    if not found:
        return None
    match = rng.choice(found)
    return _replace(question, match, rng.choice(_OTHER[match.group().lower()]))


def _negation(question: str, passage: str, taken: str, rng: random.Random) -> str | None:
    match = _AUXILIARY.search(question)
    if match is None or re.search(r"\b(not|never|n't)\b", question):
        return None
    if match.group().lower() in ("did", "do", "does") and rng.random() < 0.5:
        return _replace(question, match, match.group() + "n't")
    after = re.match(r"(\s+(?:the |a |an |his |her |its |their )?[\w'-]+)", question[match.end() :])
    at = match.end() + (after.end() if after and match.group().lower() in ("did", "do", "does") else 0)
    return question[:at] + rng.choice([" not", " never"]) + question[at:]


def _word(question: str, passage: str, taken: str, rng: random.Random) -> str | None:
    """A content word of the question gives way to one of the passage: the clause now speaks of something else."""
    found = [m for m in _WORD.finditer(question) if m.group() not in _FUNCTION and m.group() in passage]
    others = [w for w in _WORD.findall(passage) if w not in _FUNCTION and w not in taken]
    if not found or not others:
        return None
    match = rng.choice(found)
    alike = [w for w in others if w[-2:] == match.group()[-2:]] or others
    return _replace(question, match, rng.choice(alike))
