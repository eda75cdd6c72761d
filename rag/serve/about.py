"""What the server says of itself: health, metrics, the shape of its answers, its routes.

/health never touches a model or the index; `/` leads to /docs.
"""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from rag.serve.manual import page
from rag.serve.metrics import Metrics
from rag.serve.schema import schema


def install(app: FastAPI, metrics: Metrics) -> None:
    """The routes, and the nouns' shapes in the OpenAPI."""

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the server runs")
    async def health() -> Response:
        """Never touches a model or the index."""
        return JSONResponse({"status": "ok", "version": app.version, "inside": metrics.inside})

    @app.get("/metrics", summary="Counters, for Prometheus", response_class=PlainTextResponse)
    async def counters() -> Response:
        """In its text format."""
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/schema", summary="The shape of every answer")
    async def shape() -> Response:
        """As JSON Schema, with its version."""
        return JSONResponse(schema())

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(page(app, str(request.base_url).rstrip("/")))

    @app.get("/", include_in_schema=False)
    async def door() -> Response:
        return RedirectResponse("/docs")

    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            nouns = copy.deepcopy(schema()["$defs"])
            plain()["components"]["schemas"].update(_referring(nouns))
        return plain()

    app.openapi = described  # type: ignore[method-assign]


def _referring(value: Any) -> Any:
    """The nouns as OpenAPI refers to them."""
    if isinstance(value, dict):
        return {k: v.replace("#/$defs/", "#/components/schemas/") if k == "$ref" else _referring(v)
                for k, v in value.items()}  # fmt: skip
    return [_referring(v) for v in value] if isinstance(value, list) else value
