"""The laws of every keeper, run over each of them: what is put is there, whole, exact, and of one moment."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from milvus_server import Server, Standalone, dropped, elsewhere
from test_index import DIM, MAKER, made, several
from test_index_days import CASES as DAYS
from test_index_days import found as messages_of
from test_index_days import mailbox
from test_index_filters import CASES, IDS, one, set_of

from rag.errors import IndexBusy, IndexError_, IndexMismatch, IndexMissing
from rag.filters import Filter
from rag.index import DEFAULT, CollectionRow, Index, Milvus, SourceRow
from rag.index.milvus import right
from rag.types import Document, Mark, Passage, Source, Span


@dataclass(frozen=True)
class Open:
    """Opens the index of one test, as often as it likes."""

    place: Path | Milvus

    def __call__(self, **changed: Any) -> Index:
        return Index.open(self.place, **{**MAKER, **changed})


def with_milvus() -> None:
    for library in ("pymilvus", "milvus_lite"):
        pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with_milvus()
    server = Server(tmp_path_factory.mktemp("server") / "data")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    pytest.importorskip("milvus", reason="no standalone server is installed (pip install milvus==2.3.5)")
    server = Standalone(tmp_path_factory.mktemp("standalone"))
    yield server
    server.stop()


names = itertools.count()


@pytest.fixture(params=["local", "milvus file", "milvus server", "milvus standalone", "$MILVUS_URI"])
def open_(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    if request.param == "local":
        yield Open(tmp_path / "index")
        return
    with_milvus()
    if request.param == "milvus file":
        yield Open(Milvus.at(f"milvus:{tmp_path}/index.db"))
        return
    name = f"law{os.getpid()}x{next(names)}"
    if request.param == "$MILVUS_URI":
        place = elsewhere(name)
    else:
        monkeypatch.setattr(right, "WAIT_S", 0.2)  # nothing else asks these
        port = request.getfixturevalue(request.param.split()[1]).port
        place = Milvus.at(f"milvus://127.0.0.1:{port}/{name}")
    yield Open(place)
    dropped(place)


@pytest.fixture
def index(open_: Open) -> Any:
    with open_() as index:
        yield index


def texts_of(index: Index, ids: Any) -> list[str]:
    return [p.text for p in index.passages([int(id) for id in ids])]


def test_what_is_put_is_found_by_meaning_by_word_and_by_name(index: Index) -> None:
    marks = Mark(Span(0, 32), "heading", "News", 1), Mark(Span(0, 32), "page", "p. 1")
    document, bare, vectors = made("a", ["Japan gives trees.", "Tariffs rose."], marks=marks)
    passages = [Passage.cut(document, p.span) for p in bare]
    assert index.put(document, passages, vectors, digest="abc", stat="1:2") is False
    ids, cosines = index.dense(vectors, 1)
    assert cosines[:, 0].tolist() == [1.0, 1.0]
    assert index.passages(ids[:, 0].tolist()) == passages
    assert index.passages([id for id, _ in index.lexical("tariff", 5)]) == [passages[1]]
    assert {*texts_of(index, [id for id, _ in index.lexical("news", 5)])} == {p.text for p in passages}, "by heading"
    row = index.find(document.source.id)
    assert row is not None
    assert row == SourceRow(document.source, "abc", "1:2", 2, len(document.text), row.added, row.dated)
    assert index.sources() == [row]
    assert index.document(document.source.id) == document
    assert len(index) == 2
    assert index.writable


def test_dense_search_is_brute_force_over_everything_that_was_put(index: Index) -> None:
    everything = [(p, v) for _, passages, vectors in several(24) for p, v in zip(passages, vectors, strict=True)]
    for document, passages, vectors in several(24):
        index.put(document, passages, vectors)
    for query in np.random.default_rng(5).standard_normal((3, DIM)).astype(np.float32):
        unit = query / np.linalg.norm(query)
        wanted = sorted(((float(v @ unit / np.linalg.norm(v)), p.text) for p, v in everything), reverse=True)[:10]
        ids, cosines = index.dense(query[None], 10)
        assert texts_of(index, ids[0]) == [text for _, text in wanted]
        assert np.allclose(cosines[0], [c for c, _ in wanted], atol=1e-6)
    assert index.dense(several(1)[0][2], 10_000)[0].shape == (1, len(everything)), "k > n gives n"


def bm25(texts: list[list[str]], query: list[str]) -> list[float]:
    """The formula (Robertson and Zaragoza, 2009), k1 = 1.2, b = 0.75, a word at a time."""
    mean = sum(map(len, texts)) / len(texts)
    scores = [0.0] * len(texts)
    for word in query:
        n = sum(word in text for text in texts)
        idf = max(math.log((len(texts) - n + 0.5) / (n + 0.5)), 1e-6)
        for at, text in enumerate(texts):
            f = text.count(word)
            scores[at] += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * len(text) / mean))
    return scores


def test_lexical_search_is_the_formula_over_everything_that_was_put(index: Index) -> None:
    words = "tree japan rice steel port ship tax law bank road".split()
    numbers = np.random.default_rng(3)
    texts = [[words[w] for w in numbers.integers(0, len(words), size=numbers.integers(2, 9))] for _ in range(40)]
    for at in range(0, 40, 4):
        index.put(*made(f"d{at}", [" ".join(text) for text in texts[at : at + 4]]))
    for query in (["tree"], ["rice", "steel"], ["port", "law", "bank"]):
        scores = bm25(texts, query)
        found = index.lexical(" ".join(query), 40)
        texts_found = texts_of(index, [id for id, _ in found])
        got = sorted((round(score, 6), text) for (_, score), text in zip(found, texts_found, strict=True))
        want = sorted((round(s, 6), " ".join(t)) for s, t in zip(scores, texts, strict=True) if s > 0)
        assert got == want
        assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
    assert len(index.lexical("tree", 2)) == 2
    assert index.lexical("zebra", 5) == []
    assert index.lexical("?", 5) == []


def test_a_word_is_found_in_any_of_its_forms_and_words_of_one_sign_in_a_row(index: Index) -> None:
    index.put(*made("a", ["Nations were running café ports.", "Don't sign snake_case.", "東京の桜", "zebras"]))
    for query, text in {
        "runs": "Nations were running café ports.", "CAFE": "Nations were running café ports.",
        "don't": "Don't sign snake_case.", "case": "Don't sign snake_case.", "東京": "東京の桜", "zebra": "zebras",
    }.items():  # fmt: skip
        assert texts_of(index, [id for id, _ in index.lexical(query, 5)]) == [text], query
    assert index.lexical("桜東", 5) == [], "these signs stand there, but not in this order"


def test_both_searches_at_once_find_what_each_finds(index: Index) -> None:
    for n in range(12):
        index.put(*one(n), collection=set_of(n))
    query = np.random.default_rng(77).standard_normal((1, DIM)).astype(np.float32)
    for where in (None, Filter(types=("text/plain",)), Filter(sources=())):
        (ids, cosines), words = index.both(query, "common d3", 9, where)
        assert words == index.lexical("common d3", 9, where)
        assert np.array_equal(ids, index.dense(query, 9, where)[0])
        assert np.array_equal(cosines, index.dense(query, 9, where)[1])


def test_a_filter_by_date_goes_by_the_day_of_each_message(index: Index) -> None:
    for one_ in several(3):
        index.put(*one_, dated="2021-07-09")
    document, passages, vectors = mailbox()
    index.put(document, passages, vectors, collection="mail")
    for where, messages in DAYS:
        assert messages_of(index, where) == messages
    assert len(index.lexical("paper0", 9, Filter(until="2021"))) == 1, "other documents have their own"
    assert index.check().ok
    later = replace(document, marks=tuple(replace(m, date="2016-06-06") for m in document.marks))
    index.put(later, passages, vectors)
    assert messages_of(index, Filter(until="2016")) == {0, 1, 2, 3, 4}
    assert messages_of(index, Filter(since="2019", until="2024")) == set()
    assert index.document(document.source.id) == later
    index.remove(document.source.id)
    assert index.lexical("message", 9, Filter(until="2016")) == []
    assert index.check().ok


def test_idf_is_the_formula(index: Index) -> None:
    index.put(*made("a", ["trees and trees", "a tree", "no wood", "cherry tree", "tree cherry"]))
    wanted = [math.log(1 + (5 - n + 0.5) / (n + 0.5)) for n in (4, 1, 0, 0)]
    assert index.idf(["Trees", "wood", "zebra", "?"]) == pytest.approx(wanted)
    assert index.idf(["cherry tree"]) == pytest.approx([math.log(1 + 4.5 / 1.5)])
    index.put(*made("b", ["zebra"]))
    assert index.idf(["zebra"]) == pytest.approx([math.log(1 + 5.5 / 1.5)])


def test_a_new_version_takes_the_place_of_the_old_and_an_id_never_means_another_passage(index: Index) -> None:
    for other in several(3):
        index.put(*other)
    old, new = made("a", ["the old words", "stay"], 1), made("a", ["the new words", "stay"], 2)
    assert index.put(*old) is False
    before = dict.fromkeys(id for id, _ in index.lexical("old stay", 9))
    assert index.put(*new) is True
    assert index.lexical("old", 9) == []
    assert index.idf(["old"]) == index.idf(["neverseen"])
    assert not set(before) & {id for id, _ in index.lexical("new stay", 9)}
    assert index.document(old[0].source.id) == new[0]
    assert len(index) == sum(len(one[1]) for one in several(3)) + 2
    index.put(*old)
    assert index.document(old[0].source.id) == old[0], "and back again"
    assert sorted(texts_of(index, [id for id, _ in index.lexical("old new stay", 9)])) == ["stay", "the old words"]
    assert index.check().ok


def test_remove_takes_away_every_trace_of_many_at_once(index: Index) -> None:
    for each in several(6):
        index.put(*each)
    gone = several(6)[3]
    assert index.remove(gone[0].source.id, "unknown", several(6)[1][0].source.id) is True
    assert index.remove(gone[0].source.id) is False
    assert index.find(gone[0].source.id) is None
    assert index.lexical("paper3", 9) == []
    ids, _ = index.dense(gone[2], 100)
    assert {p.source.title for p in index.passages(ids[0].tolist())} == {"d0", "d2", "d4", "d5"}
    assert index.idf(["paper3"]) == index.idf(["neverseen"])
    with pytest.raises(KeyError):
        index.document(gone[0].source.id)
    index.put(*gone)
    assert index.document(gone[0].source.id) == gone[0]
    assert len(index.lexical("paper3", 9)) == 4


@pytest.mark.parametrize(
    "text", ["a\0b \ud800 \udc00 c", "\ud83d\ude00 apart", "\U0001f600", "\u202e", "\r\n\x1f", "é", '"\\']
)
def test_whatever_a_document_holds_comes_back_as_it_was(open_: Open, text: str) -> None:
    marks = Mark(Span(0, 1), "heading", text, 2), Mark(Span(0, 1), "message", text, date="2024-02-29")
    document = Document(Source.at(f"file:///{text}", text, "text/x"), text, marks)
    passage = Passage.cut(document, Span(0, len(text)))
    with open_() as index:
        index.put(document, [passage], np.ones((1, DIM), np.float32), digest="d", stat="s", collection=text)
    with open_() as index:
        assert index.document(document.source.id) == document
        assert index.passages(index.dense(np.ones((1, DIM), np.float32), 1)[0][0].tolist()) == [passage]
        assert index.sources()[0].source == document.source
        assert index.collections() == [CollectionRow(text, 1, 1)]
        assert index.remove(document.source.id)
        assert index.check().ok


def test_the_contents_of_a_document_are_all_that_was_put(open_: Open) -> None:
    marks = (Mark(Span(0, 3), "heading", "One", 1),)
    document, bare, vectors = made("a", [f"{n} words" for n in range(250)], marks=marks)
    passages = [Passage.cut(document, p.span) for p in bare]
    none = Document(Source.at("file:///none", "none"), "")
    with open_() as index:
        index.put(document, passages, vectors, dated="2020-02-02", collection="c", added=86_400.5)
        index.put(none, [], np.empty((0, DIM), np.float32))
        assert index.contents(none.source.id)[2].shape == (0, DIM)
    assert Index.maker(open_.place) == (MAKER["embedder"], DIM, MAKER["rules"])
    with open_(write=False) as index:
        found = index.contents(document.source.id)
        assert found[:2] == (document, passages)
        assert np.array_equal(found[2], vectors)
        assert found[2].dtype == np.float32
        row = index.find(document.source.id)
        assert row is not None
        assert (row.added, row.dated, row.collection) == (86_400.5, "2020-02-02", "c")
        with pytest.raises(KeyError):
            index.contents("unknown")


def test_a_long_text_comes_back_character_for_character(open_: Open) -> None:
    text = "".join(f"{n} né 桜 \U0001f600. " for n in range(9_000))  # more than one field of any engine holds
    document = Document(Source.at("file:///long", "long"), text)
    passages = [Passage.cut(document, Span(at, at + 50)) for at in (0, 16_000 - 7, len(text) - 50)]
    with open_() as index:
        index.put(document, passages, np.eye(3, DIM, dtype=np.float32))
    with open_(write=False) as index:
        assert index.document(document.source.id) == document
        assert index.passages(index.dense(np.eye(3, DIM, dtype=np.float32), 1)[0][:, 0].tolist()) == passages


def test_a_document_without_passages_is_kept_and_found_by_name_only(index: Index) -> None:
    document = Document(Source.at("file:///empty", "empty"), "")
    index.put(document, [], np.empty((0, DIM), np.float32))
    assert index.document(document.source.id) == document
    assert index.dense(np.ones((1, DIM), np.float32), 3)[0].shape == (1, 0)
    assert index.check().ok


def test_what_does_not_belong_together_is_refused_and_changes_nothing(index: Index) -> None:
    document, passages, vectors = made("a", ["one", "two"])
    before, nan = index.fingerprint, vectors.copy()
    nan[1, 3] = np.nan
    for args, says in (
        ((document, passages, vectors[:1]), "1 vectors for 2 passages"),
        ((document, passages, vectors[:, 1:]), r"shape \(n, 16\)"),
        ((document, passages, nan), "row 1 holds NaN"),
        ((document, passages, 0 * vectors), "row 0 is all zeros"),
        ((document, made("b", ["one", "two"])[1], vectors), "was not cut from"),
    ):
        with pytest.raises(ValueError, match=says):
            index.put(*args)
    assert index.fingerprint == before
    assert len(index) == 0


def test_unchanged_passages_keep_their_vectors(index: Index) -> None:
    old, new = made("a", ["one", "two", "three"]), made("a", ["two", "four", "three"])
    index.put(*old)
    known = index.vectors_of([index.key(p) for p in new[1]])
    assert [index.key(p) in known for p in new[1]] == [True, False, True]
    assert np.array_equal(known[index.key(new[1][0])], old[2][1])
    assert index.vectors_of([]) == {}


def test_what_is_laid_by_is_known_until_it_is_forgotten_and_is_no_part_of_the_index(open_: Open) -> None:
    _, passages, vectors = made("a", ["one", "two"])
    with open_() as index:
        index.put(*several(2)[1])
        keys, before = [index.key(p) for p in passages], (index.fingerprint, len(index))
        index.lay_by(dict(zip(keys, vectors, strict=True)))
        assert before == (index.fingerprint, len(index))
        assert index.check().ok
    with open_() as index:
        known = index.vectors_of(keys)
        assert all(
            np.array_equal(known[key], vector) for key, vector in zip(keys, vectors, strict=True) if key in known
        )
        assert not known or set(known) == set(keys), "a keeper need not"
        index.lay_by({})
        assert index.vectors_of(keys) == {}


def test_what_is_noted_leaves_the_content(index: Index) -> None:
    each = several(1)[0]
    index.put(*each, digest="d", stat="old")
    before = index.fingerprint
    index.note(each[0].source.id, stat="new", dated="2020-01-02", collection="c")
    row = index.find(each[0].source.id)
    assert row is not None
    assert (row.digest, row.stat, row.dated, row.collection) == ("d", "new", "2020-01-02", "c")
    assert index.fingerprint == before
    assert index.document(each[0].source.id) == each[0]
    with pytest.raises(KeyError):
        index.note("unknown", stat="new")


def test_the_fingerprint_changes_with_anything_stored_and_is_the_same_in_any_order(open_: Open) -> None:
    with open_() as index:
        seen = [index.fingerprint]
        for each in several(3):
            index.put(*each)
            seen.append(index.fingerprint)
        index.remove(several(3)[1][0].source.id)
        seen.append(index.fingerprint)
        index.put(*several(3)[1])
    assert len(set(seen)) == 5
    with open_(write=False) as index:
        assert len(index.fingerprint) == 16


def test_a_filter_lets_through_what_passes_and_nothing_else(index: Index) -> None:
    for n in range(36):
        index.put(*one(n), collection=set_of(n))
    query = np.random.default_rng(77).standard_normal((1, DIM)).astype(np.float32)
    unit = query[0] / np.linalg.norm(query)
    for where, passes in CASES:
        wanted = {n for n in range(36) if passes(n)}
        best = sorted(
            ((float(v @ unit / np.linalg.norm(v)), n, j) for n in wanted for j, v in enumerate(one(n)[2])), reverse=True
        )[:7]
        ids, _ = index.dense(query, 7, where)
        assert [(p.source.title, p.text[-2]) for p in index.passages(ids[0].tolist())] == [
            (str(n), str(j)) for _, n, j in best
        ], where
        words = index.passages([id for id, _ in index.lexical("common", 1000, where)])
        assert sorted(int(p.source.title) for p in words) == sorted(3 * list(wanted)), where
    assert index.dense(query, 5, Filter(sources=()))[0].shape == (1, 0)
    assert index.lexical("common", 5, Filter(sources=())) == []


def test_collections_are_counted_renamed_joined_and_removed(index: Index) -> None:
    for n, name in enumerate(("work", "work", "home", None)):
        index.put(*one(n), collection=name)
    rows = [CollectionRow(DEFAULT, 1, 3), CollectionRow("home", 1, 3), CollectionRow("work", 2, 6)]
    assert index.collections() == rows
    before = index.fingerprint
    assert index.rename_collection("work", "home") == 2
    assert index.rename_collection("work", "home") == 0
    assert index.collections() == [CollectionRow(DEFAULT, 1, 3), CollectionRow("home", 3, 9)]
    assert index.fingerprint == before
    index.put(*one(0))
    assert {r.collection for r in index.sources() if r.source.title == "0"} == {"home"}, "a new version stays there"
    index.note(IDS[3], collection="a\ud800\0b")
    assert index.collections()[0] == CollectionRow("a\ud800\0b", 1, 3)
    assert len(index.lexical("common", 9, Filter(collections=("a\ud800\0b",)))) == 3
    assert index.remove(*(IDS[n] for n in (0, 1, 2)))
    assert [row.name for row in index.collections()] == ["a\ud800\0b"]


def test_what_was_acknowledged_is_there_after_a_close(open_: Open) -> None:
    with open_() as index:
        for each in several(12):
            index.put(*each)
        index.remove(several(12)[2][0].source.id)
        index.put(*made("d3", ["another text of paper3"]))
        before = index.sources(), index.fingerprint, index.dense(several(12)[7][2], 5), index.lexical("paper7", 5)
    for write in (True, False):
        with open_(write=write) as index:
            after = index.sources(), index.fingerprint, index.dense(several(12)[7][2], 5), index.lexical("paper7", 5)
            assert str(before) == str(after)
            assert index.check().ok


# -- who may open it ---------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_read_where_nothing_was_made(open_: Open) -> None:
    for _ in range(2):
        with pytest.raises(IndexMissing, match="no index"):
            open_(write=False)
        with pytest.raises(IndexMissing, match="no index"):
            Index.maker(open_.place)


@pytest.mark.parametrize("changed", [{"embedder": "mini@2"}, {"dim": 8}, {"rules": "r2"}])
def test_another_maker_is_refused_with_both_names(open_: Open, changed: dict[str, Any]) -> None:
    open_().close()
    for write in (True, False):
        with pytest.raises(IndexMismatch) as error:
            open_(**changed, write=write)
        (key, value), message = next(iter(changed.items())), str(error.value)
        assert str(value) in message
        assert str(MAKER[key]) in message
        assert error.value.hint
    open_().close()


def test_one_writes_and_any_number_read(open_: Open) -> None:
    with open_() as writer:
        with pytest.raises(IndexBusy, match="held by"):
            open_()
        with open_(write=False) as a, open_(write=False) as b:
            for each in several(5):
                writer.put(*each)
                assert len(a) == len(b) == len(writer)
                for reader in (a, b):
                    assert reader.passages(reader.dense(each[2], 1)[0][:, 0].tolist()) == each[1]
            writer.remove(several(5)[2][0].source.id)
            assert np.array_equal(a.dense(each[2], 50)[0], writer.dense(each[2], 50)[0])
            with pytest.raises(IndexError_, match="reading only"):
                a.put(*each)
            assert not a.writable
    open_().close()


def test_a_closed_index_says_so(open_: Open) -> None:
    index = open_()
    index.close()
    index.close()
    for act in (lambda: len(index), lambda: index.put(*several(1)[0]), index.sources):
        with pytest.raises(IndexError_, match="closed"):
            act()


def test_a_search_while_another_writes_sees_one_moment(open_: Open) -> None:
    """Each version of a document has six passages: whoever searches finds all six of one version of each."""
    with open_() as writer, open_(write=False) as reader:
        stop, wrong, looks = threading.Event(), [], []

        def look() -> None:
            while not stop.is_set():
                with reader.reading():
                    texts = texts_of(reader, [id for id, _ in reader.lexical("common", 1000)])
                    near = texts_of(reader, reader.dense(np.ones((1, DIM), np.float32), 1000)[0][0])
                looks.append(len(texts))
                versions = {tuple(text.split()[1:3]) for text in texts}
                torn = len({document for document, _ in versions}) != len(versions) or len(texts) != 6 * len(versions)
                if torn or sorted(texts) != sorted(near):
                    wrong.append((sorted(texts), sorted(near)))

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for n in range(16):
            writer.put(*made(f"d{n % 3}", [f"common d{n % 3} v{n} p{j}" for j in range(6)], n))
            if n % 7 == 6:
                writer.remove(Source.at(f"file:///d{n % 3}", "").id)
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert looks


def test_in_one_moment_nothing_that_another_writes_counts(open_: Open) -> None:
    with open_() as writer, open_(write=False) as reader:
        writer.put(*made("a", ["one tree", "two"], 1))
        with reader.reading():
            assert len(reader) == 2
            writer.put(*made("b", ["zebra", "zebra", "zebra tree"], 2))
            assert reader.idf(["zebra", "tree"]) == pytest.approx([math.log(1 + 2.5 / 0.5), math.log(1 + 1.5 / 1.5)])
            assert len(reader.lexical("zebra tree", 9)) == 1
        assert reader.idf(["zebra"]) == pytest.approx([math.log(1 + 2.5 / 3.5)])


def test_a_thread_that_reads_cannot_change_and_is_told_so(index: Index) -> None:
    with index.reading(), pytest.raises(RuntimeError, match="reading"):
        index.put(*several(1)[0])
    index.put(*several(1)[0])


def test_several_threads_may_put_at_once(index: Index) -> None:
    work = several(12)

    def put(part: int) -> None:
        for each in work[part::3]:
            index.put(*each)

    threads = [threading.Thread(target=put, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.source for row in index.sources()} == {each[0].source for each in work}
    assert index.check().ok
    for each in work:
        assert index.passages(index.dense(each[2], 1)[0][:, 0].tolist()) == each[1]


# -- another embedder --------------------------------------------------------------------------------------------------


def test_it_is_made_anew_for_another_embedder_from_its_own_texts(open_: Open) -> None:
    with open_() as index:
        for each in several(5):
            index.put(*each, digest="d", collection="c")
        rows = index.sources()
    told: list[tuple[int, int]] = []

    def make(document: Document) -> tuple[list[Passage], Any]:
        return [Passage.cut(document, Span(0, len(document.text)))], np.full((1, 4), len(document.text), np.float32)

    def again() -> int:
        maker = MAKER | {"embedder": "e2", "dim": 4}
        return Index.remake(open_.place, **maker, make=make, progress=lambda *n: told.append(n))

    assert again() == 5
    assert told[-1] == (5, 5)
    assert again() == 0
    with pytest.raises(IndexMismatch):
        open_(write=False)
    with open_(embedder="e2", dim=4) as index:
        assert len(index) == 5
        assert [(r.source, r.digest, r.collection, r.passages) for r in index.sources()] == [
            (r.source, r.digest, r.collection, 1) for r in rows
        ]
        assert index.document(rows[0].source.id) == next(d for d, _, _ in several(5) if d.source == rows[0].source)
        assert len(index.lexical("paper3", 9)) == 1
        assert index.check().ok
