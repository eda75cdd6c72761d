"""What kinds of file can be read, and which one the bytes in hand are.

The bytes decide where they tell (PDF, Office, RTF, an HTML page under another name); the ending decides the rest.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import PurePath

from rag.errors import DocumentError
from rag.load.draft import Parsed


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file. `parser`: the module beside this one that reads it; `language`: of source code, else ''."""

    name: str
    media_type: str
    parser: str
    suffixes: tuple[str, ...]
    language: str = ""

    def read(self, data: bytes) -> Parsed:
        """What is in the file. Raises DocumentError."""
        parse = importlib.import_module(f"rag.load.{self.parser}").parse
        parsed = parse(data, self.language) if self.language else parse(data)
        assert isinstance(parsed, Parsed)
        return parsed


_OFFICE = "application/vnd.openxmlformats-officedocument"
PLAIN = Kind("plain text", "text/plain", "plain", (".txt", ".text", ".log", ".rst", ".tex", ".srt"))
HTML = Kind("HTML", "text/html", "html", (".html", ".htm", ".xhtml"))
PDF = Kind("PDF", "application/pdf", "pdf", (".pdf",))
DOCX = Kind("Word", f"{_OFFICE}.wordprocessingml.document", "docx", (".docx",))
PPTX = Kind("PowerPoint", f"{_OFFICE}.presentationml.presentation", "pptx", (".pptx",))
XLSX = Kind("Excel", f"{_OFFICE}.spreadsheetml.sheet", "xlsx", (".xlsx", ".xlsm"))
ODT = Kind("OpenDocument text", "application/vnd.oasis.opendocument.text", "odt", (".odt",))
EPUB = Kind("EPUB", "application/epub+zip", "epub", (".epub",))
RTF = Kind("RTF", "application/rtf", "rtf", (".rtf",))
MBOX = Kind("mailboxes (MBOX)", "application/mbox", "mbox", (".mbox",))

_LANGUAGES = {
    "python": ".py .pyi", "javascript": ".js .mjs .cjs .jsx", "typescript": ".ts .tsx", "java": ".java",
    "c": ".c .h", "c++": ".cpp .cc .cxx .hpp .hh", "csharp": ".cs", "go": ".go", "rust": ".rs", "ruby": ".rb",
    "php": ".php", "swift": ".swift", "kotlin": ".kt .kts", "scala": ".scala", "shell": ".sh .bash", "sql": ".sql",
    "lua": ".lua", "perl": ".pl .pm", "r": ".r", "julia": ".jl", "css": ".css", "toml": ".toml", "yaml": ".yaml .yml",
    "ini": ".ini .cfg", "makefile": ".mk",
}  # fmt: skip
KINDS = (
    PLAIN,
    Kind("Markdown", "text/markdown", "markdown", (".md", ".markdown")),
    HTML,
    PDF,
    DOCX,
    PPTX,
    XLSX,
    Kind("CSV and TSV", "text/csv", "delimited", (".csv", ".tsv")),
    EPUB,
    Kind("mail (EML)", "message/rfc822", "mail", (".eml",)),
    MBOX,
    Kind("JSON", "application/json", "records", (".json",)),
    Kind("JSON Lines", "application/x-ndjson", "lines", (".jsonl", ".ndjson")),
    RTF,
    ODT,
    Kind("Jupyter notebooks", "application/x-ipynb+json", "notebook", (".ipynb",)),
    *(Kind("source code", f"text/x-{name}", "code", tuple(s.split()), name) for name, s in _LANGUAGES.items()),
)
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
FORMATS = ", ".join(dict.fromkeys(kind.name for kind in KINDS))
"""The kinds in words, for people: 'plain text, Markdown, HTML, PDF, ...'."""

_OPAQUE = {PDF, DOCX, PPTX, XLSX, ODT, EPUB, RTF}  # kinds whose bytes tell, so that the ending cannot
_PICTURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
}
_OTHERS = {
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh9": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"SQLite format 3": "a database",
    b"ID3": "a sound file",
    b"OggS": "a sound file",
    b"RIFF": "a sound or video file",
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,2000}?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_MBOX_START = re.compile(rb"\s*From \S+.{0,60}\d{4}.{0,20}\r?\n[A-Za-z-]+:", re.I)


def kind_of(data: bytes, name: str) -> Kind:
    """The kind of the file called `name`. Raises DocumentError: none that can be read, or not what its name says."""
    suffix = PurePath(name).suffix.lower()
    named = BY_SUFFIX.get(suffix)
    if told := _told(data, named):
        return told
    if named in _OPAQUE:
        raise DocumentError(f"it is named {suffix} but is none", "check the file")
    if named is None and suffix:
        raise DocumentError(f"files named {suffix} cannot be read", f"these can: {FORMATS}")
    return PLAIN if named is None else named


def is_plain(data: bytes, name: str) -> bool:
    """True if nothing but its encoding stands between the bytes and their text."""
    try:
        return (
            BY_SUFFIX.get(PurePath(name).suffix.lower()) is PLAIN
            and not data.startswith(b"PK")
            and not _told(data, PLAIN)
        )
    except DocumentError:
        return False  # the child says why


def _told(data: bytes, named: Kind | None) -> Kind | None:
    """The kind that the bytes tell, None if they could be anything. Raises DocumentError: none that can be read."""
    if data.lstrip()[:5] == b"%PDF-" or (named == PDF and b"%PDF-" in data[:1024]):
        return PDF
    if data.startswith(b"{\\rtf"):
        return RTF
    if data.startswith(b"PK\x03\x04"):
        return _zipped(data)
    if data.startswith(_OLE):
        raise _old_office(data)
    for start, what in (_PICTURES | _OTHERS).items():
        if data.startswith(start):
            hint = "run it through text recognition (OCR) first" if start in _PICTURES else "check the file"
            raise DocumentError(f"it is {what}, not text", hint)
    text = named in (None, PLAIN) or named.media_type == "text/markdown"
    if text and _HTML_START.match(data[:4096]):
        return HTML
    return MBOX if text and _MBOX_START.match(data[:200]) else None


def _zipped(data: bytes) -> Kind:
    from rag.load.archive import Archive

    archive = Archive(data)
    if "mimetype" in archive.names:
        media_type = archive.read("mimetype")[:100].decode("ascii", "replace").strip()
        found = next((k for k in (ODT, EPUB) if k.media_type == media_type), None)
    else:
        folders = {"word": DOCX, "ppt": PPTX, "xl": XLSX}
        found = next((kind for f, kind in folders.items() if any(n.startswith(f"{f}/") for n in archive.names)), None)
    if found is None:
        raise DocumentError("it is a zip archive of another kind", "unpack it and add the folder")
    return found


def _old_office(data: bytes) -> DocumentError:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentError("it is locked with a password", "save a copy without the password")
    return DocumentError(
        "it is of an old Office kind (.doc, .xls, .ppt, .msg)", "save it as .docx, .xlsx, .pptx or .eml"
    )
