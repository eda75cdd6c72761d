"""Seconds to an answer over 10,000 real passages, and milliseconds to read one of them.

    python -m rag.evals.pace ../shared/data/reading/squad1-train.jsonl.gz [--passages 10000] [--questions 150]

The contexts of a reading file are indexed until there are so many passages, and questions about them are asked one
after the other through the public API, as a user would, the LLM included. The index is kept in --index: a second run,
or one that was stopped, goes on with it. `make bench` does the same beside its other figures.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import rag
from rag.evals.asking import Place, placed
from rag.evals.datasets import Dataset, load
from rag.evals.scoring import percentile
from rag.types import Answer, Quoted

PASSAGES, QUESTIONS = 10_000, 150
_WARMING = 5  # questions asked first and not counted
_TOKENS, _PAIRS, _ROUNDS = 128, 32, 12


@dataclass(frozen=True, slots=True)
class Asked:
    """Seconds to the first quote, checked against its document (None: none was shown), to the whole answer, and
    whether the model was asked for words."""

    first: float | None
    whole: float
    model: bool


def timed(assistant: rag.Assistant, question: str) -> Asked:
    """One question, from asking to the last event."""
    first, asked = None, False
    start = time.perf_counter()
    for event in assistant.stream(question):
        if isinstance(event, Quoted) and first is None:
            if not all(assistant.holds(c) for c in event.citations):
                raise SystemExit(f"a quote that does not hold: {event.citations}")
            first = time.perf_counter() - start
        if isinstance(event, Answer):
            asked = bool(event.trace.prompt)
    return Asked(first, time.perf_counter() - start, asked)


def filled(assistant: rag.Assistant, dataset: Dataset, most: int) -> list[str]:
    """Index texts of the dataset, in its order, until there are `most` passages; the questions about those texts."""
    there = {row.source.uri for row in assistant.sources()}
    place, known = Place.of(dataset), set[str]()
    for text in dataset.texts:
        if len(assistant) >= most and placed(text.id) not in there:
            break
        if placed(text.id) not in there:
            assistant.add_text(text.text, title=text.title, uri=placed(text.id))
        known.add(place.source[text.id])
    return [q.text for q in dataset.questions if place.source[q.gold[0]] in known]


def figures(all_: Sequence[Asked]) -> dict[str, float]:
    """p50 and p95 of the seconds, for all answers and for those where the model was asked."""
    made: dict[str, float] = {}
    for who, some in (("", list(all_)), (", the model asked", [a for a in all_ if a.model])):
        firsts = [a.first for a in some if a.first is not None]
        for what, times in (("first verified quote", firsts), ("whole answer", [a.whole for a in some])):
            for share in (0.5, 0.95) if times else ():
                made[f"{what}{who}, p{100 * share:.0f} s"] = percentile(times, share)
    return made


def answers(file: Path, index: Path, passages: int = PASSAGES, questions: int = QUESTIONS) -> dict[str, float]:
    """The figures of `questions` questions over `passages` passages of a reading file, with the settings of Config."""
    dataset = load(file)
    with rag.Assistant(index, rag.Config.load(), write=True) as assistant:
        known = filled(assistant, dataset, passages)
        some = random.Random(0).sample(known, min(questions + _WARMING, len(known)))
        asked = [timed(assistant, question) for question in some][_WARMING:]
        return {
            "passages": float(len(assistant)),
            "questions": float(len(asked)),
            "of these the model was asked": float(sum(a.model for a in asked)),
            **figures(asked),
        }


def pairs(file: Path) -> dict[str, float]:
    """Milliseconds of the trained reader for one question and one text of 128 tokens, many in one call, two threads."""
    from rag.models import Models
    from rag.models.embedding import embedder
    from rag.read.trained import TrainedReader

    models = Models()
    tokenizer = models.locate(models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json"
    reader = TrainedReader(models.locate(models.entry("reader", "reader")), tokenizer, 2)
    dataset = load(file)
    lengths = embedder(models, "all-minilm-l6-v2").lengths
    long = [t.text for t in dataset.texts if lengths([t.text])[0] > _TOKENS][:_PAIRS]
    texts = [_cut(text, lambda some: lengths([some])[0]) for text in long]
    asked = [q.text for q in dataset.questions[: _ROUNDS + 1]]
    times, busy = [], []
    for question in asked:
        start, worked = time.perf_counter(), time.process_time()
        reader.read(question, texts)
        times.append(1000 * (time.perf_counter() - start) / len(texts))
        busy.append(1000 * (time.process_time() - worked) / len(texts))
    return {"ms, two threads": median(times[1:]), "ms of CPU time, both together": median(busy[1:])}


def _cut(text: str, length: Callable[[str], int]) -> str:
    """The words from the beginning that fit 128 tokens."""
    words = text.split()
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length(" ".join(words[:middle])) <= _TOKENS else (low, middle - 1)
    return " ".join(words[:low])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a reading file")
    parser.add_argument("--passages", type=int, default=PASSAGES)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--index", type=Path, default=Path("rag-eval/pace"), help="where the index is kept")
    args = parser.parse_args()
    for name, part in (
        ("reader, one question and one text of 128 tokens", pairs(args.file)),
        ("warm", answers(args.file, args.index, args.passages, args.questions)),
    ):
        for what, value in part.items():
            print(f"{name + ': ' + what:<70} {value:>9.3f}", flush=True)


if __name__ == "__main__":
    main()
