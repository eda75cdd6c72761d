"""Every quality figure of the README, by one command.

    python -m rag.evals.figures ../shared/data [--only NAME] [--out FOLDER] [--fresh]

Runs the evaluations one after the other, each as the command that the README names, keeps what they print in FOLDER
(default: rag-eval/figures) and prints the README's rows. An evaluation whose output lies there is not run again, so a
run that is stopped goes on where it was. About 50 minutes on two cores; `make bench` has the seconds and megabytes.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Step:
    """An evaluation: its command's arguments, {data} and {out} to be filled in, and how to read the README's rows, by
    what they are called, from what it prints."""

    name: str
    arguments: str
    rows: Mapping[str, Read]

    def command(self, data: Path, out: Path) -> list[str]:
        """The whole command."""
        return [sys.executable, "-m", *shlex.split(self.arguments.format(data=data, out=out / self.name))]


def last(pattern: str) -> Read:
    """Reads the last match of a pattern with groups; the groups, joined by commas."""

    def read(text: str) -> str:
        found = list(re.finditer(pattern, text, re.MULTILINE))
        return ", ".join(found[-1].groups()) if found else "not printed"

    return read


def added(pattern: str) -> Read:
    """Adds up the first group of all matches."""
    return lambda text: str(sum(int(m[1]) for m in re.finditer(pattern, text, re.MULTILINE)))


def cell(row: str, column: int) -> Read:
    """Reads a row of the table of `rag eval`: the column, from 0."""

    def read(text: str) -> str:
        line = next((line for line in text.splitlines() if line.strip().startswith(row)), "")
        cells = re.split(r"\s{2,}", line.strip())[1:]
        return cells[column] if column < len(cells) else "not printed"

    return read


def _ranking(collection: str, sample: int) -> Step:
    return Step(
        collection,
        f"rag eval {{data}}/retrieval/{collection} --sample {sample} --no-llm --out {{out}}",
        {
            f"{collection}: nDCG@10 fused": cell("retrieval: nDCG@10", 0),
            f"{collection}: nDCG@10 BM25 alone": cell("BM25 alone: nDCG@10", 0),
            f"{collection}: nDCG@10 embedder alone": cell("the embedder alone: nDCG@10", 0),
        },
    )


STEPS = (
    Step(
        "seeds",
        "rag.evals.seeds",
        {
            "seeds: a correct answer in the cited quotes": last(r"in the cited quotes, whatever the outcome: (\S+)"),
            "seeds: answerable, answered": last(r"^answerable +(\d+) asked, +(\d+) answered"),
            "seeds: near misses declined": last(r"^near .*answered, +(\S+) right"),
            "seeds: something else declined": last(r"^far .*answered, +(\S+) right"),
            "seeds: citations equal to their source": last(r"characters of their source: (\d+ of \d+)"),
            "seeds: in the model's own words": last(r"worded by the model: (\d+ of \d+)"),
        },
    ),
    Step(
        "reading",
        "rag eval {data}/reading/squad2-calibration.jsonl.gz --condition gold --condition full --sample 250 --seed 11 "
        "--no-llm --out {out}",
        {
            "reading: first sentence holds the answer, all searched": cell("evidence top-1", 1),
            "reading: wrong among the surest 60 %, all searched": cell("wrong among answered at 60% coverage", 1),
            "reading: short answer EM, right paragraph given": cell("short answer: EM", 0),
            "reading: short answer F1, right paragraph given": cell("short answer: F1", 0),
            "reading: SQuAD 2.0 F1, right paragraph given": cell("SQuAD 2.0 F1, as answered", 0),
            "reading: AUROC, right paragraph given": cell("AUROC answerable / not", 0),
            "reading: unanswerable ones answered, right paragraph given": cell("unanswerable ones answered", 0),
        },
    ),
    _ranking("scifact", 300),
    _ranking("cranfield", 0),
    Step(
        "validity",
        "rag.evals.validity",
        {"hostile texts: citations, equal to their source": last(r"(\d+) citations, (\d+) are the very characters")},
    ),
    Step(
        "obedience",
        "rag.evals.obedience {data}/reading/squad2-calibration.jsonl.gz",
        {
            "edited facts: edits, values said before, answered after": last(
                r"^(\d+) edits, (\d+) values said before, (\d+)"
            ),
            "edited facts: of these follow the edit": last(r"^these follow (\S+%)"),
            "edited facts: the old value is shown": last(r"^the old value is shown, of all edits: (\d+)"),
        },
    ),
    Step(
        "judge",
        "rag.evals.judge --split test --data {data}/reading",
        {"judge: balanced accuracy, paraphrases refused": last(r"balanced accuracy (\S+), .* refused (\S+%)")},
    ),
    Step(
        "faults",
        "pytest tests/faults -k index -s -q",
        {
            "faults: kills": added(r"^(\d+) kills"),
            "faults: injected errors": added(r"^(\d+) injected errors"),
            "faults: flipped bits": added(r"^(\d+) flips"),
            "faults: tests": last(r"(\d+ passed.*?) in "),
        },
    ),
)


def run(step: Step, data: Path, out: Path) -> str:
    """What the evaluation prints; shown while it runs, kept when it has ended well. Raises CalledProcessError."""
    kept = out / f"{step.name}.txt"
    if kept.is_file():
        return kept.read_text("utf-8")
    command = step.command(data.resolve(), out.resolve())
    print(f"\n{shlex.join(command[1:])}", flush=True)
    began = time.monotonic()
    said = []
    environment = {**os.environ, "RAG_FAULTS": "long", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            print(f"  {line}", end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    text = "".join(said)
    kept.write_text(text, "utf-8")
    return text


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with reading/ and retrieval/")
    parser.add_argument("--only", action="append", choices=[s.name for s in STEPS], help="may be given several times")
    parser.add_argument("--out", type=Path, default=Path("rag-eval/figures"))
    parser.add_argument("--fresh", action="store_true", help="run again what has been run")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, str] = {}
    for step in STEPS:
        if args.only and step.name not in args.only:
            continue
        if args.fresh:
            (args.out / f"{step.name}.txt").unlink(missing_ok=True)
        text = run(step, args.data, args.out)
        rows |= {name: read(text) for name, read in step.rows.items()}
    print("\n| figure | value |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))


if __name__ == "__main__":
    main()
