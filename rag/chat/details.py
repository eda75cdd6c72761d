"""How an answer came about, in a drawer that a person can read: bars beside the numbers.

Passages with their ranks, the evidence in them, the time of each step, then the exact prompt and the draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag.chat.names import shown
from rag.chat.show import esc, marked
from rag.types import Answer, Evidence, Hit, Trace


def drawer(answer: Answer) -> str:
    """The closed drawer under one answer, with all that lies in it."""
    return f'<details class="how"><summary>How this answer was found</summary>{inside(answer)}</details>'


def inside(answer: Answer) -> str:
    """What lies in the drawer."""
    trace = answer.trace
    parts = [
        _section("Evidence: how likely each sentence answers", map(_evidence, answer.evidence)),
        _section("Passages found", _passages(answer.evidence)),
        _section("Seconds per step", _seconds(trace.seconds)),
        _section("Signals behind the outcome", _signals(trace)),
        _section("Written but withheld", (_withheld(text, why) for text, why in trace.withheld)),
        _text("What kept the model from answering", trace.trouble),
        _text("What the model wrote", trace.draft),
        _text("Prompt, exactly as sent", trace.prompt),
        _text("Models and index", "\n".join(f"{name}  {print_}" for name, print_ in trace.fingerprints.items())),
    ]
    searched = f'<p class="searched">Searched for: {esc(trace.query)}</p>' if trace.query else ""
    return searched + "".join(parts)


def bar(share: float, value: str) -> str:
    """A bar of `share` (0 to 1, clipped) with its value as text."""
    width = 100 * min(max(share, 0.0), 1.0)
    line = f'<span class="bar" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>'
    return f'{line}<span class="v">{value}</span>'


def _section(title: str, rows: Iterable[str]) -> str:
    inner = "".join(rows)
    return f"<h4>{esc(title)}</h4><ul>{inner}</ul>" if inner else ""


def _text(title: str, text: str) -> str:
    return f'<h4>{esc(title)}</h4><pre dir="auto" tabindex="0">{esc(text)}</pre>' if text.strip() else ""


def _evidence(evidence: Evidence) -> str:
    answer = evidence.answer and evidence.answer.shift(-evidence.span.start)
    title = f"<bdi>{esc(shown(evidence.hit.passage.source))}</bdi>"
    line = bar(evidence.support, f"{evidence.support:.0%}")
    return f'<li>{line}<span class="said" dir="auto">{marked(evidence.text, answer)}</span><small>{title}</small></li>'


def _passages(evidence: tuple[Evidence, ...]) -> Iterable[str]:
    hits = {(e.hit.passage.source.id, e.hit.passage.span): e.hit for e in evidence}  # one row for each passage
    ordered = sorted(hits.values(), key=lambda hit: -hit.score)
    best = max((hit.score for hit in ordered), default=0.0)
    return (_passage(hit, best) for hit in ordered)


def _passage(hit: Hit, best: float) -> str:
    ranks = " &middot; ".join(f"{esc(name)} #{rank}" for name, rank in hit.ranks.items())
    line = bar(hit.score / best if best > 0 else 0.0, f"{hit.score:.3g}")
    heading = f"<bdi>{esc(hit.passage.heading)}</bdi> &middot; " if hit.passage.heading else ""
    title = f"<bdi>{esc(shown(hit.passage.source))}</bdi>"
    said = f'<span class="said clip" dir="auto">{esc(hit.passage.text)}</span>'
    return f"<li>{line}{said}<small>{title} &middot; {heading}{ranks}</small></li>"


def _row(name: str, line: str) -> str:
    return f'<li class="row"><span class="name">{esc(name)}</span>{line}</li>'


def _seconds(seconds: Mapping[str, float]) -> Iterable[str]:
    longest = max(seconds.values(), default=0.0)
    for step, took in seconds.items():
        share = took / longest if longest > 0 else 0.0
        yield _row(step, bar(share, f"{took:.3f} s"))


def _signals(trace: Trace) -> Iterable[str]:
    if trace.signals:
        yield _row("confidence", bar(trace.confidence, f"{trace.confidence:.0%}"))
    for name, value in trace.signals.items():
        yield _row(name, bar(value, f"{value:.3g}"))


def _withheld(text: str, why: str) -> str:
    return f'<li class="said-only"><span class="said" dir="auto">{esc(text)}</span><small>{esc(why)}</small></li>'
