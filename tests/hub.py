"""A model hub on this machine that behaves well or badly, as the address says: a thread with a real socket.

/MODE/any/thing/resolve/main/FILE
    plain      ranges, ETag                         noranges   ignores Range
    cut-N      closes after N bytes of each reply   noetag     cut, without an ETag
    short      announces more than it sends         wrongrange cut, and the rest begins elsewhere
    changed-N  cut; after N requests another file   busy-N     503 for the first N requests
    slow       0.1 s between pieces                 silent     a head, then nothing
    redirect   302 to plain, with the hub's sha256  lies       the same with another file's sha256
    html       a web page with status 200           downgrade  302 to html
    pointer    a Git LFS pointer                    404, 401   that status
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """Its address, its files by name, and what was asked of it: (path, Range, Authorization)."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def at(self, mode: str) -> str:
        return f"{self.url}/{mode}"


@contextmanager
def hub() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        hub.asked.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        _, mode, *_, name = self.path.split("/")
        times = sum(path == self.path for path, _, _ in hub.asked)
        data = hub.files.get(name, b"")
        kind, _, number = mode.partition("-")
        count = int(number or 0)
        with suppress(ConnectionError):
            if kind.isdigit():
                self._say(int(kind), b"no")
            elif kind == "busy" and times <= count:
                self._say(503, b"busy", **{"Retry-After": "0"})
            elif kind in ("redirect", "lies", "downgrade"):
                told = hashlib.sha256(data if kind != "lies" else b"another").hexdigest()
                to = self.path.replace(mode, "plain" if kind != "downgrade" else "html", 1)
                self._say(302, b"", **{"Location": to, "X-Linked-ETag": f'"{told}"'})
            elif kind == "html":
                self._say(200, b"<!DOCTYPE html><html>Sign in</html>", **{"Content-Type": "text/html; charset=utf-8"})
            elif kind == "pointer":
                self._say(200, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
            else:
                self._give(kind, count, data[::-1] if kind == "changed" and times > count else data)

    def _give(self, kind: str, count: int, data: bytes) -> None:
        start, asked = 0, self.headers["Range"]
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        if asked and kind != "noranges" and self.headers["If-Range"] in (None, tag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self._say(416, b"", **{"Content-Range": f"bytes */{len(data)}"})
                return
        begins = start + 1 if start and kind == "wrongrange" else start
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {begins}-{len(data) - 1}/{len(data)}")
        if kind != "noetag":
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - begins + (10 if kind == "short" else 0)))
        self.end_headers()
        if kind == "silent":
            time.sleep(2)
            return
        body = data[begins:]
        if kind in ("cut", "noetag", "wrongrange", "changed"):
            body = body[: count or len(data) // 2]
        for at in range(0, len(body), 4096):
            self.wfile.write(body[at : at + 4096])
            if kind == "slow":
                time.sleep(0.1)
        self.close_connection = kind != "plain"

    def _say(self, code: int, body: bytes, **head: str) -> None:
        self.send_response(code)
        for key, value in head.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
