"""A question without an answer: what is said instead, and what is missing.

Few sentences, each a template that only says what was looked up: that a word stands nowhere is said after counting it
in the whole index, that it does not stand in the nearest passages after reading them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.gate import names
from rag.lack import Lack, absent
from rag.text import fold
from rag.types import Hit, Outcome

_MOST = 3  # words or mismatches named at a time


@dataclass(frozen=True, slots=True)
class Refusal:
    """`text` for people; `missing`: the words of the question that it names."""

    text: str
    missing: tuple[str, ...] = ()


def refusal(
    outcome: Outcome, question: str, hits: Sequence[Hit], lacks: Sequence[Lack], nowhere: Callable[[str], bool]
) -> Refusal:
    """What is said instead of an answer. `nowhere`: True of a word that no passage of the index has."""
    if not hits:
        return Refusal("There is no document to answer from: none was added yet, or none passes the filter.")
    lost = absent(question, hits)
    gone = [w for w in lost if nowhere(w)]
    named = {fold(w) for w in names(question)}
    elsewhere = [w for w in lost if w not in gone and fold(w) in named]
    gone = sorted(gone, key=lambda w: fold(w) not in named)[:_MOST]
    told = {fold(w) for w in (*gone, *elsewhere)}
    mismatches = [m for m in lacks if m.instead or not {fold(w) for w in m.words.split()} & told][:_MOST]
    said = [_mismatch(m) for m in mismatches] if outcome is Outcome.CLOSEST else []
    if gone:
        said.append(f"{_listed(gone)} {'stands' if len(gone) == 1 else 'stand'} nowhere in the documents.")
    if elsewhere:
        verb = "stands" if len(elsewhere) == 1 else "stand"
        said.append(f"{_listed(elsewhere[:_MOST])} {verb} in the documents, but not in the passages nearest to this.")
    opening = "The documents do not hold an answer to this."
    if outcome is Outcome.CLOSEST:
        opening = "I found no confirmed answer in the documents."
        said.append("The closest passages are:")
    missing = (m.words for m in mismatches if m.rule not in _UNNAMED and outcome is Outcome.CLOSEST)
    return Refusal(" ".join([opening, *said]), tuple(dict.fromkeys([*missing, *gone, *elsewhere[:_MOST]])))


_UNNAMED = ("denial", "how many")  # what is missing is no word of the question


def _mismatch(lack: Lack) -> str:
    """One sentence on where the question and the nearest sentence do not meet."""
    if lack.rule in ("number", "month", "code") and lack.instead:
        return f"The nearest sentence speaks of {lack.instead}, not of {lack.words}."
    if lack.rule == "how many":
        return "The nearest sentence gives no number."
    if lack.rule == "denial":
        return f"The question says “{lack.words}”; the nearest sentence does not."
    if lack.instead:
        return f"The nearest sentence has “{lack.instead}” where the question has “{lack.words}”."
    return f"The nearest passage does not mention “{lack.words}”."


def _listed(words: Sequence[str]) -> str:
    quoted = [f"“{w}”" for w in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]
