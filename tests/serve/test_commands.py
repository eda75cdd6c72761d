"""The commands of this door, as real processes: rag serve, rag ask --receipt, rag verify."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import TREES

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("commands") / "index")
    assert run("add", "seeds/", "--index", folder).returncode == 0
    return folder


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"RAG_LLM_MODEL": "none", "PYTHONPATH": str(ROOT)} | more


def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rag", *args]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment(**more), timeout=200, check=False
    )


@contextmanager
def served(*args: str, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A `rag serve` process and its address."""
    command = [sys.executable, "-m", "rag", "serve", *args]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(**more)
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found is not None
        yield found.group(), process
    finally:
        process.kill()
        process.wait(10)


def test_a_receipt_is_kept_checked_and_found_out_when_it_was_changed(index: str, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    for how in ((), ("--json",)):
        assert run("ask", TREES, "--receipt", str(file), *how, "--index", index).returncode == 0
        good = run("verify", str(file), "--index", index)
        assert good.returncode == 0, good.stderr
        assert good.stdout.startswith("intact") and "holds: " in good.stdout and "not proven" in good.stdout
    file.write_text(file.read_text("utf-8").replace("250 cherry", "251 cherry"), "utf-8")
    bad = run("verify", str(file), "--json", "--index", index)
    assert bad.returncode == 1 and json.loads(bad.stdout)["intact"] is False
    assert run("verify", str(file), "--index", index).stdout.startswith("NOT INTACT")


def test_what_is_no_receipt_ends_in_one_sentence(index: str, tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{")
    for path in (tmp_path / "no.json", tmp_path / "absent.json"):
        done = run("verify", str(path), "--index", index)
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.startswith("rag: ")


def test_an_address_for_others_without_a_token_is_refused(index: str) -> None:
    done = run("serve", "--host", "0.0.0.0", "--index", index)
    assert done.returncode == 2 and "RAG_TOKEN" in done.stderr


def test_the_server_asks_for_its_token_notes_no_text_and_ends_when_it_is_told_to(index: str) -> None:
    with served("--port", "7911", "--log", "--index", index, RAG_TOKEN="one two") as (url, process):
        with httpx.Client(base_url=url, trust_env=False, timeout=120) as http:
            assert http.get("/health").json()["status"] == "ok"
            assert http.post("/v1/answers", json={"question": TREES}).status_code == 401
            for token in ("one", "two"):
                headers = {"authorization": f"Bearer {token}"}
                assert http.post("/v1/answers", json={"question": TREES}, headers=headers).json()["citations"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode in (0, 130, -signal.SIGINT)
    noted = [json.loads(line) for line in said.splitlines()]  # each line of it, and each request once
    assert [n["status"] for n in noted] == [200, 401, 200, 200]
    assert all(n["level"] == "info" and n["time"].endswith("Z") for n in noted)
    assert "cherry" not in said and "Traceback" not in said and "one" not in said.replace('"none"', "")


def test_a_port_that_is_taken_is_said_and_the_default_gives_way(index: str) -> None:
    with served("--port", "7912", "--index", index):
        taken = run("serve", "--port", "7912", "--index", index)
        assert taken.returncode == 2 and "7912" in taken.stderr


@pytest.mark.slow
def test_with_the_real_model_a_client_that_leaves_frees_it_and_the_next_is_answered(index: str) -> None:
    with (
        served("--port", "7913", "--index", index, RAG_LLM_MODEL="smollm2-135m-instruct") as (url, _),
        httpx.Client(base_url=url, trust_env=False, timeout=280) as http,
    ):
        first = http.post("/v1/answers", json={"question": TREES}).json()
        assert first["outcome"] == "answered" and first["trace"]["fingerprints"]["llm"] != "none"
        with http.stream("POST", "/v1/answers", json={"question": TREES, "stream": True}) as reply:
            for line in reply.iter_lines():
                if line == "event: quoted":
                    break
        again = http.post("/v1/answers", json={"question": TREES}).json()
        assert again["text"] == first["text"] and again["citations"] == first["citations"]
