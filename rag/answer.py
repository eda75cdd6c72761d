"""Hits in, an answer out that says no more than the documents: read, gate, prompt, LLM, cite, judge.

The second half of the story, told as events: `Found` (the passages), `Quoted` (the first quotes, before the LLM has
said a word), `Wrote` (pieces that hold), and last the `Answer`.

The reader decides whether there is an answer; the LLM only words it. Its draft is cut into claims as it streams, each
is aligned with evidence sentences and judged against them, and only what holds is shown. Nothing of the model is shown
before it has said the short answer that the reader found; where it never does, the quotes themselves are the answer.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rag.cite import cite
from rag.config import Config
from rag.errors import Cancelled, ModelError
from rag.gate import Gate, missing, signals
from rag.judge import Judge, Judgement
from rag.llm import LLM
from rag.prompt import fitting
from rag.read import Reader
from rag.retrieve import Retriever, checked, standalone
from rag.text import sentences, terms
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Event,
    Evidence,
    Found,
    Hit,
    Origin,
    Outcome,
    Quoted,
    Span,
    Trace,
    Verdict,
    Wrote,
)
from rag.weigh import ranked

SUPPORTED, PARTIAL = 0.8, 0.55
"""Scores of the judge from which a claim counts as supported, and as partly (`python -m rag.evals.judge`)."""
_ALSO = 0.5  # share of the best one's support from which a further sentence is quoted beside it
_FINISHED = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_LEADING = re.compile(r"^\s*(?:(?:[-*•]|\d{1,2}[.)]|\[\d+\]|(?:Answer|A):)\s*)+")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What an answer is made with."""

    retriever: Retriever
    reader: Reader
    gate: Gate
    judge: Judge
    llm: LLM | None
    style: str
    document: Callable[[str], Document]
    weigh: Callable[[Sequence[str]], Mapping[str, float]]
    fingerprints: Callable[[], Mapping[str, str]]
    config: Config


@dataclass(slots=True)
class _Notes:
    """What is written down on the way, for the trace."""

    query: str = ""
    prompt: str = ""
    draft: str = ""
    trouble: str = ""
    confidence: float = 0.0
    signals: dict[str, float] = field(default_factory=dict)
    withheld: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


@dataclass(slots=True)
class _Page:
    """The answer so far: claims are written one after the other, and know their places."""

    text: str = ""
    claims: list[Claim] = field(default_factory=list)

    def say(self, words: str, gap: str) -> Wrote:
        piece = (gap if self.text else "") + words
        self.text += piece
        return Wrote(piece)

    def claim(self, words: str, citations: Sequence[Citation], verdict: Verdict, origin: Origin, gap: str) -> Wrote:
        wrote = self.say(words, gap)
        at = Span(len(self.text) - len(words), len(self.text))
        self.claims.append(Claim(at, tuple(citations), verdict, origin))
        return wrote


class _Stop:
    """Ends an answer from any thread: a model that is reading its prompt hears of it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._draft: Iterator[str] | None = None
        self.asked = False

    def now(self) -> None:
        with self._lock:
            self.asked, draft = True, self._draft
        _close(draft)

    def ends(self, draft: Iterator[str]) -> Iterator[str]:
        """`draft`, which `now` will close."""
        with self._lock:
            self._draft, late = draft, self.asked
        if late:
            _close(draft)
        return draft


def _close(draft: object) -> None:
    close = getattr(draft, "close", None)
    if close is not None:
        with suppress(ValueError):  # a plain generator that is running: it ends at its next piece
            close()


class Stream(Iterator[Event]):
    """The events of one answer, made as they are asked for. `close`, from any thread, frees the model within 1 s; the
    iterator then ends without an answer."""

    def __init__(
        self, rooms: Rooms, question: str, history: Sequence[tuple[str, str]], sources: Collection[str] | None
    ) -> None:
        self._stop = _Stop()
        self._events = _events(rooms, checked(question), history, sources, self._stop)

    def __next__(self) -> Event:
        if self._stop.asked:
            raise StopIteration
        try:
            event = next(self._events)
        except Cancelled:
            raise StopIteration from None
        if self._stop.asked:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop; closing twice is fine."""
        self._stop.now()
        with suppress(ValueError):  # it is running in another thread, and ends there
            self._events.close()


def stream(
    rooms: Rooms, question: str, history: Sequence[tuple[str, str]] = (), sources: Collection[str] | None = None
) -> Stream:
    """The events of one answer. Raises QuestionError on an empty or endless question; trouble with the LLM is written
    into the trace, and the quotes answer without it."""
    return Stream(rooms, question, history, sources)


