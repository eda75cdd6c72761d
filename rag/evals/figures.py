"""Every figure of the README but those of `make bench`, by one command.

    python -m rag.evals.figures ../shared/data [--only NAME] [--out FOLDER] [--fresh]

Runs the evaluations one after the other, each as the command that the README and the cards of the trained weights name,
keeps what they print in FOLDER (default: rag-eval/figures) and prints their rows, in their words. An evaluation whose
output lies there is not run again, so a run that is stopped goes on where it was. A few hours on two cores;
`make bench` has the seconds and megabytes.
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
    what they are called, from what it prints. `before`: a script that makes what it reads."""

    name: str
    arguments: str
    rows: Mapping[str, Read]
    before: str = ""

    def command(self, data: Path, out: Path) -> list[str]:
        """The whole command."""
        return [sys.executable, "-m", *self._filled(self.arguments, data, out)]

    def commands(self, data: Path, out: Path) -> list[list[str]]:
        """With what goes before it."""
        first = [[sys.executable, *self._filled(self.before, data, out)]] if self.before else []
        return [*first, self.command(data, out)]

    def _filled(self, arguments: str, data: Path, out: Path) -> list[str]:
        return shlex.split(arguments.format(data=shlex.quote(str(data)), out=shlex.quote(str(out / self.name))))


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


def _kept(what: str) -> Read:
    """Reads what was seen of a promise of `rag.evals.load`."""
    return last(rf"^(?:PASS|FAIL)  {re.escape(what)}: (.+?) \(at most")


def joined(*readers: Read) -> Read:
    """What several readers read, with commas between."""
    return lambda text: ", ".join(read(text) for read in readers)


def _of(collection: str, *lines: str) -> Read:
    """Reads the nDCG@10 and the recall@10 of these lines of `rag.evals.retrieval` about a collection."""
    each = (last(rf"^{collection}: (?:.*\n)+?  {line} .*?nDCG@10 ([^\s,]+).*recall@10 (\S+)") for line in lines)
    return joined(*each)


def _retrieved(collection: str) -> dict[str, Read]:
    return {
        f"{collection}: nDCG@10, recall@10 of the fused search, its BM25 alone, its embedder alone": _of(
            collection, "both, fused", "BM25 alone", "the embedder alone"
        ),
        f"{collection}: nDCG@10, recall@10 less than sentence-transformers in fp32": _of(collection, "difference:"),
    }


def _several(collection: str) -> Step:
    """Questions whose evidence stands in several passages: those that came with it, and all of the file's."""
    top, found, wrong = (
        "evidence top-1", "a correct answer in the cited quotes", "wrong among answered at 60% coverage"
    )  # fmt: skip
    where = ((0, "its own passages given"), (1, "all passages searched"))
    return Step(
        collection.partition("-")[0],
        f"rag eval {{data}}/cases/{collection}.jsonl.gz --condition distractors --condition full --sample 0 --no-llm "
        "--out {out}",
        {f"{collection}, {says}: {row}": cell(row, n) for n, says in where for row in (top, found, wrong)},
    )


def _chosen(column: int) -> dict[str, Read]:
    """What each strictness costs."""
    return {
        f"{how}: answered of those with an answer, wrong among these, answered of those built to fool": joined(
            *(cell(f"{how}: {row}", column) for row in ("answerable ones answered", "wrong among", "unanswerable ones"))
        )
        for how in ("strict", "balanced", "lenient")
    }


