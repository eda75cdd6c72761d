"""Documents by HTTP: bring them in, list them, read them, forget them; collections.

An upload is kept by its hash beside the index, then indexed in a thread, one upload after the other; it goes on when
the client leaves. `?wait=false` answers at once with the number under which its state can be asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import JSONResponse, Response

from rag.asynchronous import AsyncAssistant
from rag.errors import RagError, UsageError
from rag.serve.answers import Name, listed, shaped
from rag.serve.notes import failed, unforeseen
from rag.serve.refuse import Absent, body_of, said, status_of
from rag.types import Span, to_json

if TYPE_CHECKING:
    from rag.add import Report

_LOG = logging.getLogger("rag.serve")
MOST_FILES = 500
MOST_REMEMBERED = 1000
State = Literal["waiting", "indexing", "done", "failed"]
Wait = Annotated[bool, Query(description="Answer when all is indexed; false: at once.")]
Place = Annotated[int | None, Query(ge=0)]


@dataclass(slots=True)
class Upload:
    """Some files on their way into the index. `report` once it is done, `error` if it failed as a whole."""

    id: str
    files: int
    began: float
    state: State = "waiting"
    report: Report | None = None
    error: RagError | None = None


class Shelf:
    """Brings uploads into the index, one after the other, and remembers what became of the last of them."""

    def __init__(self, assistant: AsyncAssistant) -> None:
        self._assistant = assistant
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._awaited: Counter[Path] = Counter()
        self.uploads: OrderedDict[str, Upload] = OrderedDict()

    async def take(self, files: Sequence[UploadFile], collection: str | None) -> tuple[Upload, asyncio.Task[None]]:
        """Keep the files, and begin; the task ends when they are in the index."""
        plain = self._assistant.plain
        places = [await asyncio.to_thread(plain.keep, f.file, f.filename or "document") for f in files]
        self._awaited.update(places)
        name = plain.config.serve.name
        upload = Upload(f"{name}{'.' if name else ''}{time.time_ns():x}", len(places), time.time())
        self.uploads[upload.id] = upload
        while len(self.uploads) > MOST_REMEMBERED:
            self.uploads.popitem(last=False)

        async def bring() -> None:
            async with self._turn:
                upload.state = "indexing"
                try:
                    upload.report = await self._added(places, collection)
                    upload.state = "done"
                except RagError as e:
                    upload.error, upload.state = e, "failed"
                except Exception as e:
                    failed(_LOG, {"message": "an upload failed"}, e)
                    upload.error, upload.state = unforeseen(e), "failed"

        task = asyncio.create_task(bring())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return upload, task

    async def _added(self, places: list[Path], collection: str | None) -> Report:
        """The files in the index; nothing is kept of those that are refused, unless another upload waits with them."""
        try:
            return await self._assistant.add(places, collection=collection)
        finally:
            self._awaited -= Counter(places)
            await self._assistant.call(self._assistant.plain.sweep, [p for p in places if p not in self._awaited])


def routes(assistant: AsyncAssistant) -> APIRouter:
    """The routes about documents."""
    router = APIRouter(prefix="/v1")
    _uploads(router, Shelf(assistant))
    _reading(router, assistant)
    _forgetting(router, assistant)
    return router


def _uploads(router: APIRouter, shelf: Shelf) -> None:
    told = shaped("Upload")
    taken: dict[int | str, dict[str, Any]] = {202: {"description": "Taken; see its state.", **told[200]}}

    @router.post("/documents", summary="Bring documents in", responses={**told, **taken})
    async def bring(
        files: Annotated[list[UploadFile], File(description="Text, Markdown, HTML, PDF, Word ...", min_length=1)],
        collection: Annotated[Name | None, Form()] = None,
        wait: Wait = True,
    ) -> Response:
        """Files as multipart form data, field `files`. The same file again costs a look; a bad one is named in
        `refused` and the others go on."""
        if len(files) > MOST_FILES:
            raise UsageError(f"{len(files)} files at once are too many", f"at most {MOST_FILES}")
        upload, task = await shelf.take(files, collection)
        if wait:
            await asyncio.shield(task)
        return _upload(upload)

    @router.get("/documents/uploads/{upload}", summary="The state of an upload", responses={**told, **taken})
    async def state(upload: Name) -> Response:
        """`waiting`, `indexing`, `done` with its report, or `failed` with its error."""
        if upload not in shelf.uploads:
            raise Absent("upload", f"a server remembers the last {MOST_REMEMBERED} that it took, as long as it runs")
        return _upload(shelf.uploads[upload])


def _reading(router: APIRouter, assistant: AsyncAssistant) -> None:
    @router.get("/documents", summary="List the documents", responses=listed("documents", "SourceRow"))
    async def all_of_them(collection: Annotated[Name | None, Query()] = None) -> Response:
        """What the index holds, by address."""
        rows = await assistant.sources()
        return JSONResponse({"documents": to_json([r for r in rows if collection in (None, r.collection)])})

    @router.get("/documents/{document}", summary="One document", responses=shaped("SourceRow"))
    async def one(document: Name) -> Response:
        """What is known of it: passages, characters, when it came, its collection."""
        return JSONResponse(to_json(await _row(assistant, document)))

    @router.get("/documents/{document}/text", summary="Its text")
    async def text(document: Name, start: Place = None, end: Place = None) -> Response:
        """The text as it is indexed, or the span of a citation: `text[start:end]`, in Unicode code points."""
        try:
            whole = (await assistant.document(document)).text
        except KeyError:
            raise _no_document() from None
        first, last = 0 if start is None else start, len(whole) if end is None else min(end, len(whole))
        if first > last:
            raise UsageError(f"start {first} is behind end {last}", f"the text has {len(whole)} characters")
        span = Span(first, last)
        return JSONResponse({"id": document, "span": to_json(span), "text": span.of(whole)})

    @router.get("/collections", summary="List the collections", responses=listed("collections", "CollectionRow"))
    async def collections() -> Response:
        """The named sets of documents; one is there as long as a document is in it."""
        return JSONResponse({"collections": to_json(await assistant.call(assistant.plain.collections))})


def _forgetting(router: APIRouter, assistant: AsyncAssistant) -> None:
    @router.delete("/documents/{document}", summary="Forget a document")
    async def forget(document: Name) -> Response:
        """At once, and all its influence, and the file if it was uploaded; another file is not touched."""
        row = await _row(assistant, document)
        await assistant.change(assistant.plain.remove, row["source"]["id"])
        return JSONResponse({"removed": row["source"]})

    @router.delete("/collections/{name:path}", summary="Forget a collection")
    async def forget_all(name: Name) -> Response:
        """All its documents in one moment."""
        if name not in {row.name for row in await assistant.call(assistant.plain.collections)}:
            raise Absent("collection", "GET /v1/collections lists them")
        return JSONResponse({"removed": await assistant.change(assistant.plain.remove_collection, name)})


async def _row(assistant: AsyncAssistant, id_: str) -> dict[str, Any]:
    for row in await assistant.sources():
        if row.source.id == id_:
            found: dict[str, Any] = to_json(row)
            return found
    raise _no_document()


def _no_document() -> Absent:
    return Absent("document", "GET /v1/documents lists them")


def _upload(upload: Upload) -> JSONResponse:
    told = {"id": upload.id, "state": upload.state, "files": upload.files, "report": to_json(upload.report)}
    if upload.error is not None:
        return JSONResponse({**told, **body_of(upload.error)}, status_of(upload.error))
    if upload.report is not None and len(upload.report.refused) == upload.files:
        reason = upload.report.refused[0][1]
        return JSONResponse({**told, **said(422, "document_error", "nothing could be read: " + reason)}, 422)
    return JSONResponse(told, 200 if upload.state == "done" else 202)
