"""HTML: what a reader of the page sees, block by block, with the sections that its headings open.

Scripts, styles, comments, templates, forms' inner state and elements hidden by attribute or inline style are left out:
an instruction that no person can see must not reach the model.
"""

from __future__ import annotations

import re
from typing import Any

from rag.load import Parsed, clean
from rag.load.markdown import sections
from rag.load.plain import decode
from rag.types import Mark, Span

_DROPPED = set("script style template noscript head svg canvas iframe object select button textarea input".split())
_BLOCKS = set(
    "address article aside blockquote br caption center dd details dialog div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody tfoot thead tr ul".split()
)
_SPACED = {"p", "table", "ul", "ol", "blockquote", "pre"}  # stand between blank lines, as headings do
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])", re.I
)
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.I)


def parse(data: bytes) -> Parsed:
    """The visible text; the title is that of the page, and stands as a heading over all of it."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_decode(data), "lxml")
    title = clean(soup.title.get_text(" ", strip=True)) if soup.title else ""
    page = _Page()
    page.walk(soup.body if soup.body is not None else soup)
    text = page.text()
    marks = sections(page.headings, len(text))
    if title and all(m.label != title for m in marks):
        marks = (Mark(Span(0, len(text)), "heading", title), *marks)
    return title, text, marks


def _decode(data: bytes) -> str:
    declared = _CHARSET.search(data[:2048])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(declared.group(1).decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong declaration: look at the bytes instead
    return decode(data)


class _Page:
    """The text so far. Blocks are lines; white space inside a block is folded as a browser does."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self.headings: list[tuple[int, int, str]] = []

    def text(self) -> str:
        return "".join(self._pieces).rstrip()

    def walk(self, element: Any) -> None:
        """Depth first with a stack of its own: a page nested ten thousand deep must not end the process."""
        stack: list[tuple[Any, bool]] = [(element, False)]
        opened: list[tuple[int, int]] = []
        while stack:
            node, leaving = stack.pop()
            name = getattr(node, "name", None)
            if name is None:
                self._say(node)
            elif leaving:
                self._leave(name, opened)
            elif not _is_hidden(node):
                self._enter(name, opened)
                stack.append((node, True))
                stack += [(child, False) for child in reversed(list(node.children))]

    def _enter(self, name: str, opened: list[tuple[int, int]]) -> None:
        if name in _BLOCKS:
            self._break(
                "\n\n" if name in _HEADINGS or name in ("p", "table", "ul", "ol", "blockquote", "pre") else "\n"
            )
        if name in _HEADINGS:
            opened.append((self._length, len(self._pieces)))
        if name in ("td", "th") and self._pieces and not self._pieces[-1].endswith("\n"):
            self._append(" | ")

    def _leave(self, name: str, opened: list[tuple[int, int]]) -> None:
        if name in _HEADINGS and opened:
            start, piece = opened.pop()
            label = " ".join("".join(self._pieces[piece:]).split())
            self.headings.append((start, _HEADINGS[name], label))
        if name in _BLOCKS:
            self._break("\n\n" if name in _HEADINGS or name == "p" else "\n")

    def _say(self, node: Any) -> None:
        from bs4 import Comment, Declaration, Doctype, ProcessingInstruction

        if isinstance(node, Comment | Declaration | Doctype | ProcessingInstruction):
            return
        words = re.sub(r"\s+", " ", clean(str(node)))
        if not self._pieces or self._pieces[-1].endswith(("\n", " ")):
            words = words.lstrip(" ")
        self._append(words)

    def _append(self, words: str) -> None:
        if words:
            self._pieces.append(words)
            self._length += len(words)

    def _break(self, lines: str) -> None:
        """End the block; never more than one blank line, none at the top."""
        while self._pieces and self._pieces[-1].endswith(" "):
            self._length -= 1
            self._pieces[-1] = self._pieces[-1][:-1]
            if not self._pieces[-1]:
                self._pieces.pop()
        tail = "".join(self._pieces[-2:])[-2:]
        there = len(tail) - len(tail.rstrip("\n"))
        if self._pieces and there < len(lines):
            self._append(lines[there:])


def _is_hidden(node: Any) -> bool:
    if node.name in _DROPPED or node.name == "input":
        return True
    attributes = node.attrs or {}
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(str(attributes.get("style", ""))))
    )
