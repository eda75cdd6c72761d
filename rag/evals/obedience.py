"""Does the answer follow the source? A fact is edited in a document, and the question asked again.

    python -m rag.evals.obedience ../shared/data/reading/squad2-calibration.jsonl.gz [--edits 200] [--alone] [--no-llm]

Questions are taken whose answer is a number or a name that stands once in its text, and where no other text of that
title has it in a sentence that speaks of the question. All texts are indexed and the question asked of them all (with
--alone, of its own text); then the value is exchanged for another of its kind (a person for a person, a month for a
month; rag/evals/swaps.py), which must be known for sure, as a text that makes no sense answers nothing; the document is
added again in its place, and the same question asked again. A model that answers from what it has learnt, or a citation
that was not cut from the text as it is now, would say the old value, which stands nowhere in it any more: a name that
the text says again in part, or as initials, is not edited.

An answer that did not say the value before it was edited says nothing about following, and is counted apart; edits are
made until `--edits` values were said. Of these, an answer *follows* if it says the new value and not the old one, is
*withheld* if the edited text is not answered from any more, rests on *another* document, or has gone *elsewhere* if it
says neither value: only the first is counted as following. Who is shown the *old* value is misled, whatever was said
before: these are counted over all edits. An answer shows its whole sentence; how often the short answer marked in it is
the new value, where it was the old one, is printed apart: it needs a reader who takes the new value for what was asked.

Exit code 1 where fewer than 98 % follow.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import rag
from rag.evals.asking import Place, indexed, put
from rag.evals.datasets import Dataset, Question, load
from rag.evals.scoring import holds, upper_bound
from rag.evals.swaps import another
from rag.text import sentences, terms
from rag.types import Answer, Origin, Outcome

LEAST = 0.98  # of the answers that said the value before: share that must follow its edit
EVERY = 25  # edits between two lines of progress


@dataclass(frozen=True, slots=True)
class Edit:
    """A question, its text before and after the answer was exchanged, and both values."""

    question: Question
    before: str
    after: str
    old: str
    new: str


def edits(dataset: Dataset, seed: int) -> Iterator[Edit]:
    """Every edit that can be made, in the same order for the same seed."""
    rng = random.Random(seed)
    texts = {t.id: t for t in dataset.texts}
    some = [q for q in dataset.questions if q.answers]
    rng.shuffle(some)
    for question in some:
        whole, old = texts[question.gold[0]], min(question.answers, key=len)
        place = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)").search(whole.text, question.places[0][1].start)
        if place is None:
            continue
        others = [t.text for t in dataset.texts if t.title == whole.title and t.id != whole.id]
        if any(_answers(text, question.text, old) for text in others):
            continue
        before, after = whole.text[: place.start()], whole.text[place.end() :]
        new = another(old, before, after, rng)
        if new is None or holds(f"{question.text} {whole.title}", [old]) or holds(whole.text, [new]):
            continue
        text = before + new + after
        if holds(text, [old]) or (old[0].isupper() and holds(text, _parts(old, new))):  # it stands elsewhere, too
            continue
        yield Edit(question, whole.text, text, old, new)


def _answers(text: str, question: str, value: str) -> bool:
    """True if a sentence of `text` has the value, and half of what is asked."""
    asked = set(terms(question))
    said = [s.of(text) for s in sentences(text)] if holds(text, [value]) else []
    return any(holds(s, [value]) and 2 * len(asked & set(terms(s))) >= len(asked) for s in said)


def _parts(old: str, new: str) -> list[str]:
    """The words by which a name may be called again, those of its new name apart: 'Jonathan' of 'Goodluck Jonathan'."""
    return [word for word in old.split() if word[0].isupper() and word not in new.split()]


def said(edit: Edit, answer: Answer, own: str | None = None) -> str:
    """What the answer does with the edited text: follows, old, elsewhere or withheld. `own`: what of the answer rests
    on that text, all of it if None; 'another' where that is nothing."""
    if answer.outcome is not Outcome.ANSWERED:
        return "withheld"
    words = answer.text if own is None else own
    if not words:
        return "another"
    if holds(words, [edit.old]):
        return "old"
    return "follows" if holds(words, [edit.new]) else "elsewhere"


def says(answer: Answer, value: str) -> bool:
    """True if this is an answer that says `value`."""
    return answer.outcome is Outcome.ANSWERED and holds(answer.text, [value])


def marked(answer: Answer, value: str) -> bool:
    """True if this is an answer whose short answer holds `value`."""
    return answer.outcome is Outcome.ANSWERED and holds(answer.short, [value])


def main() -> None:
    """The command; exit code 1 where fewer than `LEAST` follow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--edits", type=int, default=200, help="whose value was said before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="ask each question of its own text only")
    parser.add_argument("--no-llm", action="store_true", help="quotes alone")
    args = parser.parse_args()
    config = rag.Config.load({"llm.model": "none"} if args.no_llm else {})
    counts: Counter[tuple[bool, str]] = Counter()
    worded: Counter[str] = Counter()
    short: list[bool] = []
    dataset = load(args.file)
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), config) as assistant:
        place = indexed_as(assistant, dataset)
        for edit in edits(dataset, args.seed):
            if sum(n for (was, _), n in counts.items() if was) == args.edits:
                break
            source = place.source[edit.question.gold[0]]
            before, after = both(assistant, place, edit, dataset, args.alone)
            outcome = said(edit, after, _resting(after, source))
            known = says(before, edit.old) and holds(_resting(before, source), [edit.old])
            counts[known, outcome] += 1
            worded[outcome] += any(c.origin is Origin.MODEL for c in after.claims)
            if marked(before, edit.old) and outcome not in ("withheld", "another"):
                short.append(marked(after, edit.new))
            if outcome == "old" or (known and outcome != "follows"):
                print(f"{outcome}: {edit.question.text} | {edit.old} -> {edit.new} | {after.text[:200]}", flush=True)
            if sum(counts.values()) % EVERY == 0:
                print(f"  {sum(counts.values())} edits, {counts[True, 'follows']} follow", flush=True)
    print("\n".join(_summary(counts, worded)))
    print(f"short answers that were the old value and are the new one: {sum(short)} of {len(short)}")
    raise SystemExit(follow(counts)[0] < LEAST)


