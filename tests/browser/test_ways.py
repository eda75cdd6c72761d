"""Ways that a person goes which need more than one room: behind a password, beside a working library, from quote to
quote through a PDF; and that the three outcomes are told apart before a word is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import rag
from rag.load import load
from rag.types import Answer, Claim, Document, Event, Outcome, Span, Verdict
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant
from tests.browser.outside import Browser
from tests.load.make import pdf

pytestmark = pytest.mark.browser
SEEDS = Path(__file__).parents[2] / "seeds"
WIDE = {"width": 1280, "height": 820}


def test_behind_a_password_the_page_streams_keeps_and_opens_as_it_does_without(
    chromium: Browser, tmp_path: Path
) -> None:
    fake = FakeAssistant()
    with served(fake, "0.0.0.0", "tea & <cake>") as address:
        for auth in (None, ("me", "tea")):
            for path in ("/", "/page/start", "/gradio_api/info"):
                assert httpx.get(address + path, auth=auth, trust_env=False).status_code == 401
        page = chromium.new_page(viewport=WIDE, http_credentials={"username": "me", "password": "tea & <cake>"})
        desk = Desk(page, address)
        desk.ask("trees, slowly?", until="#live .turn.running .card")  # the stream is heard while it runs
        page.wait_for_selector("#live .turn.done")
        page.click("#live .cite >> nth=0")
        assert desk.marked() == "Japan will donate 250 cherry blossom trees to the United States."
        (tmp_path / "kettle.txt").write_text("The kettle holds nine litres.", "utf-8")
        desk.shelf("library")
        page.set_input_files("#choose input[type=file] >> nth=0", [tmp_path / "kettle.txt"])
        page.wait_for_selector("#shelf li:has-text('Kettle')")
        assert page.locator("#watch-path").count() == 0  # folders of this computer are not offered to others
        page.reload()
        page.wait_for_selector("#turns .turn.answered")
        assert desk.faults == [] and desk.strays == []


@pytest.mark.slow
def test_a_real_folder_is_indexed_while_the_chat_answers(chromium: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    for n in range(80):
        lines = (f"Report {n}, line {m}: the pump of hall {n * m % 97} was looked at and found dry." for m in range(60))
        (folder / f"report_{n}.txt").write_text("\n".join(lines), "utf-8")
    with rag.open(documents=SEEDS, llm_model="none") as assistant, served(assistant) as address:
        desk = Desk(chromium.new_page(viewport=WIDE), address)
        desk.page.set_default_timeout(120_000)
        desk.shelf("library")
        desk.page.set_input_files("#choose input[type=file] >> nth=1", folder)
        desk.page.wait_for_selector("#report progress")
        meanwhile = 0
        while not desk.page.locator("#report [data-done]").count():
            desk.ask("How many cherry trees will Japan give?")
            desk.page.wait_for_selector("#live .turn:not([hidden]):not(.running):has-text('250')")
            meanwhile += 1
            if desk.page.locator("#report [data-done]").count():
                meanwhile -= 1  # this one may have had the machine for itself
        assert meanwhile >= 1
        assert desk.page.inner_text("#report").startswith("80 added")
        desk.page.wait_for_selector("#shelf li:has-text('Report 79')")
        desk.shot("indexed-meanwhile")


LOOKS = """() => {
  const style = (query, of, pseudo) => {
    const e = document.querySelector("#live .turn:not([hidden]) " + query);
    return e ? getComputedStyle(e, pseudo)[of] : "";
  };
  return {
    dot: style(".dot", "backgroundColor") + style(".dot", "backgroundImage"),
    frame: style(".outcome", "borderTopWidth") === "0px" ? "none"
      : style(".outcome", "borderTopStyle") + style(".outcome", "borderTopColor"),
    quote: style("blockquote", "borderInlineStartStyle"),
  };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_three_outcomes_look_different_before_a_word_is_read(desk: Desk, scheme: str) -> None:
    desk.page.emulate_media(color_scheme=scheme)
    looks: dict[str, dict[str, str]] = {}
    for question, outcome in (("trees?", "answered"), ("closest passages?", "closest"), ("nothing of it?", "nothing")):
        desk.ask(question, until=f"#live .turn.{outcome}")
        looks[outcome] = desk.page.evaluate(LOOKS)
    assert len({look["dot"] for look in looks.values()}) == 3
    assert len({look["frame"] for look in looks.values()}) == 3
    assert looks["answered"]["frame"] == "none" and looks["closest"]["frame"].startswith("dashed")
    assert looks["closest"]["quote"] == "dashed"  # and so told apart without colours, too


def _rules(file: Path) -> tuple[FakeAssistant, list[str]]:
    """A library with a PDF that has pages and headings, and an answer with three quotes of it."""
    pages = ("An old house\nstands by the river.", "Refunds\nare paid within ten days.", "Returns\nare never taken.")
    file.write_bytes(pdf(*pages, bookmarks=(("House", 0, 0), ("Refunds", 1, 0), ("Returns", 2, 0))))
    fake = FakeAssistant()
    document: Document = load(file)
    fake.documents[document.source.id] = document
    quotes = ["stands by the river.", "are paid within ten days.", "are never taken."]

    def answer(question: str) -> Iterator[Event]:
        text, claims = "", []
        for quote in quotes:
            claims.append(Claim(Span(len(text), len(text) + 4), (fake._cite(document, quote),), Verdict.SUPPORTED))
            text += "Yes. "
        yield Answer(question, text.strip(), tuple(claims), (), Outcome.ANSWERED)

    fake._rules = answer  # type: ignore[attr-defined]
    return fake, quotes


def test_previous_and_next_lead_through_the_quotes_with_page_and_heading(chromium: Browser, tmp_path: Path) -> None:
    fake, quotes = _rules(tmp_path / "rules.pdf")
    wheres = ["p. 1 - House", "p. 2 - Refunds", "p. 3 - Returns"]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport=WIDE), address)
        desk.ask("rules?")
        desk.page.click("#live .cite >> nth=0")

        def stands_at(n: int) -> None:
            desk.page.wait_for_function(
                "t => document.querySelector('#panel .count').textContent === t", arg=f"Source {n + 1} of 3"
            )
            assert (desk.marked(), desk.page.inner_text("#panel .where >> nth=0")) == (quotes[n], wheres[n])
            here: Any = desk.page.eval_on_selector_all("#live .cite.here", "all => all.map(e => e.textContent)")
            assert here == [str(n + 1)]

        stands_at(0)
        for name, n in (("Next", 1), ("Next", 2), ("Next", 0), ("Previous", 2), ("Previous", 1)):
            desk.page.click(f"#panel button:has-text('{name}')")
            stands_at(n)
        desk.shot("page-and-heading")
