"""Every word the LLM is given. All prompts stand here, each odd phrase with its reason.

Two ways to ask. A small model (SmolLM2-135M) forgets and invents, so it is only asked to *word* the short answer that
the reader found, in one sentence, after two examples. A larger one is asked for prose from several numbered sentences.
Tried on a few questions of squad1-train with SmolLM2-135M and the gold answer, so a hint and no more: drafts that say
the answer, of 40: prose from one sentence 68 %, wording with two examples 93 %; of 20: wording with four examples 70 %,
without examples 95 %, but as "The answer is: X"; of 25: prose from two sentences 48 %.

Content is data: it is put between the control tokens by the LLM's own template and can never become one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.types import Evidence, Message

Length = Callable[[Sequence[Message]], int]

_WORD = "You write the short answer to a question as one complete sentence. You add nothing."
# Far from any real document, so that what leaks out of an example is seen by the judge at once.
_EXAMPLES = (
    (
        "The harbour bridge was opened on 4 March 1931 by the mayor, after seven years of work.",
        "When did the harbour bridge open?",
        "4 March 1931",
        "The harbour bridge opened on 4 March 1931.",
    ),
    (
        "Her uncle Marco, a retired conductor, gave Elena her first cello lessons when she was six.",
        "Who taught Elena to play the cello?",
        "Her uncle Marco",
        "Elena's uncle Marco taught her to play the cello.",
    ),
)
_PROSE = "You answer questions with facts from the given sentences, in complete sentences. You add nothing."
# The question before and after: a model forgets what it read first, and answers what it was asked last.
_ASK = (
    "Question: {question}\n\nSentences:\n{sentences}\n\n"
    "Using only these sentences, answer in one or two complete sentences: {question}"
)


def sentence(question: str, evidence: Sequence[Evidence]) -> tuple[Message, ...]:
    """The conversation that asks to word the short answer of the first evidence that has one; () if none has."""
    best = next((e for e in evidence if e.answer is not None), None)
    if best is None or best.answer is None:
        return ()
    short = best.answer.shift(-best.span.start).of(best.text)
    turns = [Message("system", _WORD)]
    for text, asked, answer, said in _EXAMPLES:
        turns += [Message("user", _task(text, asked, answer)), Message("assistant", said)]
    return (*turns, Message("user", _task(best.text, question, short)))


def prose(question: str, evidence: Sequence[Evidence]) -> tuple[Message, ...]:
    """The conversation that asks for an answer from `evidence`, best first."""
    sentences = "\n".join(f"{n}. {_one_line(e.text)}" for n, e in enumerate(evidence, start=1))
    return (Message("system", _PROSE), Message("user", _ASK.format(question=question, sentences=sentences)))


def fitting(style: str, question: str, evidence: Sequence[Evidence], length: Length, room: int) -> tuple[Message, ...]:
    """The prompt in `style` ('sentence' or 'prose') with as much of `evidence`, best first, as `room` tokens hold; ()
    if not even one sentence fits."""
    if style == "sentence":
        prompt = sentence(question, evidence) or prose(question, evidence[:1])
        return prompt if length(prompt) <= room else ()
    for kept in range(len(evidence), 0, -1):
        prompt = prose(question, evidence[:kept])
        if length(prompt) <= room:
            return prompt
    return ()


def _task(text: str, question: str, answer: str) -> str:
    return f"Text: {_one_line(text)}\nQuestion: {question}\nShort answer: {_one_line(answer)}\nFull sentence:"


def _one_line(text: str) -> str:
    return " ".join(text.split())
