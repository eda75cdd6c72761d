"""How an answer came about, in a drawer that a person can read: bars beside the numbers.

The sentences with their verdicts, what was left out and why, the evidence, every passage with its ranks, the time of
each step, then the exact prompt and the draft.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rag.chat.names import shown
from rag.chat.show import OWN_WORDS, esc, marked, numbered
from rag.types import Answer, Evidence, Hit, Origin, Trace, Verdict

_VERDICTS = {
    Verdict.SUPPORTED: "Backed by its quotes",
    Verdict.PARTIAL: "Only partly backed by its quotes",
    Verdict.UNSUPPORTED: "Not confirmed by a quote",
}
_RANKINGS = {"dense": "by meaning", "lexical": "by words"}
_STEPS = {
    "retrieve": "Finding passages",
    "read": "Reading them",
    "first_quote": "First quote, from the start",
    "prompt": "Writing the prompt",
    "wait": "Waiting for the model",
    "llm": "The model writes",
    "judge": "Checking its sentences",
    "total": "All together",
}
_SHARES = {
    "coverage": "Words of the question in the best passage",
    "names": "Names and numbers of the question in it",
    "lack": "Something in the question speaks against it",
}
_LOGITS = {
    "span": "A short answer stands out",
    "sentence": "A sentence reads like the answer",
    "relevance": "The passage is about the question",
    "lead": "It is ahead of the other passages",
}


def drawer(answer: Answer) -> str:
    """The closed drawer under one answer, with all that lies in it."""
    return f'<details class="how"><summary>How this answer was found</summary>{inside(answer)}</details>'


def inside(answer: Answer) -> str:
    """What lies in the drawer."""
    trace = answer.trace
    hits = trace.hits or _hits_of(answer.evidence)
    parts = [
        _section("Sentences of the answer", _claims(answer)),
        _section("Left out of the answer", (_withheld(text, why) for text, why in trace.withheld), "withheld"),
        _section("Evidence: how likely each sentence answers", map(_evidence, answer.evidence)),
        _section("The passage found" if len(hits) == 1 else f"All {len(hits)} passages found", _passages(hits)),
        _section("What speaks for an answer", _signals(trace)),
        _section("Seconds per step", _seconds(trace.seconds)),
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
        says = OWN_WORDS if claim.origin is Origin.QUOTE else _VERDICTS[claim.verdict]
        quotes = ", ".join(str(numbers[c]) for c in claim.citations)
        quotes = quotes and f" &middot; quote{'s' if len(claim.citations) > 1 else ''} {quotes}"
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
    return f'<span class="rank">{esc(_RANKINGS.get(name, name))} {bar(share, f"#{rank}")}</span>'


def _row(name: str, line: str) -> str:
    return f'<li class="row"><span class="name">{esc(name)}</span>{line}</li>'


def _seconds(seconds: Mapping[str, float]) -> Iterable[str]:
    longest = max(seconds.values(), default=0.0)
    for step, took in seconds.items():
        share = took / longest if longest > 0 else 0.0
        yield _row(_STEPS.get(step, step), bar(share, f"{took:.3f} s"))


def _signals(trace: Trace) -> Iterable[str]:
    """All of them in plain words. Logits (they run from about -12 to 12) become shares by the logistic curve."""
    if trace.signals:
        yield _row("All in all, an answer is there", bar(trace.confidence, f"{trace.confidence:.0%}"))
    for name, value in trace.signals.items():
        if name in _SHARES:
            yield _row(_SHARES[name], bar(value, f"{value:.0%}"))
        else:
            yield _row(_LOGITS.get(name, name), bar(1 / (1 + math.exp(-max(-50.0, min(50.0, value)))), f"{value:+.1f}"))


def _withheld(text: str, why: str) -> str:
    return f'<li class="said-only"><span class="said" dir="auto">{esc(text)}</span><small>{esc(why)}</small></li>'
