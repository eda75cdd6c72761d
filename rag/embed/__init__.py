"""Texts in, unit vectors out.

The contract first; then two implementations: `onnx.OnnxEmbedder`, the default, which starts in a fraction of a second,
and `sentence.SentenceEmbedder`, the reference, which loads any sentence-transformers model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
FORM = "int8-2"
"""Of the exported file: a new name whenever `export.py` would give other vectors for the same weights."""


class Embedder(Protocol):
    """Turns texts into vectors of length 1.

    Laws (tests/laws): rows have length 1; order is kept; a row alone equals the row in a batch (1e-5); nothing is cut
    silently: a text over `window` tokens raises `TextTooLong`.
    """

    name: str
    """The model's name in the catalogue, or its path."""
    fingerprint: str
    """Changes whenever vectors would: weights, pooling, prompts, precision."""
    dim: int
    """Numbers per vector."""
    window: int
    """Tokens per text, the special ones included."""

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to be found, float32 (len(texts), dim)."""
        ...

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to find with, float32 (len(texts), dim)."""
        ...

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        ...
