"""The library from a person's view: folders, news of each file, limits, collections, kinds, dates, ticks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.add import Progress, Report
from rag.filters import Filter
from rag.index.rows import SourceRow
from rag.types import Event
from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant

pytestmark = pytest.mark.browser


class Shelf(FakeAssistant):
    """An assistant with collections and dates, that keeps notes of what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.wheres: list[Filter | None] = []
        self.gate = threading.Event()
        self.gate.set()

    def sources(self) -> list[SourceRow]:
        days = {self.long.source.id: "2024-02-01"}
        return [replace(row, dated=days.get(row.source.id, "2025-10-09")) for row in super().sources()]

    def add(
        self,
        paths: Iterable[Path],
        *,
        collection: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        self.gate.wait(20)
        before = set(self.documents)
        report = super().add(paths, progress=progress)
        if collection:
            self.collections |= dict.fromkeys(set(self.documents) - before, collection)
        noted = tuple((uri, f"hidden text left out: {PAYLOADS[0]}") for uri in report.added if "noted" in uri)
        return replace(report, notes=noted)

    def rename_collection(self, old: str, new: str) -> int:
        mine = [row.source.id for row in self.sources() if row.collection == old]
        self.collections |= dict.fromkeys(mine, new)
        return len(mine)

    def remove_collection(self, name: str) -> int:
        mine = [row.source.id for row in self.sources() if row.collection == name]
        for id_ in mine:
            self.remove(id_)
        return len(mine)

    def stream(
        self,
        question: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        sources: Collection[str] | None = None,
        settings: Mapping[str, str] | None = None,
        where: Filter | None = None,
    ) -> Iterator[Event]:
        self.wheres.append(where)
        return super().stream(question, history=history, sources=sources, settings=settings)


def _rows(desk: Desk) -> dict[str, str]:
    """What is said of each file, by its path."""
    pairs = "all => all.map(r => ['.name', 'small'].map(part => r.querySelector(part).textContent))"
    return dict(desk.page.eval_on_selector_all("#report li", pairs))


def test_each_file_has_a_row_with_its_state_the_reason_of_a_refusal_and_what_was_left_out(
    chromium: Any, tmp_path: Path
) -> None:
    for name in ("good.txt", "bad.txt", "noted.txt"):
        (tmp_path / name).write_text(f"the text of {name}", "utf-8")
    (tmp_path / "empty.txt").write_bytes(b"")
    fake = Shelf()
    fake.gate.clear()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.shelf("library")
        files = [tmp_path / name for name in ("good.txt", "bad.txt", "noted.txt", "empty.txt")]
        desk.page.set_input_files("#choose input >> nth=0", files)
        desk.page.wait_for_function("document.querySelectorAll('#report li[data-state=sent]').length === 3")
        assert _rows(desk)["empty.txt"] == "refused: it is empty"
        fake.gate.set()
        desk.page.wait_for_selector("#report .all:has-text('2 added, 1 refused, 1 not taken')")
        assert _rows(desk) == {
            "good.txt": "added",
            "bad.txt": "refused: it holds no text <b>at all</b>",
            "noted.txt": f"added: hidden text left out: {PAYLOADS[0]}",
            "empty.txt": "refused: it is empty",
        }
        desk.page.wait_for_selector("#shelf li:has-text('Noted')")
        assert set(desk.page.eval_on_selector_all("#report *", "all => all.map(e => e.localName)")) <= {
            "div", "p", "ul", "li", "span", "progress", "small",
        }  # fmt: skip
        desk.shot("files")
        assert desk.faults == [] and desk.strays == []
        desk.page.close()


def test_a_folder_is_dropped_or_chosen_with_all_that_lies_under_it(chromium: Any, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "one.txt").write_text("The first text.", "utf-8")
    (folder / "deep" / "er" / "two.txt").write_text("The second text.", "utf-8")
    (folder / ".hidden").write_text("Nobody's.", "utf-8")
    paths = {"papers/one.txt": "added", "papers/deep/er/two.txt": "added"}
    for way in ("dropped", "chosen"):
        with served(Shelf()) as address:
            desk = Desk(chromium.new_page(), address)
            desk.shelf("library")
            if way == "chosen":
                desk.page.set_input_files("#choose input[webkitdirectory]", folder)
            else:
                _drop(desk, folder)
            desk.page.wait_for_selector("#report .all:has-text('2 added')")
            assert _rows(desk) == paths
            desk.page.close()


def _drop(desk: Desk, *paths: Path) -> None:
    """As the browser itself hears of a drop, so that folders are folders."""
    chrome = desk.page.context.new_cdp_session(desk.page)
    data = {"items": [], "files": [str(p) for p in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        chrome.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 300, "data": data})


def test_what_is_too_much_is_refused_before_it_is_sent(chromium: Any, tmp_path: Path) -> None:
    with served(Shelf()) as address:
        desk = Desk(chromium.new_page(), address)
        sent: list[str] = []
        desk.page.on("request", lambda r: "page/upload" in r.url and sent.append(r.url))
        desk.shelf("library")
        big = tmp_path / "big.txt"
        with big.open("wb") as file:
            file.truncate(101 << 20)
        desk.page.set_input_files("#choose input >> nth=0", big)
        desk.page.wait_for_selector("#report li:has-text('refused: it is larger than 100 MB')")
        desk.page.evaluate("""() => {
          const data = new DataTransfer();
          for (let n = 0; n < 501; n++) data.items.add(new File(["x"], `${n}.txt`));
          document.querySelector("#scroll").dispatchEvent(
            new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
        }""")
        desk.page.wait_for_selector("#report .error:has-text('501 files at once are too many: at most 500')")
        assert sent == []
        desk.page.close()


def test_a_collection_is_made_with_its_first_file_renamed_and_removed(chromium: Any, tmp_path: Path) -> None:
    note = tmp_path / "kettle.txt"
    note.write_text("The kettle holds nine litres.", "utf-8")
    fake = Shelf()
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 1280, "height": 820}), address)
        desk.shelf("library")
        assert desk.page.locator(".set-head").count() == 0  # nobody named one yet
        desk.page.select_option("#into", "+")
        desk.page.fill("#into-new", "Kitchen <b>")
        desk.page.set_input_files("#choose input >> nth=0", note)
        head = desk.page.locator(".set-head", has_text="Kitchen <b>")
        head.wait_for()
        desk.shot("collections")
        head.locator("summary").click()
        head.locator("[data-set-does=rename]").click()
        desk.page.fill("#shelf .rename", "Workshop")
        desk.page.keyboard.press("Enter")
        head = desk.page.locator(".set-head", has_text="Workshop")
        head.wait_for()
        assert "Workshop" in fake.collections.values()
        assert "Workshop" in desk.page.inner_text("#into")
        head.locator("summary").click()
        head.locator("[data-set-does=remove]").click()
        head.locator("[data-set-does=remove]").click()  # it is asked twice
        head.wait_for(state="detached")
        assert not any("kettle" in d.source.uri for d in fake.documents.values())
        assert len(fake.documents) == 3
        desk.page.close()


