"""Zip archives and the XML in them, opened only where they cannot be a trap.

What the archive says of itself is checked before anything is unpacked; XML is read without entities and without the
network; a document type that declares entities is refused (Office files may have none at all).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

from rag.errors import DocumentError

ANEW = "open it where it was made and save it anew"
MAX_UNPACKED = 500_000_000
MAX_RATIO = 200
MAX_MEMBERS = 20_000
BROKEN = (
    KeyError, ValueError, AttributeError, TypeError, IndexError, SyntaxError, NotImplementedError, EOFError, OSError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What the libraries for Office files raise on one that is not whole (XML errors are SyntaxErrors)."""
_HEAD = 100_000  # bytes in which a document type must stand
_SMALL = 10_000_000  # bytes; below this no ratio does harm


class Archive:
    """A zip archive whose sizes were checked. Raises DocumentError: damaged, locked, or a zip bomb."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as e:
            raise DocumentError(f"its archive is damaged: {e}", ANEW) from e
        members = self._zip.infolist()
        self.names = frozenset(m.filename for m in members)
        unpacked = sum(m.file_size for m in members)
        dense = any(m.file_size > max(_SMALL, MAX_RATIO * max(m.compress_size, 1)) for m in members)
        if len(members) > MAX_MEMBERS or len(self.names) < len(members):
            raise DocumentError(f"its archive has {len(members):,} members", "it looks like a zip bomb")
        if dense or unpacked > MAX_UNPACKED or unpacked > max(_SMALL, MAX_RATIO * len(data)):
            raise DocumentError(f"it would unpack to {unpacked:,} bytes", "it looks like a zip bomb")
        if any(m.flag_bits & 1 for m in members):
            raise DocumentError("it is locked with a password", "save a copy without the password")

    def read(self, name: str, most: int = -1) -> bytes:
        """The first `most` bytes of a member, -1 for all. Raises DocumentError: not there, damaged."""
        try:
            with self._zip.open(name) as member:
                return member.read(most)
        except BROKEN as e:
            raise DocumentError(f"its part {name} is missing or damaged", ANEW) from e

    def xml(self, name: str) -> Any:
        """The root element of a member. Raises DocumentError: not there, no XML, entities declared."""
        return xml(self.read(name), name)

    def refuse_entities(self) -> None:
        """Raises DocumentError if any XML in it declares a document type: Office files never do."""
        for name in sorted(self.names):
            if name.endswith((".xml", ".rels")):
                refuse_entities(self.read(name, _HEAD), name, (b"<!DOCTYPE", b"<!ENTITY"))


def xml(data: bytes, name: str = "it") -> Any:
    """The root element of XML bytes. Raises DocumentError: no XML, entities declared."""
    from lxml import etree

    refuse_entities(data, name)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as e:
        raise DocumentError(f"{name} is no readable XML: {e}", ANEW) from e


def refuse_entities(data: bytes, name: str, signs: tuple[bytes, ...] = (b"<!ENTITY",)) -> None:
    """Raises DocumentError if the XML declares what it must not, in UTF-8 or in UTF-16."""
    head = data[:_HEAD].replace(b"\x00", b"").upper()
    if any(sign in head for sign in signs):
        raise DocumentError(f"{name} declares entities", "it looks like an attack; make the file anew")
