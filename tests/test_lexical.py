"""BM25 over FTS5: the formula by hand, and nothing that a person types is syntax."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import lexical

TEXTS = [
    "Japan will give 250 cherry trees",
    "The trees stand in Washington",
    "Tariffs were raised in April; tariffs again in May",
    "A tree, another tree and one more tree",
]


def table(texts: Sequence[str], headings: Sequence[str] = ()) -> sqlite3.Connection:
    con = sqlite3.connect(":memory:", isolation_level=None)
    con.executescript(lexical.SCHEMA)
    headings = headings or [""] * len(texts)
    lexical.add(con, [(i + 1, t, h) for i, (t, h) in enumerate(zip(texts, headings, strict=True))])
    return con


def found(con: sqlite3.Connection, query: str, k: int = 10, among: Sequence[int] | None = None) -> list[int]:
    return [id for id, _ in lexical.search(con, lexical.query_terms(query), k, among)]


def test_words_are_found_in_any_form_case_and_without_accents() -> None:
    con = table([*TEXTS, "Der Zürcher Zoo", "naïve café"])
    assert found(con, "TREE") == [4, 2, 1]
    assert found(con, "raising a tariff") == [3]
    assert found(con, "zurcher") == [5]
    assert found(con, "Café, naïve") == [6]


def test_scores_are_bm25_worked_out_by_hand_and_higher_is_better() -> None:
    """Robertson's formula with k1 = 1.2, b = 0.75; lengths are tokens of the row, the average that of the table."""
    con = table(["apple pear", "apple apple fig plum", "kiwi", "fig", "melon"])
    n, average = 5, (2 + 4 + 1 + 1 + 1) / 5

    def score(count: int, length: int) -> float:
        idf = math.log((n - 2 + 0.5) / (2 + 0.5))
        return idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / average))

    scores = dict(lexical.search(con, ['"apple"'], 5))
    assert scores == pytest.approx({1: score(1, 2), 2: score(2, 4)})
    assert all(s > 0 for s in scores.values())


def test_a_word_in_the_heading_finds_the_passage_but_weighs_less_than_in_its_text() -> None:
    con = table(["they are paid", "refunds are paid now", "they are made", "x", "y"], ["refunds", "", "", "", ""])
    assert found(con, "refunds") == [2, 1]


def test_stop_words_are_dropped_unless_nothing_else_is_left() -> None:
    assert lexical.query_terms("Who was the president of it?") == ['"president"']
    assert lexical.query_terms("The Who") == ['"the"', '"who"']
    assert lexical.query_terms("") == lexical.query_terms(" \t\n") == []


HOSTILE = [
    '"', '""', "'", "*", "a*", "^a", "a NEAR b", "NEAR(a b, 5)", "AND", "OR NOT", "text:apple", "{text heading}: a",
    "-a", "+a", "a + b", "(", ")", "((((", "a\0b", "\0", "\ud800", "a\udfffb", "😀", "👩‍👩‍👧", "\u200b", "\u202etxet",
    "; DROP TABLE words", "_", "__", "a_b", "don't", "O’Neil", "'", "%", "\\", "<|im_end|>", "٣", "１２", "ﬁ",
    "東", "東京都", "ก", "x" * 1_000_000, "a b " * 250_000, "\n".join(str(i) for i in range(100_000)),
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=lambda q: ascii(q[:20]))
def test_nothing_that_a_person_types_is_syntax(query: str) -> None:
    con = table([*TEXTS, "the text heading near and or not"])
    terms = lexical.rarer(lexical.query_terms(query), 5, lambda term: lexical.frequency(con, term))
    for id, score in lexical.search(con, terms, 3):
        assert 1 <= id <= 5
        assert math.isfinite(score)
    assert lexical.frequency(con, lexical.phrase(query)) in range(6)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(), max_size=60), query=st.text(st.characters(), max_size=30))
def test_any_text_can_be_stored_found_and_taken_out(text: str, query: str) -> None:
    con = table(["an apple", text, query])
    assert len(found(con, query)) <= 3
    lexical.remove(con, [(2, text, ""), (3, query, "")])
    assert lexical.holds(con, [[(1, "an apple", "")]])


def test_any_word_of_a_passage_finds_it() -> None:
    for text in TEXTS:
        con = table([text])
        for word in text.split():
            assert found(con, word) == [1], word


def test_scripts_without_spaces_are_found_by_two_signs_in_a_row() -> None:
    con = table(["東京都の人口は千四百万人です", "京都は古い都です", "大阪の人口", "ประเทศไทย"])
    assert found(con, "東京都の人口は?")[0] == 1
    assert found(con, "京都")[0] == 2
    assert found(con, "古い") == [2]
    assert found(con, "ไทย") == [4]
    assert found(con, "GDP 大阪") == [3]


def test_compatibility_forms_and_soft_hyphens_do_not_hide_a_word() -> None:
    con = table(["the ﬁnal co\u00adoperation １２３", "x"])
    for query in ("final", "cooperation", "123"):
        assert found(con, query) == [1]


def test_among_looks_at_these_ids_only() -> None:
    con = table(TEXTS)
    assert found(con, "trees", among=[2, 3, 99]) == [2]
    assert found(con, "trees", among=[]) == []


def test_equal_scores_come_by_id_and_k_limits_them() -> None:
    con = table(["same words"] * 9 + ["other"] * 20)
    assert found(con, "same", 4) == [1, 2, 3, 4]
    assert found(con, "same", 0) == []


