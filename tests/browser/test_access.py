"""The page for everybody: names for what can be used, contrast of all that is read, a phone's width, the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant
from tests.browser.outside import Browser

pytestmark = pytest.mark.browser

USABLE = set("button textbox searchbox checkbox switch combobox link DisclosureTriangle menuitem radio slider".split())

# Every piece of text in sight with its contrast to what lies behind it (WCAG 2.2), where that is less than `least`.
FAINT = """(least) => {
  const rgba = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const contrast = (e, colour) => {
    const ground = behind(e), [a, b] = [light(over(rgba(colour), ground)), light(ground)].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  };
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && e.getClientRects().length && !e.closest(".unseen, [disabled]");
  const told = [];
  const look = (e, colour, text) => {
    const value = contrast(e, colour);
    if (value < least) told.push(`${value.toFixed(2)} ${e.localName}.${e.className}: ${text.trim().slice(0, 40)}`);
  };
  const walk = document.createTreeWalker(document.querySelector("#frame"), NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.data;
    if (!text.trim() || !seen(e)) continue;
    texts += 1;
    look(e, getComputedStyle(e).color, text);
  }
  for (const field of document.querySelectorAll("#frame :is(input, textarea)"))
    if (field.placeholder && seen(field))
      look(field, getComputedStyle(field, "::placeholder").color, field.placeholder);
  return [texts, told];
}"""
WIDE = """() => {
  const told = document.scrollingElement.scrollWidth > innerWidth ? ["the page rolls"] : [];
  for (const e of document.querySelectorAll("#frame, #frame *")) {
    const box = e.getBoundingClientRect(), name = `${e.localName}#${e.id}.${e.className}`;
    if (!box.width || !e.checkVisibility({ visibilityProperty: true }) || e.closest(".unseen")) continue;
    if (e.parentElement.closest("pre")) continue;   // what was sent to the model rolls in its own frame
    if (box.right > innerWidth + .5 || box.left < -.5) told.push(`wide: ${name}`);
    const rolls = /auto|scroll/.test(getComputedStyle(e).overflowX);
    if (rolls && e.scrollWidth > e.clientWidth + 1) told.push(`rolls: ${name}`);
  }
  return told;
}"""
# What of the head is not in one line, or cannot be touched because something lies over it.
COVERED = """() => {
  const parts = [...document.querySelectorAll("#head .name, #head button")].map((e) => [e, e.getBoundingClientRect()]);
  const row = parts[0][1], at = (box) => document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const lost = ([e, box]) => box.top > row.bottom || (e.localName === "button" && at(box) !== e);
  return parts.filter(lost).map(([e]) => `head: ${e.textContent}`);
}"""


class Reader(FakeAssistant):
    """A library in which there is something to see on every shelf."""

    def __init__(self) -> None:
        super().__init__()
        self.collections = {self.long.source.id: "old reports with a long name"}

    def show(self, desk: Desk, folder: Path) -> Iterator[str]:
        """The states of the page that hold text, one after the other; what is yielded names the state."""
        page = desk.page
        yield "empty"
        desk.ask("trees?")
        yield "answer"
        page.click("#live .rate[data-good='0']")
        page.wait_for_selector("#live .note-form:not([hidden])")
        yield "note"
        page.click("#live summary:has-text('Ask again')")
        yield "menu"
        page.keyboard.press("Escape")
        page.click("#live .how > summary")
        page.wait_for_selector("#live .how .bar")
        yield "drawer"
        desk.shelf("talks")
        page.wait_for_selector("#talk-list li")
        page.click("#talk-list summary >> nth=0")
        yield "history"
        page.keyboard.press("Escape")
        desk.shelf("settings")
        yield "settings"
        yield from self._library(desk, folder)
        page.click("button[data-shelf=library]")
        desk.ask("fail now", until="#live .error")
        yield "error"
        desk.ask("closest passages?", until="#live .turn.closest")
        yield "closest"
        desk.ask("nothing of it?", until="#live .turn.nothing")
        yield "nothing"
        page.click("#turns .cite >> nth=0")
        page.wait_for_selector("#panel mark")
        yield "panel"

    def _library(self, desk: Desk, folder: Path) -> Iterator[str]:
        (folder / "bad.txt").write_text("words", "utf-8")
        desk.shelf("library")
        desk.page.set_input_files("#choose input[type=file] >> nth=0", [folder / "bad.txt"])
        desk.page.wait_for_selector("#report [data-done] li")
        desk.page.click(".watching summary")
        desk.page.fill("#watch-path", "nowhere")
        desk.page.click("[data-do=watch]")
        desk.page.wait_for_selector("#watching .error")
        desk.page.uncheck("[data-tick] >> nth=0")
        yield "library"


def _usable(page: Any) -> list[tuple[str, str]]:
    """Role and name of what the accessibility tree offers to be used."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    named = (
        (node.get("role", {}).get("value"), node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    )
    return [(role, name.strip()) for role, name in named if role in USABLE]


