"""The default embedder: a BERT-type encoder in ONNX Runtime.

It starts in a fraction of the time that torch needs to be imported, and gives nearly the vectors of
sentence-transformers (tests/laws). `export.py` makes its file from the hash-checked weights. Each text goes through
alone, several side by side on one thread each: no padding, no waiting at barriers, no neighbour that changes a vector.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rag.embed import FORM, Vectors
from rag.errors import TextTooLong
from rag.runtime import session


class OnnxEmbedder:
    """`model` is the exported file, `folder` the sentence-transformers folder that holds tokenizer and settings,
    `fingerprint` that of the weights and the prompts: what the model was trained to see before a 'question' or a
    'passage'."""

    def __init__(
        self,
        name: str,
        model: Path,
        folder: Path,
        fingerprint: str,
        threads: int = 0,
        prompts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        from tokenizers import Tokenizer

        self._session = session(model.read_bytes())
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pool = ThreadPoolExecutor(threads if threads > 0 else os.cpu_count() or 1, "embedder")
        self._prompts = prompts
        self.name, self.fingerprint = name, f"{fingerprint}+{FORM}"
        self.dim = int(self._session.get_outputs()[0].shape[1])
        self.window = int(json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"])

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to be found, float32 (len(texts), dim). Raises TextTooLong over `window` tokens."""
        return self._vectors(texts, self._prompts.get("passage", ""))

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to find with, float32 (len(texts), dim). Raises TextTooLong too."""
        return self._vectors(texts, self._prompts.get("question", ""))

    def _vectors(self, texts: Sequence[str], prompt: str) -> Vectors:
        ids = [e.ids for e in self._tokenizer.encode_batch([prompt + _clean(t) for t in texts])]
        for text, tokens in zip(texts, ids, strict=True):
            if len(tokens) > self.window:
                raise TextTooLong(
                    f"{text[:60]!r}... has {len(tokens)} tokens, over the {self.window} that {self.name} reads",
                    "split it first",
                )
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, vector in enumerate(self._pool.map(self._run, ids)):
            vectors[row] = vector
        return vectors

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        return [len(e.ids) for e in self._tokenizer.encode_batch([_clean(t) for t in texts], add_special_tokens=False)]

    def _run(self, ids: Sequence[int]) -> Vectors:
        """One text's vector, (dim,)."""
        row = np.array([ids], np.int64)
        return np.asarray(self._session.run(None, {"ids": row, "mask": np.ones_like(row)})[0][0], np.float32)


def _clean(text: str) -> str:
    """Lone surrogates cannot be encoded; the tokenizer would raise a misleading TypeError."""
    return text.encode("utf-8", "replace").decode("utf-8")
