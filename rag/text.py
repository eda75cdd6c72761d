"""Spans of sentences, paragraphs and words; folding and stems.

Everything returns places, never copies: callers slice the text they hold. Sentences are found by rule: a full stop ends
one unless what stands before it is an abbreviation or an initial, or what follows goes on in lower case. A single line
break ends one unless the line was wrapped: a break is a wrap if the next word would not have fitted on the line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from rag.types import Span

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_BLANK = re.compile(r"\n[ \t\r\f\v]*\n\s*")
_STOP = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s)|[。！？｡]+[”」』）\"']*|\n")
_WRAP_WIDTH = 120  # lines longer than this are paragraphs, not wrapped text
_HEADING = re.compile(r"#{1,6} ")
_LIST_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)]|#{1,6}|\|)\s")
_LABEL = re.compile(r"[A-Z][\w'’/()-]*(?: [\w'’/()-]+){0,3}: \S")  # 'From: Ann', 'Unit price (EUR): 3'

# Stand before a full stop that ends no sentence.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st gen col lt sgt capt cmdr rep sen gov pres hon rev fr mt ft no nos vol vols fig figs eq "
    "p pp ch sec art para cf vs viz al ed eds est approx dept univ inc ltd co corp bros e.g i.e ca op cit jan feb mar "
    "apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun".split()
)
# Begin a sentence even after an initialism such as 'U.S.'.
_STARTERS = frozenset(
    "the a an it its he she they we i you this that these those there in on at for from with by as but and or if when "
    "while after before since although however his her their our my what who why how where both each some many".split()
)
STOPWORDS = frozenset(
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing during each for from further had has have having he her here hers him his how i if in into is it its "
    "itself just me more most my of on once only or other our out over own same she should so some such than that the "
    "their them then there these they this those through to too under until up very was we were what when where which "
    "while who whom whose why will with would you your s t ll re ve d m please tell".split()
)


def sentences(text: str) -> list[Span]:
    """The sentences of `text` in order, without the space around them.

    >>> [s.of("Mr. Abe spoke. It rained.") for s in sentences("Mr. Abe spoke. It rained.")]
    ['Mr. Abe spoke.', 'It rained.']
    """
    return [s for block in paragraphs(text) for s in _sentences_in(text, block)]


def paragraphs(text: str) -> list[Span]:
    """Stretches of text between blank lines, trimmed."""
    return _trimmed(text, Span(0, len(text)), (m.span() for m in _BLANK.finditer(text)))


def _sentences_in(text: str, block: Span) -> list[Span]:
    width = max(len(line) for line in block.of(text).split("\n"))
    ends = (m for m in _STOP.finditer(text, block.start, block.end) if _ends_sentence(text, m, block, width))
    return _trimmed(text, block, ((m.end(), m.end()) for m in ends))


def _trimmed(text: str, whole: Span, cuts: Iterator[tuple[int, int]]) -> list[Span]:
    """The stretches of `whole` between the cuts, without white space at their ends, the empty ones left out."""
    spans, start = [], whole.start
    for end, following in [*cuts, (whole.end, whole.end)]:
        piece = text[start:end]
        left = len(piece) - len(piece.lstrip())
        if piece.strip():
            spans.append(Span(start + left, start + len(piece.rstrip())))
        start = following
    return spans


def _ends_sentence(text: str, stop: re.Match[str], block: Span, width: int) -> bool:
    if stop.group() == "\n":
        return not _is_wrap(text, stop.start(), block, width)
    if stop.group()[0] in "。！？｡":
        return True
    rest = text[stop.end() : stop.end() + 40].lstrip(" \t")
    if rest[:1] == "\n" and not _is_wrap(text, text.index("\n", stop.end()), block, width):
        return True
    following = rest.lstrip().lstrip("\"'“‘(«[")
    if following[:1].islower():
        return False
    return not (stop.group()[0] == "." and _is_abbreviation(text, stop.start(), block.start, following))


def _is_abbreviation(text: str, dot: int, floor: int, following: str) -> bool:
    """True if the full stop at `dot` belongs to the word before it, not to the sentence."""
    before = re.search(r"[^\s(\"“‘'\[]*$", text[max(floor, dot - 20) : dot])
    token = before.group() if before else ""
    first = (_WORD.match(following) or re.match("", "")).group().lower()  # type: ignore[union-attr]
    if token.lower() in _ABBREVIATIONS:
        return token.lower() not in {"no", "co", "inc", "ltd", "corp", "sat", "sun", "mar", "al"} or (
            following[:1].isdigit() if token.lower() == "no" else first not in _STARTERS
        )
    if re.fullmatch(r"(?:[^\W\d_]\.)*[^\W\d_]", token) and token[-1].isupper():  # 'J', 'U.S'
        return first not in _STARTERS
    line_start = max(text.rfind("\n", 0, dot), floor - 1) + 1
    return bool(re.fullmatch(r"\s*(?:#{1,6}\s+)?\d{1,3}", text[line_start:dot]))  # '3. ', '## 3. ' open an item


def _is_wrap(text: str, newline: int, block: Span, width: int) -> bool:
    """True if the line break at `newline` only wraps a long line."""
    if width > _WRAP_WIDTH:
        return False
    line_start = text.rfind("\n", block.start, newline) + 1 or block.start
    following = text[newline + 1 : newline + 1 + _WRAP_WIDTH]
    if _LIST_ITEM.match(following) or not following.strip() or _HEADING.match(text, line_start):
        return False
    if _LABEL.match(following) and _LABEL.match(text, line_start):
        return False  # two lines of a form, of the head of a mail, two rows of a table
    next_word = following.split(maxsplit=1)[0]
    return newline - line_start + 1 + len(next_word) > width or following.lstrip()[:1].islower()


def words(text: str) -> list[Span]:
    """The words and numbers of `text`; a run of Chinese or Japanese is cut into single characters."""
    spans = []
    for m in _WORD.finditer(text):
        if re.search(f"[{_CJK}]", m.group()):
            spans += [
                Span(m.start() + p.start(), m.start() + p.end())
                for p in re.finditer(rf"[{_CJK}]|[^{_CJK}]+", m.group())
            ]
        else:
            spans.append(Span(*m.span()))
    return spans


@lru_cache(maxsize=65_536)
def fold(word: str) -> str:
    """One spelling for comparison: compatibility forms, case and accents folded, possessive 's dropped.

    >>> fold("Café’s")
    'cafe'
    """
    plain = unicodedata.normalize("NFKD", word.replace("’", "'")).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return plain.removesuffix("'s").replace("'", "")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The Snowball (Porter 2) stem of a folded word, so that 'donated' meets 'donates'.

    >>> stem("Trees")
    'tree'
    """
    return str(_stemmer().stemWord(fold(word)))


@lru_cache(maxsize=1)
def _stemmer():  # type: ignore[no-untyped-def]  # snowballstemmer has no types
    import snowballstemmer

    return snowballstemmer.stemmer("english")


def stems(text: str) -> set[str]:
    """The stems of all words, those that say little too."""
    return {stem(s.of(text)) for s in words(text)}


def terms(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, repeats kept.

    >>> terms("How many trees will Japan give?")
    ['mani', 'tree', 'japan', 'give']
    """
    plain = (fold(s.of(text)) for s in words(text))
    return [stem(w) for w in plain if w and w not in STOPWORDS]
