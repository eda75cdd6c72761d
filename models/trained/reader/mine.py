"""Negatives that the reader itself falls for: of what does not answer a question, what the shipped file believes most.

    python models/trained/reader/mine.py --minutes 10        then train.py ... --mined runs/mined.jsonl

For a sample of the training questions, the nearest passages that do not hold the answer, and the question edited in
several ways beside its own passage, are read by reader.onnx. Kept is the most believed of each kind, by the log-odds of
its best short answer. The same command goes on with a run that was stopped.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data import Context, Neighbours, annotated, contexts, key, plain, whole
from edits import edited
from train import options

from rag.evals.asking import Records
from rag.read.trained import TrainedReader

HERE = Path(__file__).parent
ALIKE = 3  # passages of the same article that are read, and as many of others
EDITS = 4  # times a question is edited
SURE = 8.0  # log-odds beyond which an edited question is rather one that the passage does answer


def belief(reader: TrainedReader, question: str, texts: Sequence[str]) -> list[float]:
    """Log-odds of the best short answer in each text, against none."""
    return [max((s.best_score for s in scores.sentences), default=-30.0) for scores in reader.scores(question, texts)]


def hardest(
    reader: TrainedReader, row: dict[str, Any], context: Context, near: Neighbours, rng: random.Random
) -> dict[str, Any]:
    """`id`, and `passage` (its text) and `edit` (a question) that are believed most, None where there is none."""
    question, answers = row["question"], [plain(a["text"]) for a in row["answers"]]
    some = [c for same in (True, False) for c in near.nearest(question, context, same)[:ALIKE]]
    others = [c.text for c in dict.fromkeys(some) if not any(a in c.plain for a in answers)]
    located = [a for a in row["answers"] if a["start"] is not None]
    tries = (edited(question, context.text, located, rng, safe=True) for _ in range(EDITS))
    asked = [e for e in dict.fromkeys(tries) if e is not None]
    passages = sorted(zip(belief(reader, question, others), others, strict=True))
    edits = sorted((belief(reader, e, [context.text])[0], e) for e in asked)
    edits = [one for one in edits if one[0] < SURE]
    return {
        "id": key(row),
        "passage": passages[-1][1] if passages else None,
        "edit": edits[-1][1] if edits else None,
        "belief": [round(some[-1][0], 2) if some else None for some in (passages, edits)],
    }


def main(target: Path, data: Path, tokenizer: Path, minutes: float, seed: int) -> None:
    """Read until the time is up."""
    end = time.monotonic() + 60 * minutes
    rng = random.Random(seed)
    rows = [r for r in annotated(data, rng) if r["answers"] and r["source"] != "fairytaleqa-train"]
    found = contexts(rows, whole(tokenizer))
    near, reader = Neighbours(list(found.values())), TrainedReader(HERE, tokenizer)
    target.parent.mkdir(exist_ok=True)
    records = Records(target)
    done = {one["id"] for one in records.done}
    for row in (r for r in rows if key(r) not in done):
        if time.monotonic() > end:
            break
        records.add(hardest(reader, row, found[row["context"]], near, rng))
    records.close()
    print(f"{len(records.done)} questions in {target}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=HERE / "runs" / "mined.jsonl")
    parser.add_argument("--data", type=Path, default=options([]).data, help="the data to be trained on")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=9)
    given = parser.parse_args()
    main(given.into, given.data, options([]).tokenizer, given.minutes, given.seed)
