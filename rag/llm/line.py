"""The line before a model: first come, first served, one at a time, and everybody knows how many are before them.

At most `MOST_WAITING` wait behind the one who is answered. Whoever comes then hears `Busy` at once, with the seconds
after which a place should be free: a promise of an answer in minutes is worth less than a plain no.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator

from rag.errors import Busy

MOST_WAITING = 8
_FIRST_GUESS_S = 3.0  # of one turn, before any was measured
_NEWEST = 0.3  # weight of the newest turn in the running mean


class Line:
    """Who is being answered, and who waits. Any object may stand in it, once."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = 1 + most_waiting
        self._line: deque[object] = deque()
        self._moved = threading.Condition()
        self._turn_s = _FIRST_GUESS_S
        self._began = 0.0

    def __len__(self) -> int:
        return len(self._line)

    def check(self) -> None:
        """Raises Busy if nobody more can join."""
        with self._moved:
            if len(self._line) >= self._most:
                wait_s = math.ceil(max(1.0, self._turn_s - (time.monotonic() - self._began)))
                raise Busy(
                    f"the model is busy: one is answered and {len(self._line) - 1} wait",
                    f"ask again in {wait_s} s",
                    retry_s=wait_s,
                )

    def join(self, who: object) -> None:
        """Takes the last place. Raises Busy if there is none."""
        with self._moved:
            self.check()
            self._line.append(who)
            self._start_turn(len(self._line) == 1)

    def before(self, who: object) -> Iterator[int]:
        """How many are before `who`, at first and each time that changes; ends when it is its turn, or it has left."""
        known = 0
        while (now := self._place(who, known)) > 0:
            yield now
            known = now

    def holds(self, who: object) -> bool:
        """True while `who` stands in the line or is answered."""
        with self._moved:
            return who in self._line

    def leave(self, who: object) -> None:
        """Takes `who` out of the line, wherever it stands."""
        with self._moved:
            if who not in self._line:
                return
            first = self._line[0] is who
            if first:
                self._turn_s += _NEWEST * (time.monotonic() - self._began - self._turn_s)
            self._line.remove(who)
            self._start_turn(first)
            self._moved.notify_all()

    def _place(self, who: object, known: int) -> int:
        """The number before `who`, once it is another than `known`; 0 too if it has left. Waits, unless known is 0."""

        def number() -> int:
            return self._line.index(who) if who in self._line else 0

        with self._moved:
            self._moved.wait_for(lambda: known == 0 or number() != known)
            return number()

    def _start_turn(self, another: bool) -> None:
        if another:
            self._began = time.monotonic()
