"""How much the lead of a short answer says of its being right: where the LLM may word it, and where it may not.

    python -m rag.evals.leads ../shared/data/reading/squad2-calibration.jsonl.gz [--sample 700]

Each answerable question is read with its own text. Where the best sentence holds a gold answer, the short answer in it
is right if one of the two lies in the other. The lead is the log-odds by which it is ahead of the best other words of
that sentence. Told are the shares that are right in eight parts of equal size, by the lead, and on both sides of the
lead from which a small model is asked (`rag.answer.wording.CLEAR`).
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import rag
from rag.answer.wording import CLEAR
from rag.evals.datasets import Dataset, load
from rag.evals.scoring import holds
from rag.read import Reader

_PARTS = 8
Lead = tuple[float, bool]
"""The lead of a short answer, and whether it is right."""


def leads(reader: Reader, dataset: Dataset, sample: int, seed: int = 0) -> list[Lead]:
    """At most `sample` questions read, those left out whose best sentence holds no gold answer."""
    texts = {t.id: t.text for t in dataset.texts}
    some = [q for q in dataset.questions if q.answers]
    random.Random(seed).shuffle(some)
    found = list[Lead]()
    for q in some[:sample]:
        text = texts[q.gold[0]]
        reading = reader.read(q.text, [text])[0]
        (span, _), short = max(zip(reading.sentences, reading.answers, strict=True), key=lambda both: both[0][1])
        if short is not None and holds(span.of(text), q.answers):
            said = short.span.of(text)
            found.append((short.lead, holds(said, q.answers) or any(holds(a, [said]) for a in q.answers)))
    return sorted(found)


def table(found: Sequence[Lead]) -> list[str]:
    """Lines for people."""
    cuts = [round(n * len(found) / _PARTS) for n in range(_PARTS + 1)]
    parts = [found[a:b] for a, b in itertools.pairwise(cuts) if b > a]
    lines = [f"lead {part[0][0]:6.2f} to {part[-1][0]:6.2f}: {_right(part)}" for part in parts]
    under, over = ([one for one in found if (one[0] >= CLEAR) is side] for side in (False, True))
    return [*lines, f"under {CLEAR:g}, not worded: {_right(under)}", f"from {CLEAR:g} on: {_right(over)}"]


def _right(some: Sequence[Lead]) -> str:
    return f"{sum(right for _, right in some) / len(some):.1%} of {len(some)} right" if some else "none"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sample", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with rag.open(documents=[], llm_model="none") as assistant:
        print("\n".join(table(leads(assistant._rooms.reader, load(args.file), args.sample, args.seed))))


if __name__ == "__main__":
    main()
