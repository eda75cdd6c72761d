"""What many tests share: the seed texts, indexed once, with the real embedder and reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rag

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def seeds() -> Path:
    return ROOT / "seeds"


@pytest.fixture(scope="session")
def quoting(seeds: Path) -> Iterator[rag.Assistant]:
    """An assistant over the seeds that answers with quotes alone."""
    with rag.open(documents=seeds, llm_model="none") as assistant:
        yield assistant
