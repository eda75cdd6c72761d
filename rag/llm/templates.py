"""A conversation in, the pieces of a prompt out: which are control strings, which are data.

A piece is `(text, is_control)`. Only the strings written in this file are ever control; a message's content is always
data, tokenised with special tokens off, and a control string inside it is cut in two so that not even a file with
mislabelled tokens can let it through. Templates are this project's own: a file's own template is never run, it is only
looked at to recognise one of these (`recognise`).

Formats as published by their makers: ChatML (SmolLM2, Qwen 2.5), Qwen 3 with thinking switched off, Llama 3, Gemma 2
and 3 (which have no system turn), Granite 3 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rag.errors import ConfigError
from rag.types import Message

Piece = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Template:
    """The control strings of one family of models.

    A turn is `before` + role + `after` + content + `end` + `gap`; `opening` starts the prompt, and the answer begins
    after `before` + the assistant's role + `after` + `answer`. `controls` are those of them that are single tokens.
    """

    controls: tuple[str, ...]
    before: str
    after: str
    end: str
    gap: str = "\n"
    opening: str = ""
    answer: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    system_turn: bool = True

    def pieces(self, prompt: Sequence[Message]) -> list[Piece]:
        """The whole prompt, up to where the answer begins; neighbouring data is one piece."""
        told = list(prompt) if self.system_turn else _without_system(prompt)
        parts: list[Piece] = self._known(self.opening)
        for message in told:
            parts += self._known(self.before + self._name(message.role) + self.after)
            parts += self._data(message.content)
            parts += self._known(self.end + self.gap)
        parts += self._known(self.before + self._name("assistant") + self.after + self.answer)
        return _joined(parts)

    def _name(self, role: str) -> str:
        return self.names.get(role, role)

    def _known(self, text: str) -> list[Piece]:
        """Our own text: its control strings are control."""
        return [(part, part in self.controls) for part in _cut(text, self.controls)]

    def _data(self, text: str) -> list[Piece]:
        """A message's content: a control string in it is cut after its first character and stays data.

        The second half is marked as data that must not be joined to the first, by an empty control piece between."""
        parts: list[Piece] = []
        for part in _cut(text, self.controls):
            parts += [(part[0], False), ("", True), (part[1:], False)] if part in self.controls else [(part, False)]
        return parts


def _cut(text: str, controls: Sequence[str]) -> list[str]:
    """`text` in order, each control string a part of its own; the longest one wins where two begin."""
    wanted = "|".join(re.escape(c) for c in sorted(controls, key=len, reverse=True))
    return [part for part in re.split(f"({wanted})", text) if part]


def _joined(parts: Sequence[Piece]) -> list[Piece]:
    """The pieces with neighbouring data made one; an empty control piece only keeps its neighbours apart."""
    joined: list[Piece] = []
    for text, control in parts:
        if joined and not control and not joined[-1][1]:
            joined[-1] = (joined[-1][0] + text, False)
        else:
            joined.append((text, control))
    return [piece for piece in joined if piece[0]]


def _without_system(prompt: Sequence[Message]) -> list[Message]:
    """The system's words before the first turn of the user, for models that know no system turn."""
    system = "\n\n".join(m.content for m in prompt if m.role == "system")
    rest = [m for m in prompt if m.role != "system"]
    if not system:
        return rest
    if rest and rest[0].role == "user":
        return [Message("user", f"{system}\n\n{rest[0].content}"), *rest[1:]]
    return [Message("user", system), *rest]


_CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
_LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")

TEMPLATES: Mapping[str, Template] = {
    "chatml": Template(_CHATML, "<|im_start|>", "\n", "<|im_end|>"),
    "qwen3": Template(
        (*_CHATML, "<think>", "</think>"), "<|im_start|>", "\n", "<|im_end|>", answer="<think>\n\n</think>\n\n"
    ),
    "llama3": Template(
        _LLAMA3, "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", gap="", opening="<|begin_of_text|>"
    ),
    "gemma": Template(
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<start_of_turn>",
        "\n",
        "<end_of_turn>",
        opening="<bos>",
        names={"assistant": "model"},
        system_turn=False,
    ),
    "granite": Template(
        ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
        "<|start_of_role|>",
        "<|end_of_role|>",
        "<|end_of_text|>",
    ),
}


def template(name: str) -> Template:
    """The template of that name. Raises ConfigError for another name."""
    if name not in TEMPLATES:
        raise ConfigError(f"there is no chat template {name!r}", f"choose one of: {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def recognise(published: str) -> str | None:
    """The name of our template for a model whose file carries this one; None if it is none of ours.

    >>> recognise("{% for m in messages %}<|im_start|>{{ m.role }}...<|im_end|>{% endfor %}")
    'chatml'
    """
    marks = {
        "<|start_header_id|>": "llama3",
        "<start_of_turn>": "gemma",
        "<|start_of_role|>": "granite",
        "<|im_start|>": "qwen3" if "enable_thinking" in published else "chatml",
    }
    return next((name for mark, name in marks.items() if mark in published), None)
