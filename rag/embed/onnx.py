"""The default embedder: a BERT-type encoder in ONNX Runtime.

It starts in a fraction of the time that torch needs to be imported, and gives the vectors of sentence-transformers
(cosine over 0.999999, tests/laws). `export.py` makes its file from the hash-checked weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.embed import Vectors
from rag.errors import TextTooLong

_BATCH_TOKENS = 2048  # of one call to the model, padding included: larger batches are slower on a CPU's cache


class OnnxEmbedder:
    """`model` is the exported file, `folder` the sentence-transformers folder that holds tokenizer and settings."""

    def __init__(self, name: str, model: Path, folder: Path, fingerprint: str, threads: int = 0) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name, self.fingerprint = name, fingerprint
        self.dim = int(self._session.get_outputs()[0].shape[1])
        self.window = int(json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"])

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to be found, float32 (len(texts), dim). Raises TextTooLong over `window` tokens."""
        ids = [e.ids for e in self._tokenizer.encode_batch([_clean(t) for t in texts])]
        for text, tokens in zip(texts, ids, strict=True):
            if len(tokens) > self.window:
                raise TextTooLong(
                    f"{text[:60]!r}... has {len(tokens)} tokens, over the {self.window} that {self.name} reads",
                    "split it first",
                )
        vectors = np.empty((len(texts), self.dim), np.float32)
        for batch in _batches([len(i) for i in ids]):
            vectors[batch] = self._run([ids[i] for i in batch])
        return vectors

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts to find with: this model was trained without prompts, so as `passages`."""
        return self.passages(texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        return [len(e.ids) for e in self._tokenizer.encode_batch([_clean(t) for t in texts], add_special_tokens=False)]

    def _run(self, ids: Sequence[Sequence[int]]) -> Vectors:
        width = max(len(i) for i in ids)
        tokens = np.zeros((len(ids), width), np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for row, some in enumerate(ids):
            tokens[row, : len(some)] = some
            mask[row, : len(some)] = 1
        return np.asarray(self._session.run(None, {"ids": tokens, "mask": mask})[0], np.float32)


def _clean(text: str) -> str:
    """Lone surrogates cannot be encoded; the tokenizer would raise a misleading TypeError."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers in groups of like length, so that little is padded."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= _BATCH_TOKENS:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
