"""An evaluation from end to end, with the real readers, on a dataset small enough to check by eye."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rag
from rag.config import Config
from rag.errors import UsageError
from rag.evals.run import Plan, evaluate, evaluate_own
from tests.evals.test_datasets import lines

pytestmark = pytest.mark.slow
CONFIG = Config.load({"llm.model": "none"}, environ={})
TEXTS = {
    "Trees": "Japan will give 250 cherry blossom trees to the United States. They will stand in Washington.",
    "Museum": "The harbour museum opened in 1931. Its founder was the sailor Edith Lowe, who gave it 40 model ships.",
    "Storm": "In the storm of Tuesday 18 boats sank off Hull. Nobody was hurt, said the coast guard.",
}
ROWS: list[dict[str, object]] = [
    {"id": f"{title}-{n}", "source": "t", "title": title, "context": TEXTS[title], "question": question,
     "answers": [{"text": a, "start": TEXTS[title].index(a)}] if a else []}
    for n, (title, question, a) in enumerate([
        ("Trees", "How many cherry trees will Japan give?", "250"),
        ("Museum", "Who founded the harbour museum?", "Edith Lowe"),
        ("Storm", "How many boats sank off Hull?", "18"),
        ("Storm", "What is the boiling point of mercury?", ""),
    ])
]  # fmt: skip


def test_a_run_measures_every_condition_and_writes_it_down(tmp_path: Path) -> None:
    result = evaluate(lines(tmp_path / "small.jsonl", ROWS), Plan(tmp_path / "out"), CONFIG)
    assert set(result.figures) == {"gold", "distractors", "full"}
    full = result.figures["full"]
    assert full["evidence top-1: the first sentence holds the answer"]["value"] == 1.0
    assert full["retrieval: recall@1"]["value"] == 1.0
    assert full["citations equal to their source"]["value"] == 1.0
    assert full["unanswerable ones answered"]["value"] == 0.0
    records = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert all(r["given"][CONFIG.answer.strictness] is (r["outcome"] == "answered") for r in records)
    assert any(r["given"]["lenient"] for r in records) and not all(r["given"]["strict"] for r in records)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["figures"]["full"]
    assert (tmp_path / "out" / "report.txt").read_text().startswith("small\n")
    assert "<svg" in (tmp_path / "out" / "curve.svg").read_text()


def test_a_stopped_run_goes_on_and_asks_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, plan = lines(tmp_path / "small.jsonl", ROWS), Plan(tmp_path / "out", ("full",))
    asked: list[str] = []
    really = rag.Assistant.ask

    def counting(self: rag.Assistant, question: str, **more: object) -> object:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(question)
        return really(self, question, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rag.Assistant, "ask", counting)
    with pytest.raises(KeyboardInterrupt):
        evaluate(data, plan, CONFIG)
    path = tmp_path / "out" / "records.jsonl"
    path.write_bytes(path.read_bytes() + b'{"condition": "full", "id": "cut o')  # as a kill may leave it
    monkeypatch.setattr(rag.Assistant, "ask", really)
    evaluate(data, plan, CONFIG)
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert sorted(ids) == sorted(str(r["id"]) for r in ROWS)


def test_another_plan_is_not_mixed_into_a_folder(tmp_path: Path) -> None:
    data = lines(tmp_path / "small.jsonl", ROWS[:1])
    evaluate(data, Plan(tmp_path / "out", ("gold",)), CONFIG)
    with pytest.raises(UsageError, match="other settings"):
        evaluate(data, Plan(tmp_path / "out", ("gold",), seed=1), CONFIG)
    evaluate(data, Plan(tmp_path / "out", ("gold",), seed=1, fresh=True), CONFIG)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        evaluate(data, Plan(tmp_path / "mine", fresh=True), CONFIG)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "mine"


def test_questions_off_topic_are_asked_of_all_texts_and_answered_by_none(tmp_path: Path) -> None:
    data, other = lines(tmp_path / "small.jsonl", ROWS[:1]), lines(tmp_path / "else.jsonl", ROWS[1:3])
    away = Plan(tmp_path / "out", ("gold", "full"), off_topic=other)
    result = evaluate(data, away, CONFIG)
    assert result.figures["full"]["questions"] == "1 answerable, 0 not, 2 off topic"
    assert result.figures["gold"]["questions"] == "1 answerable, 0 not"
    assert set(result.figures["full"]) >= {"off-topic ones answered", "AUROC answerable / off topic"}
    with pytest.raises(UsageError, match="off topic"):
        evaluate(data, Plan(tmp_path / "gold", ("gold",), off_topic=other), CONFIG)


def test_an_unknown_condition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="golden"):
        evaluate(lines(tmp_path / "small.jsonl", ROWS[:1]), Plan(tmp_path / "out", ("golden",)), CONFIG)


def test_an_index_is_asked_about_its_own_documents(tmp_path: Path) -> None:
    for title, text in TEXTS.items():
        (tmp_path / f"{title}.txt").write_text(text)
    with rag.open(documents=[tmp_path / f"{t}.txt" for t in TEXTS], llm_model="none") as assistant:
        result = evaluate_own(assistant, Plan(tmp_path / "out", sample=6))
        assert evaluate_own(assistant, Plan(tmp_path / "out", sample=6)).figures == result.figures
    records = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    yes = [r for r in records if r["answerable"]]
    assert len(yes) >= 3 and all(r["question"].endswith("?") for r in records)
    assert any(not r["answerable"] for r in records)
    assert result.figures["full"]["retrieval: the right passage is first"]["value"] == 1.0
    assert "Expect the right passage first in 20 of 20 questions" in (tmp_path / "out" / "report.txt").read_text()
    assert result.figures["full"]["retrieval: recall@1"]["value"] == 1.0


def test_answers_rated_on_the_page_are_asked_again_and_bad_ones_are_no_truth(tmp_path: Path) -> None:
    from rag.conversation.export import cases

    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    with rag.open(documents=[tmp_path / f"{name}.txt" for name in TEXTS], llm_model="none") as assistant:
        kept = assistant.conversations
        for question, good in (("Who founded the harbour museum?", True), ("How many boats sank off Hull?", False)):
            kept.rate(kept.add(None, assistant.ask(question)).id, 0, good)
        rows = list(cases(kept.load(row.id) for row in kept.rows()))
    assert len(rows) == 2
    result = evaluate(lines(tmp_path / "mine.jsonl", rows), Plan(tmp_path / "out", ("full",)), CONFIG)
    records = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in records}) == 1
    assert result.figures["full"]["citations equal to their source"]["value"] == 1.0
