"""Reading an answer: the card over a citation, the verdicts, the way through the sources, the drawer, the keys."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.files import sha256_of
from rag.load import load
from rag.types import Answer, Claim, Hit, Outcome, Passage, Span, Verdict
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant
from tests.load.make import pdf

pytestmark = pytest.mark.browser

QUOTE = "Japan will donate 250 cherry blossom trees to the United States."
CARD = "#tip:not([hidden])"


def test_a_citation_shows_its_quote_its_place_and_its_verdict_to_the_mouse(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.hover("#live .cite >> nth=0")
    desk.page.wait_for_selector(CARD)
    assert desk.page.inner_text("#tip .quote") == QUOTE
    assert desk.page.inner_text("#tip .quote b") == "250 cherry blossom trees"
    assert "A visit in October" in desk.page.inner_text("#tip .where")
    assert desk.page.inner_text("#tip .backs") == "The quote backs the sentence"
    desk.page.hover("#tip .quote")  # it may be read with the mouse on it
    desk.page.wait_for_timeout(400)
    assert desk.page.is_visible("#tip")
    desk.shot("card")
    desk.page.keyboard.press("Escape")
    assert not desk.page.is_visible("#tip")
    desk.page.hover("#live .cite >> nth=2")
    desk.page.wait_for_selector(f"{CARD} .backs:has-text('part of the sentence')")
    desk.page.hover("#head .name")
    desk.page.wait_for_selector("#tip", state="hidden")


def test_arrows_walk_through_the_citations_while_no_source_is_open(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.keyboard.press("ArrowRight")  # the box is empty: the arrows have no other use in it
    desk.page.wait_for_selector(f"{CARD} .quote:has-text('250 cherry')")
    assert desk.page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    for _ in range(2):
        desk.page.keyboard.press("ArrowRight")
    desk.page.wait_for_selector(f"{CARD} .quote:has-text('a custom of 1912')")
    desk.page.keyboard.press("ArrowLeft")
    desk.page.wait_for_selector(f"{CARD} .quote:has-text('250 cherry')")
    desk.page.keyboard.press("Enter")
    assert desk.marked() == QUOTE
    assert not desk.page.is_visible("#tip")
    desk.page.keyboard.press("Escape")
    desk.page.fill("#box textarea", "half a question")
    desk.page.keyboard.press("ArrowLeft")
    assert desk.page.evaluate("document.activeElement === document.querySelector('#box textarea')")


def test_a_finger_sees_the_card_first_and_the_source_with_a_second_touch(chromium: Any, address: str) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 700}, has_touch=True, is_mobile=True)
    desk = Desk(context.new_page(), address)
    desk.ask("trees?")
    desk.page.tap("#live .cite >> nth=0")
    desk.page.wait_for_selector(f"{CARD} .quote:has-text('250 cherry')")
    assert desk.page.locator("#frame.reading").count() == 0
    box = desk.page.locator("#tip").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360
    desk.shot("card-phone")
    desk.page.tap("#live .asked")
    desk.page.wait_for_selector("#tip", state="hidden")
    desk.page.tap("#live .cite >> nth=0")
    desk.page.tap("#tip")
    assert desk.marked() == QUOTE
    desk.page.tap("#panel [data-do=close]")
    for opened in (0, 1):  # the same chip twice
        desk.page.tap("#live .cite >> nth=1")
        desk.page.wait_for_selector(CARD if not opened else "#frame.reading #panel mark")
        assert desk.page.locator("#frame.reading").count() == opened
    assert not desk.page.is_visible("#tip")
    desk.page.tap("#panel [data-do=close]")
    desk.page.focus("#live .cite >> nth=2")
    desk.page.keyboard.press("Enter")  # a keyboard beside the finger: no card is waited for
    desk.page.wait_for_selector("#frame.reading #panel .count:has-text('Source 2 of 2')")
    context.close()


def test_no_citation_begins_a_line_of_its_own(desk: Desk) -> None:
    desk.ask("trees?")
    alone = desk.page.evaluate("""() => {
      const words = document.querySelector("#live .words p"), found = [];
      for (let width = 200; width < 420; width += 3) {
        words.style.width = `${width}px`;
        for (const chips of words.querySelectorAll(".chips")) {
          const range = document.createRange(), before = chips.previousSibling;
          range.selectNodeContents(before);
          const word = [...range.getClientRects()].at(-1), first = chips.querySelector(".doubt, .cite");
          if (first.getBoundingClientRect().left < word.right - 1) found.push(width);
        }
      }
      return found;
    }""")
    assert alone == []


def test_what_was_left_out_is_said_and_leads_to_the_reason(desk: Desk) -> None:
    desk.ask("trees?")
    said = desk.page.inner_text("#live .verdicts")
    assert re.sub(r"\s+", " ", said) == (
        "1 sentence backed by a quote 1 only partly backed "
        "1 sentence of the model was left out: 1913 is not in the quotes"
    )
    desk.page.click("#live .verdicts .withheld")
    desk.page.wait_for_selector("#live [data-part=withheld]")
    drawer = desk.page.inner_text("#live .how")
    assert "And 1913." in drawer and "Only partly backed by its quotes" in drawer
    desk.page.wait_for_function(
        "document.querySelector('#live [data-part=withheld]').getBoundingClientRect().top < 400"
    )
    desk.shot("left-out")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_card_and_the_verdicts_are_readable_in_both_themes(desk: Desk, scheme: str) -> None:
    desk.page.emulate_media(color_scheme=scheme)
    desk.ask("trees?")
    desk.page.focus("#live .cite >> nth=0")
    desk.page.keyboard.press("ArrowRight")
    desk.page.wait_for_selector(CARD)
    parts = (
        "#tip .quote",
        "#tip .quote b",
        "#tip .where",
        "#tip .backs",
        ".verdicts .supported",
        ".verdicts .withheld",
    )
    assert [part for part in parts if desk.contrast(part) < 4.5] == []
    desk.shot(f"card-{scheme}")


def test_every_passage_that_was_found_lies_in_the_drawer_with_its_ranks_as_bars(chromium: Any) -> None:
    fake = FakeAssistant()
    lines = fake.long.text.split("\n")[:8]
    at, hits = 0, []
    for n, line in enumerate(lines, start=1):
        passage = Passage.cut(fake.long, Span(at, at + len(line)))
        hits.append(Hit(passage, 1.0 / n, {"dense": n, "lexical": 9 - n}))
        at += len(line) + 1

    def answer(question: str) -> Any:
        *_, trees = fake._trees(question)
        assert isinstance(trees, Answer)
        trace = replace(trees.trace, hits=tuple(hits), signals={"coverage": 0.5, "span": 3.0, "new one": 0.0})
        yield replace(trees, trace=trace)

    fake._eight = answer  # type: ignore[attr-defined]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("eight?")
        desk.page.click("#live .how > summary")
        desk.page.wait_for_selector("#live .how .hit")
        assert desk.page.locator("#live .how .hit").count() == 8
        third = desk.page.locator("#live .how .hit").nth(2)
        assert re.sub(r"\s+", " ", third.locator(".ranks").inner_text()) == "by meaning #3 by words #6"
        widths = third.locator("i").evaluate_all("bars => bars.map(b => b.style.width)")
        assert widths == ["33.3%", "75%", "37.5%"]
        drawer = desk.page.inner_text("#live .how")
        assert "A short answer stands out" in drawer and "Words of the question in the best passage" in drawer
        desk.shot("drawer")
        desk.page.set_viewport_size({"width": 390, "height": 780})
        assert desk.right_edge("#live .how *") <= 390.5
        desk.shot("drawer-phone")
        desk.page.close()


def test_title_place_and_date_stay_while_the_source_scrolls(chromium: Any) -> None:
    fake = FakeAssistant()
    dated = replace(fake.long, source=replace(fake.long.source, date="2025-10-28"))
    fake.documents[dated.source.id] = fake.long = dated
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("closest passage about lines")
        desk.page.click("#live .cite >> nth=1")
        desk.marked()
        assert desk.page.inner_text("#panel .where") == "line 3000 · 2025-10-28"
        for _ in range(2):
            top = desk.page.locator("#panel .doc").bounding_box()
            body = desk.page.locator("#panel .body").bounding_box()
            mark = desk.page.locator("#panel mark").first.bounding_box()
            assert top is not None and body is not None and mark is not None
            assert abs(top["y"] - body["y"]) < 1
            desk.page.hover("#panel .text")
            desk.page.mouse.wheel(0, 900)
            desk.page.wait_for_timeout(200)
        desk.page.close()


def test_the_printed_page_stays_from_citation_to_citation_is_turned_and_both_pages_of_a_quote_are_marked(
    chromium: Any, tmp_path: Path
) -> None:
    file = tmp_path / "rules.pdf"
    file.write_bytes(
        pdf("An old house\nstands by the river.", "Refunds\nare paid within ten days.\nNo more.", "The end.")
    )
    document = load(file)
    fake = FakeAssistant()
    fake.documents[document.source.id] = document
    fake.digests[document.source.id] = sha256_of(file)
    one = fake._cite(document, "stands by the river.")
    start, end = document.text.index("No more."), document.text.index("The end.") + len("The end.")
    two = fake._cite(document, document.text[start:end])

    def answer(question: str) -> Any:
        text = "By the river. No more."
        claims = (Claim(Span(0, 13), (one,), Verdict.SUPPORTED), Claim(Span(14, 22), (two,), Verdict.SUPPORTED))
        yield Answer(question, text, claims, (), Outcome.ANSWERED)

    fake._rules = answer  # type: ignore[attr-defined]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("rules?")
        desk.page.click("#live .cite >> nth=0")
        desk.page.click("[data-leaf]")
        desk.page.wait_for_selector(".leaf .box", timeout=60_000)
        assert desk.page.get_attribute(".leaf img", "alt") == "Page 1 of Rules"
        desk.page.click("[data-step='1']")
        desk.page.wait_for_selector(".leaf img[alt='Page 2 of Rules']", timeout=60_000)
        assert desk.page.get_attribute("[data-leaf]", "aria-pressed") == "true"
        pages = desk.page.eval_on_selector_all(".leaf", "all => all.map(l => l.querySelectorAll('.box').length)")
        assert pages == [1, 1]
        assert desk.page.inner_text(".turning span") == "Pages 2 to 3 of 3"
        assert desk.page.is_disabled("[aria-label='Page after']")
        desk.shot("leaf-two-pages")
        desk.page.click("[aria-label='Page before']")
        desk.page.wait_for_selector(".leaf img[alt='Page 1 of Rules']", timeout=60_000)
        assert desk.page.locator(".leaf .box").count() == 0 and desk.page.locator(".leaf").count() == 1
        desk.page.click("[data-leaf]")  # the text again, and from then on
        assert desk.marked() == two.quote.replace("\n", "")  # each paragraph has a mark of its own
        desk.page.keyboard.press("ArrowLeft")
        desk.page.wait_for_function("document.querySelector('#panel .count').textContent === 'Source 1 of 2'")
        assert desk.page.is_visible("#panel mark") and desk.page.locator(".leaf").count() == 0
        assert desk.faults == []
        desk.page.close()


def test_the_finished_answer_is_said_once_to_those_who_listen(desk: Desk) -> None:
    desk.page.evaluate("""() => {
      window.heard = [];
      new MutationObserver(() => heard.push(document.querySelector('#told').textContent))
        .observe(document.querySelector('#told'), { childList: true, characterData: true, subtree: true });
    }""")
    desk.ask("trees?")
    desk.page.wait_for_function("heard.length > 0")
    desk.ask("repeat after me")
    desk.page.wait_for_function("heard.some(words => words.includes('after me'))")
    desk.page.wait_for_timeout(300)
    first, second = desk.page.evaluate("heard")
    assert first.startswith(
        "Answered from your documents. Japan will give 250 cherry trees. It repeats a gift of 1912."
    )
    assert second == "Not in the documents. said: repeat after me"
    live = desk.page.eval_on_selector_all("#scroll [aria-live], #scroll [role=log], #scroll [role=status]", _IDS)
    assert [id_ for id_ in live if id_] == ["told"]


_IDS = "all => all.map(e => e.id)"


def test_a_question_mark_shows_the_keys(desk: Desk) -> None:
    desk.page.keyboard.press("?")  # the box has the focus, and is empty
    desk.page.wait_for_selector("dialog#keys[open]")
    assert "previous, next citation" in desk.page.inner_text("#keys")
    assert desk.page.input_value("#box textarea") == ""
    desk.shot("keys")
    desk.page.keyboard.press("Escape")
    assert not desk.page.is_visible("#keys")
    desk.page.fill("#box textarea", "why")
    desk.page.focus("#box textarea")
    desk.page.keyboard.press("End")
    desk.page.keyboard.press("?")
    assert desk.page.input_value("#box textarea") == "why?"


def test_hostile_quotes_titles_and_reasons_are_text_in_the_card_and_the_verdicts(desk: Desk) -> None:
    title = desk.page.title()
    desk.ask("hostile question", until="#live .turn.done")
    for n, payload in enumerate(PAYLOADS):
        desk.page.locator("#live .cite").nth(n).dispatch_event("pointerover", {"bubbles": True, "pointerType": "mouse"})
        desk.page.wait_for_function(
            "words => document.querySelector('#tip .quote')?.textContent === words", arg=payload
        )
        assert PAYLOADS[0] in desk.page.inner_text("#tip .where")
    made = set(desk.page.eval_on_selector_all("#tip *, .verdicts *", "all => all.map(e => e.localName)"))
    assert made <= {"div", "span", "i", "b", "bdi", "button"}
    assert desk.page.title() == title and desk.strays == [] and desk.faults == []


def test_an_answer_kept_before_passages_were_shows_those_of_its_evidence() -> None:
    from rag.chat.details import inside

    *_, answer = FakeAssistant().stream("trees?")
    assert isinstance(answer, Answer) and answer.trace.hits == ()
    assert "The passage found" in inside(answer)


def test_an_answer_can_be_worded_by_another_model_from_its_menu_and_by_the_settings(chromium: Any) -> None:
    fake = FakeAssistant()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("trees?")
        desk.page.click("#live .menu summary")
        desk.shot("ask-again")
        desk.page.click("#live [data-model='another-model']")
        desk.page.wait_for_selector("#live .chosen:has-text('worded by another-model')")
        assert fake.chosen[-1] == {"llm.model": "another-model"}
        desk.shelf("settings")
        desk.page.select_option("[data-set='llm.model']", "another-model")
        desk.ask("repeat it")
        assert fake.chosen[-1] == {"llm.model": "another-model"}
        desk.page.close()
