"""The nouns of the house: everything that travels between rooms, frozen.

A question walks `Hit -> Evidence -> Citation -> Claim -> Answer`; a document walks `Document -> Passage`.
Positions are half-open ranges of Unicode code points. `span` is always a place in a document, `at` always a place in
an answer. A quote is never searched for: it is sliced, `document.text[span.start:span.end]`, and a `Citation` can
only be cut from its document, so that it is true by construction.

Standard library only: this is the ground floor.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Half-open range of Unicode code points: `text[start:end]`.

    >>> Span(2, 4).of("abcdef")
    'cd'
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span needs 0 <= start <= end, got {self.start}, {self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def __contains__(self, other: object) -> bool:
        return isinstance(other, Span) and self.start <= other.start and other.end <= self.end

    def of(self, text: str) -> str:
        """The characters of `text` in this span."""
        return text[self.start : self.end]

    def shift(self, by: int) -> Span:
        """The same range, `by` code points further on."""
        return Span(self.start + by, self.end + by)

    def overlaps(self, other: Span) -> bool:
        """True if the two share at least one character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text lives. `uri` names the place, `id` is derived from it and stays the same for the same place.

    `date` is the day that the document gives itself, 'YYYY-MM-DD', so that days compare as they sort; '' if none.
    """

    id: str
    uri: str
    title: str
    media_type: str = "text/plain"
    date: str = ""

    @staticmethod
    def at(uri: str, title: str, media_type: str = "text/plain", date: str = "") -> Source:
        """The source at `uri`; its id is the first 16 hex digits of the sha256 of the uri."""
        digest = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()
        return Source(digest[:16], uri, title, media_type, date)


MarkKind = Literal["page", "heading", "row", "message", "sheet", "attachment"]
_INWARD = ("message", "attachment", "sheet", "heading", "page", "row")
_TITLES = frozenset({"heading", "message", "sheet", "attachment"})  # say what a stretch is about; the others only where


@dataclass(frozen=True, slots=True)
class Mark:
    """A named stretch of a document: the page, the section under a heading, the row. `level` is the heading's depth;
    `date` the day that a message gives itself, 'YYYY-MM-DD', '' if none."""

    span: Span
    kind: MarkKind
    label: str
    level: int = 0
    date: str = ""

    def flat(self) -> list[Any]:
        """As it lies in JSON; `Mark.of` takes it back."""
        flat = [self.span.start, self.span.end, self.kind, self.label, self.level]
        return [*flat, self.date] if self.date else flat

    @staticmethod
    def of(start: int, end: int, kind: MarkKind, label: str, level: int, date: str = "") -> Mark:
        """The mark that `flat` was made of."""
        return Mark(Span(start, end), kind, label, level, date)


@dataclass(frozen=True)  # no slots: what is worked out of the marks is kept
class Document:
    """A text and where it came from. `text` is canonical and final: every span in the house points into it."""

    source: Source
    text: str
    marks: tuple[Mark, ...] = ()

    def heading(self, span: Span) -> str:
        """What `span` stands under, outermost first, joined by ' > ': headings, mail subjects, sheets; '' if none."""
        return " > ".join(m.label for m in self._over(span) if m.kind in _TITLES)

    def where(self, span: Span) -> str:
        """How a person finds `span`: 'p. 3 - Refunds', "Sheet 'Sales', row 7"; 'line 12' where there is no mark.

        Source code is found by its line, whatever it is marked with.
        """
        over = self._over(span)
        places = ", ".join(m.label for m in over if m.kind != "heading")
        headings = " > ".join(m.label for m in over if m.kind == "heading")
        if not over or (not places and self.source.media_type.startswith("text/x-")):
            places = f"line {self.text.count(chr(10), 0, span.start) + 1}"
        return " - ".join(part for part in (places, headings) if part)

    def day(self, span: Span) -> str:
        """The day of the innermost message that `span` stands in, else the document's own, 'YYYY-MM-DD'; '' if none."""
        return next((m.date for m in reversed(self._over(span)) if m.date), self.source.date)

    def _over(self, span: Span) -> Sequence[Mark]:
        """The marks over the first character of `span`, outermost first."""
        starts, over = self._marked
        at = bisect_right(starts, span.start) - 1
        return over[at] if at >= 0 else ()

    @cached_property
    def _marked(self) -> tuple[list[int], list[tuple[Mark, ...]]]:
        """Where the marks over the text change, ascending, and those from there on: a table of 100,000 rows has as many
        marks, and each of its passages asks."""
        opening: dict[int, list[Mark]] = {}
        for mark in self.marks:
            if len(mark.span):
                opening.setdefault(mark.span.start, []).append(mark)
        edges = sorted(opening.keys() | {m.span.end for marks in opening.values() for m in marks})
        now: list[Mark] = []
        over = []
        for edge in edges:
            now = [m for m in now if m.span.end > edge] + opening.get(edge, [])
            over.append(tuple(sorted(now, key=_outermost_first)))
        return edges, over


