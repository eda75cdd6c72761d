"""Yes-or-no, list and number questions on texts written for them, end to end; `python -m rag.evals.kinds` prints it."""

from __future__ import annotations

import json

import pytest

import rag
from rag.evals.kinds import FOLDER, Asked, asked, items, table
from rag.types import Answer, Kind, Outcome


def answer(short: str, outcome: Outcome = Outcome.ANSWERED, kind: Kind = Kind.LIST) -> Answer:
    return Answer("?", short, (), (), outcome, kind=kind, short=short)


def test_right_is_what_the_text_says_no_more_and_no_less() -> None:
    assert items("the chart room; Sail loft") == ["chart room", "sail loft"]
    for short, right in (("rye; barley", True), ("barley", False), ("barley; rye; oats", False)):
        assert Asked("l", Kind.LIST, ("barley", "rye"), answer(short)).right is right
    for short, right in (("31 kilometres", True), ("31 or 40", False), ("310", False)):
        assert Asked("n", Kind.NUMBER, ("31",), answer(short)).right is right
    assert Asked("y", Kind.YES_NO, ("",), answer("")).right and not Asked("y", Kind.YES_NO, ("",), answer("No")).right
    assert not Asked("y", Kind.YES_NO, ("No",), answer("No", Outcome.CLOSEST)).right


def test_the_answers_stand_in_the_texts() -> None:
    for folder in (FOLDER, FOLDER / "second"):
        text = " ".join(p.read_text("utf-8") for p in folder.glob("*.txt"))
        rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
        assert len({r["id"] for r in rows}) == len(rows)
        assert all(w in text for r in rows if r["kind"] != "yes_no" for w in r["answer"])
        assert {w for r in rows if r["kind"] == "yes_no" for w in r["answer"]} == {"Yes", "No", ""}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "second"])
def test_no_yes_or_no_is_wrong_and_most_lists_and_numbers_are_right(name: str) -> None:
    folder = FOLDER / name if name else FOLDER
    with rag.open(documents=sorted(folder.glob("*.txt")), llm_model="none") as assistant:
        if assistant._rooms.reader.name == "overlap":
            pytest.skip("the trained reader is not there")
        all_ = asked(assistant, folder)
    print(table(all_))
    assert all(a.answer.kind is a.kind for a in all_)
    assert [a.id for a in all_ if a.kind is Kind.YES_NO and a.given and not a.right] == []
    for kind, share in ((Kind.YES_NO, 0.5), (Kind.LIST, 0.7), (Kind.NUMBER, 0.8)):
        some = [a.right for a in all_ if a.kind is kind]
        assert sum(some) >= share * len(some), kind
