"""The keeper of models: nothing is opened before its hash was found to be the catalogue's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import ModelDamaged, ModelMissing
from rag.models import Entry, File, Models


def entry(folder: Path, data: bytes = b"weights") -> Entry:
    (folder / "w.bin").write_bytes(data)
    files = {"w.bin": File(hashlib.sha256(b"weights").hexdigest(), 7)}
    return Entry("toy", "embedder", "here", "1", "MIT", folder=str(folder), files=files)


def test_a_whole_model_is_found(tmp_path: Path) -> None:
    assert Models().verified(entry(tmp_path)) == tmp_path


@pytest.mark.parametrize("data", [b"", b"weight", b"Weights", b"weights and more"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelDamaged, match=r"w\.bin"):
        Models().verified(entry(tmp_path, data))


def test_a_missing_file_and_a_missing_package_say_what_to_install(tmp_path: Path) -> None:
    toy = entry(tmp_path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelMissing, match=r"w\.bin"):
        Models().verified(toy)
    with pytest.raises(ModelMissing, match="pip install no-such-package-here"):
        Models().verified(replace(toy, package="no_such_package_here"))


def test_an_unknown_name_is_answered_with_the_nearest_known_one() -> None:
    with pytest.raises(ModelMissing, match="all-minilm-l6-v2"):
        Models().entry("all-minilm", "embedder")


def test_the_defaults_are_the_original_weights() -> None:
    models = Models()
    weights = models.entry("all-minilm-l6-v2", "embedder").files["model.safetensors"]
    assert weights.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    for name, role in (("all-minilm-l6-v2", "embedder"), ("smollm2-135m-instruct", "llm")):
        models.verified(models.entry(name, role))


def test_the_exported_form_is_made_once_and_made_again_when_damaged(tmp_path: Path) -> None:
    models = Models(tmp_path)
    toy = models.entry("all-minilm-l6-v2", "embedder")
    path = models.exported(toy)
    first = path.read_bytes()
    made = path.stat().st_mtime_ns
    assert models.exported(toy).stat().st_mtime_ns == made
    path.write_bytes(first[:-1] + bytes([first[-1] ^ 1]))
    assert models.exported(toy).read_bytes() == first