def _outermost_first(mark: Mark) -> tuple[int, int, int]:
    """The longer one is outside; of marks on the same stretch, by kind, then by level."""
    return (-len(mark.span), _INWARD.index(mark.kind), mark.level)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document, the unit of retrieval. Made by `Passage.cut`, so `text` *is* `document.text[span]`."""

    source: Source
    span: Span
    text: str
    heading: str = ""

    def __post_init__(self) -> None:
        if len(self.text) != len(self.span):
            raise ValueError(f"a passage of {len(self.text)} characters cannot fill {self.span}")

    @staticmethod
    def cut(document: Document, span: Span) -> Passage:
        """The passage at `span` of `document`. Raises ValueError if the span leaves the text."""
        if span.end > len(document.text):
            raise ValueError(f"{span} leaves a document of {len(document.text)} characters")
        return Passage(document.source, span, span.of(document.text), document.heading(span))


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage. `score`: higher is better, comparable inside one list. `ranks`: from 1, by retriever."""

    passage: Passage
    score: float
    ranks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a hit. `support`: calibrated chance in [0, 1] that it answers; `answer`: the short answer in it."""

    hit: Hit
    span: Span
    support: float
    answer: Span | None = None

    @property
    def text(self) -> str:
        """The sentence, cut from its passage."""
        return self.span.shift(-self.hit.passage.span.start).of(self.hit.passage.text)


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that is really there: `quote == document.text[span.start:span.end]`, character for character.

    `where` is for people ('p. 3 - Refunds'); `answer` is the short answer inside the quote, if one was found.
    """

    source: Source
    span: Span
    quote: str
    where: str
    answer: Span | None = None

    def __post_init__(self) -> None:
        if not self.quote or len(self.quote) != len(self.span):
            raise ValueError(f"a quote of {len(self.quote)} characters cannot fill {self.span}")
        if self.answer is not None and self.answer not in self.span:
            raise ValueError(f"the short answer {self.answer} lies outside the quote {self.span}")

    @staticmethod
    def cut(document: Document, span: Span, answer: Span | None = None) -> Citation:
        """The citation of `span` of `document`, sliced from it. Raises ValueError if the span leaves the text."""
        quote = span.of(document.text)
        return Citation(document.source, span, quote, document.where(span), answer)

    def holds_in(self, document: Document) -> bool:
        """True if the quote still stands at its place: the check behind every display, reload and export."""
        return document.source.id == self.source.id and self.span.of(document.text) == self.quote


class Verdict(StrEnum):
    """What the judge says of one claim and its quotes."""

    SUPPORTED = "supported"
    PARTIAL = "partial"
    UNSUPPORTED = "unsupported"


