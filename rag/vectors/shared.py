"""Many may read at once, one may change, never both.

A FAISS search while another thread adds ends in SIGSEGV, so somebody has to wait. A change that is waiting goes before
readers that come later: an index that is asked all the time can still be added to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Shared:
    """A lock with two sides. Neither side may be entered again by the thread that is already inside."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._changing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Together with other readers, apart from any change."""
        with self._turn:
            self._turn.wait_for(lambda: not self._changing and not self._waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._turn:
                self._readers -= 1
                if not self._readers:
                    self._turn.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone."""
        with self._turn:
            self._waiting += 1
            try:
                self._turn.wait_for(lambda: not self._changing and not self._readers)
                self._changing = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._turn:
                self._changing = False
                self._turn.notify_all()
