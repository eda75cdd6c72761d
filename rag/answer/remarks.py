"""An answer in; out, what its asker should know of the model's part, in sentences that every door can show."""

from __future__ import annotations

from rag.types import Answer


def remarks(answer: Answer) -> tuple[str, ...]:
    """How much of the model's draft was left out, and what kept it from writing; () where there is nothing to say.

    >>> from rag.types import Outcome, Trace
    >>> remarks(Answer("?", "", (), (), Outcome.ANSWERED, Trace(withheld=(("It is 3.", "3 is not in the quotes"),))))
    ('1 sentence of the model was not backed by the documents and is left out.',)
    """
    left, trouble = len(answer.trace.withheld), answer.trace.trouble
    many = f"{left} sentences of the model were not backed by the documents and are left out."
    one = "1 sentence of the model was not backed by the documents and is left out."
    said = () if not left else (one if left == 1 else many,)
    return (*said, f"The model: {trouble}") if trouble else said
