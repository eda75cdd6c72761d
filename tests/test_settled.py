"""What rules settle of an answer: yes or no, lists, documents that agree or differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import rag
from rag.answer import stream
from rag.answer.amount import amount
from rag.answer.items import items
from rag.answer.polarity import settled
from rag.compare import agreeing, conflicting, voices
from rag.dates import as_of
from rag.kinds import kind_of
from rag.read import Reading, Short
from rag.types import Answer, Document, Evidence, Hit, Kind, Origin, Outcome, Passage, Source, Span
from rag.values import value_of


@pytest.mark.parametrize(
    "question, kind",
    [
        ("Did Japan sign it?", Kind.YES_NO),
        ("Is it true that Japan signed it?", Kind.YES_NO),
        ("Is it red or blue?", Kind.OTHER),
        ("Can you tell me how many trees there are?", Kind.NUMBER),
        ("How long is the river?", Kind.NUMBER),
        ("In what year did he die?", Kind.DATE),
        ("Who wrote it?", Kind.PERSON),
        ("Where was it held?", Kind.PLACE),
        ("Which countries signed it?", Kind.LIST),
        ("Name the three rivers of the region.", Kind.LIST),
        ("What was the reason?", Kind.OTHER),
        ("What radiates two lobes?", Kind.OTHER),
        ("Which series is the longest?", Kind.OTHER),
        ("Which islands does the company sail to?", Kind.LIST),
        ("Which villages are in the valley?", Kind.LIST),
        ("What Massachusetts town was it?", Kind.PLACE),
        ("It rained. Who came?", Kind.PERSON),
        ("", Kind.OTHER),
    ],
)
def test_the_kind_of_a_question_is_read_off_its_words(question: str, kind: Kind) -> None:
    assert kind_of(question) is kind


@pytest.mark.parametrize(
    "question, quote, answer",
    [
        ("Did Ishiba sign the trade treaty?", "Ishiba signed the trade treaty in May.", True),
        ("Did Ishiba sign the trade treaty?", "Ishiba did not sign the trade treaty.", False),
        ("Does England have its own parliament?", "England does not have its own parliament.", False),
        ("Is street art legal in Utrecht?", "Street art is illegal in Utrecht.", False),
        ("Did exports to Japan exceed $70 billion?", "Exports to Japan reached $80 billion.", True),
        ("Did exports to Japan exceed $90 billion?", "Exports to Japan reached $80 billion.", False),
        ("Did Japan give 300 cherry trees?", "Japan gave 250 cherry trees.", False),
        ("Did the harbour museum open in 1947?", "The harbour museum opened in 1931.", False),
        ("Did the harbour team win the title in 1947?", "The harbour team won the title in 1931.", None),
        ("Did Japan give 250 cherry trees?", "Japan will give 250 cherry trees.", None),
        ("Will Japan give 250 cherry trees?", "Japan may refuse.", None),
        ("Did Korea give 250 cherry trees?", "Japan gave 250 cherry trees.", None),
        ("Are all sources of it literary?", "Almost all sources of it are literary.", None),
        ("Does botany only study living plants?", "Botany has also studied living plants and fungi.", None),
        ("Did Ishiba not sign the trade treaty?", "Ishiba did not sign the trade treaty.", None),
        ("Were there laws against such marriage?", "Laws prohibiting such marriage were passed.", None),
        ("Was the treaty signed in Tokyo by Ishiba?", "Was the treaty signed in Tokyo by Ishiba?", None),
        ("Is it?", "It is.", None),
    ],
)
def test_yes_and_no_are_only_said_where_the_quote_settles_it(question: str, quote: str, answer: bool | None) -> None:
    assert settled(question, quote) is answer


@pytest.mark.parametrize(
    "question, quote, before, answer",
    [
        ("Did Edith Lowe learn to swim?", "She never learned to swim.", "Edith Lowe sailed round Cape Horn.", False),
        ("Does the firm sail to Coll?", "In winter it does not sail to Coll.", "The firm sails to Arran.", False),
        ("Is the dough kept in a cold place?", "It is kept in a cold place.", "The dough is made of flour.", True),
        ("Did Anna Weiss learn to swim?", "She never learned to swim.", "Edith Lowe knew Anna Weiss.", None),
        ("Did Edith Lowe learn to swim?", "She never learned to swim.", "", None),
        ("Did Edith Lowe learn to swim?", "Anna never learned to swim.", "Edith Lowe sailed round Cape Horn.", None),
        ("Did the school learn to swim in May?", "It never learned to swim.", "The school was new.", None),
    ],
)
def test_a_pronoun_stands_for_the_subject_of_the_sentence_before(
    question: str, quote: str, before: str, answer: bool | None
) -> None:
    assert settled(question, quote, before) is answer


def said(sentence: str, short: str, n: int = 0, title: str = "", support: float = 0.9) -> Evidence:
    """`sentence` of document n as evidence, `short` its short answer."""
    document = Document(Source.at(f"mem:{n}", title or f"text {n}"), sentence)
    at = sentence.index(short)
    whole = Span(0, len(sentence))
    return Evidence(Hit(Passage.cut(document, whole), 1.0), whole, support, Span(at, at + len(short)))


def test_the_items_of_a_list_are_the_very_characters_of_their_documents() -> None:
    first = said("It was signed by Japan, South Korea and the Philippines.", "Japan, South Korea and the Philippines")
    second = said("Later Japan and Nauru signed it.", "Japan and Nauru", 1)
    listed = items([first, second], "Which countries signed it?")
    assert [i.text for i in listed] == ["Japan", "South Korea", "the Philippines", "Nauru"]
    assert [i.evidence for i in listed] == [first, first, first, second]


def test_one_thing_a_clause_or_a_doubtful_sentence_is_no_list() -> None:
    assert items([said("Japan signed it.", "Japan")], "Which countries signed it?") == []
    clause = "the house, and then they went home to eat what was left of it"
    assert items([said(f"They left {clause}.", clause)], "Which things did they do?") == []
    first = said("Japan and Nauru signed it.", "Japan and Nauru")
    unsure = said("Peru and Chile did.", "Peru and Chile", 1, support=0.3)
    assert [i.text for i in items([first, unsure], "Which countries signed it?")] == ["Japan", "Nauru"]


def test_sentences_with_one_thing_each_are_a_list_where_they_say_the_same_of_it() -> None:
    first, second = said("Trout came back in 2014.", "Trout"), said("Grayling came back later.", "Grayling", 1)
    asked = "Which fish came back to the river?"
    assert [i.text for i in items([first, second], asked)] == ["Trout", "Grayling"]
    assert items([first, said("Grayling went away.", "Grayling", 1)], asked) == []
    assert items([first, said("Grayling never came back.", "Grayling", 1)], asked) == []
    assert items([first, said("Grayling came back later.", "Grayling", 1, support=0.3)], asked) == []


@pytest.mark.parametrize(
    "question, sentence, short, marked",
    [
        ("How many trees will Japan give?", "Japan will give 250 cherry trees, says Abe.", "Abe", "250"),
        ("How many trees will Japan give?", "Japan will give 250 cherry trees, says Abe.", "250 cherry trees", None),
        ("How many trees will Japan give?", "Japan will give trees in 3 towns.", "Japan", None),  # counts towns
        ("How many trees?", "It gave 250 trees and took 12 trees, says Abe.", "Abe", None),  # two fit
        ("How many trees?", "It gave several trees, 12 trees of them old.", "several", None),
        ("How many trees were given in 2026?", "In 2026 trees were given.", "given", None),
        ("How much did it cost?", "The roof cost 2.4 million euros in 2019.", "The roof", "2.4 million euros"),
        ("How much did it cost?", "The roof took 12 tiles.", "The roof", None),
        ("What percentage of it is shown?", "Of 90 things 15 percent are shown.", "things", "15 percent"),
        ("Who paid?", "The city paid 15 euros.", "The city", None),
    ],
)
def test_the_only_number_that_fits_is_marked(question: str, sentence: str, short: str, marked: str | None) -> None:
    best = said(sentence, short)
    answer = amount(question, best).answer
    assert answer is not None and answer.of(sentence) == (short if marked is None else marked)


HEIGHT = "How tall is the Blue Tower in metres?"
ONE = ("The Blue Tower is 300 metres tall.", "300 metres")


@pytest.mark.parametrize(
    "other, short, outcome",
    [
        ("At a height of 300 metres, the Blue Tower is very tall.", "300 metres", "agree"),
        ("The Blue Tower is three hundred metres tall, we read.", "three hundred metres", "agree"),
        ("The Blue Tower is 324 metres tall.", "324 metres", "differ"),
        ("In all, the Blue Tower is 324 metres tall.", "324 metres", "differ"),
        ("The Blue Tower was 280 metres tall in 1931.", "280 metres", ""),  # another time
        ("The Red Tower is 324 metres tall.", "324 metres", ""),  # another subject
        ("The Blue Tower of Osaka is 324 metres tall.", "324 metres", ""),
        ("Each Blue Tower is 324 metres tall.", "324 metres", ""),  # a part
        ("The Blue Tower is planned to be 324 metres tall.", "324 metres", ""),
        ("The Blue Tower is about 301 metres tall.", "301 metres", ""),  # rounded
        ("The Blue Tower is 984 feet tall.", "984 feet", ""),  # another unit
        ("The Blue Tower is not 324 metres tall.", "324 metres", ""),
    ],
)
def test_two_documents_agree_differ_or_only_seem_to(other: str, short: str, outcome: str) -> None:
    heard = voices([said(*ONE), said(other, short, 1)], partial(value_of, Kind.NUMBER))
    assert bool(agreeing(HEIGHT, heard, {})) is (outcome == "agree")
    assert bool(conflicting(Kind.NUMBER, HEIGHT, heard, {})) is (outcome == "differ")


@pytest.mark.parametrize(
    "one, two, differ",
    [
        ("4 May 1997", "5 May 1997", True),
        ("4 May 1997", "May 1997", False),
        ("1997", "1998", True),
        ("May", "1997", False),
    ],
)
def test_dates_differ_only_in_what_both_say(one: str, two: str, differ: bool) -> None:
    both = [said(f"The bridge opened on {one}.", one), said(f"The bridge opened on {two}, we hear.", two, 1)]
    heard = voices(both, partial(value_of, Kind.DATE))
    assert bool(conflicting(Kind.DATE, "When did the bridge open?", heard, {})) is differ


HEAD = "The {role} of the Norham museum is {who}."
OLD = "Staff handbook. Requests go to the desk. Remote work is allowed. Contracts end in May. {said} It opens at 8."


@pytest.mark.parametrize(
    "question, one, two, differ",
    [
        ("Who is the director of the Norham museum?", ("director", "Anna Weiss"), ("director", "Karl Lund"), True),
        ("Who is the director of the Norham museum?", ("director", "Anna Weiss"), ("director", "Ms Weiss"), False),
        ("Who is the director of the Norham museum?", ("director", "Anna Weiss"), ("director", "the Queen"), False),
        (
            "Who is the director of the Norham museum?",
            ("director", "Anna Weiss"),
            ("former director", "Karl Lund"),
            False,
        ),
        ("Who is the director of the Norham museum?", ("director", "Anna Weiss"), ("guard", "Karl Lund"), False),
        ("Who is the director of the Norham museum?", ("director", "Weiss"), ("director", "Lund"), False),
        ("In which city is the seat of the Norham museum?", ("seat", "Leeds"), ("seat", "York"), True),
        ("Where is the seat of the Norham museum?", ("seat", "Leeds"), ("seat", "Yorkshire"), False),  # a town in it
        ("Where is the seat of the Norham museum?", ("seat", "Mill Street"), ("seat", "Castle Road"), True),
    ],
)
def test_names_differ_only_where_one_thing_of_a_kind_is_asked_for(
    question: str, one: tuple[str, str], two: tuple[str, str], differ: bool
) -> None:
    both = [said(HEAD.format(role=role, who=who), who, n) for n, (role, who) in enumerate((one, two))]
    kind = kind_of(question)
    assert bool(conflicting(kind, question, voices(both, partial(value_of, kind)), {})) is differ


def test_two_versions_differ_in_whatever_stands_in_the_place_of_the_other() -> None:
    question = "Who must approve leave?"
    lines = [
        ("Leave must be approved by the team lead.", "the team lead"),
        ("Leave must be approved by the board.", "the board"),
    ]
    for text, differ in ((OLD, True), ("{said}", False)):
        both = []
        for n, (line, short) in enumerate(lines):
            whole = text.format(said=line)
            document = Document(Source.at(f"mem:{n}", f"handbook {2023 + 2 * n}"), whole)
            at = Span(whole.index(line), whole.index(line) + len(line))
            answer = Span(whole.index(short), whole.index(short) + len(short))
            both.append(Evidence(Hit(Passage.cut(document, Span(0, len(whole))), 1.0), at, 0.9, answer))
        heard = voices(both, partial(value_of, Kind.PERSON))
        assert bool(conflicting(Kind.PERSON, question, heard, {})) is differ


@pytest.mark.parametrize(
    "sentence, title, date, when",
    [
        ("As of 4 May 2024 it has 120 staff.", "Report 2025", "2020-01-01", "2024-05-04"),
        ("As of May 2024, it has 120 staff.", "Report", "", "2024-05"),
        ("It has 120 staff.", "Report 2025", "2020-01-01", "2020-01-01"),
        ("It has 120 staff.", "Report 2025", "", "2025"),
        ("It has 120 staff in 2019.", "Report 2023 to 2025", "", ""),
        ("It has 120 staff.", "Report", "", ""),
    ],
)
def test_a_sentence_holds_when_it_says_or_its_document_or_its_title(
    sentence: str, title: str, date: str, when: str
) -> None:
    assert as_of(sentence, replace(Source.at("mem:a", title), date=date)) == when


def test_versions_of_a_document_are_shown_side_by_side_the_latest_first() -> None:
    text = "# Handbook\n\n## Leave\n\n{leave} Requests go to {who}.\n\n## Office\n\nThe head office is in {town}.\n"
    old = text.format(leave="Remote work is allowed.", who="Ada Berg", town="Leeds")
    new = text.format(leave="Remote work is not allowed.", who="Tom Weiss", town="York")
    with rag.open(documents=[], llm_model="none") as assistant:
        assistant.add_text(old, title="Handbook 2023", uri="mem:2023")
        assistant.add_text(new, title="Handbook 2025", uri="mem:2025")
        town = assistant.ask("Where is the head office?")
        assert [(s.says, s.as_of) for s in town.conflicts] == [("York", "2025"), ("Leeds", "2023")]
        assert town.text.startswith("The documents differ: “York” (as of 2025) or “Leeds” (as of 2023).")
        assert {c.quote for c in town.citations} == {"The head office is in York.", "The head office is in Leeds."}
        allowed = assistant.ask("Is remote work allowed?")
        assert [(s.says, s.as_of) for s in allowed.conflicts] == [("No", "2025"), ("Yes", "2023")]
        assert all(assistant.holds(c) for side in allowed.conflicts for c in side.citations)


def test_a_copy_and_a_second_sentence_of_one_document_count_once() -> None:
    first = said(*ONE)
    value = partial(value_of, Kind.NUMBER)
    assert len(voices([first, said(*ONE, n=1)], value)) == 1
    assert len(voices([first, said("It is 5 metres.", "5 metres")], value)) == 1
    assert voices([first], lambda _: None) == []


@pytest.fixture(scope="module")
def small() -> Iterator[rag.Assistant]:
    """A few short documents, asked without the LLM."""
    texts = {
        "tower": "The Blue Tower is 300 metres tall.",
        "guide": "Visitors read that the Blue Tower is 324 metres tall.",
        "rice": "Last year the Marrow Valley farms sold rice, barley and honey to the city.",
        "treaty": "Governor Hale did not sign the water treaty with the Marrow Valley farms.",
        "bridge": "The Alder Bridge was opened by the mayor in 1931.",
        "paper": "In 1931 the newspapers wrote about little else: the Alder Bridge opened after seven years of work.",
    }
    with rag.open(documents=[], llm_model="none", read_model="overlap") as assistant:
        for title, text in texts.items():
            assistant.add_text(text, title=title, uri=f"mem:{title}")
        yield assistant


def test_a_yes_or_no_question_opens_with_the_word_and_shows_the_quote(small: rag.Assistant) -> None:
    answer = small.ask("Did Governor Hale sign the water treaty with the Marrow Valley farms?")
    assert (answer.outcome, answer.kind, answer.short) == (Outcome.ANSWERED, Kind.YES_NO, "No")
    assert answer.text.startswith("No.\n\nGovernor Hale did not sign")
    assert [c.origin for c in answer.claims] == [Origin.RULE, Origin.QUOTE]
    assert all(c.citations and small.holds(c.citations[0]) for c in answer.claims)


def test_a_list_is_said_item_by_item_each_with_its_quote(small: rag.Assistant) -> None:
    reader = small._rooms.reader

    class Lists:
        """The reader, with the whole list as the short answer: what the trained one marks, the other one does not."""

        name = fingerprint = "lists"

        def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
            read = self._read(question, texts)
            return [replace(r, answers=tuple(self._of(text) for _ in r.sentences)) for text, r in read]

        def _read(self, question: str, texts: Sequence[str]) -> Iterator[tuple[str, Reading]]:
            return zip(texts, reader.read(question, texts), strict=True)

        def _of(self, text: str) -> Short | None:
            at = text.find("rice, barley and honey")
            return Short(Span(at, at + 22), 5.0) if at >= 0 else None

    rooms = replace(small._rooms, reader=Lists())
    *_, answer = stream(rooms, "Which goods did the Marrow Valley farms sell to the city?")
    assert isinstance(answer, Answer)
    assert (answer.kind, answer.short) == (Kind.LIST, "rice; barley; honey")
    assert answer.text.startswith("rice; barley; honey\n\nLast year the Marrow Valley farms sold")
    assert [c.origin for c in answer.claims] == [Origin.RULE] * 3 + [Origin.QUOTE]
    assert len(answer.citations) == 1


def test_documents_that_differ_are_shown_side_by_side_and_none_is_chosen(small: rag.Assistant) -> None:
    answer = small.ask("How many metres tall is the Blue Tower?")
    assert answer.outcome is Outcome.ANSWERED
    assert {(s.says, s.as_of) for s in answer.conflicts} == {("300", ""), ("324", "")}
    assert answer.text.startswith("The documents differ: “")
    assert answer.short == ""
    assert {c.source.title for c in answer.citations} == {"tower", "guide"}
    assert [c.origin for c in answer.claims] == [Origin.RULE, Origin.QUOTE, Origin.QUOTE]


def test_the_date_of_a_document_stands_beside_what_it_says(small: rag.Assistant) -> None:
    tower = small.document(Source.at("mem:tower", "").id)
    dated = replace(tower, source=replace(tower.source, date="2019-03-01"))
    rooms = replace(small._rooms, document=lambda id: dated if id == tower.source.id else small.document(id))
    *_, answer = stream(rooms, "How many metres tall is the Blue Tower?")
    assert isinstance(answer, Answer)
    assert ("300", "2019-03-01") in {(s.says, s.as_of) for s in answer.conflicts}
    assert "“300” (as of 2019-03-01)" in answer.text


def test_dates_that_files_give_themselves_reach_the_answer(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text(
        '<html><head><title>Old guide</title><meta name="date" content="2019-03-01"></head>'
        "<body><p>The Blue Tower is 300 metres tall.</p></body></html>"
    )
    (tmp_path / "new.md").write_text(
        "---\ntitle: New guide\ndate: 2024-05-02\n---\nVisitors read that the Blue Tower is 324 metres tall.\n"
    )
    with rag.open(documents=tmp_path, llm_model="none", read_model="overlap") as assistant:
        answer = assistant.ask("How many metres tall is the Blue Tower?")
        assert {(s.says, s.as_of) for s in answer.conflicts} == {("300", "2019-03-01"), ("324", "2024-05-02")}
        assert "“300” (as of 2019-03-01)" in answer.text and "“324” (as of 2024-05-02)" in answer.text
        assert all(assistant.holds(c) for side in answer.conflicts for c in side.citations)


def test_documents_that_agree_are_counted(small: rag.Assistant) -> None:
    answer = small.ask("When was the Alder Bridge opened?")
    assert {c.source.title for c in answer.agreement} == {"bridge", "paper"}
    assert answer.text.endswith("“1931” stands in 2 documents.")
    assert answer.short == "1931"
