"""Large things without lag, measured by the browser's own clock: 500 messages, 200 pages, and the first page."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from rag.chat import preload
from rag.conversation import Turn
from rag.types import Answer, Claim, Document, Mark, Outcome, Source, Span, Verdict
from tests.browser import figures
from tests.browser.assets import asked_for
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant

pytestmark = pytest.mark.browser

MESSAGES = 500
LONG_TASKS = """() => new Promise((told) => {
  let longest = 0;
  const watch = new PerformanceObserver((list) => {
    for (const e of list.getEntries()) longest = Math.max(longest, e.duration);
  });
  watch.observe({ entryTypes: ["longtask"] });
  window.longest = () => longest;
  told();
})"""


@pytest.fixture(scope="module")
def long() -> FakeAssistant:
    """A library with a document of 200 pages and a conversation of 500 messages."""
    fake = FakeAssistant()
    *_, answer = fake.stream("trees?")
    assert isinstance(answer, Answer)
    talk = fake.conversations.add(None, replace(answer, question="question 0"))
    turns = (Turn(replace(answer, question=f"question {n}"), 0.0) for n in range(MESSAGES // 2))
    fake.conversations._keep(replace(talk, turns=tuple(turns)))
    pages = [f"Page {n} begins here.\n" + f"A sentence on page {n} that fills it. " * 80 for n in range(1, 201)]
    text, marks = "", []
    for n, page in enumerate(pages, start=1):
        marks.append(Mark(Span(len(text), len(text) + len(page)), "page", f"p. {n}"))
        text += page + "\n\n"
    document = Document(Source.at("file:///book.pdf", "A long book"), text, tuple(marks))
    fake.documents[document.source.id] = fake.long = document
    return fake


FRAMES = """() => new Promise((told) => {
  const scroll = document.querySelector("#scroll"), began = performance.now();
  let n = 0;
  const step = () => {
    scroll.scrollTop -= 300;   // a fast wheel
    if (n++ < 30) requestAnimationFrame(step); else told((performance.now() - began) / 30);
  };
  requestAnimationFrame(step);
})"""


def _felt(page: Any, address: str, talk: str, turns: int) -> tuple[float, float, float]:
    """Milliseconds: of layout, style and scripts for each frame while scrolling (painting depends on the machine's
    graphics more than on the page), of the longest task, and from a chip to its words while the talk goes on."""
    page.goto("about:blank")
    page.goto(f"{address}/#talk={talk}")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_function(f"document.querySelectorAll('#turns .turn').length >= {turns}")
    page.evaluate(LONG_TASKS)
    chrome = page.context.new_cdp_session(page)
    chrome.send("Performance.enable")
    before = _worked(chrome)
    page.evaluate(FRAMES)
    frame = (_worked(chrome) - before) / 30
    page.fill("#box textarea", "repeat once more")
    page.press("#box textarea", "Enter")
    page.wait_for_selector("#live .turn.done .asked:has-text('once more')")
    took = []
    for _ in range(3):
        page.eval_on_selector("#panel", "panel => delete panel.dataset.ms")
        page.click("#turns .turn:nth-last-child(2) .cite >> nth=0")
        took.append(float(page.wait_for_selector("#panel[data-ms]").get_attribute("data-ms")))
    return frame, page.evaluate("longest()"), min(took)


def _worked(chrome: Any) -> float:
    told = {m["name"]: m["value"] for m in chrome.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(sum(told[name] for name in ("LayoutDuration", "RecalcStyleDuration", "ScriptDuration")))


def test_a_conversation_of_500_messages_is_as_quick_as_a_short_one(chromium: Any, long: FakeAssistant) -> None:
    talk = long.conversations.rows()[0]
    turn = long.conversations.load(talk.id).turns[0].answer
    short = long.conversations.add(None, turn)
    long.conversations.add(short.id, turn)
    with served(long) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 820})
        few = _felt(page, address, short.id, 2)
        many = _felt(page, address, talk.id, MESSAGES // 2)
        assert len(long.histories[-1]) == MESSAGES // 2
        page.close()
    told = [f"{a:.0f} -> {b:.0f} ms" for a, b in zip(few, many, strict=True)]
    print("2 -> 250 turns: frame, longest task, chip to words: " + ", ".join(told))
    # beside a short one on the same machine, so that what else runs there weighs on both
    assert many[0] < max(50, 3 * few[0]) and many[1] < max(400, 3 * few[1]) and many[2] < max(150, 3 * few[2])


def test_a_source_of_200_pages_opens_at_its_quote(chromium: Any, long: FakeAssistant) -> None:
    quote = "A sentence on page 150 that fills it."

    def answer(question: str) -> Any:
        cite = long._cite(long.long, quote)
        yield Answer(question, quote, (Claim(Span(0, len(quote)), (cite,), Verdict.SUPPORTED),), (), Outcome.ANSWERED)

    long._book = answer  # type: ignore[attr-defined]
    with served(long) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("book?")
        desk.page.click("#live .cite")
        assert desk.marked() == quote and desk.page.inner_text("#panel .where") == "p. 150"
        book = _fastest_click(desk)
        box = desk.page.locator("#panel mark").first.bounding_box()
        assert box is not None and 0 < box["y"] < 820
        desk.ask("trees?")
        short = _fastest_click(desk)
        print(f"600,000 characters: {book:.0f} ms, 200 characters: {short:.0f} ms")
        assert book < max(300, 6 * short)  # beside a short one on the same machine
        desk.page.close()


def _fastest_click(desk: Desk) -> float:
    """Milliseconds from a click on the newest turn's chip to its words, the least of five."""
    took = []
    for _ in range(5):
        desk.page.eval_on_selector("#panel", "panel => delete panel.dataset.ms")
        desk.page.click("#live .turn:not([hidden]) .cite >> nth=0")
        took.append(float(desk.page.wait_for_selector("#panel[data-ms]").get_attribute("data-ms")))
    return min(took)


def test_all_that_the_first_page_needs_is_named_in_it(chromium: Any) -> None:
    with served(FakeAssistant()) as address:
        asked = asked_for(chromium, address)
    named = set(preload.LIST.read_text("utf-8").split())
    assert [name for name in asked if name not in named] == [], "write the list anew: python -m tests.browser.assets"


def test_the_files_of_the_first_page_are_gradios_own_and_are_kept_by_the_browser() -> None:
    folder = preload.assets()
    assert folder is not None
    with served(FakeAssistant()) as address, httpx.Client(base_url=address, trust_env=False) as client:
        for name in preload.LIST.read_text("utf-8").split():
            reply = client.get(f"/assets/{name}")
            assert reply.content == (folder / name).read_bytes()
            assert reply.headers["content-type"].split(";")[0] in ("text/javascript", "text/css")
            assert "immutable" in reply.headers["cache-control"]
            assert "default-src" in reply.headers["content-security-policy"]
        assert client.get("/assets/none.js").status_code == 404


def test_the_figures_of_the_page_count_from_the_key_to_the_quote_of_that_very_question(chromium: Any) -> None:
    fake = FakeAssistant()

    def late(question: str) -> Any:
        time.sleep(0.4)
        yield from fake._trees(question)

    fake._late = late  # type: ignore[attr-defined]
    with served(fake) as address:
        desk, took = figures.usable(chromium, address, time.time())
        assert took > 0
        assert len(figures.quotes(desk, ["nothing of it?"])) == 0
        seconds = figures.quotes(desk, ["late one?", "late two?", "late three?"])
        assert len(seconds) == 3 and min(seconds) >= 0.4, seconds
        chips = figures.clicks(desk, 4)
        assert len(chips) == 4 and min(chips) > 0
