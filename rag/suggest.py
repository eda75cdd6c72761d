"""A document in, questions that it may answer out: made by rule from its own sentences, kept only if it answers them.

A rule only turns a plain English sentence round ("Japan will donate 250 trees" -> "How many trees will Japan donate?"),
so that the question is in the document's own words. Whether it is a question worth showing is not guessed: it is asked,
and what is not answered from that very document is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from rag.text import sentences
from rag.types import Answer, Document, Outcome

TRIES = 8  # questions asked of one document, at most
_READ = 20_000  # characters of a document that are looked at
_PROPER = r"[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,3}"
_NAME = rf"(?P<s>(?:[Tt]he |[Aa]n? )?{_PROPER}|[Tt]he [a-z]+(?: [a-z]+){{0,3}}(?:(?<= of| at| in) {_PROPER})?)"
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_PRONOUNS = frozenset("it this that these those he she they we you i there here what which who both each many".split())
_BEGIN = r"(?:^|\bthat |, (?:and )?|; )"  # of a clause
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            "^" + _NAME + r" has (?:about |only )?\d[\d,.]* (?P<o>[a-z]+(?: [a-z]+)?)"
            r"(?= (?:to|in|by|for|of|a)\b|[.,;])"
        ),
        "How many {o} does {s} have?",
    ),
    (
        re.compile(
            _BEGIN + _NAME + r" (?P<m>will|can|must|may|should) (?P<v>[a-z]+) (?:about |only )?\d[\d,.]* "
            r"(?P<o>(?!percent|million|billion|thousand|per\b)[a-z]+(?: [a-z]+){0,2}?)"
            r"(?= (?:to|in|by|for|on|at|from|of|a|per)\b|[.,;])"
        ),
        "How many {o} {m} {s} {v}?",
    ),
    (
        re.compile(_BEGIN + _NAME + r" (?P<m>was|were) (?P<v>[a-z]+ed|built|made|held|begun|written|born) "
                   rf"(?:in|on) (?:early |late )?(?:\d{{1,2}} )?(?:{_MONTHS}|\d{{4}}\b)"),
        "When {m} {s} {v}?",
    ),
    (re.compile("^" + _NAME + r" (?:holds|contains) (?:about |up to )?(?:\d|[a-z]+ (?:litres|people|seats))"),
     "How much does {s} hold?"),
    (re.compile("^" + _NAME + r" costs? (?:about |only )?\W?\d"), "How much does {s} cost?"),
    (re.compile("^" + _NAME + r" (?:is|was) (?:located|held|built) (?:in|at|near) [A-Z]"), "Where is {s}?"),
    (re.compile(r"(?P<s>\b[Tt]he [a-z]+), held (?:at|in|on) "), "Where was {s} held?"),
    (
        re.compile(r"\b(?:President|Minister|Chancellor|Professor|Director|Mayor|Dr\.?) "
                   r"(?P<s>[A-Z][\w'’-]*[^\W\d_](?: [A-Z][\w'’-]*[^\W\d_])+)(?<!['’]s)"),
        "Who is {s}?",
    ),
    (re.compile(r"^(?P<s>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,3}) is (?:an?|the) [a-z]"), "What is {s}?"),
)  # fmt: skip


def candidates(document: Document) -> Iterator[str]:
    """Questions made of the document's headings and sentences, in their order, each once.

    >>> from rag.types import Source
    >>> list(candidates(Document(Source.at("a", "a"), "Japan will donate 250 cherry trees to the city.")))
    ['How many cherry trees will Japan donate?']
    """
    made: dict[str, None] = {}
    for mark in document.marks:
        if mark.kind == "heading" and mark.label.rstrip().endswith("?"):
            made[" ".join(mark.label.split())] = None
    head = document.text[:_READ]
    for span in sentences(head):
        said = " ".join(span.of(head).split())
        for pattern, form in _RULES:
            found = pattern.search(said)
            if found and found["s"].split()[0].casefold() not in _PRONOUNS and len(said) < 400:
                subject = re.sub(r"^(The|An?)\b", lambda the: the[0].lower(), found["s"])
                made[form.format(**{**found.groupdict(), "s": subject})] = None
                break
    yield from made


def suggestions(documents: Iterable[Document], ask: Callable[[str], Answer], most: int) -> Iterator[str]:
    """At most `most` questions that are answered from the document that they were made of, one of each at first."""
    seen: set[str] = set()  # two documents may ask the same
    waiting = [(document.source.id, iter(list(candidates(document))[:TRIES])) for document in documents]
    shown = 0
    while waiting and shown < most:
        again = []
        for source, made in waiting:
            for question in made:
                if question in seen:
                    continue
                seen.add(question)
                answer = ask(question)
                if answer.outcome is Outcome.ANSWERED and any(c.source.id == source for c in answer.citations):
                    yield question
                    shown += 1
                    again.append((source, made))
                    break
            if shown >= most:
                return
        waiting = again
