"""Questions with known answers, from the formats in which people keep them.

    a folder with corpus.jsonl, queries.jsonl, qrels/*.tsv      BEIR: which texts should be found
    .jsonl with "context"                                       reading: one question, one context
    .jsonl with "passages"                                      cases: one question, several passages
    .json with "data" -> "paragraphs"                           SQuAD 1.1 and 2.0

Lines may be gzipped. Whatever the format, a `Dataset` is texts and questions about them; which text holds the
answer, and where, is known, so that nothing has to be judged by a model.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rag.errors import UsageError
from rag.files import sha256_of
from rag.types import Span


@dataclass(frozen=True, slots=True)
class Text:
    """One document of a dataset."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is known of its answer.

    `answers`: acceptable short answers, () where the texts hold none. `gold`: ids of the texts that answer; for an
    unanswerable question the text it was asked about. `places`: (text id, span) of annotated answers and evidence.
    `among`: the texts that came with the question. `grades`: text id to relevance, for rankings. `group`: what a
    bootstrap must keep together, its document. `off_topic`: it was asked about other texts than these.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    gold: tuple[str, ...]
    places: tuple[tuple[str, Span], ...] = ()
    among: tuple[str, ...] = ()
    grades: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    group: str = ""
    answerable: bool = True
    off_topic: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """`kind`: reading, cases or ranking. `digest`: 16 hex digits of the files it was read from."""

    name: str
    kind: str
    texts: tuple[Text, ...]
    questions: tuple[Question, ...]
    digest: str

    def sample(self, most: int, seed: int) -> Dataset:
        """At most `most` questions of each kind (answerable, not), the same ones for the same seed, over all texts."""
        kept = []
        for kind in (True, False):
            some = [q for q in self.questions if q.answerable is kind]
            kept += random.Random(seed).sample(some, min(most, len(some))) if most else some
        return Dataset(self.name, self.kind, self.texts, tuple(kept), self.digest)

    def beside(self, other: Dataset, most: int, seed: int) -> Dataset:
        """With at most `most` questions (0: all) of another dataset, which these texts cannot answer."""
        some = list(other.questions)
        some = random.Random(seed).sample(some, min(most, len(some))) if most else some
        off = [
            Question(f"{other.name}:{q.id}", q.text, (), (), group=f"{other.name}:{q.group}", answerable=False,
                     off_topic=True) for q in some
        ]  # fmt: skip
        return Dataset(self.name, self.kind, self.texts, (*self.questions, *off), f"{self.digest}+{other.digest}")


def load(path: Path) -> Dataset:
    """The dataset at `path`. Raises UsageError where it is none of the formats, naming what was looked for."""
    path = Path(path)
    name = path.name.split(".")[0]
    try:
        if path.is_dir():
            files = sorted([*path.glob("corpus.jsonl*"), *path.glob("queries.jsonl*"), *path.glob("qrels/*.tsv")])
            return Dataset(name, "ranking", *_beir(path), _digest(files))
        if path.suffix == ".json":
            rows = list(_squad(json.loads(path.read_text("utf-8"))))
            return Dataset(name, "reading", *_reading(rows), _digest([path]))
        rows = list(_lines(path))
        if rows and "context" in rows[0]:
            return Dataset(name, "reading", *_reading(rows), _digest([path]))
        if rows and "passages" in rows[0]:
            texts, questions = _cases(rows)
            if not questions:
                raise UsageError(f"of no case in {path} is it known what is right", "rate some good answers too")
            return Dataset(name, "cases", texts, questions, _digest([path]))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UsageError(f"{path} cannot be read as questions: {e!r}", "rag eval --help lists the formats") from e
    raise UsageError(f"{path} is none of the known formats", "rag eval --help lists them")


def _digest(files: Sequence[Path]) -> str:
    import hashlib

    return hashlib.sha256("".join(sha256_of(f) for f in files).encode()).hexdigest()[:16]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in raw.decode("utf-8").split("\n") if line.strip())


