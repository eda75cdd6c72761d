"""The command that measures: on datasets, or on questions written from the index's own documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.shared import Index, Json, Set, app, config_of, opened, print_json

if TYPE_CHECKING:
    from rag.evals.run import Progress


@app.command("eval")
def eval_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Datasets: BEIR folders, reading or cases files (.jsonl, .jsonl.gz), SQuAD 1.1 or 2.0 (.json). "
            "None: questions written from your own index."
        ),
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="gold, distractors or full; may be given several times (default: all).")
    ] = None,
    sample: Annotated[int, typer.Option(help="At most this many questions of each kind; 0: all.", min=0)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed draws the same questions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the results (default: rag-eval/NAME).")] = None,
    llm: Annotated[bool, typer.Option(help="--no-llm: quotes alone; faster, and only the wording differs.")] = True,
    baselines: Annotated[bool, typer.Option(help="Also what would come out without reading.")] = True,
    naive: Annotated[bool, typer.Option(help="Also the same LLM with a plain prompt over the first passages.")] = False,
    off_topic: Annotated[
        Path | None, typer.Option(help="A dataset about something else: how many of its questions are answered.")
    ] = None,
    worded: Annotated[
        bool, typer.Option(help="Questions from your own index in the LLM's words, where the judge accepts them.")
    ] = False,
    fresh: Annotated[bool, typer.Option(help="Begin anew instead of going on.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Measure how often the right passage, sentence and answer come back, and what is answered that should not be.

    A run that is stopped goes on where it was. Tables, figures as JSON and the risk-coverage curve lie in --out.

    Examples: rag eval squad-dev.json --sample 200      rag eval --sample 50
    """
    from rag.evals.asking import CONDITIONS
    from rag.evals.run import Plan, evaluate, evaluate_own

    flags = {} if llm else {"llm.model": "none"}
    chosen = tuple(condition) if condition else CONDITIONS
    results = []
    with _bars(as_json) as progress:
        for path in paths or []:
            folder = (out if len(paths or []) == 1 else out / path.name) if out else Path("rag-eval") / path.name
            plan = Plan(folder, chosen, sample, seed, baselines, naive, fresh, off_topic)
            results.append(evaluate(path, plan, config_of(None, set_, flags), progress))
        if not paths:
            plan = Plan(out or Path("rag-eval") / "own", chosen, sample, seed, baselines, naive, fresh, worded=worded)
            with opened(index, set_, flags=flags) as assistant:
                results.append(evaluate_own(assistant, plan, progress))
    if as_json:
        print_json([{"dataset": r.name, "figures": r.figures} for r in results])
        return
    for result in results:
        print(f"{result.says}\n\n{result.table}" if result.says else result.table)
        print(f"\n\nin {result.folder}: report.json, curve.svg and every answer in records.jsonl\n")


@contextmanager
def _bars(quiet: bool) -> Iterator[Progress | None]:
    """A bar per step with rate and time left, on a terminal; a line at every tenth elsewhere."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _line
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks = {step: bar.add_task(step, total=None, visible=False) for step in ("indexing", "asking")}
            yield lambda step, done, total: bar.update(tasks[step], completed=done, total=total, visible=True)


def _line(step: str, done: int, total: int) -> None:
    if done == total or done * 10 // total > (done - 1) * 10 // total:
        print(f"{step}: {done} of {total}", file=sys.stderr, flush=True)
