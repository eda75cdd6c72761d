"""The page itself: Gradio's parts, where they stand, and what each of them sets off.

Gradio carries questions, uploads and sessions; what is shown is HTML of our own (`show`, `live`, `library`, `history`),
so that no Markdown, no sanitiser and no remote font has a say in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from rag.chat import library, preload
from rag.chat.asking import asking
from rag.chat.talk import Talk
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.add import Progress, Report
    from rag.assistant import Assistant

_HERE = Path(__file__).parent
_LOG = logging.getLogger("rag.chat")
_SCRIPTS = ("page.js", "source.js", "shelves.js", "turns.js")

HEAD = """
<header><span class="name"><span>Ask </span><mark>your documents</mark></span>
<span class="note">Everything stays on this computer</span>
<button type="button" class="plain" data-shelf="talks" aria-expanded="false">History</button>
<button type="button" class="plain" data-shelf="library" aria-expanded="false">Library</button>
<button type="button" class="plain" data-shelf="settings" aria-expanded="false">Settings</button>
<button type="button" class="plain" data-do="new">New</button></header>
"""
TALKS = """
<h2>History</h2>
<input type="search" id="find-talk" placeholder="Search conversations" aria-label="Search conversations">
<div id="talk-list" aria-live="polite"></div>
"""
SHELF = """
<div id="watching"></div><p id="gone-book" class="report" role="status"></p><div id="shelf"></div>
"""
TURNS = """
<div id="empty"></div><div id="turns" role="log" aria-label="Conversation"></div>
"""
EDITING = """
<div id="editing" role="status" hidden><span>Asking an earlier question anew</span>
<button type="button" class="plain" data-do="cancel-edit">Cancel</button></div>
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
            uploads, report = _shelves()
            with gr.Column(elem_id="talk"):
                with gr.Column(elem_id="scroll"):
                    _html(TURNS, "past")
                    live = _html("", "live")
                _html(EDITING, "edit")
                with gr.Row(elem_id="composer"):
                    box = gr.Textbox(
                        elem_id="box", show_label=False, container=False, lines=1, max_lines=8, max_length=20_000,
                        placeholder="Ask your documents", autofocus=False,
                    )  # fmt: skip
                    send = gr.Button("Ask", elem_id="send")
                    stop = gr.Button("Stop", elem_id="stop")
                    wished = gr.Textbox(elem_id="wished", elem_classes="offstage", show_label=False)
            _html(PANEL, "source")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        gr.on(
            [send.click, box.submit], asking(assistant, gr.skip()), [box, talk, wished], [box, live],
            js="(box, talk) => [box, talk, rag.asking()]",
            concurrency_limit=None, concurrency_id="ask", trigger_mode="multiple", **quiet,
        )  # fmt: skip
        stop.click(Talk.stop, [talk], None, queue=False, **quiet)
        for upload in uploads:
            upload.upload(adding(assistant), [upload], [report], concurrency_id="add", **quiet)
    page.queue(max_size=64)
    return page


def _html(value: str, name: str) -> Any:
    """HTML of our own, without Gradio's styles; `name` is its id on the page."""
    import gradio as gr

    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)


def _shelves() -> tuple[tuple[Any, ...], Any]:
    """The three shelves at the side, of which one is open: history, library, settings."""
    import gradio as gr

    with gr.Column(elem_id="shelves"):
        _html(TALKS, "talks")
        with gr.Column(elem_id="library"):
            _html('<h2>Library</h2><div id="drop">Drop documents here, or</div>', "library-head")
            with gr.Row(elem_id="choose"):
                files = gr.UploadButton("Choose files", file_count="multiple", type="filepath", elem_id="files")
                folder = gr.UploadButton("Choose a folder", file_count="directory", type="filepath", elem_id="folder")
            report = _html("", "report")
            _html(SHELF, "shelf-frame")
        _html('<div id="settings-panel"></div>', "settings")
    return (files, folder), report


def adding(assistant: Assistant) -> Any:
    """The handler of files: keeps them beside the index, adds them in a thread, shows how far it is."""

    async def add(uploads: list[str] | str | None) -> AsyncIterator[Any]:
        told: SimpleQueue[Progress] = SimpleQueue()
        files = [uploads] if isinstance(uploads, str) else list(uploads or ())
        try:
            if len(files) > library.MAX_FILES:
                raise RagError(f"{len(files)} files at once are too many", hint=f"at most {library.MAX_FILES}")
            paths = await asyncio.to_thread(library.keep, files, assistant.folder / "originals")
            work = asyncio.create_task(asyncio.to_thread(assistant.add, paths, progress=told.put))
            while not work.done():
                await asyncio.wait({work}, timeout=0.2)
                for now in _last(told):
                    yield library.progress(now)
            result: Report = await work
            shown = library.report(result)
        except Exception as error:
            if not isinstance(error, RagError):
                _LOG.exception("adding files failed")
            shown = library.trouble(error)
        yield shown

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


def theme() -> Any:
    """Gradio's plain theme with fonts that every system has: its default names remote ones."""
    import gradio as gr

    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def head(files: Iterable[str]) -> str:
    """What the page's head begins with: the names of the files that Gradio will ask for, and our scripts, inline."""
    scripts = "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)
    return f'{preload.links(files)}<script>(() => {{\n"use strict";\n{scripts}\n}})();</script>'


def css() -> str:
    """The page's style sheet."""
    return (_HERE / "page.css").read_text("utf-8")
