"""The turn that is being answered: each event changes what is shown of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from rag.chat import show
from rag.chat.details import drawer
from rag.errors import RagError
from rag.types import Answer, Event, Found, Outcome, Quoted, Wrote

SLOW_S = 3.0  # from here on the seconds are shown, so that waiting is never silent


class Live:
    """One question on its way to an answer. `html` is what stands on the page now."""

    def __init__(self, question: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.question = question
        self.answer: Answer | None = None
        self._ending = ""
        self._status = "Searching your documents"
        self._text = ""
        self._quoted = Quoted(())
        self._clock = clock
        self._began = clock()

    def take(self, events: Iterable[Event]) -> None:
        """Events in their order."""
        for event in events:
            match event:
                case Found():
                    self._status = "Reading the passages"
                case Quoted():
                    self._quoted, self._status = event, "Writing"
                case Wrote():
                    self._text, self._status = self._text + event.text, "Writing"
                case Answer():
                    self.answer = event

    def fail(self, error: Exception) -> None:
        """The question ended in an error: one sentence, and the cure."""
        if isinstance(error, RagError):
            cure = f'<span class="hint">{show.esc(error.hint)}</span>' if error.hint else ""
            self._ending = f'<p class="error" role="alert">{show.esc(error.message)} {cure}</p>'
        else:
            self._ending = f'<p class="error" role="alert">{show.UNEXPECTED}</p>'

    def stop(self) -> None:
        """The user stopped it: what was written stays."""
        self._ending = show.label("Stopped")

    @property
    def html(self) -> str:
        """The turn as it stands."""
        if self.answer is not None:
            return show.turn(self.question, finished(self.answer), f"done {self.answer.outcome.value}")
        if self._ending:
            return show.turn(self.question, self._ending + self._so_far(), "stopped")
        waited = self._clock() - self._began
        status = f"{self._status} &hellip;" + (f" {waited:.0f} s" if waited > SLOW_S else "")
        line = f'<p class="status" role="status"><i class="pulse" aria-hidden="true"></i>{status}</p>'
        return show.turn(self.question, line + self._so_far(), "running")

    def _so_far(self) -> str:
        words = f'<div class="words"><p class="writing" dir="auto">{show.esc(self._text)}</p></div>'
        return (words if self._text else "") + show.cards(self._quoted.citations, "From your documents")


def finished(answer: Answer) -> str:
    """A whole answer: outcome, words, quotes, tools, drawer."""
    answer = unmarked(answer) if answer.outcome is Outcome.CLOSEST else answer
    heading = "Closest passages" if answer.outcome is Outcome.CLOSEST else "Quotes"
    cards = "" if show.quoted_in_text(answer) else show.cards(answer.citations, heading)
    copy = f'<button type="button" class="copy" data-text="{show.esc(show.plain_copy(answer))}">Copy</button>'
    said = show.label(show.OUTCOMES[answer.outcome]) + show.words(answer) + cards
    return f'{said}<div class="tools">{copy}{drawer(answer)}</div>'


def unmarked(answer: Answer) -> Answer:
    """The answer without short answers in its quotes: where nothing is confirmed, nothing is marked as if it were."""
    claims = (replace(c, citations=tuple(replace(q, answer=None) for q in c.citations)) for c in answer.claims)
    return replace(answer, claims=tuple(claims))
