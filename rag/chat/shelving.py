"""Files on their way to the shelf: each taken by itself, then brought into the library together, with news of each.

    PUT  /page/upload?name=report.pdf      the bytes of one file; a key under which it waits
    POST /page/add                         keys, and a collection; one JSON object a line: what becomes of each file

Apart, so that the page can show how far each file is, refuse what is too large before it is sent, and go on with the
others. What was begun goes on when the page is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from rag.chat.names import file_name
from rag.chat.show import sendable
from rag.chat.texts import say
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.add import Progress, Report
    from rag.assistant import Assistant

MAX_FILE_MB = 100
MAX_FILES = 500
LIMITS = {"files": MAX_FILES, "mb": MAX_FILE_MB}
"""What the page looks at before it sends anything."""
_WAITING = 4 * MAX_FILES  # files that were sent and never added are forgotten beyond this
_BEAT_S = 0.15
_LOG = logging.getLogger("rag.chat")
News = dict[str, Any]


class Shelving:
    """Files that were sent, and those that are being added: one batch after the other."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._sent: OrderedDict[str, Path] = OrderedDict()
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Report]] = set()

    async def take(self, pieces: AsyncIterator[bytes], name: str) -> str:
        """Keep one file beside the index; its key. Raises RagError if it is too large, OSError if the disk is full."""
        size = 0
        with tempfile.TemporaryFile() as file:
            async for piece in pieces:
                size += len(piece)
                if size > MAX_FILE_MB << 20:
                    raise RagError(say("files.large", mb=MAX_FILE_MB), say("files.large_hint"))
                file.write(piece)
            path = await asyncio.to_thread(self._assistant.keep, file, name)
        key = secrets.token_hex(8)
        self._sent[key] = path
        while len(self._sent) > _WAITING:
            _, never_added = self._sent.popitem(last=False)
            if never_added not in self._sent.values():
                await asyncio.to_thread(self._assistant.sweep, [never_added])
        return key

    async def add(self, keys: Iterable[str], collection: str) -> AsyncIterator[News]:
        """Bring files into the library: news of each as it is read, then what became of it; last a line for all."""
        keys_of: dict[Path, list[str]] = {}
        for key in dict.fromkeys(keys):
            if key in self._sent:
                keys_of.setdefault(self._sent.pop(key), []).append(key)
        told: SimpleQueue[Progress] = SimpleQueue()
        task = asyncio.create_task(self._bring(list(keys_of), collection, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        last: Path | None = None
        while not task.done():
            await asyncio.wait({task}, timeout=_BEAT_S)
            for now in _drained(told):
                for path, state in _moved(last, now):
                    for key in keys_of.get(path, ()):
                        yield {"key": key, **state}
                last = now.path
        try:
            report = task.result()
        except Exception as error:
            if not isinstance(error, RagError):
                _LOG.exception("adding files failed")
            yield {"trouble": sendable(str(error)) if isinstance(error, RagError) else say("library.unexpected")}
            return
        of = {path.resolve().as_uri(): keys for path, keys in keys_of.items()}
        for news in outcomes(report):
            uri = news.pop("uri")
            for key in of.get(uri) or [""]:  # of a file that was not sent, but found in one that was
                yield {"key": key, "name": sendable(file_name(uri)), **news}
        yield {"said": summary(report)}

    async def _bring(self, paths: list[Path], collection: str, told: SimpleQueue[Progress]) -> Report:
        async with self._turn:
            try:
                return await asyncio.to_thread(
                    self._assistant.add, paths, collection=collection or None, progress=told.put
                )
            finally:
                await asyncio.to_thread(self._assistant.sweep, [p for p in paths if p not in self._sent.values()])


def _moved(last: Path | None, now: Progress) -> Iterator[tuple[Path, News]]:
    """News of single files: the last one was read, another one is, or some part of it."""
    if last is not None and last != now.path:
        yield last, {"state": "read"}
    if now.path is not None:
        yield now.path, {"state": "reading", "part": now.part}


def outcomes(report: Report) -> Iterable[News]:
    """What became of each file, by uri: its state, the reason of a refusal, what was left out of it."""
    notes: dict[str, list[str]] = {}
    for uri, note in report.notes:
        notes.setdefault(uri, []).append(sendable(note))
    for state, uris in (("added", report.added), ("changed", report.changed), ("unchanged", report.unchanged)):
        for uri in uris:
            yield {"uri": uri, "state": state, "notes": notes.get(uri, [])}
    for uri, why in report.refused:
        yield {"uri": uri, "state": "refused", "why": sendable(_reason(why, uri)), "notes": notes.get(uri, [])}


def _reason(why: str, uri: str) -> str:
    """Why a file was refused, without the path of our copy of it: its name stands beside.

    >>> _reason("/index/originals/ab/a.pdf: it is no readable PDF", "file:///index/originals/ab/a.pdf")
    'it is no readable PDF'
    >>> _reason("/index/originals/ab/a%20b.txt holds no text", "file:///index/originals/ab/a%2520b.txt")
    'a%20b.txt holds no text'
    """
    path = unquote(urlsplit(uri).path)
    return why.removeprefix(f"{path}: ").replace(path, file_name(uri))


def summary(report: Report) -> str:
    """The batch in a few words."""
    counts = {state: len(getattr(report, state)) for state in ("added", "changed", "unchanged", "refused")}
    return ", ".join(say(f"files.{state}", n=n) for state, n in counts.items() if n) or say("files.nothing")


def _drained(told: SimpleQueue[Progress]) -> Iterable[Progress]:
    try:
        while True:
            yield told.get_nowait()
    except Empty:
        return


def add_routes(app: FastAPI, assistant: Assistant) -> None:
    """Put both on `app`."""
    shelving = Shelving(assistant)

    @app.put("/page/upload")
    async def upload(request: Request, name: Annotated[str, Query(max_length=1000)]) -> JSONResponse:
        try:
            return JSONResponse({"key": await shelving.take(request.stream(), name or "document")})
        except RagError as error:
            return JSONResponse({"why": str(error)}, 413)
        except OSError as error:
            return JSONResponse({"why": say("files.not_kept", why=error.strerror)}, 507)

    @app.post("/page/add")
    async def add(
        keys: Annotated[list[str], Body(max_length=MAX_FILES)],
        collection: Annotated[str, Body(max_length=100)] = "",
    ) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async for news in shelving.add(keys, collection.strip()):
                yield json.dumps(news) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})