def _events(
    rooms: Rooms, question: str, history: Sequence[tuple[str, str]], sources: Collection[str] | None, stop: _Stop
) -> Generator[Event, None, None]:
    notes, page = _Notes(), _Page()
    start = time.perf_counter()
    notes.query = standalone(question, history)
    with notes.timed("retrieve"):
        hits = rooms.retriever.retrieve(notes.query, sources=sources)
    yield Found(hits)
    with notes.timed("read"):
        evidence, outcome = _weighed(rooms, question, notes, hits)
    quoted = tuple(_citation(rooms, e) for e in evidence[: rooms.config.answer.quotes]) if hits else ()
    if outcome is not Outcome.NOTHING and quoted:
        notes.seconds["first_quote"] = time.perf_counter() - start
        yield Quoted(quoted[:1] if outcome is Outcome.ANSWERED else quoted)
    if outcome is Outcome.ANSWERED:
        yield from _worded(rooms, notes, page, evidence, stop)
        if not page.claims:
            yield from _quotes(rooms, page, _worth_quoting(evidence, rooms.config.answer.quotes))
    else:
        yield page.say(_refusal(outcome, notes.query, hits), "")
        if outcome is Outcome.CLOSEST:
            yield from _quotes(rooms, page, evidence[: rooms.config.answer.quotes])
    notes.seconds["total"] = time.perf_counter() - start
    yield Answer(question, page.text, tuple(page.claims), tuple(evidence), outcome, _trace(rooms, notes))


def _weighed(rooms: Rooms, question: str, notes: _Notes, hits: Sequence[Hit]) -> tuple[list[Evidence], Outcome]:
    """The evidence, best first, and whether it is an answer."""
    if not hits:
        return [], Outcome.NOTHING
    texts = [f"{h.passage.heading}\n{h.passage.text}" if h.passage.heading else h.passage.text for h in hits]
    readings = rooms.reader.read(notes.query, texts)
    weights = rooms.weigh(list(dict.fromkeys(terms(notes.query))))
    notes.signals = signals(notes.query, readings, texts, weights)
    notes.confidence = rooms.gate.confidence(notes.signals)
    evidence = ranked(hits, readings)[: rooms.config.answer.sentences]
    if notes.query != question and evidence:
        # what it leans on was answered before: a follow-up needs a passage that also speaks of what is new in it
        notes.confidence *= _share(terms(question), evidence[0].hit.passage.text)
    outcome = rooms.gate.outcome(notes.confidence, rooms.config.answer.strictness) if evidence else Outcome.NOTHING
    return evidence, outcome


def _share(wanted: Sequence[str], text: str) -> float:
    """Share of the terms that `text` holds; 1 for no terms."""
    held = set(terms(text))
    return sum(t in held for t in wanted) / len(wanted) if wanted else 1.0


def _worth_quoting(evidence: Sequence[Evidence], most: int) -> list[Evidence]:
    return [e for e in evidence[:most] if e.support >= _ALSO * evidence[0].support]


def _worded(rooms: Rooms, notes: _Notes, page: _Page, evidence: Sequence[Evidence], stop: _Stop) -> Iterator[Event]:
    """The claims of the LLM that hold, as they are written; none if it never says the short answer."""
    held_back: list[tuple[str, list[Evidence], Verdict]] = []
    said = False
    for words in _drafted(rooms, notes, evidence, stop):
        with notes.timed("judge"):
            aligned, verdict = _judged(rooms, notes, words, evidence)
        if verdict is Verdict.UNSUPPORTED:
            continue
        held_back.append((words, aligned, verdict))
        said = said or _says_answer(words, evidence)
        if said:
            for held, its, how in held_back:
                yield page.claim(held, [_citation(rooms, e) for e in its], how, Origin.MODEL, " ")
            held_back = []
    notes.withheld += [(words, "it does not say the answer that the evidence holds") for words, _, _ in held_back]


