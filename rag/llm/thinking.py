"""Pieces of a draft in, the same without what the model thinks aloud: `<think> ... </think>` is no part of an answer.

Models that reason write so, and many servers send it on. A tag may come in pieces, so text that may be the beginning of
one waits. A closing tag without an opening one (some templates put that into the prompt) is only left out.
"""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|reasoning"
_TAG = re.compile(rf"<(/?)(?:{_NAMES})>", re.I)
_BEGINNINGS = tuple(f"<{slash}{name}>" for slash in ("", "/") for name in _NAMES.split("|"))


class Thinking:
    """Strips thoughts from a growing draft.

    >>> thinking = Thinking()
    >>> [thinking.spoken(piece) for piece in ("<thi", "nk>It may be 3.</th", "ink>It is 2", "50.")]
    ['', '', 'It is 2', '50.']
    """

    def __init__(self) -> None:
        self.aloud = False
        """True inside a thought."""
        self._held = ""

    def spoken(self, piece: str) -> str:
        """What of the draft up to and with `piece` is new and no thought; '' if nothing."""
        text, said = self._held + piece, ""
        start = 0
        for tag in _TAG.finditer(text):
            said += "" if self.aloud else text[start : tag.start()]
            self.aloud, start = tag[1] == "", tag.end()
        end = len(text) - _maybe(text[start:])
        self._held = text[end:]
        return said + ("" if self.aloud else text[start:end])

    def rest(self) -> str:
        """What was held back, once the draft has ended."""
        held, self._held = self._held, ""
        return "" if self.aloud else held


def _maybe(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of a tag."""
    at = text.rfind("<")
    tail = text[at:].lower()
    return len(tail) if at >= 0 and any(tag.startswith(tail) for tag in _BEGINNINGS) else 0
