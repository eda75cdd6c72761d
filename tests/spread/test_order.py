"""Whoever works, in whatever order the answers come, and whoever dies over it: the index is the plain one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spread import folders

from rag.add import Adder, Report
from rag.embed import Vectors
from rag.errors import ClusterLost, ModelMissing
from rag.index import Index
from rag.spread import Died, Done, Raised, Reply, Task, order
from rag.spread.order import Spread
from rag.spread.work import Hands


class Letters:
    """An embedder one can compute in one's head: how often each of the 26 letters stands in a text."""

    name = fingerprint = "letters"
    dim = 26
    window = 64

    def __init__(self) -> None:
        self.seen: list[str] = []

    def passages(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        counts = np.array([[1 + t.lower().count(chr(97 + n)) for n in range(26)] for t in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    questions = passages

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(t.split()) for t in texts]


class Fickle:
    """A pool in this very thread that answers in any order, and of which workers die: now and then (`deaths`), or
    always over what says `poison`. Unless `sure`, all that is under way dies with it."""

    size = 2

    def __init__(
        self, seed: int, deaths: float = 0.0, poison: str = "\0", sure: bool = True, over: str = "read embed"
    ) -> None:
        self.random, self.deaths, self.poison, self.sure = random.Random(seed), deaths, poison, sure
        self.over, self.died = over, 0
        self.sent = self.received = 0
        self.embedder = Letters()
        self.hands = Hands(self.embedder, 64)
        self.tasks: list[Task] = []
        self.dead: list[Reply] = []
        self.verbs: list[str] = []

    def submit(self, task: Task) -> None:
        self.sent += task.size
        self.verbs.append(task.verb)
        self.tasks.append(task)

    def next(self, wait_s: float) -> Reply | None:
        if self.dead:
            return self.dead.pop()
        if not self.tasks or (not wait_s and self.random.random() < 0.5):
            assert self.tasks or not wait_s, "it waits for an answer to nothing"
            return None
        task = self.tasks.pop(self.random.randrange(len(self.tasks)))
        poisoned = self.poison in str(task.payload) and task.verb in self.over
        if poisoned or self.random.random() < self.deaths:
            self.died += 1
            if not self.sure:
                self.dead = [Died(t.number, "signal 9", sure=False) for t in self.tasks]
                self.tasks.clear()
            return Died(task.number, "signal 9", self.sure)
        return Done(task.number, *self.hands.do(task.verb, task.payload))

    def close(self) -> None:
        self.tasks.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.fill(tmp_path / "documents")


def indexed(where: Path) -> Index:
    return Index.open(where, embedder="letters", dim=26)


def plain(where: Path, folder: Path, embedder: Letters | None = None, **how: Any) -> Report:
    with indexed(where) as index:
        return Adder(index, embedder or Letters(), 64).add([folder], **how)


def by(pool: Any, where: Path, folder: Path, **how: Any) -> Report:
    with indexed(where) as index:
        return Adder(index, Letters(), 64).add([folder], crew=Spread(lambda: pool), **how)


@pytest.fixture(params=["at once", "little room"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "little room":
        for name, value in {"WINDOW_BYTES": 3000, "WINDOW_FILES": 3, "GROUP_FILES": 2, "BATCH": 4}.items():
            monkeypatch.setattr(order, name, value)
    yield


@pytest.mark.parametrize("seed", range(2))
def test_the_index_and_the_reports_are_those_of_the_plain_add(
    room: None, seed: int, folder: Path, tmp_path: Path
) -> None:
    pool, letters = Fickle(seed), Letters()
    assert folders.outcome(by(pool, tmp_path / "many", folder)) == folders.outcome(plain(tmp_path / "one", folder))
    folders.change(folder)
    pool.embedder.seen.clear()
    ours = by(pool, tmp_path / "many", folder, mirror=True, exclude=["*.eml"], collection="later")
    theirs = plain(tmp_path / "one", folder, letters, mirror=True, exclude=["*.eml"], collection="later")
    assert folders.outcome(ours) == folders.outcome(theirs)
    assert all((ours.added, ours.changed, ours.removed, ours.refused))
    assert folders.index(tmp_path / "many") == folders.index(tmp_path / "one")
    assert sorted(pool.embedder.seen) == sorted(letters.seen), "of what changed or moved, only what is new is embedded"


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_workers_that_die_now_and_then_lose_nothing_and_double_nothing(
    seed: int, sure: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "TRIES", 50)
    monkeypatch.setattr(order, "BATCH", 8)
    ours = by(Fickle(seed, 0.2 if sure else 0.05, sure=sure), tmp_path / "many", folder)
    assert folders.outcome(ours) == folders.outcome(plain(tmp_path / "one", folder))
    assert folders.index(tmp_path / "many") == folders.index(tmp_path / "one")


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("poison", ["Harbour 3", "number 50 "])  # the one in reading, the other in embedding too
def test_a_file_that_kills_every_worker_is_refused_and_no_other_is(
    room: None, sure: bool, poison: str, folder: Path, tmp_path: Path
) -> None:
    theirs, pool = plain(tmp_path / "one", folder), Fickle(1, poison=poison, sure=sure)
    ours = by(pool, tmp_path / "many", folder)
    refused = {Path(uri).name for uri, _ in ours.refused} - {Path(uri).name for uri, _ in theirs.refused}
    assert refused == ({"note3.md"} if poison == "Harbour 3" else {"b%20long.txt"})
    assert set(ours.added) == {uri for uri in theirs.added if Path(uri).name not in refused}
    assert any("it broke the process that works on it (signal 9)" in reason for _, reason in ours.refused)
    assert pool.died < 10, "it is given up after some tries"


def test_only_the_file_whose_passage_kills_a_worker_is_refused(folder: Path, tmp_path: Path) -> None:
    """It is read, but its embedding kills: the passages of others that were in the same batch are embedded."""

    ours = by(Fickle(2, poison="number 50 ", over="embed"), tmp_path / "many", folder)
    assert sorted(Path(uri).name for uri, _ in ours.refused) == ["b%20long.txt", "broken.pdf", "empty.txt"]


def test_a_file_named_twice_is_read_once(folder: Path, tmp_path: Path) -> None:
    named = [folder / "copy.txt", folder, folder / "copy.txt"]
    reports = []
    for where, crew in (("one", None), ("many", Spread(lambda: Fickle(0)))):
        with indexed(tmp_path / where) as index:
            reports.append(folders.outcome(Adder(index, Letters(), 64).add(named, crew=crew)))
    assert reports[0] == reports[1]
    assert folders.index(tmp_path / "many") == folders.index(tmp_path / "one")


def test_nothing_is_started_for_files_that_did_not_change(folder: Path, tmp_path: Path) -> None:
    plain(tmp_path / "one", folder)
    (folder / "broken.pdf").unlink()
    (folder / "empty.txt").unlink()
    pool = Fickle(0)
    report = by(pool, tmp_path / "one", folder)
    assert (report.added, report.refused, pool.verbs) == ((), (), [])
    assert len(report.unchanged) == 15


def test_progress_counts_what_is_stored(folder: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    by(Fickle(3), tmp_path / "many", folder, progress=told.append)
    total = told[0].total
    assert [p.done for p in told if not p.part] == list(range(total + 1))
    assert [p.bytes for p in told] == sorted(p.bytes for p in told)
    assert told[-1].bytes == told[0].all_bytes == sum(p.stat().st_size for p in folder.rglob("[!.]*") if p.is_file())
    assert told[-1].passages > told[3].passages > 0
    assert told[-1].path is None


def test_progress_tells_which_part_of_a_large_file_is_embedded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "BATCH", 8)
    told: list[Any] = []
    by(Fickle(3), tmp_path / "many", folder / "b long.txt", progress=told.append)
    parts = [p.part for p in told if p.part]
    assert len(parts) > 5 and parts == sorted(parts) and parts[0] < 0.2 and parts[-1] > 0.8


@pytest.mark.parametrize("error", [ModelMissing("no model", "fetch it"), ClusterLost("gone")])
def test_what_is_no_files_fault_ends_the_add_and_the_next_one_goes_on(
    error: Exception, folder: Path, tmp_path: Path
) -> None:
    class Ends(Fickle):
        def next(self, wait_s: float) -> Reply | None:
            if len(self.verbs) < 6:
                return super().next(wait_s)
            if isinstance(error, ClusterLost):
                raise error
            return Raised(self.tasks[0].number, error) if self.tasks else None

    with pytest.raises(type(error)):
        by(Ends(0), tmp_path / "many", folder)
    by(Fickle(0), tmp_path / "many", folder)
    plain(tmp_path / "one", folder)
    with closing(indexed(tmp_path / "many")) as many, closing(indexed(tmp_path / "one")) as one:
        assert many.check().ok
        assert [(r.source, r.passages, r.digest) for r in many.sources()] == [
            (r.source, r.passages, r.digest) for r in one.sources()
        ]
