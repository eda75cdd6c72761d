"""The index as a retriever of other frameworks, a few lines each: langchain.py, llamaindex.py, haystack.py.

Each hands over the passages of `Assistant.search` with the same metadata, so that whatever is built on them can still
say where its words stand: `start` and `end` in `assistant.document(source_id).text`.
"""

from __future__ import annotations

from typing import Any

from rag.types import Hit


def metadata(hit: Hit) -> dict[str, Any]:
    """Where a passage stands: ids, uri, title, heading, span in code points; and its score, higher is better."""
    source, span = hit.passage.source, hit.passage.span
    return {
        "source": source.uri,
        "source_id": source.id,
        "title": source.title,
        "heading": hit.passage.heading,
        "start": span.start,
        "end": span.end,
        "score": hit.score,
    }


def name(hit: Hit) -> str:
    """The passage's own name: the same place, the same name."""
    return f"{hit.passage.source.id}:{hit.passage.span.start}-{hit.passage.span.end}"
