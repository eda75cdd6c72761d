"""The header of a model file, written here by hand, byte by byte."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import ConfigError, ModelDamaged, ModelError
from rag.llm.gguf import check_memory, free_memory, read_header
from rag.llm.llama import LlamaLLM, physical_cores


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: str | int | list[str]) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))


VALUES: dict[str, str | int | list[str]] = {
    "general.architecture": "tiny",
    "tiny.context_length": 512,
    "tiny.block_count": 3,
    "tiny.embedding_length": 40,
    "tiny.attention.head_count": 4,
    "tiny.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "é"],
    "tokenizer.chat_template": "<|im_start|>",
}
FILE = b"GGUF" + struct.pack("<IQQ", 3, 0, len(VALUES)) + b"".join(entry(k, v) for k, v in VALUES.items())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "tiny.gguf"
    made.write_bytes(FILE)
    return made


def test_a_header_is_read_with_its_window_and_template(path: Path) -> None:
    header = read_header(path)
    assert header.trained_window == 512
    assert header.chat_template == "<|im_start|>"
    assert header.bytes == len(FILE)


def test_without_the_vocabulary_the_window_is_still_read(path: Path) -> None:
    header = read_header(path, vocabulary=False)
    assert (header.trained_window, header.chat_template) == (512, "")


def test_each_token_of_the_window_takes_two_bytes_per_layer_head_and_number(path: Path) -> None:
    header = read_header(path)
    per_token = 3 * 2 * (10 + 10) * 2  # layers, key-value heads, key and value of 40 / 4 numbers, 2 bytes
    assert header.memory(500) - header.memory(400) == 100 * per_token


def test_a_model_that_does_not_fit_says_both_sizes(path: Path) -> None:
    header = read_header(path)
    check_memory(header, 100, None)
    check_memory(header, 100, header.memory(100))
    with pytest.raises(ModelError, match=r"needs 0\.2 GB .* 0\.1 GB are free"):
        check_memory(header, 100, 100_000_000)


@pytest.mark.parametrize("cut", range(0, len(FILE), 7))
def test_a_header_cut_short_anywhere_is_named_as_damaged(path: Path, cut: int) -> None:
    path.write_bytes(FILE[:cut])
    with pytest.raises(ModelDamaged, match=r"tiny\.gguf"):
        read_header(path)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(FILE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_a_header_or_a_named_error_and_no_other(
    at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("flip") / "tiny.gguf"
    data = bytearray(FILE)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    with suppress(ModelDamaged):
        read_header(path).memory(100)


@pytest.mark.parametrize("window", [0, -1, 63, 513, 2**31 - 1])
def test_a_window_the_model_was_not_trained_for_is_a_configuration_error(path: Path, window: int) -> None:
    with pytest.raises(ConfigError, match="window"):
        LlamaLLM(path, window=window)


@pytest.mark.parametrize("threads", [0, -3, 10_000])
def test_a_number_of_threads_out_of_range_is_a_configuration_error(path: Path, threads: int) -> None:
    with pytest.raises(ConfigError, match="threads"):
        LlamaLLM(path, window=512, threads=threads)


def test_a_template_that_cannot_be_recognised_must_be_named(path: Path) -> None:
    path.write_bytes(FILE.replace(b"<|im_start|>", b"[INST] {...}"))
    with pytest.raises(ConfigError, match="template"):
        LlamaLLM(path, window=512)
    assert LlamaLLM(path, template="chatml", window=512).template == "chatml"


def test_the_fingerprint_changes_with_the_bytes_and_the_template(path: Path) -> None:
    one = LlamaLLM(path, window=512)
    other = LlamaLLM(path, window=512, template="llama3")
    path.write_bytes(FILE + b"\0")
    assert len({one.fingerprint, other.fingerprint, LlamaLLM(path, window=512).fingerprint}) == 3


def test_this_machine_has_a_core_and_some_memory() -> None:
    assert physical_cores() >= 1
    assert (free := free_memory()) is None or free > 10_000_000
