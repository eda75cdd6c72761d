"""A browser that reaches 127.0.0.1 and nothing else, and what it tried beyond.

Three witnesses, for each is blind to something: Playwright tells the requests of pages; the policy's refusals tell what
was stopped before it became a request; a proxy, to which all goes that is not for 127.0.0.1, sees what is no request of
a page (web sockets, a worker's). The proxy refuses everything, and no name is resolved beside it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socketserver
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOME = "127.0.0.1"
# Chromium calls its maker when it starts; that is refused too, and is none of the page's doing. Fonts would be.
_MAKERS = re.compile(r"\w+ (http://)?(?!fonts\.)[\w.-]+\.(google|googleapis|gvt1)\.com[:/]")
_NO = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Proxy(socketserver.ThreadingTCPServer):
    """Writes down the first line of each request and refuses it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOME, 0), _Refusing)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Refusing(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            line = self.rfile.readline(4096).decode("latin-1").strip()
            if line and not _MAKERS.match(line):
                self.server.asked.append(line)  # type: ignore[attr-defined]
            self.wfile.write(_NO)


class Browser:
    """Chromium behind the gate. `tried`: what its pages asked of others, in their order."""

    def __init__(self, browser: Any, proxy: Proxy) -> None:
        self._browser, self._proxy = browser, proxy
        self._seen: list[str] = []

    def new_context(self, **wishes: Any) -> Any:
        """As Playwright's, and watched."""
        context = self._browser.new_context(**wishes)
        context.on("request", lambda request: _is_outside(request.url) and self._seen.append(request.url))
        context.on("console", lambda m: "Content Security Policy" in m.text and self._seen.append(m.text))
        return context

    def new_page(self, **wishes: Any) -> Any:
        """As Playwright's, in a watched context of its own."""
        return self.new_context(**wishes).new_page()

    @property
    def pages(self) -> list[Any]:
        """The pages that are open."""
        return [page for context in self._browser.contexts for page in context.pages]

    def tried(self) -> list[str]:
        """What was asked of others since the last time that this was called."""
        for page in self.pages[-1:]:
            with contextlib.suppress(Exception):  # a round trip, so that what is on its way arrives; it may be closing
                page.evaluate("0")
        found = self._seen + self._proxy.asked
        self._seen, self._proxy.asked = [], []
        return found

    def must_have_stayed_home(self) -> None:
        """Fails if anything was asked of others since the last look."""
        tried = self.tried()
        assert not tried, f"a page asked another host: {tried}"

    @contextlib.contextmanager
    def tidied(self) -> Iterator[None]:
        """Closes afterwards what the block opened and left open."""
        before = list(self._browser.contexts)
        yield
        for context in self._browser.contexts:
            if context not in before:
                context.close()


@contextlib.contextmanager
def gated(playwright: Any) -> Iterator[Browser]:
    """Chromium, while the block runs."""
    proxy = Proxy()
    flags = [
        "--no-sandbox",
        f"--proxy-server=http://{HOME}:{proxy.server_address[1]}",
        f"--proxy-bypass-list=<-loopback>;{HOME}",
        f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOME}",
    ]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
    try:
        yield Browser(browser, proxy)
    finally:
        browser.close()
        proxy.shutdown()
        proxy.server_close()


def _is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about") and parts.hostname != HOME
