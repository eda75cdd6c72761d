"""Records in, figures out: a table for people, JSON for programs, a risk-coverage curve as a picture.

Accuracy never without coverage; every measure of questions with its 95 % interval, from drawing whole documents
(rag/evals/bootstrap.py); the baselines that could embarrass us stand in the same table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag.evals import bootstrap
from rag.evals.bootstrap import Measure
from rag.evals.scoring import ndcg, percentile, recall, reciprocal_rank, risk_coverage, upper_bound

Record = Mapping[str, Any]
COVERAGE = 0.6
_COLOURS = ("#3b6fd4", "#c2571a", "#2d8a5f", "#8a4fbf", "#666666", "#b3332e")


def measured(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """By condition: the measures. A figure is a number, or {value, low, high, of} where an interval can be given."""
    conditions = list(dict.fromkeys(r["condition"] for r in records))
    made = {}
    for condition in conditions:
        some = [r for r in records if r["condition"] == condition]
        asked = [r for r in some if "outcome" in r]
        made[condition] = _retrieval(some) | (_answers(asked) if asked else {})
    return made


def _figure(records: Sequence[Record], of: Callable[[Record], float]) -> dict[str, Any]:
    """The mean of a value per question."""
    return _measure(records, bootstrap.mean([float(of(r)) for r in records]))


def _measure(records: Sequence[Record], of: Measure) -> dict[str, Any]:
    return bootstrap.figure([r["group"] for r in records], of)


def _ratio(records: Sequence[Record], above: str, below: str) -> dict[str, Any]:
    """One count over another; `of` is the second."""
    of = bootstrap.ratio([r[above] for r in records], [r[below] for r in records])
    return bootstrap.figure([r["group"] for r in records], of, sum(r[below] for r in records))


def _retrieval(some: Sequence[Record]) -> dict[str, Any]:
    ranked = [r for r in some if "found" in r and r.get("answerable", True)]
    if not ranked:
        return {}
    made = {
        "retrieval: recall@1": _figure(ranked, lambda r: recall(r["found"], r["ideal"], 1)),
        "retrieval: recall@10": _figure(ranked, lambda r: recall(r["found"], r["ideal"], 10)),
        "retrieval: MRR@10": _figure(ranked, lambda r: reciprocal_rank(r["found"])),
        "retrieval: nDCG@10": _figure(ranked, lambda r: ndcg(r["found"], r["ideal"])),
    }
    if placed := [r for r in ranked if "passage" in r and r.get("golds")]:
        made["retrieval: the right passage is first"] = _figure(placed, lambda r: r["passage"] == 1)
        made["retrieval: the right passage is among ten"] = _figure(placed, lambda r: 1 <= r["passage"] <= 10)
    for name, key in (("BM25", "lexical"), ("the embedder", "dense")):
        made[f"   {name} alone: recall@10"] = _figure(ranked, lambda r, key=key: recall(r[key], r["ideal"], 10))  # type: ignore[misc]
        made[f"   {name} alone: nDCG@10"] = _figure(ranked, lambda r, key=key: ndcg(r[key], r["ideal"]))  # type: ignore[misc]
    return made


def _answers(every: Sequence[Record]) -> dict[str, Any]:
    asked = [r for r in every if not r.get("off_topic")]
    off = [r for r in every if r.get("off_topic")]
    yes = [r for r in asked if r["answerable"]]
    no = [r for r in asked if not r["answerable"]]
    elsewhere = f", {len(off)} off topic" if off else ""
    made: dict[str, Any] = {"questions": f"{len(yes)} answerable, {len(no)} not{elsewhere}"}
    if yes:
        made |= _evidence(yes) | _confidence(yes)
    if no:
        made["unanswerable ones answered"] = _figure(no, _given)
        made["AUROC answerable / not"] = _auroc(yes, no)
        made["SQuAD 2.0 F1, as answered"] = _figure(asked, lambda r: r["shown_f1"])
        made["SQuAD 2.0 F1, threshold from the other half"] = _best_silence(asked)
        made["   baseline: always answer"] = _figure(asked, lambda r: r["f1"] * r["answerable"])
        made["   baseline: never answer"] = _figure(asked, lambda r: not r["answerable"])
    if off:
        made["off-topic ones answered"] = _figure(off, _given)
        made["AUROC answerable / off topic"] = _auroc(yes, off)
    return made | _quotes(every) | _strictness(yes, no, off) | _times(every)


def _strictness(yes: Sequence[Record], no: Sequence[Record], off: Sequence[Record]) -> dict[str, Any]:
    """What each choice of strictness answers, and what that costs: no question has to be asked again for it."""
    made: dict[str, Any] = {}
    for how in next((r["given"] for r in yes if "given" in r), {}):

        def given(r: Record, how: str = how) -> bool:
            return bool(r["given"][how])

        made[f"{how}: answerable ones answered"] = _figure(yes, given)
        if some := [r for r in yes if given(r)]:
            made[f"{how}: wrong among these"] = _figure(some, lambda r: not r["top1"])
        for what, others in (("unanswerable", no), ("off-topic", off)):
            if others:
                made[f"{how}: {what} ones answered"] = _figure(others, given)
    return made


def _auroc(yes: Sequence[Record], no: Sequence[Record]) -> dict[str, Any]:
    both = [*yes, *no]
    return _measure(both, bootstrap.auroc([r["confidence"] for r in both], [r["answerable"] for r in both]))


def _given(r: Record) -> bool:
    return bool(r["outcome"] == "answered")


def _evidence(yes: Sequence[Record]) -> dict[str, Any]:
    made = {"evidence top-1: the first sentence holds the answer": _figure(yes, lambda r: r["top1"])}
    made["   the same, at the annotated place"] = _figure(yes, lambda r: r["annotated"])
    made["evidence top-3"] = _figure(yes, lambda r: r["top3"])
    for name, key in (("first sentence of the first passage", "first_sentence"), ("nearest by cosine", "cosine")):
        if based := [r for r in yes if key in r]:
            made[f"   baseline: {name}"] = _figure(based, lambda r, key=key: r[key])  # type: ignore[misc]
    if any(r["f1"] for r in yes):
        made["short answer: EM"] = _figure(yes, lambda r: r["em"])
        made["short answer: F1"] = _figure(yes, lambda r: r["f1"])
    return made


def _confidence(yes: Sequence[Record]) -> dict[str, Any]:
    given = [r for r in yes if _given(r)]
    wrong = sum(not r["top1"] for r in given)
    made: dict[str, Any] = {"coverage: answerable ones answered": _figure(yes, _given)}
    if given:
        made["wrong among answered"] = _figure(given, lambda r: not r["top1"])
        made["   below, with 95 % confidence"] = upper_bound(wrong, len(given))
    surest = bootstrap.wrong_at([r["confidence"] for r in yes], [r["top1"] for r in yes], COVERAGE)
    made[f"wrong among answered at {COVERAGE:.0%} coverage"] = _measure(yes, surest)
    return made


def _quotes(asked: Sequence[Record]) -> dict[str, Any]:
    yes = [r for r in asked if r["answerable"]]
    made: dict[str, Any] = {}
    if yes:
        made["a correct answer in the cited quotes"] = _figure(yes, lambda r: r["quoted"])
    if cited := [r for r in asked if r["citations"]]:
        made["citations equal to their source"] = _ratio(cited, "valid", "citations")
    if places := [r for r in yes if r["golds"] and r["citations"]]:
        precision = _ratio(places, "cited_right", "citations")
        found = _ratio(places, "gold_cited", "golds")
        made["citation precision"], made["citation recall"] = precision, found
        made["citation F1"] = _citation_f1(places)
    if based := [r for r in yes if "naive" in r]:
        made["   the answer's text holds a gold answer"] = _figure(based, lambda r: r["said"])
        made["   baseline: the same LLM, naively asked, says it"] = _figure(based, lambda r: r["naive"])
    if claiming := [r for r in asked if r["claims"]]:
        made["claims with a supported citation"] = _ratio(claiming, "supported", "claims")
    if given := [r for r in asked if _given(r)]:
        made["answers in the model's own words"] = _figure(given, lambda r: r["worded"])
    return made


def _citation_f1(places: Sequence[Record]) -> dict[str, Any]:
    def of(above: str, below: str) -> Measure:
        return bootstrap.ratio([r[above] for r in places], [r[below] for r in places])

    return _measure(places, bootstrap.harmonic(of("cited_right", "citations"), of("gold_cited", "golds")))


def _best_silence(asked: Sequence[Record]) -> dict[str, Any]:
    """Mean F1 when silence is allowed, the confidence needed chosen on the other half of the documents."""
    half = {title: n % 2 for n, title in enumerate(sorted({r["group"] for r in asked}))}
    f1, sure, yes = ([r[key] for r in asked] for key in ("f1", "confidence", "answerable"))
    return _measure(asked, bootstrap.silence(f1, sure, yes, [half[r["group"]] for r in asked]))


def _times(asked: Sequence[Record]) -> dict[str, Any]:
    made = {}
    for name, key in (("first quote", "first_quote"), ("whole answer", "total")):
        times = [r["seconds"][key] for r in asked if key in r["seconds"]]
        if times:
            made[f"seconds: {name}, p50 / p95"] = f"{percentile(times, 0.5):.2f} / {percentile(times, 0.95):.2f}"
    return made


def table(name: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures of one dataset, a column per condition."""
    conditions = list(figures)
    rows = list(dict.fromkeys(row for some in figures.values() for row in some))
    width = max(len(r) for r in rows) + 2
    lines = [name, " " * width + "".join(f"{c:<24}" for c in conditions)]
    for row in rows:
        cells = "".join(f"{_cell(figures[c].get(row)):<24}" for c in conditions)
        lines.append(f"{row:<{width}}{cells}".rstrip())
    return "\n".join(lines)


