"""Files in, an index in step with them out: load, split, embed, put; one document, one transaction.

A file whose time and size did not change costs a look; one whose bytes did not change costs a hash; of a changed one
only the passages that changed are embedded again. A file that cannot be read is reported, and the others go on.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import numpy as np

from rag.clock import timed
from rag.embed import Embedder, Vectors
from rag.errors import DocumentError, TextTooLong
from rag.index import Index, SourceRow
from rag.load import SUFFIXES, Loaded, Loader, read_bytes
from rag.split import embedded_text, split
from rag.tree import Tree
from rag.types import Document, Passage, Source

BLOCK = 256  # passages embedded before it is told how far a file is
LARGE = 4 * BLOCK  # passages of a document from which on each block is kept, should the work be stopped


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `add` is: file `done` of `total`, the `path` of the next one (None at the end), passages stored so far.

    `bytes` of `all_bytes` of the files are done, the `part` (0 to 1) of a large next one that is embedded among them;
    0 of 0 where the work is not done file by file."""

    done: int
    total: int
    path: Path | None
    passages: int = 0
    bytes: int = 0
    all_bytes: int = 0
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What `add` did: uris by outcome; `refused` with the reason; `passages` are those of added and changed files.

    `notes`: (uri, what was left out or should be known), such as "hidden rows: 3". `steps`: seconds of
    each kind of work (look, read, parse, split, embed, store), which with the rest make up `seconds`.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    passages: int = 0
    seconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(slots=True)
class Tally:
    """A report in the making."""

    uris: dict[str, list[str]] = field(
        default_factory=lambda: {"added": [], "changed": [], "unchanged": [], "removed": []}
    )
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    passages: int = 0
    steps: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    def timed(self, step: str) -> AbstractContextManager[None]:
        return timed(self.steps, step)

    @contextmanager
    def refusing(self, file: Path) -> Iterator[None]:
        """What is wrong with one file is told, and costs no other."""
        uri = file.resolve().as_uri()
        try:
            yield
        except (DocumentError, TextTooLong) as e:
            self.refused.append((uri, str(e)))
        except OSError as e:
            self.refused.append((uri, f"{file} cannot be read: {e.strerror}"))

    def report(self) -> Report:
        lists = {name: tuple(uris) for name, uris in self.uris.items()}
        refused, notes, seconds = tuple(self.refused), tuple(self.notes), time.perf_counter() - self.start
        steps = MappingProxyType(self.steps)
        return Report(**lists, refused=refused, notes=notes, passages=self.passages, seconds=seconds, steps=steps)


@dataclass(frozen=True, slots=True)
class Looked:
    """A file that was looked at. `data`: its bytes if they must be read out, else None; `moves`: into another
    collection; `told`: what the index is to know of it."""

    path: Path
    uri: str
    known: SourceRow | None
    data: bytes | None
    moves: bool
    told: Mapping[str, Any]


class Crew(Protocol):
    """Those who bring files into step for an `Adder`, in its stead (rag/spread)."""

    def work(
        self,
        adder: Adder,
        files: Sequence[Path],
        collection: str | None,
        tally: Tally,
        told: Callable[[int, float], None],
    ) -> None:
        """Every file, in this order, as `Adder.one` would; `told`: how many are done, and which part of the next."""
        ...


def made(document: Document, embedder: Embedder, max_tokens: int) -> tuple[list[Passage], Vectors]:
    """The passages of a document, and their vectors, (passages, dim)."""
    most = min(max_tokens, embedder.window)
    passages = split(document, embedder.lengths, most)
    texts = [embedded_text(p, embedder.lengths, most) for p in passages]
    return passages, embedder.passages(texts) if texts else np.empty((0, embedder.dim), np.float32)


