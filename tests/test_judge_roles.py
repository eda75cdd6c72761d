"""Who did what to whom, where a name hangs, what small words shift: lies are refused, true paraphrases are not."""

from __future__ import annotations

import pytest

from rag.config import AnswerConfig
from rag.judge import RuleJudge

SUPPORTED = AnswerConfig().supported
GIFT = "Japan will give 250 cherry trees to the United States."
TRADE = "In 2024, U.S. exports to Japan reached $80 billion, while Japanese exports to the U.S. reached $148 billion."
BOOK = "The novel was written by Karl Weiss and illustrated by Anna Berg in Vienna."
MOSQUE = "The old mosque in Hackney, near Leyton, was opened by Omar Khan in 1974."
SUIT = "Meyer sued Okafor in Geneva after Okafor had left the firm."
PRICE = "The price rose to 25 euros in May and fell to 20 euros in June, said Dr. Lund."

HALLS = "The city has two halls: Mill Hall (home of the Norwood Chess Club) and Tower Hall (home of the Arden Choir)."
CUPS = "The club has done well, with many wins at Arden Regatta, and most recently with victory in the Lund Cup."

UNIONS = "The strikes raised the influence of leaders such as Jimmy Berg of the Miners and Walter Lund of the Weavers."


def score(claim: str, quote: str, question: str = "") -> float:
    return RuleJudge().judge([claim], [[quote]], question)[0].score


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("The United States will give 250 cherry trees to Japan.", GIFT),
        ("250 cherry trees will be given to Japan by the United States.", GIFT),
        ("250 cherry trees will be given by the United States.", GIFT),
        ("Japanese exports to the U.S. reached $80 billion.", TRADE),
        ("U.S. exports to Japan reached $148 billion.", TRADE),
        ("Anna Berg wrote the novel.", BOOK),
        ("The novel was written by Anna Berg.", BOOK),
        ("Karl Weiss illustrated the novel.", BOOK),
        ("The old mosque in Leyton was opened in 1974.", MOSQUE),
        ("The old mosque is in Leyton.", MOSQUE),
        ("Omar Leyton opened the old mosque.", MOSQUE),
        ("Okafor sued Meyer in Geneva.", SUIT),
        ("Meyer was sued by Okafor.", SUIT),
        ("The price rose by 25 euros in May.", PRICE),
        ("The Norwood Chess Club is in Tower Hall.", HALLS),
        ("Mill Hall is the home of the Arden Choir.", HALLS),
        ("The club has done well at the Lund Cup.", CUPS),
        ("The leader of the Weavers was Jimmy Berg.", UNIONS),
        ("The price fell to 25 euros in May.", PRICE),
        ("The price rose to half of 25 euros in May.", PRICE),
        ("The price rose to 25 euros a month in May.", PRICE),
        ("Only the price rose to 25 euros in May.", PRICE),
        ("The price may have risen to 25 euros in May.", PRICE),
        ("The price rose to 25 euros in May, more than in Norway.", PRICE),
        ("The price rose to more than 25 euros in May.", PRICE),
        ("The price rose to 25 euros in May because of a strike.", PRICE),
        ("Did the price rise to 25 euros in May!", PRICE),
    ],
)
def test_a_sentence_with_its_parts_in_other_roles_is_refused(claim: str, quote: str) -> None:
    assert score(claim, quote) < SUPPORTED


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("The United States will be given 250 cherry trees by Japan.", GIFT),
        ("250 cherry trees will be given to the United States by Japan.", GIFT),
        ("Japan will donate two hundred and fifty cherry trees to the US.", GIFT),
        ("Japanese exports to the U.S. reached $148 billion in 2024.", TRADE),
        ("In 2024, exports from Japan to the U.S. reached 148 billion dollars.", TRADE),
        ("U.S. exports to Japan reached $80 billion.", TRADE),
        ("Karl Weiss wrote the novel.", BOOK),
        ("Anna Berg illustrated the novel.", BOOK),
        ("The novel was illustrated in Vienna by Anna Berg.", BOOK),
        ("The mosque in Hackney was opened in 1974 by Omar Khan.", MOSQUE),
        ("Omar Khan opened the old mosque near Leyton.", MOSQUE),
        ("Okafor was sued by Meyer in Geneva.", SUIT),
        ("Okafor had left the firm.", SUIT),
        ("The price rose to €25 in May.", PRICE),
        ("In June the price fell to twenty euros.", PRICE),
        ("The price rose to 25 euros in May, Dr. Lund said.", PRICE),
        ("Mill Hall is the home of the Norwood Chess Club.", HALLS),
        ("The city has two halls: Mill Hall and Tower Hall.", HALLS),
        ("The club has many wins at Arden Regatta.", CUPS),
        ("The club has a victory in the Lund Cup.", CUPS),
        ("The leader of the Weavers was Walter Lund.", UNIONS),
    ],
)
def test_a_paraphrase_that_leaves_the_roles_alone_is_supported(claim: str, quote: str) -> None:
    judgement = RuleJudge().judge([claim], [[quote]])[0]
    assert judgement.score >= SUPPORTED, judgement.failures


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Le Japon ne donnera pas 250 arbres.", "Le Japon donnera 250 arbres."),
        ("Japan wird keine 250 Bäume geben.", "Japan wird 250 Bäume geben."),
        ("Japan wird 250 Bäume geben.", "Japan wird nicht 250 Bäume geben."),
        ("Япония не подарит 250 деревьев.", "Япония подарит 250 деревьев."),
        ("日本は250本の木を贈らない。", "日本は250本の木を贈る。"),
    ],
)
def test_a_denial_in_another_language_is_seen(claim: str, quote: str) -> None:
    assert score(claim, quote) < SUPPORTED
    assert score(quote, quote) == 1


def test_words_of_the_question_are_granted_but_none_that_denies_or_names() -> None:
    assert score("The price jumped to 25 euros in May.", PRICE) < SUPPORTED
    assert score("The price of bread rose to 25 euros in May.", PRICE) < SUPPORTED
    assert (
        score("The price of bread rose to 25 euros in May.", PRICE, "How did the price of bread change?") >= SUPPORTED
    )
    assert score("The price of Oslo rose to 25 euros in May.", PRICE, "What is the price of Oslo?") < SUPPORTED
    assert score("The price never rose to 25 euros in May.", PRICE, "Why was the price never 25 euros?") < SUPPORTED


@pytest.mark.parametrize("quote", [GIFT, TRADE, BOOK, MOSQUE, SUIT, PRICE])
def test_what_a_quote_says_itself_is_never_refused_for_its_characters(quote: str) -> None:
    hard = f"{quote[:-1]} 🌳 n\u043et \u202e½ http://x.example/[1] n-o-t \ud800."
    assert score(hard, hard) == 1
