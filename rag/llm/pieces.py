"""Bytes in as the model makes them, text out that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Pieces:
    """Cuts a growing draft into pieces.

    A character whose bytes are not all there yet waits; so does text that may turn out to be the beginning of a stop
    string. The pieces joined are the draft up to, without, the first stop string.

    >>> pieces = Pieces(stop=["END"])
    >>> pieces.add(b"caf\\xc3"), pieces.add(b"\\xa9 EN"), pieces.add(b"D more"), pieces.stopped
    ('caf', 'é ', '', True)
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def add(self, data: bytes) -> str:
        """What may be shown now that `data` has come; '' if nothing. After a stop string, always ''."""
        return self.text(self._decoder.decode(data))

    def text(self, more: str) -> str:
        """The same for text that is already decoded."""
        if self.stopped:
            return ""
        self._held += more
        ends = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return self._give(min(ends))
        return self._give(len(self._held) - self._maybe())

    def rest(self) -> str:
        """What was held back, once the draft has ended; the bytes of a half character are left out."""
        return self._give(0 if self.stopped else len(self._held))

    def _give(self, end: int) -> str:
        given, self._held = self._held[:end], self._held[end:]
        return given

    def _maybe(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        longest = max((len(s) - 1 for s in self._stop), default=0)
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(s.startswith(self._held[-size:]) for s in self._stop):
                return size
        return 0