def _drafted(rooms: Rooms, notes: _Notes, evidence: Sequence[Evidence], stop: _Stop) -> Iterator[str]:
    """The sentences of the draft, each as soon as it is whole."""
    if rooms.llm is None:
        return
    config = rooms.config.llm
    try:
        with notes.timed("prompt"):
            room = rooms.llm.window - config.max_tokens
            prompt = fitting(rooms.style, notes.query, evidence, rooms.llm.length, room)
            notes.prompt = rooms.llm.render(prompt) if prompt else ""
        if not prompt:
            notes.trouble = "the question leaves no room for evidence in the model's window"
            return
        pending = ""
        with notes.timed("llm"):
            for piece in stop.ends(rooms.llm.stream(prompt, config.max_tokens, config.seed)):
                notes.draft += piece
                whole, pending = _whole_sentences(pending + piece)
                if whole and rooms.style == "sentence":
                    yield whole[0]
                    return  # one was asked for; leaving frees the model
                yield from whole
        yield from _last(pending, notes)
    except ModelError as e:
        notes.trouble = str(e)


def _whole_sentences(text: str) -> tuple[list[str], str]:
    """The sentences of `text` that another one follows, and the rest."""
    spans = sentences(text)
    if len(spans) < 2:
        return [], text
    return [words for s in spans[:-1] if (words := _LEADING.sub("", s.of(text)))], text[spans[-1].start :]


def _last(pending: str, notes: _Notes) -> Iterator[str]:
    words = _LEADING.sub("", pending).strip()
    if words and _FINISHED.search(words):
        yield words
    elif words:
        notes.withheld.append((words, "the model did not finish it"))


def _judged(rooms: Rooms, notes: _Notes, words: str, evidence: Sequence[Evidence]) -> tuple[list[Evidence], Verdict]:
    """The evidence that the claim rests on, and the verdict; what is not shown is noted with its reason."""
    aligned = cite(words, evidence, rooms.weigh(list(dict.fromkeys(terms(words)))))
    judgement = rooms.judge.judge([words], [[e.text for e in aligned]], notes.query)[0] if aligned else Judgement(0.0)
    verdict = verdict_of(judgement)
    if verdict is Verdict.PARTIAL and rooms.config.answer.strictness != "lenient":
        verdict = Verdict.UNSUPPORTED
    if verdict is Verdict.UNSUPPORTED:
        reason = "; ".join(judgement.failures) or f"the quotes carry only {judgement.score:.0%} of it"
        notes.withheld.append((words, reason))
    return aligned, verdict


def verdict_of(judgement: Judgement) -> Verdict:
    """The judge's score as a verdict; its failures are the reasons."""
    if judgement.score >= SUPPORTED:
        return Verdict.SUPPORTED
    return Verdict.PARTIAL if judgement.score >= PARTIAL else Verdict.UNSUPPORTED


def _says_answer(words: str, evidence: Sequence[Evidence]) -> bool:
    """True if the claim holds the short answer of the best evidence that has one: half its terms, all its numbers."""
    best = next((e for e in evidence if e.answer is not None), None)
    if best is None or best.answer is None:
        return True
    wanted = set(terms(best.answer.shift(-best.span.start).of(best.text)))
    numbers = {t for t in wanted if any(c.isdigit() for c in t)}
    said = set(terms(words))
    return numbers <= said and 2 * len(wanted & said) >= len(wanted)


def _quotes(rooms: Rooms, page: _Page, evidence: Sequence[Evidence]) -> Iterator[Wrote]:
    """The evidence in its own words: each claim is its quote, character for character."""
    for e in evidence:
        citation = _citation(rooms, e)
        yield page.claim(citation.quote, [citation], Verdict.SUPPORTED, Origin.QUOTE, "\n\n")


def _citation(rooms: Rooms, e: Evidence) -> Citation:
    return Citation.cut(rooms.document(e.hit.passage.source.id), e.span, e.answer)


def _refusal(outcome: Outcome, question: str, hits: Sequence[Hit]) -> str:
    absent = missing(question, [h.passage.text for h in hits])
    lacking = f" They do not mention {_listed(absent)}." if absent and hits else ""
    if not hits:
        return "There are no documents to answer from yet."
    if outcome is Outcome.NOTHING:
        return f"The documents do not hold an answer to this.{lacking}"
    return f"I found no confirmed answer in the documents.{lacking} The closest passages are:"


def _listed(names: Sequence[str]) -> str:
    quoted = [f"“{n}”" for n in dict.fromkeys(names)][:4]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


def _trace(rooms: Rooms, notes: _Notes) -> Trace:
    return Trace(
        query=notes.query,
        prompt=notes.prompt,
        draft=notes.draft,
        withheld=tuple(notes.withheld),
        trouble=notes.trouble,
        signals=notes.signals,
        confidence=notes.confidence,
        fingerprints=dict(rooms.fingerprints()),
        seconds=notes.seconds,
    )
