"""Ask your own documents, offline; every sentence of an answer is backed by a quote that is really there.

    import rag
    assistant = rag.open(documents="seeds/")
    answer = assistant.ask("How many cherry trees will Japan give?")
    for c in answer.citations:
        print(c.quote, c.source.uri, c.span, c.where)

Importing this loads none of the heavy libraries: they load with the room that needs them.
"""

from typing import TYPE_CHECKING, Any

from rag.assistant import Assistant, open
from rag.config import Config
from rag.errors import RagError
from rag.filters import Filter
from rag.standing import Standing
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Event,
    Evidence,
    Found,
    Hit,
    Outcome,
    Passage,
    Quoted,
    Source,
    Span,
    Verdict,
    Waits,
    Wrote,
    to_json,
)

if TYPE_CHECKING:
    from rag.asynchronous import AsyncAssistant, open_async

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Assistant",
    "AsyncAssistant",
    "Citation",
    "Claim",
    "Config",
    "Document",
    "Event",
    "Evidence",
    "Filter",
    "Found",
    "Hit",
    "Outcome",
    "Passage",
    "Quoted",
    "RagError",
    "Source",
    "Span",
    "Standing",
    "Verdict",
    "Waits",
    "Wrote",
    "open",
    "open_async",
    "to_json",
]


def __getattr__(name: str) -> Any:
    """`rag.open_async` and `rag.AsyncAssistant`: whoever does not await need not load asyncio."""
    if name in ("AsyncAssistant", "open_async"):
        from rag import asynchronous

        return getattr(asynchronous, name)
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
