"""The turn that is being answered: each event changes what is shown of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from rag.chat import show
from rag.chat.details import drawer
from rag.chat.texts import count, say
from rag.chat.verdicts import tally
from rag.types import Answer, Citation, Event, Found, Outcome, Quoted, Waits, Wrote

SLOW_S = 3.0  # from here on the seconds are shown, so that waiting is never silent


class Live:
    """One question on its way to an answer. `html` is what stands on the page now."""

    def __init__(self, question: str, clock: Callable[[], float] = time.monotonic, turn_s: float = 3.0) -> None:
        """`turn_s`: how many seconds one answer takes, by and large."""
        self.question = question
        self.answer: Answer | None = None
        self.place = ""  # 'conversation/turn' once the turn is kept
        self.nearest: tuple[Citation, ...] = ()
        self.note = ""
        self.chosen = ""
        self._ending = ""
        self._status = say("live.searching")
        self._before, self._turn_s = 0, turn_s
        self._text = ""
        self._quoted = Quoted(())
        self._clock = clock
        self._began = clock()

    def take(self, events: Iterable[Event]) -> None:
        """Events in their order."""
        for event in events:
            match event:
                case Found():
                    self._status = say("live.reading")
                case Quoted():
                    self._quoted, self._status = event, say("live.writing")
                case Wrote():
                    self._before = 0
                    self._text, self._status = self._text + event.text, say("live.writing")
                case Waits():
                    self._before = event.before
                case Answer():
                    self.answer = event

    def fail(self, error: Exception) -> None:
        """The question ended in an error: one sentence, and the cure."""
        self._ending = show.trouble(error)

    def stop(self) -> None:
        """The user stopped it: what was written stays."""
        self._ending = show.label(say("live.stopped"))

    @property
    def html(self) -> str:
        """The turn as it stands."""
        if self.answer is not None:
            body = self.chosen + finished(self.answer, self.place, nearest=self.nearest) + self.note
            return show.turn(self.question, body, f"done {self.answer.outcome.value}", self.place)
        if self._ending:
            return show.turn(self.question, self._ending + self._so_far(), "stopped")
        waited = self._clock() - self._began
        status = f"{self._waits() or self._status} &hellip;" + (f" {waited:.0f} s" if waited > SLOW_S else "")
        line = f'<p class="status"><i class="pulse" aria-hidden="true"></i>{status}</p>'
        return show.turn(self.question, line + self._so_far(), "running")

    def _waits(self) -> str:
        """The place in the model's line, with a guess of the time; '' once it is our turn."""
        if not self._before:
            return ""
        return count("live.before", self._before, seconds=f"{max(1.0, self._before * self._turn_s):.0f}")

    def _so_far(self) -> str:
        words = f'<div class="words"><p class="writing" dir="auto">{show.esc(self._text)}</p></div>'
        return (words if self._text else "") + show.cards(self._quoted.citations, say("live.quoted"))


def finished(
    answer: Answer,
    place: str = "",
    *,
    lost: frozenset[Citation] = frozenset(),
    nearest: tuple[Citation, ...] = (),
    good: bool | None = None,
    note: str = "",
) -> str:
    """A whole answer: outcome, words, quotes, tools, drawer.

    `place`: 'conversation/turn' where it is kept, and its drawer is fetched from; `lost`: quotes that no longer stand
    in their documents; `nearest`: what a refusal offers; `good`, `note`: what the user said of it.
    """
    answer = unmarked(answer) if answer.outcome is Outcome.CLOSEST else answer
    heading = say("answer.closest_passages" if answer.outcome is Outcome.CLOSEST else "answer.quotes")
    cards = "" if show.quoted_in_text(answer) else show.cards(answer.citations, heading, lost)
    if nearest and not answer.citations:
        inner = show.cards(nearest, "")
        cards = f'<details class="nearest"><summary>{say("answer.nearest")}</summary>{inner}</details>'
    how = show.folded_drawer(place) if place else drawer(answer)
    said = show.label(say(f"answer.{answer.outcome.value}")) + show.words(answer, lost) + show.conflicts(answer, lost)
    return f'{said}{tally(answer)}{cards}<div class="tools">{show.tools(answer, place, good, note)}{how}</div>'


def unmarked(answer: Answer) -> Answer:
    """The answer without short answers in its quotes: where nothing is confirmed, nothing is marked as if it were."""
    claims = (replace(c, citations=tuple(replace(q, answer=None) for q in c.citations)) for c in answer.claims)
    return replace(answer, claims=tuple(claims))
