"""Whoever keeps the index: the workers' results go through the contract of a keeper and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from spread import folders
from spread.test_order import Fickle, Letters, indexed

from rag.add import Adder
from rag.errors import IndexError_
from rag.index import Index
from rag.spread.order import Spread


class Elsewhere:
    """A keeper that shows of itself what the contract names, and whose server is away after so many documents."""

    def __init__(self, index: Index, documents: int) -> None:
        self._index, self._left = index, documents

    def __getattr__(self, name: str) -> Any:
        assert name in vars(Index) or name in Index.__annotations__, f"{name} is not in the contract"
        return getattr(self._index, name)

    def put(self, *args: Any, **how: Any) -> bool:
        self._left -= 1
        if self._left < 0:
            raise IndexError_("Milvus at milvus://127.0.0.1:19530/papers does not answer", "start it, then again")
        return self._index.put(*args, **how)


@contextmanager
def kept(where: Path, documents: int = 1000) -> Iterator[Adder]:
    with indexed(where) as index:
        yield Adder(Elsewhere(index, documents), Letters(), 64)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.fill(tmp_path / "documents")


def test_only_the_contract_of_a_keeper_is_used(folder: Path, tmp_path: Path) -> None:
    for n in range(2):
        with kept(tmp_path / "many") as adder, indexed(tmp_path / "one") as index:
            ours = adder.add([folder], crew=Spread(lambda n=n: Fickle(n)), mirror=True, collection=f"set {n}")
            theirs = Adder(index, Letters(), 64).add([folder], mirror=True, collection=f"set {n}")
        assert folders.outcome(ours) == folders.outcome(theirs) and ours.added
        folders.change(folder) if not n else None
    with indexed(tmp_path / "many") as many, indexed(tmp_path / "one") as one:
        assert [(r.source.uri, r.digest, r.passages) for r in many.sources()] == [
            (r.source.uri, r.digest, r.passages) for r in one.sources()
        ]


def test_a_keeper_that_goes_away_ends_the_add_with_what_was_stored_and_the_next_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    pools = [Fickle(1), Fickle(2)]
    with kept(tmp_path / "many", 5) as adder, pytest.raises(IndexError_, match="does not answer"):
        adder.add([folder], crew=Spread(lambda: pools[0]))
    assert not pools[0].tasks, "the workers were let go"
    with indexed(tmp_path / "many") as index:
        assert len(index.sources()) == 5
    with kept(tmp_path / "many") as adder:
        report = adder.add([folder], crew=Spread(lambda: pools[1]))
    assert (len(report.unchanged), len(report.added)) == (5, 10)


@pytest.mark.slow
def test_workers_of_this_machine_and_of_a_cluster_fill_a_collection_of_milvus(tmp_path: Path) -> None:
    """What the plain add makes of the same files in a folder: the same documents, passages and answers to a search."""
    for library in ("pymilvus", "milvus_lite", "distributed"):
        pytest.importorskip(library, reason=f"{library} is not installed (the extras [milvus] and [dask])")
    from milvus_server import Server
    from spread.dasks import running

    import rag

    documents = folders.fill(tmp_path / "documents", 6)
    settings = {"llm_model": "none", "read_model": "overlap", "index_folder": str(tmp_path / "own")}
    with rag.open(tmp_path / "plain", documents=documents, **settings) as plain:
        rows = [(row.source, row.digest, row.passages) for row in plain.sources()]
        found = plain.search("When was the harbour of 3 widened?")
    milvus = Server(tmp_path / "milvus")
    try:
        with running(tmp_path, 2) as dask:
            for name, how in (("processes", {"workers": 2}), ("dask", {"cluster": dask.address})):
                place = f"milvus://127.0.0.1:{milvus.port}/{name}"
                with rag.Assistant(tmp_path / "own", rag.Config.load({"index.place": place}), write=True) as there:
                    there.add([documents], **how)
                    assert [(row.source, row.digest, row.passages) for row in there.sources()] == rows
                    again = there.search("When was the harbour of 3 widened?")
                    assert again[0].passage == found[0].passage  # equally good ones may come in another order
                    assert [hit.score for hit in again] == pytest.approx([hit.score for hit in found], abs=1e-5)
    finally:
        milvus.kill()
