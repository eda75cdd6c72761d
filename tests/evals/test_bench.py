"""What the measurements are taken on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from rag.evals import bench


class Words:
    """Counts words for tokens."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def test_the_embedders_are_compared_on_real_passages_of_which_no_two_are_alike() -> None:
    texts = bench._texts(cast(Any, Words()))
    assert len(texts) == len(set(texts)) > 150
    assert max(Words().lengths(texts)) <= 160
    assert sorted(Words().lengths(texts))[len(texts) // 2] > 60, "most of them are as long as passages are"
