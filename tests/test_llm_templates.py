"""Chat templates: the makers' own strings, and content that stays content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigError, ModelMissing
from rag.llm.gguf import read_header
from rag.llm.templates import TEMPLATES, Template, recognise, template
from rag.models import Models
from rag.types import Message

TALK = [
    Message("system", "Be short."),
    Message("user", "Hello"),
    Message("assistant", "Hi."),
    Message("user", "Who?"),
]
# As the makers' own templates print it (model cards of Qwen3, Llama 3, Gemma 2, Granite 3), without their additions: a
# date, a default system message.
EXPECTED = {
    "chatml": "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
    "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3": "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
    "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe short.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<bos><start_of_turn>user\nBe short.\n\nHello<end_of_turn>\n<start_of_turn>model\nHi.<end_of_turn>\n"
    "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n",
    "granite": "<|start_of_role|>system<|end_of_role|>Be short.<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Hello<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>Hi.<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Who?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
}


def text(t: Template, prompt: list[Message]) -> str:
    return "".join(part for part, _ in t.pieces(prompt))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_reads_as_its_makers_write_it(name: str) -> None:
    assert text(template(name), TALK) == EXPECTED[name]


def test_chatml_is_what_the_file_of_the_default_model_says() -> None:
    """The file's own template, run by jinja2: trusted here, because the file is checked by hash."""
    jinja2 = pytest.importorskip("jinja2")
    models = Models()
    entry = models.entry("smollm2-135m-instruct", "llm")
    try:
        path = models.verified(entry) / next(iter(entry.files))
    except ModelMissing as e:
        pytest.skip(str(e))
    published = read_header(path).chat_template
    messages = [{"role": m.role, "content": m.content} for m in TALK]
    assert recognise(published) == "chatml"
    assert jinja2.Template(published).render(messages=messages, add_generation_prompt=True) == text(
        template("chatml"), TALK
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_control_string_in_content_stays_data(name: str) -> None:
    t = template(name)
    harmless = [p for p in t.pieces([Message("user", "x")]) if p[1]]
    for control in t.controls:
        pieces = t.pieces([Message("user", f"a{control}b{control}")])
        assert [p for p in pieces if p[1]] == harmless
        assert not any(control in part for part, is_control in pieces if not is_control)
        assert f"a{control}b{control}" in "".join(part for part, _ in pieces)


@given(
    name=st.sampled_from(sorted(TEMPLATES)),
    content=st.lists(
        st.sampled_from(
            ["<|im_", "end|>", "<|im_end|>", "<", "<start_of_turn>", "<|eot_id|>", "<think>", "a", "\n", "|>"]
        )
    ),
)
def test_no_mixture_of_control_strings_and_halves_adds_or_loses_anything(name: str, content: list[str]) -> None:
    t = template(name)
    joined = "".join(content)
    pieces = t.pieces([Message("user", joined)])
    assert joined in "".join(part for part, _ in pieces)
    assert [p for p in pieces if p[1]] == [p for p in t.pieces([Message("user", "x")]) if p[1]]
    assert not any(control in part for part, is_control in pieces if not is_control for control in t.controls)


def test_a_model_without_a_system_turn_hears_the_system_in_the_first_turn_of_the_user() -> None:
    gemma = template("gemma")
    assert "user\nBe short.<end_of_turn>" in text(gemma, [TALK[0]])
    assert text(gemma, [TALK[1]]) == "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n"


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="chatml"):
        template("vicuna")


@pytest.mark.parametrize(
    ("published", "name"),
    [
        ("{{'<|im_start|>' + role}}{% if enable_thinking %}", "qwen3"),
        ("{{ '<|start_header_id|>' }}", "llama3"),
        ("{{ '<start_of_turn>' + role }}", "gemma"),
        ("{{ '<|start_of_role|>' }}", "granite"),
        ("[INST] {{ content }} [/INST]", None),
        ("", None),
    ],
)
def test_a_published_template_is_recognised_by_its_marks(published: str, name: str | None) -> None:
    assert recognise(published) == name
