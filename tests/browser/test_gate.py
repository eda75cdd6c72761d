"""The gate to the outside is itself on trial: a page that asks another host is caught, by whatever way it asks."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.desk import Desk
from tests.browser.outside import Browser

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]

WAYS = {
    "a picture": '<img src="http://one.example/x.png">',
    "a style sheet": '<link rel="stylesheet" href="http://two.example/x.css">',
    "a font": "<style>@font-face { font-family: f; src: url(https://fonts.gstatic.com/x) } p { font-family: f }</style>"
    "<p>words",
    "a frame": '<iframe src="http://three.example/"></iframe>',
    "an address": "<script>fetch('http://192.0.2.7/').catch(() => 0)</script>",
    "this computer by another address": "<script>fetch('http://127.0.0.2:9/').catch(() => 0)</script>",
    "a beacon": "<script>navigator.sendBeacon('http://four.example/')</script>",
    "a socket": "<script>new WebSocket('ws://five.example/')</script>",
    "a worker": "<script>new Worker(URL.createObjectURL(new Blob([`fetch('http://six.example/')`])))</script>",
}


@pytest.fixture(scope="module")
def bare() -> Iterator[str]:
    """The address of a server without any policy; it shows the page that its path names."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            way = self.path.strip("/").replace("%20", " ")
            self.wfile.write(f"<!doctype html>{WAYS.get(way, '')}".encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is said."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("way", WAYS)
def test_whoever_asks_another_host_is_caught(chromium: Browser, bare: str, way: str) -> None:
    page = chromium.new_page()
    page.goto(f"{bare}/nothing")
    chromium.must_have_stayed_home()
    page.goto(f"{bare}/{way}", wait_until="commit")
    end = time.monotonic() + 20
    while not (tried := chromium.tried()) and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert tried
    page.goto("about:blank")
    while chromium.tried():  # some ways are seen by two witnesses, one after the other
        page.wait_for_timeout(200)


def test_what_the_policy_stops_is_caught_too(desk: Desk, chromium: Browser) -> None:
    chromium.must_have_stayed_home()
    desk.page.evaluate("fetch('http://evil.example/').catch(() => 0)")
    with pytest.raises(AssertionError, match="asked another host"):
        chromium.must_have_stayed_home()


BAD = """
def test_that_asks_another_host(chromium):
    chromium.new_page().goto("data:text/html,<img src=http://evil.example/x.png>")

def test_that_fails(chromium):
    chromium.new_page().goto("data:text/html,<h1>what was there")
    assert False

def test_that_is_good(chromium):
    chromium.new_page().goto("data:text/html,<h1>what was there")
"""


def test_a_run_of_tests_fails_at_the_gate_and_leaves_a_picture_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(BAD, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.browser.conftest", "-q", "-rA", str(tmp_path)]
    env = os.environ | {"RAG_ARTEFACTS": str(tmp_path / "artefacts")}
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout
    assert re.findall(r"^(\w+) \S+::(test_\w+)", said, re.MULTILINE) == [
        ("PASSED", "test_that_asks_another_host"),
        ("PASSED", "test_that_is_good"),
        ("ERROR", "test_that_asks_another_host"),  # the gate is asked when a test is over
        ("FAILED", "test_that_fails"),
    ], said
    assert "http://evil.example/x.png" in said
    pictures = {re.sub(r"-\d+\.png$", "", p.name) for p in (tmp_path / "artefacts").iterdir()}  # one of each open page
    assert pictures == {"failed-test_that_asks_another_host", "failed-test_that_fails"}
