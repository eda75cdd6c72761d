"""HTML: what a reader of the page sees, block by block, with the sections that its headings open.

Scripts, styles, comments, templates, forms' inner state and elements hidden by attribute or inline style are left out:
an instruction that no person can see must not reach the model.
"""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType
from typing import Any

from rag.load.draft import Parsed, clean, iso_day, sections
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
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])"
    r"|(?<![-\w])color\s*:\s*transparent|text-indent\s*:\s*-\d{3,}|(?:left|top)\s*:\s*-\d{4,}",
    re.I,
)
_SHOWN = re.compile(r"(?<![-\w])(?:display|visibility|opacity|font-size|color|text-indent|left|top)\s*:", re.I)
_COLOUR = re.compile(r"(?<![-\w])(background(?:-color)?|color)\s*:\s*([^;!]+)", re.I)
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.I)
_DATES = (
    "article:published_time", "datepublished", "date", "dc.date", "dcterms.date", "dc.date.issued", "dcterms.created",
    "pubdate", "publishdate", "citation_publication_date", "citation_date", "article:modified_time", "last-modified",
)  # fmt: skip
MACHINERY = "characters of scripts, styles and forms"
HIDDEN = "characters of hidden text"
COMMENTS = "characters of comments"


def parse(data: bytes) -> Parsed:
    """The visible text; the title is that of the page, and stands as a heading over all of it."""
    return parse_text(_decode(data))


def parse_text(source: str, titled: bool = True, mail: bool = False) -> Parsed:
    """The visible text of a page. With `titled`, its title stands as a heading over all of it; in a `mail`, what it
    quotes of others stands after '> ', as in one of plain text."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(source, "lxml")
    title = clean(soup.title.get_text(" ", strip=True)) if soup.title else ""
    page = _Page(_hidden_by_style(soup), mail)
    if soup.head is not None:
        page.dropped[MACHINERY] += sum(len(e.get_text()) for e in soup.head.find_all(["script", "style"]))
    page.walk(soup.body if soup.body is not None else soup)
    text = page.text()
    marks = sections(sorted(page.headings, key=lambda h: h[0]), len(text))  # one may stand inside another
    if titled and title and text and all(m.label != title for m in marks):
        marks = (Mark(Span(0, len(text)), "heading", title), *marks)
    dropped = {name: n for name, n in page.dropped.items() if n}
    return Parsed(title, text, marks, _date(soup), MappingProxyType(dropped))


def _date(soup: Any) -> str:
    """The day on which the page says that it was published, '' if it does not."""
    said: dict[str, str] = {}
    for meta in soup.find_all("meta"):
        name = str(meta.get("property") or meta.get("name") or meta.get("itemprop") or "").lower()
        said.setdefault(name, str(meta.get("content") or ""))
    return next((day for name in _DATES if (day := iso_day(said.get(name, "")))), "")


def _hidden_by_style(soup: Any) -> frozenset[int]:
    """The ids of what the page's own style sheet hides; later rules win, those for other media are skipped."""
    from soupsieve import SelectorSyntaxError

    hidden: set[int] = set()
    for sheet in soup.find_all("style"):
        rules = re.sub(r"/\*.*?\*/", "", sheet.get_text(), flags=re.S)
        rules = re.sub(r"@[^{};]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", rules)
        for rule in rules.split("}"):
            selector, _, style = rule.partition("{")
            if not _SHOWN.search(style):
                continue
            try:
                found = {id(element) for element in soup.select(selector.rsplit(";")[-1].strip())}
            except (SelectorSyntaxError, ValueError, NotImplementedError):  # a selector of a browser's own
                continue
            hidden = hidden | found if _hides(style) else hidden - found
    return frozenset(hidden)


def _hides(style: str) -> bool:
    """True if an element of this style cannot be seen: not displayed, of no size, off the page, or ink on ink."""
    colours = {name[:5].lower(): value.strip().lower() for name, value in _COLOUR.findall(style)}
    return bool(_HIDDEN.search(style)) or colours.get("color", "") == colours.get("backg")


