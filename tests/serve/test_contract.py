"""One question, every door: the same answer, byte-identical citations, in the shape that was published."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema
import openai
import pytest

import rag
from rag.serve import schema
from tests.serve.conftest import SAYS, TREES, Held, Running, serving, with_model

ROOT = Path(__file__).resolve().parent.parent.parent
QUESTIONS = [TREES, "Where did the leaders meet?", "Who painted the ceiling of the Sistine Chapel?"]


def as_bytes(citations: Any) -> bytes:
    """Citations as they would be written, key by key in the order in which they came."""
    return json.dumps(citations, ensure_ascii=False).encode()


class Writer(BaseHTTPRequestHandler):
    """A language model behind OpenAI's protocol that always writes the same."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for word in SAYS.split(" "):
            self.wfile.write(f"data: {json.dumps({'choices': [{'delta': {'content': word + ' '}}]})}\n\n".encode())
        self.wfile.write(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@contextmanager
def writing() -> Iterator[str]:
    """The address of a `Writer`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Writer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, seeds: Path) -> Path:
    folder = tmp_path_factory.mktemp("contract") / "index"
    rag.open(folder, documents=seeds, llm_model="none").close()
    return folder


@pytest.fixture(scope="module", params=["quotes alone", "worded by a model"])
def everywhere(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Running, dict[str, str]]]:
    with ExitStack() as stack:
        model = {"llm_model": "none"}
        if request.param == "worded by a model":
            model = {"llm_model": "writer", "llm_base_url": stack.enter_context(writing())}
        assistant = stack.enter_context(rag.open(folder, **model, serve_per_minute=100_000))
        settings = {f"RAG_{name.upper()}": value for name, value in model.items()}
        more = {"RAG_INDEX_FOLDER": str(folder), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
        yield stack.enter_context(serving(assistant)), os.environ | settings | more


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_question_has_one_answer_by_every_door(everywhere: tuple[Running, dict[str, str]], question: str) -> None:
    server, environment = everywhere
    python = rag.to_json(server.assistant.ask(question))
    if question == TREES and environment["RAG_LLM_MODEL"] == "writer":
        assert python["text"] == SAYS and python["claims"][0]["origin"] == "model"
    told = {
        "command line": by_command_line(question, environment),
        "HTTP": server.http.post("/v1/answers", json={"question": question}).json(),
        "events": by_events(server, question),
        "OpenAI": by_openai(server, question),
        "receipt": server.http.post("/v1/receipts", json={"question": question}).json()["answer"],
        "MCP by HTTP": by_mcp(question, f"{server.url}/mcp"),
        "await": asyncio.run(by_await(server, question)),
    }
    if question == TREES:  # each time a process and its models
        told["MCP by standard input"] = by_mcp(question, environment)
    for door, answer in told.items():
        assert answer["text"] == python["text"], door
        assert answer["outcome"] == python["outcome"], door
        assert as_bytes(answer["claims"]) == as_bytes(python["claims"]), door
        if door != "receipt":
            assert as_bytes(answer["citations"]) == as_bytes(python["citations"]), door
            jsonschema.validate(answer, strict("Answer"))


def by_command_line(question: str, environment: Mapping[str, str]) -> Any:
    command = [sys.executable, "-m", "rag", "ask", question, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(environment), check=True, timeout=200)
    return json.loads(done.stdout)


def by_events(server: Running, question: str) -> Any:
    reply = server.http.post("/v1/answers", json={"question": question, "stream": True})
    return json.loads(reply.text.strip().split("\n\n")[-1].removeprefix("event: answer\ndata: "))


def by_openai(server: Running, question: str) -> Any:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        told = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": question}])
    assert told.model_extra is not None and told.choices[0].message.model_extra is not None
    answer = told.model_extra["rag"]
    assert as_bytes(answer["citations"]) == as_bytes(told.choices[0].message.model_extra["citations"])
    return answer


def by_mcp(question: str, server: str | dict[str, str]) -> Any:
    """Over HTTP, or over the standard input and output of a process with this environment."""
    mcp = pytest.importorskip("mcp", reason="the extra [mcp] is not installed")
    from mcp.client.stdio import stdio_client

    async def one() -> Any:
        over: Any = server
        if isinstance(server, dict):
            args = ["-m", "rag", "mcp"]
            over = stdio_client(mcp.StdioServerParameters(command=sys.executable, args=args, env=server, cwd=str(ROOT)))
        async with mcp.Client(over) as client:
            return (await client.call_tool("ask", {"question": question})).structured_content

    return asyncio.run(asyncio.wait_for(one(), 200))


async def by_await(server: Running, question: str) -> Any:
    from rag.asynchronous import AsyncAssistant

    return rag.to_json(await AsyncAssistant(server.assistant).ask(question))


def strict(noun: str) -> dict[str, Any]:
    """The published shape of a noun, with nothing beside what it names."""
    shape = copy.deepcopy(schema.schema()) | {"$ref": f"#/$defs/{noun}"}
    _close(shape["$defs"])
    return shape


def _close(value: Any) -> None:
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _close(one)
    if isinstance(value, dict) and value.get("type") == "object" and "properties" in value:
        value["additionalProperties"] = False


def structure(value: Any) -> Any:
    """A schema without its descriptions, which may be worded better at any time."""
    if isinstance(value, dict):
        return {k: structure(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}
    return [structure(v) for v in value] if isinstance(value, list) else value


def test_the_published_schema_is_that_of_the_nouns() -> None:
    published, now = structure(schema.schema()), structure(schema.made())
    assert published == now, "the nouns changed: python -m rag.serve.schema (and read there what VERSION means)"


def test_the_schema_is_one_and_says_its_version(server: Running) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema())
    told = server.http.get("/v1/schema").json()
    assert told == schema.schema() and told["$id"] == f"urn:rag:schema:{schema.VERSION}" == "urn:rag:schema:2"


SHAPES = Path(__file__).with_name("shapes.json")


def test_no_shape_of_a_version_ever_changes() -> None:
    nouns = structure(schema.made())["$defs"]
    now = {name: sha256(json.dumps(nouns[name], sort_keys=True).encode()).hexdigest() for name in nouns}
    published = json.loads(SHAPES.read_text("utf-8"))
    told = f"{now}\nis not what version {schema.VERSION} was: raise VERSION, and add its shapes to {SHAPES.name}"
    assert published[str(schema.VERSION)] == now, told
    assert len(set(map(str, published.values()))) == len(published), "a new version of the same"


def test_every_event_of_a_stream_has_the_published_shape(opened: Callable[..., rag.Assistant]) -> None:
    assistant, llm = opened(read_model="overlap", serve_waiting=1), Held()
    with_model(assistant, llm)
    with serving(assistant) as server, ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(server.http.post, "/v1/answers", json={"question": TREES})
            assert llm.entered.acquire(timeout=60)
            seen: dict[str, Any] = {}
            with server.http.stream("POST", "/v1/answers", json={"question": TREES, "stream": True}) as reply:
                for name, data in events_of(reply.iter_lines()):
                    jsonschema.validate({name: data}, strict("Events"))
                    seen[name] = data
                    if {"waits", "found", "quoted"} <= set(seen):
                        llm.go.set()
            assert first.result().status_code == 200
        finally:
            llm.go.set()
    assert set(seen) == {"waits", "found", "quoted", "wrote", "answer"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"waits": {"before": 1}}, strict("Events"))


def test_an_error_in_a_stream_has_the_published_shape(opened: Callable[..., rag.Assistant]) -> None:
    assistant, llm = opened(read_model="overlap", serve_answer_s=1.0), Held()
    with_model(assistant, llm)
    with serving(assistant) as server:
        reply = server.http.post("/v1/answers", json={"question": TREES, "stream": True})
    told = list(events_of(iter(reply.text.split("\n"))))
    assert told[-1][0] == "error"
    for name, data in told:
        jsonschema.validate({name: data}, strict("Events"))


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Name and data of each event."""
    for line in lines:
        if line.startswith("event: "):
            yield line.removeprefix("event: "), json.loads(next(lines).removeprefix("data: "))


def test_what_other_routes_tell_has_the_published_shape(server: Running) -> None:
    found = server.http.post("/v1/search", json={"query": "tariffs"}).json()
    jsonschema.validate(found, strict("Found"))
    document = server.assistant.document(found["hits"][0]["passage"]["source"]["id"])
    jsonschema.validate(rag.to_json(document), strict("Document"))
    receipt = server.http.post("/v1/receipts", json={"question": TREES}).json()
    jsonschema.validate(receipt, strict("Receipt"))
    jsonschema.validate(server.http.post("/v1/receipts/verify", json=receipt).json(), strict("Verification"))
    for path, noun in (("documents", "SourceRow"), ("collections", "CollectionRow")):
        (first, *_) = server.http.get(f"/v1/{path}").json()[path]
        jsonschema.validate(first, strict(noun))
    jsonschema.validate(server.http.get("/nothing").json(), strict("Error"))
    empty = [("files", ("shape.txt", b"", "text/plain"))]
    jsonschema.validate(server.http.post("/v1/documents", files=empty).json(), strict("Upload"))


def test_a_shape_that_is_not_the_published_one_is_found(server: Running) -> None:
    answer = rag.to_json(server.assistant.ask(TREES))
    for spoil in (lambda a: a.pop("citations"), lambda a: a.update(also=1), lambda a: a["citations"][0].pop("quote"),
                  lambda a: a["claims"][0].update(verdict="perhaps")):  # fmt: skip
        spoilt = copy.deepcopy(answer)
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt, strict("Answer"))


def test_openapi_names_the_same_shapes(server: Running) -> None:
    told = server.http.get("/openapi.json").json()
    assert set(schema.schema()["$defs"]) <= set(told["components"]["schemas"])
    assert "#/$defs/" not in json.dumps(told)
    answers = told["paths"]["/v1/answers"]["post"]["responses"]["200"]["content"]
    assert answers["application/json"]["schema"] == {"$ref": "#/components/schemas/Answer"}


def test_no_pattern_of_openapi_means_one_thing_here_and_another_there(server: Running) -> None:
    """`\\w` is a letter of any script in Python, and of the English alphabet alone in JSON Schema."""
    told = server.http.get("/openapi.json").text
    patterns = re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', told)
    assert "^[0-9a-f]{64}$" in patterns
    assert not [pattern for pattern in patterns if re.search(r"\\[wdsb]", pattern, re.IGNORECASE)]
