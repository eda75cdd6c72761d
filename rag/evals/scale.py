"""How an index grows: seconds, megabytes and recall at several sizes, each measured in processes of its own.

    python -m rag.evals.scale --data DATA --passages 10000 100000 1000000 [--folder WORK] [--json FILE]

DATA holds real texts (reading/, retrieval/); the passages beyond them are edited copies with vectors moved as edits
move them: `rag.evals.grown` says how, and the table repeats it. Everything goes through the real store, many documents
to a transaction, so that the rows are those of `Index.put`. Questions are real ones; embedding them is not timed.

What was embedded and built is kept in WORK, and a run that was stopped goes on from there; measuring changes an index
by a few documents, and takes all but one out again. A recall is the share of the 10 nearest, by brute force over all
rows, that are among the 10 found; p95 is over all questions, once each, after a few others. Seconds of CPU are told
too: on a machine that is busy with something else they are what a query costs, and the clock shows how long it waits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rag.config import RetrieveConfig
from rag.embed import Embedder
from rag.evals.grown import COLLECTIONS, Base, Grown, base_of, copied, grown, questions_of, texts_of
from rag.evals.scoring import percentile
from rag.files import sha256_of
from rag.filters import Filter
from rag.index import Index, rows, work
from rag.index.chosen import ids_of
from rag.index.local import LocalIndex
from rag.index.rows import SourceRow
from rag.models import Models
from rag.models.embedding import embedder
from rag.retrieve import Retriever
from rag.split import RULES
from rag.types import Document, Passage
from rag.vectors import Vectors
from rag.vectors.rows import unit

MODEL, TOKENS = "all-minilm-l6-v2", 160
AT_ONCE = 1_000  # documents to a transaction while an index is made
WARM = 5
FILTERS: dict[str, Filter | None] = {"all": None} | {
    f"{share:.0%}": Filter(collections=(name,)) for name, share in COLLECTIONS if name != "rest"
}
GOALS = {
    r"fused, .*p95 ms": 60.0,
    r"recall@10, .*": 0.98,
    r".*: open and first dense search, s": 3.0,
    r"peak memory, MB": 2_000.0,
    r"add one document, s": 1.0,
}
"""At a million passages; the first line that fits the name counts."""


class Place(NamedTuple):
    """Where one size lives: `maker` is what its index was made with."""

    folder: Path
    passages: int
    maker: dict[str, Any]

    @property
    def home(self) -> Path:
        """The folder of the index."""
        return self.folder / f"index-{self.passages}"

    @property
    def built(self) -> Path:
        """What building it took, once it is built."""
        return self.folder / f"built-{self.passages}.json"

    @property
    def truth(self) -> Path:
        """What brute force finds in it, for the present questions."""
        asked = sha256_of(self.folder / "asked.json")[:8]
        return self.folder / f"truth-{self.passages}-{asked}.json"

    def open(self, write: bool = False) -> LocalIndex:
        """The index."""
        return LocalIndex.open(self.home, **self.maker, write=write)


class Asked(NamedTuple):
    """Real questions and their vectors (questions, dim)."""

    questions: list[str]
    vectors: Vectors


def prepare(data: Path, folder: Path, model: Embedder, texts: int, questions: int) -> Base:
    """Texts and questions with their vectors, embedded where that was not done yet. `texts`: the first few; 0: all."""
    home = folder / f"texts-{texts}"
    base = _base(data, folder, model, texts)
    asked = questions_of(data, questions + WARM)
    maker = {"embedder": model.fingerprint, "dim": model.dim, "rules": f"{RULES}:{TOKENS}"}
    home.mkdir(exist_ok=True)
    (home / "asked.json").write_text(json.dumps({"maker": maker, "questions": asked}), "utf-8")
    np.save(home / "asked.npy", model.questions(asked))
    return base


def _base(data: Path, folder: Path, model: Embedder, texts: int) -> Base:
    some = texts_of(data)
    return base_of(some[:texts] if texts else some, model, TOKENS, folder / "base", _said)


def build(place: Place, documents: Iterator[Grown]) -> dict[str, float]:
    """Fill the index, from where it was left; passages written a second, and what its first snapshot took."""
    with place.open(write=True) as index:
        there = len(index)
        done = 0
        while done < there:  # documents come in the same order each time, and each was stored whole
            done += len(next(documents)[1])
        start, started = time.perf_counter(), time.process_time()
        while some := list(islice(documents, AT_ONCE)):
            bulk(index, some)
            done += sum(len(passages) for _, passages, _, _ in some)
            _said("writing", done, place.passages)
        written, busy = time.perf_counter(), time.process_time()
        index.flush()
        flushed, idle = time.perf_counter(), time.process_time()
    return {
        "passages written a second": (done - there) / (written - start),
        "passages written a second of CPU": (done - there) / (busy - started),
        "first snapshot, s": flushed - written,
        "first snapshot, s of CPU": idle - busy,
    }


def bulk(index: LocalIndex, documents: Sequence[Grown]) -> None:
    """Store new documents in one transaction: the rows that `Index.put` would write one by one."""

    def all_of_them(con: Any) -> None:
        for document, passages, vectors, collection in documents:
            row = SourceRow(document.source, "", "", len(passages), len(document.text), 0.0, "2026-01-01")
            unit(vectors, index.dim)
            work.put(con, document, passages, np.ascontiguousarray(vectors, np.float32), row, collection)

    index._store.change(all_of_them, lambda _: None)  # nobody searches it meanwhile: there is nothing to publish


def truth(place: Place, asked: Asked) -> dict[str, Any]:
    """The cosine of the tenth nearest of all rows to each question, by brute force, for each filter."""
    queries = unit(asked.vectors, place.maker["dim"])
    with place.open() as index, index._store.reading() as con:
        among = {name: ids_of(con, where) for name, where in FILTERS.items()}
        best = {name: np.full((len(queries), 10), -2.0, np.float32) for name in FILTERS}
        for ids, vectors in rows.vectors(con, index.dim):
            cosines = queries @ unit(vectors, index.dim).T
            for name, chosen in among.items():
                some = cosines if chosen is None else cosines[:, np.isin(ids, chosen, assume_unique=True)]
                both = np.concatenate([best[name], some], axis=1)
                best[name] = -np.partition(-both, 9, axis=1)[:, :10]
    return {name: found.min(axis=1).tolist() for name, found in best.items()}


def search(place: Place, asked: Asked, tenth: dict[str, list[float]]) -> dict[str, float]:
    """Seconds of each kind of search under each filter, recall of the dense one, peak memory of the process."""
    told: dict[str, float] = {}
    with place.open() as index:
        retriever = Retriever(index, _Known(asked), RetrieveConfig())
        for name, where in FILTERS.items():
            for kind, ask in _asking(index, retriever, asked, where).items():
                seconds, busy, found = _each(asked, ask)
                for p in (50, 95):
                    told[f"{kind}, {name}, p{p} ms"] = 1e3 * percentile(seconds, p / 100)
                told[f"{kind}, {name}, p95 ms of CPU"] = 1e3 * percentile(busy, 0.95)
                if kind == "dense":
                    told[f"recall@10, {name}"] = _recall(found, tenth[name][WARM:])
    return told | {"peak memory, MB": _peak()}


def _asking(
    index: LocalIndex, retriever: Retriever, asked: Asked, where: Filter | None
) -> dict[str, Callable[[int], Any]]:
    depth = RetrieveConfig().depth
    return {
        "dense": lambda n: index.dense(asked.vectors[n][None], depth, where)[1],
        "lexical": lambda n: index.lexical(asked.questions[n], depth, where),
        "one after the other": lambda n: Index.both(index, asked.vectors[n][None], asked.questions[n], depth, where),
        "side by side": lambda n: index.both(asked.vectors[n][None], asked.questions[n], depth, where),
        "fused": lambda n: retriever.retrieve(asked.questions[n], where=where),
    }


def _recall(found: Sequence[Vectors], tenth: Sequence[float]) -> float:
    """Of the cosines found first, the share that reaches the tenth by brute force; 1 where there is nothing to find."""
    hits = [int((cosines[0, :10] >= limit - 1e-5).sum()) for cosines, limit in zip(found, tenth, strict=True)]
    wanted = sum(min(10, cosines.shape[1]) for cosines in found)
    return sum(hits) / wanted if wanted else 1.0


def opening(place: Place, asked: Asked, write: bool) -> dict[str, float]:
    """Seconds until the index is open, and until a first search has found something."""
    start, started = time.perf_counter(), time.process_time()
    with place.open(write) as index:
        opened = time.perf_counter()
        index.dense(asked.vectors[:1], 10)
        told = {
            "open, s": opened - start,
            "open and first dense search, s": time.perf_counter() - start,
            "open and first dense search, s of CPU": time.process_time() - started,
        }
        index.lexical(asked.questions[0], 10)
    return told | {"open and search, peak memory, MB": _peak()}


def changing(place: Place, base: Base, asked: Asked) -> dict[str, float]:
    """Seconds to add, replace and remove a document of an index that is being searched: the slowest of a few."""
    told: dict[str, float] = {}

    def timed(name: str, index: LocalIndex, act: Callable[[], Any]) -> None:
        start, started = time.perf_counter(), time.process_time()
        act()
        seconds, busy = time.perf_counter() - start, time.process_time() - started
        index.dense(asked.vectors[:1], 10)
        for what, figure in (
            (f"{name} one document, s", seconds),
            (f"{name} one document, s of CPU", busy),
            (f"{name}, then search, s", time.perf_counter() - start),
        ):
            told[what] = max(told.get(what, 0.0), figure)

    with place.open(write=True) as index:
        index.dense(asked.vectors[:1], 10)
        for number in range(min(5, len(base.pieces))):
            for name, act in _changes(index, base, number).items():
                timed(name, index, act)
        start = time.perf_counter()
    return told | {"close, s": time.perf_counter() - start}


def _changes(index: LocalIndex, base: Base, number: int) -> dict[str, Callable[[], Any]]:
    new, newer = copied(base, number, -1), copied(base, number, -2)
    changed = Document(new[0].source, newer[0].text)
    passages = [Passage.cut(changed, passage.span) for passage in newer[1]]
    return {
        "add": lambda: index.put(*new[:3]),
        "replace": lambda: index.put(changed, passages, newer[2]),
        "remove": lambda: index.remove(new[0].source.id),
    }


def crash(place: Place, base: Base) -> NoReturn:
    """Add a document and die on the spot; what an earlier crash had added is taken out first."""
    index = place.open(write=True)
    document = copied(base, 0, -3)
    index.remove(document[0].source.id)
    index.put(*document[:3])
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class _Known:
    """An embedder that knows these questions only, at once: embedding is not what is measured."""

    name, fingerprint, window = "known", "known", 1_000_000

    def __init__(self, asked: Asked) -> None:
        self._rows = dict(zip(asked.questions, asked.vectors, strict=True))
        self.dim = asked.vectors.shape[1]

    def questions(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._rows[text] for text in texts])

    passages = questions

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [0] * len(texts)


def _each(asked: Asked, ask: Callable[[int], Any]) -> tuple[list[float], list[float], list[Any]]:
    """Seconds by the clock, seconds of CPU, and findings, of each question but the first few, which only warm up."""
    seconds, busy, found = [], [], []
    for n in range(len(asked.questions)):
        start, started = time.perf_counter(), time.process_time()
        reply = ask(n)
        if n >= WARM:
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - started)
            found.append(reply)
    return seconds, busy, found


def _peak() -> float:
    """Megabytes that this process has held at most."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return float(found.group(1)) / 1e3 if found else 0.0


