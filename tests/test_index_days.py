"""Messages of a mailbox have a day each, and a filter by date goes by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_index import DIM, MAKER, Made, made, several, tamper

from rag.filters import Filter
from rag.index import Index
from rag.types import Document, Mark, Passage, Source, Span

DAYS = ("2019-05-01", "2021-07-09", "2021-07-09", "", "2024-02-29")


def mailbox(dated: bool = True) -> Made:
    """Two passages to a message; the mailbox itself is of the day of the newest. Not `dated`: as schema 3 had it."""
    bare, passages, vectors = made("box", [f"message {n} part {j}" for n in range(5) for j in range(2)])
    marks = []
    for n, day in enumerate(DAYS):
        span = Span(passages[2 * n].span.start, passages[2 * n + 1].span.end)
        marks.append(Mark(span, "message", f"message 'm{n}'" + (f", {day}" if day else ""), date=day if dated else ""))
    source = Source(bare.source.id, bare.source.uri, "box", "application/mbox", "2024-02-29")
    document = Document(source, bare.text, tuple(marks))
    return document, [Passage.cut(document, p.span) for p in passages], vectors


CASES = [
    (Filter(until="2020"), {0}),
    (Filter(since="2020", until="2022"), {1, 2}),
    (Filter(since="2021-07-09", until="2021-07-09", collections=("mail",)), {1, 2}),
    (Filter(since="2024"), {3, 4}),  # one without a day is of the mailbox's
    (Filter(until="2021", types=("application/mbox",)), {0, 1, 2}),
    (Filter(until="2021", types=("text/plain",)), set()),
    (Filter(until="2021", collections=("other",)), set()),
    (Filter(until="2021", sources=(mailbox()[0].source.id, "unknown")), {0, 1, 2}),
    (Filter(until="2021", sources=()), set()),
    (Filter(types=("application/mbox",)), {0, 1, 2, 3, 4}),
]


def found(index: Index, where: Filter) -> set[int]:
    """Which messages a filter lets pass, by word and by meaning."""
    words = index.passages([id for id, _ in index.lexical("message", 99, where)])
    near = index.passages(index.dense(np.ones((1, DIM), np.float32), 99, where)[0][0].tolist())
    assert sorted(p.text for p in words) == sorted(p.text for p in near if p.source.title == "box")
    assert len(words) == 2 * len({p.text.split()[1] for p in words}), "both passages of each"
    return {int(p.text.split()[1]) for p in words}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.open(tmp_path / "index", **MAKER) as index:
        for one in several(3):
            index.put(*one, dated="2021-07-09")
        index.put(*mailbox(), collection="mail")
        index.put(*made("late", ["after it"]), dated="2018-01-01")
    return tmp_path / "index"


@pytest.mark.parametrize("where_", range(len(CASES)))
def test_a_filter_by_date_goes_by_the_day_of_each_message(folder: Path, where_: int) -> None:
    where, messages = CASES[where_]
    with Index.open(folder, **MAKER, write=False) as index:
        assert found(index, where) == messages


def test_other_documents_keep_the_day_of_their_own(folder: Path) -> None:
    with Index.open(folder, **MAKER) as index:
        near = index.dense(np.ones((1, DIM), np.float32), 99, Filter(since="2021", until="2021"))[0][0]
        titles = {p.source.title for p in index.passages(near.tolist())}
        assert titles == {"box", "d0", "d1", "d2"}
        index.note(several(1)[0][0].source.id, dated="1999-01-01")
        assert len(index.lexical("paper0", 9, Filter(until="2000"))) == 1


@pytest.mark.parametrize("damage", [
    "DELETE FROM days", "UPDATE days SET day = CAST('2023-01-01' AS BLOB) WHERE first = (SELECT min(first) FROM days)",
    "INSERT INTO days VALUES (1, 1, 1, CAST('2023-01-01' AS BLOB))",
])  # fmt: skip
@pytest.mark.parametrize("when", ["open", "closed"])
def test_days_that_do_not_hold_are_made_again(folder: Path, damage: str, when: str) -> None:
    if when == "closed":
        tamper(folder, damage)
    with Index.open(folder, **MAKER) as index:
        if when == "open":
            tamper(folder, damage)
            assert "the days of messages were made again from the passages" in index.check().repaired
        assert index.check().repaired == ()
        for where, messages in CASES:
            assert found(index, where) == messages


def test_they_are_made_for_another_embedder_too(folder: Path) -> None:
    def whole(document: Document) -> tuple[list[Passage], np.ndarray]:
        """A passage for each message."""
        spans = [m.span for m in document.marks] or [Span(0, len(document.text))]
        return [Passage.cut(document, span) for span in spans], np.ones((len(spans), 4), np.float32)

    maker = MAKER | {"embedder": "e2", "dim": 4}
    Index.remake(folder, **maker, make=whole)
    with Index.open(folder, **maker) as index:
        assert len(index.lexical("message", 9, Filter(until="2020"))) == 1
        assert len(index.lexical("message", 9, Filter(until="2021"))) == 3
        assert index.check().repaired == ()


def test_an_index_of_schema_3_becomes_what_today_would_have_made(folder: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "old", **MAKER) as index:
        for one in several(3):
            index.put(*one, dated="2021-07-09")
        index.put(*mailbox(dated=False), collection="mail")
        index.put(*made("late", ["after it"]), dated="2018-01-01")
    tamper(tmp_path / "old", "DROP TABLE days", "DROP TABLE spare", "UPDATE meta SET schema = 3")
    with Index.open(tmp_path / "old", **MAKER) as old, Index.open(folder, **MAKER) as new:
        assert old.fingerprint == new.fingerprint
        assert old.document(mailbox()[0].source.id) == mailbox()[0]
        report = old.check()
        assert (report.problems, report.repaired) == ((), ())
        for where, messages in CASES:
            assert found(old, where) == messages
