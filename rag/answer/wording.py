"""Evidence in, the LLM's sentences out, each judged before it is shown.

The draft is cut into claims as it streams, each is aligned with evidence sentences and judged against them, and only
what holds is shown. Nothing of the model is shown before it has said the short answer that the reader found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.answer.drafting import drafted
from rag.answer.page import Notes, Page, Rooms, Stop, citation_of, nowhere
from rag.cite import cite
from rag.config import AnswerConfig
from rag.judge import Judgement
from rag.lack import telling
from rag.text import stem, terms
from rag.text import words as words_of
from rag.types import Event, Evidence, Origin, Verdict, Waits

CLEAR = 1.0
"""Lead of the short answer, in log-odds, from which a small model is asked to word it. Of the short answers in right
sentences, a quarter of those under it is wrong, and one in seventeen of those over it (`python -m rag.evals.leads`)."""


def worded(rooms: Rooms, notes: Notes, page: Page, evidence: Sequence[Evidence], stop: Stop) -> Iterator[Event]:
    """The claims of the LLM that hold, as they are written; none if it never says the short answer."""
    if rooms.style == "sentence" and notes.signals["clear"] < CLEAR:  # it would say with certainty what is a guess
        notes.trouble = "the model was not asked: other words of the sentence may be the answer as well"
        return
    held_back: list[tuple[str, list[Evidence], Verdict]] = []
    said = False
    for words in drafted(rooms, notes, evidence, stop):
        if isinstance(words, Waits):
            yield words
            continue
        with notes.timed("judge"):
            aligned, verdict = _judged(rooms, notes, words, evidence)
        if verdict is Verdict.UNSUPPORTED:
            continue
        held_back.append((words, aligned, verdict))
        said = said or _says_answer(words, evidence)
        if said:
            for held, its, how in held_back:
                yield page.claim(held, [citation_of(rooms, e) for e in its], how, Origin.MODEL, " ")
            held_back = []
    notes.withheld += [(words, "it does not say the answer that the evidence holds") for words, _, _ in held_back]


def _judged(rooms: Rooms, notes: Notes, words: str, evidence: Sequence[Evidence]) -> tuple[list[Evidence], Verdict]:
    """The evidence that the claim rests on, and the verdict; what is not shown is noted with its reason."""
    aligned = cite(words, evidence, rooms.weigh(list(dict.fromkeys(terms(words)))))
    judgement = rooms.judge.judge([words], [[e.text for e in aligned]], notes.query)[0] if aligned else Judgement(0.0)
    if foreign := _foreign(rooms, notes.query, words, aligned):
        judgement = Judgement(0.0, tuple(f"the passages do not speak of '{word}'" for word in foreign))
    elif _repeats(words, evidence, aligned):
        judgement = Judgement(0.0, ("it says the short answer twice",))
    verdict = verdict_of(judgement, rooms.config.answer)
    if verdict is Verdict.PARTIAL and rooms.config.answer.strictness != "lenient":
        verdict = Verdict.UNSUPPORTED
    if verdict is Verdict.UNSUPPORTED:
        reason = "; ".join(judgement.failures) or f"the quotes carry only {judgement.score:.0%} of it"
        notes.withheld.append((words, reason))
    return aligned, verdict


def _foreign(rooms: Rooms, question: str, claim: str, aligned: Sequence[Evidence]) -> list[str]:
    """The telling words that the claim has from the question, and that other documents have, but not its own passages.

    The judge grants a claim the question's words; but 'What is the warranty on the laptop?' may not become a laptop's
    warranty where the passage speaks of a pump's and the laptop stands in another document."""
    own = [e.hit.passage for e in aligned if e.hit.passage.source == aligned[0].hit.passage.source]
    held = set(terms(" ".join(f"{p.text} {p.heading} {p.source.title}" for p in own)))
    unknown, said = nowhere(rooms), set(terms(claim))
    asked = dict.fromkeys(span.of(question) for span in words_of(question))
    return [w for w in asked if telling(w) and stem(w) in said - held and not unknown(stem(w))]


def verdict_of(judgement: Judgement, config: AnswerConfig) -> Verdict:
    """The judge's score as a verdict; its failures are the reasons."""
    if judgement.score >= config.supported:
        return Verdict.SUPPORTED
    return Verdict.PARTIAL if judgement.score >= config.partial else Verdict.UNSUPPORTED


def _says_answer(words: str, evidence: Sequence[Evidence]) -> bool:
    """True if the claim holds the short answer of the best evidence that has one: half its terms, all its numbers."""
    wanted = set(_short(evidence))
    numbers = {t for t in wanted if any(c.isdigit() for c in t)}
    said = set(terms(words))
    return numbers <= said and 2 * len(wanted & said) >= len(wanted)


def _repeats(words: str, evidence: Sequence[Evidence], aligned: Sequence[Evidence]) -> bool:
    """True if the claim says the short answer twice and none of its quotes does: 'The director, Helen Okafor, is Helen
    Okafor.' may be true, and is no answer that anybody would write."""
    short = _short(evidence)

    def times(text: str) -> int:
        held = terms(text)
        return sum(held[at : at + len(short)] == short for at in range(len(held)))

    return bool(short) and times(words) > max([1, *(times(e.text) for e in aligned)])


def _short(evidence: Sequence[Evidence]) -> list[str]:
    """The terms of the short answer of the best evidence that has one; [] if none has."""
    best = next((e for e in evidence if e.answer is not None), None)
    return [] if best is None or best.answer is None else terms(best.answer.shift(-best.span.start).of(best.text))
