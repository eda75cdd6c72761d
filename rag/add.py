"""Files in, an index in step with them out: load, split, embed, put; one document, one transaction.

A file whose time and size did not change costs a look; one whose bytes did not change costs a hash; of a changed one
only the passages that changed are embedded again. A file that cannot be read is reported, and the others go on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag.embed import Embedder, Vectors
from rag.errors import DocumentError
from rag.index import Index
from rag.load import files_under, parse, read_bytes
from rag.split import embedded_text, split
from rag.types import Document, Passage, Source


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `add` is: file `done` of `total`, and which one is next ('' at the end)."""

    done: int
    total: int
    uri: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `add` did: uris by outcome; `refused` with the reason; `passages` are those of added and changed files."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    passages: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Tally:
    uris: dict[str, list[str]] = field(
        default_factory=lambda: {"added": [], "changed": [], "unchanged": [], "removed": []}
    )
    refused: list[tuple[str, str]] = field(default_factory=list)
    passages: int = 0


class Adder:
    """Adds documents to one index with one embedder; passages of at most `max_tokens`."""

    def __init__(self, index: Index, embedder: Embedder, max_tokens: int) -> None:
        self._index, self._embedder = index, embedder
        self._max_tokens = min(max_tokens, embedder.window)

    def add(
        self, paths: Iterable[Path], progress: Callable[[Progress], None] | None = None, mirror: bool = False
    ) -> Report:
        """Add files and folders. With `mirror`, what was under one of `paths` and is gone is removed.

        Stopping it (Ctrl-C) loses nothing that was acknowledged; the next call goes on where it stopped.
        """
        start, tally, roots = time.perf_counter(), _Tally(), list(paths)
        files = list(files_under(roots))
        try:
            for done, path in enumerate(files):
                if progress:
                    progress(Progress(done, len(files), path.as_posix()))
                self._one(path, tally)
        finally:
            self._index.flush()
        if mirror:
            self._mirror(roots, files, tally)
        if progress:
            progress(Progress(len(files), len(files), ""))
        lists = {name: tuple(uris) for name, uris in tally.uris.items()}
        return Report(
            **lists, refused=tuple(tally.refused), passages=tally.passages, seconds=time.perf_counter() - start
        )

    def put(self, document: Document, digest: str = "", stat: str = "") -> int:
        """Split, embed and store one document; its number of passages. Raises DocumentError if it has none."""
        passages = split(document, self._embedder.lengths, self._max_tokens)
        if not passages:
            raise DocumentError(f"{document.source.uri} holds no text", "it would never be found")
        self._index.put(document, passages, self._vectors(document.source, passages), digest=digest, stat=stat)
        return len(passages)

    def _one(self, path: Path, tally: _Tally) -> None:
        uri = path.resolve().as_uri()
        known = self._index.find(Source.at(uri, "").id)
        try:
            info = path.stat()
            stat = f"{info.st_mtime_ns}:{info.st_size}"
            if known is not None and known.stat == stat:
                tally.uris["unchanged"].append(uri)
                return
            data = read_bytes(path)
            digest = hashlib.sha256(data).hexdigest()
            if known is not None and known.digest == digest:
                self._index.touch(known.source.id, stat)  # so that the next look need not hash it
                tally.uris["unchanged"].append(uri)
                return
            tally.passages += self.put(parse(data, path), digest, stat)
            tally.uris["added" if known is None else "changed"].append(uri)
        except DocumentError as e:
            tally.refused.append((uri, str(e)))
        except OSError as e:
            tally.refused.append((uri, f"{path} cannot be read: {e.strerror}"))

    def _vectors(self, source: Source, passages: Sequence[Passage]) -> Vectors:
        """One row per passage; a text that this source already had keeps its vector."""
        texts = [embedded_text(p, self._embedder.lengths, self._max_tokens) for p in passages]
        known = self._index.vectors_of(source.id)
        keys = [self._index.key(p) for p in passages]
        fresh = [i for i, key in enumerate(keys) if key not in known]
        vectors = np.empty((len(passages), self._embedder.dim), np.float32)
        for i, key in enumerate(keys):
            if key in known:
                vectors[i] = known[key]
        if fresh:
            vectors[fresh] = self._embedder.passages([texts[i] for i in fresh])
        return vectors

    def _mirror(self, roots: Sequence[Path], files: Sequence[Path], tally: _Tally) -> None:
        there = {path.resolve().as_uri() for path in files}
        under = tuple(root.resolve().as_uri().rstrip("/") + "/" for root in roots if root.is_dir())
        for row in self._index.sources():
            if row.source.uri.startswith(under) and row.source.uri not in there:
                self._index.remove(row.source.id)
                tally.uris["removed"].append(row.source.uri)
