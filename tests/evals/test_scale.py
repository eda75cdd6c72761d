"""What the sizes are measured on: real texts first, edited copies after them, the rows that `put` would write."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.evals import scale
from rag.evals.grown import Base, base_of, grown, questions_of, texts_of
from rag.index import Index
from rag.types import Passage
from rag.vectors import Vectors

WORDS = "trees tariffs rivers bridges winters harbours letters clocks songs maps engines orchards coins gardens".split()


class Counting:
    """An embedder that counts words: 16 sums of hashed words, never all zero."""

    name = fingerprint = "counting"
    dim, window = 16, 256

    def passages(self, texts: Sequence[str]) -> Vectors:
        rows = np.full((len(texts), 16), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % 16] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    questions = passages

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "reading").mkdir()
    contexts = [
        " ".join(f"In {1900 + n} the {word} of place {n * m} were counted by hand and {n} were lost."
                 for m, word in enumerate(WORDS))
        for n in range(30)
    ]  # fmt: skip
    told = [
        {"id": str(n), "source": "s", "title": f"t{n}", "context": context, "question": f"How many {WORDS[n % 14]}?",
         "answers": [{"text": "1900", "start": 3}]}
        for n, context in enumerate(contexts)
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in told)
    (folder / "reading" / "some.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base_of(texts_of(data), Counting(), 40, tmp_path_factory.mktemp("base"), lambda *_: None)


def test_the_first_round_is_the_texts_themselves_and_the_next_ones_are_edited_copies(base: Base) -> None:
    first = len(base.vectors)
    made = list(grown(base, 2 * first + 1))
    assert sum(len(passages) for _, passages, _, _ in made) == 2 * first + 1
    assert [d.text for d, _, _, _ in made[:30]] == [piece.text for piece in base.pieces]
    assert np.array_equal(np.concatenate([v for _, _, v, _ in made[:30]]), base.vectors)
    for (old, passages, _, _), (new, copies, moved, _) in zip(made[:30], made[30:60], strict=True):
        assert old.source.id != new.source.id
        assert [len(p.text.split()) for p in passages] == [len(p.text.split()) for p in copies]
        for a, b in zip(passages, copies, strict=True):
            same = sum(x == y for x, y in zip(a.text.split(), b.text.split(), strict=True))
            assert 0.8 * len(a.text.split()) <= same <= len(a.text.split())
        assert np.allclose(np.linalg.norm(moved, axis=1), 1.0, atol=1e-6)
        assert all(copy == Passage.cut(new, copy.span) for copy in copies)
    assert sum(a[0].text != b[0].text for a, b in zip(made[:30], made[30:60], strict=True)) > 25
    assert 0.8 < base.likeness < 1.0
    again = list(grown(base, 2 * first + 1))
    assert [d.text for d, _, _, _ in again] == [d.text for d, _, _, _ in made]


def test_what_was_embedded_is_not_embedded_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = base_of(texts_of(data), Counting(), 40, tmp_path, lambda *_: None)
    monkeypatch.setattr(Counting, "passages", None)
    after = base_of(texts_of(data), Counting(), 40, tmp_path, lambda *_: None)
    assert np.array_equal(before.vectors, after.vectors)
    assert len(base_of(texts_of(data), Counting(), 40, tmp_path, lambda *_: None).pieces) == 30


def test_many_documents_in_one_transaction_are_the_rows_of_putting_each(base: Base, tmp_path: Path) -> None:
    maker: dict[str, Any] = {"embedder": "counting", "dim": 16}
    some = list(grown(base, 100))
    with Index.open(tmp_path / "one", **maker) as one, Index.open(tmp_path / "bulk", **maker) as many:
        for document, passages, vectors, collection in some:
            one.put(document, passages, vectors, collection=collection)
        scale.bulk(many, some)
        assert many.fingerprint == one.fingerprint
        assert many.collections() == one.collections()
        assert many.check().ok
        assert many.lexical("trees counted", 9) == one.lexical("trees counted", 9)


def test_a_small_size_is_measured_from_end_to_end(base: Base, data: Path, tmp_path: Path) -> None:
    asked = scale.Asked(questions_of(data, 10), Counting().questions(questions_of(data, 10)))
    place = scale.Place(tmp_path, 300, {"embedder": "counting", "dim": 16})
    told = scale.build(place, grown(base, 300))
    tenth = scale.truth(place, asked)
    told |= scale.search(place, asked, tenth)
    told |= scale.opening(place, asked, write=True)
    told |= scale.changing(place, base, asked)
    with place.open() as index:
        assert len(index) == 300, "what was added to be measured is gone again"
        for n, limit in enumerate(tenth["all"]):
            assert index.dense(asked.vectors[n][None], 10)[1][0, -1] == pytest.approx(limit, abs=1e-6)
    assert [told[f"recall@10, {name}"] for name in scale.FILTERS] == [1.0] * 4
    assert all(np.isfinite(list(told.values())))
    lines = scale.table({300: told}, base).splitlines()
    assert len(lines) == 5 + len(told)
    for goal in scale.GOALS:
        assert any(scale.re.fullmatch(goal, name) for name in told) or goal.startswith(r".*:")


def test_an_index_that_was_left_half_made_is_gone_on_with(base: Base, tmp_path: Path) -> None:
    places = [scale.Place(tmp_path / name, 100, {"embedder": "counting", "dim": 16}) for name in ("whole", "stopped")]
    scale.build(places[0], grown(base, 100))
    with places[1].open(write=True) as index:
        scale.bulk(index, list(grown(base, 100))[:3])
    scale.build(places[1], grown(base, 100))
    with places[0].open() as whole, places[1].open() as stopped:
        assert len(whole) == 100
        assert stopped.fingerprint == whole.fingerprint


def test_recall_counts_what_reaches_the_tenth_by_brute_force() -> None:
    found = [np.array([[0.9, 0.8, 0.2]], np.float32), np.array([[0.9, 0.8, 0.7]], np.float32)]
    assert scale._recall(found, [0.7, 0.7]) == pytest.approx(5 / 6)
