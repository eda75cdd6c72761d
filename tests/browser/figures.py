"""How quick the page is for a person: `python -m tests.browser.figures [--json FILE]`, or `make page-figures`.

`rag chat` over seeds/, as a user starts it, with the default model, and a real browser in front of it. Three figures:

    usable   from the server's line that it is ready, in a fresh process, to an input that takes a question; the browser
             has nothing of the page in its cache. That it takes one is shown: a question is asked at once.
    quote    from Enter to the first verified quote, painted. Warm; questions without any quote do not count.
    chip     from the click on a numbered chip to the quote's words in sight, highlighted and painted; half of the
             clicks find the panel closed.

Painted: two animation frames after the change. All times are the browser's own clock; the server's line is dated by
this process, on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rag
from rag.evals.processes import free_port
from rag.evals.scoring import percentile
from rag.evals.seeds import ROOT, questions
from tests.browser.desk import Desk
from tests.browser.outside import CHROMIUM, gated

WARM_UP = 3  # questions that are asked before any is timed
CLOCK = """(() => {
  const wall = () => performance.timeOrigin + performance.now();
  const painted = (tell) => requestAnimationFrame(() => requestAnimationFrame(() => tell(performance.now())));
  const told = window.told = { usable: null, quote: null, chip: null };
  let entered = null, question = "", clicked = null;
  const quoted = () => [...document.querySelectorAll("#live .turn")].some((turn) =>   // of this question, not the last
    turn.querySelector(".asked")?.textContent.endsWith(question) &&
    [...turn.querySelectorAll("[data-quote]")].some((e) => e.checkVisibility()));
  const look = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-ready", "disabled"] };
  new MutationObserver(() => {
    const input = document.querySelector("#box textarea");
    if (told.usable === null && document.body?.dataset.ready && input && !input.disabled) told.usable = wall();
    if (entered !== null && quoted()) {
      const from = entered;
      entered = null;
      painted((now) => { told.quote = now - from; });
    }
  }).observe(document, look);
  new MutationObserver(() => {
    const mark = document.querySelector("#panel mark");
    if (clicked === null || !mark) return;
    const from = clicked;
    clicked = null;
    painted((now) => {
      const box = mark.getBoundingClientRect();
      told.chip = box.height > 0 && box.top >= 0 && box.bottom <= innerHeight ? now - from : -1;
    });
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-ms"] });
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("#box textarea")) return;
    [entered, question] = [event.timeStamp, event.target.value];
    told.quote = null;
  }, true);
  addEventListener("click", (event) => {
    if (event.target.closest?.(".cite")) { clicked = event.timeStamp; told.chip = null; }
  }, true);
})()"""


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds, one for each trial, beside the goal for the share of them that is named."""

    name: str
    goal_s: float
    share: float
    seconds: tuple[float, ...]

    @property
    def line(self) -> str:
        """For people."""
        p50, p95 = (percentile(self.seconds, share) for share in (0.5, 0.95))
        reached = percentile(self.seconds, self.share) <= self.goal_s
        return (
            f"{self.name:<46} {len(self.seconds):>3} times  p50 {p50:6.3f}  p95 {p95:6.3f} s"
            f"   goal: p{self.share * 100:.0f} <= {self.goal_s} s, {'reached' if reached else 'missed'}"
        )

    @property
    def plain(self) -> dict[str, Any]:
        """For programs."""
        p50, p95 = (percentile(self.seconds, share) for share in (0.5, 0.95))
        return {"p50_s": p50, "p95_s": p95, "goal_s": self.goal_s, "goal_share": self.share, "all_s": self.seconds}


@contextlib.contextmanager
def chat(index: Path) -> Iterator[tuple[str, float, float]]:
    """`rag chat` in a process of its own: its address, when its line came (Unix time), and how long that took."""
    port = free_port()
    command = [sys.executable, "-m", "rag", "chat", "--index", str(index), "--port", str(port)]
    began = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready = time.time()
        assert "Ask your documents at" in line, f"the chat page did not start: {line!r}"
        yield f"http://127.0.0.1:{port}", ready, ready - began
    finally:
        process.terminate()
        process.wait(20)


def usable(chromium: Any, address: str, ready: float) -> tuple[Desk, float]:
    """The page in a fresh browser context, and the seconds from `ready` (Unix time) until it could be used."""
    page = chromium.new_page(viewport={"width": 1280, "height": 820})
    page.set_default_timeout(180_000)  # a busy machine is slow, and shall be told how slow
    page.add_init_script(CLOCK)
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.told?.usable")
    took = page.evaluate("told.usable") / 1000 - ready
    page.fill("#box textarea", "Is this taken?")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live .turn .asked:has-text('Is this taken?')")
    page.wait_for_selector("#live .turn.done")
    return Desk(page, address, there=True), took


def quotes(desk: Desk, asked: Sequence[str]) -> tuple[float, ...]:
    """Seconds from Enter to the first quote, for each question that has one."""
    took = []
    for question in asked:
        desk.ask(question)
        desk.page.wait_for_timeout(50)  # the two frames
        told = desk.page.evaluate("told.quote")
        if told is not None:
            took.append(told / 1000)
    return tuple(took)


def clicks(desk: Desk, n: int) -> tuple[float, ...]:
    """Seconds from a click to the words, over the chips of the conversation in turn, from the newest on."""
    chips = desk.page.locator("#turns .cite, #live .turn:not([hidden]) .cite")
    count = chips.count()
    took = []
    for i in range(n):
        if i % 2:
            desk.page.keyboard.press("Escape")
        chips.nth(count - 1 - i % count).click()
        desk.page.wait_for_function("told.chip !== null")
        told = desk.page.evaluate("told.chip")
        assert told > 0, "the words are not in sight"
        took.append(told / 1000)
    return tuple(took)


def measured(chromium: Any, index: Path, starts: int, asked: int, clicked: int) -> Iterator[Figure]:
    """The figures, one after the other."""
    first: list[float] = []
    lines: list[float] = []
    texts = [q.text for q in questions() if q.kind == "answerable"][: asked + WARM_UP]
    for n in range(starts):
        with chat(index) as (address, ready, line_s):
            desk, took = usable(chromium, address, ready)
            first.append(took)
            lines.append(line_s)
            if n == starts - 1:
                yield Figure("from `rag chat` to its line, ready", 10.0, 0.5, tuple(lines))
                yield Figure("usable: from that line to an input", 1.5, 0.5, tuple(first))
                quotes(desk, texts[:WARM_UP])
                yield Figure("quote: from Enter to the first verified quote", 0.7, 0.95, quotes(desk, texts[WARM_UP:]))
                yield Figure("chip: from a click to the highlighted words", 0.15, 0.95, clicks(desk, clicked))
            desk.page.context.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="how often the server is started (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=40, help="that are timed (default: %(default)s)")
    parser.add_argument("--clicks", type=int, default=40, help="on chips (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    figures = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p, gated(p) as chromium:
        index = Path(folder) / "index"
        rag.open(index, documents=ROOT / "seeds", llm_model="none").close()
        for figure in measured(chromium, index, args.starts, args.questions, args.clicks):
            print(figure.line, flush=True)
            figures.append(figure)
    if args.json:
        args.json.write_text(json.dumps({f.name: f.plain for f in figures}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
