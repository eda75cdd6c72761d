"""What the reader learns from: questions with their passage, and with passages that only look right.

    annotated question -> a group: the gold passage, and for four in ten a passage of the same article beside it
                       -> some groups with no answer: the question edited, its sentence deleted, another passage

Everything is made from the public files of the data folder by one seed. Whole articles are sealed: no question, no
passage of theirs is ever seen (`sealed`), so that scores on them are scores on new documents:

    python models/trained/reader/data.py ../shared/data/reading sealed.jsonl.gz && rag eval sealed.jsonl.gz
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edits import edited
from numpy.typing import NDArray
from phrasings import keywords, statement
from tokenizers import Tokenizer
from torch import Tensor

from rag.text import STOPWORDS, sentences

SEALED_ARTICLES = 20
WINDOWS = (90, 110, 150)  # passage tokens, one at random; longer passages are cut to whole sentences around the answer
QUESTION = 48  # question tokens
STATEMENTS = 0.06  # of the questions come as a statement, where their form allows it
KEYWORDS = 0.06  # of the questions come as keywords
SHARES = {"squad1-train": 1.0, "squadshifts-amazon_reviews": 0.6, "squadshifts-reddit": 0.6, "qed-train": 1.0,
          "fairytaleqa-train": 1.0, "selqa-dev": 1.0, "selqa-test": 1.0}  # fmt: skip
CLS, SEP = 101, 102


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The examples of one file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def key(row: dict[str, Any]) -> str:
    """What tells an annotated question from all others."""
    return f"{row['source']} {row['id']}"


def sealed(titles: set[str]) -> set[str]:
    """The articles that are kept for measuring: the first by hash, the same for everybody."""
    return set(sorted(titles, key=lambda t: hashlib.sha256(t.encode()).hexdigest())[:SEALED_ARTICLES])


def plain(text: str) -> str:
    """Lower case, words only, one space around each: ' the 250 trees '."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