def _said(what: str, done: int, of: int) -> None:
    print(f"{what}: {done:,} of {of:,}", file=sys.stderr, flush=True)


STEPS = ("build", "truth", "search", "read", "write", "change", "crash")


def measured(place: Place, args: Sequence[str]) -> dict[str, float]:
    """All figures of one size, each step in a process of its own."""

    def step(name: str) -> dict[str, Any]:
        print(f"{place.passages:,} passages: {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "rag.evals.scale", *args, "--passages", str(place.passages), "--step", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != (-signal.SIGKILL if name == "crash" else 0):
            raise SystemExit(f"{name} of {place.passages:,} passages ended with {done.returncode}")
        return json.loads(done.stdout) if done.stdout else {}

    if not place.built.exists():
        place.built.write_text(json.dumps(step("build")), "utf-8")
    if not place.truth.exists():
        place.truth.write_text(json.dumps(step("truth")), "utf-8")
    told: dict[str, float] = json.loads(place.built.read_text("utf-8"))
    files = [path for path in place.home.iterdir() if path.is_file()]
    told["disk, MB"] = sum(path.stat().st_size for path in files) / 1e6
    told["of it the snapshot, MB"] = sum(path.stat().st_size for path in files if path.suffix == ".faiss") / 1e6
    told |= step("search")
    told |= {f"closed in order: {what}": figure for what, figure in step("read").items()}
    told |= step("change")
    step("crash")
    for name, how in (("read", "reading"), ("write", "writing")):
        told |= {f"after a kill, for {how}: {what}": figure for what, figure in step(name).items()}
    return told


def _asked(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "asked.json").read_text("utf-8"))
    return told


