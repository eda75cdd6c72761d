"""What people search with beside questions, so that relevance can order what is found: claims, and titles.

    a claim, or the title of an abstract  ->  a group: the passages of its abstract, and passages that only look right

Nothing says which sentence of an abstract speaks of a claim: such groups teach relevance alone. Some abstracts are
sealed (`rag.evals.rerank.sealed`): neither they nor the claims about them are ever seen.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data import QUESTION, Context, Group, Neighbours, Pair, contexts
from tokenizers import Tokenizer

from rag.evals.rerank import sealed
from rag.text import sentences

PASSAGE = 600  # characters of an abstract that make one passage, in whole sentences: the product cuts at 160 tokens
DRAWS = 3  # times that a claim comes in an epoch, each with other passages beside it
TITLES = 0.25  # of the abstracts are looked for by their title
BESIDE = 5  # passages that only look right, of the NEAR nearest
NEAR = 25


def passages(text: str) -> Iterator[str]:
    """The text in pieces of whole sentences, each of PASSAGE characters at most where its sentences allow."""
    held = None
    for span in sentences(text):
        if held is not None and span.end - held[0] > PASSAGE:
            yield text[held[0] : held[1]]
            held = None
        held = (span.start if held is None else held[0], span.end)
    if held is not None:
        yield text[held[0] : held[1]]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def claim_groups(folder: Path, tokenizer: Tokenizer, rng: random.Random) -> list[Group]:
    """The groups of a BEIR folder of claims: each claim some times, and some titles."""
    corpus = {d["_id"]: d for d in _lines(folder / "corpus.jsonl.gz") if not sealed(d["_id"])}
    right = defaultdict[str, list[str]](list)
    for line in (folder / "qrels" / "train.tsv").read_text("utf-8").splitlines()[1:]:
        query, text, grade = line.split("\t")
        if int(grade) > 0:
            right[query].append(text)
    rows = [
        {"context": f"{d['title']}\n{part}", "title": d["_id"], "source": "claims"}
        for d in corpus.values()
        for part in passages(d["text"])
    ]
    found = list(contexts(rows, tokenizer).values())
    near = Neighbours(found)
    own = defaultdict[str, list[Context]](list)
    for context in found:
        own[context.title].append(context)
    asked = [
        (q["text"], right[q["_id"]])
        for q in _lines(folder / "queries.jsonl.gz")
        if q["_id"] in right and all(text in corpus for text in right[q["_id"]])
    ] * DRAWS
    titles = [(d["title"], [d["_id"]]) for d in corpus.values() if rng.random() < TITLES]
    made = [_group(text, gold, own, near, tokenizer, rng, untitled=False) for text, gold in asked]
    made += [_group(text, gold, own, near, tokenizer, rng, untitled=True) for text, gold in titles]
    return [group for group in made if group.pairs]


def _group(text: str, gold: list[str], own: dict[str, list[Context]], near: Neighbours, tokenizer: Tokenizer,
           rng: random.Random, untitled: bool) -> Group:  # fmt: skip
    """A claim with the passages of its abstracts, three at most, and others; without their titles it is a title."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:QUESTION]
    right = [c for one in gold for c in own[one]]
    right = rng.sample(right, min(3, len(right)))
    others = [c for c in near.nearest(text, None, False, NEAR) if c.title not in gold]
    beside = rng.sample(others, min(BESIDE, len(others)))
    pairs = [_pair(ids, c, c in right, untitled or rng.random() < 0.2) for c in (*right, *beside)]
    rng.shuffle(pairs)
    return Group(pairs if right and beside else [], has_span=0.0, has_evidence=0.0)


def _pair(ids: list[int], context: Context, right: bool, untitled: bool) -> Pair:
    """The whole passage; its first line, the title, may be left out."""
    first = context.text.index("\n") + 1 if untitled else 0
    kept = (context.offsets[:, 0] >= first).nonzero()[0][:200]
    return Pair(ids, context.ids[kept], context.owner[kept], relevant=right)
