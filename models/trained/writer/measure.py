"""A trained writer against what the product has without it, on questions it never saw: `measure.py --task point`.

Each question is asked of its own paragraph; what the product makes of it is the evidence that everybody gets.

    point      short answer, pointer and NONE, beside the reader's own
    sentence   answers that come out in whole sentences, the judge permitting: the model as shipped, the LoRA, the rule

Differences are of the same questions; intervals by article (rag.evals.bootstrap).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from examples import NONE, numbered, read, stated
from train import HERE, Writer, installed

from rag.answer import stream
from rag.assistant import Assistant
from rag.config import Config
from rag.evals.asking import Place, _annotated, _holds, _short, indexed
from rag.evals.bootstrap import Measure, auroc, figure, mean
from rag.evals.datasets import Dataset, Question, load
from rag.evals.scoring import exact, f1
from rag.filters import Filter
from rag.llm.scripted import ScriptedLLM
from rag.types import Answer, Evidence, Message, Origin

DATA = HERE.parents[3] / "shared" / "data" / "reading" / "squad2-calibration.jsonl.gz"
_END = 2  # <|im_end|>


@torch.inference_mode()
def spoken(writer: Writer, content: str, begins: str = "", most: int = 48) -> tuple[str, torch.Tensor]:
    """What the writer says, greedy, after `begins`; and the logits of the first token."""
    out = writer.model(torch.tensor([writer.prompt(content)]), use_cache=True, logits_to_keep=1)
    first = out.logits[0, -1].float()
    new = writer.ids(begins) or [int(first.argmax())]
    said = list(new)
    while len(said) < most and said[-1] != _END:
        out = writer.model(torch.tensor([new]), past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
        new = [int(out.logits[0, -1].argmax())]
        said += new
    return writer.tokenizer.decode([t for t in said if t != _END]), first


def asked(assistant: Assistant, dataset: Dataset) -> Iterator[tuple[Question, Answer]]:
    """Every question with the answer in quotes alone, from its own paragraph."""
    place = Place.of(dataset)
    for question in dataset.questions:
        yield question, assistant.ask(question.text, sources=[place.source[g] for g in question.gold])


def point(writer: Writer, assistant: Assistant, dataset: Dataset, show: int) -> None:
    """The first task's table."""
    place, none = Place.of(dataset), writer.ids(NONE)[0]
    opens = writer.ids("[")[0]
    rows = []
    for question, answer in asked(assistant, dataset):
        if not answer.evidence:
            continue
        most = 48 if question.answerable or len(rows) < show else 1  # of the others only the odds of NONE are counted
        said, first = spoken(writer, numbered(question.text, [e.text for e in answer.evidence]), "[", most)
        number, short = read(said) or (0, "")
        at = answer.evidence[number - 1] if 0 < number <= len(answer.evidence) else None
        rows.append((question, answer, at, short, float(first[none] - first[opens])))
        if len(rows) <= show:
            mark = f"{rows[-1][4]:+.1f} {said}"
            print(f"{question.text}\n    {mark} | {_short(answer.evidence[0])} | {question.answers}")
    yes = [r for r in rows if r[0].answerable]
    groups = [q.group for q, *_ in yes]

    def holding(question: Question, e: Evidence | None) -> float:
        return float(e is not None and (_holds(e.text, question) or _annotated(place, question, e)))

    both = {
        "exact match": [(exact(s, q.answers), exact(_short(a.evidence[0]), q.answers)) for q, a, _, s, _ in yes],
        "F1": [(f1(s, q.answers), f1(_short(a.evidence[0]), q.answers)) for q, a, _, s, _ in yes],
        "points at a sentence with the answer": [(holding(q, e), holding(q, a.evidence[0])) for q, a, e, *_ in yes],
    }
    print(f"{len(yes)} answerable and {len(rows) - len(yes)} other questions\n{'':38} writer, reader, difference")
    for name, pairs in both.items():
        mine, others = zip(*pairs, strict=True)
        less = [m - o for m, o in pairs]
        print(f"{name:38} {_told(groups, mean(mine))}, {_told(groups, mean(others))}, {_told(groups, mean(less))}")
    there = [float(e is not None and s in " ".join(e.text.split())) for _, _, e, s, _ in yes]
    print(f"{'words that stand where it points':38} {_told(groups, mean(there))}")
    every, can = [q.group for q, *_ in rows], [q.answerable for q, *_ in rows]
    sure, odds = [a.trace.confidence for _, a, *_ in rows], [-odd for *_, odd in rows]
    ranked = [_share(odds, o) + _share(sure, c) for o, c in zip(odds, sure, strict=True)]
    tellers = (auroc(scores, can) for scores in (odds, sure, ranked))
    print(f"{'AUROC: NONE, gate, ranks of both added':38} {', '.join(_told(every, of) for of in tellers)}")


