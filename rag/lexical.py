"""Words in, passages that hold them out: BM25 over SQLite's FTS5.

BM25 is Robertson and Zaragoza, 2009; FTS5 computes it with k1 = 1.2 and b = 0.75 and calls better lower, so the sign is
turned here. The table keeps only the inverted index, no text: it lives in the transaction of the passages it is made
from, and can be made again from them at any time.

Nothing that a person types is ever FTS syntax: a query is cut into words first and each is quoted by itself.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

__all__ = [
    "SCHEMA",
    "VERSION",
    "add",
    "clear",
    "cut",
    "frequency",
    "holds",
    "phrase",
    "query_terms",
    "ranked",
    "rarer",
    "remove",
    "schema",
    "search",
]


def schema(tokenize: str) -> str:
    """The table, for words that are cut in this way: see `cut` for whoever has done that already."""
    return f"CREATE VIRTUAL TABLE words USING fts5(text, heading, content='', tokenize=\"{tokenize}\");"


SCHEMA = schema("porter unicode61 remove_diacritics 2")
VERSION = f"1/{unicodedata.unidata_version}"
"""Changes when `folded` would: an inverted index made by another version must be made again."""

HEADING_WEIGHT = 0.5  # a word in the heading speaks for every passage under it, so less for each one
MAX_TERMS = 64  # no question needs more, and a pasted megabyte must not take minutes
COMMON = 0.3  # a word in more than this share of the passages tells them apart too little for its cost ...
MANY = 5_000  # ... once there are so many passages that the cost can be felt
LARGE = 200_000  # passages from which on not every match is scored: scoring one takes ten times as long as finding it
SCORED = 25_000  # matches of the rarest words that are: about 25 ms
READ = 400_000  # matches of all words that are looked through for those: about 30 ms
COUNTED = 4_000  # matches from which on the number of all is estimated: 0.3 ms

STOP = frozenset(
    "a about an and are as at be but by did do does for from had has have how i in is it its me my of on or our she he "
    "so that the their them there they this to was we were what when where which who whom whose why will with would "
    "you your".split()
)

# scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han (with extensions), half-width kana
_UNSPACED = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED += "\uff66-\uff9f\U00020000-\U0003ffff]"
_UNSPACED_ONE = re.compile(_UNSPACED)
_UNSPACED_RUN = re.compile(f"(?:{_UNSPACED} ?)+")
_INVISIBLE = re.compile("[\x00\xad\u200b-\u200f\u2060\ufeff\ud800-\udfff]")
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


def folded(text: str) -> str:
    """The text as it is indexed: compatibility forms joined, invisible signs gone, unspaced scripts sign by sign."""
    if text.isascii():
        return text.replace("\0", " ")
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _UNSPACED_ONE.sub(lambda sign: f" {sign[0]} ", text)


def add(con: sqlite3.Connection, rows: Iterable[tuple[int, str, str]], table: str = "words") -> None:
    """Index (id, text, heading) rows."""
    con.executemany(f"INSERT INTO {table}(rowid, text, heading) VALUES (?, ?, ?)", _folded(rows))


def remove(con: sqlite3.Connection, rows: Iterable[tuple[int, str, str]]) -> None:
    """Take out rows, given exactly as they were added: the table does not know the text any more."""
    con.executemany("INSERT INTO words(words, rowid, text, heading) VALUES ('delete', ?, ?, ?)", _folded(rows))


def clear(con: sqlite3.Connection) -> None:
    """Take out everything."""
    con.execute("INSERT INTO words(words) VALUES ('delete-all')")


def holds(con: sqlite3.Connection, rows: Iterable[Iterable[tuple[int, str, str]]]) -> bool:
    """True if the table is what these batches of rows would make it: every word at every place, every length."""
    con.execute(SCHEMA.replace("TABLE words", "TABLE temp.fresh"))
    con.execute("CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, words, instance)")
    con.execute("CREATE VIRTUAL TABLE temp.wanted USING fts5vocab(temp, fresh, instance)")
    try:
        for batch in rows:
            add(con, batch, "temp.fresh")
        return all(
            _equal(con.execute(f"SELECT * FROM {seen}"), con.execute(f"SELECT * FROM {wanted}"))
            for seen, wanted in (
                ("temp.seen", "temp.wanted"),
                ("main.words_docsize ORDER BY id", "temp.fresh_docsize ORDER BY id"),
                ("main.words_data WHERE id = 1", "temp.fresh_data WHERE id = 1"),  # the lengths behind BM25's average
            )
        )
    except sqlite3.DatabaseError:
        return False
    finally:
        for name in ("seen", "wanted", "fresh"):
            con.execute(f"DROP TABLE IF EXISTS temp.{name}")


def _equal(a: sqlite3.Cursor, b: sqlite3.Cursor) -> bool:
    """True if both give the same rows, of which some thousand are in memory at a time."""
    while rows := a.fetchmany(10_000):
        if rows != b.fetchmany(10_000):
            return False
    return b.fetchone() is None


def cut(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as the table holds them: folded, stemmed, in order. For who keeps them elsewhere.

    >>> cut(["The running nations", "Don't"])
    [['the', 'run', 'nation'], ['don', 't']]
    """
    con = sqlite3.connect(":memory:")
    try:
        con.execute(SCHEMA)
        con.execute("CREATE VIRTUAL TABLE seen USING fts5vocab(words, instance)")
        add(con, [(at, text, "") for at, text in enumerate(texts)])
        found: list[list[str]] = [[] for _ in texts]
        for at, word in con.execute("SELECT doc, term FROM seen ORDER BY doc, offset"):
            found[at].append(word)
        return found
    finally:
        con.close()


