"""The chat page from a person's view, in a real browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.desk import Desk
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant
from tests.browser.outside import Browser

pytestmark = pytest.mark.browser

QUOTE = "Japan will donate 250 cherry blossom trees to the United States."


def test_the_first_quote_stands_before_the_answer_and_the_answer_carries_chips(desk: Desk) -> None:
    desk.ask("trees, slowly?", until="#live .turn.running .card")
    assert desk.page.inner_text("#live .card .quote") == QUOTE
    desk.page.wait_for_selector("#live .turn.done.answered")
    assert desk.page.inner_text("#live .outcome") == "Answered from your documents"
    assert desk.page.eval_on_selector_all("#live .cite", "chips => chips.map(c => c.textContent)") == ["1", "1", "2"]
    assert desk.page.inner_text("#live .doubt") == "partly"
    desk.shot("answered")


def test_a_chip_opens_the_source_at_the_very_words(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.click("#live .cite >> nth=0")
    assert desk.marked() == QUOTE
    assert desk.page.inner_text("#panel mark.key") == "250 cherry blossom trees"
    assert desk.page.inner_text("#panel h2") == "A visit in October"
    assert desk.page.inner_text("#panel .where") == "line 2"
    desk.shot("source")


def test_the_keyboard_opens_a_source_walks_through_the_citations_and_comes_back(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.focus("#live .cite >> nth=0")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#frame.reading")
    assert desk.marked() == QUOTE
    desk.page.keyboard.press("ArrowRight")
    desk.page.wait_for_function("document.querySelector('#panel .count').textContent === 'Source 2 of 2'")
    assert desk.marked() == "The gift\ncontinues a custom of 1912."
    desk.page.click("[data-step='-1']")
    desk.page.wait_for_function("document.querySelector('#panel .count').textContent === 'Source 1 of 2'")
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("#frame.reading").count() == 0
    assert "cite" in desk.page.evaluate("document.activeElement.className")


def test_a_quote_deep_in_a_long_document_comes_into_view_soon(desk: Desk) -> None:
    desk.ask("closest passage about lines")
    desk.page.click("#live .cite >> nth=1")
    assert desk.marked() == "Line 3000 of a long report that says nothing of interest."
    box = desk.page.locator("#panel mark").bounding_box()
    assert box is not None and 0 < box["y"] < 820
    took = []
    for _ in range(5):
        desk.page.eval_on_selector("#panel", "panel => delete panel.dataset.ms")
        desk.page.click("#live .cite >> nth=1")
        took.append(float(desk.page.wait_for_selector("#panel[data-ms]").get_attribute("data-ms")))
    assert min(took) < 400  # ms; what a quiet machine does is told by tests.browser.figures


def test_the_three_outcomes_are_told_apart_in_words(desk: Desk) -> None:
    desk.ask("closest passages?", until="#live .turn.closest")
    assert desk.page.inner_text("#live .outcome") == "Closest passages - not a confirmed answer"
    assert desk.page.locator("#live blockquote").count() == 2
    desk.shot("closest")
    desk.ask("nothing about that?", until="#live .turn.nothing")
    assert desk.page.inner_text("#live .outcome") == "Not in the documents"
    assert desk.page.locator("#live .cite").count() == 0
    desk.shot("nothing")


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_closes_the_iterator_and_keeps_what_was_written(desk: Desk, fake: FakeAssistant, how: str) -> None:
    ended = len(fake.closed)
    desk.ask("slow question", until="#live .turn.running .writing:has-text('word3')")
    pressed = time.monotonic()
    if how == "button":
        desk.page.click("#stop")
    else:
        desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector("#live .turn.stopped")
    assert "word3" in desk.page.inner_text("#live .writing")
    _until(lambda: len(fake.closed) > ended)
    assert fake.closed[-1] - pressed < 1
    assert desk.page.is_visible("#send") and not desk.page.is_visible("#stop")


def test_a_closed_page_closes_the_iterator(chromium: Any, address: str, fake: FakeAssistant) -> None:
    page = chromium.new_page()
    desk = Desk(page, address)
    ended = len(fake.closed)
    desk.ask("silent question", until="#live .turn.running")
    page.wait_for_timeout(700)
    left = time.monotonic()
    page.close()
    _until(lambda: len(fake.closed) > ended)
    assert fake.closed[-1] - left < 1.5  # 1 s, and the 0.4 s that this script takes for each event


def test_shift_enter_breaks_the_line_and_enter_sends(desk: Desk) -> None:
    desk.page.fill("#box textarea", "repeat one")
    desk.page.press("#box textarea", "Shift+Enter")
    desk.page.keyboard.type("two")
    desk.page.press("#box textarea", "Enter")
    desk.page.wait_for_selector("#live .turn.done")
    assert desk.page.inner_text("#live .asked span + *, #live .asked").endswith("repeat one\ntwo")
    assert desk.page.input_value("#box textarea") == ""


def test_the_key_that_ends_a_japanese_word_sends_nothing(desk: Desk) -> None:
    keys = desk.page.context.new_cdp_session(desk.page)
    desk.page.focus("#box textarea")
    keys.send("Input.imeSetComposition", {"text": "さくら", "selectionStart": 3, "selectionEnd": 3})
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}  # as an input method takes it
    keys.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keys.send("Input.insertText", {"text": "桜"})
    desk.page.keyboard.type("?")
    assert desk.page.input_value("#box textarea") == "桜?" and desk.page.locator("#live .turn").count() == 0
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#live .turn.done .asked:has-text('桜?')")


def test_a_slash_leads_to_the_question_and_escape_closes_what_is_open_first(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.click("#live .cite >> nth=0")
    desk.page.wait_for_selector("#frame.reading")
    desk.page.keyboard.press("/")
    assert desk.page.evaluate("document.activeElement === document.querySelector('#box textarea')")
    assert desk.page.input_value("#box textarea") == ""
    desk.page.keyboard.type("a/b")
    assert desk.page.input_value("#box textarea") == "a/b"
    desk.page.click("#live .menu summary")
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("details.menu[open]").count() == 0
    assert desk.page.locator("#frame.reading").count() == 1
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("#frame.reading").count() == 0


def test_a_conversation_keeps_its_turns_and_hands_them_on(desk: Desk, fake: FakeAssistant) -> None:
    desk.ask("trees?")
    desk.ask("repeat that")
    assert fake.histories[-1] == (("trees?", "Japan will give 250 cherry trees. It repeats a gift of 1912."),)
    assert desk.page.locator("#turns .turn").count() == 1
    desk.page.click("#turns .cite >> nth=0")
    assert desk.marked() == QUOTE
    desk.page.click("[data-do=new]")
    desk.page.wait_for_selector("#empty .empty")
    assert desk.page.locator("#turns .turn, #live:not(.gone) .turn").count() == 0
    desk.ask("repeat again")
    assert fake.histories[-1] == ()


def test_a_new_conversation_leaves_nothing_of_a_question_on_its_way(desk: Desk, fake: FakeAssistant) -> None:
    ended = len(fake.closed)
    desk.ask("slow question", until="#live .turn.running .writing")
    desk.page.click("[data-do=new]")
    desk.page.wait_for_selector("#empty .empty")
    _until(lambda: len(fake.closed) > ended)
    desk.page.wait_for_timeout(500)
    assert desk.page.locator("#turns .turn").count() == 0 and not desk.page.is_visible("#live .turn")
    desk.ask("repeat it works")


def test_two_sessions_never_mix(desks: tuple[Desk, Desk], fake: FakeAssistant) -> None:
    one, two = desks
    one.ask("repeat first secret")
    two.ask("repeat other")
    assert fake.histories[-1] == ()
    assert "first secret" not in two.page.inner_text("#talk")
    one.ask("slow question", until="#live .turn.running .writing")
    two.ask("repeat while the other waits")  # neither waits for the other, nor stops it
    two.page.keyboard.press("Escape")
    assert one.page.locator("#live .turn.running").count() == 1
    one.page.keyboard.press("Escape")
    one.page.wait_for_selector("#live .turn.stopped")


def test_an_example_question_is_asked_by_a_click(desk: Desk) -> None:
    desk.page.click(".example >> nth=0")
    desk.page.wait_for_selector("#live .turn.done")
    assert "How many cherry trees will Japan give" in desk.page.inner_text("#live .asked")


def test_the_drawer_tells_how_the_answer_was_found(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.click("#live .how > summary")
    desk.page.wait_for_selector("#live .bar")
    drawer = desk.page.inner_text("#live .how")
    facts = ("93%", "by meaning", "by words", "#2", "0.020 s", "And 1913.", "1913 is not in the quotes", "fake@1")
    assert [fact for fact in facts if fact not in drawer] == []
    desk.page.click("#live .how > summary")
    desk.ask("repeat, so that the turn settles")
    desk.page.click("#turns summary >> text=How this answer was found")
    desk.page.wait_for_selector("#turns .bar")
    assert desk.page.inner_text("#turns .how") == drawer
    width = desk.page.eval_on_selector("#turns .bar i", "bar => bar.style.width")
    assert width == "93%"
    desk.shot("drawer")


def test_an_error_is_one_sentence_with_its_cure_and_hides_what_is_not_ours(desk: Desk) -> None:
    desk.ask("fail now", until="#live .error")
    assert desk.page.inner_text("#live .error").split() == "the model's process ended ask again: it starts anew".split()
    desk.ask("crash now", until="#live .turn.stopped .error")
    assert "secret detail" not in desk.page.content()
    desk.ask("repeat it works again")


def test_files_are_added_while_the_chat_goes_on_and_refusals_give_their_reason(
    desk: Desk, fake: FakeAssistant, tmp_path: Path
) -> None:
    names = ("good.txt", "bad <b>.txt", "wait.txt")
    for name in names:
        (tmp_path / name).write_text(f"the text of {name}", "utf-8")
    desk.shelf("library")
    desk.page.set_input_files("#choose input[type=file] >> nth=0", [tmp_path / name for name in names])
    assert fake.adding.wait(10)
    desk.ask("trees?")  # indexing is at work: the answer comes all the same
    states = desk.page.eval_on_selector_all("#report li", "rows => rows.map(row => row.dataset.state)")
    assert states == ["read", "read", "reading"]
    assert "added" not in desk.page.inner_text("#report")
    fake.go_on.set()
    desk.page.wait_for_selector("#report:has-text('2 added')")
    assert "it holds no text <b>at all</b>" in desk.page.inner_text("#report")
    desk.page.wait_for_selector("#shelf li:has-text('Good')")  # the list follows the report
    assert "bad" not in desk.page.inner_text("#shelf").casefold()
    assert (next(d for d in fake.documents.values() if "good" in d.source.uri)).text == "the text of good.txt"
    desk.shot("library")
    row = desk.page.locator("#shelf li", has_text="Good")
    row.locator(".remove").click()
    row.locator(".remove").click()
    desk.page.wait_for_selector("#gone-book:has-text('Removed.')")
    desk.page.wait_for_function("!document.querySelector('#shelf').innerText.includes('Good')")


def test_an_unticked_document_is_not_looked_into(desk: Desk, fake: FakeAssistant) -> None:
    desk.shelf("library")
    desk.page.uncheck(f"[data-tick='{fake.long.source.id}']")
    assert (
        desk.page.get_attribute("#box textarea", "placeholder")
        == f"Ask {len(fake.documents) - 1} of {len(fake.documents)} documents"
    )
    desk.ask("repeat with fewer")
    assert fake.looked_into[-1] == set(fake.documents) - {fake.long.source.id}
    desk.page.check(f"[data-tick='{fake.long.source.id}']")
    desk.ask("repeat with all")
    assert fake.looked_into[-1] is None


def test_a_question_can_be_taken_up_again(desk: Desk) -> None:
    desk.ask("repeat this <b>twice</b>")
    desk.page.hover("#live .mine")
    desk.page.click("#live .again")
    assert desk.page.input_value("#box textarea") == "repeat this <b>twice</b>"
    desk.page.keyboard.type("!")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#live .turn.done .asked:has-text('twice</b>!')")


def test_what_slipped_through_the_escaping_could_still_fetch_nothing(desk: Desk, chromium: Browser) -> None:
    blocked = desk.page.evaluate("""async () => {
      const seen = [];
      document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
      const there = "http://127.0.0.2:9/";
      for (const tag of ["img", "script", "video", "iframe", "link"]) {
        const element = document.createElement(tag);
        if (tag === "link") element.rel = "stylesheet";
        element[tag === "link" ? "href" : "src"] = there;
        document.body.append(element);
      }
      await fetch(there).catch(() => {});
      const form = document.createElement("form");
      form.action = there;
      document.body.append(form);
      form.submit();
      for (let n = 0; n < 50 && seen.length < 7; n++) await new Promise((done) => setTimeout(done, 100));
      return seen.sort();
    }""")
    assert {
        "connect-src",
        "form-action",
        "frame-src",
        "img-src",
        "media-src",
        "script-src-elem",
        "style-src-elem",
    } == set(blocked)
    assert all("127.0.0.2" in tried for tried in chromium.tried())  # the gate saw them stopped; it was wanted here


def test_the_theme_follows_the_system_until_the_user_chooses(desk: Desk) -> None:
    dark = "document.body.classList.contains('dark')"
    desk.page.emulate_media(color_scheme="dark")
    desk.page.wait_for_function(dark)
    desk.shelf("settings")
    desk.page.select_option("[data-theme]", "light")
    assert desk.page.evaluate(dark) is False
    desk.page.reload()
    desk.page.wait_for_selector("body[data-ready]")
    desk.page.wait_for_timeout(300)
    assert desk.page.evaluate(dark) is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_against_what_lies_behind_it(desk: Desk, scheme: str) -> None:
    desk.page.emulate_media(color_scheme=scheme)
    desk.ask("trees?")
    desk.page.click("#live .cite >> nth=0")
    desk.marked()
    parts = ("#live .outcome", "#live .words p", "#live .cite", "#live .card .where", "#live .card .quote b")
    more = ("#panel mark", "#panel mark.key", "#panel .where", "#live .doubt", ".note", "#live .copy", "#box textarea")
    assert [part for part in parts + more if desk.contrast(part) < 4.5] == []  # WCAG AA for text
    desk.shot(f"theme-{scheme}")


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_source_covers_the_conversation(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 780})
    desk.ask("trees?")
    desk.page.click("#live .cite >> nth=0")
    assert desk.marked() == QUOTE
    box = desk.page.locator("#panel").bounding_box()
    assert box is not None and box["width"] == 390 and abs(box["y"] + box["height"] - 780) < 1
    assert desk.right_edge("#head *, .turn, #composer, #panel *") <= 390.5
    desk.shot("phone")


def test_no_payload_runs_and_nothing_is_fetched_from_elsewhere(desk: Desk, fake: FakeAssistant, tmp_path: Path) -> None:
    page = desk.page
    desk.shelf("library")
    title = page.title()
    desk.ask("hostile question", until="#live .turn.done")
    page.click("#live .how > summary")
    for n in range(len(PAYLOADS)):
        page.click(f"#live .cite >> nth={n}")
        page.wait_for_function(f"document.querySelector('#panel .count').textContent.startsWith('Source {n + 1} ')")
        assert desk.marked() == PAYLOADS[n]
    page.hover("#panel .text")
    for payload in PAYLOADS:
        desk.ask(f"repeat {payload}")
        assert page.inner_text("#live .words") == f"said: repeat {payload}"
    file = tmp_path / "<img src=x onerror=document.title='pwned'>.txt"
    file.write_text(PAYLOADS[1], "utf-8")
    page.set_input_files("#choose input[type=file] >> nth=0", [file])
    page.wait_for_selector("#report:has-text('added')")
    made = set(
        page.eval_on_selector_all(
            "#turns *, #live *, #panel *, #shelves *, #empty *", "all => all.map(e => e.localName)"
        )
    )
    assert not made & {"img", "script", "style", "iframe", "video", "link", "base", "a"}, made
    assert page.title() == title
    assert desk.strays == [] and desk.faults == []


def _until(true: Any, most_s: float = 5.0) -> None:
    end = time.monotonic() + most_s
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()
