"""A question from the page to its answer on it: what was wished with it, how it is drawn, the turn that is kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag.chat import show
from rag.chat.live import Live
from rag.chat.settings import CHOOSABLE
from rag.chat.talk import Running, Talk
from rag.chat.texts import say
from rag.errors import ConversationError, RagError
from rag.filters import Filter
from rag.types import Answer, Citation, Event, Outcome

if TYPE_CHECKING:
    from rag.assistant import Assistant

WAITING = 8  # questions that may wait; one more is refused, never left hanging
_NEWEST = 0.3  # weight of the newest answer in the running mean of seconds
_LOG = logging.getLogger("rag.chat")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the page sends with a question: the conversation it belongs to ('' for a new one), the turn it replaces, the
    ids of unticked sources (so that a document added later is looked into), the kinds and days to look into, settings
    for this question alone."""

    conversation: str = ""
    instead_of: int | None = None
    without: frozenset[str] = frozenset()
    where: Filter | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def read(text: str) -> Wish:
        """From the JSON of the page; what makes no sense is passed over.

        >>> Wish.read('{"conversation": "a", "settings": {"retrieve.k": "4", "models.folder": "/"}}').settings
        {'retrieve.k': '4'}
        """
        try:
            plain = json.loads(text or "{}")
        except (ValueError, RecursionError):
            return Wish()
        if not isinstance(plain, dict):
            return Wish()
        conversation, instead_of = plain.get("conversation"), plain.get("instead_of")
        without, settings = plain.get("without"), plain.get("settings")
        return Wish(
            conversation if isinstance(conversation, str) else "",
            instead_of if isinstance(instead_of, int) else None,
            frozenset(map(str, without)) if isinstance(without, list) else frozenset(),
            _where(plain.get("where")),
            {k: str(v) for k, v in settings.items() if k in CHOOSABLE and v} if isinstance(settings, dict) else {},
        )


def _where(plain: object) -> Filter | None:
    """The kinds and days that the page chose; None for all of them, or for what makes no sense."""
    if not isinstance(plain, dict):
        return None
    kind, since, until = (str(plain.get(key) or "") for key in ("type", "since", "until"))
    try:
        where = Filter(types=(kind,) if kind else None, since=since, until=until)
    except ValueError:
        return None
    return None if where == Filter() else where


def asking(assistant: Assistant, same: Any) -> Any:
    """The handler of a question: empties the box, then draws the turn again after each event. `same` leaves a part as
    it is. The assistant words one answer at a time; here is counted how many wait for it."""
    on_the_way: dict[Running, float] = {}
    turn_s = 3.0  # of one answer: a running mean

    async def ask(question: str, talk: Talk, wished: str = "") -> AsyncIterator[tuple[Any, Any]]:
        nonlocal turn_s
        if not question.strip():
            return
        wish = Wish.read(wished)
        talk.stop()  # a second question takes the place of the first
        live = Live(question, turn_s=turn_s)
        yield "", live.html
        running = talk.running = Running(lambda: _stream(assistant, question, wish))
        shown = ""
        try:
            if len(on_the_way) > WAITING:
                raise RagError(say("talk.full", n=len(on_the_way)), say("talk.full_hint"))
            on_the_way[running] = time.monotonic()
            async for events in running.batches():
                live.take(events)
                if live.answer is not None:
                    continue  # it is shown at once with its place, as soon as it is kept
                last, shown = shown, live.html
                yield same, same if shown == last else shown
            if running.stopped:
                live.stop()
        except Exception as error:
            if not isinstance(error, RagError):
                _LOG.exception("a question failed")
            live.fail(error)
        finally:
            began = on_the_way.pop(running, None)
            if began is not None and live.answer is not None:
                turn_s += _NEWEST * (time.monotonic() - began - turn_s)
            running.stop()
        if live.answer is not None:
            await asyncio.to_thread(_settle, assistant, live, live.answer, wish)
        if not talk.over:
            yield same, live.html

    return ask


def _stream(assistant: Assistant, question: str, wish: Wish) -> Iterator[Event]:
    """The events of one answer; runs in the thread that pulls them."""
    rows = assistant.sources() if wish.without else []
    sources = [s for row in rows if (s := row.source.id) not in wish.without] if wish.without else None
    history: list[tuple[str, str]] = []
    if wish.conversation:
        with contextlib.suppress(ConversationError):  # deleted meanwhile: the question stands for itself
            history = assistant.conversations.load(wish.conversation).history(wish.instead_of)
    where = {"where": wish.where} if wish.where is not None else {}
    return assistant.stream(question, history=history, sources=sources, settings=wish.settings, **where)


def _settle(assistant: Assistant, live: Live, answer: Answer, wish: Wish) -> None:
    """Keep the turn; what cannot be kept is said under the answer."""
    live.note = ""
    live.chosen = show.chosen(wish.settings)
    if answer.outcome is Outcome.NOTHING:
        live.nearest = nearest(assistant, answer)
    kept = assistant.conversations
    try:
        try:
            now = kept.add(wish.conversation or None, answer, settings=wish.settings, instead_of=wish.instead_of)
        except ConversationError:
            now = kept.add(None, answer, settings=wish.settings)
        live.place = f"{now.id}/{len(now.turns) - 1}"
    except RagError as error:
        live.note = show.trouble(RagError(say("talk.not_kept", why=error.message), error.hint))


def nearest(assistant: Assistant, answer: Answer, most: int = 3) -> tuple[Citation, ...]:
    """The best evidence of an answer that is none, to look at; what changed meanwhile is left out."""
    found: dict[Citation, None] = {}
    for evidence in answer.evidence[:most]:
        try:
            citation = Citation.cut(assistant.document(evidence.hit.passage.source.id), evidence.span)
        except (KeyError, ValueError):
            continue
        if citation.quote == evidence.text:
            found[citation] = None
    return tuple(found)
