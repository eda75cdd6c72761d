"""The page itself: Gradio's parts, where they stand, and what each of them sets off.

Gradio carries questions and sessions; what is shown is HTML of our own (`show`, `live`, `library`, `history`),
so that no Markdown, no sanitiser and no remote font has a say in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.chat import parts, preload
from rag.chat.asking import asking
from rag.chat.show import esc
from rag.chat.talk import Talk
from rag.chat.texts import of_scripts, say
from rag.web import host_of, is_loopback

if TYPE_CHECKING:
    from rag.assistant import Assistant

_HERE = Path(__file__).parent
_SCRIPTS = ("page.js", "cards.js", "source.js", "shelves.js", "files.js", "turns.js")


def blocks(assistant: Assistant) -> Any:
    """The Gradio Blocks over `assistant`."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        talk = gr.State(Talk(), time_to_live=24 * 3600, delete_callback=Talk.leave)
        with gr.Column(elem_id="frame", elem_classes="app"):
            _html("head")
            _shelves()
            with gr.Column(elem_id="talk"):
                with gr.Column(elem_id="scroll"):
                    _html("past")
                    live = _html("live")
                _html("edit")
                with gr.Row(elem_id="composer"):
                    box = gr.Textbox(
                        elem_id="box", show_label=False, container=False, lines=1, max_lines=8, max_length=20_000,
                        autofocus=False,
                    )  # fmt: skip
                    send, stop = gr.Button(elem_id="send"), gr.Button(elem_id="stop")
                    wished = gr.Textbox(elem_id="wished", elem_classes="offstage", show_label=False)
            _html("source")
            _html("over")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        gr.on(
            [send.click, box.submit], asking(assistant, gr.skip()), [box, talk, wished], [box, live],
            js="(box, talk) => [box, talk, rag.asking()]",
            concurrency_limit=None, concurrency_id="ask", trigger_mode="multiple", **quiet,
        )  # fmt: skip
        stop.click(Talk.stop, [talk], None, queue=False, **quiet)
    page.queue(max_size=64)
    speak(page, assistant)
    return page


def speak(page: Any, assistant: Assistant) -> None:
    """Write into the parts of the page that stand still what they say, in the language that is set now."""
    said = {
        "head": parts.head(note(assistant.config.llm.base_url)), "talks": parts.talks(), "library": parts.shelf(),
        "settings": '<div id="settings-panel"></div>', "past": parts.turns(), "edit": parts.editing(),
        "source": parts.panel(), "over": parts.over(), "send": say("talk.send"), "stop": say("talk.stop"),
    }  # fmt: skip
    for block in page.blocks.values():
        if block.elem_id in said:
            block.value = said[block.elem_id]
        elif block.elem_id == "box":
            block.placeholder = say("talk.placeholder")
    page.title = say("head.title")
    page.config = page.get_config_file()


def note(base_url: str) -> str:
    """Where the words go: nowhere, but for a model on a server of somebody else's (an address is `base_url`)."""
    host = host_of(base_url)
    if not base_url or is_loopback(host):
        return f'<span class="note">{say("head.local")}</span>'
    told = say("head.leaves", host=f"<bdi>{esc(host or base_url)}</bdi>")
    return f'<span class="note leaves">{told}</span>'


def _html(name: str) -> Any:
    """A place for HTML of our own, without Gradio's styles; `name` is its id on the page."""
    import gradio as gr

    return gr.HTML("", elem_id=name, apply_default_css=False, js_on_load=None)


def _shelves() -> None:
    """The three shelves at the side, of which one is open: history, library, settings."""
    import gradio as gr

    with gr.Column(elem_id="shelves"):
        for name in ("talks", "library", "settings"):
            _html(name)


def theme() -> Any:
    """Gradio's plain theme with fonts that every system has: its default names remote ones."""
    import gradio as gr

    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def head(files: Iterable[str]) -> str:
    """What the page's head begins with: the names of the files that Gradio will ask for, and our scripts, inline."""
    scripts = "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)
    words = json.dumps(of_scripts()).replace("<", "\\u003c")
    return f'{preload.links(files)}<script>(() => {{\n"use strict";\nconst T = {words};\n{scripts}\n}})();</script>'


def css() -> str:
    """The page's style sheet."""
    return (_HERE / "page.css").read_text("utf-8")
