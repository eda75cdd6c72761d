"""The index as a Haystack component: `RagRetriever("index", k=5).run("tariffs")["documents"]`.

A saved pipeline is read again with `Pipeline.loads(saved, allowed_modules=["rag.adapters.haystack"])`.
"""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from rag.adapters import metadata, name


@component
class RagRetriever:
    """`index`: the folder of an index, so that a pipeline can be saved; it is opened when it is first needed."""

    def __init__(self, index: str, k: int = 8) -> None:
        self.index, self.k = str(index), k
        self._assistant: Any = None

    def warm_up(self) -> None:
        """Open the index."""
        if self._assistant is None:
            from rag.assistant import open

            self._assistant = open(self.index)

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    def run(self, query: str) -> dict[str, list[Document]]:
        """The passages most worth reading, best first."""
        self.warm_up()
        hits = self._assistant.search(query, self.k)
        documents = [Document(id=name(h), content=h.passage.text, meta=metadata(h), score=h.score) for h in hits]
        return {"documents": documents}

    def to_dict(self) -> dict[str, Any]:
        """For a pipeline's file."""
        saved: dict[str, Any] = default_to_dict(self, index=self.index, k=self.k)
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RagRetriever:
        """From a pipeline's file."""
        made: RagRetriever = default_from_dict(cls, data)
        return made
