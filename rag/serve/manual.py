"""/docs: how to ask, and every route with what it reads; one page without scripts that fetches nothing from anywhere.

The commands on it can be copied as they stand; a test runs each of them against a running server.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

STEPS = (
    (
        "Ask",
        """curl {base}/v1/answers -H 'Content-Type: application/json' \\
  -d '{"question": "How many cherry trees will Japan give?"}'""",
        "The answer with its claims, its outcome (`answered`, `closest`, `nothing`) and its citations: each quote is "
        "`text[start:end]` of its document, character for character.",
    ),
    (
        "Ask, and hear it as it is written",
        """curl -N {base}/v1/answers -H 'Content-Type: application/json' \\
  -d '{"question": "Where did the leaders meet?", "stream": true}'""",
        "Server-sent events: `waits` (how many come first, seconds), `found`, `quoted` (the first quotes), `wrote` "
        "(pieces that hold), and last one `answer`, or an `error`. Closing the connection frees the model.",
    ),
    (
        "Ask some of the documents only",
        """curl {base}/v1/answers -H 'Content-Type: application/json' \\
  -d '{"question": "What tariff was set?", "where": {"collections": ["default"], "types": ["text/*"]}}'""",
        "All that `where` names must hold: `sources` (ids), `types`, `collections`, `since` and `until` (days).",
    ),
    (
        "Search",
        "curl '{base}/v1/search?q=tariffs&amp;k=3'",
        "The passages alone, best first; it does not wait for answers.",
    ),
    (
        "Bring a document in, and list what is there",
        """echo 'The code word is heliotrope.' > note.txt
curl {base}/v1/documents -F files=@note.txt -F collection=notes
curl {base}/v1/documents""",
        "Any of the formats that `rag add` reads. `?wait=false` answers at once with an id for "
        "`/v1/documents/uploads/ID`.",
    ),
    (
        "Keep an answer, and check it later",
        """curl {base}/v1/receipts -H 'Content-Type: application/json' -o receipt.json \\
  -d '{"question": "Where did the leaders meet?"}'
curl {base}/v1/receipts/verify -H 'Content-Type: application/json' -d @receipt.json""",
        "`rag verify receipt.json` does the same without a server.",
    ),
)
PROGRAMS = (
    (
        "Any OpenAI client",
        """from openai import OpenAI

client = OpenAI(base_url="{base}/v1", api_key="the token, or any word")
told = client.chat.completions.create(
    model="rag",  # "rag/NAME": only the collection NAME
    messages=[{"role": "user", "content": "How many cherry trees will Japan give?"}],
    extra_body={"where": {"types": ["text/*"]}},  # as above; may be left out
)
print(told.choices[0].message.content)  # with numbered notes
print(told.choices[0].message.citations[0]["quote"])  # and as structure; told.rag is the whole answer""",
        "The last user message is the question, the pairs before it its history. System messages and sampling settings "
        "change nothing: an answer is never sampled.",
    ),
    (
        "MCP",
        "{base}/mcp",
        "Streamable HTTP, without sessions; `rag mcp` speaks it over standard input and output. Tools: `search`, "
        "`ask`, `list_sources`, `open_source`. It needs the package mcp: `pip install 'rag[mcp]'`.",
    ),
)
NOTES = (
    "If the server was started with a token (RAG_TOKEN), every request but /health needs the header "
    "`Authorization: Bearer TOKEN`. Each token may ask `serve.per_minute` times a minute, then hears 429.",
    "One question is answered at a time and `serve.waiting` wait; whoever comes then hears 429 at once. "
    "`Retry-After` says in how many seconds to come again.",
    "What cannot be is refused with `{\"error\": {\"type\", \"code\", \"message\", \"hint\", \"param\"}}`; `code` is "
    "stable. Not finding an answer is no error: it is an outcome.",
    "Pages of other sites may not ask: there is no CORS header, and a foreign Origin or Host is refused.",
    "`rag settings` lists the limits (`serve.*`), `rag serve --log` notes every request on stderr without any text of "
    "it, /metrics counts for Prometheus.",
)  # fmt: skip
_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:52rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "h2{margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 0}p{margin:.25rem 0}"
    "pre{overflow-x:auto;padding:.6rem .8rem;border:1px solid #8886;border-radius:6px;font-size:.85rem}"
    "li{margin:.2rem 0}small{opacity:.8}"
)


def page(app: FastAPI, base: str) -> str:
    """The page for a server at `base`, such as http://127.0.0.1:7861."""
    shown = html.escape(base)
    steps, programs = ("".join(_step(*step, shown) for step in some) for some in (STEPS, PROGRAMS))
    notes = "".join(f"<li>{_prose(note)}</li>" for note in NOTES)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>rag: the HTTP API</title><style>{_STYLE}</style><h1>rag: the HTTP API</h1>"
        f"<p>In full: <a href=/openapi.json>openapi.json</a>, <a href=/v1/schema>the shape of the answers</a>.</p>"
        f"<h2>First steps</h2>{steps}<h2>Other programs</h2>{programs}<h2>Good to know</h2><ul>{notes}</ul>"
        f"<h2>Every route</h2>{''.join(_routes(app.openapi()))}"
    )


def _step(title: str, code: str, told: str, base: str) -> str:
    return f"<h3>{title}</h3><pre>{_escaped(code).replace('{base}', base)}</pre><p>{_prose(told)}</p>"


def _escaped(code: str) -> str:
    return html.escape(html.unescape(code), quote=False)


def _prose(text: str) -> str:
    """Plain words as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(" ".join(text.split()), quote=False))


def _routes(openapi: Mapping[str, Any]) -> Iterator[str]:
    shapes = openapi["components"]["schemas"]
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            yield f"<h3><code>{method.upper()} {html.escape(path)}</code></h3>"
            yield f"<p>{_prose(told.get('summary', ''))}. {_prose(told.get('description', ''))}</p>"
            fields = [*_parameters(told), *_fields(told, shapes)]
            yield f"<ul>{''.join(f'<li>{field}</li>' for field in fields)}</ul>" if fields else ""


def _parameters(told: Mapping[str, Any]) -> Iterator[str]:
    for one in told.get("parameters", ()):
        if one["in"] == "query":
            yield _field(one["name"], one["schema"], one.get("required", False))


def _fields(told: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a body."""
    for kind in told.get("requestBody", {}).get("content", {}).values():
        shape = kind["schema"]
        shape = shapes[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
        for name, one in shape.get("properties", {}).items():
            yield _field(name, one, name in shape.get("required", ()))


def _field(name: str, shape: Mapping[str, Any], required: bool) -> str:
    told = shape.get("description", "")
    default = shape.get("default")
    usual = "needed" if required else "" if default in (None, "", []) else f"usually {default!r}".lower()
    return f"<code>{html.escape(name)}</code> <small>{html.escape(usual)}</small> {_prose(told)}"
