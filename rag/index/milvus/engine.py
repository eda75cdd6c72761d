"""The server, or the file: how a connection is made, what collections there are, how rows go in and come out.

    NAME_meta           who made the index, which generation of it is in force, who may write
    NAME_documents_G    a row per document, and per document that went; the last row of a document decides
    NAME_texts_G        the text of each document with its marks, in pieces
    NAME_passages_G     passages: where they stand in their document, their words, their vectors

G is the generation: another embedder makes a new one beside the old. Milvus has no transactions, so nothing here relies
on two requests to be one: what a row is called follows from what it says, and sending it twice is sending it once.

Measured on Milvus Lite 3.2.2, which keeps a file from within this process: it splits words and nothing more (no stems,
whatever the analyser is told), so words are stemmed before they are sent; it says that lower BM25 is better where a
server says higher; it counts characters where a server counts bytes; it needs a vector in every collection; closing a
client leaves the file locked until the process ends or `release` is called; it brings nothing to the disk before it
closes, so that a power failure can cost what it acknowledged.

On the standalone server 2.3.5: a question that must see every write waits for the server's next tick, some 0.2 s, so
that only the list of documents and what changed a moment ago is asked that way; there are no analysers and no BM25
before 2.5 (`ranked` says so), and the words are ranked from a copy on this machine (`mirror`).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import ConfigError, IndexError_, RagError
from rag.index.milvus import patience
from rag.index.place import Milvus

T = TypeVar("T")
Row = dict[str, Any]

MOST = 16_384  # rows that one answer of a server may have
BYTES = 65_535  # of one string
BATCH = 200  # passages of one request: with their vectors and words some megabytes
NAMES = 1_000  # ids of one question
SETTLED_S = 15.0  # three times what a server may lag behind where it is not asked for the present
RANKED = (2, 5)  # the first server that counts words
_SPLIT = {"tokenizer": "standard"}  # at spaces
_FILLER = [0.0, 1.0]  # a server wants a vector in every collection

_files: dict[str, int] = {}  # how often each file is open in this process
_opening = threading.Lock()


class Engine:
    """One connection. Every error of the client becomes an IndexError_ that names the place."""

    def __init__(self, place: Milvus) -> None:
        """Raises IndexBusy where a file is open in another process, IndexError_ where no server answers."""
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise RagError("Milvus needs its client", "pip install 'rag[milvus]'") from error
        for name in ("pymilvus", "milvus_lite", "grpc"):  # they print each error, which we raise
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.place, self._closed = place, False
        self._moved = time.monotonic()
        self._wrote = set[str]()
        more: Row = {} if place.file else {"dedicated": True}  # else one with another authority would be taken
        if place.ca:
            if not Path(place.ca).is_file():
                raise ConfigError(f"index.tls_ca = {place.ca!r} is no file", "the PEM file of the server's authority")
            more["server_pem_path"] = place.ca
        with _opening if place.file else nullcontext():
            self._client: Any = self._asked(
                lambda left: MilvusClient(place.uri, token=place.token, db_name=place.database, timeout=left, **more)
            )
            if place.file:
                path = str(Path(place.file).resolve())
                _files[path] = _files.get(path, 0) + 1

    def close(self) -> None:
        """Closing twice is fine."""
        with _opening:
            if self._closed:
                return
            self._closed = True
            self._client.close()
            if not self.place.file:
                return
            path = str(Path(self.place.file).resolve())
            _files[path] -= 1
            if not _files[path]:
                from milvus_lite.server_manager import server_manager_instance

                server_manager_instance.release_server(self.place.file)

    @property
    def ranked(self) -> bool:
        """True if the server counts words itself."""
        said = str(self._asked(lambda left: self._client.get_server_version(timeout=left)))
        found = re.search(r"(\d+)\.(\d+)", said)
        return found is None or (int(found[1]), int(found[2])) >= RANKED

    def moved(self) -> None:
        """Something was written elsewhere a moment ago: until it has settled, all of it is asked for."""
        self._moved = time.monotonic()
        self._wrote.clear()

    def open(self) -> None:
        """Raises IndexError_ if it is closed."""
        if self._closed:
            raise IndexError_(f"the index at {self.place} is closed")

    def has(self, what: str) -> bool:
        """True if there is this collection."""
        return bool(self._asked(lambda left: self._client.has_collection(self._name(what), timeout=left)))

    def load(self, what: str) -> None:
        """Let a collection be asked, which nobody may have asked since the server was started."""
        self._asked(lambda left: self._client.load_collection(self._name(what), timeout=left))

    def drop(self, what: str) -> None:
        """Without it, if it is there."""
        if self.has(what):
            self._asked(lambda left: self._client.drop_collection(self._name(what), timeout=left))

    def make(self, what: str, dim: int = 0, ranked: bool = False) -> None:
        """A collection, if it is not there: of passages if it has a `dim`; whose words the server ranks if `ranked`."""
        if self.has(what):
            return
        from pymilvus import DataType, Function, FunctionType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        kinds: dict[type, tuple[Any, Row]] = {int: (DataType.INT64, {}), str: (DataType.VARCHAR, {"max_length": BYTES})}
        for name, kind in _FIELDS[what.partition("_")[0]].items():
            as_, more = kinds[kind]
            if (kind, name) == (str, "id"):
                more = {"max_length": 512}
            if ranked and name == "words":
                more = more | {"enable_analyzer": True, "enable_match": True, "analyzer_params": _SPLIT}
            schema.add_field(name, as_, is_primary=name == "id", **more)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim or len(_FILLER))
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        if ranked:
            schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
            schema.add_function(Function("bm25", FunctionType.BM25, ["words"], ["sparse"]))
            indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        name, strong = self._name(what), "Strong"
        self._asked(
            lambda left: self._client.create_collection(
                name, schema=schema, index_params=indexes, consistency_level=strong, timeout=left
            )
        )

    def upsert(self, what: str, rows: Sequence[Row]) -> None:
        """All of these rows in one request, each in place of one with its id."""
        whole = [row if "vector" in row else row | {"vector": _FILLER} for row in rows]
        self._wrote.add(what)
        self._asked(lambda left: self._client.upsert(self._name(what), whole, timeout=left), what)

    def delete(self, what: str, where: str) -> None:
        self._wrote.add(what)
        self._asked(lambda left: self._client.delete(self._name(what), filter=where, timeout=left), what)

    def rows(self, what: str, where: str, fields: Sequence[str], most: int = MOST) -> list[Row]:
        """Rows that pass, in no order, and no more than `most`."""
        asked = {"filter": where, "output_fields": list(fields), "limit": most, "consistency_level": self._level(what)}
        found = self._asked(lambda left: self._client.query(self._name(what), **asked, timeout=left), what)
        return [dict(row) for row in found]

    def named(self, what: str, ids: Sequence[int] | Sequence[str], fields: Sequence[str]) -> dict[Any, Row]:
        """Rows by their ids; those that are not there are not in it."""
        found: dict[Any, Row] = {}
        for first in range(0, len(ids), NAMES):
            some = ", ".join(f'"{id}"' if isinstance(id, str) else str(id) for id in ids[first : first + NAMES])
            found |= {row["id"]: row for row in self.rows(what, f"id in [{some}]", ["id", *fields])}
        return found

    def count(self, what: str, where: str) -> int:
        """How many rows pass."""
        asked = {"filter": where, "output_fields": ["count(*)"], "consistency_level": self._level(what)}
        found = self._asked(lambda left: self._client.query(self._name(what), **asked, timeout=left), what)
        return int(found[0]["count(*)"])

    def nearest(self, what: str, field: str, query: Any, k: int, where: str, fields: Sequence[str]) -> list[Row]:
        """The rows that the engine holds for nearest by a field. Its scores are left out: their sign and their scale
        are its own."""
        asked = {"data": [query], "anns_field": field, "limit": k, "filter": where, "output_fields": ["id", *fields]}
        level = self._level(what)
        found = self._asked(
            lambda left: self._client.search(self._name(what), **asked, consistency_level=level, timeout=left), what
        )
        return [{"id": hit["id"], **hit["entity"]} for hit in found[0]]

    def _level(self, what: str) -> str:
        """Everything that was written; or by this client, if nobody else did; or what may lag by seconds, which is
        enough where nothing was written for longer."""
        if what.partition("_")[0] in ("meta", "documents"):
            return "Strong"
        if what in self._wrote:
            return "Session"
        return "Strong" if time.monotonic() < self._moved + SETTLED_S else "Bounded"

    def _name(self, what: str) -> str:
        return f"{self.place.name}_{what}"

    def _asked(self, act: Callable[[float], T], what: str = "") -> T:
        """What the server answers to `act`, which is given the seconds that are left; asked again while it restarts."""

        def again(left: float) -> None:
            if what:  # a server that was started again may have loaded nothing
                self._client.load_collection(self._name(what), timeout=left)

        return patience.asked(self.place, act, self.open, again)


_FIELDS: dict[str, dict[str, type]] = {
    "meta": {"id": str, "value": str},
    "documents": {"id": int, "seq": int, "state": int, "about": str},
    "texts": {"id": str, "document": int, "text": str},
    "passages": {
        "id": int, "document": int, "start": int, "end": int, "key": str, "hash": str, "seal": str, "words": str,
        "text_words": int, "begun": int, "day": str,
    },
}  # fmt: skip
