"""What is true of the keeper on Milvus beside the laws: how it is named, what a torn write leaves, what is swept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_index import MAKER, made, several

from rag.config import Config
from rag.errors import ConfigError, IndexBusy, IndexError_, IndexMissing
from rag.index import Index, Milvus
from rag.index.milvus import texts, view, words, writing
from rag.library import Library


@pytest.fixture
def place(tmp_path: Path) -> Milvus:
    for library in ("pymilvus", "milvus_lite"):
        pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
    return Milvus.at(f"milvus:{tmp_path}/index.db")


# -- how it is named ---------------------------------------------------------------------------------------------------


def test_an_address_names_a_server_or_a_file() -> None:
    server = Milvus.at("milvus://db:19530/papers", database="d", token="user:secret")
    assert (server.uri, server.name, server.database, server.file) == ("http://db:19530", "papers", "d", None)
    assert Milvus.at("milvus+tls://db:19530/papers").uri == "https://db:19530"
    assert Milvus.at("milvus:a/b.db").file == "a/b.db"
    assert str(Milvus.at("milvus:a/b.db")) == "milvus:a/b.db"


@pytest.mark.parametrize("address", ["milvus://db:19530", "milvus:file", "milvus://u:secret@db/x", "milvus://db/x-y"])
def test_what_is_no_address_is_refused_without_repeating_a_password(address: str) -> None:
    with pytest.raises(ConfigError, match="milvus://host:19530/name") as error:
        Milvus.at(address)
    assert "secret" not in str(error.value)


def test_the_token_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_MILVUS_TOKEN", "user:secret")
    config = Config.load({"index.place": "milvus://db:19530/papers", "index.timeout_s": 3})
    place = Library(Path("index"), config).place
    assert isinstance(place, Milvus)
    assert (place.token, place.timeout_s) == ("user:secret", 3.0)
    assert "secret" not in f"{place} {place!r} {config!r}"


def test_a_server_that_does_not_answer_is_named_without_its_token() -> None:
    pytest.importorskip("pymilvus", reason="pymilvus is not installed (the extra [milvus])")
    with pytest.raises(IndexError_, match=r"milvus://127\.0\.0\.1:9/papers") as error:
        Index.open(Milvus.at("milvus://127.0.0.1:9/papers", token="user:secret", timeout_s=1), **MAKER)
    assert "secret" not in str(error.value)


def test_reading_makes_no_file(place: Milvus) -> None:
    config = Config.load({"index.place": str(place)})
    with Library(Path("nowhere"), config) as library, pytest.raises(IndexMissing, match="rag add"):
        library.require()
    assert place.file is not None
    assert not Path(place.file).exists()


def test_another_process_is_told_that_the_file_is_taken_and_gets_it_after_the_close(place: Milvus) -> None:
    code = f"""