def _place(args: argparse.Namespace, passages: int) -> Place:
    folder = args.folder / f"texts-{args.texts}"
    return Place(folder, passages, _asked(folder)["maker"])


def _step(name: str, args: argparse.Namespace) -> dict[str, Any]:
    place = _place(args, args.passages[0])
    asked = Asked(_asked(place.folder)["questions"], np.load(place.folder / "asked.npy"))
    if name == "truth":
        return truth(place, asked)
    if name in ("read", "write"):
        return opening(place, asked, name == "write")
    model = embedder(Models(), MODEL)
    if name == "search":
        model.questions(asked.questions[:1])  # whoever searches holds an embedder: it counts in the memory
        return search(place, asked, json.loads(place.truth.read_text("utf-8")))
    base = _base(args.data, args.folder, model, args.texts)
    if name == "build":
        return build(place, grown(base, place.passages))
    return changing(place, base, asked) if name == "change" else crash(place, base)


def table(figures: dict[int, dict[str, float]], base: Base) -> str:
    """For people: one line a figure, one column a size, the goals at a million beside it."""
    names = list(next(iter(figures.values())))
    lines = [
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        f"{len(base.pieces):,} real texts, {len(base.vectors):,} passages embedded; the rest are copies with a word in "
        f"ten of another text,\ntheir vectors moved as such edits move them (mean cosine {base.likeness:.3f})\n",
        "passages".ljust(62) + "".join(f"{n:>12,}" for n in figures) + f"{'goal':>10}",
    ]
    for name in names:
        goal = next((f"{limit:,g}" for pattern, limit in GOALS.items() if re.fullmatch(pattern, name)), "")
        lines.append(f"{name:<62}" + "".join(f"{told[name]:>12,.3f}" for told in figures.values()) + f"{goal:>10}")
    return "\n".join(lines)


def main() -> None:
    """The command, or one step of it in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with reading/ and retrieval/")
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path("rag-eval/scale"), help="where to keep what was made")
    parser.add_argument("--texts", type=int, default=0, help="real texts to begin with; 0: all there are")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(_step(args.step, args)))
        return
    base = prepare(args.data, args.folder, embedder(Models(), MODEL), args.texts, args.questions)
    given = ["--data", str(args.data), "--folder", str(args.folder), "--texts", str(args.texts)]
    figures = {n: measured(_place(args, n), given) for n in args.passages}
    print(table(figures, base))
    if args.json:
        told = {"texts": len(base.pieces), "embedded": len(base.vectors), "likeness": base.likeness, "sizes": figures}
        args.json.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
