"""Does the answer follow the source? A fact is edited in a text, and the question asked again.

    python -m rag.evals.obedience ../shared/data/reading/squad2-calibration.jsonl.gz [--edits 200] [--no-llm]

Questions are taken whose answer is a number or a name that stands once in its text; it is exchanged for another of its
kind, and only the edited text is searched. A model that answers from what it has learnt, or a citation that was not cut
from the text as it is now, would say the old value. Counted: answers that say the new one, the old one, or neither.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rag
from rag.evals.datasets import Dataset, Question, load
from rag.evals.scoring import holds
from rag.types import Answer, Origin, Outcome, Source

_NUMBER = re.compile(r"\d[\d,.]*")
_NAME = re.compile(r"[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*")


@dataclass(frozen=True, slots=True)
class Edit:
    """A question, its text with the answer exchanged, and both values."""

    question: Question
    text: str
    old: str
    new: str


def edits(dataset: Dataset, most: int, seed: int) -> Iterator[Edit]:
    """At most `most` edits, the same ones for the same seed."""
    rng = random.Random(seed)
    texts = {t.id: t.text for t in dataset.texts}
    some = [q for q in dataset.questions if q.answers]
    pool = sorted({a for q in some for a in q.answers if _NAME.fullmatch(a)})
    rng.shuffle(some)
    made = 0
    for question in some:
        text, old = texts[question.gold[0]], min(question.answers, key=len)
        new = _other(old, pool, rng)
        once = len(re.findall(rf"(?<!\w){re.escape(old)}(?!\w)", text)) == 1
        if new is None or not once or holds(question.text, [old]) or holds(text, [new]):
            continue
        at = next(span.start for _, span in question.places)
        at = text.find(old, at)
        if at < 0:
            continue
        yield Edit(question, text[:at] + new + text[at + len(old) :], old, new)
        made += 1
        if made == most:
            return


def _other(old: str, pool: list[str], rng: random.Random) -> str | None:
    """Another value of the same kind; None where `old` is neither a number nor a name."""
    if _NUMBER.fullmatch(old):
        digits = [c for c in old if c.isdigit()]
        while True:
            changed = [str(rng.randint(1, 9)) if n == 0 else str(rng.randint(0, 9)) for n in range(len(digits))]
            fresh = iter(changed)
            new = "".join(next(fresh) if c.isdigit() else c for c in old)
            if new != old:
                return new
    if _NAME.fullmatch(old):
        others = [p for p in pool if not set(p.lower().split()) & set(old.lower().split())]
        return rng.choice(others) if others else None
    return None


def said(edit: Edit, answer: Answer) -> str:
    """new, old, neither, or not answered."""
    if answer.outcome is not Outcome.ANSWERED:
        return "not answered"
    if holds(answer.text, [edit.old]):
        return "old"
    return "new" if holds(answer.text, [edit.new]) else "neither"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-llm", action="store_true", help="quotes alone")
    args = parser.parse_args()
    config = rag.Config.load({"llm.model": "none"} if args.no_llm else {})
    counts: Counter[str] = Counter()
    worded: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), config) as assistant:
        for edit in edits(load(args.file), args.edits, args.seed):
            uri = f"edit:{edit.question.id}"
            assistant.add_text(edit.text, title=edit.question.group, uri=uri)
            answer = assistant.ask(edit.question.text, sources=[Source.at(uri, edit.question.group).id])
            outcome = said(edit, answer)
            counts[outcome] += 1
            if any(c.origin is Origin.MODEL for c in answer.claims):
                worded[outcome] += 1
            if outcome in ("old", "neither"):
                print(f"{outcome}: {edit.question.text} | {edit.old} -> {edit.new} | {answer.text[:200]}")
    given = counts["new"] + counts["old"] + counts["neither"]
    print(f"{sum(counts.values())} edits, {given} answered, {counts['not answered']} not")
    share = counts["new"] / max(1, given)
    print(f"say the new value {share:.1%}, the old one {counts['old']}, neither {counts['neither']}")
    print(f"of these in the model's own words: {sum(worded.values())}, of which {worded['new']} say the new value")


if __name__ == "__main__":
    main()
