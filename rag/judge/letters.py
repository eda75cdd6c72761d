"""A claim as it is shown and its quotes; out, why its characters are not to be trusted, or None.

What a person reads must be what was judged. A letter of another script ('n\u043et' with a Cyrillic o reads 'not'), a
character that cannot be seen, a mark that turns the line round, a link: each is refused unless the quotes have it. What
Unicode holds to be one character in another dress (full-width digits, bold letters) is read as that character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rag.judge.lexicon import NEGATIONS
from rag.text import fold

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_TYPE = frozenset("‘’“”–—…€£¥₹")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # embeddings, overrides, isolates
_APOSTROPHES = dict.fromkeys(map(ord, "`´ʹʻʼˈ′‵‘＇ꞌ"), "'")
_WORD = re.compile(r"[^\W_]+")
_MARKUP = re.compile(r"[<>|`{}\\~^=#@_\[\]]|\w+:/+\w|\bwww\.|\b\w+\.(?:com|org|net|example)\b", re.I)
_ALONE = re.compile(r"(?<!\d)(?<!\d )[€£¥₹](?! ?\d)")
_SPELLED = re.compile(r"(?<![^\W_])[^\W\d_](?:[\s.\-–·*,]{1,3}[^\W\d_](?![^\W_]))+")  # 'n-o-t'
_SHORT = frozenset("eg ie am pm".split())
_MIXED = re.compile(r"[^\W\d_]\d")


def read(text: str) -> str:
    """The text as the judge reads it: each character in its plainest dress, one apostrophe, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).split())


def odd(claim: str, quotes: Sequence[str]) -> str | None:
    """Why a claim, with single spaces, may read otherwise than it is judged; None if it may not."""
    held = " ".join(quotes)
    for c in unicodedata.normalize("NFC", claim):
        if c in _TURNING:
            return "the claim turns the direction of its text"
        if c not in held and _strange(c):
            return f"the claim holds the character {c!a}, the quotes do not"
    if (sign := _ALONE.search(claim)) and sign.group() not in held:
        return f"the claim holds a '{sign.group()}' of no number"
    if (markup := _MARKUP.search(claim)) and markup.group() not in held:
        return f"the claim holds '{markup.group()}', the quotes do not"
    for spelled in _SPELLED.findall(claim):
        if spelled not in held and _word_in_letters(spelled):
            return f"the claim spells '{spelled}'"
    own = _folds(held)
    for word in map(fold, _WORD.findall(claim)):
        if word not in own and (why := _foreign(word, own)):
            return why
    return None


def _word_in_letters(spelled: str) -> bool:
    """True for 'n-o-t'; False for 'U.S' and 'p.m'."""
    word = "".join(c for c in spelled if c.isalpha())
    return (fold(word) in NEGATIONS or not word.isupper()) and word not in _SHORT


def _strange(c: str) -> bool:
    """True for what cannot be seen, and for each mark, picture and sign that is not common English type."""
    kind = unicodedata.category(c)
    return kind in _UNSEEN or not (c.isascii() or c in _TYPE or kind[0] in "LNZ")


def _foreign(word: str, own: frozenset[str]) -> str | None:
    """A word that the quotes do not have, and that is written as none of theirs."""
    if _MIXED.search(word):
        return f"the claim holds '{word}', the quotes do not"
    other = [c for c in word if not c.isascii()]
    if other and (len(other) < len(word) or not {_script(c) for c in other} <= {_script(c) for w in own for c in w}):
        return f"the claim writes '{word}' in letters that the quotes do not have"
    return None


@lru_cache(maxsize=1024)
def _folds(text: str) -> frozenset[str]:
    return frozenset(map(fold, _WORD.findall(text)))


@lru_cache(maxsize=4096)
def _script(c: str) -> str:
    """'LATIN', 'CYRILLIC', 'CJK' ...: the first word of the character's name."""
    return "" if c.isascii() else unicodedata.name(c, "?").split()[0]
