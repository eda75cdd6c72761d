"""Eighteen payloads on every surface of the page, in a real browser: none runs, none becomes an element, none fetches.

For each surface the page is brought to show all of them; they must stand there as text, to the letter. Whether one of
them did anything is asked of the browser: a trap on what they set, the elements and attributes of the page, its base
address, and (as for every test here) the gate to the outside. The control puts each of them into the page unescaped and
sees it caught.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from rag.chat import library
from rag.files import sha256_of
from rag.load import load
from rag.types import Answer, Document, Source
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import PAYLOADS
from tests.browser.hostile import ALL, FOLDERS, HostileAssistant
from tests.browser.outside import Browser
from tests.load.make import pdf

pytestmark = pytest.mark.browser

TRAP = """(() => {
  const title = Object.getOwnPropertyDescriptor(Document.prototype, "title");
  window.ran = [];
  Object.defineProperty(document, "title", {
    get() { return title.get.call(document); },
    set(to) { if (to === "pwned" || to === 1) ran.push(to); else title.set.call(document, to); },
  });
})()"""
FOUND = """() => {
  const all = [...document.querySelectorAll("#frame *")].filter((e) => !e.matches(".leaf > img"));
  const bad = "img script style iframe video link base a h1.out object embed form".split(" ");
  return [
    ...ran.map((what) => `ran: ${what}`),
    ...all.filter((e) => bad.includes(e.localName)).map((e) => `made: ${e.outerHTML.slice(0, 80)}`),
    ...all.filter((e) => e.localName === "h1" && e.textContent === "out").map(() => "made: h1"),
    ...all.flatMap((e) => [...e.attributes].filter((a) => /^on/.test(a.name) || /^\\s*javascript:/i.test(a.value))
      .map((a) => `attribute: ${a.name}`)),
    ...(document.baseURI.startsWith(location.origin) ? [] : ["base"]),
    ...(getComputedStyle(document.body).display === "none" ? ["hidden"] : []),
  ];
}"""
HELD = """(all) => all.map((e) => [e, ...e.querySelectorAll("*")].map((e) =>
  [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join(" ") + " "
  + [...e.attributes].map((a) => a.value).join(" ") + " " + (e.matches("input, textarea") ? e.value : "")).join(" ")
).join(" ")"""


class Stage:
    """The page over the hostile library, and files to drop on it."""

    def __init__(self, desk: Desk, fake: HostileAssistant, folder: Path) -> None:
        self.desk, self.fake, self.page, self.folder = desk, fake, desk.page, folder

    def begin(self) -> None:
        """An empty page, whatever was there."""
        self.fake.told.set()
        self.desk.faults.clear()
        self.page.keyboard.press("Escape")
        self.page.evaluate("localStorage.removeItem('rag-settings')")
        self.page.click("[data-do=new]")
        self.page.wait_for_selector("#empty .empty")
        self.fake.told.clear()

    def drop(self, name: str) -> None:
        """A file of that name, on the library."""
        (self.folder / name).write_text("words", "utf-8")
        self.desk.shelf("library")
        self.page.set_input_files("#choose input[type=file] >> nth=0", [self.folder / name])

    def open_whole(self) -> None:
        """The panel, at a quote that is all of the payloads."""
        self.desk.ask("whole?")
        self.page.click("#live .cite")
        self.page.wait_for_selector("#panel mark")

    def kept(self) -> str:
        """A conversation with one turn; its id."""
        *_, answer = self.fake.stream("whole?")
        assert isinstance(answer, Answer)
        return self.fake.conversations.add(None, answer).id


@pytest.fixture(scope="module")
def stage(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    fake = HostileAssistant()
    (fake.folder / "watched.json").write_text(json.dumps(FOLDERS), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "suggestions", lambda documents, ask, most: iter(PAYLOADS))
        with served(fake) as address:
            page = chromium.new_page(viewport={"width": 1280, "height": 820})
            page.add_init_script(TRAP)
            yield Stage(Desk(page, address), fake, tmp_path_factory.mktemp("dropped"))
            page.context.close()


SURFACES: dict[str, Callable[[Stage], str]] = {}


def surface(show: Callable[[Stage], str]) -> Callable[[Stage], str]:
    """Registers what brings the page to show all payloads on one surface, and returns the part where they stand."""
    SURFACES[show.__name__.strip("_").replace("_", " ")] = show
    return show


@surface
def _answer_while_it_is_written(on: Stage) -> str:
    on.desk.ask("writing?", until="#live .turn.running .writing")
    return "#live .writing"


@surface
def _first_quotes(on: Stage) -> str:
    on.desk.ask("writing?", until="#live .turn.running .card")
    return "#live .card .quote"


@surface
def _answer(on: Stage) -> str:
    on.desk.ask("everything?")
    return "#live .words p"


@surface
def _block_quotes(on: Stage) -> str:
    on.desk.ask("everything?")
    return "#live blockquote p"


@surface
def _titles_and_headings_under_quotes(on: Stage) -> str:
    on.desk.ask("everything?")
    return "#live blockquote footer bdi"


@surface
def _chips(on: Stage) -> str:
    on.desk.ask("everything?")
    on.page.hover("#live .cite >> nth=0")
    return "#live .cite"


@surface
def _card_over_a_citation(on: Stage) -> str:
    on.desk.ask("whole?")
    on.page.hover("#live .cite")
    on.page.wait_for_selector("#tip:not([hidden])")
    return "#tip"


@surface
def _verdicts(on: Stage) -> str:
    on.desk.ask("reason?")
    return "#live .verdicts"


@surface
def _models_to_ask_again_with(on: Stage) -> str:
    on.desk.ask("whole?")
    on.page.click("#live summary:has-text('Ask again')")
    return "#live [data-model]"


@surface
def _what_is_said_to_those_who_listen(on: Stage) -> str:
    on.desk.ask("everything?")
    return "#told"


@surface
def _what_is_copied(on: Stage) -> str:
    on.desk.ask("everything?")
    return "#live .copy"


@surface
def _drawer(on: Stage) -> str:
    on.desk.ask("everything?")
    on.page.click("#live .how > summary")
    on.page.wait_for_selector("#live .how .bar")
    return "#live .how"


@surface
def _panel_text(on: Stage) -> str:
    on.open_whole()
    return "#panel .text"


@surface
def _panel_title(on: Stage) -> str:
    on.open_whole()
    return "#panel h2"


@surface
def _panel_page_and_heading(on: Stage) -> str:
    on.open_whole()
    return "#panel .where"


@surface
def _document_that_has_changed(on: Stage) -> str:
    on.desk.ask("whole?")
    book = on.fake.book
    on.fake.documents[book.source.id] = Document(book.source, "Other words. " * 400)
    on.page.click("#live .cite")
    on.page.wait_for_selector("#panel .error")
    on.fake.documents[book.source.id] = book
    return "#panel .error"


@surface
def _page_as_printed(on: Stage) -> str:
    file = on.folder / "printed.pdf"
    file.write_bytes(pdf("Some words."))
    read = load(file)
    source = Source(read.source.id, read.source.uri, ALL, read.source.media_type)
    printed = Document(source, read.text, read.marks)
    before, on.fake.book = on.fake.book, printed
    on.fake.documents[source.id] = printed
    on.fake.digests[source.id] = sha256_of(file)
    on.open_whole()
    on.page.click("[data-leaf]")
    on.page.wait_for_selector("#panel .leaf img", timeout=120_000)
    on.fake.book = before
    del on.fake.documents[source.id]
    return "#panel .leaf"


@surface
def _original_that_is_gone(on: Stage) -> str:
    on.open_whole()
    on.page.click("[data-original]")
    on.page.wait_for_selector("#panel .error")
    return "#panel"


@surface
def _question(on: Stage) -> str:
    on.desk.ask(f"repeat {ALL}")
    return "#live .mine"


@surface
def _question_taken_up_again(on: Stage) -> str:
    on.desk.ask(f"repeat {ALL}")
    on.page.hover("#live .mine")
    on.page.click("#live .again")
    return "#box"


@surface
def _refusal(on: Stage) -> str:
    on.desk.ask("refusal?", until="#live .turn.nothing")
    return "#live .words"


@surface
def _nearest_passages(on: Stage) -> str:
    on.desk.ask("near?", until="#live .turn.nothing")
    on.page.click("#live .nearest summary")
    return "#live .nearest .card"


@surface
def _conflicts(on: Stage) -> str:
    on.desk.ask("differ?")
    return "#live .conflicts"


@surface
def _error_of_a_question(on: Stage) -> str:
    on.desk.ask("error?", until="#live .error")
    return "#live .error"


@surface
def _chosen_for_a_question(on: Stage) -> str:
    on.page.evaluate("all => localStorage.setItem('rag-settings', JSON.stringify({ 'retrieve.k': all }))", ALL)
    on.desk.ask("repeat that", until="#live .turn.done .chosen")
    return "#live .chosen"


@surface
def _titles_of_conversations(on: Stage) -> str:
    for payload in PAYLOADS:
        on.fake.conversations.rename(on.kept(), payload)
    on.desk.shelf("talks")
    on.page.fill("#find-talk", "whole")
    on.page.wait_for_selector(f"#talk-list li >> nth={len(PAYLOADS) - 1}")
    return "#talk-list .open-talk span"


@surface
def _conversations_set_aside(on: Stage) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on.fake.conversations, "damaged", lambda: PAYLOADS)
        on.desk.shelf("talks")
        on.page.fill("#find-talk", "x")
        on.page.wait_for_selector("#talk-list [role=alert]")
    return "#talk-list"


@surface
def _note_on_an_answer(on: Stage) -> str:
    id_ = on.kept()
    on.fake.conversations.rate(id_, 0, True, ALL)
    on.page.evaluate("id => { location.hash = `talk=${id}`; location.reload(); }", id_)
    on.page.wait_for_selector("#turns .note-text")
    on.page.focus("#turns .note-text")
    return "#turns .note-form"


@surface
def _conversation_that_is_opened_again(on: Stage) -> str:
    *_, answer = on.fake.stream("everything?")
    assert isinstance(answer, Answer)
    id_ = on.fake.conversations.add(None, answer).id
    on.page.evaluate("id => { location.hash = `talk=${id}`; location.reload(); }", id_)
    on.page.wait_for_selector("#turns .turn.done")
    return "#turns .words"


@surface
def _titles_and_file_names_in_the_library(on: Stage) -> str:
    on.desk.shelf("library")
    return "#shelf .shelf-list"


@surface
def _collections(on: Stage) -> str:
    on.desk.shelf("library")
    return "#shelf .set-head"


@surface
def _collection_that_is_renamed(on: Stage) -> str:
    on.desk.shelf("library")
    head = on.page.locator(".set-head").last
    head.locator("summary").click()
    head.locator("[data-set-does=rename]").click()
    return "#shelf .rename"


@surface
def _collections_to_put_files_into(on: Stage) -> str:
    on.desk.shelf("library")
    return "#into"


@surface
def _files_that_are_being_read(on: Stage) -> str:
    on.desk.shelf("library")
    sent = [{"name": payload, "mimeType": "text/plain", "buffer": b"words"} for payload in PAYLOADS]
    on.page.set_input_files("#choose input[type=file] >> nth=0", sent)  # type: ignore[arg-type]
    on.page.wait_for_selector(f"#report li >> nth={len(PAYLOADS) - 1}")
    return "#report"


@surface
def _files_that_were_refused(on: Stage) -> str:
    on.fake.told.set()
    on.drop("plain.txt")
    on.page.wait_for_selector("#report [data-done] li")
    return "#report"


@surface
def _error_of_the_library(on: Stage) -> str:
    on.drop("error.txt")
    on.page.wait_for_selector("#report .error")
    return "#report .error"


@surface
def _watched_folders_in_trouble(on: Stage) -> str:
    on.desk.shelf("library")
    on.page.evaluate("document.querySelector('#watch-path').value = '/another'")
    on.page.evaluate("document.querySelector('[data-do=watch]').click()")
    on.page.wait_for_selector(f"#watching .watched li >> nth={len(FOLDERS)}")
    return "#watching .watched small"


@surface
def _questions_to_begin_with(on: Stage) -> str:
    on.page.wait_for_selector(f"#empty .example >> nth={len(PAYLOADS) - 1}", timeout=60_000)
    return "#empty .example"


@surface
def _settings(on: Stage) -> str:
    on.desk.shelf("settings")
    return "#settings-panel"


@pytest.mark.parametrize("name", SURFACES)
def test_no_payload_does_anything_on_a_surface_that_shows_it(stage: Stage, name: str) -> None:
    stage.begin()
    part = SURFACES[name](stage)
    until = time.monotonic() + 20  # what a shelf shows comes in when the server has answered
    while missing := _missing(stage, part):
        assert time.monotonic() < until, missing
        stage.page.wait_for_timeout(100)
    assert stage.page.evaluate(FOUND) == []
    refused = "Failed to load resource"  # by the server, where the surface is what it says of that
    assert [fault for fault in stage.desk.faults if not fault.startswith(refused)] == []


def _missing(stage: Stage, part: str) -> list[str]:
    """The payloads that do not stand in this part of the page."""
    held = " ".join(stage.page.eval_on_selector_all(part, HELD).split())
    return [payload for payload in PAYLOADS if " ".join(payload.split()) not in held]


def test_names_of_watched_folders_are_text(stage: Stage) -> None:
    stage.begin()
    stage.desk.shelf("library")
    assert set(FOLDERS) <= set(
        stage.page.eval_on_selector_all(".watched label span", "all => all.map(e => e.textContent)")
    )
    assert stage.page.evaluate(FOUND) == []


def _unescaped(payload: str) -> list[str]:
    """A payload as the mistakes would write it that it was made for: as HTML, as the value of an attribute in either
    quotes, in a text area, as Markdown by a renderer that lets every address pass."""
    careless = MarkdownIt("commonmark")
    careless.validateLink = lambda url: True  # type: ignore[method-assign]
    return [
        f"<p>{payload}</p>",
        f'<input value="{payload}">',
        f"<input value='{payload}'>",
        f"<p><textarea>{payload}</textarea></p>",
        careless.render(payload),
    ]


def test_a_payload_that_ran_would_be_seen(stage: Stage, chromium: Browser) -> None:
    page: Any = stage.page
    missed = []
    stage.begin()
    for payload in PAYLOADS:
        for html in _unescaped(payload):
            page.evaluate("html => { document.querySelector('#empty').innerHTML = html; }", html)
            page.wait_for_timeout(20)
            found = page.evaluate(FOUND) + chromium.tried()
            if found:
                break
        else:  # the two that only a template runs
            inner = payload.strip("`").removeprefix("{{").removesuffix("}}")
            page.evaluate(
                "([a, b]) => { for (const s of [a, b]) try { new Function(`return ${s}`)() } catch {} }",
                [f"`{inner}`", inner],
            )
            found = page.evaluate(FOUND)
        quiet = 0
        while quiet < 3:  # what fails to load runs late, and must not be taken for the next one
            page.evaluate("document.querySelector('#empty').replaceChildren(); ran.length = 0")
            page.wait_for_timeout(40)
            quiet = quiet + 1 if page.evaluate(FOUND) == [] else 0
        if not found:
            missed.append(payload)
    assert missed == []
    while chromium.tried():
        page.wait_for_timeout(200)
