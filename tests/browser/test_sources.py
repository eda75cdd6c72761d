"""Sources from a person's view: the page as it is printed, what a refusal offers, what differs, a watched folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.files import sha256_of
from rag.load import load
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Evidence,
    Hit,
    Mark,
    Outcome,
    Passage,
    Side,
    Source,
    Span,
    Verdict,
)
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant
from tests.load.make import pdf

pytestmark = pytest.mark.browser


def test_a_quote_of_a_pdf_is_shown_on_the_page_as_it_is_printed(chromium: Any, tmp_path: Path) -> None:
    file = tmp_path / "rules.pdf"
    file.write_bytes(pdf("An old house\nstands by the river.", "Refunds\nare paid within ten days.\nNo more."))
    document = load(file)
    fake = FakeAssistant()
    fake.documents[document.source.id] = fake.hostile = document
    fake.digests[document.source.id] = sha256_of(file)
    quote = "are paid within ten days."

    def answer(question: str) -> Any:
        cite = fake._cite(document, quote, "ten days")
        text = "Within ten days."
        yield Answer(question, text, (Claim(Span(0, 16), (cite,), Verdict.SUPPORTED),), (), Outcome.ANSWERED)

    fake._refunds = answer  # type: ignore[attr-defined]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("refunds?")
        desk.page.click("#live .cite")
        assert desk.marked() == quote
        desk.page.click("[data-leaf]")
        desk.page.wait_for_selector("#panel .leaf .box", timeout=60_000)
        assert desk.page.get_attribute("#panel .leaf img", "alt") == "Page 2 of Rules"
        desk.page.wait_for_function("document.querySelector('#panel .leaf img').naturalWidth === 1100")
        picture, box = (desk.page.locator(f"#panel .leaf {part}").bounding_box() for part in ("img", ".box"))
        assert picture is not None and box is not None
        assert 0.10 < (box["y"] - picture["y"]) / picture["height"] < 0.16  # its second line, 720 of 800 points high
        desk.shot("leaf")
        desk.page.click("[data-leaf]")
        assert desk.marked() == quote and desk.page.is_visible("#panel mark")
        with desk.page.expect_download() as download:
            desk.page.click("[data-original]")
        assert Path(download.value.path()).read_bytes() == file.read_bytes()
        file.write_bytes(pdf("Another file."))
        desk.page.click("[data-original]")
        desk.page.wait_for_selector("#panel .error:has-text('has changed since it was indexed')")
        desk.page.click("#live .cite")
        desk.page.wait_for_selector("#panel mark")
        assert desk.strays == []
        desk.page.close()


def test_a_refusal_offers_the_nearest_passages_and_differing_documents_stand_side_by_side(chromium: Any) -> None:
    fake = FakeAssistant()
    tree = fake._cite(fake.trees, "Japan will donate 250 cherry blossom trees to the United States.")
    other = fake._cite(fake.trees, "Trade was also discussed.")

    def refusal(question: str) -> Any:
        passage = Passage.cut(fake.trees, Span(0, len(fake.trees.text)))
        evidence = (Evidence(Hit(passage, 1.0), tree.span, 0.2),)
        yield Answer(question, "The documents do not hold an answer to this.", (), evidence, Outcome.NOTHING)

    def differing(question: str) -> Any:
        sides = (Side("250", (tree,), "October 2025"), Side("none", (other,)))
        yield Answer(question, "Your documents say different things.", (), (), Outcome.ANSWERED, conflicts=sides)

    fake._king, fake._differ = refusal, differing  # type: ignore[attr-defined]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.ask("king of it?")
        assert not desk.page.is_visible("#live .card")
        desk.page.click("#live .nearest summary")
        desk.page.click("#live .nearest .card")
        assert desk.marked() == tree.quote
        desk.shot("nearest")
        desk.page.keyboard.press("Escape")
        desk.ask("differ?")
        assert desk.page.locator("#live .conflicts li").count() == 2
        assert "as of October 2025" in desk.page.inner_text("#live .conflicts")
        desk.page.click("#live .conflicts .card >> nth=1")
        assert desk.marked() == other.quote
        desk.shot("conflicts")
        desk.page.close()


def test_a_watched_folder_fills_the_library_and_is_remembered(chromium: Any, tmp_path: Path) -> None:
    folder = tmp_path / "notes <b>"
    folder.mkdir()
    (folder / "kettle.txt").write_text("The kettle holds nine litres.", "utf-8")
    fake = FakeAssistant()
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.shelf("library")
        desk.page.click(".watching summary")
        desk.page.fill("#watch-path", "nowhere")
        desk.page.click("[data-do=watch]")
        desk.page.wait_for_selector("#watching .error:has-text('is no folder')")
        desk.page.fill("#watch-path", str(folder))
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_selector("#watching .watched:has-text('1 added')")
        assert desk.page.inner_text(".watched span") == str(folder)
        desk.shot("watching")
        desk.page.close()
    with served(fake) as address:  # the page is served anew
        desk = Desk(chromium.new_page(), address)
        desk.shelf("library")
        desk.page.wait_for_selector("[data-watch]")
        desk.page.wait_for_selector("#shelf:has-text('Kettle')")
        assert desk.page.get_attribute("[data-watch]", "role") == "switch"
        for kept, on in (([], False), ([str(folder)], True), ([], False)):  # it stays, and can be put back
            with desk.page.expect_response(lambda reply: reply.request.method == "PUT"):
                desk.page.click("[data-watch]")
            desk.page.wait_for_selector(f"[data-watch]{':checked' if on else ':not(:checked)'}")
            assert json.loads((fake.folder / "watched.json").read_text("utf-8")) == kept
        desk.page.close()


def test_whole_collections_are_ticked_and_files_can_be_dropped_anywhere(chromium: Any) -> None:
    fake = FakeAssistant()
    fake.collections = {fake.long.source.id: "old reports"}
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.shelf("library")
        desk.page.uncheck("[data-set-of='old reports']")
        assert desk.page.get_attribute("#box textarea", "placeholder") == "Ask 2 of 3 documents"
        desk.ask("repeat without the old ones")
        assert fake.looked_into[-1] == {fake.trees.source.id, fake.hostile.source.id}
        desk.page.evaluate("""() => {
          const data = new DataTransfer();
          data.items.add(new File(["The text of a dropped file."], "dropped.txt", { type: "text/plain" }));
          for (const kind of ["dragenter", "dragover", "drop"])
            document.querySelector("#scroll").dispatchEvent(
              new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
        }""")
        desk.page.wait_for_selector("#report:has-text('1 added')")
        desk.page.wait_for_selector("#shelf:has-text('Dropped')")
        desk.page.close()


LANGUAGES = {
    "東京の会議": "会議は赤坂で開かれた。日本は桜の木を二百五十本贈る。貿易も話し合われた。",
    "اجتماع طوكيو": "عقد الاجتماع في القصر. ستهدي اليابان مئتين وخمسين شجرة كرز. ونوقشت التجارة أيضا.",
}


@pytest.mark.parametrize("title", LANGUAGES)
def test_japanese_and_right_to_left_text_is_quoted_and_marked_as_it_stands(chromium: Any, title: str) -> None:
    text = LANGUAGES[title]
    stop = "。" if "。" in text else ". "
    second = text.split(stop)[1] + stop.strip()
    fake = FakeAssistant()
    document = Document(Source.at("file:///x.txt", title), text, (Mark(Span(0, len(text)), "heading", title, 1),))
    fake.documents[document.source.id] = document

    def answer(question: str) -> Any:
        cite = Citation.cut(document, Span(text.index(second), text.index(second) + len(second)))
        yield Answer(question, second, (Claim(Span(0, len(second)), (cite,), Verdict.SUPPORTED),), (), Outcome.ANSWERED)

    fake._other = answer  # type: ignore[attr-defined]
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 390, "height": 780}), address)
        desk.ask("other language?")
        way = "rtl" if title.startswith("ا") else "ltr"
        assert desk.page.eval_on_selector("#live .words p", "p => getComputedStyle(p).direction") == way
        assert desk.page.eval_on_selector("#live .card .quote", "q => getComputedStyle(q).direction") == way
        desk.page.click("#live .cite")
        assert desk.marked() == second
        assert desk.right_edge(".turn, #panel *, #composer") <= 390.5
        desk.shot(f"language-{way}")
        desk.page.close()
