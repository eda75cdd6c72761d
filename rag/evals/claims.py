"""Annotated questions in; out, claims of which it is known whether their quote carries them.

True claims are made of the evidence sentence (a clause of it, its parts moved) and of question and answer (rewritten as
a statement). False ones are true ones with one thing changed (`rag.evals.edits`: a number, a name, a unit, a 'not', who
did it to whom), or set beside another sentence of the passage. The judge shares no code with either.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.evals.edits import EDITS
from rag.text import sentences

SOURCES = (
    "squad1-train",
    "squadshifts-amazon_reviews",
    "squadshifts-reddit",
    "qed-train",
    "fairytaleqa-train",
    "fairytaleqa-val",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim, its quotes, and whether they carry it. `kind`: how it was made; `document`: what splits are made by;
    `question`: what it answers."""

    claim: str
    quotes: tuple[str, ...]
    true: bool
    kind: str
    document: str
    question: str = ""

    @property
    def split(self) -> str:
        """'tune' or 'test', by the hash of the document."""
        return "test" if hashlib.sha256(self.document.encode()).digest()[0] % 2 else "tune"


def pairs(folder: Path, per_source: int, seed: int = 0) -> list[Pair]:
    """Claims from up to `per_source` questions of each source in `folder`; the same seed gives the same pairs.

    Raises FileNotFoundError where the data is absent.
    """
    rng = random.Random(seed)
    made: dict[tuple[str, tuple[str, ...]], Pair] = {}
    for source in SOURCES:
        examples = list(_examples(folder / f"{source}.jsonl.gz"))
        for example in rng.sample(examples, min(per_source, len(examples))):
            for pair in _of(example, rng):
                made.setdefault((pair.claim, pair.quotes), pair)
    return list(made.values())


def _examples(path: Path) -> Iterator[dict[str, Any]]:
    """The questions whose answer stands in the text."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            example = json.loads(line)
            if any(a["start"] is not None for a in example["answers"]):
                yield example


def _of(example: dict[str, Any], rng: random.Random) -> Iterator[Pair]:
    answer = next(a for a in example["answers"] if a["start"] is not None)
    context, question = example["context"], example["question"]
    document = example["title"] if "squadshifts" not in example["source"] else context[:200]
    spans = [s for s in sentences(context) if s.start <= answer["start"] < s.end]
    if not spans or not 6 <= len(spans[0].of(context).split()) <= 45 or context[spans[0].start].islower():
        return
    quote = " ".join(spans[0].of(context).split())
    true = dict(_true(quote, question, answer["text"]))
    for kind, words in true.items():
        if kind != "itself" or rng.random() < 0.3:
            yield Pair(words, (quote,), True, kind, document, question)
    if not true:
        return
    for kind, edit in EDITS.items():
        base = rng.choice(sorted(true.values()))
        claim = edit(base, quote, context, rng)
        if claim is not None and claim.lower() not in quote.lower() and claim != base:
            yield Pair(claim, (quote,), False, kind, document, question)
    others = [" ".join(s.of(context).split()) for s in sentences(context) if s != spans[0] and len(s) > 30]
    base = rng.choice(sorted(true.values()))
    if others and answer["text"].lower() not in (other := rng.choice(others)).lower():
        yield Pair(base, (other,), False, "other quote", document, question)


# --- true claims


def _true(quote: str, question: str, answer: str) -> Iterator[tuple[str, str]]:
    if quote.endswith("?"):
        return
    yield "itself", quote
    rewritten = "rewritten" if _carried(question, quote) >= 0.66 else "rewritten freely"
    made = {"clause": _clause(quote), "moved": _moved(quote), rewritten: _rewritten(question, answer, quote)}
    for kind, claim in made.items():
        if claim is not None and claim != quote and len(claim.split()) >= 4:
            yield kind, claim


_CUT = re.compile(r";| ?, (?:and|but|while|which|who|although|where|whereas|with|so) | -- ")
_SUBORDINATE = re.compile(
    r"(?:while|although|though|when|if|because|since|as|after|before|despite|unless|in|on|at|by|with|for|to|from|unlike|like)\b",
    re.I,
)


def _clause(quote: str) -> str | None:
    """The main clause, or the sentence without its brackets."""
    bare = re.sub(r" ?\([^()]*\)", "", quote)
    cut = _CUT.search(bare)
    if (
        cut
        and not _SUBORDINATE.match(bare)
        and len(bare[: cut.start()].split()) >= 6
        and "," not in bare[: cut.start()]
    ):
        bare = bare[: cut.start()].rstrip(" ,") + "."
    return bare if bare != quote and not re.search(r"[\"“”]", bare) else None


def _moved(quote: str) -> str | None:
    """'In 2024, he won.' as 'He won in 2024.'"""
    match = re.match(
        r"((?:In|On|At|By|During|After|Before|From|Since|Under|Until|For) [^,;:\"“”]{2,40}) ?, "
        r"([^,;:\"“”?]{20,160})\.$",
        quote,
    )
    if match is None or re.match(r"(?:and|or|which|who|where|when)\b", match[2]):
        return None
    rest = match[2].strip()
    return f"{rest[0].upper()}{rest[1:]} {match[1][0].lower()}{match[1][1:]}."


_AUX = r"(?:is|are|was|were|did|does|do|has|have|had|can|could|will|would)"
_PARTICIPLE = re.compile(
    r"\b(?:\w{3,}ed|born|made|built|held|known|found|written|given|taken|won|sent|shown|called|set|put|led)\b"
)


def _rewritten(question: str, answer: str, quote: str) -> str | None:
    """Question and answer as one statement, if the quote alone lets it be said."""
    claim = _statement(question.strip().rstrip("?").strip(), _with_preposition(answer, quote), answer)
    if claim is None or _carried(question, quote) < 0.5:
        return None
    return claim[0].upper() + claim[1:].rstrip(" .") + "."


def _statement(question: str, placed: str, answer: str) -> str | None:
    """The question's words as a statement about the answer, for the plainest forms of question only."""
    if m := re.match(rf"who (?!{_AUX}\b)(.+)", question, re.I):
        return f"{answer} {m[1]}"
    if m := re.match(r"(?:what|who) (is|was|are|were) ((?:the|his|her|its) .+)", question, re.I):
        return None if _OPEN_END.search(m[2]) else f"{m[2]} {m[1]} {answer}"
    if m := re.match(rf"(?:when|where|in what year|in which year|what year) ({_AUX}) (.+)", question, re.I):
        return _inverted(m[1], m[2], placed)
    if m := re.match(rf"how many ([a-z' -]+?) ({_AUX}) ((?:[A-Z]|he |she |they )[^?]+)", question):
        return _inverted(m[2], m[3], answer if m[1] in answer else f"{answer} {m[1]}")
    if m := re.match(r"how many ([a-z' -]+?) (are|were|is|was|\w+ed) ([a-z][^?]+)", question, re.I):
        return (
            None
            if re.search(rf"\b{_AUX}\b", m[1])
            else f"{answer if m[1] in answer else answer + ' ' + m[1]} {m[2]} {m[3]}"
        )
    if m := re.match(
        r"(?:what|which) ([\w' -]{3,30}?) "
        r"((?:is |was |are |were )?(?:won|wrote|led|founded|built|made|became|caused|\w{3,}ed)) (.+)",
        question,
        re.I,
    ):
        return None if re.search(rf"\b{_AUX}\b", m[1]) else f"{answer} {m[2]} {m[3]}"
    return None


