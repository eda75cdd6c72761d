"""What the server says of itself: health, metrics, the shape of its answers, its routes.

/health never touches a model or the index; /docs is a page without scripts that fetches nothing from anywhere.
"""

from __future__ import annotations

import copy
import html
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from rag.serve.metrics import Metrics
from rag.serve.refuse import ERROR
from rag.serve.schema import schema


def install(app: FastAPI, metrics: Metrics) -> None:
    """The routes, and the nouns' shapes in the OpenAPI."""

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
    async def docs() -> Response:
        return HTMLResponse(_docs(app))

    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            nouns = copy.deepcopy(schema()["$defs"])
            plain()["components"]["schemas"].update(_referring(nouns) | {"Error": ERROR})
        return plain()

    app.openapi = described  # type: ignore[method-assign]


def _referring(value: Any) -> Any:
    """The nouns as OpenAPI refers to them."""
    if isinstance(value, dict):
        return {k: v.replace("#/$defs/", "#/components/schemas/") if k == "$ref" else _referring(v)
                for k, v in value.items()}  # fmt: skip
    return [_referring(v) for v in value] if isinstance(value, list) else value


def _docs(app: FastAPI) -> str:
    """Every route with what it does, as a page without scripts."""
    rows = [
        f"<h2><code>{method.upper()} {html.escape(path)}</code> {html.escape(told.get('summary', ''))}</h2>"
        f"<p>{html.escape(told.get('description', ''))}</p>"
        for path, methods in app.openapi()["paths"].items()
        for method, told in methods.items()
    ]
    style = "body{font:16px/1.5 system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem}h2{font-size:1rem}"
    return (
        f'<!doctype html><html lang="en"><title>rag: the HTTP API</title><style>{style}</style>'
        f"<h1>rag: the HTTP API</h1><p>In full: <a href=/openapi.json>openapi.json</a>, "
        f"<a href=/v1/schema>the shape of the answers</a>.</p>{''.join(rows)}"
    )