def query_terms(query: str) -> list[str]:
    """The words of a question as quoted FTS phrases, each once, without stop words unless nothing else is left.

    >>> query_terms("How many cherry trees OR (NOT x*)?")
    ['"many"', '"cherry"', '"trees"', '"not"', '"x"']
    """
    words = [word for piece in folded(query).lower().split() for word in _words(piece)]
    words += _pairs(folded(query))
    telling = [word for word in words if word not in STOP]
    return [f'"{word}"' for word in dict.fromkeys(telling or words)]


def phrase(term: str) -> str:
    """One term as a quoted FTS phrase: its words must follow one another. '' if it holds no word."""
    words = _WORD.findall(folded(term))
    return f'"{" ".join(words)}"' if words else ""


def frequency(con: sqlite3.Connection, term: str, among: Ids | Sequence[int] | None = None) -> int:
    """How many passages hold this quoted phrase; with `among`, of these ids."""
    if not term:
        return 0
    only, values = _only(among)
    sql = f"SELECT count(*) FROM words WHERE words MATCH ? {only}"
    count: int = con.execute(sql, (term, *values)).fetchone()[0]
    return count


def estimated(con: sqlite3.Connection, term: str, top: int) -> int:
    """About `frequency`: how many of the first few passages hold the phrase tells of all, up to id `top`."""
    sql = "SELECT count(*), max(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)"
    count, last = con.execute(sql, (term, COUNTED)).fetchone()
    return int(count * top / last) if count == COUNTED else int(count)


def rarer(terms: Sequence[str], passages: int, frequency: Callable[[str], int]) -> list[str]:
    """The terms worth searching for: in a large index without the commonest, and never more than MAX_TERMS."""
    if passages < MANY and len(terms) <= MAX_TERMS:
        return list(terms)
    limit = COMMON if passages >= MANY else 1.0
    known = [(term, frequency(term)) for term in terms[: 4 * MAX_TERMS]]
    telling = [(term, n) for term, n in known if n <= limit * passages] or known
    rare = {term for term, _ in sorted(telling, key=lambda pair: pair[1])[:MAX_TERMS]}
    return [term for term, _ in known if term in rare]


def ranked(
    con: sqlite3.Connection,
    terms: Sequence[str],
    k: int,
    *,
    passages: int,
    top: int,
    count: Callable[[str], int],
    among: Ids | Sequence[int] | None = None,
) -> list[tuple[int, float]]:
    """The k best (id, BM25) for any of these quoted terms that are worth it, by the way that fits how many `passages`
    there are, up to id `top`. `count`: how many of all hold a term. Otherwise as `search`."""
    passing = passages if among is None else len(among)
    if passages >= LARGE:
        return search_large(con, terms, k, top, passing / passages, among)

    def known(term: str) -> int:
        whole = count(term)  # rare in the whole, rare in a part of it: that need not be counted
        rare = among is None or whole <= COMMON * passing
        return whole if rare else frequency(con, term, among)

    return search(con, rarer(terms, passing, known), k, among)