_OPEN_END = re.compile(
    r"\b(?:\w+ing|\w+ed|to|of|in|on|at|by|for|with|from|about|than)$|\b(?:author|writer|poster|reviewer|user|op)\b",
    re.I,
)
_SUBJECT = re.compile(r"((?:the |his |her )?(?:[A-Z][\w'’.-]*(?: of| the| de)? ?)+|he |she |it |they )([a-z].*)")


def _inverted(aux: str, rest: str, tail: str) -> str | None:
    """'was', 'X born', 'in 1912' as 'X was born in 1912'; 'did', 'X win', 'in 1912' as 'X did win in 1912'."""
    if aux.lower() in ("did", "does", "do", "can", "could", "will", "would"):
        m = _SUBJECT.match(rest)
        return f"{m[1].strip()} {aux} {m[2]} {tail}" if m and not _OPEN_END.search(m[1].strip()) else None
    done = _PARTICIPLE.search(rest)
    return f"{rest[: done.start()]}{aux} {rest[done.start() :]} {tail}" if done and done.start() > 2 else None


def _with_preposition(answer: str, quote: str) -> str:
    at = quote.find(answer)
    before = re.search(r"\b(in|on|at|by|from|since|until|during|near|around) (?:the )?$", quote[: max(at, 0)], re.I)
    return f"{before[0].lower()}{answer}" if before else answer


def _carried(question: str, quote: str) -> float:
    """The share of the question's longer words that stand in the quote; 0 if one of its names or numbers does not."""
    have = {w[:4] for w in re.findall(r"\w+", quote.lower())}
    names = [w for w in re.findall(r"\w+", question)[1:] if w[0].isupper() or w[0].isdigit()]
    long = [w for w in re.findall(r"\w{4,}", question.lower())[1:] if w not in _ASKING]
    found = sum(w[:4] in have for w in long)
    return found / max(1, len(long)) if all(w.lower()[:4] in have for w in names) else 0.0


_ASKING = frozenset("which what when where many much were have does year name that this with from".split())
