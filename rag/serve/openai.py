"""The same answers for programs that speak OpenAI's chat protocol: `/v1/chat/completions` and `/v1/models`.

The last user message is the question, the (user, assistant) pairs before it are its history. `system` and `developer`
messages are read over: what may be said is decided by the documents, and how by the house. Sampling settings
(`temperature`, `top_p`, `seed`, `max_tokens` ...) are checked and change nothing: an answer is never sampled, and a
quote is never cut in two. What would change the shape of the answer (`n` over 1, tools, a response format) is refused.

The model `rag` asks all documents, `rag/NAME` those of the collection NAME; a field `where`, as /v1/answers reads it,
narrows it further (`extra_body={"where": {...}}` in OpenAI's client).

The text carries numbered notes, `... [1]`, and closes with the list of them. The message carries the same as structure:
`annotations` in OpenAI's own form, `citations` as everywhere in this house, and the reply all of the answer as `rag`.
`usage` is absent, as the protocol allows: most of an answer is read and quoted, not generated, and what a server behind
`llm.base_url` counts is not known here; a number that clients would add up to a bill would be made up.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from rag.errors import RagError, UsageError
from rag.serve.answers import Flag, Number, Where, looked
from rag.serve.desk import Desk, Expected
from rag.serve.leaving import EventStream, event, unless_gone
from rag.serve.refuse import body_of, said
from rag.types import Answer, Citation, Event, Wrote, to_json

MODEL = "rag"
Text = Annotated[str, Field(max_length=100_000)]


class Part(BaseModel):
    """A piece of a message's content; only text can be read."""

    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[Part], Field(max_length=100)] | None = None

    @property
    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class Format(BaseModel):
    """How the answer is written; only as text."""

    type: Literal["text"]


class Completion(BaseModel):
    """What clients send. Fields that are not named here are let pass: every client has some of its own."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    model: Annotated[str, Field(max_length=300, description="`rag`, or `rag/NAME` for one collection.")] = MODEL
    stream: Flag | None = False
    where: Annotated[Where | None, Field(description="Which documents to look in.")] = None
    n: Annotated[int, Field(ge=1, le=1), Number] | None = None
    max_tokens: Annotated[int, Field(ge=1), Number] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1), Number] | None = None
    temperature: Annotated[float, Field(ge=0, le=2), Number] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    response_format: Format | None = None

    def asked(self) -> tuple[str, list[tuple[str, str]]]:
        """The question and its history. Raises UsageError if the last message is not the user's."""
        talk = [m for m in self.messages if m.role in ("user", "assistant")]
        if not talk or talk[-1].role != "user":
            raise UsageError("the last message is not the user's", "end the messages with a question")
        pairs = pairwise(talk[:-1])
        history = [(q.text, a.text) for q, a in pairs if (q.role, a.role) == ("user", "assistant")]
        return talk[-1].text, history


class Notes:
    """Numbers citations as they come; `annotations` say where in `text` their marks stand."""

    def __init__(self) -> None:
        self.text = ""
        self.annotations: list[dict[str, Any]] = []
        self._numbers: dict[Citation, int] = {}

    def wrote(self, piece: Wrote) -> str:
        """The piece with its marks behind it."""
        text = piece.text + (" " if piece.citations else "")
        at = len(self.text) + len(text)
        for citation in piece.citations:
            mark = f"[{self._numbers.setdefault(citation, len(self._numbers) + 1)}]"
            cited = {"start_index": at, "end_index": at + len(mark), "title": citation.source.title}
            self.annotations.append({"type": "url_citation", "url_citation": {**cited, "url": citation.source.uri}})
            text, at = text + mark, at + len(mark)
        self.text += text
        return text

    def closing(self) -> str:
        """The list of the notes; each quote, unless the text itself is it."""
        lines = [
            f"[{n}] {c.source.title}, {c.where}" + ("" if c.quote in self.text else f": “{c.quote}”")
            for c, n in self._numbers.items()
        ]
        closing = "\n\n" + "\n".join(lines) if lines else ""
        self.text += closing
        return closing


