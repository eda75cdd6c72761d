"""How the sentences of an answer fared, in one quiet line under it: backed, partly backed, left out."""

from __future__ import annotations

from rag.chat.show import esc
from rag.chat.texts import count
from rag.types import Answer, Origin, Outcome, Verdict


def tally(answer: Answer) -> str:
    """The line; '' where the model said nothing that had to be judged. What was left out opens the drawer."""
    if answer.outcome is not Outcome.ANSWERED:
        return ""
    verdicts = [claim.verdict for claim in answer.claims if claim.origin is Origin.MODEL]
    parts = [
        f'<span class="{verdict.value}">{_DOT}{count(f"answer.{verdict.value}", n)}</span>'
        for verdict in Verdict
        if (n := verdicts.count(verdict))
    ]
    if answer.trace.withheld:
        parts.append(
            f'<button type="button" class="plain withheld" data-do="why">{_DOT}{esc(left_out(answer))}</button>'
        )
    return f'<p class="verdicts">{"".join(parts)}</p>' if parts else ""


_DOT = '<i class="dot" aria-hidden="true"></i>'


def left_out(answer: Answer) -> str:
    """How much of the draft is not shown, and why: of one sentence its own reason."""
    withheld = answer.trace.withheld
    return count("answer.left_out", len(withheld), why=withheld[0][1])
