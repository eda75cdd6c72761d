"""Questions by HTTP: an answer as JSON or as server-sent events, passages, receipts."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rag import receipt
from rag.errors import RagError, UsageError
from rag.filters import Filter
from rag.retrieve import MAX_CHARACTERS
from rag.serve.desk import Desk, Expected
from rag.serve.leaving import EventStream, event, unless_gone
from rag.serve.refuse import body_of
from rag.types import Event, Found, to_json

Name = Annotated[str, Field(max_length=200)]
K = Annotated[int, Field(ge=1, le=100, description="How many passages.")]
Words = Annotated[str, Field(min_length=1, max_length=100_000)]
_ASKED = {"maxLength": MAX_CHARACTERS}  # told here; what is longer is refused below, in better words
Asked = Annotated[Words, Field(description="In words; at least one letter or digit.", json_schema_extra=_ASKED)]
Flag = Annotated[bool, Field(strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool):
        raise ValueError("a number is needed")
    return value


Number = BeforeValidator(_plain)
"""In JSON a number is a number: 3, and not "3" or true."""
_DAY = r"^([0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?)?$"


def _day(value: str) -> str:
    if re.fullmatch(_DAY, value) is None:
        raise ValueError("a day is needed: 2026-01-31, 2026-01 or 2026")
    return value


Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"pattern": _DAY})]


class Strict(BaseModel):
    """What clients send: unknown fields are refused, so that a slip of the pen is not silently ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Where(Strict):
    """Which documents to look in: all that is given must hold."""

    sources: Annotated[list[Name] | None, Field(max_length=1000, description="Ids of documents.")] = None
    types: Annotated[list[Name] | None, Field(max_length=100, description="Media types; `text/*` for a kind.")] = None
    collections: Annotated[list[Name] | None, Field(max_length=100, description="Names of collections.")] = None
    since: Day = ""
    until: Day = ""


class Turn(Strict):
    """A question that was asked before, and what was answered."""

    question: Words
    answer: Annotated[str, Field(max_length=100_000)] = ""


class Question(Strict):
    """A question, in words."""

    question: Asked
    history: Annotated[list[Turn], Field(max_length=100, description="The turns before it, oldest first.")] = []
    where: Where | None = None

    async def asked(self, desk: Desk) -> tuple[str, list[tuple[str, str]], Filter | None]:
        """The arguments of the desk."""
        return self.question, [(turn.question, turn.answer) for turn in self.history], await looked(desk, self.where)


class Streamed(Question):
    """A question whose answer may come as server-sent events."""

    stream: Annotated[Flag, Field(description="As events; the header `Accept: text/event-stream` asks too.")] = False


class Search(Strict):
    """What to look for."""

    query: Asked
    k: Annotated[K, Number] = 8
    where: Where | None = None


_SEALED = {
    "type": "object",
    "required": ["schema", "seal"],
    "properties": {
        "schema": {"const": receipt.SCHEMA},
        "seal": {"type": "object", "required": ["sha256"], "properties": {"sha256": {"type": "string"}}},
    },
}
_RECEIPT = {"required": True, "content": {"application/json": {"schema": _SEALED}}}


def shaped(noun: str, *more: str) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI is told the shape of a reply: the noun in the published schema."""
    return {200: {"content": {"application/json": {"schema": _ref(noun)}} | {kind: {} for kind in more}}}


def listed(name: str, noun: str) -> dict[int | str, dict[str, Any]]:
    """The same for a list of them, under its name."""
    schema = {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": _ref(noun)}},
    }
    return {200: {"content": {"application/json": {"schema": schema}}}}


def _ref(noun: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{noun}"}


async def looked(desk: Desk, where: Where | None) -> Filter | None:
    """The house's own value for where to look. Raises UsageError for a name that is not there."""
    if where is None:
        return None
    named = {k: v for k, v in where.model_dump().items() if v is not None}
    return await desk.assistant.call(desk.assistant.plain.filter, **named)


def routes(desk: Desk) -> APIRouter:
    """The routes about questions."""
    router = APIRouter(prefix="/v1")

    @router.post("/answers", responses=shaped("Answer", "text/event-stream"), summary="Ask")
    async def answers(body: Streamed, request: Request) -> Response:
        """The answer of the documents, with its claims, citations and outcome: `answered`, `closest` or `nothing`.

        As server-sent events: `waits` (how many are before it, seconds), `found` (the passages), `quoted` (the
        first quotes), `wrote` (pieces of the answer), and last one `answer`, or an `error`.
        """
        if body.stream or "text/event-stream" in request.headers.get("accept", ""):
            return await streamed(request, desk.events(*await body.asked(desk)))
        return JSONResponse(to_json(await unless_gone(request, desk.ask(*await body.asked(desk)))))

    @router.post("/search", responses=shaped("Found"), summary="Search")
    async def search(body: Search) -> Response:
        """The passages most worth reading, best first, without an answer."""
        where = await looked(desk, body.where)
        return JSONResponse(to_json(Found(tuple(await desk.assistant.search(body.query, body.k, where=where)))))

    @router.get("/search", responses=shaped("Found"), summary="Search, by address")
    async def search_by_address(
        q: Annotated[str, Query(min_length=1, max_length=MAX_CHARACTERS, json_schema_extra=_ASKED)],
        k: Annotated[K, Query()] = 8,
    ) -> Response:
        """The same for a browser's address bar. What stands in an address may be noted on the way: POST is quieter."""
        return JSONResponse(to_json(Found(tuple(await desk.assistant.search(q, k)))))

    @router.post("/receipts", responses=shaped("Receipt"), summary="Ask, and have a receipt")
    async def receipts(body: Question, request: Request) -> Response:
        """The answer as a receipt: its quotes, the hashes of their documents, models, index and time, sealed."""
        answer = await unless_gone(request, desk.ask(*await body.asked(desk)))
        return JSONResponse(await desk.assistant.call(desk.assistant.plain.receipt, answer))

    @router.post(
        "/receipts/verify", responses=shaped("Verification"), summary="Check a receipt",
        openapi_extra={"requestBody": _RECEIPT},
    )  # fmt: skip
    async def verify(request: Request) -> Response:
        """Whether a receipt is as it was made, whether each quote still stands, and what has changed since."""
        told = receipt.load(await request.body())
        return JSONResponse(to_json(await desk.assistant.call(desk.assistant.plain.verify, told)))

    return router


async def streamed(request: Request, events: AsyncGenerator[Event | Expected, None]) -> Response:
    """The events as they come. What is refused at once is no stream but a plain refusal."""
    first = await unless_gone(request, _first(events))

    async def told() -> AsyncGenerator[str, None]:
        try:
            yield event(*_named(first))
            async for one in events:
                yield event(*_named(one))
        except RagError as e:
            yield event("error", body_of(e))
        finally:
            await events.aclose()

    return EventStream(told())


async def _first(events: AsyncGenerator[Event | Expected, None]) -> Event | Expected:
    try:
        return await anext(events)
    except StopAsyncIteration:
        raise UsageError("the answer was stopped") from None
    except BaseException:
        await events.aclose()
        raise


def _named(one: Event | Expected) -> tuple[str, Any]:
    name = "waits" if isinstance(one, Expected) else type(one).__name__.lower()
    return name, to_json(one)