class Adder:
    """Adds documents to one index with one embedder; passages of at most `max_tokens`."""

    def __init__(self, index: Index, embedder: Embedder, max_tokens: int) -> None:
        self._index, self._embedder = index, embedder
        self._max_tokens = min(max_tokens, embedder.window)
        self.dim = embedder.dim

    def add(
        self,
        paths: Iterable[Path],
        progress: Callable[[Progress], None] | None = None,
        mirror: bool = False,
        collection: str | None = None,
        exclude: Sequence[str] = (),
        crew: Crew | None = None,
    ) -> Report:
        """Add files and folders. With `mirror`, what was under one of `paths` and is gone is removed; an empty folder
        removes nothing, because it may be the place of a disk that is away.

        `collection`: all of them go into it; None leaves each where it is, and puts new ones into the default one.
        `exclude`: patterns as in a `.gitignore`, for the folders among `paths`; a file that is named is always read.
        `crew`: who reads and embeds; None: this very thread. The index is the same either way.

        Stopping it (Ctrl-C) loses nothing that was acknowledged; the next call goes on where it stopped.
        """
        tally, roots = Tally(), list(paths)
        with tally.timed("look"):
            files = list(_files_of(roots, exclude, tally))
        try:
            self._all(files, collection, tally, progress, crew)
            if mirror:
                there = {path.resolve().as_uri() for path in files}
                self._forget([root for root in roots if _holds_anything(root)], there, tally)
        finally:
            self._index.flush()
        return tally.report()

    def follow(
        self,
        files: Collection[Path],
        gone: Sequence[Path],
        progress: Callable[[Progress], None],
        collection: str | None = None,
    ) -> Report:
        """Bring these files into step, then forget what lies at or under `gone`. In this order, so that what was only
        moved finds its vectors."""
        tally = Tally()
        try:
            self._all(list(files), collection, tally, progress, None)
            if gone:
                self._forget(gone, set(), tally)
        finally:
            self._index.flush()
        return tally.report()

    def put(
        self, document: Document, digest: str = "", stat: str = "", dated: str = "", collection: str | None = None
    ) -> int:
        """Split, embed and store one document; its number of passages. Raises DocumentError if it has none."""
        told = {"digest": digest, "stat": stat, "dated": dated, "collection": collection}
        return self._put(document, told, Tally())

    def _put(
        self,
        document: Document,
        noted: Mapping[str, Any],
        tally: Tally,
        told: Callable[[float], None] = lambda part: None,
    ) -> int:
        with tally.timed("split"):
            passages = split(document, self._embedder.lengths, self._max_tokens)
        some(document, passages)
        with tally.timed("embed"):
            vectors = self._vectors(passages, told)
        with tally.timed("store"):
            self._index.put(document, passages, vectors, **noted)
            if len(passages) > LARGE:
                self._index.lay_by({})
        return len(passages)

    def _all(
        self,
        files: Sequence[Path],
        collection: str | None,
        tally: Tally,
        progress: Callable[[Progress], None] | None,
        crew: Crew | None,
    ) -> None:
        ends = [0, *itertools.accumulate(map(_size, files))]

        def tell(done: int, part: float = 0.0) -> None:
            if progress is not None:
                path = files[done] if done < len(files) else None
                bytes_ = ends[done] + int(part * (ends[min(done + 1, len(files))] - ends[done]))
                progress(Progress(done, len(files), path, tally.passages, bytes_, ends[-1], part))

        if crew is not None:
            crew.work(self, files, collection, tally, tell)
            return
        with Loader() as loader:
            for done, path in enumerate(files):
                tell(done)
                self.one(path, loader, collection, tally, partial(tell, done))
        tell(len(files))

    # -- the steps of one file, which a crew takes apart -----------------------------------------------------------

    def one(
        self,
        path: Path,
        loader: Loader,
        collection: str | None,
        tally: Tally,
        told: Callable[[float], None] = lambda part: None,
    ) -> None:
        """Bring one file into step; `told`: which part of it is embedded, if that takes long."""
        with tally.refusing(path):
            file = self.look(path, collection, tally)
            if file.data is None:
                self.note(file, tally)
                return
            with tally.timed("parse"):
                loaded = loader.parse(file.data, path)
            number = self._put(loaded.document, file.told, tally, told)
            _count(file, loaded.notes, number, tally)

    def look(self, path: Path, collection: str | None, tally: Tally) -> Looked:
        """What there is to do for a file. Raises DocumentError or OSError if it cannot be read."""
        uri = path.resolve().as_uri()
        known = self._index.find(Source.at(uri, "").id)
        info = path.stat()
        stat = f"{info.st_mtime_ns}:{info.st_size}"
        moves = known is not None and collection not in (None, known.collection)
        if known is not None and known.stat == stat and not moves:
            return Looked(path, uri, known, None, False, {})
        with tally.timed("read"):
            data = read_bytes(path)
            digest, day = hashlib.sha256(data).hexdigest(), date.fromtimestamp(info.st_mtime).isoformat()
        told = {"stat": stat, "dated": day, "collection": collection}
        if known is not None and known.digest == digest:
            return Looked(path, uri, known, None, moves, told)
        return Looked(path, uri, known, data, moves, told | {"digest": digest})

    def note(self, file: Looked, tally: Tally) -> None:
        """The index learns what is new of a file whose text is the same."""
        if file.told and file.known is not None:
            self._index.note(file.known.source.id, **file.told)  # so that the next look need not hash it
        tally.uris["changed" if file.moves else "unchanged"].append(file.uri)

    def keep(self, file: Looked, loaded: Loaded, passages: Sequence[Passage], vectors: Vectors, tally: Tally) -> None:
        """Store what was made of a file, one row of `vectors` per passage."""
        with tally.timed("store"):
            self._index.put(loaded.document, passages, vectors, **file.told)
        _count(file, loaded.notes, len(passages), tally)

    def wanting(self, passages: Sequence[Passage]) -> tuple[list[str], dict[str, Vectors], dict[str, str]]:
        """The key of each passage; vectors (dim,) by key, of those which any document of the index has; and by key the
        texts that must be embedded for the others."""
        keys = [self._index.key(p) for p in passages]
        known = self._index.vectors_of(keys)
        fresh = {key: p for key, p in zip(keys, passages, strict=True) if key not in known}
        return (
            keys,
            known,
            {key: embedded_text(p, self._embedder.lengths, self._max_tokens) for key, p in fresh.items()},
        )

    def _vectors(self, passages: Sequence[Passage], told: Callable[[float], None]) -> Vectors:
        """One row per passage; what any document of the index says already keeps its vector, and of a large document
        what was embedded before a stop."""
        keys, known, texts = self.wanting(passages)
        wanted = list(texts.items())
        for first in range(0, len(wanted), BLOCK):
            some = wanted[first : first + BLOCK]
            fresh = dict(zip([k for k, _ in some], self._embedder.passages([t for _, t in some]), strict=True))
            known |= fresh
            if len(wanted) > LARGE:
                self._index.lay_by(fresh)
            if first + len(some) < len(wanted):
                told((first + len(some)) / len(wanted))
        return np.stack([known[key] for key in keys])

    def _forget(self, places: Sequence[Path], there: Set[str], tally: Tally) -> None:
        """Remove, in one moment, the documents at or under these places whose uri is not `there`."""
        uris = {place.resolve().as_uri() for place in places}
        under = tuple(uri.rstrip("/") + "/" for uri in uris)
        rows = [r for r in self._index.sources() if r.source.uri in uris or r.source.uri.startswith(under)]
        gone = [row.source for row in rows if row.source.uri not in there and not _out_of_reach(row.source.uri)]
        self._index.remove(*(source.id for source in gone))
        tally.uris["removed"] += [source.uri for source in gone]


