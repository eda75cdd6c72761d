"""One question, every door: the same answer, byte-identical citations, in the shape that was published."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest

import rag
from rag.serve import schema
from tests.serve.conftest import TREES, Running, serving

ROOT = Path(__file__).resolve().parent.parent.parent
QUESTIONS = [TREES, "Where did the leaders meet?", "Who painted the ceiling of the Sistine Chapel?"]


def as_bytes(citations: Any) -> bytes:
    """Citations as they would be written, key by key in the order in which they came."""
    return json.dumps(citations, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, seeds: Path) -> Path:
    folder = tmp_path_factory.mktemp("contract") / "index"
    rag.open(folder, documents=seeds, llm_model="none").close()
    return folder


@pytest.fixture(scope="module")
def everywhere(folder: Path) -> Iterator[tuple[Running, dict[str, str]]]:
    with rag.open(folder, llm_model="none") as assistant, serving(assistant) as running:
        environment = {"RAG_LLM_MODEL": "none", "RAG_INDEX_FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
        yield running, os.environ | environment


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_question_has_one_answer_by_every_door(everywhere: tuple[Running, dict[str, str]], question: str) -> None:
    server, environment = everywhere
    python = rag.to_json(server.assistant.ask(question))
    told = {
        "command line": by_command_line(question, environment),
        "HTTP": server.http.post("/v1/answers", json={"question": question}).json(),
        "events": by_events(server, question),
        "OpenAI": by_openai(server, question),
        "receipt": server.http.post("/v1/receipts", json={"question": question}).json()["answer"],
        "MCP": by_mcp(server, question),
        "await": asyncio.run(by_await(server, question)),
    }
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


def by_mcp(server: Running, question: str) -> Any:
    mcp = pytest.importorskip("mcp", reason="the extra [mcp] is not installed")

    async def one() -> Any:
        async with mcp.Client(f"{server.url}/mcp") as client:
            return (await client.call_tool("ask", {"question": question})).structured_content

    return asyncio.run(one())


async def by_await(server: Running, question: str) -> Any:
    from rag.asynchronous import AsyncAssistant

    return rag.to_json(await AsyncAssistant(server.assistant).ask(question))


def strict(noun: str) -> dict[str, Any]:
    """The published shape of a noun, with nothing beside what it names."""
    shape = copy.deepcopy(schema.schema()) | {"$ref": f"#/$defs/{noun}"}
    for one in shape["$defs"].values():
        if one.get("type") == "object":
            one["additionalProperties"] = False
    return shape


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
    assert told == schema.schema() and told["$id"] == f"urn:rag:schema:{schema.VERSION}" == "urn:rag:schema:1"


def test_hits_and_documents_have_the_published_shape(server: Running) -> None:
    found = server.http.post("/v1/search", json={"query": "tariffs"}).json()
    jsonschema.validate(found, strict("Found"))
    document = server.assistant.document(found["hits"][0]["passage"]["source"]["id"])
    jsonschema.validate(rag.to_json(document), strict("Document"))


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
