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
