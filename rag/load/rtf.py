"""RTF: its words; hidden ones (`\\v`) are left out and counted."""

from __future__ import annotations

import re
from itertools import groupby

from rag.errors import DocumentError
from rag.load import table
from rag.load.draft import Draft, Parsed, iso_day

_HIDDEN = re.compile(r"\\v(?:1)?(?![a-z0-9])(?P<words>(?:[^{}\\]|\\(?!v0)[^{}])*)(?:\\v0(?![0-9]))?")
_CREATED = re.compile(r"\\creatim\s*\\yr(\d{4})\s*\\mo(\d{1,2})\s*\\dy(\d{1,2})")
_TITLE = re.compile(r"\{\\title\s+([^{}\\]*)\}")


def parse(data: bytes) -> Parsed:
    """Paragraphs as lines. Raises DocumentError: damaged."""
    from striprtf.striprtf import rtf_to_text

    draft = Draft()
    source = data.decode("latin-1")  # RTF is ASCII; what is not, is read by the code page it names

    def drop(found: re.Match[str]) -> str:
        draft.dropped["characters of hidden text"] += len(re.sub(r"\\[a-z]+-?\d* ?", "", found["words"]).strip())
        return ""

    try:
        text = str(rtf_to_text(_HIDDEN.sub(drop, source), errors="replace"))
    except (ValueError, IndexError, LookupError, TypeError) as e:
        raise DocumentError(f"it is no readable RTF: {e}", "open it in an editor and save it anew") from e
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # emoji come as two halves
    for columns, lines in groupby((line.strip() for line in text.split("\n") if line.strip()), _columns):
        if columns:
            rows = [line[:-1].split("|") for line in lines]
            draft.say(table.lines(rows, header=table.stands_over_values(rows)))
        else:
            draft.say("\n\n".join(lines))
    created, title = _CREATED.search(source), _TITLE.search(source)
    day = iso_day("{}-{:0>2}-{:0>2}".format(*created.groups())) if created else ""
    return draft.done(title.group(1) if title else "", day)


def _columns(line: str) -> int:
    """How many cells the row of a table has, as the library writes it: 'Tea|2|4|'; 0: it is none."""
    return line.count("|") if line.endswith("|") and line.count("|") > 1 else 0
