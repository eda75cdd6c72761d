"""Annotated questions in; out, claims of which it is known whether their quote carries them.

True claims are made of the evidence sentence (a clause of it, its parts moved) and of question and answer (rewritten as a
statement). False ones are true ones with one thing changed: a number, a name, a unit, a 'not', who did it to whom. The
judge sees none of this file's rules; where an edit may by chance stay true ('A and B won': 'B won'), it is not made.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """A claim, its quotes, and whether they carry it. `kind`: how it was made; `document`: what splits are made by."""

    claim: str
    quotes: tuple[str, ...]
    true: bool
    kind: str
    document: str

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
    context = example["context"]
    document = example["title"] if "squadshifts" not in example["source"] else context[:200]
    spans = [s for s in sentences(context) if s.start <= answer["start"] < s.end]
    if not spans or not 6 <= len(spans[0].of(context).split()) <= 45 or context[spans[0].start].islower():
        return
    quote = " ".join(spans[0].of(context).split())
    true = dict(_true(quote, example["question"], answer["text"]))
    for kind, claim in true.items():
        if kind != "itself" or rng.random() < 0.3:
            yield Pair(claim, (quote,), True, kind, document)
    if not true:
        return
    for kind, edit in EDITS.items():
        base = rng.choice(sorted(true.values()))
        claim = edit(base, quote, context, rng)
        if claim is not None and claim.lower() not in quote.lower() and claim != base:
            yield Pair(claim, (quote,), False, kind, document)
    others = [" ".join(s.of(context).split()) for s in sentences(context) if s != spans[0] and len(s) > 30]
    base = rng.choice(sorted(true.values()))
    if others and answer["text"].lower() not in (other := rng.choice(others)).lower():
        yield Pair(base, (other,), False, "other quote", document)


# --- true claims


def _true(quote: str, question: str, answer: str) -> Iterator[tuple[str, str]]:
    if quote.endswith("?"):
        return
    yield "itself", quote
    rewritten = "rewritten" if _carried(question, quote) >= 0.66 else "rewritten freely"
    for kind, claim in (("clause", _clause(quote)), ("moved", _moved(quote)), (rewritten, _rewritten(question, answer, quote))):
        if claim is not None and claim != quote and len(claim.split()) >= 4:
            yield kind, claim


_CUT = re.compile(r";| ?, (?:and|but|while|which|who|although|where|whereas|with|so) |, (?:and|but|while|which|who|although|where|whereas) | -- ")
_SUBORDINATE = re.compile(r"(?:while|although|though|when|if|because|since|as|after|before|despite|unless|in|on|at|by|with|for|to|from|unlike|like)\b", re.I)
_LISTS = re.compile(r", (?:and|or) ", re.I)


def _clause(quote: str) -> str | None:
    """The main clause, or the sentence without its brackets."""
    bare = re.sub(r" ?\([^()]*\)", "", quote)
    cut = _CUT.search(bare)
    if cut and not _SUBORDINATE.match(bare) and len(bare[: cut.start()].split()) >= 6 and "," not in bare[: cut.start()]:
        bare = bare[: cut.start()].rstrip(" ,") + "."
    return bare if bare != quote and not re.search(r"[\"“”]", bare) else None


def _moved(quote: str) -> str | None:
    """'In 2024, he won.' as 'He won in 2024.'"""
    match = re.match(r"((?:In|On|At|By|During|After|Before|From|Since|Under|Until|For) [^,;:\"“”]{2,40}) ?, ([^,;:\"“”?]{20,160})\.$", quote)
    if match is None or re.match(r"(?:and|or|which|who|where|when)\b", match[2]):
        return None
    rest = match[2].strip()
    return f"{rest[0].upper()}{rest[1:]} {match[1][0].lower()}{match[1][1:]}."


_AUX = r"(?:is|are|was|were|did|does|do|has|have|had|can|could|will|would)"
_PARTICIPLE = re.compile(r"\b(?:\w{3,}ed|born|made|built|held|known|found|written|given|taken|won|sent|shown|called|set|put|led)\b")


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
        return None if re.search(rf"\b{_AUX}\b", m[1]) else f"{answer if m[1] in answer else answer + ' ' + m[1]} {m[2]} {m[3]}"
    if m := re.match(r"(?:what|which) ([\w' -]{3,30}?) ((?:is |was |are |were )?(?:won|wrote|led|founded|built|made|became|caused|\w{3,}ed)) (.+)", question, re.I):
        return None if re.search(rf"\b{_AUX}\b", m[1]) else f"{answer} {m[2]} {m[3]}"
    return None


_OPEN_END = re.compile(r"\b(?:\w+ing|\w+ed|to|of|in|on|at|by|for|with|from|about|than)$|\b(?:author|writer|poster|reviewer|user|op)\b", re.I)
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

# --- edits that make a claim false

_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w]|[.,]\d)")
_NAME = re.compile(r"\b[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*")
_NOT_NAMES = frozenset(
    "the a an in on at by from it he she they we i this that these those his her its their there when while after before "
    "although as if for with during since under until some many most all both each one however but and or so then what "
    "who where why how you my our your no not yes also once later thus to of other several two three four".split()
)  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_UNITS = [
    ("miles", "kilometres"), ("kilometres", "miles"), ("km", "miles"), ("feet", "metres"), ("metres", "feet"), ("meters", "feet"),
    ("million", "billion"), ("billion", "million"), ("thousand", "million"), ("hundred", "thousand"), ("percent", "million"), ("%", " million"),
    ("$", "€"), ("£", "$"), ("€", "$"), ("years", "months"), ("year", "month"), ("days", "weeks"), ("hours", "minutes"), ("minutes", "hours"),
    ("months", "years"), ("weeks", "days"), ("century", "decade"), ("pounds", "ounces"), ("kg", "tonnes"), ("inches", "feet"), ("acres", "hectares"),
]  # fmt: skip
_OPPOSITES = """first last,largest smallest,highest lowest,longest shortest,oldest youngest,most least,more less,before after,
    earlier later,north south,east west,northern southern,eastern western,increase decrease,increased decreased,rise fall,won lost,
    began ended,opened closed,male female,men women,father mother,son daughter,brother sister,king queen,best worst,good bad,early late,
    high low,higher lower,large small,larger smaller,long short,old new,hot cold,maximum minimum,upper lower,public private,rich poor,
    strong weak,major minor,positive negative,supported opposed,accepted rejected,allowed prohibited,easy difficult,common rare,
    ancient modern,born died,bought sold,exports imports,above below,always never,success failure,included excluded,gained lost,
    majority minority,domestic foreign,better worse,greater smaller,older younger,friend enemy,day night,love hate,same different"""
_OTHER = {a: b for pair in _OPPOSITES.replace("\n", "").split(",") for x, y in [pair.split()] for a, b in ((x, y), (y, x))}
_VERB = re.compile(r"\b(is|are|was|were|can|could|has|have|had|will|would|did|does|do|should|may)\b(?! not)")


def _put(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


def _is_year(number: str) -> bool:
    return number.isdigit() and len(number) == 4 and 1000 <= int(number) <= 2100


def _other_number(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = [m for m in _NUMBER.finditer(claim) if not _is_year(m.group())]
    if not found:
        return None
    match = rng.choice(found)
    plain = match.group().replace(",", "")
    value = float(plain) * rng.choice([0.1, 0.5, 2, 10]) if rng.random() < 0.3 else float(plain) + rng.choice([-2, -1, 1, 2, 3, 5, 10, 11])
    new = f"{abs(value):,.1f}" if "." in plain or value != int(value) else f"{abs(int(value)):,}"
    return None if new in quote or new == match.group() else _put(claim, match, new)


def _quote_number(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Another number of the same sentence, of the same look, not in a list with the first."""
    found = list(_NUMBER.finditer(claim))
    rng.shuffle(found)
    for match in found:
        others = [o for o in _NUMBER.findall(quote) if o not in claim and _is_year(o) == _is_year(match.group())]
        others = [o for o in others if not _listed(quote, match.group(), o)]
        if others:
            return _put(claim, match, rng.choice(others))
    return None


