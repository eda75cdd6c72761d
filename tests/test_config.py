"""Settings: who wins, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.config import Config, settings
from rag.errors import ConfigError


def test_flags_beat_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "rag.toml"
    file.write_text("[retrieve]\nk = 3\ndepth = 30\n[llm]\nseed = 3\n")
    environ = {"RAG_RETRIEVE_K": "4", "RAG_LLM_SEED": "4"}
    config = Config.load({"retrieve.k": 5}, file=file, environ=environ)
    assert (config.retrieve.k, config.llm.seed, config.retrieve.depth) == (5, 4, 30)
    assert config.split.max_tokens == Config().split.max_tokens


def test_a_zero_is_a_value_and_not_an_absence() -> None:
    assert Config.load({"retrieve.dense_weight": 0.0}, environ={}).retrieve.dense_weight == 0.0


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"llm\.model"):
        Config.load({"llm.modle": "x"}, environ={})
    with pytest.raises(ConfigError, match="RAG_LLM_MODEL"):
        Config.load(environ={"RAG_LLM_MODLE": "x"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llm.window", 0),
        ("llm.window", -1),
        ("llm.window", 2**31 - 1),
        ("llm.threads", -3),
        ("llm.threads", 10_000),
        ("llm.window", "many"),
        ("llm.window", True),
        ("answer.strictness", "harsh"),
        ("retrieve.dense_weight", float("nan")),
        ("llm.model", 3),
        ("split.max_tokens", None.__class__),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        Config.load({key: value}, environ={})


@pytest.mark.parametrize("text", ["[llm", "k = 3", "\xff"])
def test_a_broken_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rag.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"rag\.toml"):
        Config.load(file=file, environ={})


def test_every_setting_says_what_it_means() -> None:
    assert all(says for _, _, says in settings())
