"""Conversations from a person's view: there again after a restart, renamed, searched, asked anew, rated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rag.conversation import Conversations, read
from rag.conversation.export import verify
from rag.types import Answer, Document
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant

pytestmark = pytest.mark.browser


def _titles(desk: Desk) -> list[str]:
    return desk.page.eval_on_selector_all("#talk-list .open-talk span", "all => all.map(e => e.textContent)")  # type: ignore[no-any-return]


def _menu(desk: Desk, title: str, does: str) -> Any:
    row = desk.page.locator("#talk-list li", has_text=title).first
    row.locator("summary").click()
    return row.locator(f"[data-talk={does}]")


def test_a_conversation_is_there_again_after_a_reload_and_a_restart(chromium: Any, tmp_path: Path) -> None:
    fake = FakeAssistant()
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.ask("trees?")
        desk.ask("closest passages?", until="#live .turn.closest")
        said = desk.page.inner_text("#talk .turn.answered .words")
        desk.page.wait_for_function("location.hash.startsWith('#talk=')")
        desk.page.reload()
        desk.page.wait_for_selector("#turns .turn.closest")
        assert desk.page.inner_text("#turns .turn.answered .words") == said
        assert desk.page.locator("#empty .empty").count() == 0
        desk.page.click("#turns .cite >> nth=0")
        assert desk.marked() == "Japan will donate 250 cherry blossom trees to the United States."
        hash_ = desk.page.evaluate("location.hash")
        desk.page.close()
    again = FakeAssistant()
    again.conversations = Conversations(fake.conversations.folder)  # the same folder, another process's memory
    with served(again) as address:
        page = chromium.new_page()
        desk = Desk(page, address)
        desk.shelf("talks")
        assert _titles(desk) == ["trees?"]
        page.goto(f"{address}/{hash_}")
        page.reload()
        page.wait_for_selector("#turns .turn.closest")
        desk.ask("repeat that")
        assert [q for q, _ in again.histories[-1]] == ["trees?", "closest passages?"]
        page.close()


def test_conversations_are_listed_opened_renamed_searched_and_deleted(desk: Desk, fake: FakeAssistant) -> None:
    desk.shelf("talks")
    desk.ask("repeat about lemons")
    desk.page.wait_for_selector("#talk-list li.current:has-text('lemons')")
    desk.page.click("[data-do=new]")
    desk.ask("repeat about oranges")
    desk.page.wait_for_selector("#talk-list li.current:has-text('oranges')")
    assert _titles(desk)[:2] == ["repeat about oranges", "repeat about lemons"]
    desk.shot("history")
    _menu(desk, "lemons", "rename").click()
    desk.page.fill("#talk-list .rename", "Sour <b>fruit</b>")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#talk-list span:text-is('Sour <b>fruit</b>')")
    desk.page.fill("#find-talk", "lemons sour")
    desk.page.wait_for_function("document.querySelectorAll('#talk-list li').length === 1")
    desk.page.click("#talk-list .open-talk")
    desk.page.wait_for_selector("#turns .asked:has-text('lemons')")
    assert "oranges" not in desk.page.inner_text("#talk")
    delete = _menu(desk, "Sour", "delete")
    delete.click()
    assert delete.inner_text() == "Really?"
    delete.click()
    desk.page.wait_for_selector("#talk-list :has-text('No conversation holds these words.')")
    desk.page.wait_for_selector("#empty .empty")
    desk.page.fill("#find-talk", "")
    desk.page.wait_for_selector("#talk-list span:text-is('repeat about oranges')")
    assert "Sour <b>fruit</b>" not in _titles(desk)


def test_a_conversation_is_exported_as_markdown_and_as_json_that_verifies(desk: Desk, fake: FakeAssistant) -> None:
    desk.ask("trees?")
    desk.ask("nothing about that?", until="#live .turn.nothing")
    desk.shelf("talks")
    files = {}
    for kind in ("md", "json"):
        button = _menu(desk, "trees?", kind)
        with desk.page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename.endswith(f".{kind}")
        files[kind] = Path(download.value.path()).read_text("utf-8")
    assert re.search(r"## trees\?\n\n\*Answered from your documents, [^*]+\*\n\nJapan will give 250", files["md"])
    assert (
        "[^1-1]: “Japan will donate 250 cherry blossom trees to the United States.” A visit in October, line 2"
        in files["md"]
    )
    assert [c.standing for c in verify(read(json.loads(files["json"])), fake.standing)] == ["holds", "holds"]


def test_an_earlier_question_is_asked_anew_and_its_first_answer_steps_aside(desk: Desk, fake: FakeAssistant) -> None:
    desk.ask("repeat one")
    desk.ask("repeat two")
    desk.page.hover("#turns .mine")
    desk.page.click("#turns .again")
    assert desk.page.is_visible("#editing")
    assert desk.page.input_value("#box textarea") == "repeat one"
    desk.page.keyboard.press("Escape")
    assert not desk.page.is_visible("#editing")
    desk.page.hover("#live .mine")
    desk.page.click("#live .again")
    desk.page.fill("#box textarea", "repeat two, in other words")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#live .turn.done .asked:has-text('in other words')")
    desk.page.wait_for_selector("#turns .turn.replaced .asked:has-text('repeat two')")
    assert not desk.page.is_visible("#turns .turn.replaced .words")
    assert [q for q, _ in fake.histories[-1]] == ["repeat one"]
    desk.page.click("#turns .turn.replaced .asked")
    assert desk.page.is_visible("#turns .turn.replaced .words")
    desk.page.reload()
    desk.page.wait_for_selector("#turns .turn.replaced")
    desk.ask("repeat three")
    assert [q for q, _ in fake.histories[-1]] == ["repeat one", "repeat two, in other words"]


def test_an_answer_is_asked_for_again_more_strictly_or_as_quotes_alone(desk: Desk, fake: FakeAssistant) -> None:
    desk.ask("trees?")
    desk.page.click("#live summary:has-text('Ask again')")
    desk.page.click("#live [data-how-else='answer.strictness=strict']")
    desk.page.wait_for_selector("#live .turn.done .chosen:has-text('strict')")
    assert fake.chosen[-1] == {"answer.strictness": "strict"}
    desk.page.wait_for_selector("#turns .turn.replaced")
    desk.page.click("#live summary:has-text('Ask again')")
    desk.page.click("#live [data-how-else='llm.model=none']")
    desk.page.wait_for_selector("#live .turn.done .chosen:has-text('quotes alone')")
    assert fake.chosen[-1] == {"llm.model": "none"}
    desk.ask("repeat as ever")
    assert fake.chosen[-1] == {}  # it was for that question alone


def test_settings_go_along_with_each_question_and_outlive_a_reload(desk: Desk, fake: FakeAssistant) -> None:
    desk.shelf("settings")
    desk.page.select_option("[data-set='answer.strictness']", "lenient")
    desk.page.select_option("[data-set='retrieve.k']", "12")
    desk.shot("settings")
    desk.ask("repeat with settings")
    assert fake.chosen[-1] == {"answer.strictness": "lenient", "retrieve.k": "12"}
    desk.page.reload()
    desk.page.wait_for_selector("#turns .turn")
    assert desk.page.input_value("[data-set='retrieve.k']") == "12"
    desk.page.select_option("[data-set='retrieve.k']", "")
    desk.ask("repeat with less")
    assert fake.chosen[-1] == {"answer.strictness": "lenient"}


def test_an_answer_is_rated_with_a_note_that_stays(desk: Desk, fake: FakeAssistant) -> None:
    desk.ask("trees?")
    desk.page.click("#live .rate[data-good='0']")
    desk.page.keyboard.insert_text(PAYLOADS[3])  # at once, before the server has heard of the thumb
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#live .note-form [role=status]:has-text('Kept')")
    place = str(desk.page.get_attribute("#live .turn", "data-place"))
    turn = fake.conversations.load(place.split("/")[0]).turns[0]
    assert turn.feedback is not None and (turn.feedback.good, turn.feedback.note) == (False, PAYLOADS[3])
    desk.shot("rated")
    desk.page.reload()
    desk.page.wait_for_selector("#turns .rate[data-good='0'][aria-pressed=true]")
    assert desk.page.input_value("#turns .note-text") == PAYLOADS[3]
    desk.page.click("#turns .rate[data-good='0']")
    desk.page.wait_for_selector("#turns .rate[data-good='0'][aria-pressed=false]")
    assert fake.conversations.load(place.split("/")[0]).turns[0].feedback is None


def test_a_rating_that_could_not_be_kept_says_so_and_is_not_shown_as_kept(desk: Desk) -> None:
    desk.ask("trees?")
    desk.page.route("**/rating", lambda route: route.abort())
    desk.page.click("#live .rate[data-good='1']")
    desk.page.wait_for_selector("#live .note-form [role=status]:has-text('This could not be kept')")
    assert desk.page.get_attribute("#live .rate[data-good='1']", "aria-pressed") == "false"


def test_a_quote_whose_document_has_changed_is_shown_as_lost(chromium: Any) -> None:
    fake = FakeAssistant()
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.ask("trees?")
        before = "#live .cite >> nth=0"
        fake.documents[fake.trees.source.id] = Document(fake.trees.source, "Quite another text. " * 20)
        desk.page.click(before)
        desk.page.wait_for_selector("#panel .error:has-text('no longer says this')")
        assert desk.page.locator("#panel mark").count() == 0
        desk.page.wait_for_function("location.hash.startsWith('#talk=')")
        desk.page.reload()
        desk.page.wait_for_selector("#turns .cite.lost")
        desk.shot("lost")
        desk.page.close()


def test_a_damaged_conversation_is_set_aside_with_a_word_and_the_page_works(chromium: Any) -> None:
    fake = FakeAssistant()
    *_, answer = fake.stream("trees?")
    assert isinstance(answer, Answer)
    talk = fake.conversations.add(None, answer)
    (fake.conversations.folder / f"{talk.id}.json").write_text("{", "utf-8")
    with served(fake) as address:
        page = chromium.new_page()
        desk = Desk(page, f"{address}/#talk={talk.id}")
        assert "there is no conversation" in desk.page.inner_text("#empty .error")
        desk.shelf("talks")
        assert "set aside" in desk.page.inner_text("#talk-list")
        desk.ask("repeat it works")
        page.close()


def test_questions_to_begin_with_are_those_that_the_documents_answer(chromium: Any) -> None:
    fake = FakeAssistant()
    source = fake.trees.source
    del fake.documents[source.id]  # it has examples of its own
    plain = Document(type(source).at("file:///notes.txt", "notes.txt"), fake.trees.text)
    fake.documents[plain.source.id] = fake.trees = plain
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.page.wait_for_selector("#empty .example", timeout=60_000)
        assert desk.page.inner_text("#empty .example") == "How many cherry blossom trees will Japan donate?"
        desk.page.click("#empty .example")
        desk.page.wait_for_selector("#live .turn.done")
        desk.page.close()


def test_no_payload_runs_as_the_name_of_a_conversation_a_note_or_a_file(desk: Desk, fake: FakeAssistant) -> None:
    page = desk.page
    desk.shelf("talks")
    title = page.title()
    desk.ask("repeat payloads")
    page.wait_for_selector("#talk-list li.current")
    place = str(page.get_attribute("#live .turn", "data-place"))
    id_ = place.split("/")[0]
    for n, payload in enumerate(PAYLOADS):
        fake.conversations.rename(id_, payload)
        fake.conversations.rate(id_, 0, True, payload)
        page.fill("#find-talk", "repeat" if n % 2 else "payloads")
        page.wait_for_function(
            "t => [...document.querySelectorAll('#talk-list li.current span')].some(e => e.textContent === t)",
            arg=payload,
        )
        page.hover("#talk-list li.current summary")
        page.click("#talk-list li.current .open-talk")
        page.wait_for_function("t => document.querySelector('#turns .note-text')?.value === t", arg=payload)
        page.focus("#turns .note-text")
    for kind in ("md", "json"):
        with page.expect_download() as download:
            page.click("#talk-list li.current summary")
            page.click(f"#talk-list li.current [data-talk={kind}]")
        assert "/" not in download.value.suggested_filename and download.value.suggested_filename.endswith(kind)
    made = set(page.eval_on_selector_all("#turns *, #talk-list *", "all => all.map(e => e.localName)"))
    assert not made & {"img", "script", "style", "iframe", "video", "link", "base", "a"}, made
    assert title == "Ask your documents" and page.title() == f"{PAYLOADS[-1]} - Ask your documents"
    assert desk.strays == [] and desk.faults == []
