"""A page over a scripted assistant, served in this process, and a real browser in front of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.desk import Desk
from tests.browser.fake_assistant import FakeAssistant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def served(assistant: Any) -> Iterator[str]:
    """The address of the page over `assistant`, while the block runs."""
    import uvicorn

    from rag.chat import build

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build(assistant), log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser that can reach nothing but this computer."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAssistant]:
    assistant = FakeAssistant()
    yield assistant
    shutil.rmtree(assistant.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(fake: FakeAssistant) -> Iterator[str]:
    with served(fake) as url:
        yield url


@pytest.fixture
def desk(chromium: Any, address: str) -> Iterator[Desk]:
    context = chromium.new_context(viewport={"width": 1280, "height": 820})
    yield Desk(context.new_page(), address)
    context.close()


@pytest.fixture
def desks(chromium: Any, address: str) -> Iterator[tuple[Desk, Desk]]:
    contexts = [chromium.new_context(viewport={"width": 1280, "height": 820}) for _ in range(2)]
    yield Desk(contexts[0].new_page(), address), Desk(contexts[1].new_page(), address)
    for context in contexts:
        context.close()
