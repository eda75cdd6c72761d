"""JSON Lines: one record a line, each under the number of its line."""

from __future__ import annotations

from rag.errors import DocumentError
from rag.load.draft import Draft, Parsed
from rag.load.plain import decode
from rag.load.records import lines, loads


def parse(data: bytes) -> Parsed:
    """The records. Raises DocumentError if no line is JSON; lines that are none are counted."""
    draft, good, bad = Draft(), 0, 0
    for number, line in enumerate(decode(data).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = loads(line)
        except DocumentError:
            bad += 1
            continue
        good += 1
        draft.item("row", f"record {number}", "\n".join(lines(record)))
    if bad and not good:
        raise DocumentError("no line of it is JSON", "check the file")
    if bad:
        draft.dropped["lines that are no JSON"] += bad
    return draft.done()
