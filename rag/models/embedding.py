"""The embedder of the settings, made from its files: here, or in a worker of ingestion on any machine."""

from __future__ import annotations

from pathlib import Path

from rag.embed import Embedder
from rag.embed.export import exportable
from rag.models import Models


def embedder(models: Models, name: str, threads: int = 0) -> Embedder:
    """`name`: of the catalogue, or a sentence-transformers folder; `threads` 0: as many as there are cores.

    Raises ModelMissing, ModelDamaged."""
    if Path(name).is_dir():
        from rag.models.own import own

        entry = own(Path(name))
    else:
        entry = models.entry(name, "embedder")
    folder = models.present(entry)
    if not exportable(folder):
        from rag.embed.sentence import SentenceEmbedder

        return SentenceEmbedder(entry.name, models.verified(entry), entry.fingerprint, threads, entry.prompts)
    from rag.embed.onnx import OnnxEmbedder

    return OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint, threads, entry.prompts)
