"""How the sentences of an answer fared, in one quiet line under it: backed, partly backed, left out."""

from __future__ import annotations

from rag.chat.show import esc
from rag.types import Answer, Origin, Outcome, Verdict

_SAID = {
    Verdict.SUPPORTED: ("1 sentence backed by a quote", "{} sentences backed by quotes"),
    Verdict.PARTIAL: ("1 only partly backed", "{} only partly backed"),
    Verdict.UNSUPPORTED: ("1 not confirmed", "{} not confirmed"),
}


def tally(answer: Answer) -> str:
    """The line; '' where the model said nothing that had to be judged. What was left out opens the drawer."""
    if answer.outcome is not Outcome.ANSWERED:
        return ""
    verdicts = [claim.verdict for claim in answer.claims if claim.origin is Origin.MODEL]
    parts = [
        f'<span class="{verdict.value}">{_DOT}{(one if n == 1 else many).format(n)}</span>'
        for verdict, (one, many) in _SAID.items()
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
    if len(withheld) == 1:
        return f"1 sentence of the model was left out: {withheld[0][1]}"
    return f"{len(withheld)} sentences of the model were left out: the quotes do not carry them"
