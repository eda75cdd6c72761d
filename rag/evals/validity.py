"""Is every citation the very characters of its source? Thousands of them, from texts that make it hard.

    python -m rag.evals.validity [--citations 5000] [--no-llm] [--out FOLDER]

The texts hold the same sentences again and again, CRLF and lone CR, emoji of several code points, combining marks,
right-to-left text, zero-width characters, and a PDF with most of these; each is read by the ordinary loader. Questions
are written from the documents themselves (rag.evals.own), such as can be answered and such as cannot, whose nearest
passages are shown; they are answered in the LLM's words where these hold. Every
citation is compared with the document as it is stored, after the answer has gone through JSON and back; every claim
that is shown must have one.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rag
from rag.evals.asking import Record, Records
from rag.evals.own import written
from rag.types import Span, to_json

_TOWNS = ["Zürich", "São Paulo", "Kraków", "東京", "القدس", "Ψαρά", "Reykjavı́k", "Łódź", "Hull", "Xi’an"]
_THINGS = ["trees 🌳", "naïve poems", "boats ⛵️", "families 👨‍👩‍👧‍👦", "cafe\u0301s", "flags 🇯🇵", "ships", "maps"]
_ENDS = ["\r\n", "\n", "\r", "\n\n", "\u2028", " "]
QUESTIONS = 100_000  # more than the documents have sentences to ask for
EVERY = 50  # questions between two lines of progress


def texts(documents: int, seed: int) -> Iterator[tuple[str, str]]:
    """(file name, text) of documents full of look-alike sentences."""
    rng = random.Random(seed)
    for n in range(documents):
        lines = []
        for _ in range(40):
            town, thing, number = rng.choice(_TOWNS), rng.choice(_THINGS), rng.randint(2, 9999)
            lines.append(
                rng.choice(
                    [
                        f"In {rng.randint(1900, 2025)} the city of {town} counted {number} {thing} in its harbour.",
                        f"The mayor of {town} said that {number} {thing} were given away on {rng.randint(1, 28)} May.",
                        f"“{number} {thing}?” asked Maria Okafor\u200b, in {town} since {rng.randint(1900, 2025)}.",
                        "The same sentence stands here again, as it did before in 1999.",
                        f"من {town} وصل {number} في عام {rng.randint(1900, 2025)}.",
                    ]
                )
            )
        end = rng.choice(_ENDS)
        yield f"document {n}.{rng.choice(['txt', 'md', 'html'])}", end.join(lines)


def pdf(path: Path, lines: Sequence[str]) -> None:
    """A PDF of one page per forty lines, as small as the format allows; any character of the basic plane may stand in
    it, for its font says of each code that it is the character of that number."""
    pages = [lines[n : n + 40] for n in range(0, len(lines), 40)]
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", *_FONT]
    kids = []
    for page in pages:
        rows = " ".join(f"<{line.encode('utf-16-be').hex()}> Tj 0 -14 Td" for line in page)
        content = f"BT /F1 10 Tf 40 800 Td {rows} ET"
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    body, places = "%PDF-1.4\n", []
    for n, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{n} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{at:010} 00000 n \n" for at in places)
    tail = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    path.write_bytes(f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{tail}".encode("latin-1"))


_CODES = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Same def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end end"""
_FONT = (
    "<< /Type /Font /Subtype /Type0 /BaseFont /Helvetica /Encoding /Identity-H /DescendantFonts [4 0 R] "
    "/ToUnicode 5 0 R >>",
    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Helvetica /DW 500 "
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
    f"<< /Length {len(_CODES)} >>\nstream\n{_CODES}\nendstream",
)
_PAPERS = (
    "In {year} the town of Hull counted {number} boats in its harbour.",
    "The cafe\u0301 of Reykjavi\u0301k sold {number} cups in {year}, and A\u030angstro\u0308m paid for them.",
    "In {year} the library of \u05d7\u05d9\u05e4\u05d4 lent {number} books to the town of \u0642\u062f\u0633.",
)


