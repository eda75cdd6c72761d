"""A chosen model in, a line of rag.toml out; everything else in that file, comments too, stays as it is."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ConfigError
from rag.files import write_atomically

SETTING = {"llm": "llm.model", "embedder": "embed.model"}
"""The setting that names the model of a role."""


def choose(file: Path, changes: dict[str, str]) -> None:
    """Writes settings ('llm.model': 'qwen3-0.6b') into `file`, which is made if need be. Raises ConfigError."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(file.read_text("utf-8")) if file.is_file() else tomlkit.document()
    except (TOMLKitError, UnicodeDecodeError) as e:
        raise ConfigError(f"{file} is not TOML: {e}", "mend that line") from e
    for key, value in changes.items():
        section, _, name = key.partition(".")
        table = document.setdefault(section, tomlkit.table())
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: {section!r} is no section", f"write [{section}]")
        table[name] = value
    text = tomlkit.dumps(document)
    try:
        write_atomically(file, text.encode("utf-8"))
    except OSError as e:
        raise ConfigError(f"{file} cannot be written: {e.strerror}", "write the setting yourself") from e
