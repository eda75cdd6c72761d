"""A trained writer against what the product has without it, on questions it never saw: `measure.py --task point`.

Each question is asked of its own paragraph; what the product makes of it is the evidence that everybody gets.

    point      short answer, pointer and NONE, beside the reader's own
    sentence   answers that come out in whole sentences, the judge permitting: the model as shipped, the LoRA, the rule

Differences are of the same questions; intervals by article (rag.evals.bootstrap).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from examples import NONE, numbered, read, stated
from train import HERE, Writer, installed

from rag.answer import Rooms, stream
from rag.answer.page import Notes, Page, Stop
from rag.answer.wording import worded
from rag.assistant import Assistant
from rag.config import Config
from rag.evals.asking import Place, _annotated, _holds, _short, indexed
from rag.evals.bootstrap import Measure, auroc, figure, mean
from rag.evals.datasets import Dataset, Question, load
from rag.evals.scoring import exact, f1
from rag.filters import Filter
from rag.llm.scripted import ScriptedLLM
from rag.types import Answer, Evidence, Message, Origin, Outcome

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


def asked(rooms: Rooms, dataset: Dataset) -> Iterator[tuple[Question, Answer]]:
    """Every question with its answer from its own paragraph."""
    place = Place.of(dataset)
    for question in dataset.questions:
        where = Filter(sources=tuple(place.source[g] for g in question.gold))
        *_, answer = stream(rooms, question.text, where=where)
        assert isinstance(answer, Answer)
        yield question, answer


def point(writer: Writer, assistant: Assistant, dataset: Dataset, show: int) -> None:
    """The first task's table."""
    place, none = Place.of(dataset), writer.ids(NONE)[0]
    opens = writer.ids("[")[0]
    rows = []
    for question, answer in asked(assistant._rooms, dataset):
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
    given = replace(assistant._rooms, style="sentence")
    quoting = replace(given, llm=None)
    best: list[tuple[str, Evidence]] = []  # the question that is asked now, for the rule

    def rule(_: Sequence[Message]) -> str:
        question, e = best[-1]
        return stated(question, _short(e), " ".join(e.text.split())) or ""

    drafts = {"lora": lambda prompt: spoken(writer, prompt[-1].content)[0], "rule": rule}
    llms = {"shipped": given.llm, **{name: ScriptedLLM(reply) for name, reply in drafts.items()}}
    answerable = tuple(q for q in dataset.questions if q.answerable)
    groups: list[str] = []
    shown: dict[str, list[float]] = {name: [] for name in llms}
    right: dict[str, int] = dict.fromkeys(llms, 0)
    for question, answer in asked(quoting, replace(dataset, questions=answerable)):
        if answer.outcome is not Outcome.ANSWERED or {c.origin for c in answer.claims} != {Origin.QUOTE}:
            continue
        groups.append(question.group)
        best.append((question.text, answer.evidence[0]))
        for name, llm in llms.items():
            notes, page = Notes(query=question.text), Page()
            list(worded(replace(given, llm=llm), notes, page, answer.evidence, Stop()))
            shown[name].append(float(bool(page.claims)))
            right[name] += _holds(page.text, question)
            if len(groups) <= show:
                why = "; ".join(w for _, w in notes.withheld)
                print(f"{name:8} {notes.draft.strip()}" + (f"   [{why}]" if why else ""))
    print(f"{len(groups)} answers left to the model: shown in its words, and these that hold the known answer")
    for name, shares in shown.items():
        more = [a - b for a, b in zip(shares, shown["shipped"], strict=True)]
        told = f"{_told(groups, mean(shares))}, against shipped {_told(groups, mean(more))}"
        print(f"{name:8} {told}; {right[name]} of {sum(shares):.0f}")
    either = [float(any(shares)) for shares in zip(shown["shipped"], shown["rule"], strict=True)]
    print(f"the rule, and the shipped model where it has none: {_told(groups, mean(either))}")


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
