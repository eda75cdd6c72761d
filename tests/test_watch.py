"""An index that follows folders: real files, real events, and polling."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_add import Counting

import rag.watch
from rag.add import Adder, Report
from rag.errors import IndexError_, UsageError
from rag.index import Index
from rag.watch import Watch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.watch, "TICK_MS", 100)
    monkeypatch.setattr(rag.watch, "DEBOUNCE_MS", 300)
    monkeypatch.setattr(rag.watch, "PATIENCE_S", (0.2, 0.4))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", embedder="counting", dim=8) as opened:
        yield opened


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "a.txt").write_text("Alpha is first.")
    (tmp_path / "docs" / "sub" / "b.txt").write_text("Beta is second.")
    return tmp_path / "docs"


Start = Callable[..., Watch]


@pytest.fixture(params=[None, 0.2], ids=["events", "polling"])
def start(request: pytest.FixtureRequest, index: Index, embedder: Counting, folder: Path) -> Iterator[Start]:
    running: list[Watch] = []

    def begin(told: Callable[[Report], None] | None = None, **options: object) -> Watch:
        adder = Adder(index, embedder, 64)
        running.append(Watch(adder, [folder], told, poll_s=request.param, **options))  # type: ignore[arg-type]
        assert running[-1].wait(30)
        return running[-1]

    yield begin
    for watch in running:
        watch.stop()


def names(index: Index) -> set[str]:
    return {row.source.uri.rpartition("/docs/")[2] for row in index.sources()}


def soon(what: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def text_of(index: Index, name: str) -> str:
    return next(index.document(r.source.id).text for r in index.sources() if r.source.uri.endswith(name))


def test_new_changed_moved_and_deleted_files_are_followed(
    start: Start, index: Index, embedder: Counting, folder: Path
) -> None:
    start()
    assert names(index) == {"a.txt", "sub/b.txt"}
    (folder / "c.txt").write_text("Gamma is third.")
    soon(lambda: "c.txt" in names(index))
    time.sleep(0.02)  # polling tells a change by its time
    (folder / "a.txt").write_text("Alpha is changed.")
    soon(lambda: text_of(index, "/a.txt") == "Alpha is changed.")
    embedder.seen.clear()
    (folder / "a.txt").rename(folder / "sub" / "moved.txt")
    soon(lambda: names(index) == {"sub/moved.txt", "sub/b.txt", "c.txt"})
    (folder / "sub").rename(folder / "other")
    soon(lambda: names(index) == {"other/moved.txt", "other/b.txt", "c.txt"})
    assert embedder.seen == [], "what only moved keeps its vectors"
    shutil.rmtree(folder / "other")
    soon(lambda: names(index) == {"c.txt"})
    assert index.check().ok


def test_a_folder_that_comes_from_elsewhere_comes_with_all_its_files(
    start: Start, index: Index, folder: Path, tmp_path: Path
) -> None:
    start(collection="notes")
    (tmp_path / "new" / "deep").mkdir(parents=True)
    for n in range(20):
        (tmp_path / "new" / "deep" / f"{n}.txt").write_text(f"Number {n}.")
    (tmp_path / "new").rename(folder / "new")
    soon(lambda: len(names(index)) == 22)
    assert {row.collection for row in index.sources()} == {"notes"}


def test_excludes_hold_and_a_new_ignore_file_takes_effect(start: Start, index: Index, folder: Path) -> None:
    (folder / "d.log").write_text("A log.")
    start(exclude=["*.log"])
    (folder / "e.log").write_text("Another log.")
    (folder / ".hidden.txt").write_text("Hidden.")
    (folder / "f.txt").write_text("Seen.")
    soon(lambda: "f.txt" in names(index))
    assert names(index) == {"a.txt", "sub/b.txt", "f.txt"}
    (folder / ".ragignore").write_text("sub/\n")
    soon(lambda: names(index) == {"a.txt", "f.txt"})


def test_what_changed_while_nobody_watched_is_found_at_the_start(start: Start, index: Index, folder: Path) -> None:
    start().stop()
    (folder / "a.txt").unlink()
    (folder / "z.txt").write_text("Zeta.")
    time.sleep(0.5)
    assert names(index) == {"a.txt", "sub/b.txt"}, "a watch that was stopped goes on"
    start()
    assert names(index) == {"z.txt", "sub/b.txt"}


def test_a_folder_that_goes_away_keeps_its_documents_and_is_followed_again_when_it_is_back(
    start: Start, index: Index, folder: Path, tmp_path: Path
) -> None:
    watch = start()
    folder.rename(tmp_path / "away")
    soon(lambda: "not there" in watch.trouble)
    assert names(index) == {"a.txt", "sub/b.txt"}
    folder.mkdir()  # a mount point without its disk
    time.sleep(1)
    assert names(index) == {"a.txt", "sub/b.txt"}
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    (folder / "new.txt").write_text("New.")
    soon(lambda: names(index) == {"a.txt", "sub/b.txt", "new.txt"})
    soon(lambda: watch.trouble == "")


def test_a_failure_is_told_and_made_good_by_itself(
    start: Start, index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = start()
    real, failures = index.put, []

    def full(*args: object, **kwargs: object) -> bool:
        if len(failures) < 3:
            failures.append(1)
            raise IndexError_("the disk is full", hint="free some space")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(index, "put", full)
    (folder / "c.txt").write_text("Gamma.")
    soon(lambda: "disk is full" in watch.trouble)
    soon(lambda: "c.txt" in names(index))
    soon(lambda: watch.trouble == "")
    assert len(failures) == 3


def test_a_bad_file_is_told_and_the_others_go_on(start: Start, index: Index, folder: Path) -> None:
    told: list[Report] = []
    start(told.append)
    (folder / "bad.pdf").write_bytes(b"no pdf")
    (folder / "good.txt").write_text("Good.")
    soon(lambda: "good.txt" in names(index))
    soon(lambda: any(uri.endswith("bad.pdf") for report in told for uri, _ in report.refused))


def test_nothing_is_told_where_nothing_changes(start: Start, folder: Path) -> None:
    told: list[Report] = []
    start(told.append)
    assert len(told) == 1
    os.utime(folder / "a.txt")
    (folder / "picture.png").write_bytes(b"x")
    time.sleep(1.2)
    assert len(told) == 1


def test_a_watch_stops_in_the_middle_of_a_long_round(index: Index, folder: Path) -> None:
    class Slow(Counting):
        def passages(self, texts):  # type: ignore[no-untyped-def]
            time.sleep(0.2)
            return super().passages(texts)

    for n in range(100):
        (folder / f"{n}.txt").write_text(f"Number {n}.")
    watch = Watch(Adder(index, Slow(), 64), [folder])
    soon(lambda: len(index.sources()) > 2)
    begin = time.monotonic()
    watch.stop()
    assert time.monotonic() - begin < 3
    assert 2 < len(index.sources()) < 60
    assert index.check().ok


@pytest.mark.parametrize("folders", [[], ["missing"], ["docs/a.txt"]])
def test_only_folders_that_are_there_can_be_watched(
    index: Index, embedder: Counting, folder: Path, folders: list[str]
) -> None:
    with pytest.raises(UsageError, match="folder"):
        Watch(Adder(index, embedder, 64), [folder.parent / name for name in folders])


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_where_the_system_cannot_watch_every_file_is_looked_at(
    index: Index, embedder: Counting, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def full(*args: object, **kwargs: object) -> Iterator[object]:
        raise kind("OS file watch limit reached")
        yield

    monkeypatch.setattr("watchfiles.watch", full)
    monkeypatch.setattr(rag.watch, "FALLBACK_POLL_S", 0.2)
    watch = Watch(Adder(index, embedder, 64), [folder])
    try:
        assert watch.wait(20)
        assert watch.polls
        (folder / "c.txt").write_text("Gamma.")
        soon(lambda: "c.txt" in names(index))
        soon(lambda: watch.trouble == "")
    finally:
        watch.stop()
