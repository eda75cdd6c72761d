"""Questions by HTTP: the same answers, as JSON and as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

import rag
from tests.serve.conftest import TREES, Running


def events(text: str) -> list[tuple[str, Any]]:
    """The server-sent events in a body: name and data."""
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def test_an_answer_is_the_assistants_own(server: Running) -> None:
    told = server.http.post("/v1/answers", json={"question": TREES}).json()
    plain = rag.to_json(server.assistant.ask(TREES))
    told.pop("trace"), plain.pop("trace")
    assert told == plain
    assert told["outcome"] == "answered" and "250" in told["text"]


def test_the_events_are_those_of_stream_and_end_with_the_answer(server: Running) -> None:
    for how in ({"json": {"question": TREES, "stream": True}},
                {"json": {"question": TREES}, "headers": {"accept": "text/event-stream"}}):  # fmt: skip
        reply = server.http.post("/v1/answers", **how)
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        told = [pair for pair in events(reply.text) if pair[0] != "waits"]
        assert [name for name, _ in told] == [type(e).__name__.lower() for e in server.assistant.stream(TREES)]
        assert "".join(data["text"] for name, data in told if name == "wrote") == told[-1][1]["text"]


def test_not_answering_is_an_outcome_and_no_error(server: Running) -> None:
    reply = server.http.post("/v1/answers", json={"question": "Who painted the ceiling of the Sistine Chapel?"})
    assert reply.status_code == 200
    assert reply.json()["outcome"] != "answered"


def test_a_follow_up_is_understood_with_its_history(server: Running) -> None:
    history = [{"question": "How many cherry blossom trees will Japan donate?", "answer": "250."}]
    answer = server.http.post("/v1/answers", json={"question": "And to whom?", "history": history}).json()
    assert "cherry" in answer["trace"]["query"]


def test_where_to_look_is_kept_to(server: Running) -> None:
    first, second = (row.source for row in server.assistant.sources())
    for source in (first, second):
        body = {"query": "Japan", "where": {"sources": [source.id]}}
        hits = server.http.post("/v1/search", json=body).json()["hits"]
        assert hits and {hit["passage"]["source"]["id"] for hit in hits} == {source.id}
    reply = server.http.post("/v1/search", json={"query": "Japan", "where": {"sources": ["nowhere"]}})
    assert reply.status_code == 422 and reply.json()["error"]["code"] == "usage_error"


def test_search_by_address_and_by_body_find_the_same(server: Running) -> None:
    by_address = server.http.get("/v1/search", params={"q": "tariffs", "k": 3}).json()
    by_body = server.http.post("/v1/search", json={"query": "tariffs", "k": 3}).json()
    assert by_address == by_body == {"hits": rag.to_json(server.assistant.search("tariffs", 3))}


def test_a_receipt_is_made_and_checked_and_a_tampered_one_is_caught(server: Running) -> None:
    receipt = server.http.post("/v1/receipts", json={"question": TREES}).json()
    found = server.http.post("/v1/receipts/verify", json=receipt).json()
    assert found["ok"] and found["quotes"][0]["standing"] == "holds"
    receipt["question"] = "Who?"
    assert server.http.post("/v1/receipts/verify", json=receipt).json()["intact"] is False


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/docs", "/v1/schema", "/v1/models"])
def test_what_the_server_says_of_itself_names_no_other_host(server: Running, path: str) -> None:
    reply = server.http.get(path)
    assert reply.status_code == 200
    for scheme in ("http://", "https://", "//cdn"):
        assert scheme not in reply.text.replace("https://json-schema.org/", "").replace(server.url, "")


def test_what_is_counted_can_be_read_by_prometheus(server: Running) -> None:
    server.http.post("/v1/answers", json={"question": TREES})
    server.http.get("/metrics", headers={"host": "other.example"})
    lines = server.http.get("/metrics").text.splitlines()
    counted = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}
    assert counted['rag_requests_total{method="POST",route="/v1/answers",status="200"}'] >= 1
    assert counted['rag_answers_total{outcome="answered"}'] >= 1
    assert counted['rag_refusals_total{reason="host"}'] >= 1
    assert counted["rag_answers_inside"] == 0
    name = 'rag_request_seconds_bucket{route="/v1/answers",le="%s"}'
    assert counted[name % "0.05"] <= counted[name % "60.0"] <= counted[name % "+Inf"]
    assert counted[name % "+Inf"] == counted['rag_request_seconds_count{route="/v1/answers"}']
