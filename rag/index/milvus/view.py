"""What documents there are, at one moment.

Every change of a document is a row with the next number. Whoever has seen number n asks for the rows after it and is up
to date; a document is what its last row says. Rows of a document that is being written, or that another took the place
of, name passages that nobody may find any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rag.filters import Filter
from rag.index.milvus.engine import MOST, Engine, Row
from rag.index.milvus.texts import packed, unpacked
from rag.index.rows import SourceRow, raw
from rag.types import Source

BEGUN, LIVE, GONE, MOVED = range(4)
"""States of a row: its document is being written; is there; was removed; the index went on in a new generation."""
TOO_MANY = 1_000  # dead documents that a reader remembers; over that it begins anew


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `number` names this very content of the document with its passages; `own`: hash of the document alone;
    `content`: the share of both in the fingerprint; `words`: of all passages; `pieces`: of the text; `since`: when this
    was written, Unix time; `apart`: some of its passages have days of their own."""

    number: int
    seq: int
    state: int
    row: SourceRow
    own: str
    content: int
    words: int
    pieces: int
    since: float
    apart: bool = False

    def sent(self) -> Row:
        """As it lies in the collection."""
        s, r = self.row.source, self.row
        about = [
            [s.id, s.uri, s.title, s.media_type, s.date], r.digest, r.stat, r.passages, r.characters, r.added, r.dated,
            r.collection, self.own, f"{self.content:x}", self.words, self.pieces, self.since,
            self.apart,
        ]  # fmt: skip
        about_ = packed(json.dumps(about, ensure_ascii=False))
        return {"id": self.number, "seq": self.seq, "state": self.state, "about": about_}

    @staticmethod
    def of(row: Row) -> Entry:
        """What `sent` was made of."""
        source, *rest, own, content, words, pieces, since, apart = json.loads(unpacked(row["about"]))
        told = SourceRow(Source(*source), *rest)
        return Entry(row["id"], row["seq"], row["state"], told, own, int(content, 16), words, pieces, since, apart)


@dataclass(frozen=True, slots=True)
class View:
    """One moment. `live`: by source id; `dead`: numbers of documents that may not be found, with the time since when;
    `counts`: how many passages hold a phrase, as far as anybody asked."""

    seq: int = 0
    live: Mapping[str, Entry] = field(default_factory=dict)
    dead: Mapping[int, float] = field(default_factory=dict)
    passages: int = 0
    words: int = 0
    content: int = 0
    moved: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    def passing(self, where: Filter | None) -> list[Entry] | None:
        """The documents that a filter lets pass, by their own day or by that of some passages; None: all."""
        if where is None or where == Filter():
            return None
        some = list(self.live.values())
        if where.sources is not None:
            some = [self.live[id] for id in dict.fromkeys(where.sources) if id in self.live]
        return [e for e in some if _passes(where, e.row) and (e.apart or in_time(where, e.row.dated))]


def caught_up(engine: Engine, what: str, view: View) -> View:
    """The present, for one who knows an earlier moment; `engine` is told when something has changed since."""
    if len(view.dead) > TOO_MANY:
        view = View()
    rows = _rows_after(engine, what, view.seq)
    if not rows:
        return view
    engine.moved()
    return followed(view, map(Entry.of, rows))


def followed(view: View, entries: Iterable[Entry]) -> View:
    """The moment after these changes."""
    live, dead, seq, moved = dict(view.live), dict(view.dead), view.seq, view.moved
    passages, words, content = view.passages, view.words, view.content
    for entry in sorted(entries, key=lambda entry: entry.seq):
        id = entry.row.source.id
        before = live.get(id)
        _follow(live, dead, entry)
        for sign, one in ((-1, before), (1, live.get(id))):
            if one is not None:
                passages += sign * one.row.passages
                words, content = words + sign * one.words, (content + sign * one.content) % 2**256
        seq, moved = entry.seq, moved or entry.state == MOVED
    return View(seq, live, dead, passages, words, content, moved)


def without(view: View, swept: Iterable[int]) -> View:
    """The same moment, when nothing is left of these dead documents."""
    gone = set(swept)
    return replace(view, dead={number: since for number, since in view.dead.items() if number not in gone})


def without_live(view: View, source_id: str) -> View:
    """The same moment, as if this document were not there."""
    return replace(view, live={id: entry for id, entry in view.live.items() if id != source_id})


def _rows_after(engine: Engine, what: str, seq: int) -> list[Row]:
    """All rows with a higher number, of which none that is rewritten meanwhile is missed."""
    fields = ["id", "seq", "state", "about"]
    rows = engine.rows(what, f"seq > {seq}", fields)
    if len(rows) < MOST:
        return rows
    top = seq
    while more := engine.rows(what, f"seq > {top}", ["seq"]):
        top = max(row["seq"] for row in more)
    found: list[Row] = []
    for first in range(seq, top, MOST // 2):
        found += engine.rows(what, f"seq > {first} and seq <= {min(top, first + MOST // 2)}", fields)
    return found + _rows_after(engine, what, top)


def _follow(live: dict[str, Entry], dead: dict[int, float], entry: Entry) -> None:
    known = live.get(entry.row.source.id)
    if entry.state in (LIVE, GONE):
        if known is not None and known.number != entry.number:
            dead[known.number] = entry.since
        live.pop(entry.row.source.id, None)
    if entry.state == LIVE:
        live[entry.row.source.id] = entry
        dead.pop(entry.number, None)
    elif entry.state == BEGUN:
        dead[entry.number] = entry.since


def in_time(where: Filter, day: str) -> bool:
    """True if the filter lets this day pass."""
    begun = not where.since or raw(day) >= raw(where.since)
    return begun and (not where.until or raw(day) <= raw(where.until) + b"~")  # a month or a year is meant whole


def _passes(where: Filter, row: SourceRow) -> bool:
    media = row.source.media_type
    tests: list[Callable[[], bool]] = [
        lambda: where.collections is None or row.collection in where.collections,
        lambda: where.types is None or any(_of_kind(media, kind) for kind in where.types),
    ]
    return all(test() for test in tests)


def _of_kind(media: str, kind: str) -> bool:
    return media.startswith(kind[:-1]) if kind.endswith("*") else media == kind
