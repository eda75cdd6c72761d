"""Conversations that were kept: the list of them, and one of them as it stands today."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.chat import show
from rag.chat.live import finished
from rag.chat.show import esc
from rag.chat.texts import count, month, say
from rag.types import Answer, Citation, Outcome

if TYPE_CHECKING:
    from rag.conversation import Conversation, Summary, Turn

Stands = Callable[[Citation], Citation | None]
"""A citation as it is to be shown now; None where its document no longer says it."""
Near = Callable[[Answer], tuple[Citation, ...]]
"""What a refusal offers to look at, as it stands in the documents now."""


def listing(rows: Sequence[Summary], words: str = "", damaged: Sequence[str] = (), now: float | None = None) -> str:
    """The list of conversations, by day; `damaged`: names of files that were set aside."""
    aside = "".join(f'<p class="report" role="alert">{say("history.damaged", name=esc(name))}</p>' for name in damaged)
    if not rows:
        nothing = say("history.none_found" if words.strip() else "history.none")
        return f'{aside}<p class="report">{nothing}</p>'
    parts, day = [], ""
    for row in rows:
        if (this := _day(row.changed, time.time() if now is None else now)) != day:
            parts += ["</ul>" if day else "", f'<h3>{this}</h3><ul class="talks">']
            day = this
        parts.append(_row(row))
    return f"{aside}{''.join(parts)}</ul>"


def turns(conversation: Conversation, stands: Stands, near: Near = lambda answer: ()) -> str:
    """All turns, each quote checked against its document: what moved leads to its new place, what is lost says so."""
    known: dict[Citation, Citation | None] = {}

    def now(citation: Citation) -> Citation | None:
        if citation not in known:
            known[citation] = stands(citation)
        return known[citation]

    return "".join(_turn(turn, f"{conversation.id}/{n}", now, near) for n, turn in enumerate(conversation.turns))


def _turn(turn: Turn, place: str, now: Stands, near: Near) -> str:
    answer, lost = checked(turn.answer, now)
    nearest = near(answer) if answer.outcome is Outcome.NOTHING else ()
    good, note = (turn.feedback.good, turn.feedback.note) if turn.feedback else (None, "")
    body = finished(answer, place, lost=lost, nearest=nearest, good=good, note=note)
    chosen = show.chosen(turn.settings)
    state = f"done {answer.outcome.value}" + (" replaced" if turn.replaced else "")
    return show.turn(answer.question, chosen + body, state, place)


def checked(answer: Answer, now: Stands) -> tuple[Answer, frozenset[Citation]]:
    """The answer with its citations where they are today, and those that are nowhere."""
    lost: set[Citation] = set()

    def today(citations: tuple[Citation, ...]) -> tuple[Citation, ...]:
        found = [(c, now(c)) for c in citations]
        lost.update(c for c, there in found if there is None)
        return tuple(there or c for c, there in found)

    claims = tuple(replace(claim, citations=today(claim.citations)) for claim in answer.claims)
    sides = tuple(replace(side, citations=today(side.citations)) for side in answer.conflicts)
    return replace(answer, claims=claims, conflicts=sides), frozenset(lost)


def _row(row: Summary) -> str:
    does = "".join(
        f'<button type="button" class="plain" data-talk="{does}">{say(name)}</button>'
        for does, name in (
            ("rename", "history.rename"), ("md", "history.markdown"), ("json", "history.json"),
            ("delete", "history.delete"),
        )
    )  # fmt: skip
    when = time.strftime("%H:%M", time.localtime(row.changed))
    return (
        f'<li data-id="{row.id}"><button type="button" class="open-talk"><span dir="auto">{esc(row.title)}</span>'
        f"<small>{when} &middot; {count('history.questions', row.turns)}</small></button>"
        f'<details class="menu"><summary class="plain" aria-label="{say("history.more", title=esc(row.title))}">'
        f'&hellip;</summary><div class="drop">{does}</div></details></li>'
    )


def _day(then: float, now: float) -> str:
    days = (time.localtime(now).tm_yday - time.localtime(then).tm_yday) if now - then < 3 * 86400 else 9
    near = {0: say("history.today"), 1: say("history.yesterday")}
    return near[days] if days in near else month(then)