from rag.errors import IndexBusy
from rag.index import Index, Milvus
try: print(len(Index.open(Milvus.at({str(place)!r}), **{MAKER!r}, write=False)))
except IndexBusy as error: print(error)
"""

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with Index.open(place, **MAKER) as index:
        index.put(*made("a", ["one", "two"]))
        assert "another process" in other()
    assert other() == "2\n"


# -- strings and words -------------------------------------------------------------------------------------------------


def test_no_piece_of_a_text_is_longer_than_a_server_takes() -> None:
    document = made("a", ["\U0001f600" * 50_000])[0]
    assert max(len(piece.encode("utf-8")) for piece in texts.pieces(document)) <= 65_535
    assert texts.joined(document.source, texts.pieces(document)) == document


def test_words_are_sent_as_ascii_that_no_analyser_takes_apart() -> None:
    found = words.sent(["tree", "é", "京", "0xab"]).split()
    assert all(word.isascii() and word.isalnum() for word in found)
    assert len(set(found)) == 4
    assert found[0] == "tree"


# -- torn writes, and what is swept ------------------------------------------------------------------------------------


def rows_of(index: Any, what: str) -> int:
    return int(index._shelf.engine.count(getattr(index._shelf, what), ""))


@pytest.mark.parametrize("request_", range(4))
def test_a_document_whose_writing_was_cut_short_is_never_seen_and_is_swept(
    place: Milvus, monkeypatch: pytest.MonkeyPatch, request_: int
) -> None:
    """Of the four requests that store a document (begun, text, passages, done), some number is made, then no more."""
    old, new = made("a", ["the old words", "stay"], 1), made("a", ["the new words", "stay", "more"], 2)
    index: Any = Index.open(place, **MAKER)
    index.put(*old)
    before = index.fingerprint
    real, left = index._shelf.engine.upsert, [request_]

    def cut(what: str, rows: Any) -> None:
        if not left[0]:
            raise IndexError_("the line is dead")
        left[0] -= 1
        real(what, rows)

    monkeypatch.setattr(index._shelf.engine, "upsert", cut)
    with pytest.raises(IndexError_, match="dead"):
        index.put(*new)
    monkeypatch.undo()
    index.close()
    monkeypatch.setattr(writing, "GRACE_S", -1.0)
    with Index.open(place, **MAKER) as again:
        assert again.fingerprint == before
        assert again.document(old[0].source.id) == old[0]
        assert again.lexical("new", 9) == []
        assert again.idf(["new", "stay"]) == pytest.approx(again.idf(["neverseen", "old"]))
        assert again.dense(new[2], 9)[0].shape == (3, 2)
        again.flush()
        assert rows_of(again, "passages") == 2
        assert rows_of(again, "texts") == 1
        again.put(*new)
        assert again.document(old[0].source.id) == new[0]
        assert again.check().ok


def test_what_went_can_be_fetched_by_who_found_it_and_is_swept_later(
    place: Milvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = made("a", ["the old words"], 1), made("a", ["the new words"], 2)
    with Index.open(place, **MAKER) as writer, Index.open(place, **MAKER, write=False) as reader:
        writer.put(*old)
        with reader.reading():
            ids = [id for id, _ in reader.lexical("old", 9)]
            writer.put(*new)
            assert reader.passages(ids) == old[1]
            assert reader.lexical("new", 9) == []
        assert texts_found(reader, "new") == ["the new words"]
        assert reader.lexical("old", 9) == []
        assert rows_of(writer, "passages") == 2
        monkeypatch.setattr(writing, "GRACE_S", -1.0)
        writer.flush()
        assert rows_of(writer, "passages") == 1
        with pytest.raises(KeyError):
            reader.passages(ids)


def texts_found(index: Index, query: str) -> list[str]:
    return [p.text for p in index.passages([id for id, _ in index.lexical(query, 9)])]


def test_a_reader_with_more_changes_to_read_than_one_answer_holds_misses_none(
    place: Milvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(place, **MAKER) as writer, Index.open(place, **MAKER, write=False) as reader:
        for each in several(6):
            writer.put(*each)
        writer.remove(several(6)[2][0].source.id)
        monkeypatch.setattr(view, "MOST", 4)
        assert reader.sources() == writer.sources()
        assert len(reader.sources()) == 5


# -- damage ------------------------------------------------------------------------------------------------------------

DAMAGE = {
    "a passage is missing": ("passages", None, True),
    "a span": ("passages", ("end", 3), True),
    "a vector": ("passages", ("vector", [1.0] * 16), True),
    "a day": ("passages", ("day", "2020-02-02"), True),
    "a text": ("texts", ("text", "t2 []another text"), False),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_and_made_again_where_the_text_holds(place: Milvus, what: str) -> None:
    name, change, text_holds = DAMAGE[what]
    work = {one[0].source.id: one for one in several(4)}
    with Index.open(place, **MAKER) as index:
        for one in work.values():
            index.put(*one)
        engine, collection = index._shelf.engine, getattr(index._shelf, name)  # type: ignore[attr-defined]
        row = engine.rows(collection, "document != 0", ["*"])[0]
        if change is None:
            engine.delete(collection, f"id == {row['id']}")
        else:
            row.pop("sparse", None)
            engine.upsert(collection, [row | dict([change])])
        assert len(index.check().problems) == 1
        report = index.check(lambda document: work[document.source.id][1:])
        assert report.ok == text_holds
        assert len(report.repaired) == text_holds
    report = Index.mend(place, **MAKER)
    assert report.ok
    with Index.open(place, **MAKER) as index:
        assert len(index.sources()) == (4 if text_holds else 3)
        for id in {row.source.id for row in index.sources()}:
            assert index.document(id) == work[id][0]
            assert np.array_equal(
                index.vectors_of([index.key(work[id][1][0])])[index.key(work[id][1][0])], work[id][2][0]
            )


def test_one_writes_and_the_next_is_told_who(place: Milvus) -> None:
    with Index.open(place, **MAKER), pytest.raises(IndexBusy, match="open for writing"):
        Index.open(place, **MAKER)
