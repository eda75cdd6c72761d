"""The cell of a row that a question asks for."""

from __future__ import annotations

import pytest

from rag.cells import asked, looked_up

HEADING = "Handbook > 4. Equipment > Device | Replacement cycle | Budget"
ROW = "| Phone | 3 years | 700 EUR |"
TOLD = "Region: North; Sales 2023: 12; Sales 2024: 14; Head: Ada Blom"


@pytest.mark.parametrize(
    ("question", "row", "heading", "cell"),
    [
        ("How much is the budget for a phone?", ROW, HEADING, "700 EUR"),
        ("What is the replacement cycle of phones?", ROW, HEADING, "3 years"),
        ("What does a phone cost?", ROW, HEADING, None),  # no column is named
        ("Which device has a budget of 700 EUR?", ROW, HEADING, "Phone"),  # the others are what is asked about
        ("What were the sales in the north in 2024?", TOLD, "", "14"),
        ("What were the sales in the north in 2023?", TOLD, "", "12"),
        ("What were the sales in the north?", TOLD, "", None),  # of two years
        ("Who is the head of the north?", TOLD, "", "Ada Blom"),
        ("Who is the head of the north?", "The head is: Ada Blom.", "", None),  # no row
        ("Who is the head?", "Head: Ada Blom", "", None),  # one name alone is a sentence
        ("What is the budget?", "| Phone | 3 years | 700 EUR | 8 |", HEADING, None),  # a column more than names
        ("What is the budget?", r"| Phone \| big | 3 years | 700 EUR |", HEADING, "700 EUR"),
        ("What is the budget of the phone?", "| Phone | 3 years |  |", HEADING, None),  # empty
        ("What is the budget?", "|", HEADING, None),
        (
            "What should I do on code E2?",
            "| E2 | Gauge blocked | Empty it |",
            "Codes > Code | Fault | What to do",
            "Empty it",
        ),
    ],
)
def test_the_column_that_the_question_names_holds_the_answer(
    question: str, row: str, heading: str, cell: str | None
) -> None:
    found = asked(question, row, heading)
    assert (None if found is None else found.of(row)) == cell


@pytest.mark.parametrize(
    ("question", "row", "heading", "cell", "whether"),
    [
        ("How much is the budget for a phone?", ROW, HEADING, "700 EUR", True),
        ("How much is the budget for a laptop?", ROW, HEADING, "700 EUR", False),
        ("How much is the budget?", ROW, HEADING, "700 EUR", False),  # of which device?
        ("What were the sales in the north in 2024?", TOLD, "", "14", True),
        ("What were the online sales in the north in 2024?", TOLD, "", "14", False),
        (
            "What does error E4 mean?",
            "| E4 | Memory full |",
            "Guide > Error codes > Code | Meaning",
            "Memory full",
            True,
        ),
        (
            "What does error E5 mean?",
            "| E4 | Memory full |",
            "Guide > Error codes > Code | Meaning",
            "Memory full",
            False,
        ),
    ],
)
def test_a_row_is_looked_up_only_if_it_and_its_column_are_all_that_the_question_names(
    question: str, row: str, heading: str, cell: str, whether: bool
) -> None:
    found = asked(question, row, heading)
    assert found is not None and found.of(row) == cell
    assert looked_up(question, row, heading, found) is whether
