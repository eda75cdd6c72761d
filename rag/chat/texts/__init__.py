"""Every word that the page says by itself, in one file for each language: en.toml, de.toml.

A new language is one more file with the same names: its own sentences, {places} kept, and `direction` = "rtl" where it
is written from right to left; then its name among the choices of `ui.language`. What a document, a model or a user
wrote is never translated, nor is the reason of an error that comes from below.

The texts are no HTML and hold nothing that would have to be escaped; what is put in their places was escaped by whoever
puts it there. They are those of the whole process: one server speaks one language.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

from rag.errors import ConfigError

FOLDER = Path(__file__).parent
_SCRIPTS = "js."
_now: dict[str, str] = {}  # replaced as a whole, so that whoever speaks meanwhile says it in one language


def read(file: Path) -> dict[str, str]:
    """The texts of a language by name: 'section.name'."""
    told = tomllib.loads(file.read_text("utf-8"))
    return {f"{section}.{name}": text for section, texts in told.items() for name, text in texts.items()}


def languages(folder: Path = FOLDER) -> list[str]:
    """The codes of the languages that there are texts of."""
    return sorted(file.stem for file in folder.glob("*.toml"))


def use(language: str, folder: Path = FOLDER) -> None:
    """Speak this language from now on. Raises ConfigError if there is no file of it."""
    global _now
    if language not in languages(folder):
        raise ConfigError(f"ui.language = {language!r} has no texts", f"one of {', '.join(languages(folder))}")
    _now = {"language.code": language, **read(FOLDER / "en.toml"), **read(folder / f"{language}.toml")}


def say(name: str, /, **places: object) -> str:
    """The text of this name.

    >>> use("en")
    >>> say("original.page", n=3, title="Rules")
    'Page 3 of Rules'
    """
    return _now[name].format(**places) if places else _now[name]


def count(name: str, n: int, /, **places: object) -> str:
    """The text for this number of things: `name`_one, or `name`_many.

    >>> count("library.documents", 1), count("library.documents", 2000)
    ('1 document', '2,000 documents')
    """
    return say(f"{name}_one" if n == 1 else f"{name}_many", n=f"{n:,}", **places)


def month(unix: float) -> str:
    """The month of a moment (Unix time, seconds), as it is written in a heading."""
    then = time.localtime(unix)
    return say("language.month", month=_now["language.months"].split()[then.tm_mon - 1], year=then.tm_year)


def day(unix: float) -> str:
    """The day of a moment, in few characters."""
    then = time.localtime(unix)
    short = _now["language.short_months"].split()[then.tm_mon - 1]
    return say("language.day", day=then.tm_mday, month=short, year=then.tm_year)


def of_scripts() -> dict[str, str]:
    """What the page's scripts say, by name."""
    told = {name.removeprefix(_SCRIPTS): text for name, text in _now.items() if name.startswith(_SCRIPTS)}
    return {"language": _now["language.code"], "direction": _now["language.direction"], **told}


use("en")
