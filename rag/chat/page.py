"""The page itself: Gradio's parts, where they stand, and what each of them sets off.

Gradio carries the events and the sessions; what is shown is HTML of our own (`show`, `live`, `library`), so that no
Markdown, no sanitiser and no remote font has a say in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from rag.chat import library
from rag.chat.live import Live
from rag.chat.talk import Running, Talk
from rag.errors import RagError
from rag.types import Event

if TYPE_CHECKING:
    from rag.add import Progress, Report
    from rag.assistant import Assistant

_HERE = Path(__file__).parent
_LOG = logging.getLogger("rag.chat")
WAITING = 8  # questions that may wait; one more is refused, never left hanging

HEAD = """
<header><span class="name"><span>Ask </span><mark>your documents</mark></span>
<span class="note">Everything stays on this computer</span>
<button type="button" class="plain" data-do="shelf" aria-expanded="false" aria-controls="library">Library</button>
<button type="button" class="plain" data-do="save">Save</button>
<button type="button" class="plain" data-do="new">New</button>
<button type="button" class="plain" data-do="theme" aria-label="Switch between light and dark">Theme</button></header>
"""
PANEL = """
<aside id="panel" inert aria-label="Source"><nav><span class="count" role="status"></span>
<button type="button" class="plain" data-step="-1" aria-label="Previous source">&larr; Previous</button>
<button type="button" class="plain" data-step="1" aria-label="Next source">Next &rarr;</button>
<button type="button" class="plain" data-do="close" aria-label="Close the source">Close</button></nav>
<div class="body" tabindex="0" aria-label="Text of the source"></div></aside>
"""


def blocks(assistant: Assistant) -> Any:
    """The Gradio Blocks over `assistant`."""
    import gradio as gr

    with gr.Blocks(title="Ask your documents", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        talk = gr.State(Talk(), time_to_live=24 * 3600, delete_callback=Talk.leave)
        with gr.Column(elem_id="frame", elem_classes="app"):
            _html(HEAD, "head")
            shelf, drop, report, removing, remove, passed_over = _library()
            with gr.Column(elem_id="talk"):
                with gr.Column(elem_id="scroll"):
                    _html('<div id="turns" role="log" aria-label="Conversation"></div>', "past")
                    live = _html("", "live")
                with gr.Row(elem_id="composer"):
                    box = gr.Textbox(
                        elem_id="box", show_label=False, container=False, lines=1, max_lines=8, max_length=20_000,
                        placeholder="Ask your documents", autofocus=False,
                    )  # fmt: skip
                    send = gr.Button("Ask", elem_id="send")
                    stop = gr.Button("Stop", elem_id="stop")
            _html(PANEL, "source")
            new = gr.Button("New conversation", elem_id="new", elem_classes="offstage")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        gr.on(
            [send.click, box.submit], asking(assistant, gr.skip()), [box, talk, passed_over], [box, live],
            js="(box, talk) => { rag.settle(); return [box, talk, rag.passedOver()]; }",
            concurrency_limit=None, concurrency_id="ask", trigger_mode="once", **quiet,
        )  # fmt: skip
        stop.click(Talk.stop, [talk], None, queue=False, **quiet)

        page.load(opening(assistant), [talk], [talk, live, shelf], queue=False, **quiet)
        new.click(
            opening(assistant), [talk], [talk, live, shelf], js="(talk) => { rag.forget(); return [talk]; }",
            queue=False, **quiet,
        )  # fmt: skip
        drop.upload(adding(assistant), [drop], [report, shelf, drop], concurrency_id="add", **quiet)
        remove.click(removing_with(assistant), [removing], [report, shelf], concurrency_id="add", **quiet)
    page.queue(max_size=64)
    return page


def _html(value: str, name: str) -> Any:
    """HTML of our own, without Gradio's styles; `name` is its id on the page."""
    import gradio as gr

    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)


def _library() -> tuple[Any, ...]:
    import gradio as gr

    with gr.Column(elem_id="library"):
        shelf = _html("", "shelf")
        drop = gr.File(label="Drop documents here", file_count="multiple", type="filepath", height=110, elem_id="drop")
        report = _html("", "report")
        removing = gr.Textbox(elem_id="removing", elem_classes="offstage", show_label=False)
        remove = gr.Button("Remove", elem_id="remove", elem_classes="offstage")
        passed_over = gr.Textbox(elem_id="passed-over", elem_classes="offstage", show_label=False)
    return shelf, drop, report, removing, remove, passed_over


