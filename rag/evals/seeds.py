"""Questions about the seed texts, asked through the public API at default settings.

    python -m rag.evals.seeds [--no-llm] [--strictness lenient] [--all]

The questions (tests/journeys/seed_questions.jsonl) were written before the product answered any. Printed are, for the
answerable ones, whether a correct answer lies in the cited quotes; for near misses and far-off ones, whether they were
declined; and for every citation, whether it is the very characters of its source.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rag
from rag.evals.scoring import holds
from rag.types import Answer, Origin, Outcome

ROOT = Path(__file__).resolve().parent.parent.parent
QUESTIONS = ROOT / "tests" / "journeys" / "seed_questions.jsonl"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its acceptable answers; `kind` is answerable, near or far."""

    id: str
    kind: str
    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A question, its answer, whether a correct answer is quoted, and how many citations hold."""

    question: Question
    answer: Answer
    quoted: bool
    valid: int
    citations: int

    @property
    def answered(self) -> bool:
        """True if the product said that this is the answer."""
        return self.answer.outcome is Outcome.ANSWERED

    @property
    def right(self) -> bool:
        """True if the question was treated as it should be."""
        return self.answered and self.quoted if self.question.kind == "answerable" else not self.answered


def questions(path: Path = QUESTIONS) -> list[Question]:
    """The seed questions of a JSON-lines file."""
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip())
    return [Question(r["id"], r["kind"], r["question"], tuple(r["answers"])) for r in rows]


def asked(assistant: rag.Assistant, some: Iterable[Question]) -> Iterator[Result]:
    """Each question's result, in order."""
    for question in some:
        answer = assistant.ask(question.text)
        quotes = [c.quote for c in answer.citations]
        valid = sum(assistant.holds(c) for c in answer.citations)
        yield Result(question, answer, any(holds(q, question.answers) for q in quotes), valid, len(quotes))


def table(results: Sequence[Result]) -> str:
    """The figures for people, accuracy never without coverage."""
    lines = []
    for kind in ("answerable", "near", "far"):
        some = [r for r in results if r.question.kind == kind]
        answered = sum(r.answered for r in some)
        right = sum(r.right for r in some) / len(some)
        lines.append(f"{kind:<11} {len(some):>3} asked, {answered:>3} answered, {right:7.1%} right")
    quoted = [r.quoted for r in results if r.question.kind == "answerable"]
    lines.append(f"a correct answer in the cited quotes, whatever the outcome: {sum(quoted) / len(quoted):.1%}")
    cited = sum(r.citations for r in results)
    lines.append(f"citations that are the very characters of their source: {sum(r.valid for r in results)} of {cited}")
    said = [r for r in results if r.answered]
    worded = sum(any(c.origin is Origin.MODEL for c in r.answer.claims) for r in said)
    lines.append(f"answers worded by the model: {worded} of {len(said)}; the others are quotes alone")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-llm", action="store_true", help="quotes alone")
    parser.add_argument("--strictness", default="balanced", choices=["strict", "balanced", "lenient"])
    parser.add_argument("--all", action="store_true", help="print every answer, not only the wrong ones")
    args = parser.parse_args()
    flags = {"llm_model": "none"} if args.no_llm else {}
    results = []
    with rag.open(documents=ROOT / "seeds", answer_strictness=args.strictness, **flags) as assistant:
        for result in asked(assistant, questions()):
            results.append(result)
            if args.all or not result.right:
                mark = "right" if result.right else "WRONG"
                a = result.answer
                print(f"{mark} {result.question.id} [{a.outcome} {a.trace.confidence:.2f}] {result.question.text}")
                print(f"    {a.text[:300]!r}")
    print(table(results))


if __name__ == "__main__":
    main()
