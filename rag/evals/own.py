"""Questions written from a user's own documents, so that they see what to expect of them.

    a sentence with a number, a date or a name  ->  the same sentence with a question word in its place, cut short
    a heading with text under it                ->  'What is said about ...?'; any sentence under it answers
    the same question with one name or number of another document put in  ->  one that nobody can answer

No model writes them: each is right by construction, and the sentence it came from is known. They use the documents' own
words, so people's questions will fare somewhat worse; comparing settings or collections by them is sound. On demand the
language model puts them into its own words, where the judge finds nothing in them that the sentence does not say
(rag/evals/phrasing.py).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag.errors import UsageError
from rag.evals.asking import Place
from rag.evals.datasets import Dataset, Question
from rag.evals.scoring import holds
from rag.text import fold, sentences, terms
from rag.types import Document, Span

if TYPE_CHECKING:
    from rag.assistant import Assistant

WORDS = 14  # of a question, about the gap
DATE = re.compile(
    r"\b(?:\d{1,2} )?(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"(?: \d{1,2})?(?:,? \d{4})?\b|\b(?:in )?(?:1[5-9]|20)\d\d\b"
)
_SECTION = 40  # characters under a heading from which it has something to say
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,.]*\d(?![\w-])|(?<![\w.,-])\d(?![\w.,-])")
_NAME = re.compile(r"(?<![.?!“\"] )(?<!^)\b[A-Z][a-z]+(?: (?:of |de |van )?[A-Z][a-z]+)+\b")


@dataclass(frozen=True, slots=True)
class Gap:
    """What was taken out of a sentence, and the words that ask for it. `at`: in the document."""

    at: Span
    asks: str


def written(assistant: Assistant, most: int, seed: int) -> tuple[Dataset, Place]:
    """At most `most` answerable questions and as many unanswerable ones about the documents of an index."""
    rng = random.Random(seed)
    ids = [row.source.id for row in assistant.sources()]
    rng.shuffle(ids)
    if not ids:
        raise UsageError("the index holds no documents to write questions from", "rag add PATH")
    each = max(1, -(-most // len(ids)))
    made: list[Question] = []
    for id_ in ids[:most]:
        made += list(_of(assistant.document(id_), each, rng))
    made = _only(made)[:most]
    if not made:
        raise UsageError("no sentence of the documents has a number, a date or a name to ask for", "add more documents")
    fooled = _fooled(made, rng)
    name = f"{len(made)} questions written from {len({q.group for q in made})} of {len(ids)} documents"
    return Dataset(name, "reading", (), (*made, *fooled), ""), Place.same(ids)


def headed(assistant: Assistant, most: int, seed: int) -> list[Question]:
    """At most `most` questions from the headings of the documents; a heading that stands over two places, in one
    document or in two, asks for neither."""
    rng = random.Random(seed)
    found = [q for row in assistant.sources() for q in _under(assistant.document(row.source.id))]
    times = Counter(fold(q.text) for q in found)
    once = [q for q in found if times[fold(q.text)] == 1]
    return rng.sample(once, min(most, len(once)))


def _under(document: Document) -> Iterator[Question]:
    for mark in document.marks:
        text = mark.span.of(document.text).strip()
        below = len(text.removeprefix(mark.label)) if text.startswith(mark.label) else len(text)
        label = " ".join(mark.label.split())
        if mark.kind == "heading" and below >= _SECTION and any(t.isalpha() for t in terms(label)):
            yield Question(
                f"{document.source.id}:{mark.span.start}:heading",
                f"What is said about {label.rstrip('.:?! ')}?",
                (),
                (document.source.id,),
                ((document.source.id, mark.span),),
                group=document.source.id,
            )


def _of(document: Document, most: int, rng: random.Random) -> Iterator[Question]:
    found = []
    for span in sentences(document.text):
        words = span.of(document.text)
        if 7 <= len(words.split()) <= 45 and "\n" not in words and words[-1] in ".!?":
            found += [(span, gap) for gap in _gaps(words)]
    for span, gap in rng.sample(found, min(most, len(found))):
        sentence = span.of(document.text)
        answer = gap.at.of(sentence)
        yield Question(
            f"{document.source.id}:{span.start + gap.at.start}",
            _question(sentence, gap),
            (answer,),
            (document.source.id,),
            ((document.source.id, span),),
            group=document.source.id,
        )


def _gaps(sentence: str) -> list[Gap]:
    """What a sentence can be asked for: one thing of each kind."""
    found: list[Gap] = []
    for pattern, asks in ((DATE, "when"), (_NUMBER, "how many"), (_NAME, "who or what")):
        for match in pattern.finditer(sentence):
            taken = any(g.at.start < match.end() and match.start() < g.at.end for g in found)
            if not taken and sentence.count(match.group()) == 1:
                before = "in which year" if match.group()[-4:].isdigit() and asks == "when" else asks
                found.append(Gap(Span(*match.span()), before))
                break
    return found


def _question(sentence: str, gap: Gap) -> str:
    """The words about the gap, the gap asked for."""
    before, after = sentence[: gap.at.start].split(), sentence[gap.at.end :].rstrip(".!? ").split()
    left = before[-(WORDS // 2) :]
    right = after[: WORDS - len(left)]
    return " ".join([*left, gap.asks, *right]).strip(" ,;:“”\"'") + "?"


def _only(questions: Sequence[Question]) -> list[Question]:
    """The questions without those that ask the same."""
    return list({q.text: q for q in questions}.values())


def _fooled(questions: Sequence[Question], rng: random.Random) -> Iterator[Question]:
    """The questions with a name or number of another document in place of their own."""
    pools = [(pattern, *_named(questions, pattern)) for pattern in (_NAME, DATE, _NUMBER)]
    alone = len(questions) == 1
    for q in questions:
        for pattern, values, groups in pools:
            own = pattern.search(q.text)
            if own is None:
                continue
            first = rng.randrange(len(values))  # the question's own is one of them
            others = (v for v in values[first:] + values[:first] if alone or groups[v] - {q.group})
            value = next((v for v in others if v not in q.answers and not holds(q.text, [v])), None)
            if value is not None:
                text = q.text[: own.start()] + value + q.text[own.end() :]
                yield replace(q, id=f"{q.id}:fooled", text=text, answers=(), places=(), answerable=False)
                break


def _named(questions: Sequence[Question], pattern: re.Pattern[str]) -> tuple[list[str], dict[str, set[str]]]:
    """What the questions and their answers name by `pattern`, in order, and the documents that each is from."""
    groups: dict[str, set[str]] = {}
    for q in questions:
        for match in pattern.finditer(f"{q.text} {q.answers[0]}"):
            groups.setdefault(match.group(), set()).add(q.group)
    return sorted(groups), groups


def plainly(figures: Mapping[str, Any]) -> str:
    """What a user may expect of their documents, in words."""
    says = []
    if found := figures.get("retrieval: the right passage is first"):
        first, ten = _share(found), _share(figures["retrieval: the right passage is among ten"])
        says.append(f"Expect the right passage first in {first} questions, and among the first ten in {ten}.")
    holding = figures.get("evidence top-1: the first sentence holds the answer")
    given = figures.get("coverage: answerable ones answered")
    if holding and given:
        says.append(f"The first sentence shown is the right one in {_share(holding)}.")
        wrong = figures.get("wrong among answered")
        mistaken = f"; of these {_share(wrong)} rest on a wrong sentence" if wrong else ""
        says.append(f"Answered, and not only shown as a nearest passage, are {_share(given)}{mistaken}.")
    if fooled := figures.get("unanswerable ones answered"):
        says.append(f"Of questions that your documents do not answer, {_share(fooled)} are answered all the same.")
    says.append("The questions use your documents' own words: people's own questions fare somewhat worse.")
    return "\n".join(says)


def _share(figure: Mapping[str, Any]) -> str:
    """In tenths; in twentieths near none and near all.

    >>> _share({"value": 0.91}), _share({"value": 0.97}), _share({"value": 0.0})
    ('9 of 10', '19 of 20', '0 of 20')
    """
    of = 10 if 0.075 <= figure["value"] <= 0.925 else 20
    return f"{round(of * figure['value'])} of {of}"