def noted(pieces: Sequence[Wrote], answer: Answer) -> dict[str, Any]:
    """The assistant's message: text with notes, annotations, citations."""
    notes = Notes()
    for piece in pieces:
        notes.wrote(piece)
    notes.closing()
    return {"role": "assistant", "content": notes.text, "refusal": None, **_structure(notes, answer)}


def _structure(notes: Notes, answer: Answer) -> dict[str, Any]:
    return {"annotations": notes.annotations, "citations": to_json(answer.citations)}


def routes(desk: Desk) -> APIRouter:
    """The two routes."""
    router, born = APIRouter(prefix="/v1", tags=["openai"]), int(time.time())

    async def names() -> list[str]:
        collections = await desk.assistant.call(desk.assistant.plain.collections)
        return [MODEL, *(f"{MODEL}/{row.name}" for row in collections)]

    def told(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": born, "owned_by": "rag"}

    @router.get("/models", summary="The models")
    async def models() -> Response:
        """`rag`: the documents, the reader, and whichever language model words the answer; and `rag/NAME` for each
        collection."""
        return JSONResponse({"object": "list", "data": [told(name) for name in await names()]})

    @router.get("/models/{name:path}", summary="One model")
    async def one(name: str) -> Response:
        """`rag`, or `rag/NAME` where there is a collection NAME."""
        return JSONResponse(told(name)) if name in await names() else _unknown()

    @router.post("/chat/completions", summary="Chat, as OpenAI's clients do")
    async def completions(body: Completion, request: Request) -> Response:
        """The answer with numbered notes in the text and as structure, whole or as a stream."""
        if body.model != MODEL and body.model not in await names():
            return _unknown()
        question, history = body.asked()
        events = desk.events(question, history, await looked(desk, _where(body)))
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
        if body.stream:
            first = await unless_gone(request, anext(events))
            return EventStream(_chunks(head, first, events))
        pieces, answer = await unless_gone(request, _whole(events))
        choice = {"index": 0, "message": noted(pieces, answer), "finish_reason": "stop", "logprobs": None}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "rag": to_json(answer)})

    return router


def _where(body: Completion) -> Where | None:
    """Where to look: what the model's name and the field say together."""
    if body.model == MODEL:
        return body.where
    where = Where() if body.where is None else body.where
    if where.collections is not None:
        raise UsageError("the model names a collection, and so does `where`", "use one of them")
    return where.model_copy(update={"collections": [body.model.removeprefix(MODEL + "/")]})


def _unknown() -> JSONResponse:
    hint = f"the model is {MODEL!r}, or '{MODEL}/NAME' for a collection"
    return JSONResponse(said(404, "model_not_found", "there is no such model here", hint), 404)


async def _whole(events: AsyncGenerator[Event | Expected, None]) -> tuple[list[Wrote], Answer]:
    pieces, answer = [], None
    try:
        async for one in events:
            if isinstance(one, Wrote):
                pieces.append(one)
            elif isinstance(one, Answer):
                answer = one
    finally:
        await events.aclose()
    assert answer is not None
    return pieces, answer


async def _chunks(
    head: dict[str, Any], first: Event | Expected, events: AsyncGenerator[Event | Expected, None]
) -> AsyncGenerator[str, None]:
    """The answer as chunks: the role, the pieces, the notes with their structure, and the end."""
    notes = Notes()

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return event("", {**head, "object": "chat.completion.chunk", "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": ""})
    try:
        one: Event | Expected | None = first
        while one is not None:
            if isinstance(one, Wrote):
                yield chunk({"content": notes.wrote(one)})
            elif isinstance(one, Expected):
                yield f": {one.before} before, {one.estimate_s:g} s\n\n"  # a comment: for who looks, and to be heard
            elif isinstance(one, Answer):
                yield chunk({"content": notes.closing(), **_structure(notes, one)})
                yield chunk({}, "stop", rag=to_json(one))
            one = await anext(events, None)
    except RagError as e:
        yield event("", body_of(e))
    finally:
        await events.aclose()
    yield "data: [DONE]\n\n"
