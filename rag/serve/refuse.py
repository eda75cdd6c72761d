"""What is said when something cannot be: one shape for every route, the one that OpenAI's clients read.

    {"error": {"type": "...", "code": "...", "message": "...", "hint": "...", "param": null}}

`code` is stable: the error's name in rag/errors.py in snake_case, or one of the door's own. Nothing that the client
sent is repeated: it might be a document, or not even text.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from rag.errors import (
    Busy,
    Cancelled,
    ConfigError,
    DocumentError,
    IndexBusy,
    IndexError_,
    IndexMissing,
    ModelError,
    PromptTooLong,
    RagError,
    TextTooLong,
    UsageError,
)
from rag.serve.leaving import Gone

_STATUS: tuple[tuple[type[RagError], int], ...] = (  # the first that fits
    (Busy, 429),
    (ConfigError, 400),
    (UsageError, 422),
    (DocumentError, 422),
    (TextTooLong, 422),
    (PromptTooLong, 422),
    (IndexBusy, 409),
    (IndexMissing, 503),
    (IndexError_, 500),
    (ModelError, 503),
    (Cancelled, 503),
)
_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
MOST_NAMED = 5
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Absent(HTTPException):
    """An address of ours, and nothing there: says what, and how to see what is."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(404, f"there is no such {what}")
        self.hint = hint


def said(status: int, code: str, message: str, hint: str = "", param: str | None = None) -> dict[str, Any]:
    """The body of a refusal."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"type": kind, "code": code, "message": message, "hint": hint, "param": param}}


def status_of(error: RagError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def code_of(error: RagError) -> str:
    """Its name, as it is written in JSON; `unexpected` for one that has none.

    >>> code_of(ModelError("x"))
    'model_error'
    """
    if type(error) is RagError:
        return "unexpected"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__.rstrip("_")).lower()


def body_of(error: RagError) -> dict[str, Any]:
    """The body for an error, also inside a stream."""
    return said(status_of(error), code_of(error), error.message, error.hint)


ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "hint", "param"],
            "properties": {name: {"type": "string"} for name in ("type", "code", "message", "hint")}
            | {"param": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        }
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": phrase, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    for status, phrase in (
        (400, "Its body cannot be read."),
        (401, "A token is needed."),
        (403, "It comes from another site."),
        (404, "There is no such thing."),
        (408, "It took too long to arrive."),
        (409, "Another process is writing to the index."),
        (413, "It is too large."),
        (415, "It is not of the type that is read here."),
        (421, "It asks for another server."),
        (422, "It cannot be."),
        (429, "Too many, or nobody more can wait: see Retry-After."),
        (431, "Its headers are too large."),
        (500, "Something went wrong."),
        (503, "A model or the index cannot be used now."),
    )
}
"""What any route may say, for OpenAPI."""


def install(app: FastAPI) -> None:
    """Every error of `app` leaves in this shape."""

    @app.exception_handler(RagError)
    async def _(_: Request, error: RagError) -> JSONResponse:
        headers = {"retry-after": str(error.retry_s)} if isinstance(error, Busy) else {}
        return JSONResponse(body_of(error), status_of(error), headers)

    @app.exception_handler(Gone)
    async def _(_: Request, __: Gone) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        if found[0]["type"] == "json_invalid":
            at = found[0]["loc"][-1]
            return JSONResponse(said(400, "json", f"the body is no JSON: see its character {at}", param="body"), 400)
        if wanted := _unread(request, error):
            told = f"the body is not of the type that is read here, which is {wanted}"
            return JSONResponse(said(415, "media_type", told, f"send the header Content-Type: {wanted}"), 415)
        where = [".".join(str(part) for part in e["loc"][1:] if len(str(part)) < 40) or "the body" for e in found]
        told = "; ".join(f"{at}: {e['msg']}" for at, e in zip(where[:MOST_NAMED], found, strict=False))
        return JSONResponse(said(422, "invalid", told, "GET /docs says what is read", where[0]), 422)

    @app.exception_handler(Absent)
    async def _(_: Request, error: Absent) -> JSONResponse:
        return JSONResponse(said(404, "not_found", error.detail, error.hint), 404)

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            return JSONResponse(_unreadable(request), 400)
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_").replace("-", "_")
        hint = "GET /docs lists the routes" if error.status_code in (404, 405) else ""
        given = {name.lower(): value for name, value in (error.headers or {}).items()}
        headers = given | (_allow(app, request) if error.status_code == 405 else {})
        return JSONResponse(said(error.status_code, code, phrase, hint), error.status_code, headers)


def _allow(app: FastAPI, request: Request) -> dict[str, str]:
    """Every method that this address has; the framework names those of one route."""
    scopes = [{**request.scope, "method": method} for method in METHODS]
    told = [scope["method"] for scope in scopes if any(r.matches(scope)[0] is Match.FULL for r in app.router.routes)]
    return {"allow": ", ".join(told)} if told else {}


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unreadable(request: Request) -> dict[str, Any]:
    """What is said of a body of the right type on which its parser gave up."""
    if _media_type(request) == "multipart/form-data":
        hint = "let the client set the header and its boundary, as `curl -F files=@FILE` does"
        return said(400, "multipart", "the body is not the form data that its Content-Type announces", hint, "body")
    return said(400, "json", "the body is no JSON that can be read", "send UTF-8, and no nesting without end", "body")


def _unread(request: Request, error: RequestValidationError) -> str:
    """The media type that a body should have had which nobody tried to read; '' where it had it, or there is none."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return ""
    given = _media_type(request)
    places = {tuple(e["loc"]) for e in error.errors()}
    if ("body", "files") in places:
        return "" if given == "multipart/form-data" else "multipart/form-data"
    if ("body",) in places:
        return "" if given == "application/json" or given.endswith("+json") else "application/json"
    return ""
