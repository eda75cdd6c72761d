"""Two rankings into one, with numbers one can work out."""

from __future__ import annotations

from rag.fuse import fuse_ranks, fuse_scores


def test_scores_are_stretched_between_best_and_worst_and_weighted() -> None:
    dense, lexical = [(1, 0.9), (2, 0.7), (3, 0.5)], [(3, 8.0), (4, 4.0)]
    fused = fuse_scores({"dense": dense, "lexical": lexical}, {"dense": 0.6, "lexical": 0.4})
    assert [(i, round(s, 6)) for i, s in fused] == [(1, 0.6), (3, 0.4), (2, 0.3), (4, 0.0)]


def test_ties_fall_to_the_smaller_id_and_an_empty_ranking_says_nothing() -> None:
    assert fuse_scores({"a": [(9, 1.0)], "b": [(2, 5.0)], "c": []}, {"a": 0.5, "b": 0.5, "c": 1.0}) == [
        (2, 0.5),
        (9, 0.5),
    ]


def test_reciprocal_ranks_are_those_of_the_paper() -> None:
    assert dict(fuse_ranks({"a": [(1, 9.0), (2, 1.0)], "b": [(2, 3.0)]})) == {1: 1 / 61, 2: 1 / 62 + 1 / 61}
