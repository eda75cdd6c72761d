"""The server of an index on Milvus is killed while it is written to and asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from milvus_server import Server, Standalone
from test_index import DIM, MAKER, Made, several

from rag.errors import IndexError_
from rag.index import Index, Milvus
from rag.index.milvus import right
from rag.types import Source

for library in ("pymilvus", "milvus_lite"):
    pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
pytestmark = pytest.mark.slow


@pytest.fixture(params=["lite", "standalone"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "standalone":
        pytest.importorskip("milvus", reason="no standalone server is installed (pip install milvus==2.3.5)")
        server: Server = Standalone(tmp_path)
    else:
        server = Server(tmp_path / "data")
    yield server
    server.stop()


def opened(place: Milvus) -> Index:
    """As soon as the server answers and the right of the writer that was cut off has run out."""
    for _ in range(60):
        try:
            return Index.open(place, **MAKER)
        except IndexError_:  # it begins to answer, or the right is not free yet
            time.sleep(0.5)
    raise TimeoutError("the right to write never ran out")


def test_what_was_acknowledged_survives_a_kill_of_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(right, "LEASE_S", 6.0)
    after = 3
    place = Milvus.at(f"milvus://127.0.0.1:{server.port}/killed", timeout_s=3)
    work, acknowledged, said = several(200), list[Made](), list[str]()
    index = Index.open(place, **MAKER)

    def put() -> None:
        try:
            for each in work:
                index.put(*each)
                acknowledged.append(each)
        except IndexError_ as error:
            said.append(str(error))

    thread = threading.Thread(target=put)
    thread.start()
    while len(acknowledged) < after and thread.is_alive():
        time.sleep(0.01)
    server.kill()
    thread.join(60)
    assert not thread.is_alive(), "it goes on for ever"
    assert len(said) == 1, "the writer is told"
    assert "did not answer for 3 s" in said[0]
    assert "see that it runs, then do the same again" in said[0]
    with pytest.raises(IndexError_):
        index.lexical("paper0", 5)
    index.close()
    server.start()
    with opened(place) as again:
        assert len(acknowledged) >= after
        for document, passages, vectors in acknowledged:
            assert again.document(document.source.id) == document
            assert again.passages(again.dense(vectors, 1)[0][:, 0].tolist()) == passages
        assert len(again.sources()) - len(acknowledged) in (0, 1), "the last one may be there without being told"
        assert again.check().ok
        again.put(*work[len(acknowledged)])
        assert again.document(work[len(acknowledged)][0].source.id) == work[len(acknowledged)][0]


def test_a_server_that_is_killed_and_started_again_is_waited_for(server: Server) -> None:
    """One writes, one searches; both go on as if nothing had been, only later."""
    place = Milvus.at(f"milvus://127.0.0.1:{server.port}/waited", timeout_s=120)
    work, acknowledged, looks, said = several(12), list[Source](), list[int](), list[str]()
    with Index.open(place, **MAKER) as writer, Index.open(place, **MAKER, write=False) as reader:
        writer.put(*work[0])
        stop = threading.Event()

        def put() -> None:
            for each in work[1:]:
                writer.put(*each)
                acknowledged.append(each[0].source)

        def look() -> None:
            while not stop.is_set():
                with reader.reading():
                    ids, _ = reader.dense(np.ones((1, DIM), np.float32), 100)
                    looks.append(len(reader.passages(ids[0].tolist())))
                    reader.lexical("paper3", 3)

        def told(act: Callable[[], None]) -> None:
            try:
                act()
            except Exception as error:
                said.append(repr(error))

        threads = [threading.Thread(target=told, args=(act,)) for act in (put, look)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 2 and threads[0].is_alive():
            time.sleep(0.01)
        server.kill()
        seen = len(looks)
        server.start()
        threads[0].join(240)
        while len(looks) <= seen + 2 and threads[1].is_alive():
            time.sleep(0.1)
        stop.set()
        threads[1].join(240)
        assert said == []
        assert [row.source.id for row in reader.sources()] == sorted(
            (document.source.id for document, _, _ in work),
            key={document.source.id: document.source.uri for document, _, _ in work}.__getitem__,
        )
        assert looks == sorted(looks), "nothing that was there is gone"
        assert writer.check().ok
