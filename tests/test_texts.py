"""The page's own words: all in one place, in every language the same ones, none left in the code."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.chat import texts
from rag.config import UIConfig
from rag.errors import ConfigError

CHAT = Path(texts.__file__).parents[1]
LANGUAGES = sorted(file.stem for file in texts.FOLDER.glob("*.toml"))
PLACE = re.compile(r"\{(\w+)\}")
# What is said where the page is not: the terminal, a program that knocks, a log. And examples in the documents' words.
ELSEWHERE = {"__init__.py", "guard.py"}
ALLOWED = {"a question failed", "adding files failed", "rag add", "is no place in"}
_CODE = {"Files", "Enter", "Escape", "plain retry"}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    texts.use("en")


def test_every_language_that_can_be_set_has_its_texts_and_no_other() -> None:
    choices = UIConfig.__dataclass_fields__["language"].metadata["choices"]
    assert sorted(choices) == LANGUAGES
    with pytest.raises(ConfigError, match="'xx' has no texts"):
        texts.use("xx")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_things_with_the_same_places(language: str) -> None:
    english, own = (texts.read(texts.FOLDER / f"{name}.toml") for name in ("en", language))
    assert own.keys() == english.keys()
    assert {k for k in own if set(PLACE.findall(own[k])) != set(PLACE.findall(english[k]))} == set()
    assert [k for k, text in own.items() if re.search(r'[<>"&]', text) or not text.strip()] == []
    assert [len(own[k].split()) for k in ("language.months", "language.short_months")] == [12, 12]
    same = [k for k in own if own[k] == english[k] and re.search(r"[a-z]{3,} [a-z]{3,}", own[k])]
    assert language == "en" or same == [], "these are not translated"


def test_a_missing_text_is_said_in_english_and_days_are_written_as_the_language_does(tmp_path: Path) -> None:
    then = time.mktime((2025, 10, 9, 12, 0, 0, 0, 0, -1))
    assert (texts.day(then), texts.month(then)) == ("9 Oct 2025", "October 2025")
    texts.use("de")
    assert (texts.day(then), texts.month(then)) == ("9. Okt. 2025", "Oktober 2025")
    (tmp_path / "fr.toml").write_text('[head]\nnew = "Nouveau"\n', "utf-8")
    texts.use("fr", tmp_path)
    assert (texts.say("head.new"), texts.say("head.history")) == ("Nouveau", "History")


def test_every_text_that_the_code_asks_for_is_there() -> None:
    known = texts.read(texts.FOLDER / "en.toml")
    sections = "|".join({name.split(".")[0] for name in known})
    asked: set[str] = set()
    for file in CHAT.glob("*.py"):
        asked |= set(re.findall(rf"[\"']((?:{sections})\.[a-z_]+)[\"']", file.read_text("utf-8")))
    settings_ = {"answer.strictness"}  # the name of a setting, not of a text
    assert {n for n in asked if n not in known and f"{n}_one" not in known} - settings_ - _FILES == set()
    for file in CHAT.glob("*.js"):
        source = file.read_text("utf-8")
        names = re.findall(r"words\(\"(\w+)\"", source) + re.findall(r"\? \"(\w+)\" : \"(\w+)\"[,)]", source)
        flat = {n for found in names for n in ([found] if isinstance(found, str) else found)}
        assert {n for n in flat if f"js.{n}" not in known} - {"light", "dark"} == set(), file.name


_FILES = {"source.js", "files.js"}


def test_no_prose_is_left_in_the_code_of_the_page() -> None:
    left = [
        f"{file.name}: {words}"
        for file in sorted(CHAT.glob("*.py"))
        if file.name not in ELSEWHERE
        for words in _literals(file)
        if words not in ALLOWED
    ]
    for file in sorted(CHAT.glob("*.js")):
        code = re.sub(r"(?m)(?:^|\s)//.*$", "", file.read_text("utf-8"))
        strings = re.findall(r'"([^"\n]*)"', code) + re.findall(r">([^<>${}`\n]+)<", code)
        left += [f"{file.name}: {words}" for words in strings if _prose(words)]
    assert "\n".join(left) == ""


def _literals(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text("utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign)]
    examples = {id(node) for a in assigned if _named(a) == "_EXAMPLES" for node in ast.walk(a)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told | examples:
            words = re.sub(r"<[^>]*>?|^[^<]*>", " ", node.value).strip()
            if _prose(words):
                yield words


def _named(assign: ast.Assign | ast.AnnAssign) -> str:
    target = assign.targets[0] if isinstance(assign, ast.Assign) else assign.target
    return target.id if isinstance(target, ast.Name) else ""


def _prose(words: str) -> bool:
    """Two words of letters alone side by side, or one with a capital: a sentence, or the name of a button."""
    plain = re.sub(r"&\w+;", " ", words)
    if words.startswith((".", "#", "details")) or words in _CODE:
        return False
    return bool(re.fullmatch(r"[^=#\[\]{}();:/_|>]*[A-Za-z]{2,} [A-Za-z]{2,}[^=#\[\]{}();/_|>]*", plain)) or bool(
        re.fullmatch(r"[A-Z][a-z]+[.?!]?", plain.strip())
    )
