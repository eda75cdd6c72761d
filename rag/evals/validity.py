"""Is every citation the very characters of its source? Thousands of them, from texts that make it hard.

    python -m rag.evals.validity [--citations 5000]

The texts hold the same sentences again and again, CRLF and lone CR, emoji of several code points, combining marks,
right-to-left text, zero-width characters, tables, and a PDF; each is read by the ordinary loader. Questions are written
from the documents themselves (rag.evals.own). Every citation is compared with the document as it is stored, after the
answer has gone through JSON and back.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import rag
from rag.evals.own import written
from rag.types import Span, to_json

_TOWNS = ["Zürich", "São Paulo", "Kraków", "東京", "القدس", "Ψαρά", "Reykjavı́k", "Łódź", "Hull", "Xi’an"]
_THINGS = ["trees 🌳", "naïve poems", "boats ⛵️", "families 👨‍👩‍👧‍👦", "cafe\u0301s", "flags 🇯🇵", "ships", "maps"]
_ENDS = ["\r\n", "\n", "\r", "\n\n", "\u2028", " "]


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
    """A PDF of one page per forty lines, as small as the format allows."""
    pages = [lines[n : n + 40] for n in range(0, len(lines), 40)]
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for page in pages:
        rows = " ".join(f"({line}) Tj 0 -14 Td".replace("\\", "") for line in page)
        content = f"BT /F1 10 Tf 40 800 Td {rows} ET"
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
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


def counted(assistant: rag.Assistant, most: int, seed: int) -> tuple[int, int, int]:
    """Questions asked, citations given and citations that hold, until there are `most`."""
    dataset, _ = written(assistant, 20 * most, seed)
    asked = given = held = 0
    for question in dataset.questions:
        answer = json.loads(json.dumps(to_json(assistant.ask(question.text)), ensure_ascii=False))
        asked += 1
        for citation in answer["citations"]:
            text = assistant.document(citation["source"]["id"]).text
            given += 1
            held += Span(**citation["span"]).of(text) == citation["quote"]
        if given >= most:
            break
    return asked, given, held


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--citations", type=int, default=5000)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--llm", action="store_true", help="with the LLM's words too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "documents"
        home.mkdir()
        for name, text in texts(args.documents, args.seed):
            (home / name).write_bytes(text.encode("utf-8"))
        towns = [f"In {1900 + n} the town of Hull counted {7 * n} boats in its harbour." for n in range(120)]
        pdf(home / "boats.pdf", towns)
        with rag.open(documents=home, **({} if args.llm else {"llm_model": "none"})) as assistant:
            asked, given, held = counted(assistant, args.citations, args.seed)
    print(f"{asked} questions, {given} citations, {held} are the very characters of their source")
    raise SystemExit(held != given)


if __name__ == "__main__":
    main()
