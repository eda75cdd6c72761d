"""Models of the user's own, the choice of one, and the commands that do it: real files, real processes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hub import hub
from test_llm_gguf import VALUES, entry

import rag
from rag.config import Config
from rag.errors import ConfigError, ModelDamaged, ModelError, ModelMissing, UsageError
from rag.models import Entry, File, Models
from rag.models.choice import choose
from rag.models.entry import read, written
from rag.models.own import own

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def shipped() -> Path:
    models = Models()
    known = models.entry("smollm2-135m-instruct", "llm")
    return models.verified(known) / next(iter(known.files))


@pytest.fixture(scope="module")
def minilm() -> Path:
    models = Models()
    return models.verified(models.entry("all-minilm-l6-v2", "embedder"))


def gguf(path: Path, **changed: str | int) -> Path:
    values = {**VALUES, **{key.replace("__", "."): value for key, value in changed.items()}}
    body = b"".join(entry(k, v) for k, v in values.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + body)
    return path


def test_a_file_of_ones_own_says_what_it_is(shipped: Path) -> None:
    mine = own(shipped, "mine")
    assert (mine.role, mine.template, mine.window, mine.style) == ("llm", "chatml", 8192, "sentence")
    assert mine.revision == "llama"
    assert mine.files == Models().entry("smollm2-135m-instruct").files
    assert 250e6 < mine.memory < 400e6


def test_an_added_model_is_known_afterwards_and_answers(shipped: Path, tmp_path: Path) -> None:
    Models(tmp_path / "m").add(own(shipped, "mine"))
    again = Models(tmp_path / "m")
    assert again.verified(again.entry("mine", "llm")) == shipped.parent
    settings = {"models_folder": str(tmp_path / "m"), "llm_model": "mine"}
    with rag.open(documents=ROOT / "seeds", **settings) as assistant:
        answer = assistant.ask("How many cherry trees will Japan give?")
    assert answer.trace.draft and not answer.trace.trouble


def test_an_entry_comes_back_from_its_toml(shipped: Path, tmp_path: Path) -> None:
    one = Entry("a.b", "embedder", "x/y", "1", "MIT", prompts={"question": 'say "q": '}, files={"w": File("ab", 3)})
    (tmp_path / "c.toml").write_text(written(one) + "\n" + written(own(shipped, "mine")))
    assert read(tmp_path / "c.toml") == {"a.b": one, "mine": own(shipped, "mine")}


def test_a_folder_of_ones_own_keeps_the_prompts_it_was_trained_with(minilm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "My Model"
    shutil.copytree(minilm, folder)
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    mine = own(folder)
    assert (mine.name, mine.role, mine.window, mine.dimension) == ("my-model", "embedder", 256, 384)
    assert mine.prompts == {"question": "query: ", "passage": "passage: "}
    assert next(iter(mine.files)) == "model.safetensors" and "1_Pooling/config.json" in mine.files
    models = Models(tmp_path / "m")
    models.add(mine)
    (folder / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(ModelDamaged, match=r"tokenizer\.json"):
        models.verified(models.entry("my-model"))


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"tokenizer__chat_template": "[INST] {...}"}, UsageError, "none that is known here"),
        ({"tokenizer__chat_template": ""}, UsageError, "no chat template"),
        ({"split__count": 3}, ModelError, "one part of several"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, changed: dict[str, str | int], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        own(gguf(tmp_path / "tiny.gguf", **changed))
    assert own(gguf(tmp_path / "good.gguf")).name == "good"


def test_names_are_plain_and_none_is_taken_twice(tmp_path: Path) -> None:
    for wrong in ("none", "a b", "../x", "", "Ä"):
        with pytest.raises(UsageError, match="is no name"):
            own(gguf(tmp_path / "tiny.gguf"), wrong)
    with pytest.raises(UsageError, match="there is a model called"):
        Models(tmp_path / "m").add(own(tmp_path / "tiny.gguf", "qwen3-4b"))


def test_what_is_not_there_or_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        own(tmp_path / "no.gguf")
    with pytest.raises(ModelDamaged, match=r"modules\.json"):
        own(tmp_path)


def test_a_damaged_catalogue_of_ones_own_is_named(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "added.toml").write_text("[mine]\nrole = 3\nnonsense = 1\n")
    with pytest.raises(ModelDamaged, match=r"added\.toml"):
        Models(tmp_path)


def test_a_choice_is_a_line_of_the_file_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "rag.toml"
    before = '# mine\n[answer]\nstrictness = "strict"  # I like it so\n\n[llm]\nmodel = "old"  # small\nwindow = 1024\n'
    file.write_text(before)
    choose(file, {"llm.model": "new"})
    assert file.read_text() == before.replace('"old"', '"new"')
    choose(file, {"embed.model": "other"})
    assert file.read_text().startswith(before.replace('"old"', '"new"'))
    config = Config.load(file=file, environ={})
    assert (config.llm.model, config.embed.model, config.answer.strictness) == ("new", "other", "strict")


def test_a_broken_settings_file_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text("[llm\n")
    with pytest.raises(ConfigError, match="not TOML"):
        choose(tmp_path / "rag.toml", {"llm.model": "new"})
    assert (tmp_path / "rag.toml").read_text() == "[llm\n"


def command(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "RAG_MODELS_FOLDER": str(cwd / "m")}
    line = [sys.executable, "-m", "rag", "models", *args]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=env, timeout=120, check=False)


def states(cwd: Path) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(command("--json", cwd=cwd).stdout)}


def test_the_commands_fetch_choose_and_check(shipped: Path, tmp_path: Path) -> None:
    data = shipped.read_bytes()
    toy = Entry(
        "toy", "llm", "org/toy", "main", "MIT", template="chatml", window=2048, files={"w.gguf": File("", 98_000_000)}
    )
    (tmp_path / "m" / "files").mkdir(parents=True)
    (tmp_path / "m" / "files" / "added.toml").write_text(written(toy))
    assert states(tmp_path)["toy"] == "to fetch"
    done = command("use", "toy", cwd=tmp_path)
    assert done.returncode == 5 and "rag models fetch toy" in done.stderr
    with hub() as server:
        server.files["w.gguf"] = data
        done = command("fetch", "toy", "--set", f"models.host={server.at('cut-60000000')}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert states(tmp_path)["toy"] == "here"
    assert command("use", "toy", cwd=tmp_path).returncode == 0
    assert (tmp_path / "rag.toml").read_text() == '[llm]\nmodel = "toy"\n'
    rows = json.loads(command("list", "--json", cwd=tmp_path).stdout)
    assert [row["name"] for row in rows if row["used"] and row["role"] == "llm"] == ["toy"]
    path = tmp_path / "m" / "files" / "toy" / "w.gguf"
    assert path.read_bytes() == data
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    done = command("check", cwd=tmp_path)
    assert done.returncode == 5 and "w.gguf is not the file" in done.stdout


def test_the_command_adds_a_file_and_refuses_what_cannot_be_chosen(shipped: Path, tmp_path: Path) -> None:
    done = command("add", str(shipped), "--name", "mine", cwd=tmp_path)
    assert done.returncode == 0 and "chat template chatml, window 8192" in done.stdout
    assert command("use", "mine", cwd=tmp_path).returncode == 0
    assert command("use", "none", cwd=tmp_path).returncode == 0
    assert Config.load(file=tmp_path / "rag.toml", environ={}).llm.model == "none"
    for name, says in (("gate", "no choice"), ("qwen-4b", "did you mean 'qwen3-4b'")):
        done = command("use", name, cwd=tmp_path)
        assert done.returncode in (2, 5) and says in done.stderr and "Traceback" not in done.stderr