_SQUAD = "{data}/reading/squad2-calibration.jsonl.gz"
STEPS = (
    Step(
        "seeds",
        "rag.evals.seeds",
        {
            "seeds: a correct answer lies in the cited quotes": last(
                r"in the cited quotes, whatever the outcome: (\S+)"
            ),
            "seeds: answerable ones asked, given as the answer": last(r"^answerable +(\d+) asked, +(\d+) answered"),
            "seeds: near misses declined": last(r"^near .*answered, +(\S+) right"),
            "seeds: something else declined": last(r"^far .*answered, +(\S+) right"),
            "seeds: citations that are the very characters": last(r"characters of their source: (\d+ of \d+)"),
            "seeds: answers in the model's own wording": last(r"worded by the model: (\d+ of \d+)"),
        },
    ),
    Step(
        "reading",
        f"rag eval {_SQUAD} --condition gold --condition full --sample 250 --seed 11 --no-llm "
        "--off-topic {data}/reading/fairytaleqa-val.jsonl.gz --out {out}",
        {
            "Wikipedia, all searched: the first sentence holds the answer": cell("evidence top-1", 1),
            "Wikipedia, all searched: wrong among the 60 % it is surest of": cell("wrong among answered at 60%", 1),
            "Wikipedia, all searched: built to look answerable, answered all the same": cell(
                "unanswerable ones answered", 1
            ),
            "Wikipedia, all searched: AUROC answerable / not": cell("AUROC answerable / not", 1),
            "Wikipedia, all searched: AUROC against questions off topic": cell("AUROC answerable / off topic", 1),
            "Wikipedia, all searched: questions off topic answered": cell("off-topic ones answered", 1),
            "Wikipedia, all searched: citation precision, recall, F1": joined(
                *(cell(f"citation {row}", 1) for row in ("precision", "recall", "F1"))
            ),
            "Wikipedia, right paragraph given: EM, F1 of the short answer": joined(
                cell("short answer: EM", 0), cell("short answer: F1", 0)
            ),
            "Wikipedia, right paragraph given: SQuAD 2.0 F1, threshold from the other half": joined(
                cell("SQuAD 2.0 F1, as answered", 0), cell("SQuAD 2.0 F1, threshold", 0)
            ),
            "Wikipedia, right paragraph given: AUROC answerable / not": cell("AUROC answerable / not", 0),
            "Wikipedia, right paragraph given: built to look answerable, answered all the same": cell(
                "unanswerable ones answered", 0
            ),
            **_chosen(1),
        },
    ),
    Step(
        "reading-gold",
        f"rag eval {_SQUAD} --condition gold --sample 1000 --seed 11 --no-llm --out {{out}}",
        {
            f"Wikipedia, right paragraph given, 1,000 and 1,000 questions: {row}": cell(row, 0)
            for row in (
                "short answer: EM",
                "short answer: F1",
                "SQuAD 2.0 F1, as answered",
                "SQuAD 2.0 F1, threshold",
                "AUROC answerable / not",
                "evidence top-1",
            )
        },
    ),
    Step(
        "sealed",
        "rag eval {out}.jsonl.gz --condition gold --sample 400 --seed 11 --no-llm --out {out}",
        {
            "sealed articles, right paragraph given: EM, F1 of the short answer": joined(
                cell("short answer: EM", 0), cell("short answer: F1", 0)
            )
        },
        before="models/trained/reader/data.py {data}/reading {out}.jsonl.gz",
    ),
    Step(
        "stories",
        "rag eval {data}/reading/fairytaleqa-val.jsonl.gz --condition gold --condition full --sample 250 --seed 11 "
        "--no-llm --out {out}",
        {
            "stories, all searched: the first sentence is the one marked": cell("the same, at the annotated place", 1),
            "stories, right text given: F1 of the short answer": cell("short answer: F1", 0),
        },
    ),
    Step(
        "naive",
        f"rag eval {_SQUAD} --condition full --sample 60 --seed 11 --naive --out {{out}}",
        {
            "beside the same LLM with a plain prompt: our answer says it, its answer says it": joined(
                cell("the answer's text holds a gold answer", 0), cell("baseline: the same LLM, naively asked", 0)
            )
        },
    ),
    _several("hotpotqa-train-100"),
    _several("musique-train-100"),
    Step(
        "retrieval",
        "rag.evals.retrieval {data}/retrieval/scifact {data}/retrieval/cranfield --out {out}",
        _retrieved("scifact") | _retrieved("cranfield"),
    ),
    Step(
        "rerank",
        "rag.evals.rerank {data} --out {out}",
        {
            f"read and put in order anew: {name}": last(rf"^{name}, \d+ questions: (.*)$")
            for name in ("squad2-calibration", "scifact", "cranfield")
        },
    ),
    *(
        Step(
            name,
            f"rag.evals.kinds{option}",
            {
                f"{what}: {kind}: asked, recognised, given, right": last(
                    rf"^{kind} +(\d+) asked, (\d+) recognised, (\d+) given, (\d+) right"
                )
                for kind in ("yes_no", "list", "number")
            },
        )
        for name, option, what in (
            ("kinds", "", "hand-written questions"),
            ("kinds-second", " --second", "others, asked when that was done"),
        )
    ),
    Step(
        "validity",
        "rag.evals.validity",
        {"hostile texts: citations, equal to their source": last(r"(\d+) citations, (\d+) are the very characters")},
    ),
    Step(
        "obedience",
        f"rag.evals.obedience {_SQUAD}",
        {
            "edited facts: edits, values said before": last(r"^(\d+) edits, of (\d+) the value"),
            "edited facts: of these follow the edit": last(r"^of these \d+ follow, (\S+%)"),
            "edited facts: the old value is shown": last(r"^the old value is shown, of all edits: (\d+)"),
        },
    ),
    Step(
        "judge",
        "rag.evals.judge --split test --data {data}/reading",
        {"judge: balanced accuracy, paraphrases refused": last(r"balanced accuracy (\S+), .* refused (\S+%)")},
    ),
    Step(
        "load",
        "rag.evals.load --soak 500",
        {
            "load: searches, p95, with 1, 4, 16 askers, and while documents are read": joined(
                *(_kept(f"{n} askers: searches, p95") for n in (1, 4, 16)),
                _kept("documents are read: searches, p95"),
            ),
            "load: refusals, p95": _kept("16 askers: refusals, p95"),
            "load: an asker leaves in the line, while the model reads, while it writes: it is free after": joined(
                *(_kept(f"left at `{at}`: the model is free after") for at in ("waits", "quoted", "wrote"))
            ),
            "soak: mixed answers, failed requests, more open files, growth of memory": joined(
                *(
                    _kept(f"soak: {of}")
                    for of in ("mixed answers", "failed requests", "more open files", "growth of memory")
                )
            ),
        },
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
    began, text = time.monotonic(), ""
    for command in step.commands(data.resolve(), out.resolve()):
        text += _said(command)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    kept.write_text(text, "utf-8")
    return text


def _said(command: list[str]) -> str:
    """What a command prints, shown line by line."""
    print(f"\n{shlex.join(command[1:])}", flush=True)
    said = []
    environment = {**os.environ, "RAG_FAULTS": "long", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            print(f"  {line}", end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(said)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with reading/, cases/ and retrieval/")
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
