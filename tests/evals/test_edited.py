"""Edits of facts, and questions written from documents, are right by construction."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import rag
from rag.evals.asking import Records
from rag.evals.datasets import Dataset, Question, Text
from rag.evals.obedience import _summary, both, edits, follow, indexed_as, said, says
from rag.evals.own import written
from rag.evals.swaps import another
from rag.evals.validity import counted, papers, pdf, texts
from rag.types import Answer, Outcome, Span

TEXT = "The bridge was built by Anna Weiss in 1931. It is 240 metres long, and the tunnel is 12 metres wide."
QUESTIONS = (
    *(
        Question(str(n), asked, (answer,), ("t",), (("t", Span(TEXT.index(answer), TEXT.index(answer) + len(answer))),))
        for n, (asked, answer) in enumerate(
            [
                ("Who built the bridge?", "Anna Weiss"),
                ("When was the bridge built?", "1931"),
                ("How long is it?", "240"),
                ("Is the bridge of 1931 by Anna Weiss?", "Anna Weiss"),  # names its own answer: no question of fact
                ("What is wide?", "the tunnel"),  # neither a number nor a name
            ]
        )
    ),
    Question("x", "Who sailed?", ("Olaf Berg",), ("u",), (("u", Span(0, 9)),)),
)
DATASET = Dataset("d", "reading", (Text("t", "T", TEXT), Text("u", "U", "Olaf Berg sailed.")), QUESTIONS, "")


def test_an_edit_exchanges_exactly_the_answer_for_another_of_its_kind() -> None:
    made = {e.question.id: e for e in edits(DATASET, 1)}
    assert set(made) == {"0", "1", "2"}
    for edit in made.values():
        original = next(t.text for t in DATASET.texts if t.id == edit.question.gold[0])
        assert edit.after.replace(edit.new, edit.old) == original == edit.before != edit.after
    assert re.fullmatch("[A-Z][a-z]+ [A-Z][a-z]+", made["0"].new)  # a person for a person
    assert made["1"].new != "1931" and abs(int(made["1"].new) - 1931) <= 40
    assert len(made["2"].new) == 3 and made["2"].new.isdigit()
    assert [e.new for e in edits(DATASET, 1)] == [e.new for e in edits(DATASET, 1)]


def test_a_value_that_stands_elsewhere_too_is_not_edited() -> None:
    text = "In all 240 came. Of the 240 metres, 12 were dug. Its length is 365."
    places = [("240", 7), ("365", text.index("365"))]
    twice = [
        Question(value, "How many?", (value,), ("t",), (("t", Span(at, at + len(value))),)) for value, at in places
    ]
    assert [e.old for e in edits(Dataset("d", "reading", (Text("t", "T", text),), tuple(twice), ""), 1)] == ["365"]


def test_a_name_that_the_text_says_again_in_part_or_as_initials_is_not_edited() -> None:
    text = "Anna Weiss won. Weiss was glad. The NBA (National Board of Art) came, and Karl Lund saw it."
    asked = {"Who won?": "Anna Weiss", "Who came?": "NBA", "Who saw it?": "Karl Lund", "Who else?": "Olaf Berg"}
    places = {a: (("t", Span(text.find(a), text.find(a) + len(a))),) for a in asked.values() if a in text}
    some = tuple(Question(q, q, (a,), ("t",), places[a]) for q, a in asked.items() if a in places)
    other = Question("o", "Who else?", ("Olaf Berg",), ("o",), (("o", Span(0, 9)),))
    board = Question("b", "Who sat?", ("UNO",), ("o",), (("o", Span(10, 13)),))
    whole = (Text("t", "T", text), Text("o", "O", "Olaf Berg UNO."))
    assert {e.old for e in edits(Dataset("d", "reading", whole, (*some, other, board), ""), 1)} == {
        "Karl Lund"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value", "like"),
    [
        (
            "It was rejected in August of that year.",
            "August",
            r"(?!August)(?:January|February|March|April|May|J.*|.*ber)",
        ),
        ("It closed on 24 March.", "24", r"1?\d|2[0-35-8]"),
        ("It sits on Wednesday.", "Wednesday", r"(?!Wed).*day"),
        ("All seven came.", "seven", r"(?!seven)(?:t|th|f|s|e|n).*"),
        ("They left for Cuba.", "Cuba", r"(?!Cuba)[A-Z].*"),
        ("It was led by Anna Weiss.", "Anna Weiss", r"(?!Anna)[A-Z][a-z]+ (?!Weiss)[A-Z][a-z]+"),
        ("The chemist Robert Boyle proved it.", "Boyle", r"(?!Boyle)[A-Z][a-z]+"),
        ("They play at Mill Hall.", "Mill Hall", r"(?!Mill)[A-Z][a-z]+ Hall"),
        ("The Treaty of Lisbon ended it.", "Treaty of Lisbon", r"Treaty of (?!Lisbon)[A-Z][a-z]+"),
        ("About 63,519 came.", "63,519", r"[2-9]\d,\d{3}"),
        ("FIFA rejected it.", "FIFA", None),  # what it names is a guess
        ("The Red Star won.", "Red Star", None),
        ("The British captured it.", "British", None),
        ("Northern Ireland voted.", "Ireland", None),  # a part of a name
        ("It stands in Paris, Texas.", "Paris", None),
        ("Louis XIV gained the throne.", "Louis XIV", None),
        ("He lived 1641-1679.", "1679", None),
        ("It begins at 11:40.", "40", None),
    ],
)
def test_a_value_gives_way_to_one_of_its_own_kind_or_stays(text: str, value: str, like: str | None) -> None:
    before, after = text.split(value)
    for seed in range(9):
        new = another(value, before, after, random.Random(seed))
        assert new is None if like is None else re.fullmatch(like, new or ""), new


def test_an_answer_that_says_the_old_value_is_caught_even_beside_the_new_one() -> None:
    edit = next(e for e in edits(DATASET, 1) if e.question.id == "2")

    def answer(text: str, outcome: Outcome = Outcome.ANSWERED) -> Answer:
        return Answer("?", text, (), (), outcome)

    assert said(edit, answer(f"It is {edit.new} metres long.")) == "follows"
    assert said(edit, answer(f"It is {edit.new}, not 240 metres long.")) == "old"
    assert said(edit, answer("It is long.")) == "elsewhere"
    assert said(edit, answer(f"It is {edit.new} metres.", Outcome.CLOSEST)) == "withheld"
    assert says(answer("It is 240 metres long."), "240") and not says(answer("It is 2400 metres long."), "240")
    assert not says(answer("It is 240 metres long.", Outcome.CLOSEST), "240")


def test_following_is_counted_of_what_was_said_before_and_the_old_value_of_all() -> None:
    counts = {(True, "follows"): 8, (True, "withheld"): 3, (True, "elsewhere"): 2, (False, "old"): 1}
    told = "\n".join(_summary(counts, {"follows": 4, "withheld": 0}))
    assert "14 edits, of 13 the value was said before" in told
    assert "of these 8 follow, 61.5%; say neither value 2" in told
    assert "the old value is shown, of all edits: 1" in told
    assert follow(counts) == (pytest.approx(8 / 13), pytest.approx(0.355, abs=1e-3), 13)  # Clopper and Pearson, 5 of 13
    assert follow({}) == (0.0, 0.0, 0)


def test_a_question_to_the_whole_index_may_be_answered_from_another_document() -> None:
    edit = next(e for e in edits(DATASET, 1) if e.question.id == "2")
    other = Answer("?", "It is 240 metres long.", (), (), Outcome.ANSWERED)
    assert said(edit, other, own="") == "another"
    assert said(edit, other, own=f"It is {edit.new} metres long.") == "follows"  # another text may still say 240


def test_the_edited_text_is_read_back_and_the_index_is_as_before() -> None:
    with rag.open(documents=[], llm_model="none") as assistant:
        place = indexed_as(assistant, DATASET)
        edit = next(e for e in edits(DATASET, 1) if e.question.id == "1")
        before, after = both(assistant, place, edit, DATASET)
        assert says(before, "1931") and says(after, edit.new)
        assert sorted(assistant.document(s.source.id).text for s in assistant.sources()) == ["Olaf Berg sailed.", TEXT]


def test_papers_hold_combining_marks_and_words_from_right_to_left(tmp_path: Path) -> None:
    pdf(tmp_path / "papers.pdf", papers())
    with rag.open(documents=tmp_path, llm_model="none") as assistant:
        text = assistant.document(assistant.sources()[0].source.id).text
    assert "cafe\u0301" in text and "\u05d7" in text and "\u0642" in text


def test_counting_citations_goes_on_where_it_was(tmp_path: Path) -> None:
    lines = [f"In {1900 + n} Hull counted {n + 7} old boats there." for n in range(9)]
    (tmp_path / "boats.txt").write_text("\n".join(lines))
    with rag.open(documents=tmp_path, llm_model="none") as assistant:
        *_, whole = counted(assistant, 8, 0, Records(tmp_path / "whole.jsonl"))
        first = next(counted(assistant, 8, 0, Records(tmp_path / "cut.jsonl")))
        *_, rest = counted(assistant, 8, 0, Records(tmp_path / "cut.jsonl"))
        assert list(counted(assistant, 8, 0, Records(tmp_path / "cut.jsonl"))) == []
    assert first.asked == 1 and whole.given >= 8 and rest == whole and whole.held == whole.given


@pytest.mark.slow
def test_citations_of_hostile_texts_hold(tmp_path: Path) -> None:
    for name, text in texts(6, 3):
        (tmp_path / name).write_bytes(text.encode())
    pdf(tmp_path / "papers.pdf", papers())
    with rag.open(documents=tmp_path) as assistant:
        assert len(assistant.sources()) == 7
        *_, count = counted(assistant, 40, 0, Records(tmp_path / "kept.jsonl"))
        dataset, place = written(assistant, 30, 0)
    assert count.given >= 40 and count.held == count.given and count.asked > 0
    assert count.claims > 0 and count.bare == 0
    for question in dataset.questions:
        assert question.gold[0] in place.source
        assert question.answerable or (question.answers == () and question.id.endswith(":fooled"))
