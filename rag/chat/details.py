"""How an answer came about, in a drawer that a person can read: bars beside the numbers.

The sentences with their verdicts, what was left out and why, the evidence, every passage with its ranks, the time of
each step, then the exact prompt and the draft.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rag.chat.names import shown
from rag.chat.show import esc, marked, numbered
from rag.chat.texts import count, say
from rag.types import Answer, Evidence, Hit, Origin, Trace

_SHARES = ("coverage", "names", "lack")
_LOGITS = ("span", "sentence", "relevance", "lead")
_STEPS = {"prompt": "render"}  # the names of steps that mean something else among the texts
_KNOWN = frozenset({"retrieve", "read", "first_quote", "prompt", "wait", "llm", "judge", "total"})


def drawer(answer: Answer) -> str:
    """The closed drawer under one answer, with all that lies in it."""
    return f'<details class="how"><summary>{say("how.title")}</summary>{inside(answer)}</details>'


def inside(answer: Answer) -> str:
    """What lies in the drawer."""
    trace = answer.trace
    hits = trace.hits or _hits_of(answer.evidence)
    parts = [
        _section(say("how.sentences"), _claims(answer)),
        _section(say("how.left_out"), (_withheld(text, why) for text, why in trace.withheld), "withheld"),
        _section(say("how.evidence"), map(_evidence, answer.evidence)),
        _section(count("how.passages", len(hits)), _passages(hits)),
        _section(say("how.signals"), _signals(trace)),
        _section(say("how.seconds"), _seconds(trace.seconds)),
        _text(say("how.trouble"), trace.trouble),
        _text(say("how.draft"), trace.draft),
        _text(say("how.prompt"), trace.prompt),
        _text(say("how.models"), "\n".join(f"{name}  {print_}" for name, print_ in trace.fingerprints.items())),
    ]
    searched = f'<p class="searched">{say("how.searched", query=esc(trace.query))}</p>' if trace.query else ""
    return searched + "".join(parts)


def bar(share: float, value: str) -> str:
    """A bar of `share` (0 to 1, clipped) with its value as text."""
    width = 100 * min(max(share, 0.0), 1.0)
    line = f'<span class="bar" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>'
    return f'{line}<span class="v">{value}</span>'


def _section(title: str, rows: Iterable[str], part: str = "") -> str:
    """`part` names it for the page, which can bring it into sight."""
    inner = "".join(rows)
    named = f' data-part="{part}"' if part else ""
    return f"<h4{named}>{esc(title)}</h4><ul>{inner}</ul>" if inner else ""


def _text(title: str, text: str) -> str:
    return f'<h4>{esc(title)}</h4><pre dir="auto" tabindex="0">{esc(text)}</pre>' if text.strip() else ""


def _evidence(evidence: Evidence) -> str:
    answer = evidence.answer and evidence.answer.shift(-evidence.span.start)
    title = f"<bdi>{esc(shown(evidence.hit.passage.source))}</bdi>"
    line = bar(evidence.support, f"{evidence.support:.0%}")
    return f'<li>{line}<span class="said" dir="auto">{marked(evidence.text, answer)}</span><small>{title}</small></li>'


def _claims(answer: Answer) -> Iterable[str]:
    """Each sentence that is shown, with its verdict and the numbers of its quotes."""
    numbers = numbered(answer)
    for words, claim in answer:
        says = say("answer.own_words" if claim.origin is Origin.QUOTE else f"how.{claim.verdict.value}")
        quotes = ", ".join(str(n) for n in sorted(numbers[c] for c in claim.citations))
        quotes = quotes and f" &middot; {count('how.quotes', len(claim.citations), which=quotes)}"
        yield (
            f'<li class="said-only"><span class="said" dir="auto">{esc(words)}</span>'
            f'<small class="{claim.verdict.value}"><i class="dot" aria-hidden="true"></i>{esc(says)}{quotes}</small>'
            "</li>"
        )


def _hits_of(evidence: tuple[Evidence, ...]) -> tuple[Hit, ...]:
    """The passages of the evidence, best first: of an answer that was kept before all were."""
    hits = {(e.hit.passage.source.id, e.hit.passage.span): e.hit for e in evidence}
    return tuple(sorted(hits.values(), key=lambda hit: -hit.score))


def _passages(hits: Sequence[Hit]) -> Iterable[str]:
    best = max((hit.score for hit in hits), default=0.0)
    worst = max((rank for hit in hits for rank in hit.ranks.values()), default=1)
    return (_passage(number, hit, best, worst) for number, hit in enumerate(hits, 1))


def _passage(number: int, hit: Hit, best: float, worst: int) -> str:
    line = bar(hit.score / best if best > 0 else 0.0, f"{hit.score:.3g}")
    heading = f" &middot; <bdi>{esc(hit.passage.heading)}</bdi>" if hit.passage.heading else ""
    title = f"<b>{number}.</b> <bdi>{esc(shown(hit.passage.source))}</bdi>"
    said = f'<span class="said clip" dir="auto">{esc(hit.passage.text)}</span>'
    ranks = "".join(_rank(name, rank, worst) for name, rank in hit.ranks.items())
    return f'<li class="hit">{line}<small>{title}{heading}</small>{said}<span class="ranks">{ranks}</span></li>'


def _rank(name: str, rank: int, worst: int) -> str:
    """A place in one ranking; the bar is full for the first."""
    share = 1 - (rank - 1) / worst
    said = say(f"how.{name}") if name in ("dense", "lexical") else esc(name)
    return f'<span class="rank">{said} {bar(share, f"#{rank}")}</span>'


def _row(name: str, line: str) -> str:
    return f'<li class="row"><span class="name">{esc(name)}</span>{line}</li>'


def _seconds(seconds: Mapping[str, float]) -> Iterable[str]:
    longest = max(seconds.values(), default=0.0)
    for step, took in seconds.items():
        share = took / longest if longest > 0 else 0.0
        yield _row(say(f"how.{_STEPS.get(step, step)}") if step in _KNOWN else step, bar(share, f"{took:.3f} s"))


def _signals(trace: Trace) -> Iterable[str]:
    """All of them in plain words. Logits (they run from about -12 to 12) become shares by the logistic curve."""
    if trace.signals:
        yield _row(say("how.confidence"), bar(trace.confidence, f"{trace.confidence:.0%}"))
    for name, value in trace.signals.items():
        if name in _SHARES:
            yield _row(say(f"how.{name}"), bar(value, f"{value:.0%}"))
        else:
            share = 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))
            yield _row(say(f"how.{name}") if name in _LOGITS else name, bar(share, f"{value:+.1f}"))


def _withheld(text: str, why: str) -> str:
    return f'<li class="said-only"><span class="said" dir="auto">{esc(text)}</span><small>{esc(why)}</small></li>'
