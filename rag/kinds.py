"""A question in; out, what it asks for: yes or no, a number, a date, a person, a place, a list, or anything else.

By rule, from how the question opens and the word that follows: no parser, no model. A question that fits no rule is of
the kind OTHER, and is answered as before: a wrong kind costs more than none.
"""

from __future__ import annotations

import re

from rag.text import sentences
from rag.types import Kind

_AUXILIARIES = (
    r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)(?:n['’]t)?"
)
_LEAD = re.compile(
    r"^(?:(?:and|but|so|then|now|ok|okay|well|please|also|however)\b[\s,]*"
    r"|(?:can|could|would|will) you (?:please )?(?:tell|name|list|give|show|say|explain|describe)\b(?: me| us)?[\s,]*"
    r"|(?:i(?:'d| would) like to know|do you know|tell me|is it true that|is it the case that)\b[\s,]*)+",
    re.I,
)
_TRUE_THAT = re.compile(r"\bis it (?:true|the case) that\b", re.I)
_YES_NO = re.compile(rf"{_AUXILIARIES}\s+\w", re.I)
_ASKING = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b", re.I)
_ASKED_FIRST = re.compile(r"^(?:[\w'’,.-]+\s+){0,3}?(who|whom|whose|what|which|when|where|why|how)\b", re.I)
_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|high|tall|large|big|wide|deep|heavy|fast|often|hot|cold)\b"
    r"|\b(?:what|which|the|in) (?:[\w'’-]+ ){0,2}?"
    r"(?:percent|percentage|number|amount|population|share|rate|price|cost|age|height|length|weight|size|area|speed"
    r"|distance|temperature|proportion|fraction|total|sum|quantity|budget|salary|revenue)\b(?! of (?:people|person)\b)",
    re.I,
)
_DATE = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|years|month|day|date|century|decade|time of year|season|era)\b", re.I
)
_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.I)
_PLACE = re.compile(
    r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:country|city|town|state|place|region|continent|village|island|province"
    r"|county|nation|location|street|district|area|river|ocean|sea|planet)\b",
    re.I,
)
_COUNT = r"(?:two|three|four|five|six|seven|eight|nine|ten|several|some|all|both|many|\d+)"
_LIST = re.compile(
    rf"^(?:name|list|enumerate|mention|state|give)\s+(?:(?:me|us|the|all|every|of|{_COUNT})\s+)*(?:[\w'’-]+\s+){{0,3}}?"
    r"(?P<named>[\w'’-]+s)\b"
    rf"|\b(?:which|what)\s+(?:(?:are|were)\s+)?(?:(?:the|other|main|all|different|{_COUNT})\s+)*"
    rf"(?:(?!{_AUXILIARIES}\b|{_COUNT}\b|(?:of|that|an?|the)\b)[\w'’-]+\s+){{0,2}}?"
    r"(?P<asked>[\w'’-]+s)\b(?!\s+(?:(?:the|an?|two|its?|his|her|their|to|one|each)\b"
    r"|(?!(?:does|is|was|has)\b)[\w'’-]+s\b))"
    r"|\bwho (?:are|were) the (?:[\w'’-]+\s+){0,2}?(?P<people>[a-z'’-]+s)\b",
    re.I,
)
# End in s and are no plural, or are one thing: 'What was ...', 'Which series ...'.
_NO_PLURAL = frozenset(
    "is was has does its this his us thus as s always news series species means physics politics mathematics economics "
    "headquarters process class mass loss address press business success access bus gas congress status virus campus "
    "focus basis crisis analysis thesis diabetes glass grass cross boss less across plus perhaps towards besides yes "
    "gives makes takes causes helps leads says shows uses comes goes happens determines follows becomes contains "
    "includes describes refers means provides allows requires represents controls holds lies runs stands works serves "
    "carries keeps produces sees sets defines operates lives plays needs wants gets separates occurs starts begins "
    "ends others years percentage measures exists remains belongs connects surrounds borders prevents affects "
    "supports massachusetts texas kansas illinois paris athens".split()
)  # fmt: skip


def kind_of(question: str) -> Kind:
    """What `question` asks for; of several sentences the last one that asks is looked at.

    >>> kind_of("Did Japan sign it?"), kind_of("How many trees?"), kind_of("Which countries signed?")
    (<Kind.YES_NO: 'yes_no'>, <Kind.NUMBER: 'number'>, <Kind.LIST: 'list'>)
    """
    asked = _asked(question)
    whole, asked = asked, _LEAD.sub("", asked)
    opens = _ASKED_FIRST.search(asked)
    if _TRUE_THAT.search(whole) or (_YES_NO.match(asked) and not re.search(r"\bor\b", asked, re.I)):
        return Kind.YES_NO
    if _YES_NO.match(asked):
        return Kind.OTHER  # 'Is it red or blue?'
    if _several(asked):
        return Kind.LIST
    for pattern, kind in ((_NUMBER, Kind.NUMBER), (_DATE, Kind.DATE), (_PERSON, Kind.PERSON), (_PLACE, Kind.PLACE)):
        found = pattern.search(asked)
        if found is not None and (opens is None or found.start() <= opens.start(1)):
            return kind
    return Kind.OTHER


def _asked(question: str) -> str:
    spans = sentences(question)
    some = [s.of(question).strip() for s in spans] or [question.strip()]
    return next((s for s in reversed(some) if s.endswith("?") or _ASKING.search(s)), some[-1])


def _several(asked: str) -> bool:
    """True if a list is asked for: 'Which countries ...', 'Name the rivers ...'."""
    for found in _LIST.finditer(asked):
        noun = next(g for g in found.groups() if g).lower()
        if noun not in _NO_PLURAL and not noun.endswith(("ss", "us", "is", "'s", "’s", "ous")):
            return _DATE.search(found.group()) is None
    return False