def papers() -> list[str]:
    """The lines of the PDF: plain, with combining marks, and with words that run from right to left."""
    return [_PAPERS[n % len(_PAPERS)].format(year=1900 + n, number=7 * n + 5) for n in range(120)]


@dataclass(frozen=True, slots=True)
class Count:
    """What was asked, given and shown: `held` of the `given` citations are the very characters of their source,
    `bare` of the `claims` shown stand without a citation; `worded` of the claims are in the model's own words."""

    asked: int = 0
    given: int = 0
    held: int = 0
    claims: int = 0
    bare: int = 0
    worded: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(records: Sequence[Record]) -> Count:
        """What the records of `asked` come to."""
        names = ("given", "held", "claims", "bare", "worded")
        sums = {name: sum(r[name] for r in records) for name in names}
        sources: Counter[str] = Counter()
        for record in records:
            sources.update(record["sources"])
        return Count(len(records), **sums, sources=sources)


def counted(assistant: rag.Assistant, most: int, seed: int, records: Records) -> Iterator[Count]:
    """Asks until there are `most` citations, what is recorded already passed over; the count after each question."""
    dataset, _ = written(assistant, QUESTIONS, seed)
    questions = random.Random(seed).sample(dataset.questions, len(dataset.questions))
    count, done = Count.of(records.done), {r["question"] for r in records.done}
    for question in questions:
        if count.given >= most:
            return
        if question.text not in done:
            records.add(asked(assistant, question.text))
            count = Count.of(records.done)
            yield count


def asked(assistant: rag.Assistant, question: str) -> Record:
    """One answer, counted after it has gone through JSON and back. A claim counts as bare too where its words are not
    those at its place."""
    answer = json.loads(json.dumps(to_json(assistant.ask(question)), ensure_ascii=False))
    given, claims = answer["citations"], answer["claims"]
    shown = [Span(**claim["at"]).of(answer["text"]).strip() for claim in claims]
    return {
        "question": question,
        "given": len(given),
        "held": sum(Span(**c["span"]).of(assistant.document(c["source"]["id"]).text) == c["quote"] for c in given),
        "claims": len(claims),
        "bare": sum(not (words and claim["citations"]) for words, claim in zip(shown, claims, strict=True)),
        "worded": sum(claim["origin"] == "model" for claim in claims),
        "sources": Counter(c["source"]["media_type"] for c in given),
    }


def main() -> None:
    """The command; exit code 1 where a citation does not hold, a claim is shown without one, or there are too few."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--citations", type=int, default=5000)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-llm", action="store_true", help="quotes alone")
    parser.add_argument("--out", type=Path, help="a folder that keeps what was counted; the same again goes on there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "documents"
        home.mkdir()
        for name, text in texts(args.documents, args.seed):
            (home / name).write_bytes(text.encode("utf-8"))
        pdf(home / "papers.pdf", papers())
        out = args.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        records = Records(out / f"{args.documents}-{args.seed}{'-quotes' if args.no_llm else ''}.jsonl")
        with rag.open(documents=home, **({"llm_model": "none"} if args.no_llm else {})) as assistant:
            for count in counted(assistant, args.citations, args.seed, records):
                if count.asked % EVERY == 0:
                    print(f"  {count.asked} questions, {count.given} of {args.citations} citations", flush=True)
        records.close()
    count = Count.of(records.done)
    kinds = ", ".join(f"{n} of {kind}" for kind, n in sorted(count.sources.items()))
    print(f"{count.asked} questions, {count.given} citations, {count.held} are the very characters of their source")
    print(f"of these citations {kinds}")
    print(f"{count.claims} claims shown, {count.worded} in the model's own words, {count.bare} without a citation")
    raise SystemExit(count.held != count.given or count.bare > 0 or count.given < args.citations)


if __name__ == "__main__":
    main()
