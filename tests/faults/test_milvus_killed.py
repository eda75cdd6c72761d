"""The server of an index on Milvus is killed while it is written to and asked."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from milvus_server import Server
from test_index import MAKER, Made, several

from rag.errors import IndexError_
from rag.index import Index, Milvus
from rag.index.milvus import right

for library in ("pymilvus", "milvus_lite"):
    pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
pytestmark = pytest.mark.slow


def opened(place: Milvus) -> Index:
    """As soon as the server answers and the right of the writer that was cut off has run out."""
    for _ in range(60):
        try:
            return Index.open(place, **MAKER)
        except IndexError_:  # it begins to answer, or the right is not free yet
            time.sleep(0.5)
    raise TimeoutError("the right to write never ran out")


@pytest.mark.parametrize("after", [1, 4])
def test_what_was_acknowledged_survives_a_kill_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(right, "LEASE_S", 6.0)
    server = Server(tmp_path / "data")
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
    assert "127.0.0.1" in said[0] or "right to write" in said[0]
    with pytest.raises(IndexError_):
        index.lexical("paper0", 5)
    index.close()
    server.start()
    try:
        with opened(place) as again:
            assert len(acknowledged) >= after
            for document, passages, vectors in acknowledged:
                assert again.document(document.source.id) == document
                assert again.passages(again.dense(vectors, 1)[0][:, 0].tolist()) == passages
            assert len(again.sources()) - len(acknowledged) in (0, 1), "the last one may be there without being told"
            assert again.check().ok
            again.put(*work[len(acknowledged)])
            assert again.document(work[len(acknowledged)][0].source.id) == work[len(acknowledged)][0]
    finally:
        server.stop()
