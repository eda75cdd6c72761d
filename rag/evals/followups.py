"""How often a follow-up still finds its text: by itself, after the question it leans on, and as it is searched.

    python -m rag.evals.followups ../shared/data/reading/squad2-calibration.jsonl.gz [--pairs 300]

A pair is two questions that name the same thing and are answered by two texts of one article; in the second the name
gives way to 'it' or 'its', as people ask. (Of one text, the first question alone would find it.) All texts are indexed;
the first question is asked in its own words, and the sentence that holds its answer is what was answered. Recall@5 of
the text: for the follow-up alone; for the last question and the follow-up in one; for what `rag ask` does; and for the
question as it was written, which no resolution can do much better than.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rag
from rag.evals.asking import Place, indexed
from rag.evals.bootstrap import figure, mean
from rag.evals.datasets import Dataset, Question, load
from rag.retrieve import Query, resolved
from rag.text import STOPWORDS, fold, sentences

_NAME = re.compile(r"\b[A-Z][\w’-]+(?: [A-Z][\w’-]+)*")
_DEEP = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, the sentence that answers it, and a question about the same thing that does not name it."""

    first: Question
    answer: str
    second: Question
    follow_up: str


def pairs(dataset: Dataset, most: int, seed: int) -> list[Pair]:
    """At most `most` pairs, the same ones for the same seed; no question is the second of two."""
    texts = {t.id: t.text for t in dataset.texts}
    about = defaultdict[str, list[Question]](list)
    for q in dataset.questions:
        if q.answers and q.places:
            about[q.group].append(q)
    rng = random.Random(seed)
    made: list[Pair] = []
    for group in sorted(about):
        some = about[group]
        rng.shuffle(some)
        for second in some:
            firsts = (first for first in some if first.gold != second.gold)
            own = next((p for first in firsts for p in _pair(first, second, texts[first.gold[0]])), None)
            made += [own] if own is not None else []
    rng.shuffle(made)
    return made[:most]


def _pair(first: Question, second: Question, text: str) -> Iterator[Pair]:
    shared = [n for n in _names(second.text) if re.search(rf"\b{re.escape(n)}\b", first.text)]
    if not shared:
        return
    name = max(shared, key=len)
    follow_up = re.sub(rf"(?:\b[Tt]he )?\b{re.escape(name)}['’]s\b", "its", second.text)
    follow_up = re.sub(rf"(?:\b[Tt]he )?\b{re.escape(name)}\b", "it", follow_up)
    at = first.places[0][1].start
    answer = next((s.of(text) for s in sentences(text) if s.start <= at < s.end), "")
    yield Pair(first, answer, second, follow_up)


def _names(question: str) -> list[str]:
    """Names in a question, its first word left out."""
    opening = question.split(" ", 1)[0]
    return [
        m.group() for m in _NAME.finditer(question, len(opening)) if fold(m.group()) not in STOPWORDS
    ]  # 'I' and the like


def recalls(assistant: rag.Assistant, place: Place, chosen: Sequence[Pair]) -> dict[str, list[float]]:
    """For each way to search, 1 for each pair whose text is among the first `_DEEP` passages, else 0."""
    retriever = assistant._rooms.retriever
    found = defaultdict[str, list[float]](list)
    for pair in chosen:
        history = [(pair.first.text, pair.answer)]
        ways = {
            "alone": _alone(pair.follow_up),
            "after the last question": _alone(f"{pair.first.text} {pair.follow_up}"),
            "as searched": resolved(pair.follow_up, history, retriever.rare),
            "as it was written": _alone(pair.second.text),
        }
        for way, query in ways.items():
            sources = [h.passage.source.id for h in retriever.follow(query)[:_DEEP]]
            found[way].append(float(place.source[pair.second.gold[0]] in sources))
    return found


def _alone(text: str) -> Query:
    return Query(text, ((text, 1.0),))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dataset = load(args.file)
    config = rag.Config.load({"llm.model": "none"})
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), config) as assistant:
        indexed(assistant, dataset)
        chosen = pairs(dataset, args.pairs, args.seed)
        print(f"{len(chosen)} follow-ups to {len(dataset.texts)} texts, recall@{_DEEP}")
        groups = [p.second.group for p in chosen]
        for way, hits in recalls(assistant, Place.of(dataset), chosen).items():
            made = figure(groups, mean(hits))
            low, high = made["low"], made["high"]
            print(f"  {way:<24} {sum(hits) / max(1, len(hits)):.3f}  ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
