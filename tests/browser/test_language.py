"""The page in another language, and in one that is written from right to left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.chat import texts
from rag.config import Config
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    texts.use("en")


def test_the_page_speaks_german_where_that_is_set_and_the_documents_their_own_language(chromium: Any) -> None:
    fake = FakeAssistant()
    fake.config = Config().replace({"ui.language": "de"})
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        assert desk.page.get_attribute("html", "lang") == "de"
        desk.ask("trees?")
        assert desk.page.inner_text("#live .outcome") == "Aus deinen Dokumenten beantwortet"
        assert "1 Satz durch ein Zitat belegt" in desk.page.inner_text("#live .verdicts")
        assert "Japan will donate 250" in desk.page.inner_text("#live .card >> nth=0")
        desk.page.click("#live .cite >> nth=0")
        desk.page.wait_for_function("document.querySelector('#panel .count').textContent === 'Quelle 1 von 2'")
        desk.page.click("#live .how > summary")
        desk.page.wait_for_selector("#live .how h4:has-text('Sätze der Antwort')")
        desk.shot("german")
        desk.page.keyboard.press("Escape")
        desk.shelf("library")
        desk.page.wait_for_selector("#shelf li")
        desk.page.uncheck("[data-tick] >> nth=0")
        assert desk.page.get_attribute("#box textarea", "placeholder") == "Frag 2 von 3 Dokumenten"
        desk.shelf("settings")
        assert "Wie sicher eine Antwort sein muss" in desk.page.inner_text("#settings-panel")
        assert desk.page.locator("[data-language] option:checked").inner_text() == "Deutsch"
        desk.page.set_viewport_size({"width": 360, "height": 700})
        assert desk.right_edge("#head *, #settings-panel *") <= 360.5
        desk.shot("german-phone")
        assert desk.faults == []
        desk.page.close()


def test_the_language_is_chosen_in_the_settings_and_remembered(chromium: Any) -> None:
    fake = FakeAssistant()
    page = chromium.new_page(viewport={"width": 1280, "height": 820})
    with served(fake) as address:
        desk = Desk(page, address)
        desk.ask("trees?")
        desk.shelf("settings")
        page.select_option("[data-language]", label="Deutsch")
        page.wait_for_selector(
            "#turns .outcome:text-is('Aus deinen Dokumenten beantwortet')"
        )  # the talk is still there
        assert page.inner_text("#head [data-do=new]") == "Neu" and page.inner_text("#send") == "Fragen"
        assert page.get_attribute("#box textarea", "placeholder") == "Frag deine Dokumente"
        assert "Sprache der Seite" in page.inner_text("#settings-panel")
        desk.ask("trees?")
        assert page.inner_text("#live .turn:not([hidden]) .outcome") == "Aus deinen Dokumenten beantwortet"
        texts.use("en")  # as a server that is started anew
        with page.expect_navigation():  # the browser asks for its language
            page.evaluate("location.reload()")
        page.wait_for_selector("html[lang=de] #head [data-do=new]:text-is('Neu')")
        assert desk.faults == [] and desk.strays == []
        page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_language_from_right_to_left_turns_the_page_around(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    (tmp_path / "ar.toml").write_text(
        '[language]\ndirection = "rtl"\n[head]\nask = "اسأل"\nname = "مستنداتك"\nlibrary = "المكتبة"\n', "utf-8"
    )
    use = texts.use
    monkeypatch.setattr(texts, "use", lambda language: use("ar", tmp_path))
    with served(FakeAssistant()) as address:
        desk = Desk(chromium.new_page(viewport={"width": width, "height": 780}), address)
        assert desk.page.get_attribute("html", "dir") == "rtl"
        name, new = (desk.page.locator(part).bounding_box() for part in ("#head .name", "[data-do=new]"))
        assert name is not None and new is not None and name["x"] > new["x"]
        desk.ask("trees?")
        desk.page.click("#live .cite >> nth=0")
        assert desk.marked().startswith("Japan will donate")
        edges = desk.page.eval_on_selector_all(
            "#head *, .turn, .turn .card, #composer, #panel *", "all => all.map(e => e.getBoundingClientRect().left)"
        )
        assert min(edges) >= -0.5 and desk.right_edge("#head *, .turn, #composer, #panel *") <= width + 0.5
        panel, talk = (desk.page.locator(part).bounding_box() for part in ("#panel", "#talk"))
        assert panel is not None and talk is not None
        assert width < 760 or panel["x"] < talk["x"]
        desk.shot(f"right-to-left-{width}")
        desk.page.keyboard.press("Escape")
        desk.shelf("library")
        shelf = desk.page.locator("#library").bounding_box()
        assert shelf is not None and (width < 760 or shelf["x"] > 900)
        desk.shot(f"right-to-left-library-{width}")
        assert desk.faults == []
        desk.page.close()
