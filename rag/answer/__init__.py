"""Hits in, an answer out that says no more than the documents: read, gate, prompt, LLM, cite, judge.

The second half of the story, told as events: `Found` (the passages), `Quoted` (the first quotes, before the LLM has
said a word), `Wrote` (pieces that hold), and last the `Answer`.

The reader decides whether there is an answer; the LLM only words it. Its draft is cut into claims as it streams, each
is aligned with evidence sentences and judged against them, and only what holds is shown. Nothing of the model is shown
before it has said the short answer that the reader found; where it never does, the quotes themselves are the answer.
What rules can settle (yes or no, a list, documents that differ) is not left to it at all.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from rag.answer.page import Notes, Page, Rooms, Stop, citation_of, nowhere, quotes, trace_of
from rag.answer.refusal import refusal
from rag.answer.settling import Settled, agreed, settle, told
from rag.answer.weighing import weighed, worth_quoting
from rag.answer.wording import worded
from rag.errors import Cancelled
from rag.filters import Filter
from rag.kinds import kind_of
from rag.retrieve import checked, resolved
from rag.types import Answer, Event, Found, Outcome, Quoted

__all__ = ["Rooms", "Stream", "stream"]


class Stream(Iterator[Event]):
    """The events of one answer, made as they are asked for. `close`, from any thread, frees the model within 1 s; the
    iterator then ends without an answer."""

    def __init__(self, rooms: Rooms, question: str, history: Sequence[tuple[str, str]], where: Filter | None) -> None:
        self._stop = Stop()
        self._events = _events(rooms, checked(question), history, where, self._stop)

    def __next__(self) -> Event:
        if self._stop.asked:
            raise StopIteration
        try:
            event = next(self._events)
        except Cancelled:
            raise StopIteration from None
        if self._stop.asked:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop; closing twice is fine."""
        self._stop.now()
        with suppress(ValueError):  # it is running in another thread, and ends there
            self._events.close()


def stream(rooms: Rooms, question: str, history: Sequence[tuple[str, str]] = (), where: Filter | None = None) -> Stream:
    """The events of one answer. Raises QuestionError on an empty or endless question; trouble with the LLM is written
    into the trace, and the quotes answer without it."""
    return Stream(rooms, question, history, where)


def _events(
    rooms: Rooms, question: str, history: Sequence[tuple[str, str]], where: Filter | None, stop: Stop
) -> Generator[Event, None, None]:
    notes, page = Notes(), Page()
    start = time.perf_counter()
    with notes.timed("retrieve"):
        query = resolved(question, history, rooms.retriever.rare)
        hits = notes.hits = rooms.retriever.follow(query, where)
    notes.query = query.text
    yield Found(hits)
    with notes.timed("read"):
        found = weighed(rooms, question, notes, hits)
    evidence, outcome = found.evidence, found.outcome
    quoted = tuple(citation_of(rooms, e) for e in evidence[: rooms.config.answer.quotes])
    if outcome is not Outcome.NOTHING and quoted:
        notes.seconds["first_quote"] = time.perf_counter() - start
        yield Quoted(quoted[:1] if outcome is Outcome.ANSWERED else quoted)
    kind, what, missing = kind_of(question), Settled(), tuple[str, ...]()
    if outcome is Outcome.ANSWERED:
        what = settle(rooms, notes, kind, question, evidence)
        yield from told(page, what)
        if not what.quoted:
            yield from worded(rooms, notes, page, evidence, stop)
        if what.quoted or not page.claims:
            yield from quotes(rooms, page, what.quoted or worth_quoting(evidence, rooms.config.answer.quotes))
        yield from agreed(page, what)
    else:
        refused = refusal(outcome, question, hits, found.lacks, nowhere(rooms))
        missing = refused.missing
        yield page.say(refused.text, "")
        if outcome is Outcome.CLOSEST:
            yield from quotes(rooms, page, evidence[: rooms.config.answer.quotes])
    notes.seconds["total"] = time.perf_counter() - start
    claims, trace = tuple(page.claims), trace_of(rooms, notes)
    settled = (what.short, missing, what.agreement, what.conflicts)
    yield Answer(question, page.text, claims, evidence, outcome, trace, kind, *settled)
