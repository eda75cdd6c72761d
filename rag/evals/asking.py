"""A dataset's questions put to the assistant through its public API; one record per question and condition.

    gold          only the texts that the question was asked about are searched
    distractors   these and the nearest others (of a case: its own passages)
    full          everything

Records are appended to a file as they are made, so a run that is stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import UsageError
from rag.evals.datasets import Dataset, Question, Text
from rag.evals.scoring import exact, f1, holds
from rag.text import sentences
from rag.types import Answer, Evidence, Hit, Message, Origin, Outcome, Source, Span, Verdict

if TYPE_CHECKING:
    from rag.assistant import Assistant

CONDITIONS = ("gold", "distractors", "full")
DISTRACTORS = 4
DEPTH = 20  # passages looked at for distractors
NAIVE_PASSAGES, NAIVE_TOKENS = 4, 64
RANKED = 60  # passages looked at for the measures of retrieval; the first ten texts of each retriever are among them
Record = dict[str, Any]
Progress = Callable[[int, int], None]


class Records:
    """A file of records, one JSON object a line, appended to and flushed one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: list[Record] = []
        if path.is_file():
            whole = path.read_bytes()
            kept = whole[: whole.rfind(b"\n") + 1]  # a line that a kill cut off is asked again
            self.done = [json.loads(line) for line in kept.splitlines()]
            if kept != whole:
                path.write_bytes(kept)
        self._file = path.open("a", encoding="utf-8")

    def add(self, record: Record) -> None:
        """Append one."""
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()
        self.done.append(record)

    def close(self) -> None:
        """Make sure of it on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the texts lie in the index: source ids by text id, and back."""

    source: Mapping[str, str]
    text: Mapping[str, str]

    @staticmethod
    def of(dataset: Dataset) -> Place:
        """The places that `indexed` gives the texts."""
        source = {t.id: Source.at(placed(t.id), t.title).id for t in dataset.texts}
        return Place(source, {s: t for t, s in source.items()})

    @staticmethod
    def same(source_ids: Sequence[str]) -> Place:
        """The places where texts go by their source ids."""
        own = {id_: id_ for id_ in source_ids}
        return Place(own, own)


def placed(text_id: str) -> str:
    """The uri under which a text of a dataset is indexed."""
    return f"eval:{text_id}"


def indexed(assistant: Assistant, dataset: Dataset, progress: Progress | None = None) -> None:
    """Put every text of the dataset into the assistant's index; those that are there stay."""
    there = {row.source.uri for row in assistant.sources()}
    for n, text in enumerate(dataset.texts, start=1):
        if placed(text.id) not in there:
            put(assistant, text)
        if progress is not None:
            progress(n, len(dataset.texts))


def put(assistant: Assistant, text: Text) -> None:
    """One text in its place in the index, instead of what was there."""
    assistant.add_text(text.text, title=text.title, uri=placed(text.id))


def ask_all(
    assistant: Assistant,
    dataset: Dataset,
    place: Place,
    conditions: Sequence[str],
    records: Records,
    *,
    baselines: bool = True,
    naive: bool = False,
    progress: Progress | None = None,
) -> None:
    """Ask every question under every condition, and record it; what is recorded already is passed over."""
    if unknown := set(conditions) - set(CONDITIONS):
        raise UsageError(f"there is no condition {sorted(unknown)[0]!r}", "gold, distractors or full")
    if any(q.off_topic for q in dataset.questions) and "full" not in conditions:
        raise UsageError("questions off topic are asked of all texts", "add --condition full")
    plan = [(c, q) for q in dataset.questions for c in _conditions(dataset, q, conditions)]
    done = {(r["condition"], r["id"]) for r in records.done}
    for n, (condition, question) in enumerate(plan, start=1):
        if (condition, question.id) not in done:
            record = _record(assistant, dataset, place, condition, question, baselines)
            asked_naively = naive and question.answerable
            records.add(record | (_naive(assistant, place, condition, question) if asked_naively else {}))
        if progress is not None:
            progress(n, len(plan))