class Origin(StrEnum):
    """Whose words a claim is in: the model's own wording, the document's (a quote), or the house's, by rule: 'Yes.', an
    item of a list, 'The documents differ'."""

    MODEL = "model"
    QUOTE = "quote"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer: `at` is its place in `Answer.text`."""

    at: Span
    citations: tuple[Citation, ...]
    verdict: Verdict
    origin: Origin = Origin.MODEL


class Outcome(StrEnum):
    """How a question ended. Not answering is an outcome, never an exception."""

    ANSWERED = "answered"
    CLOSEST = "closest"  # the nearest passages, not a confirmed answer
    NOTHING = "nothing"


class Kind(StrEnum):
    """What a question asks for, by its words."""

    YES_NO = "yes_no"
    NUMBER = "number"
    DATE = "date"
    PERSON = "person"
    PLACE = "place"
    LIST = "list"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Side:
    """One of several answers that cannot all hold. `says`: the short answer, as its document writes it; `citations`:
    one of each document that says so; `as_of`: when the first of these holds, as its sentence, its document or its
    title says, 'YYYY-MM-DD', 'YYYY-MM' or 'YYYY', '' if none does.
    """

    says: str
    citations: tuple[Citation, ...]
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about: enough to repeat it.

    `query` is what was searched with (a follow-up is not its question); `prompt` the exact text given to the model,
    `draft` all that it wrote, `withheld` the claims that failed, each with the reason; `trouble` what kept the model
    from writing; `signals` and `confidence` in [0, 1] behind the outcome; `fingerprints` of models and index; `seconds`
    per step; `hits` what was retrieved, best first.
    """

    query: str = ""
    prompt: str = ""
    draft: str = ""
    withheld: tuple[tuple[str, str], ...] = ()
    trouble: str = ""
    signals: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    confidence: float = 0.0
    fingerprints: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the documents say, claim by claim, or an honest outcome that they do not.

    `kind`: what was asked for; `short`: the answer in the fewest words ('Yes', '250', 'Japan; Korea'), '' if there is
    none; `missing`: what the question speaks of and the nearest passages do not; `agreement`: the quotes of two or more
    documents that say the same, the answer's own first; `conflicts`: the answers of documents that differ.
    """

    question: str
    text: str
    claims: tuple[Claim, ...]
    evidence: tuple[Evidence, ...]
    outcome: Outcome
    trace: Trace = field(default_factory=Trace)
    kind: Kind = Kind.OTHER
    short: str = ""
    missing: tuple[str, ...] = ()
    agreement: tuple[Citation, ...] = ()
    conflicts: tuple[Side, ...] = ()

    def __post_init__(self) -> None:
        for claim in self.claims:
            if claim.at.end > len(self.text):
                raise ValueError(f"a claim at {claim.at} leaves an answer of {len(self.text)} characters")

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Each citation once, in the order in which the answer uses them; number `[n]` is position n, from 1."""
        return tuple(dict.fromkeys(c for claim in self.claims for c in claim.citations))

    def __iter__(self) -> Iterator[tuple[str, Claim]]:
        """Each claim with its words: `for words, claim in answer`."""
        return ((claim.at.of(self.text), claim) for claim in self.claims)


@dataclass(frozen=True, slots=True)
class Found:
    """Event: retrieval is done."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Quoted:
    """Event: the first verified quotes, before the LLM has said a word."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Waits:
    """Event: `before` others are answered first by the model; again each time that changes, while it is not 0."""

    before: int


@dataclass(frozen=True, slots=True)
class Wrote:
    """Event: a piece of the answer that holds and may be shown, with the citations that back it."""

    text: str
    citations: tuple[Citation, ...] = ()


Event = Found | Quoted | Waits | Wrote | Answer


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt. `content` is data: an LLM must never let it become control tokens."""

    role: Literal["system", "user", "assistant"]
    content: str


def to_json(value: Any) -> Any:
    """Any noun as plain JSON types; the one form in which citations leave by every door.

    >>> to_json(Span(1, 2))
    {'start': 1, 'end': 2}
    """
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        plain = {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
        if isinstance(value, Answer):
            plain["citations"] = to_json(value.citations)
        return plain
    return value