def indexed_as(assistant: rag.Assistant, dataset: Dataset) -> Place:
    """Every text of the dataset in the index, and where each lies."""
    indexed(assistant, dataset)
    return Place.of(dataset)


def both(
    assistant: rag.Assistant, place: Place, edit: Edit, dataset: Dataset, alone: bool = False
) -> tuple[Answer, Answer]:
    """The answers before and after the document is edited; it is then as it was."""
    text = next(t for t in dataset.texts if t.id == edit.question.gold[0])
    sources = [place.source[text.id]] if alone else None
    before = assistant.ask(edit.question.text, sources=sources)
    put(assistant, replace(text, text=edit.after))
    try:
        return before, assistant.ask(edit.question.text, sources=sources)
    finally:
        put(assistant, text)


def _resting(answer: Answer, source: str) -> str:
    """The claims that rest on that document alone: another one may still say the old value, and stand beside it."""
    return " ".join(words for words, claim in answer if {c.source.id for c in claim.citations} == {source})


def follow(counts: Mapping[tuple[bool, str], int]) -> tuple[float, float, int]:
    """The share that follows of the edits whose value was said before; the bound over which that share truly lies with
    a chance of 95 % (Clopper and Pearson); and of how many."""
    known = {o: n for (was, o), n in counts.items() if was}
    made = sum(known.values())
    if not made:
        return 0.0, 0.0, 0
    return known.get("follows", 0) / made, 1 - upper_bound(made - known.get("follows", 0), made), made


def _summary(counts: Mapping[tuple[bool, str], int], worded: Mapping[str, int]) -> Iterator[str]:
    known = {outcome: n for (was, outcome), n in counts.items() if was}
    share, bound, made = follow(counts)
    yield f"{sum(counts.values())} edits, of {made} the value was said before"
    yield f"of these {known.get('follows', 0)} follow, {share:.1%}; say neither value {known.get('elsewhere', 0)}"
    yield f"the true share lies over {bound:.1%} with a chance of 95 %"
    yield f"withheld once edited {known.get('withheld', 0)}, answered from another document {known.get('another', 0)}"
    yield f"the old value is shown, of all edits: {sum(n for (_, o), n in counts.items() if o == 'old')}"
    others = {o: n for (was, o), n in sorted(counts.items()) if not was}
    yield f"not said before: {', '.join(f'{o} {n}' for o, n in others.items()) or 'none'}"
    yield f"in the model's own words: {sum(worded.values())}, of which {worded.get('follows', 0)} follow"


if __name__ == "__main__":
    main()
