"""A citation and the documents as they are now in; out, whether it still stands, and where.

The one place where a quote is looked for: the document has changed since it was cut, so its position says no more than
where to look first. What is found is cut from the document anew, so a re-anchored citation is as true as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rag.types import Citation, Document, Span


class Standing(StrEnum):
    """What became of a citation."""

    HOLDS = "holds"  # the very characters stand at the very place
    MOVED = "moved"  # the quote stands elsewhere now
    STALE = "stale"  # the document is there and no longer says it
    GONE = "gone"  # the document is not there any more


@dataclass(frozen=True, slots=True)
class Stands:
    """`citation`: as it is to be shown now, None if it is stale or gone."""

    standing: Standing
    citation: Citation | None = None


def standing(citation: Citation, document: Document | None, others: Iterable[Document] = ()) -> Stands:
    """Whether `citation` stands in `document`, the present version of its source (None if it was removed).

    A quote that stands more than once is anchored nearest to its old place. `others` are documents that may be the
    removed one under another address: one is believed if it holds the quote at the very same place.
    """
    if document is None:
        for other in others:
            if citation.span.of(other.text) == citation.quote:
                return Stands(Standing.MOVED, Citation.cut(other, citation.span, citation.answer))
        return Stands(Standing.GONE)
    if citation.holds_in(document):
        return Stands(Standing.HOLDS, citation)
    starts = [m.start() for m in re.finditer(_whole(citation.quote), document.text)]
    if not starts:
        return Stands(Standing.STALE)
    by = min(starts, key=lambda at: (abs(at - citation.span.start), at)) - citation.span.start
    span, answer = (None if s is None else Span(s.start + by, s.end + by) for s in (citation.span, citation.answer))
    assert span is not None
    return Stands(Standing.MOVED, Citation.cut(document, span, answer))


def _whole(quote: str) -> str:
    """The quote, overlaps included, but not out of the middle of a word: 'he left' is not in 'she left'."""
    before = r"(?<!\w)" if re.match(r"\w", quote) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", quote) else ""
    return f"(?={before}{re.escape(quote)}{after})"
