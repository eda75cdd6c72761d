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
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import IndexBusy, IndexError_, RagError
from rag.index.place import Milvus

T = TypeVar("T")
Row = dict[str, Any]

MOST = 16_384  # rows that one answer of a server may have
BYTES = 65_535  # of one string
BATCH = 200  # passages of one request: with their vectors and words some megabytes
NAMES = 1_000  # ids of one question
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
        more: Row = {"server_pem_path": place.ca} if place.ca else {}
        with _opening:
            self._client: Any = self._asked(
                lambda: MilvusClient(
                    place.uri, token=place.token, db_name=place.database, timeout=place.timeout_s, **more
                )
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

    def has(self, what: str) -> bool:
        """True if there is this collection."""
        return bool(self._asked(lambda: self._client.has_collection(self._name(what))))

    def load(self, what: str) -> None:
        """Let a collection be asked, which nobody may have asked since the server was started."""
        self._asked(lambda: self._client.load_collection(self._name(what)))

    def drop(self, what: str) -> None:
        """Without it, if it is there."""
        if self.has(what):
            self._asked(lambda: self._client.drop_collection(self._name(what)))

    def make(self, what: str, dim: int = 0) -> None:
        """A collection, if it is not there: of passages if it has a `dim`."""
        if self.has(what):
            return
        from pymilvus import DataType, Function, FunctionType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        kinds = {int: (DataType.INT64, {}), str: (DataType.VARCHAR, {"max_length": BYTES})}
        for name, kind in _FIELDS[what.partition("_")[0]].items():
            as_, more = kinds[kind]
            words = {"enable_analyzer": True, "enable_match": True, "analyzer_params": {"tokenizer": "standard"}}
            more = {"max_length": 512} if (kind, name) == (str, "id") else more
            schema.add_field(name, as_, is_primary=name == "id", **more, **(words if name == "words" else {}))
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim or len(_FILLER))
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        if dim:
            schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
            schema.add_function(Function("bm25", FunctionType.BM25, ["words"], ["sparse"]))
            indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        self._asked(
            lambda: self._client.create_collection(
                self._name(what), schema=schema, index_params=indexes, consistency_level="Strong"
            )
        )

    def upsert(self, what: str, rows: Sequence[Row]) -> None:
        """All of these rows in one request, each in place of one with its id."""
        whole = [row if "vector" in row else row | {"vector": _FILLER} for row in rows]
        self._asked(lambda: self._client.upsert(self._name(what), whole, timeout=self.place.timeout_s))

    def delete(self, what: str, where: str) -> None:
        self._asked(lambda: self._client.delete(self._name(what), filter=where, timeout=self.place.timeout_s))

    def rows(self, what: str, where: str, fields: Sequence[str], most: int = MOST) -> list[Row]:
        """Rows that pass, in no order, and no more than `most`."""
        found = self._asked(
            lambda: self._client.query(
                self._name(what), filter=where, output_fields=list(fields), limit=most, timeout=self.place.timeout_s
            )
        )
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
        found = self._asked(
            lambda: self._client.query(
                self._name(what), filter=where, output_fields=["count(*)"], timeout=self.place.timeout_s
            )
        )
        return int(found[0]["count(*)"])

    def nearest(self, what: str, field: str, query: Any, k: int, where: str, fields: Sequence[str]) -> list[Row]:
        """The rows that the engine holds for nearest by a field. Its scores are left out: their sign and their scale
        are its own."""
        found = self._asked(
            lambda: self._client.search(
                self._name(what),
                data=[query],
                anns_field=field,
                limit=k,
                filter=where,
                output_fields=["id", *fields],
                timeout=self.place.timeout_s,
            )
        )
        return [{"id": hit["id"], **hit["entity"]} for hit in found[0]]

    def _name(self, what: str) -> str:
        return f"{self.place.name}_{what}"

    def _asked(self, act: Callable[[], T]) -> T:
        if self._closed:
            raise IndexError_(f"the index at {self.place} is closed")
        from pymilvus.exceptions import MilvusException

        try:
            return act()
        except MilvusException as error:
            if self.place.file and "Open local milvus failed" in str(error):
                raise IndexBusy(
                    f"{self.place} is held by another process, or is no such file",
                    "one process at a time: for several, use a server",
                ) from error
            raise IndexError_(
                f"Milvus at {self.place} refused: {str(error)[:300]}", "is the server there, and the token right?"
            ) from error


_FIELDS: dict[str, dict[str, type]] = {
    "meta": {"id": str, "value": str},
    "documents": {"id": int, "seq": int, "state": int, "about": str},
    "texts": {"id": str, "document": int, "text": str},
    "passages": {
        "id": int, "document": int, "start": int, "end": int, "key": str, "hash": str, "seal": str, "words": str,
        "text_words": int, "begun": int,
    },
}  # fmt: skip
