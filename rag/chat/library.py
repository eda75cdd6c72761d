"""The shelf: which documents there are, in which collections, and what can be asked of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rag.chat.names import file_name, shown
from rag.chat.show import esc
from rag.chat.texts import count, day, say
from rag.errors import RagError
from rag.index import DEFAULT
from rag.load.kinds import KINDS
from rag.suggest import suggestions
from rag.types import Answer

if TYPE_CHECKING:
    from rag.assistant import Assistant
    from rag.index import SourceRow

_KINDS = {kind.media_type: kind.name for kind in KINDS}
# What can be asked of the two texts that come with the project, by file name; shown while nothing newer is there.
_EXAMPLES = {
    "001_6b10a84c2a205f2b.txt": (
        "How many cherry trees will Japan give to the United States?",
        "Is Japan one of America's largest trading partners?",
    ),
    "000_1844cf143683c153.txt": (
        "Which neighbours are a worry for Japan's security?",
        "Why is Takaichi's government under pressure?",
    ),
}
_IDEAS = 4
_ASKED_OF = 6  # the newest documents, which are looked through for questions
_REST_S = 0.3  # between two questions that only we ask: a person's comes first


def empty(rows: Sequence[SourceRow]) -> str:
    """What the page shows before the first question."""
    if not rows:
        invitation = say("library.empty", library=f"<b>{say('head.library')}</b>")
    else:
        invitation = say("library.invitation", documents=count("library.documents", len(rows)))
    newest = max(rows, key=lambda row: row.added, default=None)
    known = examples(rows) if newest is not None and examples([newest]) else []
    wanted = "" if known else " data-ideas"
    listed = f'<div class="examples" aria-label="{say("library.begin")}"{wanted}>{_asks(known)}</div>'
    return f'<div class="empty"><h1>{say("library.what")}</h1><p>{invitation}</p>{listed if rows else ""}</div>'


def examples(rows: Iterable[SourceRow]) -> list[str]:
    """Questions that fit these documents, none where nothing is known of them."""
    found = [file_name(row.source.uri) for row in rows]
    return [text for name in sorted(found, reverse=True) for text in _EXAMPLES.get(name, ())]


def _asks(texts: Iterable[str]) -> str:
    return "".join(f'<button type="button" class="example" dir="auto">{esc(text)}</button>' for text in texts)


class Ideas:
    """Questions that the newest documents answer, looked for in a thread of its own, again when the library changes;
    where they are few, those known beforehand fill them up."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._of: tuple[str, ...] | None = None
        self._known: list[str] = []
        self._done = False

    def html(self) -> tuple[str, bool]:
        """Buttons for what is known so far, and whether that is all; the first call begins the search."""
        with self._lock:
            rows = sorted(self._assistant.sources(), key=lambda row: -row.added)
            newest = rows[:_ASKED_OF]
            of = tuple(f"{row.source.id}{row.digest}" for row in newest)
            if of != self._of:
                self._of, self._known, self._done = of, [], not newest
                ids = [row.source.id for row in newest]
                threading.Thread(
                    target=self._look, args=(of, ids, examples(rows)), name="chat-ideas", daemon=True
                ).start()
            return _asks(self._known), self._done

    def _look(self, of: tuple[str, ...], ids: Sequence[str], more: Sequence[str]) -> None:
        documents = (self._assistant.document(id_) for id_ in ids)
        with contextlib.suppress(Exception):  # a library that changes or closes meanwhile has no ideas
            for question in suggestions(documents, self._asked, _IDEAS):
                with self._lock:
                    if of != self._of:
                        return
                    self._known.append(question)
        with self._lock:
            if of == self._of:
                self._known += more[: _IDEAS - len(self._known)]
                self._done = True

    def _asked(self, question: str) -> Answer:
        time.sleep(_REST_S)
        *_, answer = self._assistant.stream(question, settings={"llm.model": "none"})
        assert isinstance(answer, Answer)
        return answer


def shelf(rows: Sequence[SourceRow]) -> str:
    """The list of documents: a tick that says whether to look into it, a button that removes it (asked twice). Where
    there is a collection that somebody named, under its name, with a tick for all and what can be done with it."""
    if not rows:
        return f'<p class="report">{say("library.none")}</p>'
    names = Counter(shown(row.source) for row in rows)
    sets: dict[str, list[str]] = {}
    for row in rows:
        sets.setdefault(row.collection, []).append(_book(row, alone=names[shown(row.source)] == 1))
    if set(sets) == {DEFAULT}:
        return f'<ul class="shelf-list">{"".join(sets[DEFAULT])}</ul>'
    return "".join(map(_set, sets, sets.values()))


def _set(name: str, books: Sequence[str]) -> str:
    said = esc(name)
    does = "".join(
        f'<button type="button" class="plain" data-set-does="{does}">{shown_}</button>'
        for does, shown_ in (("rename", say("history.rename")), ("remove", say("library.remove_all")))
    )
    return (
        f'<div class="set-head" data-name="{said}"><label class="set">'
        f'<input type="checkbox" checked data-set-of="{said}"><span dir="auto">{said}</span>'
        f'<small>{count("library.documents", len(books))}</small></label><details class="menu"><summary class="plain"'
        f' aria-label="{say("history.more", title=said)}">&hellip;</summary><div class="drop">{does}</div></details>'
        f"</div>"
        f'<ul class="shelf-list" data-in="{said}">{"".join(books)}</ul>'
    )


def filters(rows: Sequence[SourceRow]) -> list[tuple[str, str]]:
    """What the shelf can be narrowed by beside dates: the media types in it, each with its name."""
    return sorted({(row.source.media_type, _kind(row.source.media_type)) for row in rows}, key=lambda kind: kind[1])


def _kind(media_type: str) -> str:
    """What people call a media type."""
    name = _KINDS.get(media_type, media_type.rpartition("/")[2])
    return name[0].upper() + name[1:] if name else media_type


def _book(row: SourceRow, alone: bool) -> str:
    """One document; `alone`: no other is called the same, or its file's name is told too."""
    file = esc(file_name(row.source.uri))
    also, added = "" if alone else f"<bdi>{file}</bdi> &middot; ", day(row.added).replace(" ", "&nbsp;")
    name, dated = esc(shown(row.source)), f' data-dated="{esc(row.dated)}" data-type="{esc(row.source.media_type)}"'
    return (
        f'<li{dated}><label class="title"><input type="checkbox" checked data-tick="{esc(row.source.id)}">'
        f'<span dir="auto" title="{file}">{name}</span></label>'
        f"<small>{also}{_size(row.characters)} &middot; {count('library.passages', row.passages)} &middot; {added}"
        "</small>"
        f'<button type="button" class="plain remove" data-id="{esc(row.source.id)}"'
        f' aria-label="{say("library.remove_says", title=name)}">{say("library.remove")}</button></li>'
    )


def trouble(error: Exception) -> str:
    """An error over the shelf, in one sentence with its cure."""
    if isinstance(error, RagError):
        said = f'{esc(error.message)} <span class="hint">{esc(error.hint)}</span>'
    else:
        said = say("library.unexpected")
    return f'<div class="report error" role="alert" data-done>{said}</div>'


def _size(characters: int) -> str:
    if characters < 10_000:
        return say("library.characters", n=f"{characters:,}")
    return say("library.thousands", n=f"{characters / 1000:,.0f}")