def some(document: Document, passages: Sequence[Passage]) -> None:
    """Raises DocumentError if a document has no passages."""
    if not passages:
        raise DocumentError(f"{document.source.uri} holds no text", "it would never be found")


def _count(file: Looked, notes: Sequence[str], passages: int, tally: Tally) -> None:
    tally.passages += passages
    tally.uris["added" if file.known is None else "changed"].append(file.uri)
    tally.notes += [(file.uri, "; ".join(notes))] if notes else []


def _files_of(paths: Iterable[Path], exclude: Sequence[str], tally: Tally) -> Iterator[Path]:
    """Every file that is named, so that its refusal can be told, and those of the named folders that can be read; of
    the others in there is noted how many there are."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        tree = Tree(path, SUFFIXES, exclude)
        yield from tree.files()
        for error in tree.closed:
            uri = Path(error.filename).resolve().as_uri()
            tally.refused.append((uri, f"{error.filename} cannot be read: {error.strerror}"))
        if tree.others:
            each = ", ".join(f"{n:,} {kind}" for kind, n in tree.others.most_common())
            tally.notes.append((path.resolve().as_uri(), f"passed over, because nothing reads them: {each}"))


def _size(path: Path) -> int:
    """Bytes of a file; 0 if nobody can say."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _out_of_reach(uri: str) -> bool:
    """True if nobody can say whether the file is there: a folder that may not be read, a disk that does not answer."""
    try:
        os.lstat(unquote_to_bytes(uri.removeprefix("file://")))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False
