"""Ask your own documents, offline; every sentence of an answer is backed by a quote that is really there.

    import rag
    assistant = rag.open(documents="seeds/")
    answer = assistant.ask("How many cherry trees will Japan give?")
    for c in answer.citations:
        print(c.quote, c.source.uri, c.span, c.where)

Importing this loads none of the heavy libraries: they load with the room that needs them.
"""

from rag.assistant import Assistant, open
from rag.config import Config
from rag.errors import RagError
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
    Wrote,
    to_json,
)

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Assistant",
    "Citation",
    "Claim",
    "Config",
    "Document",
    "Event",
    "Evidence",
    "Found",
    "Hit",
    "Outcome",
    "Passage",
    "Quoted",
    "RagError",
    "Source",
    "Span",
    "Verdict",
    "Wrote",
    "open",
    "to_json",
]