def _conditions(dataset: Dataset, question: Question, chosen: Sequence[str]) -> Sequence[str]:
    """Where there is no text that a question belongs to, or nothing but a ranking to measure: full alone."""
    return ("full",) if dataset.kind == "ranking" or question.off_topic else chosen


def _record(
    assistant: Assistant, dataset: Dataset, place: Place, condition: str, question: Question, baselines: bool
) -> Record:
    head = {"condition": condition, "id": question.id, "group": question.group, "question": question.text}
    if dataset.kind == "ranking":
        return {**head, **_ranked(assistant.search(question.text, RANKED), place, question)}
    sources = _sources(assistant, place, condition, question)
    hits = assistant.search(question.text, RANKED) if condition == "full" and question.answerable else []
    answer = assistant.ask(question.text, sources=sources)
    known = {"answerable": question.answerable, "off_topic": question.off_topic}
    made = {**head, **known, **_ranked(hits, place, question), **_answered(assistant, answer)}
    made |= _right(place, question, answer)
    if baselines and question.answerable:
        made |= _baselines(assistant, place, question, answer, sources)
    return made


def _sources(assistant: Assistant, place: Place, condition: str, question: Question) -> list[str] | None:
    gold = [place.source[g] for g in question.gold]
    if condition == "full":
        return None
    if condition == "gold":
        return gold
    if question.among:
        return [place.source[t] for t in question.among]
    near = dict.fromkeys(h.passage.source.id for h in assistant.search(question.text, DEPTH))
    return gold + [s for s in near if s not in gold][:DISTRACTORS]


def _ranked(hits: Sequence[Hit], place: Place, question: Question) -> Record:
    """The grades of the texts in the order in which their first passages were found: fused, and by each retriever."""
    if not hits:
        return {}
    grades = question.grades if question.grades else dict.fromkeys(question.gold, 1)

    def order(some: Sequence[Hit]) -> list[int]:
        texts = dict.fromkeys(place.text[h.passage.source.id] for h in some)
        return [grades.get(t, 0) for t in list(texts)[:10]]

    alone = {
        name: order(sorted((h for h in hits if name in h.ranks), key=lambda h, name=name: h.ranks[name]))  # type: ignore[misc]
        for name in ("dense", "lexical")
    }
    held = [any(_holds_place(place, h, p) for p in question.places) for h in hits]
    return {
        "found": order(hits),
        **alone,
        "ideal": sorted(grades.values(), reverse=True)[:10],
        "passage": held.index(True) + 1 if any(held) else 0,
    }


def _holds_place(place: Place, hit: Hit, at: tuple[str, Span]) -> bool:
    return place.text[hit.passage.source.id] == at[0] and _touch(hit.passage.span, at[1])


def _answered(assistant: Assistant, answer: Answer) -> Record:
    """What can be said of an answer without knowing the right one."""
    first = answer.evidence[0] if answer.evidence else None
    return {
        "outcome": answer.outcome.value,
        "confidence": answer.trace.confidence,
        "given": _given(assistant, answer),
        "short": _short(first),
        "sentence": first.text if first is not None else "",
        "support": first.support if first is not None else 0.0,
        "text": answer.text,
        "citations": len(answer.citations),
        "valid": sum(assistant.holds(c) for c in answer.citations),
        "claims": len(answer.claims),
        "supported": sum(c.verdict is Verdict.SUPPORTED and bool(c.citations) for c in answer.claims),
        "worded": any(c.origin is Origin.MODEL for c in answer.claims),
        "seconds": {k: round(v, 4) for k, v in answer.trace.seconds.items()},
    }


def _given(assistant: Assistant, answer: Answer) -> dict[str, bool]:
    """By strictness: whether it would be given as the answer."""
    gate, lacks = assistant._rooms.gate, answer.trace.signals.get("lack", 0.0) > 0
    sure = {how: gate.outcome(answer.trace.confidence, how) is Outcome.ANSWERED for how in gate.answered}
    return {how: yes and (how == "lenient" or not lacks) and bool(answer.evidence) for how, yes in sure.items()}


