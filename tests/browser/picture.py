"""The picture of the page in the README: `python -m tests.browser.picture [OUT.png [QUESTION]]`.

The real assistant over seeds/, asked in a real browser, its first citation opened.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.conftest import served
from tests.browser.desk import Desk
from tests.browser.outside import CHROMIUM, gated

SEEDS = Path(__file__).parents[2] / "seeds"
PAGE = Path(__file__).parent / "page.png"
QUESTION = "How many cherry trees will Japan give to the United States?"


def picture(out: Path, question: str = QUESTION) -> None:
    """Write a PNG of 2560 x 1560 pixels to `out`."""
    from playwright.sync_api import sync_playwright

    import rag

    if CHROMIUM is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    with (
        rag.open(documents=SEEDS) as assistant,
        served(assistant) as address,
        sync_playwright() as p,
        gated(p) as browser,
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 780}, device_scale_factor=2, color_scheme="light")
        desk = Desk(page, address)
        desk.ask(question)
        page.click("#live [data-quote] >> nth=0")
        desk.marked()
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        page.screenshot(path=out)


if __name__ == "__main__":
    picture(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE, *sys.argv[2:3])
