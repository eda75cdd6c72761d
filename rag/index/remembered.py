"""Documents that were read last, for those who ask for them again: a search asks for the same few."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

DOCUMENTS = 64
CHARACTERS = 32_000_000


class Remembered(Generic[T]):
    """Values under numbers that never come to mean another value. Safe to use from many threads."""

    def __init__(self, characters: Callable[[T], int]) -> None:
        self._characters = characters
        self._values: OrderedDict[int, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int, load: Callable[[], T]) -> T:
        """The value of this number, loaded if it is not remembered. Raises what `load` raises."""
        with self._lock:
            if number in self._values:
                self._values.move_to_end(number)
                return self._values[number]
        value = load()
        with self._lock:
            self._values[number] = value
            while len(self._values) > 1 and self._full():
                self._values.popitem(last=False)
        return value

    def _full(self) -> bool:
        return len(self._values) > DOCUMENTS or sum(map(self._characters, self._values.values())) > CHARACTERS
