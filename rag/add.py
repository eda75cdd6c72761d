"""Files in, an index in step with them out: load, split, embed, put; one document, one transaction.

A file whose time and size did not change costs a look; one whose bytes did not change costs a hash; of a changed one
only the passages that changed are embedded again. A file that cannot be read is reported, and the others go on.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np

from rag.clock import timed
from rag.embed import Embedder, Vectors
from rag.errors import DocumentError, TextTooLong
from rag.index import Index
from rag.load import SUFFIXES, Loader, read_bytes
from rag.split import embedded_text, split
from rag.tree import Tree
from rag.types import Document, Passage, Source


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `add` is: file `done` of `total`, and which one is next ('' at the end)."""

    done: int
    total: int
    uri: str


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
class _Tally:
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

    def report(self) -> Report:
        lists = {name: tuple(uris) for name, uris in self.uris.items()}
        refused, notes, seconds = tuple(self.refused), tuple(self.notes), time.perf_counter() - self.start
        steps = MappingProxyType(self.steps)
        return Report(**lists, refused=refused, notes=notes, passages=self.passages, seconds=seconds, steps=steps)


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

    def add(
        self,
        paths: Iterable[Path],
        progress: Callable[[Progress], None] | None = None,
        mirror: bool = False,
        collection: str | None = None,
        exclude: Sequence[str] = (),
    ) -> Report:
        """Add files and folders. With `mirror`, what was under one of `paths` and is gone is removed; an empty folder
        removes nothing, because it may be the place of a disk that is away.

        `collection`: all of them go into it; None leaves each where it is, and puts new ones into the default one.
        `exclude`: patterns as in a `.gitignore`, for the folders among `paths`; a file that is named is always read.

        Stopping it (Ctrl-C) loses nothing that was acknowledged; the next call goes on where it stopped.
        """
        tally, roots = _Tally(), list(paths)
        with tally.timed("look"):
            files = list(files_of(roots, exclude))
        try:
            with Loader() as loader:
                for done, path in enumerate(files):
                    if progress:
                        progress(Progress(done, len(files), path.as_posix()))
                    self._one(path, loader, collection, tally)
            if mirror:
                there = {path.resolve().as_uri() for path in files}
                self._forget([root for root in roots if _holds_anything(root)], there, tally)
        finally:
            self._index.flush()
        if progress:
            progress(Progress(len(files), len(files), ""))
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
        tally = _Tally()
        try:
            with Loader() as loader:
                for done, path in enumerate(files):
                    progress(Progress(done, len(files), path.as_posix()))
                    self._one(path, loader, collection, tally)
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
        return self._put(document, told, _Tally())

    def _put(self, document: Document, told: Mapping[str, Any], tally: _Tally) -> int:
        with tally.timed("split"):
            passages = split(document, self._embedder.lengths, self._max_tokens)
        if not passages:
            raise DocumentError(f"{document.source.uri} holds no text", "it would never be found")
        with tally.timed("embed"):
            vectors = self._vectors(passages)
        with tally.timed("store"):
            self._index.put(document, passages, vectors, **told)
        return len(passages)

    def _one(self, path: Path, loader: Loader, collection: str | None, tally: _Tally) -> None:
        uri = path.resolve().as_uri()
        known = self._index.find(Source.at(uri, "").id)
        try:
            info = path.stat()
            stat = f"{info.st_mtime_ns}:{info.st_size}"
            elsewhere = known is not None and collection not in (None, known.collection)
            if known is not None and known.stat == stat and not elsewhere:
                tally.uris["unchanged"].append(uri)
                return
            with tally.timed("read"):
                data = read_bytes(path)
                digest, day = hashlib.sha256(data).hexdigest(), date.fromtimestamp(info.st_mtime).isoformat()
            told = {"stat": stat, "dated": day, "collection": collection}
            if known is not None and known.digest == digest:
                self._index.note(known.source.id, **told)  # so that the next look need not hash it
                tally.uris["changed" if elsewhere else "unchanged"].append(uri)
                return
            with tally.timed("parse"):
                loaded = loader.parse(data, path)
            tally.passages += self._put(loaded.document, told | {"digest": digest}, tally)
            tally.uris["added" if known is None else "changed"].append(uri)
            tally.notes += [(uri, "; ".join(loaded.notes))] if loaded.notes else []
        except (DocumentError, TextTooLong) as e:
            tally.refused.append((uri, str(e)))
        except OSError as e:
            tally.refused.append((uri, f"{path} cannot be read: {e.strerror}"))

    def _vectors(self, passages: Sequence[Passage]) -> Vectors:
        """One row per passage; what any document of the index says already keeps its vector."""
        keys = [self._index.key(p) for p in passages]
        known = self._index.vectors_of(keys)
        fresh = {key: p for key, p in zip(keys, passages, strict=True) if key not in known}
        if fresh:
            texts = [embedded_text(p, self._embedder.lengths, self._max_tokens) for p in fresh.values()]
            known |= dict(zip(fresh, self._embedder.passages(texts), strict=True))
        return np.stack([known[key] for key in keys])

    def _forget(self, places: Sequence[Path], there: Set[str], tally: _Tally) -> None:
        """Remove, in one moment, the documents at or under these places whose uri is not `there`."""
        uris = {place.resolve().as_uri() for place in places}
        under = tuple(uri.rstrip("/") + "/" for uri in uris)
        rows = [r for r in self._index.sources() if r.source.uri in uris or r.source.uri.startswith(under)]
        gone = [row.source for row in rows if row.source.uri not in there and not _out_of_reach(row.source.uri)]
        self._index.remove(*(source.id for source in gone))
        tally.uris["removed"] += [source.uri for source in gone]


def files_of(paths: Iterable[Path], exclude: Sequence[str] = ()) -> Iterator[Path]:
    """Every file that is named, so that its refusal can be told, and those of the named folders that can be read."""
    for path in paths:
        yield from Tree(path, SUFFIXES, exclude).files() if path.is_dir() else [path]


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
