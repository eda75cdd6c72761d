"""An LLM that can be computed in the head: for tests, and for trying the gate with a writer that lies.

>>> llm = ScriptedLLM(lambda prompt: prompt[-1].content.upper())
>>> "".join(llm.stream([Message("user", "say it aloud")], max_tokens=2))
'SAY IT '
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from rag.errors import ModelDied, PromptTooLong
from rag.llm.pieces import Pieces
from rag.types import Message

_WORD = re.compile(r"\S+\s*|\s+")


class ScriptedLLM:
    """Writes what `reply` says of the prompt. A token is a word with the space behind it; each takes `pause_s`.

    `asked` keeps the prompts of every stream, in order."""

    def __init__(self, reply: Callable[[Sequence[Message]], str], window: int = 2048, pause_s: float = 0.0) -> None:
        self.name = "scripted"
        self.fingerprint = "scripted"
        self.window = window
        self.asked: list[tuple[Message, ...]] = []
        self._reply = reply
        self._pause_s = pause_s
        self._closed = False

    def render(self, prompt: Sequence[Message]) -> str:
        """Role and content of each message."""
        return "\n".join(f"{m.role}: {m.content}" for m in prompt)

    def length(self, prompt: Sequence[Message]) -> int:
        """Words of the rendered prompt."""
        return len(_WORD.findall(self.render(prompt)))

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """The words of the reply, the first `max_tokens` of them."""
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        if not all(stop):
            raise ValueError("an empty stop string would stop everything")
        return self._words(tuple(prompt), max_tokens, stop)

    def _words(self, prompt: tuple[Message, ...], max_tokens: int, stop: Sequence[str]) -> Iterator[str]:
        if self._closed:
            raise ModelDied("this LLM was closed", "open it again")
        if self.length(prompt) + max_tokens > self.window:
            raise PromptTooLong(f"prompt and answer are over the window of {self.window} words")
        self.asked.append(prompt)
        pieces = Pieces(stop)
        for word in _WORD.findall(self._reply(prompt))[:max_tokens]:
            time.sleep(self._pause_s)
            if (text := pieces.text(word)) != "":
                yield text
            if pieces.stopped:
                return
        if (text := pieces.rest()) != "":
            yield text

    def warm(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free; a closed one raises ModelDied on use."""
        self._closed = True