def search(
    con: sqlite3.Connection, terms: Sequence[str], k: int, among: Ids | Sequence[int] | None = None
) -> list[tuple[int, float]]:
    """The k best (id, BM25) for any of these quoted terms, higher is better, ties by id; with `among`, of these ids."""
    return _scored(con, " OR ".join(terms), k, among) if terms and k >= 1 else []


def search_large(
    con: sqlite3.Connection,
    terms: Sequence[str],
    k: int,
    top: int,
    share: float = 1.0,
    among: Ids | Sequence[int] | None = None,
) -> list[tuple[int, float]]:
    """`search` where there are too many matches to score each: those of the rarest terms are scored, by all terms.

    A passage must hold one of the rarest terms, as many as have at most SCORED matches together; to its score count the
    next rarer ones too, as many as have at most READ. `top`: the highest id; `share`: those in `among`, of all
    passages. Where this finds fewer than k, it is `search` with these terms.

    That a passage is scored exactly follows from BM25 being a sum: the first query below gives the passages their score
    by the rarest terms, the second gives those that hold others too their score by all; the higher one is it.
    """
    rarest, others = budgeted([(term, estimated(con, term, top)) for term in terms[: 4 * MAX_TERMS]], share)
    if not rarest or k < 1:
        return []
    found = dict(_scored(con, " OR ".join(rarest), k, among))
    if others:
        both = _scored(con, f"({' OR '.join(rarest)}) AND ({' OR '.join(others)})", k, among)
        found |= {id: max(score, found.get(id, score)) for id, score in both}
    best = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
    return best if len(best) == k else search(con, [*rarest, *others], k, among)


def budgeted(known: Sequence[tuple[str, int]], share: float) -> tuple[list[str], list[str]]:
    """The terms that a passage must hold one of, and those that count beside them, rarest first.

    >>> budgeted([("the", 600_000), ("cherry", 900), ("tree", 30_000), ("zzz", 0)], share=1.0)
    (['cherry'], ['tree'])
    """
    cost = 0.25 + 0.75 * share  # a match that a filter drops costs a quarter of one that is scored
    rarest: list[str] = []
    others: list[str] = []
    total = 0
    for term, count in sorted((pair for pair in known if pair[1]), key=lambda pair: pair[1]):
        total += count
        if not rarest or total * cost <= SCORED:
            rarest.append(term)
        elif total <= READ:
            others.append(term)
    return rarest[:MAX_TERMS], others[:MAX_TERMS]


def _scored(
    con: sqlite3.Connection, expression: str, k: int, among: Ids | Sequence[int] | None
) -> list[tuple[int, float]]:
    only, values = _only(among)
    sql = f"""SELECT rowid, -bm25(words, 1.0, {HEADING_WEIGHT}) AS score FROM words
              WHERE words MATCH ? {only} ORDER BY score DESC, rowid LIMIT ?"""
    return con.execute(sql, (expression, *values, k)).fetchall()


def _only(among: Ids | Sequence[int] | None) -> tuple[str, tuple[int | bytes, ...]]:
    """The condition that a row is one of these, with its values. FTS5 passes over what lies outside the range; inside
    it each id has a byte to be looked up in, which costs a match less than any list does."""
    if among is None:
        return "", ()
    ids = np.asarray(among, np.int64)
    if not len(ids):
        return "AND FALSE", ()
    first, last = int(ids.min()), int(ids.max())
    chosen = np.zeros(last - first + 1, np.uint8)
    chosen[ids - first] = 1
    return "AND rowid BETWEEN ? AND ? AND substr(?, rowid - ? + 1, 1) = x'01'", (first, last, chosen.tobytes(), first)


def _folded(rows: Iterable[tuple[int, str, str]]) -> Iterable[tuple[int, str, str]]:
    return ((id, folded(text), folded(heading)) for id, text, heading in rows)


def _words(piece: str) -> list[str]:
    """Spaced words; signs of unspaced scripts are left to `_pairs`."""
    return [w.replace("\u2019", "'") for w in _WORD.findall(piece) if not _UNSPACED_ONE.match(w)]


def _pairs(text: str) -> list[str]:
    """Neighbouring signs of unspaced scripts, two by two: one alone says too little, a whole run never stands twice."""
    runs = ["".join(run.split()) for run in _UNSPACED_RUN.findall(text.replace("  ", " "))]
    pairs = [[f"{a} {b}" for a, b in pairwise(run)] or [run] for run in runs]
    return [pair for run in pairs for pair in run]
