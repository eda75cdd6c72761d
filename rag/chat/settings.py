"""The settings panel: what can be chosen for a question. The choices are kept by the browser and sent along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.chat.show import esc
from rag.chat.texts import FOLDER, languages, read, say

if TYPE_CHECKING:
    from rag.config import Config

CHOOSABLE = frozenset({"answer.strictness", "retrieve.k", "llm.model"})
"""What the page may choose for one question; anything else it sends is passed over."""

_KEYS = (
    ("keys.enter", "keys.ask"),
    ("keys.shift_enter", "keys.new_line"),
    ("/", "keys.question"),
    ("&larr; &rarr;", "keys.citations"),
    ("keys.enter", "keys.open"),
    ("keys.escape", "keys.stop"),
    ("?", "keys.list"),
)


def panel(config: Config, writers: Sequence[str] = (), alone: bool = True) -> str:
    """The panel over the server's own settings, which hold until something else is chosen. `writers`: the LLMs
    that are installed; `alone`: nobody else would have to read the page in the language that is chosen here."""
    c = config

    def as_set(value: str) -> str:
        return say("settings.as_set", value=value)

    strictness = _select(
        "answer.strictness", "settings.strictness", as_set(say(f"settings.{c.answer.strictness}")),
        tuple((value, say(f"settings.{value}")) for value in ("strict", "balanced", "lenient")),
        "settings.strictness_says",
    )  # fmt: skip
    wording = _select(
        "llm.model", "settings.wording", as_set(c.llm.model if c.llm.model != "none" else say("settings.no_model")),
        (("none", say("settings.nobody")), *((name, name) for name in writers if name != c.llm.model)),
        "settings.wording_says",
    )  # fmt: skip
    passages = _select(
        "retrieve.k", "settings.passages", as_set(str(c.retrieve.k)),
        tuple((str(k), str(k)) for k in (4, 8, 12, 20, 40)), "settings.passages_says",
    )  # fmt: skip
    themes = (("light", say("settings.light")), ("dark", say("settings.dark")))
    theme = _select("theme", "settings.theme", say("settings.system"), themes, "", kind="data-theme")
    titles = f"<h2>{say('settings.title')}</h2>", f"<h3>{say('keys.title')}</h3>"
    return f"{titles[0]}{strictness}{wording}{passages}{theme}{_language() if alone else ''}{titles[1]}{keys()}"


def _language() -> str:
    """The languages of the page, each by its own name."""
    choices = "".join(
        f'<option value="{code}">{esc(read(FOLDER / f"{code}.toml")["language.name"])}</option>' for code in languages()
    )
    name = say("settings.language")
    return f'<label class="setting"><span>{name}</span><select data-language>{choices}</select></label>'


def keys() -> str:
    """What the keys do."""
    rows = ((say(key) if "." in key else key, say(does)) for key, does in _KEYS)
    return f"<dl class='keys'>{''.join(f'<dt>{key}</dt><dd>{does}</dd>' for key, does in rows)}</dl>"


def _select(
    key: str, name: str, default: str, choices: tuple[tuple[str, str], ...], says: str, kind: str = "data-set"
) -> str:
    options = "".join(f'<option value="{esc(value)}">{esc(shown)}</option>' for value, shown in choices)
    hint = f"<small>{say(says)}</small>" if says else ""
    return (
        f'<label class="setting"><span>{say(name)}</span><select {kind}="{key}">'
        f'<option value="">{esc(default)}</option>{options}</select>{hint}</label>'
    )
