"""Every word the LLM is given. All prompts stand here, each odd phrase with its reason.

The model sees the evidence sentences only, numbered, with the question before and after them: a small model forgets
what it read first, and answers the first thing it is asked if that stands far away. Content is data: it is put between
the control tokens by the LLM's own template and can never become one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.types import Evidence, Message

_SYSTEM = "You answer questions with facts from the given sentences, in one short complete sentence."
# "Using only": without it a 135M model answers from memory. "complete sentence": else it writes 'The answer is: 2'.
_ASK = (
    "Question: {question}\n\nSentences:\n{sentences}\n\n"
    "Using only these sentences, answer in one complete sentence: {question}"
)


def compose(question: str, evidence: Sequence[Evidence]) -> tuple[Message, ...]:
    """The conversation that asks for an answer from `evidence`, best first."""
    sentences = "\n".join(f"{n}. {' '.join(e.text.split())}" for n, e in enumerate(evidence, start=1))
    return (Message("system", _SYSTEM), Message("user", _ASK.format(question=question, sentences=sentences)))


def fitting(
    question: str, evidence: Sequence[Evidence], length: Callable[[Sequence[Message]], int], room: int
) -> tuple[Message, ...]:
    """`compose` with as much of `evidence`, best first, as `room` tokens hold; () if not even one sentence fits."""
    for kept in range(len(evidence), 0, -1):
        prompt = compose(question, evidence[:kept])
        if length(prompt) <= room:
            return prompt
    return ()