def test_whatever_can_be_used_has_a_name(chromium: Browser, tmp_path: Path) -> None:
    fake = Reader()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        nameless, seen = {}, 0
        for state in fake.show(desk, tmp_path):
            found = _usable(desk.page)
            seen += len(found)
            if without := [role for role, name in found if not name]:
                nameless[state] = without
        assert nameless == {}
        assert seen > 200
        desk.page.eval_on_selector(
            "#panel [data-do=close]", "b => { b.textContent = ''; b.removeAttribute('aria-label'); }"
        )
        assert ("button", "") in _usable(desk.page)  # it would have been seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_the_page_stands_out_from_what_lies_behind_it(
    chromium: Browser, tmp_path: Path, scheme: str
) -> None:
    fake = Reader()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}, color_scheme=scheme), address)
        assert desk.page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
        faint, texts = {}, 0
        for state in fake.show(desk, tmp_path):
            desk.page.mouse.move(0, 0)
            seen, found = desk.page.evaluate(FAINT, 4.5)
            texts += seen
            if found:
                faint[state] = found
            desk.shot(f"contrast-{scheme}-{state}")
        assert faint == {}
        assert texts > 200
        desk.page.eval_on_selector("#panel h2", "h => { h.style.color = getComputedStyle(h).backgroundColor; }")
        desk.page.eval_on_selector("#panel h2", "h => { h.style.color = '#777'; h.style.background = '#888'; }")
        assert len(desk.page.evaluate(FAINT, 4.5)[1]) == 1  # it would have been seen


def test_on_a_phone_nothing_rolls_sideways_on_any_shelf_or_drawer(chromium: Browser, tmp_path: Path) -> None:
    fake = Reader()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 360, "height": 700}), address)
        wide = {}
        for state in fake.show(desk, tmp_path):
            if found := desk.page.evaluate(WIDE) + desk.page.evaluate(COVERED):
                wide[state] = found
            desk.shot(f"phone-{state}")
        assert wide == {}
        desk.page.eval_on_selector("#panel h2", "h => { h.style.width = '30rem'; }")
        assert desk.page.evaluate(WIDE) != []  # it would have been seen


def _press_until(page: Any, key: str, holds: str, most: int = 60) -> None:
    """Press a key until the element that has the focus fits; a person who cannot point has no other way."""
    for _ in range(most):
        if page.evaluate(f"Boolean(document.activeElement?.matches({holds!r}))"):
            return
        page.keyboard.press(key)
    raise AssertionError(
        f"{key} does not lead to {holds}; it ended at " + page.evaluate("document.activeElement.outerHTML")
    )


def test_with_the_keyboard_alone_one_asks_walks_the_quotes_and_comes_back(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    assert page.evaluate("document.activeElement.matches('#box textarea')")  # the page begins there
    keys.type("trees?")
    keys.press("Enter")
    page.wait_for_selector("#live .turn.done")
    _press_until(page, "Shift+Tab", "#live .cite")
    assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")  # one sees where
    _press_until(page, "Shift+Tab", "#live .words .cite[data-n='1']")
    keys.press("Enter")
    page.wait_for_selector("#frame.reading #panel mark")
    page.wait_for_function("document.activeElement.matches('#panel h2')")
    for key, count in (("ArrowRight", 2), ("ArrowRight", 1), ("ArrowLeft", 2)):
        keys.press(key)
        page.wait_for_function(f"document.querySelector('#panel .count').textContent === 'Source {count} of 2'")
    _press_until(page, "Shift+Tab", "#panel [data-do=close]")
    keys.press("Enter")
    page.wait_for_selector("#frame:not(.reading)")
    assert page.evaluate("document.activeElement.matches('#live .cite')")
    keys.press("Enter")
    page.wait_for_selector("#frame.reading #panel mark")
    keys.press("Escape")
    page.wait_for_selector("#frame:not(.reading)")
    keys.press("/")
    assert page.evaluate("document.activeElement.matches('#box textarea')")
    keys.type("repeat it")
    keys.press("Enter")
    page.wait_for_selector("#live .turn.done .asked:has-text('repeat it')")


def test_with_the_keyboard_alone_one_opens_each_shelf_and_the_drawer(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    keys.type("trees?")
    keys.press("Enter")
    page.wait_for_selector("#live .turn.done")
    _press_until(page, "Shift+Tab", "#live .how > summary")
    keys.press("Enter")
    page.wait_for_selector("#live .how .bar")
    for name, inside in (("talks", "#find-talk"), ("library", "[data-tick]"), ("settings", "select")):
        _press_until(page, "Shift+Tab", f"button[data-shelf={name}]")
        keys.press("Enter")
        page.wait_for_selector(f"#frame[data-shelf={name}]")
        assert page.get_attribute(f"button[data-shelf={name}]", "aria-expanded") == "true"
        _press_until(page, "Tab", inside)
    _press_until(page, "Tab", "#box textarea")
