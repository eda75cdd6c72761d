"""How well the judge tells claims that their quotes carry from claims that they do not: `python -m rag.evals.judge`.

Claims come from `rag.evals.claims`, split by document: tune on one half, look at the other once. The judge is asked as
an answer asks it, with the question, whose common words it grants. A claim is refused if its score is under the first
threshold. Balanced accuracy is the mean of true claims accepted and false ones refused. Shown but not counted are
'itself', the evidence sentence word for word, which is no paraphrase, and 'rewritten freely', where a third or more of
the question's words is not in the quote, so that the quote alone often does not carry it; its share is told apart.

Exit code 1 where balanced accuracy is under 0.85, or more than 10 % of the true paraphrases are refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.config import AnswerConfig
from rag.evals.claims import Pair, pairs
from rag.judge import Judgement, RuleJudge

DATA = Path(__file__).parents[3] / "shared" / "data" / "reading"
UNCOUNTED = ("itself", "rewritten freely")
LEAST, MOST = 0.85, 0.10  # balanced accuracy, and share of the true paraphrases that may be refused


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of claim: how many, and the shares with a score under the two thresholds."""

    kind: str
    true: bool
    count: int
    refused: float
    unsupported: float


def rows(judged: Sequence[tuple[Pair, Judgement]], supported: float, partial: float) -> list[Row]:
    """One row per kind, the true ones first."""
    kinds = sorted({(not p.true, p.kind) for p, _ in judged})
    found = []
    for false, kind in kinds:
        scores = [j.score for p, j in judged if p.kind == kind and p.true is not false]
        under = [sum(s < t for s in scores) / len(scores) for t in (supported, partial)]
        found.append(Row(kind, not false, len(scores), *under))
    return found


def balanced(table: Sequence[Row]) -> tuple[float, float]:
    """(balanced accuracy, share of true paraphrases refused), each claim weighing the same within its side."""
    shares = []
    for side in (True, False):
        counted = [r for r in table if r.true is side and r.kind not in UNCOUNTED]
        shares.append(sum(r.refused * r.count for r in counted) / max(1, sum(r.count for r in counted)))
    return (1 - shares[0] + shares[1]) / 2, shares[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 1 where the judge is not good enough, 2 where the data is absent."""
    parser = argparse.ArgumentParser(prog="python -m rag.evals.judge", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the annotated questions")
    parser.add_argument("--split", choices=["tune", "test"], default="tune")
    parser.add_argument("--questions", type=int, default=1200, help="per source")
    parser.add_argument("--supported", type=float, default=AnswerConfig().supported)
    parser.add_argument("--partial", type=float, default=AnswerConfig().partial)
    parser.add_argument("--wrong", metavar="KIND", help="print the claims of this kind that are judged wrongly")
    asked = parser.parse_args(argv)
    try:
        chosen = [p for p in pairs(asked.data, asked.questions) if p.split == asked.split]
    except FileNotFoundError as missing:
        print(f"the annotated questions are not here: {missing.filename}", file=sys.stderr)
        return 2
    judged, seconds = judge(chosen)
    if asked.wrong:
        _print_wrong([(p, j) for p, j in judged if p.kind == asked.wrong], asked.supported)
        return 0
    table = rows(judged, asked.supported, asked.partial)
    _print(table, seconds / len(chosen), asked.split)
    accuracy, refused = balanced(table)
    return int(accuracy < LEAST or refused > MOST)


def judge(chosen: Sequence[Pair]) -> tuple[list[tuple[Pair, Judgement]], float]:
    """Every pair with its judgement, and the processor seconds that took."""
    started = time.process_time()
    judge = RuleJudge()
    judgements = [judge.judge([p.claim], [p.quotes], p.question)[0] for p in chosen]
    return list(zip(chosen, judgements, strict=True)), time.process_time() - started


def _print(table: Sequence[Row], seconds: float, split: str) -> None:
    print(f"{'claim':<22} {'':<6} {'pairs':>6} {'refused':>8} {'unsupported':>12}")
    for r in table:
        print(f"{r.kind:<22} {str(r.true).lower():<6} {r.count:>6} {r.refused:>8.1%} {r.unsupported:>12.1%}")
    accuracy, refused = balanced(table)
    true, false = (sum(r.count for r in table if r.true is side and r.kind not in UNCOUNTED) for side in (True, False))
    print(f"{split}: {true} true paraphrases and {false} edited claims are counted")
    print(f"balanced accuracy {accuracy:.3f}, true paraphrases refused {refused:.1%}")
    free = [r for r in table if r.kind == "rewritten freely"]
    print("not counted: " + ", ".join(f"{r.count} rewritten freely, refused {r.refused:.1%}" for r in free))
    print(f"{1e3 * seconds:.2f} ms of processor time each")


def _print_wrong(judged: Sequence[tuple[Pair, Judgement]], supported: float) -> None:
    for pair, judgement in judged:
        if (judgement.score >= supported) is not pair.true:
            print(f"{judgement.score:.2f} {pair.claim}\n     {pair.quotes[0]}\n     {'; '.join(judgement.failures)}")


if __name__ == "__main__":
    sys.exit(main())
