"""A model file of the user's own in, an entry of the catalogue out: what the file says of itself, and its hash.

The file stays where it is. Its chat template is looked at, never run: it must be recognised as one of this project's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rag.errors import ModelDamaged, ModelError, UsageError
from rag.files import sha256_of
from rag.llm.gguf import Header, read_header
from rag.llm.templates import TEMPLATES, recognise
from rag.models.entry import Entry, File

_SMALL = 300_000_000  # bytes of a file; a model below that only words one sentence (rag/prompt.py)
_WINDOW = 2048  # tokens for which the memory is told


def own(path: Path, name: str | None = None, template: str | None = None) -> Entry:
    """The entry of a .gguf file (a writer), or of a sentence-transformers folder (an embedder).

    `name`: made of the file's name unless given; `template`: one of rag/llm/templates.py, recognised unless given.
    Raises ModelMissing, ModelDamaged (no such model in it), ModelError (nothing for here), UsageError (which template?)
    """
    path = path.resolve()
    called = name if name is not None else _called(path)
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", called) or called == "none":
        raise UsageError(f"{called!r} is no name for a model", "small letters, digits, '.', '_' and '-'")
    return _embedder(path, called) if path.is_dir() else _writer(path, called, template)


def _called(path: Path) -> str:
    stem = path.name if path.is_dir() else path.stem
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "mine"


def _writer(path: Path, name: str, template: str | None) -> Entry:
    header = read_header(path)
    if int(header.values.get("split.count", 1)) > 1:
        raise ModelError(f"{path} is one part of several", "join them: llama-gguf-split --merge FIRST-PART WHOLE")
    known = recognise(header.chat_template) if template is None else template
    if known is None or known not in TEMPLATES:
        what = f"{template!r} is no chat template" if template else _unknown(header)
        raise UsageError(f"{path.name}: {what}", f"rag models add FILE --template, one of: {', '.join(TEMPLATES)}")
    size = path.stat().st_size
    return Entry(
        name=name,
        role="llm",
        source=str(header.values.get("general.name", path.name)),
        revision=str(header.values.get("general.architecture", "unknown")),
        licence=str(header.values.get("general.license", "see its maker")),
        folder=str(path.parent),
        good_for="added by you",
        template=known,
        style="sentence" if size < _SMALL else "prose",
        window=header.trained_window if header.trained_window is not None else _WINDOW,
        memory=header.memory(_WINDOW),
        tried=False,
        files={path.name: File(sha256_of(path), size)},
    )


def _unknown(header: Header) -> str:
    if not header.chat_template:
        return "it has no chat template, so it may be no model that answers"
    return "its chat template is none that is known here"


def _embedder(path: Path, name: str) -> Entry:
    config, length = _json(path / "config.json"), _json(path / "sentence_bert_config.json")
    if not (path / "modules.json").is_file():
        raise ModelDamaged(f"{path} holds no modules.json", "name a sentence-transformers folder")
    names = sorted(
        str(p.relative_to(path)) for p in path.rglob("*") if p.is_file() and not _beside(p.relative_to(path))
    )
    weights = [n for n in names if n.endswith(".safetensors")]
    if not weights:
        raise ModelDamaged(f"{path} holds no .safetensors weights", "name a sentence-transformers folder that has them")
    prompts = _json(path / "config_sentence_transformers.json").get("prompts") or {}
    files = {n: File(sha256_of(path / n), (path / n).stat().st_size) for n in dict.fromkeys([weights[0], *names])}
    return Entry(
        name=name,
        role="embedder",
        source=str(config.get("_name_or_path", path.name)),
        revision=str(config.get("model_type", "unknown")),
        licence="see its maker",
        folder=str(path),
        good_for="added by you",
        window=int(length.get("max_seq_length") or config.get("max_position_embeddings", 0)),
        dimension=int(config.get("hidden_size", 0)),
        memory=3 * sum(f.bytes for f in files.values()),
        tried=False,
        prompts={"question": prompts.get("query", ""), "passage": prompts.get("passage", prompts.get("document", ""))},
        files=files,
    )


def _beside(path: Path) -> bool:
    """True for what is no part of the model: other runtimes' forms, notes, hidden files."""
    return (
        path.parts[0] in ("onnx", "openvino")
        or any(part.startswith(".") for part in path.parts)
        or (path.suffix not in (".json", ".safetensors", ".txt", ".model"))
    )


def _json(path: Path) -> dict[str, Any]:
    """What a settings file says; nothing where there is none. Raises ModelDamaged."""
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
    except ValueError as e:
        raise ModelDamaged(f"{path} is no JSON: {e}", "copy the folder again") from e
    return told if isinstance(told, dict) else {}
