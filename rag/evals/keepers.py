"""The keepers beside each other: the same documents into each of them, the same questions, in one run.

    python -m rag.evals.keepers --data DATA [--passages 10000 100000] [--lite] [--place milvus://host:19530/name] ...

DATA holds real texts (reading/, retrieval/); `rag.evals.grown` says where more passages come from. The folder is always
measured; `--lite` starts Milvus Lite as a server on this machine, `--place` names a server that runs. Documents are put
one by one, as `rag add` does, their vectors known beforehand; questions are asked once each after a few others, of an
index to which nobody writes. `same` is the share of the ten passages found first that the folder finds too. What was
written stays in WORK and on the servers (as NAME_passages), and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.config import RetrieveConfig
from rag.evals.grown import Base, grown
from rag.evals.processes import free_port
from rag.evals.scale import FILTERS, MODEL, Asked, Known, each, prepare
from rag.evals.scoring import percentile
from rag.filters import Filter
from rag.index import Index, Milvus, Place
from rag.models import Models
from rag.models.embedding import embedder
from rag.retrieve import Retriever

FIRST = 10


def ingested(place: Place, maker: dict[str, Any], base: Base, passages: int) -> dict[str, float]:
    """Put what is not there yet; nothing if all of it is."""
    put, start = 0, 0.0
    with Index.open(place, **maker) as index:
        there = {row.source.id for row in index.sources()}
        start, left = time.perf_counter(), passages
        for document, some, vectors, collection in grown(base, passages):
            left -= len(some)
            if document.source.id not in there:
                index.put(document, some, vectors, dated="2026-01-01", collection=collection)
                put += len(some)
            if left // 1_000 != (left + len(some)) // 1_000:
                print(f"{place}: {passages - left:,} of {passages:,}", file=sys.stderr, flush=True)
        index.flush()
        seconds = time.perf_counter() - start
    return {"passages put a second": put / seconds} if put else {}


def searched(place: Place, maker: dict[str, Any], asked: Asked) -> tuple[dict[str, float], dict[str, list[list[str]]]]:
    """Seconds of each kind of search, and the first passages of each question under each filter."""
    start, told, found = time.perf_counter(), dict[str, float](), dict[str, list[list[str]]]()
    with Index.open(place, **maker, write=False) as index:
        retriever = Retriever(index, Known(asked), RetrieveConfig())
        retriever.retrieve(asked.questions[0])
        told["open and first search, s"] = time.perf_counter() - start
        if isinstance(place, Milvus):
            from rag.index.milvus.engine import SETTLED_S

            time.sleep(SETTLED_S + 1)
        for name in ("all", "10%"):
            asks = _asking(index, retriever, asked, FILTERS[name])
            replies = {kind: each(asked, ask) for kind, ask in asks.items()}
            for kind, (seconds, _, _) in replies.items():
                for p in (50, 95):
                    told[f"{kind}, {name}, p{p} ms"] = 1e3 * percentile(seconds, p / 100)
            fused = replies["fused"][2]
            found[name] = [[f"{hit.passage.source.id} {hit.passage.span}" for hit in hits[:FIRST]] for hits in fused]
    return told, found


def _asking(index: Index, retriever: Retriever, asked: Asked, where: Filter | None) -> dict[str, Callable[[int], Any]]:
    depth = RetrieveConfig().depth
    return {
        "dense": lambda n: index.dense(asked.vectors[n][None], depth, where),
        "lexical": lambda n: index.lexical(asked.questions[n], depth, where),
        "fused": lambda n: retriever.retrieve(asked.questions[n], where=where),
    }


def same(found: list[list[str]], wanted: list[list[str]]) -> float:
    """The share of the first passages that both find."""
    return sum(len({*a} & {*b}) for a, b in zip(found, wanted, strict=True)) / max(1, sum(map(len, wanted)))


@contextmanager
def lite(folder: Path) -> Iterator[Milvus]:
    """Milvus Lite as a server on 127.0.0.1, with its files in this folder."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    where = ["--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (folder.parent / "lite.log").open("ab") as log:
        server = subprocess.Popen([sys.executable, "-m", "milvus_lite", "server", *where], stdout=log, stderr=log)
    try:
        yield Milvus.at(f"milvus://127.0.0.1:{port}/keepers", timeout_s=120)
    finally:
        server.terminate()
        server.wait()


def measured(args: argparse.Namespace, places: dict[str, Place], passages: int) -> dict[str, dict[str, float]]:
    """All figures of one size, by keeper."""
    base = prepare(args.data, args.folder, embedder(Models(), MODEL), args.texts, args.questions)
    home = args.folder / f"texts-{args.texts}"
    about = json.loads((home / "asked.json").read_text("utf-8"))
    asked, maker = Asked(about["questions"], np.load(home / "asked.npy")), about["maker"]
    told: dict[str, dict[str, float]] = {}
    wanted: dict[str, list[list[str]]] = {}
    for keeper, place in places.items():
        at = replace(place, name=f"{place.name}_{passages}") if isinstance(place, Milvus) else place / str(passages)
        told[keeper] = ingested(at, maker, base, passages)
        figures, found = searched(at, maker, asked)
        wanted = wanted or found
        told[keeper] |= figures | {f"same, {name}": same(found[name], wanted[name]) for name in found}
    return told


def table(figures: dict[int, dict[str, dict[str, float]]]) -> str:
    """One line a figure, one column a keeper."""
    lines = [f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"]
    for passages, told in figures.items():
        lines.append(f"\n{passages:,} passages".ljust(34) + "".join(f"{keeper[:30]:>32}" for keeper in told))
        for name in dict.fromkeys(name for one in told.values() for name in one):
            row = (f"{one[name]:>32,.3f}" if name in one else f"{'':>32}" for one in told.values())
            lines.append(f"{name:<33}" + "".join(row))
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with reading/ and retrieval/")
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path("rag-eval/keepers"), help="where to keep what was made")
    parser.add_argument("--lite", action="store_true", help="Milvus Lite as a server, started here")
    parser.add_argument("--place", action="append", default=[], help="a server that runs: milvus://host:19530/name")
    parser.add_argument("--texts", type=int, default=1_500, help="real texts to begin with; 0: all there are")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    places: dict[str, Place] = {"folder": args.folder / "index"}
    here, token = args.folder / "words", os.environ.get("RAG_MILVUS_TOKEN", "")
    named: dict[str, Place] = {one: Milvus.at(one, token=token, timeout_s=120, here=here) for one in args.place}
    figures: dict[int, dict[str, dict[str, float]]] = {}
    for passages in args.passages:
        if args.lite:
            with lite(args.folder / "lite") as server:
                figures[passages] = measured(args, {**places, "Milvus Lite server": server, **named}, passages)
        else:
            figures[passages] = measured(args, {**places, **named}, passages)
        print(table(figures), flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
