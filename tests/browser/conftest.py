"""A page over a scripted assistant, served in this process, and a real browser in front of it."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.browser.desk import ARTEFACTS, Desk
from tests.browser.fake_assistant import FakeAssistant
from tests.browser.outside import CHROMIUM, Browser, gated


@contextlib.contextmanager
def served(assistant: Any, host: str = "127.0.0.1", password: str | None = None) -> Iterator[str]:
    """The address of the page over `assistant`, while the block runs."""
    import uvicorn

    from rag.chat import build

    listener = socket.socket()
    listener.bind((host, 0))
    app = build(assistant, host, password)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails leaves pictures of its pages beside those that tests take by themselves."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("chromium")
    if report.failed and isinstance(browser, Browser):
        _pictures(browser, item.name)
    return report


def _pictures(browser: Browser, test: str) -> None:
    name = "failed-" + re.sub(r"[^\w-]+", "-", test).strip("-")
    ARTEFACTS.mkdir(exist_ok=True)
    for n, page in enumerate(browser.pages):
        with contextlib.suppress(Exception):  # a page that hangs must not hide why the test failed
            page.screenshot(path=ARTEFACTS / f"{name}-{n}.png", timeout=5000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser that can reach nothing but this computer."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as p, gated(p) as browser:
        yield browser


@pytest.fixture(autouse=True)
def nothing_from_outside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test with a browser ends with this question: did a page ask another host for anything?"""
    if "chromium" not in request.fixturenames:
        yield
        return
    browser: Browser = request.getfixturevalue("chromium")
    with browser.tidied():
        yield
        try:
            browser.must_have_stayed_home()
        except AssertionError:
            _pictures(browser, request.node.name)
            raise


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
def desk(chromium: Browser, address: str) -> Iterator[Desk]:
    context = chromium.new_context(viewport={"width": 1280, "height": 820})
    yield Desk(context.new_page(), address)
    context.close()


@pytest.fixture
def desks(chromium: Browser, address: str) -> Iterator[tuple[Desk, Desk]]:
    contexts = [chromium.new_context(viewport={"width": 1280, "height": 820}) for _ in range(2)]
    yield Desk(contexts[0].new_page(), address), Desk(contexts[1].new_page(), address)
    for context in contexts:
        context.close()
