"""Which files of Gradio's front end the page asks for: `python -m tests.browser.assets` writes rag/chat/preload.txt."""

from __future__ import annotations

import re
from typing import Any

from rag.chat import preload
from tests.browser.conftest import served
from tests.browser.fake_assistant import FakeAssistant
from tests.browser.outside import gated


def asked_for(chromium: Any, address: str) -> list[str]:
    """The names under /assets/ that a fresh browser fetched until the page could be used, in their order."""
    page = chromium.new_page()
    names: dict[str, None] = {}
    page.on("request", lambda r: names.update({m[1]: None for m in [re.search(r"/assets/([\w.-]+)$", r.url)] if m}))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#empty .empty")
    page.close()
    return list(names)


def main() -> None:
    """Write the list."""
    from playwright.sync_api import sync_playwright

    with served(FakeAssistant()) as address, sync_playwright() as p, gated(p) as browser:
        names = asked_for(browser, address)
    preload.LIST.write_text("\n".join(names) + "\n", "utf-8")
    print(f"{len(names)} names in {preload.LIST}")


if __name__ == "__main__":
    main()
