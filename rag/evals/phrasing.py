"""Questions cut out of sentences, put by the language model as people would ask them, where the judge lets it.

    'The harbour bridge opened on when?'  ->  'When did the harbour bridge open?'

The model is shown the sentence and the answer. What it writes is kept only if it is one question, does not say the
answer, asks for the kind of thing that the answer is, and, with the answer in the place of its question word, says
nothing that the sentence does not carry. Everything else stays as it was cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.config import AnswerConfig
from rag.errors import UsageError
from rag.evals.datasets import Dataset, Question
from rag.evals.own import DATE
from rag.evals.scoring import holds
from rag.judge import RuleJudge
from rag.kinds import kind_of
from rag.lack import telling
from rag.text import stem, stems, terms, words
from rag.types import Kind, Message

if TYPE_CHECKING:
    from rag.assistant import Assistant

TOKENS = 40
NEAR = 15  # words from the answer within which all stands that the question speaks of
_ASK = "You write one question. The given answer answers it. You use only what the text says."
_EXAMPLES = (
    (
        "The harbour bridge was opened on 4 March 1931 by the mayor, after seven years of work.",
        "4 March 1931",
        "When was the harbour bridge opened by the mayor?",
    ),
    (
        "Her uncle Marco Rossi, a retired conductor, gave Elena her first cello lessons when she was six.",
        "Marco Rossi",
        "Who gave Elena her first cello lessons?",
    ),
    ("The new ferry carries 340 passengers to the islands.", "340", "How many passengers does the new ferry carry?"),
)
_WORD = re.compile(r"\b(?:how (?:many|much)|in (?:which|what) year|what year|who|whom|what|which|when|where)\b", re.I)
_NAMED = (Kind.PERSON, Kind.PLACE, Kind.OTHER)


def reworded(assistant: Assistant, dataset: Dataset) -> Dataset:
    """The dataset with those questions in the model's words that the judge accepts. Raises UsageError without one."""
    llm = assistant._rooms.llm
    if llm is None:
        raise UsageError("there is no language model to word the questions", "leave out --no-llm, or --worded")

    def said(sentence: str, answer: str) -> str:
        return "".join(llm.stream(_prompt(sentence, answer), TOKENS)).strip()

    made = [_asked(assistant, q, said) for q in dataset.questions]
    changed = sum(q.text != old.text for q, old in zip(made, dataset.questions, strict=True))
    return replace(dataset, name=f"{dataset.name}, {changed} in the model's words", questions=tuple(made))


def _asked(assistant: Assistant, question: Question, said: Callable[[str, str], str]) -> Question:
    if not question.answers or not question.places:
        return question
    source, span = question.places[0]
    sentence, answer = span.of(assistant.document(source).text), question.answers[0]
    text = said(sentence, answer)
    return replace(question, text=text) if accepted(text, sentence, answer) else question


def accepted(text: str, sentence: str, answer: str) -> bool:
    """True if `text` is a question that `sentence` answers with `answer`, and says nothing else.

    >>> accepted("How many trees will Japan give?", "Japan will give 250 trees to the city.", "250")
    True
    >>> accepted("How many trees will Korea give?", "Japan will give 250 trees to the city.", "250")
    False
    """
    if not text.endswith("?") or "\n" in text or text.count("?") > 1 or holds(text, [answer]):
        return False
    asks = _WORD.search(text)
    if asks is None or len(set(terms(text))) < 3 or not _fits(kind_of(text), answer):
        return False
    about = stems(_around(sentence, answer))
    if any(telling(w) and stem(w) not in about for s in words(text) if (w := s.of(text))):
        return False  # the judge forgives a word of many, and does not ask what belongs together
    claim = f"{text[: asks.start()]}{answer}{text[asks.end() :]}".rstrip("? ") + "."
    return RuleJudge().judge([claim], [[sentence]])[0].score >= AnswerConfig().supported


def _around(sentence: str, answer: str) -> str:
    """The words near the answer, no further than a semicolon, a colon or a dash."""
    at = sentence.find(answer)
    before, after = re.split(r"[;:—]", sentence[:at])[-1], re.split(r"[;:—]", sentence[at + len(answer) :])[0]
    return " ".join([*before.split()[-NEAR:], *after.split()[:NEAR]])


def _fits(kind: Kind, answer: str) -> bool:
    """True if the answer is of the kind that is asked for: a year or a month is a date, other digits are a number."""
    if DATE.fullmatch(answer):
        return kind is Kind.DATE
    return kind is Kind.NUMBER if re.search(r"\d", answer) else kind in _NAMED


def _prompt(sentence: str, answer: str) -> tuple[Message, ...]:
    turns = [Message("system", _ASK)]
    for text, short, question in _EXAMPLES:
        turns += [Message("user", _task(text, short)), Message("assistant", question)]
    return (*turns, Message("user", _task(sentence, answer)))


def _task(text: str, answer: str) -> str:
    return f"Text: {' '.join(text.split())}\nAnswer: {answer}\nQuestion:"
