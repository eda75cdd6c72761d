"""One file from the model hub, a mirror of it or a folder, onto the disk: whole and checked, or not at all.

Streamed through a hasher into `NAME.part`; a cut, a crash or Ctrl-C leaves that for the next try, which asks only for
the rest (HTTP Range, RFC 9110, section 14) and only if the file behind the address is still the same (If-Range).
`NAME` itself appears by a rename, after the last byte was checked and brought to the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rag.errors import ModelDamaged, ModelError, ModelMissing, RagError
from rag.files import sync_folder, write_atomically
from rag.models.entry import File

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None], None]
"""Told how many bytes are here, of how many; None: the server does not say."""

_PIECE = 1 << 18  # bytes
_TRIES = 4  # in a row without one new byte
_SPARE = 64 << 20  # bytes of disk that stay free
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(
    url: str,
    target: Path,
    known: File,
    progress: Progress | None = None,
    *,
    timeout_s: float = 30.0,
    first_pause_s: float = 0.5,
) -> File:
    """Brings what `url` gives to `target`, which must hold `known`; what it is, as a File with its hash.

    Raises ModelMissing (not there, not allowed), ModelDamaged (a web page, a pointer, another file, another length) and
    ModelError (no space, not reached, cut again and again). Whatever was received stays for the next try, unless it was
    found to be wrong."""
    import httpx

    part = _Part(target, url)
    tries, most = 0, part.size
    here = httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")  # never to this machine by way of a proxy
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
    with httpx.Client(timeout=timeout, follow_redirects=True, trust_env=not here) as client:
        while True:
            try:
                return _once(client, url, part, known, progress)
            except _Again as e:
                tries, most = (1 if part.size > most else tries + 1), max(most, part.size)
                if tries >= _TRIES:
                    raise ModelError(
                        f"{url} was not fetched: {e.why}; {part.size} bytes are kept", "run the same command again"
                    ) from None
                time.sleep(e.wait_s if e.wait_s is not None else min(8.0, first_pause_s * 2 ** (tries - 1)))


def copy(source: Path, target: Path, known: File, progress: Progress | None = None) -> File:
    """The same from a file of this machine, for places without a network."""
    part = _Part(target, str(source))
    part.drop()
    size = source.stat().st_size
    with source.open("rb") as file:
        return part.finish(known, size, part.fill(iter(lambda: file.read(_PIECE), b""), size, known, progress))


class _Again(Exception):
    """It may work the next time. `wait_s`: as the server asks, None if it does not."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.why, self.wait_s = why, wait_s


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a reply carries: bytes from `start` on of a file of `total` bytes, known by `tag`; `sha256`: what the hub
    says that it is, '' if it says nothing."""

    start: int
    total: int | None
    tag: str
    sha256: str


class _Part:
    """The unfinished file, and beside it a note of where it comes from."""

    def __init__(self, target: Path, url: str) -> None:
        self.target, self.url = target, url
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        target.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def tag(self) -> str:
        """What the file is known by, if a part of this very address is here; else ''."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(self.note.read_text("utf-8"))
            if note["url"] == self.url and self.size:
                return str(note["tag"])
        return ""

    def begin(self, tag: str) -> None:
        self.drop()
        self.path.touch()
        write_atomically(self.note, json.dumps({"url": self.url, "tag": tag}).encode())

    def drop(self) -> None:
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def fill(self, pieces: Iterator[bytes], total: int | None, known: File, progress: Progress | None) -> hashlib._Hash:
        """Appends the pieces; the hasher of all that is here then."""
        self._check_space(total)
        with _said_clearly(self.path), self.path.open("ab") as file:
            hasher, have = _hashed(self.path), self.size
            for piece in pieces:
                if have == 0:
                    _check_beginning(piece, self.target.name, self.url)
                file.write(piece)
                hasher.update(piece)
                have += len(piece)
                if progress is not None:
                    progress(have, total)
            _sync(file)
        return hasher

    def finish(self, known: File, total: int | None, hasher: hashlib._Hash, told: str = "") -> File:
        """Checks length and hash, and gives the file its name."""
        found, wrong = File(hasher.hexdigest(), self.size), ""
        if total is not None and found.bytes != total:
            wrong = f"{found.bytes} bytes came, {total} were announced"
        elif not known.fits(found.bytes):
            wrong = f"{found.bytes} bytes came, the catalogue says {known.bytes}"
        for sha256 in filter(None, (known.sha256, told)):
            if not wrong and sha256 != found.sha256:
                wrong = f"its sha256 is {found.sha256}, not {sha256}"
        if wrong:
            self.drop()
            raise ModelDamaged(
                f"{self.url} is not the {self.target.name} looked for: {wrong}", "try another models.host"
            )
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)
        sync_folder(self.target.parent)
        return found

    def _check_space(self, total: int | None) -> None:
        free = shutil.disk_usage(self.target.parent).free
        need = (total if total is not None else 0) - self.size + _SPARE
        if need > free:
            raise ModelError(
                f"{self.target.name} needs {need / 1e9:.2f} GB more on the disk of {self.target.parent}, and "
                f"{free / 1e9:.2f} GB are free",
                "make room, or choose another place: models.folder",
            )


