"""Where a question and its sentence do not meet, and how that is said."""

from __future__ import annotations

import pytest

from rag.answer.refusal import refusal
from rag.lack import Lack, absent, against
from rag.types import Document, Evidence, Hit, Mark, Outcome, Passage, Source, Span


def said(sentence: str, before: str = "", title: str = "a text", heading: str = "") -> Evidence:
    """`sentence` as evidence, in a passage that begins with `before`."""
    text = before + sentence
    marks = (Mark(Span(0, len(text)), "heading", heading),) if heading else ()
    document = Document(Source.at("mem:a", title), text, marks)
    hit = Hit(Passage.cut(document, Span(0, len(text))), 1.0)
    return Evidence(hit, Span(len(before), len(text)), 0.9)


EXPORTS = "In 2024, U.S. exports to Japan totaled approximately $80 billion."
MISMATCHES = [
    ("What did U.S. exports to Japan total in 2023?", EXPORTS, Lack("number", "2023", "2024")),
    ("How much did the U.S. export to China in 2024?", EXPORTS, Lack("name", "China")),
    ("What is the maximum distance?", "The minimum distance is 3 km.", Lack("opposite", "maximum", "minimum")),
    (
        "What is designed to encourage further progress?",
        "Wrecking amendments are designed to thwart further progress.",
        Lack("replaced", "encourage", "thwart"),
    ),
    ("How many firms were listed in April?", "In August 374 firms were listed.", Lack("month", "April", "August")),
    ("What does error E4 mean?", "E1: low pressure.", Lack("code", "E4", "E1")),
    ("What can a pharmacist not monitor?", "A pharmacist monitors all allergies.", Lack("denial", "not")),
    ("Who is the vice chair?", "Present: Joan Whitfield (chair), Colin Tate.", Lack("another", "vice")),
    ("How many F-35 jets does Japan have?", "It has AIM-120s for its F-35 jets.", Lack("how many", "how many")),
    ("How many trees came in 1912?", "The trees came from Japan in 1912.", Lack("how many", "how many")),
]


@pytest.mark.parametrize("question, sentence, lack", MISMATCHES, ids=[m[2].rule for m in MISMATCHES])
def test_a_question_that_differs_from_its_sentence_in_one_thing_is_seen_through(
    question: str, sentence: str, lack: Lack
) -> None:
    assert lack in against(question, said(sentence))


@pytest.mark.parametrize(
    "question, sentence",
    [
        ("What did U.S. exports to Japan total in 2024?", EXPORTS),
        ("How much did America export to Japan?", EXPORTS),
        ("What does error E4 mean?", "E4: cartridge expired, E1: low pressure."),
        ("Who bought the mill from Dell?", "Dell sold the mill to Herbalife."),
        ("Who approached the evil spirts?", "He could not approach the evil spirits himself."),
        ("How many F-35 jets does Japan have?", "Japan has 40 F-35 jets."),
        ("How many trees were given?", "Two hundred and fifty trees were given."),
        ("Who is the vice chair?", "The vice chair is Colin Tate."),
        ("Who is the deputy's sister?", "Ada is her sister."),
        ("Why can't the racks be sold?", "The racks cannot be sold, because they contain asbestos."),
        ("Is the minimum 5 km?", "The maximum is 5 km."),  # yes or no is another matter
        ("venue of the Trump Takaichi meeting", "Trump and his guests met Takaichi at the palace."),
    ],
)
def test_a_true_question_in_other_words_meets_its_sentence(question: str, sentence: str) -> None:
    assert against(question, said(sentence)) == []


@pytest.mark.parametrize("where", ["title", "heading", "passage"])
def test_a_subject_that_stands_only_in_title_heading_or_passage_is_no_lack(where: str) -> None:
    question, sentence = "When was Maria Callas born?", "She was born on 2 December 1923."
    assert against(question, said(sentence)) == [Lack("name", "Maria Callas")]
    kind = {"title": {"title": "Maria Callas"}, "heading": {"heading": "Maria Callas"}}
    assert against(question, said(sentence, **kind.get(where, {"before": "Maria Callas sang. "}))) == []


def test_a_word_that_no_document_has_is_the_askers_own_and_no_mismatch() -> None:
    question, sentence = "What is designed to foil further progress?", "It is designed to thwart further progress."
    assert [m.rule for m in against(question, said(sentence))] == ["replaced"]
    assert against(question, said(sentence), lambda word: word == "foil") == []


def test_what_is_absent_is_read_off_all_hits_and_names_no_words_of_asking() -> None:
    hits = [said(EXPORTS).hit, said("It holds.", title="Macron").hit]
    assert absent("How much does Macron say that U.S. cars cost in Nara?", hits) == ["cars", "Nara"]


def test_a_refusal_says_what_is_there_and_what_is_not() -> None:
    evidence = said(EXPORTS)
    question = "What did U.S. exports to Japan total in 2023?"
    told = refusal(Outcome.CLOSEST, question, [evidence.hit], against(question, evidence), lambda _: True)
    assert told.text == (
        "I found no confirmed answer in the documents. The nearest sentence speaks of 2024, not of 2023. “2023” stands "
        "nowhere in the documents. The closest passages are:"
    )
    assert told.missing == ("2023",)


def test_that_a_word_stands_nowhere_is_only_said_of_what_was_counted() -> None:
    hit = said(EXPORTS).hit
    told = refusal(Outcome.CLOSEST, "What did Macron say of Nissan?", [hit], [], lambda word: word == "Nissan")
    assert "“Nissan” stands nowhere in the documents." in told.text
    assert "“Macron” stands in the documents, but not in the passages nearest to this." in told.text
    assert told.missing == ("Nissan", "Macron")


def test_no_more_than_three_words_are_named_and_names_come_first() -> None:
    hit = said(EXPORTS).hit
    told = refusal(Outcome.NOTHING, "Which yolk, egg, pan or oven does Macron like?", [hit], [], lambda _: True)
    assert told.missing == ("Macron", "yolk", "egg")
    assert told.text == (
        "The documents do not hold an answer to this. “Macron”, “yolk” and “egg” stand nowhere in the documents."
    )


def test_without_documents_nothing_is_said_of_words() -> None:
    assert refusal(Outcome.NOTHING, "Who?", [], [], lambda _: True).missing == ()
