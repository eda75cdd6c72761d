"""A life of an index, run in a process of its own so that it can be killed: `python life.py FOLDER LEDGER KIND`.

Every step that was acknowledged is a line in the ledger: its number and 'ok', or the name of the error it met. Vectors
are random and tiny; no model is needed. Importable too, for whoever judges what is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import IndexError_
from rag.index import Index, store
from rag.types import Document, Passage, Source, Span

DIM = 12
MAKER: dict[str, Any] = {"embedder": "tiny@1", "dim": DIM, "rules": "r"}
NEW: dict[str, Any] = {"embedder": "tiny@2", "dim": 7, "rules": "halves"}
KINDS = ("documents", "migration", "reindex")
Step = tuple[str, str, int]  # what to do, to which documents, in which version


def steps(kind: str = "documents") -> list[Step]:
    """Add, change, remove, add again, file elsewhere, with snapshots and two restarts in between; or the life of an
    index that an older version left; or that of one which another embedder takes over."""
    if kind == "migration":
        return [("put", "d1", 2), ("close", "", 0)]
    if kind == "reindex":
        return [("remake", "", 0)]
    first = [("put", f"d{i}", 1) for i in range(8)]
    second = [("put", "d1", 2), ("remove", "d2", 0), ("put", "d3", 2), ("flush", "", 0), ("put", "d8", 1)]
    third = [("put", "d2", 3), ("remove", "d8", 0), ("rename", "", 0), ("put", "d1", 3)]
    fourth = [*(("put", f"e{i}", 1) for i in range(6)), ("remove", "e1 e3 e4", 0)]
    return [*first, ("flush", "", 0), ("again", "", 0), *second, ("again", "", 0), *third, *fourth, ("close", "", 0)]


def before(kind: str) -> dict[str, int]:
    """The documents, with their versions, that are there when the life begins."""
    return {} if kind == "documents" else {f"d{i}": 1 for i in range(8)}


def prepare(folder: Path, kind: str) -> None:
    """What is there when the life begins."""
    if kind == "migration":
        from old_index import make_schema_2

        make_schema_2(folder, MAKER, [made(name, 1) for name in before(kind)], "{title}1")
    elif kind == "reindex":
        with Index.open(folder, **MAKER) as index:
            for name in before(kind):
                index.put(*made(name, 1), digest=f"{name}1", collection="c1")


def halves(document: Document) -> tuple[list[Passage], Any]:
    """Other passages, other numbers, worked out of the text alone."""
    half = len(document.text) // 2
    spans = [Span(0, half), Span(half, len(document.text))]
    numbers = [np.random.default_rng(list(span.of(document.text).encode())).standard_normal(7) for span in spans]
    return [Passage.cut(document, span) for span in spans], np.array(numbers, np.float32)


def made(name: str, version: int) -> tuple[Document, list[Passage], Any]:
    """The document of this name and version: every word of it tells which it is."""
    size = 2 + (len(name) + version + ord(name[-1])) % 4
    parts = [f"{name} version{version} part{j} " + f"word{j} " * (60 * j) for j in range(size)]
    document = Document(Source.at(f"file:///{name}", name), "".join(parts))
    ends = np.cumsum([len(part) for part in parts]).tolist()
    passages = [Passage.cut(document, Span(end - len(part), end)) for part, end in zip(parts, ends, strict=True)]
    numbers = np.random.default_rng([version, *name.encode()])
    return document, passages, numbers.standard_normal((size, DIM)).astype(np.float32)


def live(folder: Path, work: Sequence[Step]) -> Iterator[str]:
    """Take every step, whatever befell the one before; yields one line for each."""
    index: Index | None = None
    for number, (act, name, version) in enumerate(work):
        try:
            if act == "remake":
                Index.remake(folder, **NEW, make=halves)
                yield f"{number} ok"
                continue
            if index is None:
                index = Index.open(folder, **MAKER)
            if act == "put":
                index.put(*made(name, version), digest=f"{name}{version}", collection=f"c{version}")
            elif act == "remove":
                index.remove(*(Source.at(f"file:///{one}", "").id for one in name.split()))
            elif act == "rename":
                index.rename_collection("c1", "renamed")
            elif act == "flush":
                index.flush()
            else:
                index.close()
                index = None
            yield f"{number} ok"
        except IndexError_ as error:
            yield f"{number} {type(error).__name__}"
    if index is not None:
        with suppress(IndexError_):
            index.close()


def main(folder: str, ledger: str, kind: str) -> None:
    """Everything that Python would load later is loaded now: an error that is injected must hit the index."""
    import faiss

    faiss.omp_set_num_threads(1)
    store.LOG_PAGES = 30  # so that the log is folded into the database again and again
    prepare(Path(f"{folder}.warm-up"), kind)
    for _ in live(Path(f"{folder}.warm-up"), steps(kind)):
        pass
    prepare(Path(folder), kind)
    out = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.getppid()  # the mark in the trace: what comes now is the life
    for line in live(Path(folder), steps(kind)):
        os.pwritev(out, [f"{line}\n".encode()], os.lseek(out, 0, os.SEEK_END))
    os.pwritev(out, [b"end\n"], os.lseek(out, 0, os.SEEK_END))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