def test_kinds_and_dates_narrow_what_is_listed_and_what_is_asked_and_stay(chromium: Any) -> None:
    fake = Shelf()
    paper = replace(fake.trees, source=replace(fake.trees.source, id="p" * 16, media_type="application/pdf"))
    fake.documents[paper.source.id] = paper
    with served(fake) as address:
        desk = Desk(chromium.new_page(viewport={"width": 390, "height": 780}), address)
        desk.shelf("library")
        desk.page.click("#filters summary")
        desk.page.select_option("[data-narrow=type]", label="Plain text")
        desk.page.fill("[data-narrow=since]", "2025-01-01")
        desk.page.keyboard.press("Tab")
        desk.page.wait_for_function("document.querySelector('#box textarea').placeholder === 'Ask 2 of 4 documents'")
        assert desk.page.locator("#shelf li:visible").count() == 2
        assert desk.right_edge("#library *") <= 390.5
        desk.shot("narrowed-phone")
        desk.page.reload()
        desk.page.wait_for_selector("body[data-ready]")
        desk.page.wait_for_function("document.querySelector('#box textarea').placeholder === 'Ask 2 of 4 documents'")
        desk.ask("repeat this")
        assert fake.wheres[-1] == Filter(types=("text/plain",), since="2025-01-01")
        desk.shelf("library")
        desk.page.click("[data-do=widen]")
        desk.page.wait_for_function("document.querySelector('#box textarea').placeholder === 'Ask your documents'")
        desk.page.keyboard.press("Escape")
        desk.ask("repeat that")
        assert fake.wheres[-1] is None
        desk.page.close()


def test_the_ticks_are_there_again_after_a_reload(chromium: Any) -> None:
    fake = Shelf()
    with served(fake) as address:
        desk = Desk(chromium.new_page(), address)
        desk.shelf("library")
        desk.page.uncheck(f"[data-tick='{fake.long.source.id}']")
        desk.page.reload()
        desk.page.wait_for_selector("body[data-ready]")
        desk.page.wait_for_selector("#shelf li")
        assert not desk.page.is_checked(f"[data-tick='{fake.long.source.id}']")
        desk.ask("repeat with two")
        assert fake.looked_into[-1] == set(fake.documents) - {fake.long.source.id}
        desk.page.close()
