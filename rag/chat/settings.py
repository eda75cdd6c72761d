"""The settings panel: what can be chosen for a question. The choices are kept by the browser and sent along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.chat.show import esc

if TYPE_CHECKING:
    from rag.config import Config

CHOOSABLE = frozenset({"answer.strictness", "retrieve.k", "llm.model"})
"""What the page may choose for one question; anything else it sends is passed over."""

_KEYS = (
    ("Enter", "ask"),
    ("Shift+Enter", "new line"),
    ("/", "to the question"),
    ("&larr; &rarr;", "previous, next citation"),
    ("Enter", "on a citation: open the source"),
    ("Esc", "stop, or close what is open"),
    ("?", "this list"),
)


def panel(config: Config, writers: Sequence[str] = ()) -> str:
    """The panel over the server's own settings, which hold until something else is chosen. `writers`: the LLMs
    that are installed."""
    c = config
    own = c.llm.model if c.llm.model != "none" else "no model"
    strictness = _select(
        "answer.strictness", "How sure an answer must be", f"{c.answer.strictness.capitalize()} (as set)",
        (("strict", "Strict"), ("balanced", "Balanced"), ("lenient", "Lenient")),
        "Strict says less and errs less; lenient shows more, and marks what is only partly backed.",
    )  # fmt: skip
    wording = _select(
        "llm.model", "Who words the answer", f"{own} (as set)",
        (("none", "Nobody: quotes alone"), *((name, name) for name in writers if name != c.llm.model)),
        "Quotes alone come at once and are always the documents' own words. Another model takes time to load.",
    )  # fmt: skip
    passages = _select(
        "retrieve.k", "Passages read for each question", f"{c.retrieve.k} (as set)",
        tuple((str(k), str(k)) for k in (4, 8, 12, 20, 40)),
        "More passages find more and take longer.",
    )  # fmt: skip
    theme = _select(
        "theme", "Appearance", "As the system", (("light", "Light"), ("dark", "Dark")), "", kind="data-theme"
    )
    return f"<h2>Settings</h2>{strictness}{wording}{passages}{theme}<h3>Keys</h3>{keys()}"


def keys() -> str:
    """What the keys do."""
    return f"<dl class='keys'>{''.join(f'<dt>{key}</dt><dd>{esc(does)}</dd>' for key, does in _KEYS)}</dl>"


def _select(
    key: str, name: str, default: str, choices: tuple[tuple[str, str], ...], says: str, kind: str = "data-set"
) -> str:
    options = "".join(f'<option value="{esc(value)}">{esc(shown)}</option>' for value, shown in choices)
    hint = f"<small>{esc(says)}</small>" if says else ""
    return (
        f'<label class="setting"><span>{esc(name)}</span><select {kind}="{key}">'
        f'<option value="">{esc(default)}</option>{options}</select>{hint}</label>'
    )
