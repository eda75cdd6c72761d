"""Filters, collections, and indexes that an earlier version made."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from old_index import make_schema_2
from test_index import DIM, MAKER, Made, several, tamper

from rag.errors import IndexDamaged, IndexMismatch
from rag.filters import Filter
from rag.index import DEFAULT, Index, rows
from rag.types import Document, Mark, Passage, Source, Span

TYPES = ("text/plain", "text/markdown", "application/pdf")
DAYS = ("2023-12-31", "2024-01-01", "2024-02-29", "2025-07-01")
SETS = ("work", "home", DEFAULT)


def one(n: int) -> tuple[Document, list[Passage], Any]:
    """Document n of 36: each type on each day in each collection, once; three passages that hold the word common."""
    media, day = TYPES[n % 3], DAYS[n // 3 % 4]
    text = " ".join(f"common d{n} p{j}." for j in range(3))
    document = Document(Source.at(f"file:///{n}", f"{n}", media, day), text)
    ends = list(itertools.accumulate(len(f"common d{n} p{j}. ") for j in range(3)))
    passages = [Passage.cut(document, Span(0 if j == 0 else ends[j - 1], ends[j] - 1)) for j in range(3)]
    return document, passages, np.random.default_rng(n).standard_normal((3, DIM)).astype(np.float32)


def set_of(n: int) -> str:
    return SETS[n // 12]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Index.open(tmp_path_factory.mktemp("filters") / "index", **MAKER) as index:
        for n in range(36):
            index.put(*one(n), collection=set_of(n))
        yield index


IDS = {n: one(n)[0].source.id for n in range(36)}
CASES: list[tuple[Filter, Any]] = [
    (Filter(), lambda n: True),
    (Filter(types=("application/pdf",)), lambda n: n % 3 == 2),
    (Filter(types=("text/*",)), lambda n: n % 3 < 2),
    (Filter(types=("text/*", "application/pdf")), lambda n: True),
    (Filter(types=()), lambda n: False),
    (Filter(since="2024"), lambda n: n // 3 % 4 >= 1),
    (Filter(since="2024-01-01", until="2024-02-29"), lambda n: n // 3 % 4 in (1, 2)),
    (Filter(until="2024-02"), lambda n: n // 3 % 4 <= 2),
    (Filter(until="2024"), lambda n: n // 3 % 4 <= 2),
    (Filter(since="2024-02", until="2024-02"), lambda n: n // 3 % 4 == 2),
    (Filter(collections=("work",)), lambda n: n < 12),
    (Filter(collections=("work", DEFAULT, "nobody's")), lambda n: n < 12 or n >= 24),
    (Filter(sources=(IDS[3], IDS[30], "unknown")), lambda n: n in (3, 30)),
    (
        Filter(sources=tuple(IDS.values()), types=("text/plain",), since="2025", collections=("home",)),
        lambda n: n == 21,
    ),
]


@pytest.mark.parametrize(("where", "passes"), CASES, ids=[str(i) for i in range(len(CASES))])
@pytest.mark.parametrize("k", [1, 7, 1000])
def test_a_filtered_search_is_brute_force_over_what_passes(index: Index, where: Filter, passes: Any, k: int) -> None:
    wanted = {n for n in range(36) if passes(n)}
    query = np.random.default_rng(77).standard_normal((1, DIM)).astype(np.float32)
    unit = query[0] / np.linalg.norm(query)
    best = sorted(
        ((float(v @ unit / np.linalg.norm(v)), n, j) for n in wanted for j, v in enumerate(one(n)[2])), reverse=True
    )[:k]
    ids, cosines = index.dense(query, k, where)
    found = [(p.source.title, p.text[-2]) for p in index.passages(ids[0].tolist())]
    assert found == [(str(n), str(j)) for _, n, j in best]
    assert np.allclose(cosines[0], [c for c, _, _ in best], atol=1e-6)
    words = index.passages([id for id, _ in index.lexical("common", k, where)])
    assert len(words) == min(k, 3 * len(wanted))
    assert {int(p.source.title) for p in words} <= wanted


def test_a_word_too_common_in_the_whole_is_still_found_where_it_is_rare(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag import lexical

    monkeypatch.setattr(lexical, "MANY", 50)  # as if 108 passages were a large index
    assert len(index.lexical("common d3", 100)) == 3, "the commonest word is passed over"
    assert len(index.lexical("common d3", 100, Filter(collections=("work",)))) == 36, "36 passages are few"


@pytest.mark.parametrize("day", ["2024-13", "yesterday", "2024-1-1", "24", "2024-01-32", "2024-01-01T00:00"])
def test_what_is_no_day_is_no_filter(day: str) -> None:
    with pytest.raises(ValueError, match="is no day"):
        Filter(since=day)
    with pytest.raises(ValueError, match="is no day"):
        Filter(until=day)


def test_a_reader_follows_the_removal_of_many_at_once(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", **MAKER) as writer, Index.open(
        tmp_path / "index", **MAKER, write=False
    ) as reader:  # fmt: skip
        for n in range(9):
            writer.put(*one(n))
        assert len(reader.dense(one(0)[2], 100)[0][0]) == 27
        writer.remove(IDS[1], "unknown", IDS[5], IDS[7])
        for index in (writer, reader):
            ids, _ = index.dense(one(0)[2], 100)
            assert {p.source.title for p in index.passages(ids[0].tolist())} == set("023468")


# -- migration ---------------------------------------------------------------------------------------------------------


def headed(n: int) -> Made:
    """Several passages under a heading each, so that a key depends on it."""
    document, passages, vectors = several(n + 1)[n]
    marks = (Mark(Span(0, len(document.text)), "heading", f"Chapter {n}", 1), Mark(Span(0, 5), "page", "p. 1"))
    whole = Document(document.source, document.text, marks)
    return whole, [Passage.cut(whole, p.span) for p in passages], vectors


@pytest.fixture
def old(tmp_path: Path) -> Path:
    make_schema_2(tmp_path / "index", MAKER, [headed(n) for n in range(20)])
    return tmp_path / "index"


def test_an_index_of_schema_2_becomes_what_today_would_have_made(old: Path, tmp_path: Path) -> None:
    with Index.open(old, **MAKER) as index, Index.open(tmp_path / "new", **MAKER) as new:
        for n in range(20):
            new.put(*headed(n), digest="digest", dated=f"1970-01-{n + 2:02}")
        assert index.check().ok
        assert index.check().repaired == ()
        assert [(r.source, r.digest, r.dated, r.collection) for r in index.sources()] == [
            (r.source, r.digest, r.dated, r.collection) for r in new.sources()
        ]
        for n in range(20):
            assert index.document(headed(n)[0].source.id) == headed(n)[0]
            assert index.passages(index.dense(headed(n)[2], 1)[0][:, 0].tolist()) == headed(n)[1]
            assert len(index.vectors_of([index.key(p) for p in headed(n)[1]])) == len(headed(n)[1])
            assert index.lexical(f"paper{n}", 9) == new.lexical(f"paper{n}", 9)
        assert len(index.lexical("passage", 99, Filter(since="1970-01-03", until="1970-01-03"))) == 2
    schemas = []
    for folder in (old, tmp_path / "new"):
        con = sqlite3.connect(folder / "store.db")
        schemas.append(sorted(con.execute("SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()))
        assert con.execute("SELECT schema FROM meta").fetchone() == (rows.SCHEMA_VERSION,)
        con.close()
    assert schemas[0] == schemas[1]


def test_a_number_that_a_deleted_document_had_is_not_given_again(old: Path) -> None:
    with Index.open(old, **MAKER) as index:
        index.put(*one(0))
    con = sqlite3.connect(old / "store.db")
    assert con.execute("SELECT max(id) FROM documents").fetchone() == (1000,)
    con.close()


def test_an_older_schema_is_not_read_but_named_with_its_cure(old: Path) -> None:
    with pytest.raises(IndexMismatch, match=r"older version \(schema 2, now 4\)") as error:
        Index.open(old, **MAKER, write=False)
    assert "rag check --index" in error.value.hint
    Index.open(old, **MAKER).close()
    Index.open(old, **MAKER, write=False).close()


def test_an_older_index_of_another_maker_is_refused_and_not_migrated(old: Path) -> None:
    before = (old / "store.db").read_bytes()
    for write in (True, False):
        with pytest.raises(IndexMismatch, match="r2") as error:
            Index.open(old, **(MAKER | {"rules": "r2"}), write=write)
        assert "rag reindex" in error.value.hint
    assert (old / "store.db").read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE documents SET text = replace(CAST(text AS TEXT), 'paper7', 'paper8') WHERE id = 8",
        "UPDATE documents SET stat = x'00' WHERE id = 8",
        "UPDATE documents SET about = x'ff' WHERE id = 8",
        "UPDATE passages SET start = start + 1 WHERE document = 8",
        "UPDATE passages SET start = 'x' WHERE document = 8",
        "UPDATE vectors SET row = zeroblob(64) WHERE id = 17",
    ],
)
def test_what_was_damaged_before_a_migration_is_found_damaged_after_it(old: Path, damage: str) -> None:
    tamper(old, damage, seal=True)
    with pytest.raises(IndexDamaged, match="rag check"):
        Index.open(old, **MAKER)
    report = Index.mend(old, **MAKER)
    assert report.ok
    assert any("taken out" in line for line in report.repaired)
    with Index.open(old, **MAKER) as index:
        assert len(index.sources()) == 19


def test_a_migration_that_fails_leaves_the_old_index(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag.index import migrate

    def failing(con: sqlite3.Connection) -> None:
        migrate._to_4(con)
        raise RuntimeError("in the middle")

    monkeypatch.setattr(migrate, "STEPS", migrate.STEPS | {3: failing})
    with pytest.raises(RuntimeError):
        Index.open(old, **MAKER)
    monkeypatch.undo()
    con = sqlite3.connect(old / "store.db")
    assert con.execute("SELECT schema FROM meta").fetchone() == (2,)
    con.close()
    with Index.open(old, **MAKER) as index:
        assert index.check().ok
        assert len(index.sources()) == 20
