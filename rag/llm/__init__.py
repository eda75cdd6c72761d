"""A prompt in, pieces of text out.

The contract first; then `llama.LlamaLLM`, the default: llama.cpp in a supervised worker process with one owner; and
`openai.OpenAILLM`, any OpenAI-compatible server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rag.types import Message


class LLM(Protocol):
    """Writes a continuation of a conversation.

    Laws (tests/laws): same prompt and seed, same text; closing the iterator frees the model within 1 s, in prefill too;
    joining the pieces gives the draft; content never becomes control tokens. An error is raised before the first piece
    or ends the stream; it never shortens it silently.
    """

    name: str
    fingerprint: str
    window: int
    """Tokens of prompt and answer together."""

    def render(self, prompt: Sequence[Message]) -> str:
        """The exact text that `stream` would give the model, for the trace."""
        ...

    def length(self, prompt: Sequence[Message]) -> int:
        """Tokens of the rendered prompt."""
        ...

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """Pieces of text, greedy. Raises PromptTooLong when prompt and max_tokens do not fit `window`, Busy when too
        many wait, ModelDied when the worker ends, ValueError when max_tokens < 1."""
        ...

    def warm(self) -> None:
        """Begin to load, if there is anything to load; returns at once. Raises Busy when too many wait already."""
        ...

    def close(self) -> None:
        """Free the model. A closed LLM raises ModelDied on use; closing twice is fine."""
        ...


def waits(draft: Iterator[str]) -> Iterator[int]:
    """How many are answered before `draft`, at first and each time that changes; nothing where it need not wait.

    >>> list(waits(iter(["a draft of no line"])))
    []
    """
    told = getattr(draft, "waits", None)
    return iter(()) if told is None else told()
