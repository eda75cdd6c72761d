"""The verbs about documents, with the real embedder: filters, collections, standing, watching, reindexing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import rag
from rag.add import Report
from rag.assistant import Assistant
from rag.config import Config
from rag.errors import IndexBusy, IndexMismatch, UsageError
from rag.filters import Filter
from rag.standing import Standing


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "plan.md").write_text("# Plans\n\nThe office moves to Leeds in May.\n")
    (folder / "menu.txt").write_text("The canteen opens at noon. It serves soup on Mondays.\n")
    return folder


@pytest.fixture
def config() -> Config:
    return Config.load({"llm.model": "none", "read.model": "overlap"})


@pytest.fixture
def assistant(tmp_path: Path, docs: Path, config: Config) -> Iterator[Assistant]:
    with Assistant(tmp_path / "index", config, write=True) as assistant:
        assistant.add([docs / "plan.md"], collection="work")
        assistant.add([docs / "menu.txt"])
        yield assistant


def test_a_filter_is_made_of_what_a_person_writes(assistant: Assistant, docs: Path) -> None:
    plan = assistant.named("plan.md")
    assert plan == assistant.named("Plans") == assistant.named(str(docs / "plan.md")) == assistant.named(plan)
    assert assistant.filter() is None
    where = assistant.filter(sources=["plan.md"], types=["md", "text/*"], collections=["work"], since="2020")
    assert where == Filter((plan,), ("text/markdown", "text/*"), ("work",), "2020", "")
    for wrong in ({"sources": ["x"]}, {"types": ["docz"]}, {"collections": ["x"]}, {"until": "soon"}):
        with pytest.raises(UsageError):
            assistant.filter(**wrong)  # type: ignore[arg-type]


def test_search_and_ask_look_only_where_they_are_told(assistant: Assistant) -> None:
    work = Filter(collections=("work",))
    assert [h.passage.source.title for h in assistant.search("canteen soup", where=work)] == ["Plans"]
    menu = assistant.named("menu.txt")
    assert assistant.search("canteen soup", sources=[menu], where=work) == []
    assert [h.passage.source.id for h in assistant.search("office", sources=[menu])] == [menu]
    assert assistant.search("office", sources=[menu], where=Filter(sources=(assistant.named("Plans"),))) == []
    answer = assistant.ask("Where does the office move?", where=Filter(collections=("default",)))
    assert all("Leeds" not in citation.quote for citation in answer.citations)
    assert {e.hit.passage.source.id for e in answer.evidence} <= {menu}


def test_a_citation_is_followed_through_what_becomes_of_its_document(assistant: Assistant, docs: Path) -> None:
    (hit,) = assistant.search("canteen", 1, sources=[assistant.named("menu.txt")])
    document = assistant.document(hit.passage.source.id)
    citation = rag.Citation.cut(document, rag.Span(0, 26))
    assert assistant.standing(citation).standing is Standing.HOLDS
    (docs / "menu.txt").write_text("New hours! The canteen opens at noon. It serves soup daily.\n")
    assistant.add([docs])
    moved = assistant.standing(citation)
    assert moved.standing is Standing.MOVED
    assert moved.citation is not None
    assert assistant.holds(moved.citation)
    (docs / "sub").mkdir()
    (docs / "menu.txt").rename(docs / "sub" / "menu.txt")
    assistant.add([docs], mirror=True)
    elsewhere = assistant.standing(moved.citation)
    assert elsewhere.standing is Standing.MOVED
    assert elsewhere.citation is not None
    assert elsewhere.citation.source.uri.endswith("/sub/menu.txt")
    (docs / "sub" / "menu.txt").write_text("The canteen is closed.\n")
    assistant.add([docs])
    assert assistant.standing(elsewhere.citation).standing is Standing.STALE
    assistant.remove(elsewhere.citation.source.id)
    assert assistant.standing(elsewhere.citation).standing is Standing.GONE


def test_a_watch_inside_the_process_that_answers(assistant: Assistant, docs: Path, config: Config) -> None:
    rounds: list[Report] = []
    watch = assistant.watch([docs], rounds.append)
    assert watch.wait(60)
    (docs / "new.txt").write_text("The library closes at eight.")
    end = time.monotonic() + 30
    while not any(h.passage.text.startswith("The library") for h in assistant.search("library closes", 1)):
        assert time.monotonic() < end
        time.sleep(0.1)
    with Assistant(assistant.folder, config) as reader:  # a second process would open it so
        with pytest.raises(IndexBusy, match="reading only"):
            reader.watch([docs])
        assert len(reader.sources()) == 3
    assistant.close()
    watch.stop()
    assert watch.trouble == ""


def test_other_settings_are_refused_until_the_index_is_made_anew(
    tmp_path: Path, docs: Path, assistant: Assistant, config: Config
) -> None:
    assert assistant.reindex() == 0
    assistant.close()
    other = replace(config, split=replace(config.split, max_tokens=32))
    with Assistant(tmp_path / "index", other, write=True) as changed:
        with pytest.raises(IndexMismatch, match="rag reindex"):
            changed.sources()
        assert changed.reindex() == 2
        assert {row.collection for row in changed.sources()} == {"work", "default"}
        assert changed.search("office", 1)[0].passage.source.title == "Plans"
        assert changed.check().ok


def test_those_who_take_turns_each_see_what_the_others_change(tmp_path: Path, docs: Path, config: Config) -> None:
    where = tmp_path / "new"  # which neither has made
    with Assistant(where, config, write="in turn") as one, Assistant(where, config, write="in turn") as other:
        assert len(one) == len(other) == 0
        one.add([docs / "plan.md"], collection="work")
        other.add_text("The canteen is closed.", title="note", uri="mem:note")
        assert [row.source.title for row in one.sources()] == [row.source.title for row in other.sources()]
        assert one.search("canteen")[0].passage.text == "The canteen is closed."
        assert other.rename_collection("work", "play") == 1 and one.remove("mem:note")
        assert [row.collection for row in other.sources()] == ["play"]
        with pytest.raises(IndexBusy):
            one.watch([docs])
    with Assistant(where, config, write=True) as alone:
        assert alone.check().ok


def test_who_never_gets_a_turn_is_told_so(
    tmp_path: Path, docs: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.library.TURN_S", 0.2)
    with Assistant(tmp_path / "index", config, write=True) as holder:
        holder.add([docs / "plan.md"])
        with Assistant(tmp_path / "index", config, write="in turn") as other, pytest.raises(IndexBusy):
            other.add([docs / "menu.txt"])


def test_an_original_is_kept_where_all_who_take_turns_can_forget_it_and_nowhere_else(
    tmp_path: Path, docs: Path, config: Config
) -> None:
    for place, stays in ((tmp_path / "index", True), (tmp_path / "elsewhere", False)):  # as a place on Milvus would be
        with Assistant(tmp_path / "index", config, write="in turn") as assistant:
            assistant.__dict__["place"] = place
            with (docs / "plan.md").open("rb") as file:
                kept = assistant.keep(file, "plan.md")
            assistant.add([kept])
            assistant.sweep([kept])
            assert kept.exists() is stays
            assert [row.source.title for row in assistant.sources()] == ["Plans"]
