"""The whole house in a browser: the seed texts, the real assistant, a question, an answer, its place in the source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rag
from tests.browser.conftest import served
from tests.browser.desk import Desk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SEEDS = Path(__file__).parents[2] / "seeds"
# All that the row of each file has said, by its name.
STATES = """() => {
  const told = {}, report = document.querySelector("#report");
  new MutationObserver((changes) => {
    for (const { target, oldValue } of changes) (told[target.querySelector(".name").textContent] ??= []).push(oldValue);
  }).observe(report, { subtree: true, attributeFilter: ["data-state"], attributeOldValue: true });
  window.states = () => {
    const rows = report.querySelectorAll("li");
    for (const row of rows) told[row.querySelector(".name").textContent].push(row.dataset.state);
    return told;
  };
}"""


@pytest.fixture(scope="module", params=["none", "smollm2-135m-instruct"])
def house(request: pytest.FixtureRequest) -> Iterator[tuple[rag.Assistant, str]]:
    if request.param != "none":
        pytest.importorskip("rag.llm.llama", reason="there is no local LLM yet")
    with rag.open(documents=SEEDS, llm_model=request.param) as assistant, served(assistant) as address:
        yield assistant, address


def test_from_a_question_to_the_very_words_of_the_seed_texts(chromium: Any, house: tuple[rag.Assistant, str]) -> None:
    assistant, address = house
    desk = Desk(chromium.new_page(), address)
    desk.page.click(".example >> nth=0")
    desk.page.wait_for_selector("#live .turn.done.answered")
    assert "250" in desk.page.inner_text("#live .words")
    chips = desk.page.locator("#live .cite")
    assert chips.count() > 0
    for n in range(chips.count()):
        place = chips.nth(n)
        start, end = map(int, str(place.get_attribute("data-quote")).split("-"))
        number = place.get_attribute("data-n")
        place.click()
        desk.page.wait_for_function(
            f"document.querySelector('#panel .count').textContent.startsWith('Source {number} ')"
        )
        assert desk.marked() == assistant.document(str(place.get_attribute("data-source"))).text[start:end]
    desk.ask("Which planet has the most moons?")
    assert desk.page.locator("#live .turn.answered").count() == 0
    assert desk.strays == [] and desk.faults == []
    desk.page.close()


def test_dropped_files_tell_how_far_they_are_and_can_be_asked_at_once(
    chromium: Any, house: tuple[rag.Assistant, str], tmp_path: Path
) -> None:
    _, address = house
    desk = Desk(chromium.new_page(), address)
    note = tmp_path / "kettle.txt"
    note.write_text("The copper kettle in the workshop holds nineteen litres of water.", "utf-8")
    blank = tmp_path / "blank.txt"
    blank.write_text("  \n", "utf-8")
    desk.shelf("library")
    desk.page.evaluate(STATES)
    desk.page.set_input_files("#choose input[type=file] >> nth=0", [note, blank])
    desk.page.wait_for_selector("#report [data-done]")
    before = [None, "waiting", "sending", "sent", "reading", "read"]
    assert desk.page.evaluate("states()") == {"kettle.txt": [*before, "added"], "blank.txt": [*before, "refused"]}
    assert "refused: blank.txt holds no text" in desk.page.inner_text("#report")
    desk.ask("How much water does the copper kettle hold?")
    assert "nineteen litres" in desk.page.inner_text("#live")
    desk.page.close()