def _decode(data: bytes) -> str:
    declared = _CHARSET.search(data[:2048])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(declared.group(1).decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong declaration: look at the bytes instead
    return decode(data)


class _Table:
    """Where in a table the walk is, and the words over its columns, none if they are not plain to tell."""

    def __init__(self, element: Any) -> None:
        self.headers, self.row, self.column = self._headers(element), -1, -1

    @staticmethod
    def _headers(element: Any) -> list[str]:
        """The first row, if it is all header cells and every row has just as many, none of them spanning others."""
        if element.find("table") is not None:
            return []
        rows = [row.find_all(["td", "th"], recursive=False) for row in element.find_all("tr")]
        plain = all(len(row) == len(rows[0]) for row in rows)
        spans = any(cell.get("rowspan") or cell.get("colspan") for row in rows for cell in row)
        if not rows or len(rows[0]) < 2 or not plain or spans or any(cell.name != "th" for cell in rows[0]):
            return []
        return [" ".join(clean(cell.get_text(" ")).split()) for cell in rows[0]]

    def lead(self, cell: Any) -> str:
        """What stands before the next cell: the bar that parts it from the one before, or its column's header."""
        self.column += 1
        if not self.headers or self.row < 1:
            return " | " if self.column else ""
        if not cell.get_text(strip=True):
            return ""
        header = self.headers[self.column]
        return f"{header}: " if header else ""


class _Page:
    """The text so far. Blocks are lines; white space inside a block is folded as a browser does."""

    def __init__(self, hidden: frozenset[int], mail: bool) -> None:
        self._mail, self._quoted = mail, 0  # how deep in the words of others, which a mail program marks at the edge
        self._pieces: list[str] = []
        self._length = 0
        self._hidden = hidden
        self._tables: list[_Table] = []
        self.dropped: Counter[str] = Counter()
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
            elif not self._is_dropped(node):
                self._enter(node, name, opened)
                stack.append((node, True))
                stack += [(child, False) for child in reversed(list(node.children))]

    def _is_dropped(self, node: Any) -> bool:
        attributes = node.attrs or {}
        unseen = (
            id(node) in self._hidden
            or "hidden" in attributes
            or attributes.get("aria-hidden") == "true"
            or _hides(str(attributes.get("style", "")))
        )
        if unseen or node.name in _DROPPED or node.name == "input":
            self.dropped[HIDDEN if unseen else MACHINERY] += len(" ".join(node.get_text(" ").split()))
            return True
        return False

    def _enter(self, node: Any, name: str, opened: list[tuple[int, int]]) -> None:
        if name in _BLOCKS:
            self._break("\n\n" if name in _HEADINGS or name in _SPACED else "\n")
        self._quoted += self._mail and name == "blockquote"
        if name in _HEADINGS:
            opened.append((self._length, len(self._pieces)))
        if name == "table":
            self._tables.append(_Table(node))
        elif name == "tr" and self._tables:
            self._tables[-1].row += 1
            self._tables[-1].column = -1
        elif name in ("td", "th") and self._tables:
            lead = self._tables[-1].lead(node)
            same_line = bool(self._pieces) and not self._pieces[-1].endswith("\n")
            if lead == " | ":
                self._append(lead if same_line else "")
            elif lead:
                self._append(f"; {lead}" if same_line else lead)

    def _leave(self, name: str, opened: list[tuple[int, int]]) -> None:
        if name in _HEADINGS and opened:
            start, piece = opened.pop()
            label = " ".join("".join(self._pieces[piece:]).split())
            self.headings.append((start, _HEADINGS[name], label))
        self._quoted -= self._mail and name == "blockquote"
        if name == "table" and self._tables:
            self._tables.pop()
        if name in _BLOCKS:
            self._break("\n\n" if name in _HEADINGS or name == "p" else "\n")

    def _say(self, node: Any) -> None:
        from bs4 import Comment, Declaration, Doctype, ProcessingInstruction

        if isinstance(node, Comment | Declaration | Doctype | ProcessingInstruction):
            self.dropped[COMMENTS] += len(node) if isinstance(node, Comment) else 0
            return
        words = re.sub(r"\s+", " ", clean(str(node), self.dropped))
        if not self._pieces or self._pieces[-1].endswith(("\n", " ")):
            words = words.lstrip(" ")
            if words and (not self._pieces or self._pieces[-1].endswith("\n")):
                words = "> " * self._quoted + words
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
