"""Questions with known answers come out of every format the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.evals.datasets import load
from rag.types import Answer, Span

CONTEXT = "Japan will give 250 cherry trees. They will stand in Washington."


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    text = "".join(json.dumps(r) + "\n" for r in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


READING: list[dict[str, object]] = [
    {"id": "q1", "source": "s", "title": "Trees", "context": CONTEXT, "question": "How many trees?",
     "answers": [{"text": "250", "start": 16}, {"text": "250 cherry trees", "start": 16}]},
    {"id": "q2", "source": "s", "title": "Trees", "context": CONTEXT, "question": "How many lakes?", "answers": []},
    {"id": "q3", "source": "s", "title": "Rain", "context": "Rain fell.", "question": "What fell?", "answers": [],
     "evidence": [[0, 10]]},
]  # fmt: skip


@pytest.mark.parametrize("name", ["reading.jsonl", "reading.jsonl.gz"])
def test_a_reading_file_has_one_text_per_context_and_knows_where_answers_stand(tmp_path: Path, name: str) -> None:
    found = load(lines(tmp_path / name, READING))
    assert [t.text for t in found.texts] == [CONTEXT, "Rain fell."]
    first, second, third = found.questions
    assert first.answers == ("250", "250 cherry trees")
    assert [span.of(CONTEXT) for _, span in first.places] == ["250", "250 cherry trees"]
    assert (first.answerable, second.answerable, third.answerable) == (True, False, True)
    assert second.gold == first.gold == ("c0",)
    assert third.places == (("c1", Span(0, 10)),)


def test_squad_gives_what_the_same_questions_give_as_a_reading_file(tmp_path: Path) -> None:
    qas = [
        {"id": "q1", "question": "How many trees?", "is_impossible": False,
         "answers": [{"text": "250", "answer_start": 16}, {"text": "250 cherry trees", "answer_start": 16}]},
        {"id": "q2", "question": "How many lakes?", "is_impossible": True, "answers": [],
         "plausible_answers": [{"text": "250", "answer_start": 16}]},
    ]  # fmt: skip
    squad = tmp_path / "dev.json"
    squad.write_text(json.dumps({"data": [{"title": "Trees", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}))
    assert load(squad).questions == load(lines(tmp_path / "r.jsonl", READING[:2])).questions


def test_a_case_brings_its_own_passages_and_its_evidence_is_located(tmp_path: Path) -> None:
    row = {"id": "k", "question": "Where?", "answers": ["Washington"], "gold": ["p1"], "answerable": True,
           "passages": [{"id": "p0", "title": "Rain", "text": "Rain fell."},
                        {"id": "p1", "title": "Trees", "text": CONTEXT}],
           "evidence": [{"passage": "p1", "text": "They will stand in Washington."}]}  # fmt: skip
    found = load(lines(tmp_path / "cases.jsonl", [row, {**row, "id": "k2", "answerable": False}]))
    question = found.questions[0]
    assert len(found.texts) == 2 and question.among == ("p0", "p1") and question.gold == ("p1",)
    assert [span.of(CONTEXT) for _, span in question.places] == ["They will stand in Washington."]
    assert not found.questions[1].answerable


def test_a_beir_folder_keeps_only_questions_with_a_graded_text(tmp_path: Path) -> None:
    lines(tmp_path / "corpus.jsonl.gz", [{"_id": "a", "title": "T", "text": "one"}, {"_id": "b", "text": "two"}])
    lines(tmp_path / "queries.jsonl", [{"_id": "1", "text": "which?"}, {"_id": "2", "text": "ungraded?"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t2\n1\ta\t0\n")
    found = load(tmp_path)
    assert found.kind == "ranking" and len(found.texts) == 2
    assert [dict(q.grades) for q in found.questions] == [{"b": 2}]


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}\n', "[1, 2]\n"])
def test_what_is_none_of_the_formats_is_said_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"odd\.jsonl"):
        load(path)


def test_a_sample_is_the_same_for_the_same_seed_and_takes_both_kinds(tmp_path: Path) -> None:
    whole = load(lines(tmp_path / "r.jsonl", [{**r, "id": f"{r['id']}-{n}"} for n in range(20) for r in READING]))
    some = whole.sample(5, 1)
    assert some.questions == whole.sample(5, 1).questions != whole.sample(5, 2).questions
    assert sum(q.answerable for q in some.questions) == 5 and len(some.questions) == 10
    assert some.texts == whole.texts


def test_what_was_rated_on_the_page_can_be_evaluated_and_a_bad_answer_says_nothing(tmp_path: Path) -> None:
    from rag.conversation import Conversations
    from rag.conversation.export import cases
    from tests.browser.fake_assistant import FakeAssistant

    fake = FakeAssistant()
    kept = Conversations(tmp_path / "kept")
    for n, (question, good) in enumerate((("trees?", True), ("trees again?", False), ("nothing?", True))):
        *_, answer = fake.stream(question)
        assert isinstance(answer, Answer)
        talk = kept.add(None, answer)
        kept.rate(talk.id, 0, good, f"note {n}")
    rows = list(cases(kept.load(row.id) for row in kept.rows()))
    assert sorted((row["question"], row["answerable"]) for row in rows if row["good"]) == [
        ("nothing?", False),
        ("trees?", True),
    ]
    found = load(lines(tmp_path / "mine.jsonl", rows))
    assert {q.text: q.answerable for q in found.questions} == {"trees?": True, "nothing?": False}
    good = next(q for q in found.questions if q.answerable)
    texts = {t.id: t.text for t in found.texts}
    assert {span.of(texts[i]) for i, span in good.places} == {
        "Japan will donate 250 cherry blossom trees to the United States.",
        "The gift\ncontinues a custom of 1912.",
    }
    with pytest.raises(UsageError, match="of no case"):
        load(lines(tmp_path / "bad.jsonl", [row for row in rows if not row["good"]]))