def _once(client: httpx.Client, url: str, part: _Part, known: File, progress: Progress | None) -> File:
    """One request. Raises _Again where another may help."""
    import httpx

    tag = part.tag
    headers = {"accept-encoding": "identity", **_key(url)}
    if tag:
        headers |= {"range": f"bytes={part.size}-", "if-range": tag}
    try:
        with client.stream("GET", url, headers=headers) as reply:
            offer = _offer(reply, part, url)
            if offer.total is not None and not known.fits(offer.total):
                part.drop()
                raise ModelDamaged(
                    f"{url} has {offer.total} bytes, the catalogue says {known.bytes}", "try another models.host"
                )
            if offer.start == 0:
                part.begin(offer.tag)
            hasher = part.fill(reply.iter_raw(), offer.total, known, progress)  # as they come: none waits
    except httpx.HTTPError as e:
        raise _Again(f"{type(e).__name__}: {e}" if str(e) else type(e).__name__) from None
    return part.finish(known, offer.total, hasher, offer.sha256)


def _offer(reply: httpx.Response, part: _Part, url: str) -> _Offer:
    """Reads the head of a reply. Raises what it means if it is no offer."""
    code, head = reply.status_code, reply.headers
    if url.startswith("https:") and reply.url.scheme != "https":
        raise ModelError(f"{url} leads to {reply.url.host} without encryption", "choose another models.host")
    if code in (200, 206):
        if "text/html" in head.get("content-type", ""):
            raise ModelDamaged(f"{url} is a web page, no model file", "check models.host")
        tag = head.get("etag", "")
        tag = "" if tag.startswith("W/") else tag  # a weak one does not promise the same bytes
        sha256 = next((s for r in (*reply.history, reply) if (s := _linked(r))), "")
        length = head.get("content-length", "")
        if code == 200:
            return _Offer(0, int(length) if length.isdigit() else None, tag, sha256)
        unit, _, total = head.get("content-range", "").partition("/")
        if unit.startswith(f"bytes {part.size}-") and total.isdigit() and tag in ("", part.tag):
            return _Offer(part.size, int(total), tag, sha256)
    if code in (206, 416):
        part.drop()  # not what was asked for, or more is here than there is: from the beginning
        raise _Again(f"the server sent status {code} with another range")
    if code in _AGAIN:
        wait = head.get("retry-after", "")
        raise _Again(f"the server answered {code}", min(60.0, float(wait)) if wait.isdigit() else None)
    if code in (401, 403):
        raise ModelMissing(f"{url} is not for everybody (status {code})", "accept its licence there, and set HF_TOKEN")
    if code in (404, 410):
        raise ModelMissing(f"{url} is not there (status {code})", "see rag models list, or set models.host")
    raise ModelError(f"{url} was not fetched: status {code}", "try again later, or set models.host")


def _linked(reply: httpx.Response) -> str:
    """The sha256 that the hub tells of a large file, in the reply that redirects to it."""
    told = reply.headers.get("x-linked-etag", "").strip('"').lower()
    return told if len(told) == 64 and set(told) <= set("0123456789abcdef") else ""


def _key(url: str) -> dict[str, str]:
    """The hub's key, where the user has one; only over an encrypted connection, never to where that redirects."""
    token = os.environ.get("HF_TOKEN", "")
    return {"authorization": f"Bearer {token}"} if token and url.startswith("https:") else {}


def _check_beginning(piece: bytes, name: str, url: str) -> None:
    """Raises ModelDamaged for what hubs and proxies send in place of a file."""
    if piece.startswith(b"version https://git-lfs"):
        raise ModelDamaged(f"{url} is a Git LFS pointer, not the file itself", "copy the real file, or set models.host")
    if piece.lstrip()[:1] == b"<":
        raise ModelDamaged(f"{url} is a web page, no model file", "check models.host")
    if name.endswith(".gguf") and not piece.startswith(b"GGUF"[: len(piece)]):
        raise ModelDamaged(f"{url} is no GGUF model: it begins with {piece[:8]!r}", "check models.host")


@contextmanager
def _said_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise RagError(f"{path} cannot be written: {e.strerror}", "make room; what is here is kept") from e


def _hashed(path: Path) -> hashlib._Hash:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