@dataclass(slots=True, eq=False)
class Context:
    """A passage, tokenised once. `owner` names the sentence of each token, -1 for none."""

    text: str
    title: str
    source: str
    ids: NDArray[np.int32]
    offsets: NDArray[np.int32]
    owner: NDArray[np.int16]
    plain: str

    def tokens_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last token that touch these characters."""
        touched = np.nonzero((self.offsets[:, 1] > start) & (self.offsets[:, 0] < end))[0]
        return (int(touched[0]), int(touched[-1])) if len(touched) else None


@dataclass(slots=True)
class Pair:
    """One forward pass: gold spans and evidence sentences are counted inside `ids` and `owner`."""

    question: list[int]
    ids: NDArray[np.int32]
    owner: NDArray[np.int16]
    gold: list[tuple[int, int]] = field(default_factory=list)
    evidence: set[int] = field(default_factory=set)
    relevant: bool = False


@dataclass(slots=True)
class Group:
    """The pairs of one question. `has_span`, `has_evidence` are 0 where spans, sentences are not annotated."""

    pairs: list[Pair]
    has_span: float = 1.0
    has_evidence: float = 1.0


def contexts(rows: list[dict[str, Any]], tokenizer: Tokenizer) -> dict[str, Context]:
    """Every distinct passage of the rows, by its text."""
    first = {row["context"]: row for row in reversed(rows)}
    made = {}
    for text, encoding in zip(first, tokenizer.encode_batch(list(first), add_special_tokens=False), strict=True):
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        owner = np.full(len(offsets), -1, dtype=np.int16)
        for n, span in enumerate(sentences(text)):
            owner[(offsets[:, 0] >= span.start) & (offsets[:, 0] < span.end)] = n
        row = first[text]
        made[text] = Context(text, row["title"], row["source"], np.array(encoding.ids, dtype=np.int32), offsets, owner,
                             plain(text))  # fmt: skip
    return made


class Neighbours:
    """Passages that share rare words with a question: what BM25 would bring, without its saturation."""

    def __init__(self, found: list[Context]) -> None:
        self.found = found
        self.article: dict[str, list[int]] = defaultdict(list)
        postings: dict[str, list[int]] = defaultdict(list)
        for n, context in enumerate(found):
            self.article[context.source + context.title].append(n)
            for word in set(context.plain.split()) - STOPWORDS:
                postings[word].append(n)
        self.postings = {w: np.array(p) for w, p in postings.items()}

    def near(self, question: str, context: Context, same_article: bool, rng: random.Random) -> Context | None:
        """One of the five nearest other passages, of the same article or of any in the same source."""
        best = self.nearest(question, context, same_article)
        return rng.choice(best) if best else None

    def nearest(self, question: str, context: Context | None, same_article: bool, most: int = 5) -> list[Context]:
        """The nearest passages other than `context`, best first."""
        words = set(plain(question).split()) - STOPWORDS
        score = np.zeros(len(self.found), dtype=np.float32)
        for word in words:
            where = self.postings.get(word)
            if where is not None and len(where) < 0.3 * len(self.found):
                score[where] += np.log(len(self.found) / len(where))
        pool = np.nonzero(score > 6)[0].tolist()
        if context is not None:
            pool = self.article[context.source + context.title] if same_article else pool
            pool = [n for n in pool if self.found[n] is not context and self.found[n].source == context.source]
        return [self.found[n] for n in sorted(pool, key=lambda n: -score[n])[:most]]


def cut(context: Context, rng: random.Random, keep: set[int], drop: int = -1) -> NDArray[np.intp]:
    """Token numbers of a stretch of whole sentences, as many as fit a window, that has the sentences `keep`."""
    room = rng.choice(WINDOWS)
    tokens = np.arange(len(context.ids))
    if drop >= 0:
        tokens = tokens[context.owner != drop]
    if len(tokens) <= room:
        return tokens
    owners = context.owner[tokens]
    inside = np.nonzero(np.isin(owners, list(keep)))[0] if keep else np.array([rng.randrange(len(tokens))])
    low, high = int(inside[0]), int(inside[-1]) + 1
    start = rng.randint(max(0, min(high - room, low)), min(low, len(tokens) - room)) if high - low < room else low
    starts = [n for n in range(start, low + 1) if n == 0 or owners[n] != owners[n - 1]]
    begin = starts[0] if starts else start
    stop = min(begin + room, len(tokens))
    while stop < len(tokens) and stop > high and owners[stop] == owners[stop - 1]:
        stop -= 1
    return tokens[begin:stop]


def pair(question: list[int], context: Context, spans: list[tuple[int, int]], evidence: set[int], rng: random.Random,
         drop: int = -1) -> Pair:  # fmt: skip
    """A pair cut to the window, gold spans and sentences moved into it."""
    keep = {int(context.owner[s[0]]) for s in spans[:1]} or set(list(evidence)[:1])
    chosen = cut(context, rng, keep if drop < 0 else set(), drop)
    place = {int(t): n for n, t in enumerate(chosen)}
    gold = [(place[i], place[j]) for i, j in spans if i in place and j in place and j - i < 30]
    owner = context.owner[chosen]
    held = evidence & set(owner.tolist())
    return Pair(question, context.ids[chosen], owner, gold, held, bool(held))


@dataclass(frozen=True, slots=True)
class Hard:
    """What the reader itself falls for (mine.py): a passage without the answer, the question edited; None: unknown."""

    passage: Context | None = None
    edit: str | None = None


def groups_of(row: dict[str, Any], context: Context, near: Neighbours, tokenizer: Tokenizer, rng: random.Random,
              edits: float, hard: Hard) -> list[Group]:  # fmt: skip
    """The groups made of one annotated question: one with the answer, and some without."""
    located = [a for a in row["answers"] if a["start"] is not None]
    spans = [context.tokens_of(a["start"], a["start"] + len(a["text"])) for a in located]
    gold = list(dict.fromkeys(s for s in spans if s is not None))
    marked = [context.tokens_of(*e) for e in row.get("evidence", [])]
    evidence = {int(context.owner[t]) for m in marked if m for t in range(m[0], m[1] + 1)}
    evidence = (evidence or {int(context.owner[s[0]]) for s in gold}) - {-1}
    if not evidence or (row["answers"] and not gold):
        return []
    text, told = asked(row["question"], located, rng)
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:QUESTION]
    answers = [plain(a["text"]) for a in row["answers"]]

    def lookalike(other: Context | None = None) -> Pair | None:
        other = near.near(row["question"], context, rng.random() < 0.7, rng) if other is None else other
        holds = other is None or not answers or any(a in other.plain for a in answers)
        return None if holds or other is None else pair(ids, other, [], set(), rng)

    first = Group([pair(ids, context, gold, evidence, rng)], 1.0 if gold and not told else 0.0)
    made = [first] if first.pairs[0].evidence and (first.pairs[0].gold or not gold) else []
    if made:
        beside = [lookalike(hard.passage)] if hard.passage is not None or rng.random() < 0.4 else []
        beside += [lookalike(), lookalike()] if told else []
        first.pairs += [p for p in beside if p is not None]
        rng.shuffle(first.pairs)
    if not answers or told or row["source"] == "fairytaleqa-train":
        return made
    if hard.edit is not None or rng.random() < edits:
        other_text = hard.edit or edited(row["question"], context.text, located, rng)
        if other_text is not None:
            other_ids = tokenizer.encode(other_text, add_special_tokens=False).ids[:QUESTION]
            made.append(Group([pair(other_ids, context, [], set(), rng)]))
    only = min(evidence)
    once = len(evidence) == 1 and all(context.plain.count(a) == 1 for a in answers)
    if rng.random() < 0.08 and once and (context.owner != only).sum() > 25:
        made.append(Group([pair(ids, context, [], set(), rng, drop=only)]))
    if rng.random() < 0.12 and (alone := lookalike()):
        made.append(Group([alone]))
    return made


def asked(question: str, answers: list[dict[str, Any]], rng: random.Random) -> tuple[str, bool]:
    """The question in one of the forms in which people write it, and whether that is a statement with its answer."""
    form = rng.random()
    if form < STATEMENTS and answers and (told := statement(question, answers[0]["text"])):
        return told, True
    if form > 1 - KEYWORDS and len(few := keywords(question).split()) > 2:
        return " ".join(few), False
    return (question if rng.random() > 0.15 else question.rstrip("? ")), False


def whole(path: Path) -> Tokenizer:
    """The tokenizer of the file, which cuts nothing and fills nothing."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def annotated(folder: Path, rng: random.Random) -> list[dict[str, Any]]:
    """The annotated questions of one epoch in random order; none of a sealed article."""
    rows: list[dict[str, Any]] = []
    for name, share in SHARES.items():
        some = list(records(folder / f"{name}.jsonl.gz"))
        away = sealed({r["title"] for r in some}) if name == "squad1-train" else set()
        rows += [r for r in some if r["title"] not in away and rng.random() < share]
    rng.shuffle(rows)
    return rows