def _cell(figure: Any) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, Mapping):
        low, high = figure["low"], figure["high"]
        span = "" if math.isnan(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
        return f"{_cell(figure['value'])}{span}"
    if isinstance(figure, float):
        return "-" if math.isnan(figure) else f"{100 * figure:.1f}"
    return str(figure)


def curves(records: Sequence[Record]) -> dict[str, list[tuple[float, float]]]:
    """Risk-coverage points by condition, over the answerable questions."""
    made = {}
    for condition in dict.fromkeys(r["condition"] for r in records):
        yes = [r for r in records if r["condition"] == condition and r.get("answerable") and "top1" in r]
        if yes:
            made[condition] = risk_coverage([r["confidence"] for r in yes], [r["top1"] for r in yes])
    return made


def picture(named: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """The curves as SVG, readable on light and dark ground alike."""
    top = max(0.1, *(risk for points in named.values() for _, risk in points[len(points) // 10 :]))
    top = min(1.0, math.ceil(top * 10) / 10)
    grid: list[str] = []
    lines, legend = [], []
    for n, (name, points) in enumerate(named.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        drawn = " ".join(f"{60 + 500 * x:.1f},{20 + 280 * (1 - min(y, top) / top):.1f}" for x, y in points)
        lines.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        legend.append(f'<text x="72" y="{36 + 16 * n}" fill="{colour}">{_escaped(name)}</text>')
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = 60 + 500 * share, 20 + 280 * (1 - share)
        grid.append(f'<line x1="60" x2="560" y1="{y:.0f}" y2="{y:.0f}" stroke="#8885"/>')
        grid.append(f'<text x="52" y="{y + 4:.0f}" text-anchor="end">{100 * share * top:.0f} %</text>')
        grid.append(f'<text x="{x:.0f}" y="318" text-anchor="middle">{100 * share:.0f} %</text>')
    says = "answered, the surest first; upwards: wrong among them"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 345" font-family="sans-serif" font-size="12" '
        f'fill="#777"><title>{_escaped(title)}</title>{"".join(grid + lines + legend)}'
        f'<text x="310" y="338" text-anchor="middle">{says}</text></svg>\n'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
