"""Are yes-or-no, list and number questions recognised, and answered as such?

    python -m rag.evals.kinds [--all] [--second]

Texts and questions (tests/journeys/kinds) were written by hand for this, before any of them was asked. What went wrong
in the first set was then looked at, and some of it mended; the second set was asked when that was done. A yes-or-no
question is right if its short answer is the one that the text gives, and if none is given where the text does not
settle it; a list if its items are those of the text, no more and no fewer; a number if it is the number that is marked,
and no other stands beside it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rag
from rag.evals.scoring import holds, normalised
from rag.evals.seeds import ROOT
from rag.types import Answer, Kind, Outcome

FOLDER = ROOT / "tests" / "journeys" / "kinds"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its answer; `wanted`: the word, the items, or the number."""

    id: str
    kind: Kind
    wanted: tuple[str, ...]
    answer: Answer

    @property
    def given(self) -> str:
        """The short answer; '' where none is given."""
        return self.answer.short if self.answer.outcome is Outcome.ANSWERED else ""

    @property
    def right(self) -> bool:
        """By the rules above."""
        if self.kind is Kind.LIST:
            return sorted(items(self.given)) == sorted(" ".join(normalised(w)) for w in self.wanted)
        if self.kind is Kind.NUMBER:
            others = re.findall(r"\d[\d,.]*\d|\d", self.given)
            return holds(self.given, self.wanted) and len(others) <= 1
        return self.given == self.wanted[0]


def items(short: str) -> list[str]:
    """The items of a list's short answer, normalised; one alone is a list of one."""
    return [" ".join(normalised(part)) for part in short.split(";") if part.strip()]


def asked(assistant: rag.Assistant, folder: Path) -> list[Asked]:
    """Every question of the folder with its answer."""
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    return [Asked(r["id"], Kind(r["kind"]), tuple(r["answer"]), assistant.ask(r["question"])) for r in rows]


def table(all_: Sequence[Asked]) -> str:
    """How many of each kind are recognised, given as an answer, and right."""
    lines = []
    for kind in (Kind.YES_NO, Kind.LIST, Kind.NUMBER):
        some = [a for a in all_ if a.kind is kind]
        known = sum(a.answer.kind is kind for a in some)
        given, right = sum(bool(a.given) for a in some), sum(a.right for a in some)
        lines.append(f"{kind.value:<7} {len(some)} asked, {known} recognised, {given} given, {right} right")
    yes = [a for a in all_ if a.kind is Kind.YES_NO]
    said = [a for a in yes if a.given in ("Yes", "No")]
    lines.append(f"yes or no said: {len(said)}, wrongly: {sum(not a.right for a in said)}")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print every answer, not only the wrong ones")
    parser.add_argument("--second", action="store_true", help="the set that nothing was mended by")
    args = parser.parse_args()
    folder = FOLDER / "second" if args.second else FOLDER
    with rag.open(documents=sorted(folder.glob("*.txt")), llm_model="none") as assistant:
        all_ = asked(assistant, folder)
    for a in all_:
        if args.all or not a.right:
            mark = "right" if a.right else "WRONG"
            print(f"{mark} {a.id} [{a.answer.outcome} {a.answer.kind}] {a.answer.question} {a.answer.short!r}")
            print(f"    {a.answer.text[:200]!r}")
    print(table(all_))


if __name__ == "__main__":
    main()
