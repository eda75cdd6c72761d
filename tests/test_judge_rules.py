"""What the judge lets through and what it refuses, kind by kind, on sentences a person can check."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.config import AnswerConfig
from rag.evals import judge as evaluation
from rag.evals.claims import Pair
from rag.evals.judge import DATA, balanced, rows
from rag.judge import Judgement, RuleJudge

SUPPORTED, PARTIAL = AnswerConfig().supported, AnswerConfig().partial
TREES = (
    "As a symbol of friendship, Takaichi announced that Japan will donate 250 cherry blossom trees to the United "
    "States in celebration of the upcoming 250th anniversary of America’s founding in 2026."
)
TRADE = (
    "In 2024, U.S. exports to Japan totaled approximately $80 billion, while Japanese exports to the U.S. reached "
    "$148 billion, reflecting a deeply intertwined economic relationship."
)
TARIFF = (
    "The two countries signed a new trade agreement in July that set a 15 percent tariff on Japanese goods while "
    "securing a pledge from Japan to invest $550 billion in the United States."
)
THREAT = "Trump had threatened to raise tariffs to 25 percent before both sides reached a compromise."
LEADER = "Abe Shinzo led the Liberal Democratic Party (LDP) and was succeeded by Suga Yoshihide on 16 September 2020."
RANGE = "Sales fell by 3 to 5 billion euros in the 1990s, not because of the war but because of the weather."
OWNER = "Godiva never sold its factory, and the Guild did not refuse to sign the treaty of 1863."


def judge(claim: str, *quotes: str) -> Judgement:
    return RuleJudge().judge([claim], [quotes])[0]


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        (
            "The East London Mosque is in Tower Hamlets.",
            "Mosques are the East London Mosque in Tower Hamlets and the New Mosque of Leyton.",
        ),
        ("Japan will donate 250 cherry blossom trees to the United States.", TREES),
        ("Japan will give two hundred and fifty cherry trees to the U.S.", TREES),
        ("250 cherry blossom trees will be donated to America by Japan.", TREES),
        ("2026 is the year of the 250th anniversary of America's founding.", TREES),
        ("U.S. exports to Japan totaled about 80 billion dollars in 2024.", TRADE),
        ("Japanese exports to the United States reached 148,000,000,000 US$.", TRADE),
        ("The agreement set a 15% tariff on Japanese goods.", TARIFF),
        ("Trump threatened to raise tariffs to 25 per cent.", THREAT),
        ("Shinzo Abe led the LDP.", LEADER),
        ("Suga succeeded Abe on September 16, 2020.", LEADER),
        ("Sales fell by €5 billion in the 1990s.", RANGE),
        ("Sales fell by 3 billion euros in the nineties.", RANGE),
        ("The Guild signed the treaty of 1863.", OWNER),
        ("According to the text, Japan will donate 250 cherry blossom trees [1].", TREES),
    ],
)
def test_a_true_claim_in_other_words_is_supported(claim: str, quote: str) -> None:
    judgement = judge(claim, quote)
    assert judgement.score >= SUPPORTED, judgement.failures


@pytest.mark.parametrize(
    ("claim", "quote", "failure"),
    [
        (
            "The East London Mosque is located in Leyton.",
            "Mosques are the East London Mosque in Tower Hamlets and the New Mosque of Leyton.",
            "the quotes have 'in Tower Hamlets' where the claim has 'in Leyton'",
        ),
        ("Japan will donate 260 cherry blossom trees to the United States.", TREES, "260"),
        ("Japan will donate 2,500 cherry blossom trees.", TREES, "2,500"),
        ("It is the 205th anniversary of America's founding.", TREES, "205th"),
        ("China will donate 250 cherry blossom trees to the United States.", TREES, "China"),
        ("The United States will donate 250 cherry blossom trees to Japan.", TREES, "other way round"),
        ("Japan will not donate 250 cherry blossom trees.", TREES, "denies"),
        ("U.S. exports to Japan totaled $148 billion in 2024.", TRADE, "148 billion"),
        ("Japanese exports to the U.S. reached €148 billion.", TRADE, "€148 billion"),
        ("Japanese exports to the U.S. reached $148 million.", TRADE, "148 million"),
        ("Japanese imports to the U.S. reached $148 billion.", TRADE, "imports"),
        ("The agreement in June set a 15 percent tariff on Japanese goods.", TARIFF, "June"),
        ("Trump had threatened to lower tariffs to 25 percent.", THREAT, "lower"),
        ("Both sides reached a compromise before Trump raised tariffs to 26 percent.", THREAT, "26 percent"),
        ("Suga Yoshihide was succeeded by Abe Shinzo.", LEADER, "other way round"),
        ("Donald Abe led the LDP.", LEADER, "Donald"),
        ("Sales fell by 3 to 5 million euros.", RANGE, "million"),
        ("Sales fell because of the war in the 1980s.", RANGE, "1980s"),
        ("Godiva sold its factory.", OWNER, "deny"),
        ("The Guild did not sign the treaty of 1863.", OWNER, "denies"),
    ],
)
def test_a_claim_with_one_thing_changed_is_unsupported_and_says_what(claim: str, quote: str, failure: str) -> None:
    judgement = judge(claim, quote)
    assert judgement.score < PARTIAL
    assert any(failure in said for said in judgement.failures), judgement.failures


@pytest.mark.parametrize("claim", ["Trump raised tariffs to 25 percent.", "Trump has raised tariffs to 25 percent."])
def test_a_plan_told_as_done_is_never_fully_supported(claim: str) -> None:
    assert judge(claim, THREAT).score < SUPPORTED


@pytest.mark.parametrize(
    ("claim", "failure"),
    [
        ("", "empty"),
        (" \u200b[1]", "empty"),
        ("How many cherry blossom trees will Japan donate?", "question"),
        ("As an AI language model, I cannot say.", "of itself"),
        ("The text does not mention cherry trees.", "speaks of the text"),
        ("250 cherry blossom trees", "whole sentence"),
        ("Japan will donate 250 trees to the", "whole sentence"),
    ],
)
def test_what_is_no_statement_is_unsupported(claim: str, failure: str) -> None:
    judgement = judge(claim, TREES)
    assert judgement.score < PARTIAL
    assert failure in judgement.failures[0]


def test_two_quotes_may_carry_a_claim_together() -> None:
    claim = "Japan will donate 250 cherry blossom trees, and Trump threatened to raise tariffs to 25 percent."
    assert judge(claim, TREES).score < PARTIAL
    assert judge(claim, TREES, THREAT).score >= SUPPORTED


def test_a_number_of_one_quote_does_not_belong_to_the_name_of_another() -> None:
    quotes = ("The Lisbon tower is 90 metres high.", "The Porto tower is a landmark of the city.")
    assert judge("The Porto tower is 90 metres high.", *quotes).score < PARTIAL
    assert judge("The Lisbon tower is 90 metres high.", *quotes).score >= SUPPORTED


def test_a_claim_without_quotes_is_unsupported() -> None:
    assert judge("Japan will donate 250 trees.") == Judgement(0.0, ("there is no quote",))


def test_balanced_accuracy_is_the_mean_of_both_sides_and_leaves_out_verbatim_claims() -> None:
    made = [("clause", True, 1.0), ("clause", True, 0.0), ("itself", True, 0.0), ("number", False, 0.9)]
    made += [("number", False, 0.6), ("number", False, 0.1), ("unit", False, 0.1)]
    judged = [(Pair(f"{i}", ("q",), true, kind, "d"), Judgement(score)) for i, (kind, true, score) in enumerate(made)]
    table = rows(judged, supported=0.8, partial=0.5)
    assert [(r.kind, r.count, r.refused) for r in table if r.kind == "number"] == [("number", 3, pytest.approx(2 / 3))]
    assert balanced(table) == (pytest.approx((0.5 + 0.75) / 2), 0.5)


def test_without_the_data_the_evaluation_says_so_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluation.main(["--data", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the annotated questions are not in ../shared/data")
def test_on_edited_claims_the_judge_is_right_in_85_percent_and_refuses_few_true_ones() -> None:
    chosen = [p for p in evaluation.pairs(DATA, 250) if p.split == "tune"]
    judged, _ = evaluation.judge(chosen)
    accuracy, refused = balanced(rows(judged, SUPPORTED, PARTIAL))
    assert len(chosen) > 2000
    assert accuracy >= 0.85
    assert refused <= 0.10


FOUNDING = "Japan will donate 250 trees to the United States for the 250th anniversary of America’s founding in 2026."


def test_a_year_that_the_quote_gives_to_another_thing_is_not_the_claims() -> None:
    judge = RuleJudge()

    def score(claim: str, quote: str) -> float:
        return judge.judge([claim], [[quote]])[0].score

    assert score("Japan will donate 250 trees to the United States in 2026.", FOUNDING) < 0.55
    assert score("Japan will donate 250 trees for the anniversary of America’s founding in 2026.", FOUNDING) > 0.8
    assert score("Japan gave trees in 1912.", "Japan gave trees to the city of Washington in 1912.") > 0.8
    assert score("Japan gave trees in 1912.", "In 1912, Japan gave trees to the capital.") > 0.8


@pytest.mark.parametrize(
    ("claim", "quotes", "why"),
    [
        (
            "U.S. exports to Japan totaled approximately $80 billion under the July trade agreement.",
            (TRADE, TARIFF),
            "no single quote says 'July trade agreement' of the rest",
        ),
        ("Exports totaled about $80 billion in 1923.", (TRADE,), "the number 1923 is not in the quotes"),
        ("In about 1923, U.S. exports to Japan totaled $80 billion.", (TRADE,), "the number 1923"),
        ("In 2024, 2024 exports to Japan totaled $80 billion.", (TRADE,), "the claim says '2024' twice"),
        ("\x00 In 2024, U.S. exports to Japan totaled $80 billion.", (TRADE,), "the claim holds the character '\\x00'"),
        ("\xab In 2024, U.S. exports to Japan totaled $80 billion.", (TRADE,), "the claim holds the character '\\xab'"),
    ],
)
def test_what_a_writer_may_garble_is_refused(claim: str, quotes: tuple[str, ...], why: str) -> None:
    said = judge(claim, *quotes)
    assert said.score < SUPPORTED
    assert any(f.startswith(why) for f in said.failures), said.failures


def test_another_quote_may_give_the_name() -> None:
    said = judge(
        "Takaichi will donate trees to the city.",
        "She will donate trees to the city.",
        "Takaichi met the mayor.",
    )
    assert said.score >= SUPPORTED