def _short(e: Evidence | None) -> str:
    """The short answer marked in a sentence; the sentence where none is."""
    if e is None:
        return ""
    return e.text if e.answer is None else e.answer.shift(-e.span.start).of(e.text)


def _right(place: Place, question: Question, answer: Answer) -> Record:
    """The answer against the known one."""
    holding = [_holds(e.text, question) or _annotated(place, question, e) for e in answer.evidence[:3]]
    annotated = [_annotated(place, question, e) for e in answer.evidence[:1]]
    said = _short(answer.evidence[0]) if answer.evidence else ""
    shown = said if answer.outcome is Outcome.ANSWERED else ""
    quotes = [c.quote for c in answer.citations]
    cited = [(place.text[c.source.id], c.span) for c in answer.citations]
    golds = [any(t == text and _touch(s, span) for text, s in cited) for t, span in question.places]
    matched = [any(t == text and _touch(s, span) for t, span in question.places) for text, s in cited]
    return {
        "top1": any(holding[:1]),
        "top3": any(holding),
        "annotated": any(annotated),
        "em": exact(said, question.answers) if question.answers else 0.0,
        "f1": f1(said, question.answers) if question.answers else 0.0,
        "shown_f1": f1(shown, question.answers),
        "said": _holds(answer.text, question),
        "quoted": any(_holds(q, question) for q in quotes) or any(golds),
        "cited_right": sum(matched),
        "gold_cited": sum(golds),
        "golds": len(golds),
    }


def _holds(text: str, question: Question) -> bool:
    return bool(question.answers) and holds(text, question.answers)


def _annotated(place: Place, question: Question, e: Evidence) -> bool:
    text = place.text[e.hit.passage.source.id]
    return any(t == text and _touch(e.span, span) for t, span in question.places)


def _naive(assistant: Assistant, place: Place, condition: str, question: Question) -> Record:
    """What the same LLM says when it is given the first passages and the question, as most programs do it."""
    llm = assistant._rooms.llm
    if llm is None:
        return {}
    sources = _sources(assistant, place, condition, question)
    texts = [h.passage.text for h in assistant.search(question.text, NAIVE_PASSAGES, sources=sources)]

    def prompt() -> list[Message]:
        context = "\n\n".join(texts)
        return [Message("user", f"Answer the question from the context.\n\n{context}\n\nQuestion: {question.text}")]

    while len(texts) > 1 and llm.length(prompt()) > llm.window - NAIVE_TOKENS:
        texts.pop()
    said = "".join(llm.stream(prompt(), NAIVE_TOKENS))
    return {"naive_text": said, "naive": _holds(said, question), "naive_f1": f1(said.strip(), question.answers)}


def _touch(one: Span, two: Span) -> bool:
    """True if they share half of the shorter one."""
    shared = min(one.end, two.end) - max(one.start, two.start)
    return 2 * shared > min(len(one), len(two))


def _baselines(
    assistant: Assistant, place: Place, question: Question, answer: Answer, sources: Sequence[str] | None
) -> Record:
    """What would have come out without reading: the first sentence found, and the one nearest in meaning."""
    hits = assistant.search(question.text, assistant.config.retrieve.k, sources=sources)
    every = [(h, s) for h in hits for s in sentences(h.passage.text)]
    if not every:
        return {}
    embedder = assistant._embedder
    vectors = embedder.passages([s.of(h.passage.text)[:800] for h, s in every])
    nearest = every[int((vectors @ embedder.questions([question.text])[0]).argmax())]

    def right(hit: Hit, span: Span) -> bool:
        e = Evidence(hit, span.shift(hit.passage.span.start), 0.0)
        return _holds(e.text, question) or _annotated(place, question, e)

    return {"first_sentence": right(*every[0]), "cosine": right(*nearest)}