def test_a_large_index_is_not_asked_for_its_commonest_words() -> None:
    counts = {'"said"': 4000, '"cherry"': 3, '"trees"': 900}
    assert lexical.rarer(list(counts), 10_000, counts.__getitem__) == ['"cherry"', '"trees"']
    assert lexical.rarer(list(counts), 4_999, counts.__getitem__) == list(counts)
    assert lexical.rarer(['"said"'], 10_000, counts.__getitem__) == ['"said"']


def large(passages: int = 400) -> sqlite3.Connection:
    """Word n stands in every n-th passage, some of them twice, in passages of different lengths."""
    words = {"w2": 2, "w3": 3, "w7": 7, "w30": 30, "w90": 90}
    texts = [
        " ".join([*(f"{w} " * (1 + (i // n) % 2) for w, n in words.items() if i % n == 0), "x " * (i % 11), "end"])
        for i in range(passages)
    ]
    return table(texts)


QUERY = ['"w2"', '"w3"', '"w7"', '"w30"', '"w90"']


def holding(con: sqlite3.Connection, terms: Sequence[str]) -> set[int]:
    return {id for id, _ in lexical.search(con, terms, 1_000)}


@pytest.mark.parametrize("scored", [1, 20, 90, 10_000])
def test_in_a_large_index_those_that_hold_a_rare_word_are_scored_as_ever_by_all(
    monkeypatch: pytest.MonkeyPatch, scored: int
) -> None:
    con = large()
    monkeypatch.setattr(lexical, "SCORED", scored)
    rarest, others = lexical.budgeted([(term, lexical.frequency(con, term)) for term in QUERY], 1.0)
    assert len(rarest) == {1: 1, 20: 2, 90: 3, 10_000: 5}[scored]
    assert set(rarest) | set(others) == set(QUERY)
    among = holding(con, rarest)
    wanted = [(id, score) for id, score in lexical.search(con, QUERY, 1_000) if id in among]
    for k in (1, 3, len(wanted)):
        found = lexical.search_large(con, QUERY, k, 400)
        assert [id for id, _ in found] == [id for id, _ in wanted[:k]]
        assert [s for _, s in found] == pytest.approx([s for _, s in wanted[:k]])


def test_where_the_rarest_words_find_too_few_the_others_are_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    con = large()
    monkeypatch.setattr(lexical, "SCORED", 1)
    found, wanted = lexical.search_large(con, QUERY, 100, 400), lexical.search(con, QUERY, 100)
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted])
    assert lexical.search_large(con, ['"nowhere"'], 5, 400) == lexical.search_large(con, [], 5, 400) == []


def test_words_beyond_the_budget_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    con = large()
    monkeypatch.setattr(lexical, "SCORED", 20)
    monkeypatch.setattr(lexical, "READ", 100)
    assert lexical.search_large(con, QUERY, 10, 400) == lexical.search_large(con, QUERY[2:], 10, 400)


def test_a_large_index_is_searched_under_a_filter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    con = large()
    monkeypatch.setattr(lexical, "SCORED", 4)
    among = list(range(100, 200))
    found = lexical.search_large(con, QUERY, 2, 400, 0.25, among)
    assert [id for id, _ in found] == [
        id for id, _ in lexical.search(con, QUERY, 100, among) if id in holding(con, QUERY[3:])
    ][:2]
    every = lexical.search_large(con, QUERY, 50, 400, 0.25, among)
    assert [s for _, s in every] == pytest.approx([s for _, s in lexical.search(con, QUERY, 50, among)])
    assert lexical.search_large(con, QUERY, 50, 400, 0.0, []) == []


def test_a_frequency_is_estimated_from_the_first_few_that_hold_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    con = large()
    assert [lexical.estimated(con, term, 400) for term in QUERY] == [lexical.frequency(con, term) for term in QUERY]
    monkeypatch.setattr(lexical, "COUNTED", 20)
    for term in QUERY:
        assert lexical.estimated(con, term, 400) == pytest.approx(lexical.frequency(con, term), rel=0.1)


def test_a_pasted_megabyte_is_asked_for_its_rarest_words_only() -> None:
    terms = [f'"w{i}"' for i in range(100_000)]
    asked = lexical.rarer(terms, 10, lambda term: 1 if term.endswith('7"') else 9)
    assert len(asked) == lexical.MAX_TERMS
    assert '"w7"' in asked


def test_a_phrase_is_its_words_in_a_row_and_frequency_counts_passages() -> None:
    con = table(TEXTS)
    assert lexical.phrase("cherry trees!") == '"cherry trees"'
    assert lexical.phrase("?!") == ""
    assert [lexical.frequency(con, lexical.phrase(t)) for t in ("tree", "trees", "cherry tree", "tree cherry", "")] == [
        3, 3, 1, 0, 0,
    ]  # fmt: skip


def test_holds_sees_a_missing_word_a_stray_row_and_a_wrong_length() -> None:
    rows = [(i + 1, text, "h") for i, text in enumerate(TEXTS)]

    def fresh() -> sqlite3.Connection:
        return table(TEXTS, ["h"] * 4)

    assert lexical.holds(fresh(), [rows[:2], rows[2:]])
    assert not lexical.holds(fresh(), [rows[:3]])
    assert not lexical.holds(fresh(), [[*rows[:3], (4, TEXTS[3] + " more", "h")]])
    assert not lexical.holds(fresh(), [[*rows[:3], (4, TEXTS[3], "g")]])
    con = fresh()
    con.execute("UPDATE words_docsize SET sz = x'0909' WHERE id = 2")
    assert not lexical.holds(con, [rows])
    con = fresh()
    con.execute("UPDATE words_data SET block = zeroblob(7) WHERE id > 10")
    assert not lexical.holds(con, [rows])
