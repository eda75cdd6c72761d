"""What the page fetches by itself, beside Gradio's events: documents, conversations, drawers, exports, ratings.

Plain requests, so that a page is filled while Gradio still loads, and a list or a source never waits behind an answer.
Each passes the guard; what changes something is no GET, so that its origin is always known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote as percent

from fastapi import Body, FastAPI, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from rag.chat import history, library, names, original, settings, shelving, show, texts
from rag.chat.asking import nearest
from rag.chat.details import inside
from rag.chat.source import panel
from rag.chat.texts import say
from rag.chat.watching import Watching
from rag.conversation import plain_of
from rag.conversation.export import markdown
from rag.errors import ConversationMissing, RagError
from rag.files import safe_name
from rag.types import Answer, Citation, Document, Span

if TYPE_CHECKING:
    from rag.assistant import Assistant
    from rag.index import SourceRow


def add_routes(app: FastAPI, assistant: Assistant, *, alone: bool, speak: Callable[[], None]) -> None:
    """Put all of them on `app`. `alone`: only this computer can reach it, so that its folders may be named and its
    language chosen for all; `speak`: writes the page anew in the language that is set."""
    app.exception_handler(RagError)(_told)
    _sources(app, assistant)
    _conversations(app, assistant)
    _turns(app, assistant)
    shelving.add_routes(app, assistant)
    ideas = library.Ideas(assistant)
    watching = Watching(assistant) if alone else None
    if watching is not None:
        _watching(app, watching)
        watching.resume()
        _language(app, speak)

    @app.get("/page/start")
    def start(talk: str = "") -> JSONResponse:
        """All that a page begins with, in one reply."""
        writers = assistant.writers()
        parts: dict[str, Any] = {"history": _listing(assistant), "writers": writers}
        parts["settings"] = settings.panel(assistant.config, writers, alone)
        try:
            rows = assistant.sources()
            parts |= _shelf(rows)
            parts["watching"] = watching.html() if watching is not None else ""
        except RagError as error:
            parts |= {"empty": library.trouble(error), "shelf": ""}
        if talk:
            try:
                parts["talk"] = _opened(assistant, talk)
            except RagError as error:
                parts["lost"] = show.trouble(error)
        return JSONResponse(parts, headers={"cache-control": "no-store"})

    @app.get("/page/ideas")
    def suggested() -> JSONResponse:
        """Questions that these documents answer, as far as they are known by now."""
        html, done = ideas.html()
        return JSONResponse({"html": html, "done": done}, headers={"cache-control": "no-store"})


def _language(app: FastAPI, speak: Callable[[], None]) -> None:
    @app.put("/page/language")
    def use(language: Annotated[str, Body(embed=True, max_length=20)]) -> JSONResponse:
        texts.use(language)
        speak()
        return JSONResponse({"language": language})


def _sources(app: FastAPI, assistant: Assistant) -> None:
    @app.get("/page/shelf")
    def shelf() -> JSONResponse:
        rows = assistant.sources()
        return JSONResponse(_shelf(rows), headers={"cache-control": "no-store"})

    @app.put("/page/collection")
    def rename(
        old: Annotated[str, Body(max_length=1000)], new: Annotated[str, Body(min_length=1, max_length=100)]
    ) -> JSONResponse:
        return JSONResponse({"moved": assistant.rename_collection(old, new.strip() or old)})

    @app.delete("/page/collection")
    def remove_all(name: str) -> JSONResponse:
        return JSONResponse({"removed": assistant.remove_collection(name)})

    @app.delete("/page/source/{source_id}")
    def remove(source_id: str) -> JSONResponse:
        return JSONResponse({"removed": assistant.remove(source_id)})

    @app.get("/page/source/{source_id}")
    def source(
        source_id: str, quote: str, answer: str = "", said: Annotated[str, Query(alias="sum")] = ""
    ) -> HTMLResponse:
        try:
            document, span = assistant.document(source_id), _span(quote)
            if said and show.sum_of(span.of(document.text)) != said:
                return _html(_changed(document), 404)
            return _html(panel(document, span, _span(answer) if answer else None))
        except (RagError, ValueError, LookupError):
            return _html(_gone(), 404)

    @app.get("/page/leaf/{source_id}")
    def leaf(source_id: str, quote: str, page: int | None = None) -> HTMLResponse:
        """The pages of the original file on which the quote stands, or another one of its pages."""
        try:
            return _html(original.leaves(assistant, source_id, _span(quote), page))
        except (RagError, ValueError, LookupError) as error:
            known = error if isinstance(error, RagError) else RagError(say("source.not_shown"))
            return _html(show.trouble(known), 404)

    @app.get("/page/leaf/{source_id}/{quote}.png")
    def picture(source_id: str, quote: str, page: int) -> Response:
        try:
            png = original.picture(assistant, source_id, _span(quote), page)
        except (RagError, ValueError, LookupError):
            return Response(status_code=404)
        return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=600"})

    @app.get("/page/original/{source_id}")
    def whole(source_id: str) -> Response:
        """The file itself, to be saved: never shown as a page of ours, whatever it holds."""
        try:
            path = original.file_of(assistant, source_id)
            return _download(path.read_bytes(), path.name, "application/octet-stream")
        except (LookupError, OSError):
            return Response(_gone(), 404, media_type="text/html")


def _shelf(rows: Sequence[SourceRow]) -> dict[str, Any]:
    """What the page shows of the library."""
    return {
        "empty": library.empty(rows),
        "shelf": library.shelf(rows),
        "types": library.filters(rows),
        "collections": sorted({show.sendable(row.collection) for row in rows}),
        "limits": shelving.LIMITS,
    }


def _watching(app: FastAPI, watching: Watching) -> None:
    @app.get("/page/watching")
    def watched() -> HTMLResponse:
        return _html(watching.html())

    @app.put("/page/watching")
    def watch(folder: Annotated[str, Body(max_length=4096)], on: Annotated[bool, Body()]) -> HTMLResponse:
        (watching.on if on else watching.off)(folder)
        return _html(watching.html())


def _conversations(app: FastAPI, assistant: Assistant) -> None:
    kept = assistant.conversations

    @app.get("/page/talks")
    def listed(words: str = "") -> HTMLResponse:
        return _html(_listing(assistant, words))

    @app.get("/page/talk/{id_}")
    def opened(id_: str) -> JSONResponse:
        return JSONResponse(_opened(assistant, id_), headers={"cache-control": "no-store"})

    @app.put("/page/talk/{id_}")
    def rename(id_: str, title: Annotated[str, Body(embed=True, max_length=2000)]) -> JSONResponse:
        return JSONResponse({"title": show.sendable(kept.rename(id_, title).title)})

    @app.delete("/page/talk/{id_}")
    def delete(id_: str) -> JSONResponse:
        return JSONResponse({"deleted": kept.delete(id_)})

    @app.get("/page/talk/{id_}/export.{kind}")
    def export(id_: str, kind: str) -> Response:
        talk = kept.load(id_)
        name = safe_name(f"{talk.title}.{'json' if kind == 'json' else 'md'}")
        if kind == "json":
            return _download(json.dumps(plain_of(talk), indent=1).encode(), name, "application/json")
        return _download(markdown(talk).encode("utf-8", "replace"), name, "text/markdown; charset=utf-8")


def _turns(app: FastAPI, assistant: Assistant) -> None:
    kept = assistant.conversations

    @app.get("/page/turn/{id_}/{n}/how")
    def how(id_: str, n: int) -> HTMLResponse:
        turns = kept.load(id_).turns
        if not 0 <= n < len(turns):
            raise ConversationMissing(say("history.not_kept"))
        return _html(inside(turns[n].answer))

    @app.put("/page/turn/{id_}/{n}/rating")
    def rate(
        id_: str,
        n: int,
        good: Annotated[bool | None, Body()] = None,
        note: Annotated[str, Body(max_length=20_000)] = "",
    ) -> JSONResponse:
        kept.rate(id_, n, good, note)
        return JSONResponse({"kept": True})


def _listing(assistant: Assistant, words: str = "") -> str:
    kept = assistant.conversations
    rows = kept.rows(words)  # first: this is what sets damaged files aside
    return history.listing(rows, words, [str(path) for path in kept.damaged()])


def _opened(assistant: Assistant, id_: str) -> dict[str, Any]:
    talk = assistant.conversations.load(id_)

    def now(citation: Citation) -> Citation | None:
        try:
            return assistant.standing(citation).citation
        except RagError:
            return None

    def near(answer: Answer) -> tuple[Citation, ...]:
        return nearest(assistant, answer)

    return {"id": talk.id, "title": show.sendable(talk.title), "html": history.turns(talk, now, near)}


def _gone() -> str:
    return f'<p class="error" role="alert">{say("source.gone")}</p>'


def _changed(document: Document) -> str:
    name = f"<bdi>{show.esc(names.shown(document.source))}</bdi>"
    stood = say("source.stood", name=name)
    return f'<p class="error" role="alert">{say("source.lost")}. <span class="hint">{stood}</span></p>'


def _span(text: str) -> Span:
    start, _, end = text.partition("-")
    return Span(int(start), int(end))


def _html(html: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})


def _download(data: bytes, name: str, media_type: str) -> Response:
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "", name) or "file"
    said = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{percent(name, safe='')}"
    headers = {"content-disposition": said, "cache-control": "no-store"}
    return Response(data, media_type=media_type, headers=headers)


async def _told(_: Any, error: Exception) -> Response:
    """An error of ours, as the page shows it."""
    return HTMLResponse(show.trouble(error), 404 if isinstance(error, ConversationMissing) else 409)
