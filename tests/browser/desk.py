"""What a person does on the page, in a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Desk:
    """A page with what a person does on it. `strays`: addresses of other hosts that the page asked for; `faults`:
    errors of its scripts and refusals of its policy."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.strays: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda r: self._look(r.url, address))
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("#live .empty")

    def _look(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:" + address)):
            self.strays.append(url)

    def ask(self, question: str, until: str = "#live .turn.done") -> None:
        self.page.fill("#box textarea", question)
        self.page.press("#box textarea", "Enter")
        self.page.wait_for_selector(f"#live .asked:has-text({question[:20]!r})")
        self.page.wait_for_selector(until)

    def marked(self) -> str:
        """The highlighted words of the open source."""
        self.page.wait_for_selector("#panel mark")
        return str(self.page.eval_on_selector_all("#panel mark", "marks => marks.map(m => m.textContent).join('')"))

    def shot(self, name: str) -> None:
        folder = Path("tests/artefacts")
        folder.mkdir(exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")
