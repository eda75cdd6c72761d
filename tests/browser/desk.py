"""What a person does on the page, in a few words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ARTEFACTS = Path(os.environ.get("RAG_ARTEFACTS") or Path(__file__).parents[1] / "artefacts")


class Desk:
    """A page with what a person does on it. `strays`: addresses of other hosts that the page asked for; `faults`:
    errors of its scripts and refusals of its policy."""

    def __init__(self, page: Any, address: str, *, there: bool = False) -> None:
        """`there`: the page is open already, and may have been used."""
        self.page = page
        self.strays: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda r: self._look(r.url, address))
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        if not there:
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            page.wait_for_selector("#empty .empty")

    def _look(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:" + address)):
            self.strays.append(url)

    def ask(self, question: str, until: str = "#live .turn.done") -> None:
        self.page.fill("#box textarea", question)
        self.page.press("#box textarea", "Enter")
        self.page.wait_for_selector(f"#live .asked:has-text({question[:20]!r})")
        self.page.wait_for_selector(until)

    def shelf(self, name: str) -> None:
        """Open one of the shelves: talks, library, settings."""
        if self.page.get_attribute("#frame", "data-shelf") != name:
            self.page.click(f"button[data-shelf={name}]")

    def marked(self) -> str:
        """The highlighted words of the open source."""
        self.page.wait_for_selector("#panel mark")
        return str(self.page.eval_on_selector_all("#panel mark", "marks => marks.map(m => m.textContent).join('')"))

    def shot(self, name: str) -> None:
        """A picture of the page, for whoever looks at what a run of the tests has left."""
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")

    def contrast(self, part: str) -> float:
        """The contrast of a part's text with what lies behind it, 1 to 21 (WCAG 2.2, relative luminance)."""
        return float(self.page.eval_on_selector(part, _CONTRAST))

    def right_edge(self, parts: str) -> float:
        """How far to the right the widest of these parts reaches, in pixels."""
        edges = self.page.eval_on_selector_all(parts, "all => all.map(e => e.getBoundingClientRect().right)")
        return float(max(edges))


_CONTRAST = """element => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  let behind = element, colour;
  do {
    colour = rgb(getComputedStyle(behind).backgroundColor);
    behind = behind.parentElement;
  } while (behind && colour[3] === 0);
  const [a, b] = [light(rgb(getComputedStyle(element).color)), light(colour)].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}"""
