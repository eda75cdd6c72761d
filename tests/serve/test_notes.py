"""What goes wrong in code that nobody foresaw: an answer in the usual shape, a count, a note, and nobody's text."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.serve import answers
from rag.serve.notes import Lines
from tests.serve.conftest import TREES, Running

ROOT = Path(__file__).resolve().parent.parent.parent
BROKEN = """
import asyncio, sys, threading, warnings
import rag
from rag.serve import serve

def broken(*args, **how):
    raise ValueError("SECRET of a document")

class Unclean:
    def __del__(self):
        broken()

assistant = rag.open(sys.argv[1], documents=sys.argv[2], llm_model="none")
assistant.search = assistant.sources = broken
answering = assistant.stream

def stream(question, **how):
    if "meet" in question:
        thread = threading.Thread(target=broken)
        thread.start()
        thread.join()
        warnings.warn("SECRET warning")
        Unclean()
        broken()
    return answering(question, **how)

assistant.stream = stream
serve(assistant, port=0, log=True)
"""


async def searched_by_mcp(url: str) -> str:
    mcp = pytest.importorskip("mcp", reason="the extra [mcp] is not installed")
    async with mcp.Client(f"{url}/mcp") as client:
        told = await client.call_tool("search", {"query": "tariffs"})
        assert told.is_error
        return str(told.content[0].text)


def test_no_text_of_an_error_that_nobody_foresaw_is_told_or_noted(tmp_path: Path, seeds: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN, str(tmp_path / "index"), str(seeds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found is not None
        with httpx.Client(base_url=found.group(), trust_env=False, timeout=120) as http:
            broken = [http.post("/v1/search", json={"query": "tariffs"}), http.get("/v1/documents"),
                      http.post("/v1/answers", json={"question": "Where did the leaders meet?"})]  # fmt: skip
            by_mcp = asyncio.run(searched_by_mcp(found.group()))
            assert http.post("/v1/answers", json={"question": TREES}).json()["outcome"] == "answered"
            counted = http.get("/metrics").text
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait(10)
    for reply in broken:
        assert reply.status_code == 500 and reply.json()["error"]["type"] == "server_error"
        assert reply.headers["x-content-type-options"] == "nosniff" and "SECRET" not in reply.text
    assert "SECRET" not in by_mcp and "search" in by_mcp
    assert 'rag_requests_total{method="POST",route="/v1/search",status="500"} 1' in counted
    assert 'status="499"' not in counted
    noted = [json.loads(line) for line in said.splitlines()]  # all of it is JSON
    assert "SECRET" not in said
    errors = {n.get("message", n.get("logger")): n for n in noted if "error" in n}
    by_mcp_too = errors.pop("mcp.server.mcpserver.server")["from"]
    assert set(errors) == {"a request failed", "an answer failed", "a thread failed", "an end was not clean"}
    for error in (*errors.values(), by_mcp_too):
        assert error["error"] == "ValueError" and error["frames"][-1].endswith("broken")
    assert [n["route"] for n in noted if n["level"] == "info" and n["route"] in ("/mcp", "none")][-1] == "/mcp"


def test_what_fails_in_the_middle_of_a_reply_cuts_it_off_and_is_noted(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    named, seen = answers._named, []

    def broken(one: Any) -> Any:
        seen.append(one)
        if len(seen) > 1:
            raise ValueError("SECRET")
        return named(one)

    monkeypatch.setattr(answers, "_named", broken)
    with pytest.raises(httpx.RemoteProtocolError), caplog.at_level(logging.INFO):
        server.http.post("/v1/answers", json={"question": TREES, "stream": True})
    monkeypatch.undo()
    lines = [Lines().format(record) for record in caplog.records if not record.name.startswith("http")]
    assert "SECRET" not in "".join(lines)
    assert [m for m in (json.loads(line).get("message") for line in lines) if m and "req" in m] == ["a request failed"]
    assert server.http.get("/health").json()["inside"] == 0


def test_methods_that_clients_make_up_are_counted_as_one(server: Running) -> None:
    for method in ("BREW", "X" * 500, "heliotrope"):
        assert server.http.request(method, "/v1/search").status_code == 405
    counted = server.http.get("/metrics").text
    assert re.search(r'rag_requests_total\{method="other",route="[^"]*",status="405"\} 3', counted)
    assert "BREW" not in counted and "heliotrope" not in counted


def test_every_metric_says_what_it_counts(server: Running) -> None:
    lines = server.http.get("/metrics").text.splitlines()
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert [line.split()[2] for line in lines if line.startswith("# HELP") and len(line.split()) > 5] == kinds
    names = {re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0]) for line in lines if line[0] != "#"}
    assert names <= set(kinds)


def test_of_another_librarys_note_only_who_said_it_and_where_is_told() -> None:
    note = logging.LogRecord("other.lib", logging.ERROR, "/home/me/lib/x/y.py", 7, "SECRET %s", ("SECRET",), None)
    told = json.loads(Lines().format(note))
    assert (told["logger"], told["at"], told["level"]) == ("other.lib", "lib/x/y.py:7 None", "error")
    assert "message" not in told
