"""Source code: the text is the file; functions, classes and the like are its sections."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter

from rag.load.draft import Parsed, clean, sections
from rag.load.plain import decode
from rag.types import Mark, Span

_BEFORE = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)\n]*\))?|unsafe"
    r"|extern|virtual|override|sealed|partial|open|data|inline|local|create|or|replace|temporary|declare)[ \t]+)*"
)
_WORD = (
    r"(?:def|class|function\*?|func|fn|fun|struct|interface|trait|impl|enum|module|namespace|package|sub|proc|procedure"
    r"|object|record|protocol|extension|table|view|trigger|type)"
)
_NAMED = re.compile(rf"^([ \t]*)({_BEFORE}{_WORD}[ \t]+(?:\([^)\n]*\)[ \t]*)?[\w$.:~\"`]+)", re.M | re.I)
_CALLED = re.compile(
    r"^()((?!(?:if|for|while|switch|return|else|do|case)\b)[A-Za-z_][\w \t*&:<>,~]{0,200}\([^;{}\n]{0,400}\))"
    r"[^;{}\n]{0,100}(?:\n\{|\{)",  # every length has an end, or one hostile line would take for ever
    re.M,
)
_SHELL = re.compile(r"^([ \t]*)((?:function[ \t]+)?[\w-]+[ \t]*\(\))[ \t]*\{?", re.M)
_ASSIGNED = re.compile(
    r"^([ \t]*)((?:export[ \t]+)?(?:const|let|var)[ \t]+[\w$]+)[ \t]*=[ \t]*(?:async[ \t]*)?"
    r"(?:function\b|\([^)\n]*\)[ \t]*=>|[\w$]+[ \t]*=>)",
    re.M,
)
_SECTION = re.compile(r"^()\[{1,2}([^\]\n]+)\]{1,2}", re.M)
_KEY = re.compile(r"^()([\w.-]+):(?=\s)", re.M)
_PATTERNS = {
    "c": (_CALLED, _NAMED), "c++": (_CALLED, _NAMED), "shell": (_SHELL,), "toml": (_SECTION,), "ini": (_SECTION,),
    "yaml": (_KEY,), "css": (), "makefile": (), "javascript": (_NAMED, _ASSIGNED), "typescript": (_NAMED, _ASSIGNED),
}  # fmt: skip
_MAX_MARKS = 20_000


def parse(data: bytes, language: str) -> Parsed:
    """The file's text in `language`, its definitions marked. What cannot be understood is marked less, not refused."""
    dropped: Counter[str] = Counter()
    text = clean(decode(data), dropped)
    marks = _python(text) if language == "python" else None
    return Parsed("", text, marks if marks is not None else _by_pattern(text, language), dropped=dropped)


def _python(text: str) -> tuple[Mark, ...] | None:
    """Classes and functions exactly as the language nests them; None if it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own: an invalid escape and the like
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    marks, stack = [], [(node, 1) for node in tree.body]
    while stack:
        node, level = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
            end = min(starts[node.end_lineno or node.lineno] - 1, len(text))
            word = "class" if isinstance(node, ast.ClassDef) else "def"
            marks.append(Mark(Span(starts[first], end), "heading", f"{word} {node.name}", level))
            stack += [(inner, level + 1) for inner in node.body]
    return tuple(sorted(marks, key=lambda m: (m.span.start, m.level)))


def _by_pattern(text: str, language: str) -> tuple[Mark, ...]:
    """What looks like the head of a definition; deeper in, deeper down."""
    found = {
        match.start(2): (
            match.start(2) - len(match.group(1)),
            1 + len(match.group(1).expandtabs(4)),
            " ".join(match.group(2).split()),
        )
        for pattern in _PATTERNS.get(language, (_NAMED,))
        for match in pattern.finditer(text)
    }
    return sections(sorted(found.values())[:_MAX_MARKS], len(text))
