"""/health: it says that the server runs, and touches nothing that may be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

import rag
from rag.config import Config
from tests.serve.conftest import TREES, Running, serving


@pytest.mark.parametrize("broken", ["llm.model", "embed.model"])
def test_health_answers_where_a_model_is_absent_and_nothing_else_can(tmp_path: Path, seeds: Path, broken: str) -> None:
    rag.open(tmp_path / "index", documents=seeds, llm_model="none").close()
    absent = str(tmp_path / "absent.gguf") if broken == "llm.model" else str(tmp_path / "absent")
    config = Config().replace({"llm.model": "none", broken: absent})
    with rag.Assistant(tmp_path / "index", config) as assistant, serving(assistant) as server:
        for _ in range(3):
            assert server.http.get("/health").json()["status"] == "ok"
            refused = server.http.post("/v1/answers", json={"question": TREES})
            assert 400 <= refused.status_code < 600 and refused.json()["error"]["hint"]
        assert server.http.get("/metrics").status_code == 200


def test_health_answers_where_a_model_is_damaged_and_the_index_is_absent(tmp_path: Path) -> None:
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    config = Config().replace({"llm.model": str(tmp_path / "damaged.gguf")})
    with rag.Assistant(tmp_path / "nowhere", config) as assistant, serving(assistant) as server:
        assert server.http.post("/v1/answers", json={"question": TREES}).status_code >= 400
        assert server.http.get("/health").json() == {"status": "ok", "version": "test", "inside": 0}


def test_health_never_touches_the_models_or_the_index(tmp_path: Path) -> None:
    with rag.Assistant(tmp_path / "index", Config()) as assistant, serving(assistant) as server:
        assert server.http.get("/health").status_code == 200
        assert "_rooms" not in assistant.__dict__ and not (tmp_path / "index").exists()


def test_a_balancer_may_ask_for_the_head_alone(server: Running) -> None:
    whole, head = server.http.get("/health"), server.http.head("/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