def _listed(quote: str, one: str, two: str) -> bool:
    """True if the two stand in one list: what holds of one may hold of the other."""
    a, b = sorted((quote.find(one), quote.find(two)))
    between = quote[a:b][len(one if quote.find(one) == a else two) :]
    return a < 0 or not re.search(r"\b(?!and\b|or\b|the\b|to\b|of\b)[a-z]{2,}", between)


def _date(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = list(re.finditer(rf"\b(?:{'|'.join(_MONTHS + _DAYS)})\b|\b(?:1[0-9]|20)\d\d\b", claim))
    if not found:
        return None
    match = rng.choice(found)
    word = match.group()
    if word.isdigit():
        new = str(int(word) + rng.choice([-30, -11, -10, -4, -2, -1, 1, 2, 5, 9, 12, 100]))
    else:
        new = rng.choice([w for w in (_MONTHS if word in _MONTHS else _DAYS) if w != word])
    return None if new in quote else _put(claim, match, new)


def _names(text: str) -> list[re.Match[str]]:
    found = []
    for m in _NAME.finditer(text):
        first = m.group().split()[0].lower()
        opens = m.start() == 0 or text[m.start() - 2 : m.start() - 1] in ".?!"
        if first not in _NOT_NAMES and not re.search("['’]", m.group()) and m.group() not in _MONTHS + _DAYS and not (opens and " " not in m.group()):
            found.append(m)
    return found


def _article_name(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = _names(claim)
    others = sorted({m.group() for m in _names(context)} - {m.group() for m in found})
    others = [o for o in others if not any(w[:4] in quote.lower() for w in o.lower().split()) and len(o) > 3]
    return _put(claim, rng.choice(found), rng.choice(others)) if found and others else None


def _quote_name(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Another name of the same sentence, not in a list with the first: the commonest lie of a small model."""
    found = _names(claim)
    rng.shuffle(found)
    for match in found:
        others = [m.group() for m in _names(quote) if not any(w[:4] in claim.lower() for w in m.group().lower().split())]
        others = [o for o in others if not _listed(quote, match.group(), o)]
        if others and match.group() in quote:
            return _put(claim, match, rng.choice(others))
    return None


def _roles(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """Two names around a verb change places."""
    found = _names(claim)
    for one, two in zip(found, found[1:], strict=False):
        between = claim[one.end() : two.start()]
        if re.search(r"\b\w+(?:ed|es|s|wrote|won|led|gave|took|beat|met|saw|told|made|became|built)\b", between) and not re.search(
            r"\band\b|\bor\b|,|\bwith\b|\bis\b|\bwas\b(?! \w+ed)|['’]s?\b", between
        ):
            return claim[: one.start()] + two.group() + between + one.group() + claim[two.end() :]
    return None


def _unit(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    for old, new in rng.sample(_UNITS, len(_UNITS)):
        pattern = rf"(?<=[\d ]){re.escape(old)}" if old == "%" else re.escape(old) if old in "$£€" else rf"(?<=[\d-]) ?\b{old}\b|(?<=\d ){old}\b|(?<=(?:ion|and|two|ree|our|ive|six|ven|ght|ine|ten|red) ){old}\b"
        if (match := re.search(pattern, claim)) and new.strip() not in quote:
            return _put(claim, match, " " + new if match.group().startswith(" ") else new)
    return None


def _negated(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    if re.search(r"\bnot (?:only|just)\b", claim):
        return None
    if match := re.search(r"\b(?:not|never) |n't\b", claim):
        return _put(claim, match, "")
    found = list(_VERB.finditer(claim))
    match = found[0] if found else None
    return _put(claim, match, match.group() + rng.choice([" not", " never"])) if match else None


def _compared(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"\b[a-z]+\b", claim) if m.group() in _OTHER and _OTHER[m.group()] not in quote]
    return _put(claim, match, _OTHER[match.group()]) if found and (match := rng.choice(found)) else None


def _settled(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """A plan or a guess told as done."""
    match = re.search(r"\b(?:will|may|might|could|would|plans? to|planned to|hopes? to|intends? to|expected to) (?!have|be|not)([a-z]{3,})\b", claim)
    if match is None:
        return None
    verb = match[1]
    return _put(claim, match, verb + "d" if verb.endswith("e") else verb + "ed")


def _word(claim: str, quote: str, context: str, rng: random.Random) -> str | None:
    """A longer word gives way to one of the passage with the same ending."""
    found = [m for m in re.finditer(r"\b[a-z]{5,}\b", claim)]
    rng.shuffle(found)
    for match in found:
        others = sorted({w for w in re.findall(r"\b[a-z]{5,}\b", context) if w[-2:] == match.group()[-2:] and w[:4] not in quote})
        if others and match.group() in quote:
            return _put(claim, match, rng.choice(others))
    return None


EDITS: dict[str, Callable[[str, str, str, random.Random], str | None]] = {
    "number": _other_number,
    "number of the quote": _quote_number,
    "date": _date,
    "name of the article": _article_name,
    "name of the quote": _quote_name,
    "roles": _roles,
    "unit": _unit,
    "negation": _negated,
    "comparison": _compared,
    "modality": _settled,
    "word": _word,
}
