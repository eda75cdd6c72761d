"""The library: one index folder, and the few verbs about the documents in it.

The half of the assistant that needs no reader and no LLM. The embedder loads when it is first needed.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, TypedDict
from urllib.parse import unquote

from rag.config import Config
from rag.errors import IndexBusy, IndexDamaged, IndexMissing, UsageError
from rag.files import kept, unkept
from rag.filters import Filter
from rag.types import Citation, Document, Passage, Source

if TYPE_CHECKING:
    from rag.add import Adder, Progress, Report
    from rag.embed import Embedder, Vectors
    from rag.index import CheckReport, CollectionRow, Index, Place, SourceRow
    from rag.index.copying import Copied
    from rag.models import Models
    from rag.standing import Stands
    from rag.watch import Watch


Writes = bool | None | Literal["in turn"]
TURN_S = 45.0  # a server of Milvus holds the right of a writer that was killed for 30 s


class _Maker(TypedDict):
    embedder: str
    dim: int
    rules: str


class Library:
    """The documents of one index. Safe to use from several threads."""

    def __init__(
        self, folder: Path, config: Config | None = None, *, write: Writes = None, temporary: bool = False
    ) -> None:
        """`write`: True to change the index (one process at a time), False to read only; None: as far as it is free.
        'in turn': several processes change it, each takes the right to only for as long as a change takes."""
        self.folder, self.config = folder, Config() if config is None else config
        self._write, self._temporary = write, temporary
        self._lock = threading.RLock()
        self._closed = False
        self._watches: list[Watch] = []

    @cached_property
    def place(self) -> Place:
        """Where the documents are kept: the folder, or a place on Milvus. Raises ConfigError if that is none."""
        c = self.config.index
        if not c.place:
            return self.folder
        from rag.index import Milvus

        token = os.environ.get("RAG_MILVUS_TOKEN", "")
        more = {"database": c.database, "token": token, "ca": c.tls_ca}
        return Milvus.at(c.place, **more, timeout_s=c.timeout_s, here=self.folder / "words")

    def require(self) -> None:
        """Raises IndexMissing if there is no index yet: opening it would make it."""
        if isinstance(self.place, Path):
            there = (self.place / "FORMAT").is_file()
        else:
            from rag.index.milvus import opening

            there = opening.there(self.place)
        if not there:
            raise IndexMissing(f"there is no index in {self.place}", f"rag add PATH --index {self.place}")

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        mirror: bool = False,
        collection: str | None = None,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        cluster: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Bring the index in step with files and folders; a report of what was added, changed, left and refused.

        `collection` names the set they go into; without it each stays in its own, and new ones go into 'default'.
        `exclude`: patterns as in a `.gitignore`; those in the folders' own `.gitignore` and `.ragignore` hold anyway.
        `workers`: read and embed in so many processes of this machine; `cluster`: on the Dask cluster at this address
        (tcp://host:port, tls://host:port). The index is the same as without. Raises ClusterLost if they go away: what
        was stored is kept.
        """
        from rag.spread import crew_of

        crew = crew_of(self.config, self._embedder, workers, cluster)
        with self._changing() as index:
            return self._adder(index).add([Path(p) for p in paths], progress, mirror, collection, exclude, crew)

    def watch(
        self,
        folders: Iterable[str | Path],
        told: Callable[[Report], None] | None = None,
        *,
        collection: str | None = None,
        exclude: Sequence[str] = (),
        poll_s: float | None = None,
    ) -> Watch:
        """Keep the index in step with these folders, in the background, until `stop()` of what is returned, or `close`.

        `told` is called from that thread with the report of each round that changed something; `poll_s`: look at every
        file this often, for network folders, of whose changes the system does not tell. Raises UsageError if a folder
        is not there, IndexBusy if another process writes this index: then it is for that one to watch.
        """
        from rag.watch import Watch

        if not self._index.writable:
            raise IndexBusy(
                f"the index in {self.place} is open for reading only", "let the process that writes it watch"
            )
        watch = Watch(
            self._adder(self._index),
            [Path(f) for f in folders],
            told,
            collection=collection,
            exclude=exclude,
            poll_s=poll_s,
        )
        self._watches.append(watch)
        return watch

    def keep(self, file: BinaryIO, name: str) -> Path:
        """Where the bytes of an uploaded file lie now, beside the index, for `add`; then call `sweep`."""
        return kept(file, name, self._originals)

    def sweep(self, places: Iterable[Path]) -> None:
        """Take away those of the kept files from which the index holds no document: refused, or forgotten; all, where
        those who take turns need not have this folder in common: what one of them keeps, no other could forget."""
        alone = self._write == "in turn" and self.place != self.folder
        for place in places:
            if alone or self._index.find(Source.at(place.resolve().as_uri(), "").id) is None:
                unkept(place)

    def _forget(self, *rows: SourceRow) -> bool:
        """The documents, all in one moment, then what was kept of them; False if none was there."""
        with self._changing() as index:
            removed = index.remove(*(row.source.id for row in rows))
        start = self._originals.resolve().as_uri() + "/"
        uris = [row.source.uri for row in rows if row.source.uri.startswith(start)]
        self.sweep(self._originals / unquote(uri.removeprefix(start)) for uri in uris)
        return removed

    @property
    def _originals(self) -> Path:
        assert self._index is not None  # opened first: no index is made in a folder with something in it
        return self.folder / "originals"

    def add_text(self, text: str, *, title: str, uri: str, collection: str | None = None) -> int:
        """Add a text that is in no file; its number of passages. The same `uri` again replaces it."""
        from rag.load import clean

        with self._changing() as index:
            return self._adder(index).put(Document(Source.at(uri, title), clean(text)), collection=collection)

    def named(self, name: str) -> str:
        """The id of the one source of this id, uri, path, title or file name. Raises UsageError if none or several."""
        path, rows = Path(name).resolve().as_uri(), self.sources()
        found = [r.source.id for r in rows if name in (r.source.id, r.source.uri) or r.source.uri == path]
        found = found or [
            r.source.id for r in rows if name in (r.source.title, unquote(r.source.uri.rpartition("/")[2]))
        ]
        if len(found) == 1:
            return found[0]
        what = "no document" if not found else f"{len(found)} documents"
        raise UsageError(f"{what} called {name!r} in the index", "rag show lists them; use the id")

    def filter(
        self,
        *,
        sources: Iterable[str] = (),
        types: Iterable[str] = (),
        collections: Iterable[str] = (),
        since: str = "",
        until: str = "",
    ) -> Filter | None:
        """A filter from what a person wrote: sources as `named` takes them, types also by file ending ('pdf'), days as
        '2025-03-31', '2025-03' or '2025'. None if nothing is asked for. Raises UsageError for what cannot be."""
        from rag.load import media_type

        ids, kinds, sets = [self.named(s) for s in sources], [media_type(t) for t in types], list(collections)
        if unknown := [name for name in sets if name not in {row.name for row in self.collections()}]:
            raise UsageError(f"no collection {unknown[0]!r} in the index", "rag show --collections lists them")
        try:
            where = Filter(tuple(ids) or None, tuple(kinds) or None, tuple(sets) or None, since, until)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return None if where == Filter() else where

    def remove(self, source: str) -> bool:
        """Forget a source, named by its id or uri, at once; False if it is not there."""
        known = next((r for r in self.sources() if source in (r.source.id, r.source.uri)), None)
        return known is not None and self._forget(known)

    def sources(self) -> list[SourceRow]:
        """What the index holds, one row per document."""
        return self._index.sources()

    def collections(self) -> list[CollectionRow]:
        """The named sets of documents, by name; a set is there as long as a document is in it."""
        return self._index.collections()

    def rename_collection(self, old: str, new: str) -> int:
        """Put every document of `old` into `new`, which may be there already; how many went."""
        with self._changing() as index:
            return index.rename_collection(old, new)

    def remove_collection(self, name: str) -> int:
        """Forget every document of a collection, all in one moment; how many there were."""
        rows = [row for row in self.sources() if row.collection == name]
        self._forget(*rows)
        return len(rows)

    def document(self, source_id: str) -> Document:
        """A document as it was indexed. Raises KeyError if it is not there."""
        return self._index.document(source_id)

    def check(self) -> CheckReport:
        """Prove every passage against its document and every vector against its row; rebuild what can be rebuilt, from
        the documents' own texts. An index too damaged to open is mended: a document whose text does not hold is taken
        out and named, for you to add again."""
        from rag.add import made
        from rag.index import Index

        def make(document: Document) -> tuple[Sequence[Passage], Vectors]:
            return made(document, self._embedder, self.config.split.max_tokens)

        try:
            return self._index.check(make)
        except IndexDamaged:
            if self._write is False:
                raise
            return Index.mend(self.place, **self._maker(), make=make)

    def reindex(self, progress: Callable[[Progress], None] | None = None) -> int:
        """Make the index anew with the embedder and the passage rules of the settings, from its own texts: no file is
        needed. How many documents were made now; 0 if it is so already.

        The old index answers until the new one is whole. May be stopped, or killed, and called again: it goes on.
        """
        from rag.add import Progress, made
        from rag.index import Index

        def tell(done: int, all_: int) -> None:
            if progress is not None:
                progress(Progress(done, all_, None))

        if "_index" in self.__dict__:  # it could be opened, so it is what the settings say
            return 0
        embedder, most = self._embedder, self.config.split.max_tokens
        return Index.remake(
            self.place, **self._maker(), make=lambda document: made(document, embedder, most), progress=tell
        )

    def copy(self, place: str | Path, progress: Callable[[Progress], None] | None = None) -> Copied:
        """Copy the index to another folder or place ('milvus://host:19530/name'), each passage read back and compared.

        May be stopped and called again. `index.database`, the token and `index.tls_ca` hold for both. Raises
        IndexMismatch with both names if another embedder made what is there.
        """
        from rag.add import Progress
        from rag.config import index_at
        from rag.index.copying import copied

        def tell(done: int, all_: int) -> None:
            if progress is not None:
                progress(Progress(done, all_, None))

        config = self.config.replace(index_at(place))
        other = Library(self.folder if config.index.place else Path(place), config)
        return copied(self.place, other.place, tell)

    def holds(self, citation: Citation) -> bool:
        """True if the quote still stands, character for character, where the citation says."""
        try:
            return citation.holds_in(self.document(citation.source.id))
        except KeyError:
            return False

    def standing(self, citation: Citation) -> Stands:
        """What became of a citation: it holds; it moved, and is here now; it is stale, or its document is gone.

        A document that was removed and is there again under another address with the same title counts as moved.
        """
        from rag.standing import standing

        try:
            return standing(citation, self.document(citation.source.id))
        except KeyError:
            alike = (row.source.id for row in self.sources() if row.source.title == citation.source.title)
            return standing(citation, None, map(self.document, alike))

    def __len__(self) -> int:
        """Passages in the index."""
        return len(self._index)

    # -- life --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Free the index; closing twice is fine."""
        for watch in self._watches:
            watch.stop()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if "_index" in self.__dict__:
                self._index.close()
            if self._temporary:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the rooms, each built when first asked for --------------------------------------------------------------------

    @cached_property
    def _models(self) -> Models:
        from rag.models import Models

        return Models(Path(self.config.models.folder) if self.config.models.folder else None)

    @cached_property
    def _embedder(self) -> Embedder:
        from rag.models.embedding import embedder

        return embedder(self._models, self.config.embed.model, self.config.embed.threads)

    @cached_property
    def _index(self) -> Index:
        from rag.index import Index

        with self._lock:
            maker = self._maker()
            if self._write == "in turn":
                try:
                    return Index.open(self.place, **maker, write=False)
                except IndexMissing:
                    self._in_turn().close()
                    return Index.open(self.place, **maker, write=False)
            try:
                return Index.open(self.place, **maker, write=self._write is not False)
            except IndexBusy:
                if self._write:
                    raise
                return Index.open(self.place, **maker, write=False)

    @contextmanager
    def _changing(self) -> Iterator[Index]:
        """The index, to be changed. Raises IndexBusy where it is not this process's turn in TURN_S."""
        if self._write != "in turn":
            yield self._index
            return
        with self._in_turn() as index:
            yield index

    def _in_turn(self) -> Index:
        """The index, open for writing as soon as nobody else writes."""
        from rag.index import Index

        end, wait_s = time.monotonic() + TURN_S, 0.02
        while True:
            try:
                return Index.open(self.place, **self._maker(), write=True)
            except IndexBusy:
                if time.monotonic() > end:
                    raise
            time.sleep(wait_s)
            wait_s = min(1.0, 1.5 * wait_s)

    def _maker(self) -> _Maker:
        """What an index of this assistant is made with."""
        from rag.split import RULES

        rules = f"{RULES}:{self.config.split.max_tokens}"
        return {"embedder": self._embedder.fingerprint, "dim": self._embedder.dim, "rules": rules}

    def _adder(self, index: Index) -> Adder:
        from rag.add import Adder

        return Adder(index, self._embedder, self.config.split.max_tokens)