def opening(assistant: Assistant) -> Any:
    """The handler of a page that begins: an empty conversation in place of the old one, the library as it is."""

    def open_page(old: Talk) -> tuple[Talk, str, str]:
        old.leave()
        try:
            rows = assistant.sources()
        except RagError as error:
            return Talk(), library.trouble(error), ""
        return Talk(), library.empty(rows), library.shelf(rows)

    return open_page


def asking(assistant: Assistant, same: Any) -> Any:
    """The handler of a question: empties the box, then draws the turn again after each event. `same` leaves a part as
    it is. The assistant words one answer at a time; here is counted how many wait for it. `passed_over`: ids of the
    sources that the user unticked, so that a document added later is looked into."""
    on_the_way: set[Running] = set()

    async def ask(question: str, talk: Talk, passed_over: str = "") -> AsyncIterator[tuple[Any, Any]]:
        if not question.strip():
            return

        def start() -> Iterator[Event]:
            without = frozenset(passed_over.split())
            sources = [s for row in assistant.sources() if (s := row.source.id) not in without] if without else None
            return assistant.stream(question, history=tuple(talk.turns), sources=sources)

        talk.stop()  # a second question takes the place of the first
        live = Live(question)
        yield "", live.html
        running = talk.running = Running(start)
        shown = ""
        try:
            if len(on_the_way) > WAITING:
                raise RagError(f"{len(on_the_way)} questions are on their way already", "ask again in a moment")
            on_the_way.add(running)
            async for events in running.batches():
                live.take(events)
                before, shown = shown, live.html
                yield same, same if shown == before else shown
            if running.stopped:
                live.stop()
        except Exception as error:
            if not isinstance(error, RagError):
                _LOG.exception("a question failed")
            live.fail(error)
        finally:
            on_the_way.discard(running)
            running.stop()
        if live.answer is not None:
            talk.turns.append((question, live.answer.text))
        if not talk.over:
            yield same, live.html

    return ask


def adding(assistant: Assistant) -> Any:
    """The handler of dropped files: keeps them beside the index, adds them in a thread, shows how far it is."""

    async def add(uploads: list[str] | None) -> AsyncIterator[tuple[Any, Any, Any]]:
        import gradio as gr

        told: SimpleQueue[Progress] = SimpleQueue()
        try:
            if len(uploads or ()) > library.MAX_FILES:
                raise RagError(f"{len(uploads or ())} files at once are too many", hint=f"at most {library.MAX_FILES}")
            paths = await asyncio.to_thread(library.keep, uploads or (), assistant.folder / "originals")
            work = asyncio.create_task(asyncio.to_thread(assistant.add, paths, progress=told.put))
            while not work.done():
                await asyncio.wait({work}, timeout=0.2)
                for now in _last(told):
                    yield library.progress(now), gr.skip(), gr.skip()
            result: Report = await work
            shown = library.report(result)
        except Exception as error:
            if not isinstance(error, RagError):
                _LOG.exception("adding files failed")
            shown = library.trouble(error)
        yield shown, library.shelf(assistant.sources()), None

    return add


def _last(told: SimpleQueue[Progress]) -> Iterator[Progress]:
    """The newest of what was told since the last look, if anything."""
    newest: Progress | None = None
    try:
        while True:
            newest = told.get_nowait()
    except Empty:
        if newest is not None:
            yield newest


def removing_with(assistant: Assistant) -> Any:
    """The handler of a remove button."""

    def remove(source_id: str) -> tuple[str, str]:
        try:
            gone = assistant.remove(source_id)
            said = '<div class="report" role="status">Removed.</div>' if gone else ""
        except RagError as error:
            said = library.trouble(error)
        return said, library.shelf(assistant.sources())

    return remove


def theme() -> Any:
    """Gradio's plain theme with fonts that every system has: its default names remote ones."""
    import gradio as gr

    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def head() -> str:
    """What goes into the page's head: our script, inline, so that it is there before Gradio starts."""
    return f"<script>{(_HERE / 'page.js').read_text('utf-8')}</script>"


def css() -> str:
    """The page's style sheet."""
    return (_HERE / "page.css").read_text("utf-8")