@dataclass(slots=True)
class Batch:
    """Tensors of some groups; every pair has the same length, the rest is padding."""

    ids: Tensor
    types: Tensor
    mask: Tensor
    inside: Tensor
    owner: Tensor
    gold: Tensor
    evidence: Tensor
    relevant: Tensor
    groups: Tensor
    has_span: Tensor
    has_evidence: Tensor
    sentences: int

    def to(self, device: str) -> Batch:
        tensors = {name: getattr(self, name) for name in self.__slots__ if name != "sentences"}
        return Batch(**{k: v.to(device) for k, v in tensors.items()}, sentences=self.sentences)


def length(group: Group) -> int:
    """Tokens of the longest pair."""
    return max(len(p.question) + len(p.ids) + 3 for p in group.pairs)


def collate(some: list[Group]) -> Batch:
    """The groups as one batch."""
    pairs = [p for g in some for p in g.pairs]
    shape = (len(pairs), max(map(length, some)))
    ids, types, mask, inside = (np.zeros(shape, dtype=np.int64) for _ in range(4))
    owner = np.full(shape, -1, dtype=np.int64)
    gold = np.full((len(pairs), max(1, *(len(p.gold) for p in pairs)), 2), -1, dtype=np.int64)
    count = max(int(p.owner.max(initial=0)) for p in pairs) + 1
    evidence = np.zeros((len(pairs), count), dtype=np.int64)
    for n, p in enumerate(pairs):
        start = len(p.question) + 2
        stop = start + len(p.ids)
        ids[n, : stop + 1] = [CLS, *p.question, SEP, *p.ids, SEP]
        types[n, start : stop + 1] = 1
        mask[n, : stop + 1] = 1
        inside[n, start:stop] = 1
        owner[n, start:stop] = p.owner
        for m, (i, j) in enumerate(p.gold):
            gold[n, m] = start + i, start + j
        evidence[n, list(p.evidence)] = 1
    counted = iter(range(len(pairs)))
    numbers = [[next(counted) for _ in g.pairs] for g in some]
    most = max(map(len, numbers))
    groups = np.array([n + [-1] * (most - len(n)) for n in numbers], dtype=np.int64)
    relevant = np.array([p.relevant for p in pairs], dtype=np.int64)
    has_span = np.array([g.has_span for g in some], dtype=np.float32)
    has_evidence = np.array([g.has_evidence for g in some], dtype=np.float32)
    arrays = (ids, types, mask, inside, owner, gold, evidence, relevant, groups, has_span, has_evidence)
    return Batch(*map(torch.from_numpy, arrays), sentences=count)


def batches(examples: list[Group], budget: int, seed: int) -> list[Callable[[], Batch]]:
    """The epoch as batches of at most `budget` tokens, lengths alike inside a batch, in random order."""
    rng = random.Random(seed)
    plan: list[list[Group]] = []
    for at in range(0, len(examples), 4000):
        some = sorted(examples[at : at + 4000], key=length)
        part: list[list[Group]] = [[]]
        for group in some:
            pairs = sum(len(g.pairs) for g in part[-1]) + len(group.pairs)
            if part[-1] and pairs * length(group) > budget:
                part.append([])
            part[-1].append(group)
        rng.shuffle(part)
        plan += part
    return [lambda some=some: collate(some) for some in plan]  # type: ignore[misc]


def write_sealed(folder: Path, target: Path) -> int:
    """The questions of the sealed articles as a reading file, for `rag eval`; their number."""
    rows = list(records(folder / "squad1-train.jsonl.gz"))
    away = sealed({r["title"] for r in rows})
    kept = [json.dumps(r, ensure_ascii=False) for r in rows if r["title"] in away]
    target.write_bytes(gzip.compress("\n".join(kept).encode()))
    return len(kept)


if __name__ == "__main__":
    import sys

    print(write_sealed(Path(sys.argv[1]), Path(sys.argv[2])), "questions of sealed articles in", sys.argv[2])
