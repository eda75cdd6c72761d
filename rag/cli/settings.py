"""The command that lists every setting."""

from __future__ import annotations

from rag.cli.shared import Json, Set, app, config_of, print_json
from rag.config import settings


@app.command("settings")
def settings_(set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Every setting with its value in force, its range and what it means."""
    config = config_of(None, set_)
    rows = [(key, getattr(getattr(config, key.split(".")[0]), key.split(".")[1]), says) for key, _, says in settings()]
    if as_json:
        print_json({key: value for key, value, _ in rows})
        return
    for key, value, says in rows:
        print(f"{key:<24} {value!s:<24} {says}")