def _reading(rows: Sequence[dict[str, Any]]) -> tuple[tuple[Text, ...], tuple[Question, ...]]:
    """One text per distinct context."""
    ids: dict[str, str] = {}
    texts, questions = [], []
    for row in rows:
        context = row["context"]
        if context not in ids:
            ids[context] = f"c{len(ids)}"
            texts.append(Text(ids[context], row["title"], context))
        here = ids[context]
        spans = [Span(a["start"], a["start"] + len(a["text"])) for a in row["answers"] if a["start"] is not None]
        spans += [Span(*e) for e in row.get("evidence", [])]
        answers = tuple(dict.fromkeys(a["text"] for a in row["answers"]))
        places = tuple((here, s) for s in spans)
        questions.append(
            Question(
                str(row["id"]),
                row["question"],
                answers,
                (here,),
                places,
                group=row["title"],
                answerable=bool(spans or answers),
            )
        )
    return tuple(texts), tuple(questions)


def _squad(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """SQuAD's nesting as flat rows."""
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = [] if qa.get("is_impossible") else qa["answers"]
                yield {
                    "id": qa["id"],
                    "title": article.get("title", ""),
                    "context": paragraph["context"],
                    "question": qa["question"],
                    "answers": [{"text": a["text"], "start": a["answer_start"]} for a in answers],
                }


def _cases(rows: Sequence[dict[str, Any]]) -> tuple[tuple[Text, ...], tuple[Question, ...]]:
    """One text per distinct passage; evidence is located in its passage. A case of which nobody knows whether it has an
    answer (`answerable` is null: an answer that was rated wrong) says nothing, and is passed over."""
    ids: dict[tuple[str, str], str] = {}
    texts, questions = [], []
    for row in rows:
        if row.get("answerable", True) is None:
            continue
        own: dict[str, str] = {}
        for p in row["passages"]:
            key = (p["title"], p["text"])
            if key not in ids:
                ids[key] = f"p{len(ids)}"
                texts.append(Text(ids[key], *key))
            own[str(p["id"])] = ids[key]
        held = {str(p["id"]): p["text"] for p in row["passages"]}
        places = [
            (own[str(e["passage"])], Span(at, at + len(e["text"].strip())))
            for e in row.get("evidence", [])
            if (at := held[str(e["passage"])].find(e["text"].strip())) >= 0
        ]
        gold = tuple(own[str(g)] for g in row["gold"])
        questions.append(
            Question(str(row["id"]), row["question"], tuple(row["answers"]), gold, tuple(places), tuple(own.values()),
                     group=str(row["id"]), answerable=bool(row.get("answerable", True)))
        )  # fmt: skip
    return tuple(texts), tuple(questions)


def _beir(folder: Path) -> tuple[tuple[Text, ...], tuple[Question, ...]]:
    """Corpus and queries with at least one graded text, of every split there is."""
    corpus = next(iter(sorted(folder.glob("corpus.jsonl*"))), None)
    queries = next(iter(sorted(folder.glob("queries.jsonl*"))), None)
    if corpus is None or queries is None:
        raise ValueError("a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/*.tsv")
    grades: dict[str, dict[str, int]] = {}
    for file in sorted(folder.glob("qrels/*.tsv")):
        for line in file.read_text("utf-8").splitlines()[1:]:
            query, text, grade = line.split("\t")
            if int(grade) > 0:
                grades.setdefault(query, {})[text] = int(grade)
    texts = tuple(Text(str(r["_id"]), r.get("title", ""), r["text"]) for r in _lines(corpus) if r["text"].strip())
    questions = tuple(
        Question(str(r["_id"]), r["text"], (), tuple(graded), grades=graded, group=str(r["_id"]))
        for r in _lines(queries)
        if (graded := grades.get(str(r["_id"])))
    )
    return texts, questions
