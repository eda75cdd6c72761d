"""Reading what was found changes its order as far as its weight goes, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import rag
from rag.evals.rerank import chosen, halves, score, sealed, table
from rag.read import Reading
from rag.rerank import reranked
from rag.types import Document, Hit, Passage, Source, Span


class Relevant:
    """A reader to whom a text is as relevant as the number in it says; `seen` are the texts that it read."""

    name = fingerprint = "relevant"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        self.seen += texts
        return [Reading(float(text.split()[-1]), (), None, 0.0, 0.0) for text in texts]


def hit(relevance: int, score: float) -> Hit:
    document = Document(Source.at(f"t{relevance}", "t"), f"boats {relevance}")
    return Hit(Passage.cut(document, Span(0, len(document.text))), score, {"dense": 1})


def test_relevance_joins_the_fused_score_with_its_weight() -> None:
    hits = [hit(1, 1.0), hit(5, 0.9), hit(3, 0.2)]
    found = reranked("boats?", hits, Relevant(), 3, 0.5)
    assert [h.passage.text for h in found] == ["boats 5", "boats 1", "boats 3"]
    assert [h.score for h in found] == pytest.approx([(0.9 + 0.5) / 1.5, 1 / 1.5, (0.2 + 0.25) / 1.5])
    assert [dict(h.ranks) for h in found] == [{"dense": 1, "reader": n} for n in (1, 3, 2)]
    assert [h.passage for h in reranked("boats?", hits, Relevant(), 3, 0.0)] == [h.passage for h in hits]


def test_only_the_first_are_read_and_the_rest_stay_behind_them() -> None:
    hits, reader = [hit(1, 1.0), hit(2, 0.5), hit(9, 0.5), hit(8, 0.1)], Relevant()
    found = reranked("boats?", hits, reader, 2, 4.0)
    assert reader.seen == ["t\nboats 1", "t\nboats 2"]
    assert [h.passage.text for h in found] == ["boats 2", "boats 1", "boats 9", "boats 8"]
    assert "reader" not in found[2].ranks
    assert reranked("boats?", [], reader, 5, 1.0) == []


def record(fused: list[float], relevance: list[float], right: int) -> dict[str, object]:
    texts = [f"t{n}" for n in range(len(fused))]
    return {"group": str(right), "texts": texts, "fused": fused, "relevance": relevance, "grades": {f"t{right}": 1}}


def test_the_evaluation_orders_as_the_search_does() -> None:
    """The same passages by both: scores fall, so two places are swapped exactly when the weight is over 0.25."""
    one = record([1.0, 0.75, 0.0], [0.0, 4.0, 2.0], 1)
    hits = [hit(0, 1.0), hit(4, 0.75), hit(2, 0.0)]
    for weight in (0.1, 0.2, 0.3, 0.5):
        first = reranked("?", hits, Relevant(), 3, weight)[0].passage.text == "boats 4"
        assert first is (weight > 0.25) is (score(one, weight) == 1.0)


def test_no_weight_is_chosen_that_costs_a_collection_anything() -> None:
    helped = record([1.0, 0.75], [0.0, 1.0], 1)  # from 0.25 on
    harmed = record([1.0, 0.6], [0.0, 1.0], 0)  # from 0.4 on
    assert chosen({"a": [helped], "b": [harmed]}) == 0.3
    assert chosen({"a": [helped], "b": [record([1.0, 0.9], [0.0, 1.0], 0)]}) == 0.0
    told = table("a", [(helped, 0.3), (helped, 0.5)])
    assert "fused 63.1 (63.1 to 63.1), reranked 100.0" in told and "change +36.9" in told


def test_every_question_is_measured_with_a_weight_that_it_had_no_part_in_choosing() -> None:
    helped = record([1.0, 0.75], [0.0, 1.0], 1)  # from 0.25 on
    harmed = record([1.0, 0.75], [0.0, 1.0], 0)
    weights, crossed = halves({"a": [helped, harmed, helped]})
    assert weights == [0.3, 0.0]
    assert crossed == {"a": [(helped, 0.0), (helped, 0.0), (harmed, 0.3)]}
    assert "change -12.3" in table("a", crossed["a"])  # (0.631 - 1) / 3


def test_two_in_five_abstracts_are_sealed_and_always_the_same() -> None:
    assert 0.38 < sum(sealed(str(n)) for n in range(5000)) / 5000 < 0.42
    assert [n for n in range(10) if sealed(str(n))] == [0, 3, 4, 8, 9]  # sha256 begins with less than 0x66


@pytest.mark.slow
def test_a_search_is_read_on_demand_and_by_the_settings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The harbour of Hull is old.\n\nOn Tuesday 18 boats sank off Hull in the storm.")
    for settings, more in (({}, {"rerank": 5}), ({"retrieve_rerank": 5}, {})):
        with rag.open(documents=tmp_path, llm_model="none", **settings) as assistant:
            found = assistant.search("How many boats sank?", 1, **more)
            assert len(found) == 1 and "18 boats" in found[0].passage.text and found[0].ranks["reader"] == 1
            assert "reader" not in assistant.search("How many boats sank?", 1, rerank=0)[0].ranks
