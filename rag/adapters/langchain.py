"""The index as a LangChain retriever: `RagRetriever(assistant=rag.open("index"), k=5).invoke("tariffs")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag.adapters import metadata, name

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun


class RagRetriever(BaseRetriever):  # type: ignore[misc]
    """`assistant`: a `rag.Assistant`; `k`: how many passages."""

    assistant: Any
    k: int = 8

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        hits = self.assistant.search(query, self.k)
        return [Document(page_content=h.passage.text, metadata=metadata(h), id=name(h)) for h in hits]
