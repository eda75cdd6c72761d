"""What the writer learns from: prompts with the words that are wanted, for the two things it might be good for.

    point      numbered sentences and a question -> "[2] 250 cherry blossom trees", or "NONE"
    sentence   a sentence, a question and its short answer -> the answer as a whole sentence, made by rule

Both are made from squad1-train without the articles that the reader's training seals, by one seed.
"""

from __future__ import annotations

import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "reader"))
from data import plain, records, sealed
from edits import edited

from rag.evals.claims import _rewritten
from rag.judge import RuleJudge
from rag.judge.lexicon import FORMS
from rag.prompt import sentence
from rag.text import STOPWORDS, sentences
from rag.types import Evidence, Hit, Passage, Source, Span

MOST = 4  # sentences of one prompt, as many as the product gives
EDITED, REMOVED = 0.16, 0.13  # shares of questions that another word, or the sentence left out, makes unanswerable
NONE = "NONE"
Example = tuple[str, str]
"""The content of the user's turn, and what is to be said."""
Row = dict[str, Any]


def numbered(question: str, texts: Sequence[str]) -> str:
    """The prompt of the first task: the question before and after, the sentences by number."""
    lines = "\n".join(f"[{n}] {' '.join(t.split())}" for n, t in enumerate(texts, start=1))
    return f"Question: {question}\n\n{lines}\n\nQuestion: {question}"


def read(said: str) -> tuple[int, str] | None:
    """Number and short answer of what was said; None for NONE and for anything else.

    >>> read("[2] 250 trees"), read("NONE")
    ((2, '250 trees'), None)
    """
    found = re.match(r"\[(\d+)\] (.+)", said.strip())
    return (int(found[1]), found[2].strip()) if found else None


def rows(folder: Path) -> list[Row]:
    """The annotated questions of the articles that are not sealed."""
    every = list(records(folder / "squad1-train.jsonl.gz"))
    away = sealed({r["title"] for r in every})
    return [r for r in every if r["title"] not in away and r["answers"]]


def points(folder: Path, seed: int) -> Iterator[Example]:
    """Examples of the first task, without end."""
    rng = random.Random(seed)
    known = rows(folder)
    articles: dict[str, list[str]] = defaultdict(list)
    for text in {r["context"]: r["title"] for r in known}.items():
        articles[text[1]].append(text[0])
    while True:
        rng.shuffle(known)
        for row in known:
            if (made := _point(row, articles[row["title"]], rng)) is not None:
                yield made


def _point(row: Row, article: Sequence[str], rng: random.Random) -> Example | None:
    question, answer, context = row["question"].strip(), row["answers"][0], row["context"]
    spans = sentences(context)
    gold = next((s.of(context) for s in spans if s.start <= answer["start"] < s.end), None)
    if gold is None or answer["text"] not in gold or len(gold) > 400:
        return None
    pool = [s.of(context) for s in spans] + [s.of(other) for other in [rng.choice(article)] for s in sentences(other)]
    others = [t for t in dict.fromkeys(pool) if t != gold and len(t) < 400 and plain(answer["text"]) not in plain(t)]
    words = set(plain(question).split()) - STOPWORDS
    others.sort(key=lambda t: -len(words & set(plain(t).split())) - 2 * rng.random())
    count, fate = rng.choice((1, 2, 3, 3, 4, 4)), rng.random()
    target = f" {answer['text']}"
    if fate < EDITED:
        changed = edited(question, context, row["answers"], rng)
        if changed is None:
            return None
        question, target = changed, NONE
    elif fate < EDITED + REMOVED:
        gold, target = "", NONE
    shown = ([gold] if gold else []) + others[: count - bool(gold)]
    rng.shuffle(shown)
    if not shown:
        return None
    return numbered(question, shown), target if target == NONE else f"[{shown.index(gold) + 1}]{target}"


def wordings(folder: Path, seed: int) -> Iterator[Example]:
    """Examples of the second task: what the rule makes of question and answer, where the judge lets it pass."""
    rng, judge = random.Random(seed), RuleJudge()
    known = rows(folder)
    while True:
        rng.shuffle(known)
        for row in known:
            made = ruled(row["question"], row["answers"][0], row["context"], judge)
            if made is not None:
                yield made


def ruled(question: str, answer: dict[str, Any], context: str, judge: RuleJudge) -> Example | None:
    """The product's task and the rule's sentence; None where the rule, or the judge, has none."""
    at = next((s for s in sentences(context) if s.start <= answer["start"] < s.end), None)
    if at is None or answer["text"] not in at.of(context) or len(at) > 400:
        return None
    quote = " ".join(at.of(context).split())
    said = stated(question, answer["text"], quote)
    if said is None or judge.judge([said], [[quote]], question)[0].score < 0.8:
        return None
    return task(question, at.of(context), answer["text"]), said


def stated(question: str, short: str, quote: str) -> str | None:
    """What the rule makes of question and short answer; None for the many questions that it has no form for."""
    if len(short.split()) > 8 or short.endswith("."):
        return None
    claim = _rewritten(question, short, quote)
    return None if claim is None else _inflected(claim, quote)


def task(question: str, text: str, short: str) -> str:
    """The last turn of the product's own prompt, for a sentence that stands alone."""
    passage = Passage(Source.at("writer:row", ""), Span(0, len(text)), text)
    start = text.index(short)
    evidence = Evidence(Hit(passage, 0.0), Span(0, len(text)), 1.0, Span(start, start + len(short)))
    return sentence(question, [evidence])[-1].content


def _inflected(claim: str, quote: str) -> str | None:
    """'X did win the race' with the quote's form of the verb, 'X won the race'; None where the quote has no other."""
    done = re.search(r"\b(?:did|does|do) (\w+)", claim)
    if done is None:
        return claim
    base = done[1].lower()
    same = [w for w in re.findall(r"\w+", quote.lower()) if w != base and _one_verb(w, base)]
    return claim[: done.start()] + same[0] + claim[done.end() :] if same else None


def _one_verb(form: str, base: str) -> bool:
    key = FORMS.get(base, base)
    return FORMS.get(form) == key or form in (f"{base}ed", f"{base}d", f"{base}s", f"{base[:-1]}ied")
