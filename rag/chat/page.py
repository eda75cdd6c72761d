"""The page itself: Gradio's parts, where they stand, and what each of them sets off.

Gradio carries questions and sessions; what is shown is HTML of our own (`show`, `live`, `library`, `history`),
so that no Markdown, no sanitiser and no remote font has a say in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.chat import preload, settings
from rag.chat.asking import asking
from rag.chat.show import esc
from rag.chat.talk import Talk
from rag.web import host_of, is_loopback

if TYPE_CHECKING:
    from rag.assistant import Assistant

_HERE = Path(__file__).parent
_SCRIPTS = ("page.js", "cards.js", "source.js", "shelves.js", "files.js", "turns.js")

HEAD = """
<header><span class="name"><span>Ask </span><mark>your documents</mark></span>
{note}
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
<h2>Library</h2>
<div id="drop"><span>Drop documents or folders here, or</span><div id="choose">
<label class="pick">Choose files<input type="file" multiple class="unseen"></label>
<label class="pick">Choose a folder<input type="file" webkitdirectory multiple class="unseen"></label></div>
<label class="into">into <select id="into"><option value="">where it belongs</option></select></label>
<input type="text" id="into-new" maxlength="100" dir="auto" placeholder="Name of the new collection"
 aria-label="Name of the new collection" hidden></div>
<div id="report" class="report"></div>
<div id="watching"></div><p id="gone-book" class="report" role="status"></p>
<div id="filters"></div><div id="shelf"></div>
"""
TURNS = """
<div id="empty"></div><div id="turns" role="region" aria-label="Conversation"></div>
<div id="told" class="unseen" role="status"></div>
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
<div class="body" tabindex="0" role="region" aria-label="Text of the source"></div></aside>
"""
OVER = """
<div id="tip" role="tooltip" hidden><div class="inner"></div><span class="open">Open it in the document</span></div>
<dialog id="keys" aria-labelledby="keys-name"><h2 id="keys-name">Keys</h2>{keys}
<button type="button" class="plain" data-do="close-keys">Close</button></dialog>
"""


def blocks(assistant: Assistant) -> Any:
    """The Gradio Blocks over `assistant`."""
    import gradio as gr

    with gr.Blocks(title="Ask your documents", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        talk = gr.State(Talk(), time_to_live=24 * 3600, delete_callback=Talk.leave)
        with gr.Column(elem_id="frame", elem_classes="app"):
            _html(HEAD.format(note=note(assistant.config.llm.base_url)), "head")
            _shelves()
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
            _html(OVER.format(keys=settings.keys()), "over")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        gr.on(
            [send.click, box.submit], asking(assistant, gr.skip()), [box, talk, wished], [box, live],
            js="(box, talk) => [box, talk, rag.asking()]",
            concurrency_limit=None, concurrency_id="ask", trigger_mode="multiple", **quiet,
        )  # fmt: skip
        stop.click(Talk.stop, [talk], None, queue=False, **quiet)
    page.queue(max_size=64)
    return page


def note(base_url: str) -> str:
    """Where the words go: nowhere, but for a model on a server of somebody else's (an address is `base_url`)."""
    host = host_of(base_url)
    if not base_url or is_loopback(host):
        return '<span class="note">Everything stays on this computer</span>'
    return f'<span class="note leaves">Questions and quotes are sent to <bdi>{esc(host or base_url)}</bdi></span>'


def _html(value: str, name: str) -> Any:
    """HTML of our own, without Gradio's styles; `name` is its id on the page."""
    import gradio as gr

    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)


def _shelves() -> None:
    """The three shelves at the side, of which one is open: history, library, settings."""
    import gradio as gr

    with gr.Column(elem_id="shelves"):
        _html(TALKS, "talks")
        _html(SHELF, "library")
        _html('<div id="settings-panel"></div>', "settings")


def theme() -> Any:
    """Gradio's plain theme with fonts that every system has: its default names remote ones."""
    import gradio as gr

    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def head() -> str:
    """What the page's head begins with: the names of the files that Gradio will ask for, and our scripts, inline."""
    scripts = "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)
    return f'{preload.links()}<script>(() => {{\n"use strict";\n{scripts}\n}})();</script>'


def css() -> str:
    """The page's style sheet."""
    return (_HERE / "page.css").read_text("utf-8")
