"""A life of an index, run in a process of its own so that it can be killed: `python life.py FOLDER LEDGER`.

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
from rag.index import Index
from rag.types import Document, Passage, Source, Span

DIM = 12
MAKER: dict[str, Any] = {"embedder": "tiny@1", "dim": DIM, "rules": "r"}
Step = tuple[str, str, int]  # what to do, to which document, in which version


def steps() -> list[Step]:
    """Add, change, remove, add again, with snapshots and two restarts in between."""
    first = [("put", f"d{i}", 1) for i in range(8)]
    second = [("put", "d1", 2), ("remove", "d2", 0), ("put", "d3", 2), ("flush", "", 0), ("put", "d8", 1)]
    third = [("put", "d2", 3), ("remove", "d8", 0), ("put", "d1", 3), *(("put", f"e{i}", 1) for i in range(6))]
    return [*first, ("flush", "", 0), ("again", "", 0), *second, ("again", "", 0), *third, ("close", "", 0)]


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
            if index is None:
                index = Index.open(folder, **MAKER)
            if act == "put":
                index.put(*made(name, version), digest=f"{name}{version}")
            elif act == "remove":
                index.remove(Source.at(f"file:///{name}", "").id)
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


def main(folder: str, ledger: str) -> None:
    """Everything that Python would load later is loaded now: an error that is injected must hit the index."""
    import faiss

    faiss.omp_set_num_threads(1)
    with Index.open(Path(f"{folder}.warm-up"), **MAKER) as index:
        index.put(*made("w", 1))
        index.flush()
    out = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.getppid()  # the mark in the trace: what comes now is the life
    for line in live(Path(folder), steps()):
        os.pwritev(out, [f"{line}\n".encode()], os.lseek(out, 0, os.SEEK_END))
    os.pwritev(out, [b"end\n"], os.lseek(out, 0, os.SEEK_END))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
