"""What many tests share: the seed texts, indexed once, with the real embedder and reader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import rag

# The same examples in every run, so that a change is only refused for what it brings; more, and new ones, by hand:
# pytest --hypothesis-profile=explore --hypothesis-seed=random
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
SWITCHES = ("RAG_ARTEFACTS", "RAG_FAULTS", "RAG_FUZZ")
"""Read from the environment by test modules, when they are collected."""


def pytest_collection_finish() -> None:
    """Take the tests' own switches out of the environment: the house refuses every RAG_ name that is no setting."""
    for name in SWITCHES:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def seeds() -> Path:
    return ROOT / "seeds"


@pytest.fixture(scope="session")
def quoting(seeds: Path) -> Iterator[rag.Assistant]:
    """An assistant over the seeds that answers with quotes alone."""
    with rag.open(documents=seeds, llm_model="none") as assistant:
        yield assistant


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every folder of this name one that may not be read, as it is for a person who is not root."""

    def close(name: str) -> None:
        real = os.scandir

        def scandir(path: str) -> object:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return close
