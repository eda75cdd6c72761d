"""The reader's training, run small and whole: stopped, gone on with, exported, and read by the product."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.models import Models
from rag.read.trained import TrainedReader

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "models" / "trained" / "reader"
FILES = "squad1-train squadshifts-amazon_reviews squadshifts-reddit qed-train fairytaleqa-train selqa-dev selqa-test"
TOWNS = [a + b for a in ("Bel", "Kor", "Mar", "Ost", "Tal", "Vin") for b in ("dale", "ford", "ham", "mouth", "wick")]


def examples(source: str, rng: random.Random) -> list[dict[str, object]]:
    """Questions on made-up towns, in the data's own format: a context, its question, the answer's place."""
    made = list[dict[str, object]]()
    for town in TOWNS:
        year, height = rng.randrange(1100, 1950), rng.randrange(20, 300)
        context = (
            f"{town} is a small town on the northern coast, known for its harbour. Its church was finished in {year} "
            f"by masons from the south. The tower of the church is {height} metres high. Every summer a market is held."
        )
        for question, answer in ((f"When was the church of {town} finished?", year), (f"How high is {town}?", height)):
            start = context.index(str(answer))
            made.append({
                "id": f"{source}-{len(made)}", "source": source, "title": town, "context": context,
                "question": question, "answers": [{"text": str(answer), "start": start}], "evidence": [],
            })  # fmt: skip
    return made


@pytest.fixture(scope="module")
def tokenizer() -> Path:
    models = Models()
    try:
        return models.locate(models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json"
    except RagError as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for n, name in enumerate(FILES.split()):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(e) + "\n" for e in examples(name, random.Random(n)))
    return folder


def command(data: Path, runs: Path) -> list[str]:
    """One that takes a minute at most: 400 pairs, from the shipped weights."""
    options = ["--data", data, "--runs", runs, "--pairs", 400, "--tokens", 500, "--parts", 1, "--workers", 1]
    further = ["--further", HOME / "reader.onnx", "--rate", "2e-5", "--name", "small"]
    return [sys.executable, str(HOME / "train.py"), *map(str, [*options, *further])]


def test_a_training_that_is_stopped_goes_on_and_its_file_is_read_by_the_product(
    data: Path, tokenizer: Path, tmp_path: Path
) -> None:
    run = tmp_path / "small"
    with subprocess.Popen(command(data, tmp_path), stdout=subprocess.PIPE, text=True, cwd=ROOT) as training:
        assert training.stdout is not None
        assert training.stdout.readline().startswith("epoch 0:")
        time.sleep(2.0)  # it learns
        training.send_signal(signal.SIGTERM)
        training.communicate(timeout=60)
    assert training.returncode == 0
    assert (run / "checkpoint.pt").exists()
    assert not (run / "model.pt").exists(), "it ended before it was stopped"

    again = subprocess.run(command(data, tmp_path), capture_output=True, text=True, cwd=ROOT, timeout=300, check=True)
    assert "going on after" in again.stdout
    assert not again.stdout.startswith("going on after 0 pairs")
    facts = json.loads((run / "run.json").read_text("utf-8"))
    assert 400 <= facts["pairs_seen"] < 440

    made = tmp_path / "reader"
    export = [sys.executable, str(HOME / "export.py"), str(run), "--into", str(made), "--data", str(data)]
    subprocess.run(export, capture_output=True, cwd=ROOT, timeout=300, check=True)
    card, shipped = (json.loads((f / "reader.json").read_text("utf-8")) for f in (made, HOME))
    assert card["training"] == facts
    assert card["sha256"] != shipped["sha256"]
    assert card["bytes"] == (made / "reader.onnx").stat().st_size < 25_000_000

    text = "The mill burnt down in 1811. Quarndon lies inland. Its bridge was finished in 1764 by a mason from Derby."
    scores = TrainedReader(made, tokenizer).scores("When was the bridge finished?", [text])[0]
    best = max(scores.sentences, key=lambda s: s.best_score)
    assert best.best is not None
    assert best.best.of(text) == "1764"
