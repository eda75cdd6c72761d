"""EPUB: the chapters in the order of the spine, each under its heading or its name in the table of contents."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote

from rag.errors import DocumentError
from rag.load.archive import ANEW, Archive, refuse_entities
from rag.load.draft import Draft, Parsed, iso_day
from rag.load.html import parse_text
from rag.load.plain import decode

_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # obfuscated fonts hide no text


def parse(data: bytes) -> Parsed:
    """Chapters parted by blank lines. Raises DocumentError: damaged, protected, a zip bomb."""
    archive = Archive(data)
    _refuse_protected(archive)
    rootfile = archive.xml("META-INF/container.xml").find(".//{*}rootfile")
    if rootfile is None or not rootfile.get("full-path"):
        raise DocumentError("its container names no book", ANEW)
    place = rootfile.get("full-path")
    book, folder = archive.xml(place), posixpath.dirname(place)
    items = {item.get("id"): item for item in book.iterfind(".//{*}manifest/{*}item")}
    names = _contents(archive, items.values(), folder)
    draft = Draft()
    for reference in book.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in ("application/xhtml+xml", "text/html"):
            continue
        path = _path(folder, item.get("href", ""))
        if path in archive.names and "nav" not in (item.get("properties") or "").split():
            _chapter(draft, archive.read(path), names.get(path, ""))
    title, day = book.findtext(".//{http://purl.org/dc/elements/1.1/}title"), book.findtext(".//{*}date")
    return draft.done(title or "", iso_day(day or ""))


def _chapter(draft: Draft, data: bytes, name: str) -> None:
    refuse_entities(data, "a chapter")
    page = parse_text(decode(data), titled=False)
    headed = any(m.kind == "heading" and m.span.start == 0 for m in page.marks)
    if name and not headed:
        with draft.within("heading", name):
            draft.place(page)
    else:
        draft.place(page)


def _contents(archive: Archive, items: Any, folder: str) -> dict[str, str]:
    """What the table of contents calls each file: its first entry for it."""
    names: dict[str, str] = {}
    for item in items:
        path = _path(folder, item.get("href", ""))
        if path not in archive.names:
            continue
        if item.get("media-type") == "application/x-dtbncx+xml":
            for point in archive.xml(path).iter("{*}navPoint"):
                target, label = point.find("{*}content"), point.findtext("{*}navLabel/{*}text")
                if target is not None and label:
                    names.setdefault(_path(posixpath.dirname(path), target.get("src", "")), " ".join(label.split()))
        elif "nav" in (item.get("properties") or "").split():
            for link in archive.xml(path).iter("{*}a"):
                label = " ".join("".join(link.itertext()).split())
                names.setdefault(_path(posixpath.dirname(path), link.get("href", "")), label)
    return names


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(reference.split("#")[0])))


def _refuse_protected(archive: Archive) -> None:
    if "META-INF/encryption.xml" not in archive.names:
        return
    methods = archive.xml("META-INF/encryption.xml").iter("{*}EncryptionMethod")
    if any(method.get("Algorithm") not in _FONTS for method in methods):
        raise DocumentError("it is protected against copying (DRM)", "add a copy without the protection")
