"""Figures that can be worked out by hand."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from rag.evals.report import curves, measured, picture, table
from rag.evals.scoring import ndcg, recall, reciprocal_rank, risk_coverage


def record(**changes: Any) -> dict[str, Any]:
    return {
        "condition": "full", "id": "1", "group": "A", "answerable": True, "outcome": "answered", "confidence": 0.9,
        "top1": True, "top3": True, "annotated": True, "em": 1.0, "f1": 1.0, "shown_f1": 1.0, "quoted": True,
        "citations": 1, "valid": 1, "claims": 1, "supported": 1, "worded": False, "cited_right": 1, "gold_cited": 1,
        "golds": 1, "found": [1, 0], "dense": [0, 1], "lexical": [1], "ideal": [1],
        "seconds": {"first_quote": 0.1, "total": 0.2}, **changes,
    }  # fmt: skip


def test_every_figure_of_three_questions_is_what_a_hand_finds() -> None:
    wrong = record(id="2", group="B", top1=False, annotated=False, f1=0.5, em=0.0, shown_f1=0.5, confidence=0.4,
                   found=[0, 1])  # fmt: skip
    fooled = record(id="3", answerable=False, outcome="closest", confidence=0.5, shown_f1=1.0, f1=0.0)
    made = measured([record(), wrong, fooled])["full"]
    assert made["evidence top-1: the first sentence holds the answer"]["value"] == 0.5
    assert made["short answer: F1"]["value"] == 0.75
    assert made["unanswerable ones answered"]["value"] == 0.0
    assert made["AUROC answerable / not"]["value"] == 0.5
    assert made["SQuAD 2.0 F1, as answered"]["value"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert made["retrieval: MRR@10"]["value"] == 0.75
    assert made["   BM25 alone: nDCG@10"]["value"] == 1.0
    assert made["   the embedder alone: nDCG@10"]["value"] == pytest.approx(0.6309, abs=1e-4)
    assert made["wrong among answered"]["value"] == 0.5
    assert made["citations equal to their source"]["value"] == 1.0
    bare = [name for name, figure in made.items() if not isinstance(figure, dict)]
    assert bare == ["questions", "   below, with 95 % confidence", "seconds: first quote, p50 / p95",
                    "seconds: whole answer, p50 / p95"]  # fmt: skip


def test_questions_off_topic_are_counted_apart() -> None:
    asked = [("answered", 0.95), ("nothing", 0.0), ("closest", 0.3), ("nothing", 0.1)]
    off = record(answerable=False, off_topic=True, f1=0.0)
    far = [off | {"id": f"f{n}", "group": f"g{n}", "outcome": o, "confidence": c} for n, (o, c) in enumerate(asked)]
    made = measured([record(), *far])["full"]
    assert made["questions"] == "1 answerable, 0 not, 4 off topic"
    assert made["off-topic ones answered"]["value"] == 0.25
    assert made["AUROC answerable / off topic"]["value"] == 0.75
    assert "SQuAD 2.0 F1, as answered" not in made and "AUROC answerable / not" not in made


def test_each_strictness_is_told_with_what_it_costs() -> None:
    some = [
        record(given={"strict": False, "lenient": True}),
        record(id="2", top1=False, given={"strict": False, "lenient": True}),
        record(id="3", answerable=False, f1=0.0, given={"strict": False, "lenient": False}),
        record(id="4", answerable=False, f1=0.0, given={"strict": True, "lenient": True}),
    ]
    made = {name: figure["value"] for name, figure in measured(some)["full"].items() if name.split(":")[0] in
            ("strict", "lenient")}  # fmt: skip
    assert made == {
        "strict: answerable ones answered": 0.0,
        "strict: unanswerable ones answered": 0.5,
        "lenient: answerable ones answered": 1.0,
        "lenient: wrong among these": 0.5,
        "lenient: unanswerable ones answered": 0.5,
    }


def test_the_threshold_for_silence_comes_from_the_other_half_of_the_documents() -> None:
    """In each half silence under 0.5 is right; a threshold fitted on the half itself could not be told from luck."""
    name = "SQuAD 2.0 F1, threshold from the other half"
    some = [record(id=f"{g}{n}", group=g, confidence=0.8) for g in "AB" for n in range(3)]
    some += [record(id=f"{g}n{n}", group=g, answerable=False, confidence=0.2, f1=0.0) for g in "AB" for n in range(3)]
    assert measured(some)["full"][name]["value"] == 1.0
    some[0]["confidence"] = 0.1  # one answerable question of A is silenced by the threshold of B
    assert measured(some)["full"][name]["value"] == pytest.approx(11 / 12, abs=0.1)


def test_measures_of_a_ranking_are_those_of_the_papers() -> None:
    assert ndcg([3, 2, 3, 0, 1, 2], [3, 3, 2, 2, 1, 0], 6) == pytest.approx(0.9488, abs=1e-4)
    assert reciprocal_rank([0, 0, 1]) == pytest.approx(1 / 3)
    assert recall([1, 0, 1], [1, 1, 1, 1], 2) == 0.25


def test_the_curve_falls_back_to_the_share_wrong_of_all() -> None:
    assert risk_coverage([0.9, 0.8, 0.1], [True, False, True]) == [(1 / 3, 0.0), (2 / 3, 0.5), (1.0, 1 / 3)]


def test_the_picture_is_xml_whatever_a_dataset_is_called() -> None:
    drawn = picture(curves([record(), record(id="2", top1=False)]), "<script>alert(1)</script>")
    assert "<script>" not in drawn
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_the_table_has_a_column_for_each_condition() -> None:
    shown = table("set", measured([record(), record(condition="gold")]))
    assert "full" in shown.splitlines()[1] and "gold" in shown.splitlines()[1]
    assert "100.0 (100 to 100)" in shown
