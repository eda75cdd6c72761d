"""Passages by their words, at one moment: the contract, and the ranking by a server that counts words itself.

The server nominates passages by its BM25; what is told is the score of the formula (`words`). For a server that has no
BM25, `mirror` keeps the same contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rag import lexical
from rag.filters import Filter
from rag.index.milvus import words
from rag.index.milvus.engine import MOST, Row
from rag.index.milvus.view import Entry, View, in_time
from rag.index.milvus.writing import Shelf

DEEP = 200  # passages whose words are looked at, at least


class Ranking(Protocol):
    """The words of all passages of a moment."""

    def best(self, query: str, k: int, where: Filter | None) -> list[tuple[int, float]]:
        """As `Index.lexical`."""
        ...

    def holding(self, term: str) -> int:
        """How many passages hold this quoted phrase."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """The ranking by the server."""

    shelf: Shelf
    now: View

    @staticmethod
    @contextmanager
    def at(shelf: Shelf, now: View) -> Iterator[Ranking]:
        """The words of this moment."""
        yield Served(shelf, now)

    def best(self, query: str, k: int, where: Filter | None) -> list[tuple[int, float]]:
        some = self.now.passing(where)
        passing = self._passing(where, some)
        terms = words.phrases(lexical.query_terms(query))

        def frequency(term: str) -> int:
            whole = self._holding(terms[term])
            rare = some is None or whole <= lexical.COMMON * passing
            return whole if rare else self._counted(terms[term], among(where, some or []))

        chosen = {term: terms[term] for term in lexical.rarer(list(terms), passing, frequency) if terms[term]}
        if not chosen or k < 1:
            return []
        idf = {term: words.idf(self.now.passages, self._holding(phrase)) for term, phrase in chosen.items()}
        asked = " ".join(dict.fromkeys(word for phrase in chosen.values() for word in phrase))
        near = nominated(self.shelf, self.now, "sparse", asked, max(4 * k, DEEP), where, ["words", "text_words"])
        mean = self.now.words / max(1, self.now.passages)
        scores = [(r["id"], words.bm25(r["words"].split(), r["text_words"], chosen, idf, mean)) for r in near]
        return sorted((pair for pair in scores if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:k]

    def holding(self, term: str) -> int:
        return self._holding(words.phrases([term])[term])

    def _passing(self, where: Filter | None, some: Sequence[Entry] | None) -> int:
        """How many passages the filter lets pass."""
        if some is None or where is None:
            return self.now.passages
        by_day = [entry for entry in some if apart(where, entry)]
        counted = self.shelf.engine.count(self.shelf.passages, among(where, by_day)) if by_day else 0
        return counted + sum(entry.row.passages for entry in some if not apart(where, entry))

    def _holding(self, phrase: list[str]) -> int:
        """Counted once per moment."""
        key, now = " ".join(phrase), self.now
        if key not in now.counts:
            dead = f" and document not in [{', '.join(map(str, now.dead))}]" if now.dead else ""
            now.counts[key] = self._counted(phrase, f"begun <= {now.seq}{dead}")
        return now.counts[key]

    def _counted(self, phrase: list[str], among: str) -> int:
        if not phrase:
            return 0
        tests = [f'text_match(words, "{word}")' for word in dict.fromkeys(phrase)]
        what, where = self.shelf.passages, " and ".join([*tests, f"({among})"])
        if len(phrase) == 1:
            return self.shelf.engine.count(what, where)
        found = self.shelf.engine.rows(what, where, ["words", "text_words"])  # the words must follow one another
        cut = ((row["words"].split(), row["text_words"]) for row in found)
        return sum(any(words.times(phrase, part) for part in (w[:n], w[n:])) for w, n in cut)


def nominated(
    shelf: Shelf, now: View, field: str, query: Any, k: int, where: Filter | None, fields: Sequence[str]
) -> list[Row]:
    """What the engine holds for the k nearest, of those that may be found now."""
    some = now.passing(where)
    numbers = {entry.number for entry in (now.live.values() if some is None else some)}
    if not numbers:
        return []
    only, ask = "" if some is None else among(where, some), min(k, MOST)
    while True:
        near = shelf.engine.nearest(shelf.passages, field, query, ask, only, ["document", *fields])
        found = [row for row in near if row["document"] in numbers]
        if len(found) >= k or len(near) < ask or ask == MOST:
            return found
        ask = min(2 * ask, MOST)  # it nominated what went, or does not count yet


def apart(where: Filter, entry: Entry) -> bool:
    """True if the filter may let some passages of this document pass and others not."""
    return entry.apart and bool(where.since or where.until)


def among(where: Filter | None, some: Sequence[Entry]) -> str:
    """The condition that a passage is of one of these documents, and its own day passes where it has one."""
    where = where or Filter()
    whole = [entry for entry in some if not apart(where, entry)]
    parts = [_of(whole)] if whole or not some else []
    if by_day := [entry for entry in some if apart(where, entry)]:
        days = [f'day >= "{where.since}"'] if where.since else []
        days += [f'day <= "{where.until}~"'] if where.until else []
        parts.append(" and ".join([_of(by_day), 'day != ""', *days]))
    if rest := [entry for entry in by_day if in_time(where, entry.row.dated)]:
        parts.append(f'{_of(rest)} and day == ""')
    return " or ".join(f"({part})" for part in parts) if len(parts) > 1 else parts[0]


def _of(some: Sequence[Entry]) -> str:
    return f"document in [{', '.join(str(entry.number) for entry in some)}]"
