"""One more LLM at a time: found, loaded, exchanged, and never under the feet of somebody who is answered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rag
from rag.another import Another, installed
from rag.config import LLMConfig
from rag.errors import Busy, ConfigError, ModelMissing
from rag.llm.scripted import ScriptedLLM
from rag.models import Entry, File, Models


class Written(ScriptedLLM):
    """An LLM that knows whether it is closed, and is said to answer."""

    closed = False
    waiting = 0

    def close(self) -> None:
        self.closed = True


def _models(tmp_path: Path) -> Models:
    models = Models(tmp_path / "models")
    for name, style in (("one", "prose"), ("two", "sentence")):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF")
        models.catalogue[name] = Entry(
            name, "llm", name, "1", "mit", folder=str(tmp_path), style=style, files={f"{name}.gguf": File("", 4)}
        )
    models.catalogue["gone"] = Entry("gone", "llm", "gone", "1", "mit", files={"gone.gguf": File("0" * 64, 4)})
    return models


def test_only_one_other_model_is_held_and_who_is_answered_is_not_cut_off(tmp_path: Path) -> None:
    built: list[Written] = []

    def build(models: Models, entry: Entry, config: LLMConfig) -> Written:
        built.append(Written(lambda prompt: ""))
        return built[-1]

    another = Another(_models(tmp_path), LLMConfig(), build)
    one, style = another.get("one")
    assert (another.get("one")[0], style) == (one, "prose")
    built[0].waiting = 1
    with pytest.raises(Busy, match="one is still answering"):
        another.get("two")
    assert not built[0].closed
    built[0].waiting = 0
    assert another.get("two") == (built[1], "sentence") and built[0].closed and len(built) == 2
    with pytest.raises(ModelMissing, match="gone is not fetched yet"):
        another.get("gone")
    assert not built[1].closed  # what cannot be had takes nothing away
    another.close()
    assert built[1].closed


def test_what_is_installed_is_what_has_its_files(tmp_path: Path) -> None:
    found = installed(_models(tmp_path))
    assert {"one", "two"} <= set(found) and "gone" not in found and "reader" not in found


def test_a_question_can_be_worded_by_another_model_and_one_too_big_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp", reason="there is no local LLM")
    (tmp_path / "trees.txt").write_text("Japan will give 250 cherry trees to the United States.", "utf-8")
    name, question = "smollm2-135m-instruct", "How many cherry trees will Japan give?"
    with rag.open(documents=tmp_path / "trees.txt", llm_model="none") as assistant:
        assert assistant.writers()[0] == name
        alone = assistant.ask(question)
        worded = assistant.ask(question, settings={"llm.model": name})
        assert (alone.trace.draft, alone.trace.fingerprints["llm"]) == ("", "none")
        assert worded.trace.draft and worded.trace.fingerprints["llm"] != "none"
        with pytest.raises(ModelMissing, match="there is no llm called 'nobody'"):
            assistant.ask(question, settings={"llm.model": "nobody"})
        with pytest.raises(ConfigError, match="cannot be chosen"):
            assistant.ask(question, settings={"embed.model": name})
    monkeypatch.setattr("rag.llm.llama.free_memory", lambda: 1_000_000)
    with rag.open(documents=tmp_path / "trees.txt", llm_model="none") as assistant:
        told = assistant.ask(question, settings={"llm.model": name})
        assert re.search(r"needs 0\.\d GB of memory, and 0\.0 GB are free", told.trace.trouble)
        assert told.claims and not told.trace.draft  # the quotes answer without it
