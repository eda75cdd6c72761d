"""The index as a LlamaIndex retriever: `RagRetriever(rag.open("index"), k=5).retrieve("tariffs")`."""

from __future__ import annotations

from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rag.adapters import metadata, name


class RagRetriever(BaseRetriever):  # type: ignore[misc]
    """`assistant`: a `rag.Assistant`; `k`: how many passages."""

    def __init__(self, assistant: Any, k: int = 8) -> None:
        self._assistant, self._k = assistant, k
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(
                    id_=name(h),
                    text=h.passage.text,
                    metadata=metadata(h),
                    start_char_idx=h.passage.span.start,
                    end_char_idx=h.passage.span.end,
                ),
                score=h.score,
            )
            for h in self._assistant.search(query_bundle.query_str, self._k)
        ]
