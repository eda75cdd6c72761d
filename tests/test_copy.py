"""An index is copied to another place: all of it, exactly, and on after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from milvus_server import Server
from test_cli import rag
from test_index import DIM, MAKER, made, several

from rag.errors import IndexDamaged, IndexMismatch, UsageError
from rag.index import Index, Milvus, Place
from rag.index.copying import copied
from rag.types import Document, Mark, Passage, Source, Span


@dataclass
class Places:
    here: Path
    there: Place


@pytest.fixture(params=["local", "milvus file"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "local":
        return Places(tmp_path / "here", tmp_path / "there")
    for library in ("pymilvus", "milvus_lite"):
        pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
    return Places(tmp_path / "here", Milvus.at(f"milvus:{tmp_path}/there.db"))


def fill(place: Place) -> None:
    odd = "a\0b \ud800 \U0001f600 né"
    document = Document(
        Source.at("file:///odd", "odd", "text/x", "1999-09"), odd, (Mark(Span(0, 2), "heading", odd, 2),)
    )
    with Index.open(place, **MAKER) as index:
        for n, each in enumerate(several(9)):
            index.put(*each, digest=f"d{n}", stat=f"s{n}", dated=f"2020-01-0{n + 1}", collection=f"c{n % 2}", added=n)
        index.put(document, [Passage.cut(document, Span(0, 5))], np.ones((1, DIM), np.float32))
        index.put(Document(Source.at("file:///empty", "empty"), ""), [], np.empty((0, DIM), np.float32))


def all_of(place: Place) -> Any:
    with Index.open(place, **MAKER, write=False) as index:
        rows = index.sources()
        whole = [index.contents(row.source.id) for row in rows]
        return rows, [(d, p, v.tobytes()) for d, p, v in whole], index.check().ok


def test_there_and_back_again_is_what_it_was(places: Places) -> None:
    fill(places.here)
    told: list[tuple[int, int]] = []
    done = copied(places.here, places.there, lambda *n: told.append(n))
    assert (done.documents, done.already, done.others) == (11, 0, 0)
    assert done.passages == sum(row.passages for row in all_of(places.here)[0])
    assert told[-1] == (11, 11)
    back = places.here.with_name("back")
    copied(places.there, back)
    assert all_of(back) == all_of(places.there) == all_of(places.here)
    assert copied(places.here, back).already == 11


def test_what_changed_is_copied_again_and_what_else_is_there_stays(places: Places) -> None:
    fill(places.here)
    copied(places.here, places.there)
    with Index.open(places.there, **MAKER) as index:
        index.put(*made("d3", ["another text of paper3"]))
        index.note(several(9)[4][0].source.id, collection="elsewhere")
        index.put(*made("only there", ["one"]))
    done = copied(places.here, places.there)
    assert (done.documents, done.already, done.others) == (11, 9, 1)
    rows, whole, ok = all_of(places.there)
    assert [one for row, one in zip(rows, whole, strict=True) if row.source.title != "only there"] == all_of(
        places.here
    )[1]
    assert ok


def test_another_embedder_is_refused_with_both_names_and_the_cure(places: Places) -> None:
    fill(places.here)
    Index.open(places.there, **MAKER | {"embedder": "other@7"}).close()
    with pytest.raises(IndexMismatch) as error:
        copied(places.here, places.there)
    assert MAKER["embedder"] in str(error.value)
    assert "other@7" in str(error.value)
    assert "rag reindex" in error.value.hint
    with Index.open(places.there, **MAKER | {"embedder": "other@7"}) as index:
        assert len(index) == 0


def test_an_index_is_not_copied_onto_itself(tmp_path: Path) -> None:
    fill(tmp_path / "here")
    with pytest.raises(UsageError, match="already"):
        copied(tmp_path / "here", tmp_path / "here")


def test_what_came_back_otherwise_is_no_copy(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last vector of every document is another one on its way, by a bit."""
    fill(places.here)
    Index.open(places.there, **MAKER).close()
    keeper: Any = type(Index.open(places.there, **MAKER, write=False))
    real = keeper.put

    def put(self: Any, document: Document, passages: Any, vectors: Any, **more: Any) -> bool:
        vectors = vectors.copy()
        vectors[-1:, 0] = np.nextafter(vectors[-1:, 0], 9)
        return bool(real(self, document, passages, vectors, **more))

    monkeypatch.setattr(keeper, "put", put)
    with pytest.raises(IndexDamaged, match="did not come back"):
        copied(places.here, places.there)


SLOWLY = """
import sys, time
from pathlib import Path
from rag.index import Milvus
from rag.index.copying import copied
from rag.index.milvus import right
right.LEASE_S = 4.0
here, there = sys.argv[1:]
copied(Path(here), Milvus.at(there) if there.startswith("milvus:") else Path(there), lambda *n: print(*n, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["local", "milvus server"])
def test_a_copy_that_is_killed_goes_on(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there, server = tmp_path / "here", str(tmp_path / "there"), None
    if where != "local":
        for library in ("pymilvus", "milvus_lite"):
            pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
        server = Server(tmp_path / "data")
        there = f"milvus://127.0.0.1:{server.port}/copied"
    try:
        with Index.open(here, **MAKER) as index:
            for each in several(400):
                index.put(*each, added=1.0)
        for after in (1, 3):
            copying = subprocess.Popen(
                [sys.executable, "-c", SLOWLY, str(here), there], stdout=subprocess.PIPE, text=True
            )
            assert copying.stdout is not None
            for line in copying.stdout:
                if int(line.split()[0]) >= 32 * after:
                    break
            copying.send_signal(signal.SIGKILL)
            assert copying.wait() == -signal.SIGKILL, "it was killed before its end"
            if server:
                time.sleep(4)  # the right of who was killed runs out
        place = Milvus.at(there) if server else Path(there)
        done = copied(here, place)
        assert (done.documents, done.others) == (400, 0)
        assert 96 <= done.already < 400, "what was there was not sent again"
        assert all_of(here) == all_of(place)
    finally:
        if server:
            server.stop()


@pytest.mark.slow
def test_the_command_copies_and_the_copy_answers(tmp_path: Path) -> None:
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    assert rag("add", "seeds/", "--index", here).returncode == 0
    done = rag("copy", here, there, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["documents"] == 2
    assert "2 were before" in rag("copy", here, there).stdout
    assert "250" in rag("ask", "How many cherry trees will Japan give?", "--no-llm", "--index", there).stdout
    missing = rag("copy", str(tmp_path / "nowhere"), there)
    assert missing.returncode == 4
    assert "no index" in missing.stderr
