"""A conversation that leaves the house: as Markdown for people, as cases for an evaluation, with what still holds.

In Markdown each quote is a numbered footnote with its place. Whatever a document, a model or a user wrote is escaped,
so that no viewer fetches a picture or runs a tag that a text only names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rag.conversation import Conversation, Turn
from rag.standing import Standing, Stands
from rag.types import Answer, Citation, Outcome

__all__ = ["Checked", "cases", "markdown", "verify"]

OUTCOMES = {
    Outcome.ANSWERED: "Answered from your documents",
    Outcome.CLOSEST: "Closest passages - not a confirmed answer",
    Outcome.NOTHING: "Not in the documents",
}
_ACTIVE = re.compile(r"([\\`*_\[\]<>#|~&$])")
_BEGINS = re.compile(r"(?m)^(\s*)([-+=]|\d+(?=[.)]))")


@dataclass(frozen=True, slots=True)
class Checked:
    """A citation of a conversation, `number` n of turn `turn` (both from 1), how it stands, and where it is now."""

    turn: int
    number: int
    citation: Citation
    standing: Standing
    now: Citation | None


def verify(conversation: Conversation, standing: Callable[[Citation], Stands]) -> list[Checked]:
    """Every citation beside its document as it is now; `standing` is `Assistant.standing`."""
    known: dict[Citation, Stands] = {}
    checked = []
    for t, turn in enumerate(conversation.turns, start=1):
        for n, citation in enumerate(turn.answer.citations, start=1):
            if citation not in known:
                known[citation] = standing(citation)
            checked.append(Checked(t, n, citation, known[citation].standing, known[citation].citation))
    return checked


def markdown(conversation: Conversation) -> str:
    """The conversation as Markdown, each quote a footnote `[^turn-number]` that says where it stands.

    >>> markdown(Conversation("0" * 16, "Empty", 0.0, 0.0))
    '# Empty\\n'
    """
    turns = (_turn(turn, n) for n, turn in enumerate(conversation.turns, start=1) if not turn.replaced)
    return "\n".join((f"# {_inert(conversation.title)}\n", *turns))


def cases(conversations: Iterable[Conversation]) -> Iterator[dict[str, Any]]:
    """The answers that somebody rated, as cases of an evaluation: one question, several passages, what is right.

    A good answer is the truth: its short answers, its passages and its quotes. A good refusal is a question that these
    passages do not answer. Of a bad one only the question and the note are known, so `answerable` is null there.
    """
    for conversation in conversations:
        for n, turn in enumerate(conversation.turns):
            if turn.feedback is not None:
                yield _case(turn, f"{conversation.id}-{n}", turn.feedback.good, turn.feedback.note)


def _case(turn: Turn, id_: str, good: bool, note: str) -> dict[str, Any]:
    answer = turn.answer
    hits = dict.fromkeys((e.hit.passage.source, e.hit.passage.span, e.hit.passage.text) for e in answer.evidence)
    passages = [
        {"id": f"{source.id}:{span.start}-{span.end}", "title": source.title, "text": text}
        for source, span, text in hits
    ]
    right = answer.citations if good and answer.outcome is Outcome.ANSWERED else ()
    holds = [
        (p["id"], c)
        for p, (source, span, _) in zip(passages, hits, strict=True)
        for c in right
        if c.source.id == source.id and c.span in span
    ]
    gold = list(dict.fromkeys(id_ for id_, _ in holds))
    first = {c: id_ for id_, c in reversed(holds)}  # a quote may stand in two passages that overlap
    evidence = [{"passage": first[c], "text": c.quote} for c in right if c in first]
    return {
        "id": id_,
        "question": answer.question,
        "passages": passages,
        "answers": list(dict.fromkeys(_short(c) for c in right)),
        "gold": gold,
        "evidence": evidence,
        "answerable": answer.outcome is Outcome.ANSWERED if good else None,
        "good": good,
        "note": note,
        "outcome": answer.outcome.value,
        "said": answer.text,
    }


def _short(citation: Citation) -> str:
    """The short answer in a quote; the quote where none is marked."""
    a = citation.answer
    return citation.quote if a is None else a.shift(-citation.span.start).of(citation.quote)


def _turn(turn: Turn, n: int) -> str:
    answer = turn.answer
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.asked))
    notes = "".join(_note(f"{n}-{k}", c) for k, c in enumerate(answer.citations, start=1))
    return f"## {_line(answer.question)}\n\n*{OUTCOMES[answer.outcome]}, {day}*\n\n{_said(answer, n)}\n\n{notes}"


def _said(answer: Answer, n: int) -> str:
    """The text of an answer with its footnote marks."""
    numbers = {c: k for k, c in enumerate(answer.citations, start=1)}
    said, at = "", 0
    for claim in sorted(answer.claims, key=lambda c: c.at.start):
        marks = "".join(f"[^{n}-{numbers[c]}]" for c in claim.citations)
        said += _inert(answer.text[at : claim.at.end]) + marks
        at = claim.at.end
    return said + _inert(answer.text[at:])


def _note(mark: str, c: Citation) -> str:
    place = f"characters {c.span.start} to {c.span.end} of {_line(c.source.uri)}"
    return f"[^{mark}]: “{_line(c.quote)}” {_line(c.source.title)}, {_line(c.where)} ({place})\n"


def _line(text: str) -> str:
    return _inert(" ".join(text.split()))


def _inert(text: str) -> str:
    """`text` as Markdown that reads as it is written.

    >>> _inert("![x](http://a/b.png) <b>")
    '!\\\\[x\\\\](http://a/b.png) \\\\<b\\\\>'
    """
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _BEGINS.sub(_quelled, _ACTIVE.sub(r"\\\1", whole))


def _quelled(found: re.Match[str]) -> str:
    """The begin of a list or a heading, made text: '1.' keeps its digits, so that the sign after them is escaped."""
    return f"{found[1]}{found[2]}\\" if found[2].isdigit() else f"{found[1]}\\{found[2]}"
