"""Any sentence-transformers model, in torch: the reference for the fast runtime, and the way to every other model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rag.embed import Vectors
from rag.errors import ModelError, TextTooLong


class SentenceEmbedder:
    """`folder` holds a sentence-transformers model; its prompts named 'query' and 'passage' or 'document' are used, or
    else those of `prompts`, 'question' and 'passage'."""

    def __init__(
        self,
        name: str,
        folder: Path,
        fingerprint: str,
        threads: int = 0,
        prompts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        if threads:
            torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except (OSError, ValueError) as e:
            raise ModelError(
                f"{folder} is no sentence-transformers model: {e}", "name a folder with modules.json"
            ) from e
        self.name, self.fingerprint = name, fingerprint
        dim, window = self._model.get_embedding_dimension(), self._model.get_max_seq_length()
        if dim is None or window is None:
            raise ModelError(f"{folder} does not say its dimension or its window", "use another model")
        self.dim, self.window = int(dim), int(window)
        its = self._model.prompts
        self._question_prompt = its.get("query") or prompts.get("question", "")
        self._passage_prompt = its.get("passage") or its.get("document") or prompts.get("passage", "")

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to be found, float32 (len(texts), dim). Raises TextTooLong over `window` tokens."""
        return self._encode(texts, self._passage_prompt)

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to find with, float32 (len(texts), dim)."""
        return self._encode(texts, self._question_prompt)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        if not texts:
            return []
        clean = [t.encode("utf-8", "replace").decode("utf-8") for t in texts]
        encoded = self._model.tokenizer(clean, add_special_tokens=False, truncation=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        full = [prompt + t.encode("utf-8", "replace").decode("utf-8") for t in texts]
        if not full:
            return np.empty((0, self.dim), np.float32)
        for text, tokens in zip(texts, self.lengths(full), strict=True):
            if tokens + 2 > self.window:
                raise TextTooLong(
                    f"a text of {tokens} tokens is over the {self.window} that {self.name} reads: {text[:60]!r}..."
                )
        return np.asarray(self._model.encode(full, normalize_embeddings=True, show_progress_bar=False), np.float32)