def _share(values: Sequence[float], of: float) -> float:
    return sum(v <= of for v in values) / len(values)


def _told(groups: Sequence[str], of: Measure) -> str:
    made = figure(groups, of)
    return f"{100 * made['value']:.1f} ({100 * made['low']:.1f} to {100 * made['high']:.1f})"


def sentence(writer: Writer, assistant: Assistant, dataset: Dataset, show: int) -> None:
    """The second task's table: of the answers that are left to the model, how many it words so that they are shown."""
    place = Place.of(dataset)
    plain = replace(assistant._rooms, style="sentence")
    now: list[tuple[str, Evidence]] = []

    def rule(_: Sequence[Message]) -> str:
        question, best = now[-1]
        return stated(question, _short(best), " ".join(best.text.split())) or ""

    drafts: dict[str, Callable[[Sequence[Message]], str]] = {
        "lora": lambda prompt: spoken(writer, prompt[-1].content)[0],
        "rule": rule,
    }
    llms = {"shipped": plain.llm, **{name: ScriptedLLM(reply) for name, reply in drafts.items()}}
    rows: dict[str, list[tuple[Question, Answer]]] = {name: [] for name in llms}
    for question in (q for q in dataset.questions if q.answerable):
        where = Filter(sources=tuple(place.source[g] for g in question.gold))
        quoted = list(stream(replace(plain, llm=None), question.text, where=where))[-1]
        assert isinstance(quoted, Answer)
        if {c.origin for c in quoted.claims} != {Origin.QUOTE} or quoted.outcome.value != "answered":
            continue
        now.append((question.text, quoted.evidence[0]))
        for name, llm in llms.items():
            answer = list(stream(replace(plain, llm=llm), question.text, where=where))[-1]
            assert isinstance(answer, Answer)
            rows[name].append((question, answer))
            if len(now) <= show:
                why = "" if _worded(answer) else f"   [{'; '.join(w for _, w in answer.trace.withheld)}]"
                print(f"{name:8} {answer.trace.draft.strip()}{why}")
    groups = [q.group for q, _ in rows["shipped"]]
    shares = {name: [float(_worded(a)) for _, a in some] for name, some in rows.items()}
    print(f"{len(groups)} answers left to the model: shown in its words, and these that hold the known answer")
    for name, some in rows.items():
        right = [float(_worded(a) and _holds(a.text, q)) for q, a in some]
        more = [a - b for a, b in zip(shares[name], shares["shipped"], strict=True)]
        held = f"{sum(right):.0f} of {sum(shares[name]):.0f}"
        told = f"{_told(groups, mean(shares[name]))}, against shipped {_told(groups, mean(more))}"
        print(f"{name:8} {told}; {held}")


def _worded(answer: Answer) -> bool:
    return any(c.origin is Origin.MODEL for c in answer.claims)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--task", choices=["point", "sentence"], default="point")
    add("--questions", type=Path, default=DATA)
    add("--sample", type=int, default=150, help="questions of each kind")
    add("--seed", type=int, default=11)
    add("--show", type=int, default=0, help="print what was said to so many of them")
    add("--base", type=Path, default=installed())
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    writer = Writer(chosen.base)
    writer.load(torch.load(HERE / "runs" / chosen.task / "checkpoint.pt", weights_only=True)["weights"])
    dataset = load(chosen.questions).sample(chosen.sample, chosen.seed)
    config = Config.load({"llm.model": "none"} if chosen.task == "point" else {}, environ={})
    with (
        tempfile.TemporaryDirectory() as folder,
        Assistant(Path(folder), config, write=True) as assistant,
    ):
        indexed(assistant, dataset)
        {"point": point, "sentence": sentence}[chosen.task](writer, assistant, dataset, chosen.show)


if __name__ == "__main__":
    main()
