"""A whole evaluation: load, index, ask, measure, write down. It can be stopped and goes on where it was.

FOLDER/settings.json   what was asked of what; other settings want another folder
FOLDER/index           the dataset's texts, indexed
FOLDER/records.jsonl   one line per question and condition
FOLDER/report.json     every figure, with intervals
FOLDER/report.txt      the table
FOLDER/curve.svg       risk against coverage
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.assistant import Assistant
from rag.config import Config
from rag.errors import UsageError
from rag.evals.asking import CONDITIONS, Place, Records, ask_all, indexed
from rag.evals.datasets import Dataset, load
from rag.evals.own import headed, plainly, written
from rag.evals.report import curves, measured, picture, table
from rag.files import write_atomically
from rag.types import to_json

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked: at most `sample` questions of each kind (0: all), the same ones for the same `seed`.

    `off_topic`: a dataset whose questions are asked as well, of texts that were not meant. `worded`: questions about an
    index are put by the LLM, where the judge accepts it.
    """

    out: Path
    conditions: tuple[str, ...] = CONDITIONS
    sample: int = 0
    seed: int = 0
    baselines: bool = True
    naive: bool = False
    fresh: bool = False
    off_topic: Path | None = None
    worded: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The figures by condition, the table that shows them, and for a user's own documents what they mean, in words."""

    name: str
    figures: dict[str, dict[str, Any]]
    table: str
    folder: Path
    says: str = ""


def evaluate(path: Path, plan: Plan, config: Config, progress: Progress | None = None) -> Result:
    """The figures of one dataset, asked through the public API with these settings."""
    whole = load(path)
    dataset = whole.sample(plan.sample, plan.seed)
    if plan.off_topic is not None:
        if whole.kind == "ranking":
            raise UsageError(f"{path} has no answers to tell questions off topic from", "name a reading or cases file")
        dataset = dataset.beside(load(plan.off_topic), plan.sample, plan.seed)
    _begin(plan, {"dataset": dataset.digest, "questions": len(dataset.questions)}, config)
    with Assistant(plan.out / "index", config, write=True) as assistant:
        indexed(assistant, dataset, _told(progress, "indexing"))
        return _asked(assistant, dataset, Place.of(dataset), plan, progress)


def evaluate_own(assistant: Assistant, plan: Plan, progress: Progress | None = None) -> Result:
    """The figures of an index, on questions written from its own documents."""
    most = plan.sample or 50
    dataset, place = written(assistant, most, plan.seed)
    headings = headed(assistant, most // 2, plan.seed)
    name = f"{dataset.name}, {len(headings)} from headings"
    dataset = replace(dataset, name=name, questions=(*dataset.questions, *headings))
    facts = {"documents": len(place.source), "questions": len(dataset.questions), "worded": plan.worded}
    _begin(plan, facts, assistant.config)
    if plan.worded:
        from rag.evals.phrasing import reworded

        dataset = reworded(assistant, dataset)
    result = _asked(assistant, dataset, place, plan, progress, ("full",))
    says = plainly(result.figures["full"])
    write_atomically(plan.out / "report.txt", f"{says}\n\n{result.table}\n".encode())
    return replace(result, says=says)


def _asked(
    assistant: Assistant,
    dataset: Dataset,
    place: Place,
    plan: Plan,
    progress: Progress | None,
    conditions: Sequence[str] | None = None,
) -> Result:
    records = Records(plan.out / "records.jsonl")
    try:
        ask_all(
            assistant,
            dataset,
            place,
            plan.conditions if conditions is None else conditions,
            records,
            baselines=plan.baselines,
            naive=plan.naive,
            progress=_told(progress, "asking"),
        )
    finally:
        records.close()
    figures = measured(records.done)
    shown = table(dataset.name, figures)
    write_atomically(plan.out / "report.json", _json({"dataset": dataset.name, "figures": figures}))
    write_atomically(plan.out / "report.txt", f"{shown}\n".encode())
    if drawn := curves(records.done):
        write_atomically(plan.out / "curve.svg", picture(drawn, dataset.name).encode())
    return Result(dataset.name, figures, shown, plan.out)


def _begin(plan: Plan, facts: dict[str, Any], config: Config) -> None:
    """Make the folder ready; one that was begun with other settings is not mixed with these."""
    settings = {**facts, "sample": plan.sample, "seed": plan.seed, "naive": plan.naive, "config": to_json(config)}
    kept = plan.out / "settings.json"
    if plan.fresh and kept.is_file():  # only a folder that this command made
        shutil.rmtree(plan.out)
    if kept.is_file() and json.loads(kept.read_text("utf-8")) != json.loads(_json(settings)):
        raise UsageError(f"{plan.out} holds a run with other settings", "--fresh begins anew; or name another --out")
    plan.out.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        if any(plan.out.iterdir()):
            raise UsageError(f"{plan.out} holds something else", "--out names another folder")
        write_atomically(kept, _json(settings))


def _json(value: Any) -> bytes:
    return (json.dumps(to_json(value), indent=1, ensure_ascii=False) + "\n").encode()


def _told(progress: Progress | None, step: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(step, done, total)
