"""The assistant: the rooms of the house, built once from a `Config`, and the few verbs that everybody uses.

Every door (Python, command line, chat page) calls these and nothing else. Models load when they are first needed, so
that opening costs milliseconds; `warm()` loads them in the background.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.config import Config, index_at
from rag.errors import Busy, ConfigError, RagError, UsageError
from rag.filters import Filter
from rag.library import Library
from rag.types import Answer, Hit

if TYPE_CHECKING:
    from rag.another import Another
    from rag.answer import Rooms, Stream
    from rag.conversation import Conversations
    from rag.gate import Gate
    from rag.llm import LLM
    from rag.models import Entry
    from rag.read import Reader
    from rag.receipt import Receipt, Verification


def open(
    index: str | Path | None = None, *, documents: str | Path | Iterable[str | Path] | None = None, **settings: Any
) -> Assistant:
    """An assistant over the index at `index`, a folder or a place such as 'milvus://host:19530/name'; `documents` are
    added first, if they are named.

    With `documents` alone the index is a temporary one, gone when the assistant is closed. `settings` are those of
    `Config`, with `_` for the dot: `rag.open("index", llm_model="none")`. Raises IndexMissing where there is no index
    and no documents are named.
    """
    temporary = index is None and documents is not None
    at = tempfile.mkdtemp(prefix="rag-") if temporary else index
    config = Config.load({key.replace("_", ".", 1): value for key, value in settings.items()} | index_at(at))
    assistant = Assistant(Path(config.index.folder), config, temporary=temporary)
    try:
        if documents is None:
            assistant.require()
        else:
            paths = [documents] if isinstance(documents, str | Path) else documents
            report = assistant.add(paths)
            if report.refused and not len(assistant):
                raise UsageError(f"nothing could be read: {report.refused[0][1]}", "name other documents")
    except BaseException:
        assistant.close()
        raise
    return assistant


class Assistant(Library):
    """Answers questions from one index. Safe to use from several threads; one answer is worded at a time."""

    # -- receipts ----------------------------------------------------------------------------------------------------

    def receipt(self, answer: Answer) -> Receipt:
        """The answer as something to keep and to check: its quotes and the hashes of their documents, sealed; signed
        too, where RAG_RECEIPT_KEY is in the environment."""
        from rag import __version__, receipt

        return receipt.make(answer, self.document, __version__, receipt.key_of(os.environ))

    def verify(self, receipt: Receipt) -> Verification:
        """Whether a receipt is as it was made, how each of its quotes stands now, and what has changed since."""
        from rag.receipt import key_of, verify

        return verify(receipt, self.standing, self.document, self._rooms.fingerprints(), key_of(os.environ))

    # -- questions ---------------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        k: int = 8,
        *,
        sources: Collection[str] | None = None,
        where: Filter | None = None,
        rerank: int | None = None,
    ) -> list[Hit]:
        """The `k` passages most worth reading, best first, of the documents that pass `where`.

        `sources=ids` is short for `where=Filter(sources=ids)`; with both, both must hold. `rerank`: so many of those
        found are read and put in order anew, 0 for none; None: as the settings say. It takes some 10 ms for each.
        """
        from rag.retrieve import checked

        if k < 1:
            raise UsageError(f"k = {k}", "ask for at least one passage")
        rooms, query, where = self._rooms, checked(query), _narrowed(where, sources)
        depth = self.config.retrieve.rerank if rerank is None else rerank
        hits = list(rooms.retriever.retrieve(query, max(k, depth), where))
        if depth > 0:
            from rag.rerank import reranked

            hits = reranked(query, hits, rooms.reader, depth, self.config.retrieve.rerank_weight)
        return hits[:k]

    def ask(
        self,
        question: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        sources: Collection[str] | None = None,
        where: Filter | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The last event of `stream`."""
        *_, answer = self.stream(question, history=history, sources=sources, where=where, settings=settings)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        question: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        sources: Collection[str] | None = None,
        where: Filter | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Stream:
        """`Found`, then `Quoted`, then pieces of text, then one `Answer`. Its `close`, from any thread, frees the model
        within 1 s. `history`: the (question, answer) pairs before this one, oldest first; `sources`, `where`: as in
        `search`. `settings`: for this question alone, of `answer.*` and `retrieve.*`, and `llm.model` = 'none' (quotes
        alone) or one of `writers`. Raises ConfigError for others.
        """
        from rag.answer import stream

        rooms = self._rooms_with(settings or {})
        if rooms.llm is not None:
            _begin(rooms.llm)
        return stream(rooms, question, history, _narrowed(where, sources))

    def writers(self) -> list[str]:
        """The LLMs that can word an answer here: that of the settings first, unless it is none, then the others that
        are installed."""
        from rag.another import installed

        own = [] if self.config.llm.model == "none" else [self.config.llm.model]
        return own + [name for name in installed(self._models) if name not in own]

    # -- life --------------------------------------------------------------------------------------------------------

    def warm(self) -> None:
        """Start loading the models; returns at once. What fails will be said by the first question."""

        def load() -> None:
            try:
                rooms = self._rooms
                rooms.reader.read("ready?", ["ready."])
                rooms.retriever.retrieve("ready?")
                if rooms.llm is not None:
                    rooms.llm.warm()
            except RagError:
                pass

        threading.Thread(target=load, name="rag-warm", daemon=True).start()

    def close(self) -> None:
        """Free the models and the index; closing twice is fine."""
        with self._lock:
            rooms = self.__dict__.get("_rooms")
            if rooms is not None and rooms.llm is not None and not self._closed:
                rooms.llm.close()
            if "_another" in self.__dict__:
                self._another.close()
            super().close()

    # -- the rooms, each built when first asked for --------------------------------------------------------------------

    @cached_property
    def conversations(self) -> Conversations:
        """What was asked and answered before, kept beside the index."""
        from rag.conversation import Conversations

        return Conversations(self.folder / "conversations")

    @cached_property
    def _rooms(self) -> Rooms:
        from rag.answer import Rooms
        from rag.judge import RuleJudge
        from rag.retrieve import Retriever

        with self._lock:
            reader, gate = self._reader_and_gate()
            llm = self._llm()
            retriever = Retriever(self._index, self._embedder, self.config.retrieve)
            return Rooms(
                retriever,
                reader,
                gate,
                RuleJudge(),
                llm,
                self._style(),
                self.document,
                self._weigh,
                self._fingerprints(reader, llm),
                self.config,
            )

    def _rooms_with(self, settings: Mapping[str, Any]) -> Rooms:
        """The rooms for one question that has settings of its own."""
        if not settings:
            return self._rooms
        from rag.retrieve import Retriever

        for key in settings:
            if not key.startswith(("answer.", "retrieve.")) and key != "llm.model":
                raise ConfigError(f"{key} cannot be chosen for one question", "choose it when you open the assistant")
        config, rooms = self.config.replace(settings), self._rooms
        llm, style = rooms.llm, rooms.style
        if config.llm.model == "none":
            llm = None
        elif config.llm.model != self.config.llm.model:
            llm, style = self._another.get(config.llm.model)
        retriever = Retriever(self._index, self._embedder, config.retrieve)
        told = self._fingerprints(rooms.reader, llm)
        return dataclasses.replace(rooms, config=config, retriever=retriever, llm=llm, style=style, fingerprints=told)

    def _reader_and_gate(self) -> tuple[Reader, Gate]:
        """Both readers with their gate; without the trained one where that is asked for, or its weights are absent."""
        from rag.gate import OVERLAP, Gate
        from rag.read.overlap import OverlapReader

        folder = self._models.locate(self._models.entry("reader", "reader"))
        wanted = self.config.read.model
        overlap = OverlapReader(self._embedder.passages, self._weigh)
        if wanted == "overlap" or (wanted == "auto" and not (folder / "reader.onnx").is_file()):
            return overlap, OVERLAP
        from rag.read.joint import JointReader
        from rag.read.trained import TrainedReader

        tokenizer = self._models.locate(self._models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json"
        gate = Gate.load(self._models.locate(self._models.entry("gate", "gate")) / "gate.json")
        trained = TrainedReader(folder, tokenizer, self.config.read.threads)
        return JointReader(trained, overlap, gate.reading), gate

    def _llm(self) -> LLM | None:
        c = self.config.llm
        if c.base_url:
            from rag.llm.openai import OpenAILLM

            return OpenAILLM(c.base_url, c.model, c.key_env, c.timeout_s, c.retries, c.window)
        entry = self._writer
        if entry is None:
            return None
        from rag.another import local

        return local(self._models, entry, c)

    @cached_property
    def _another(self) -> Another:
        from rag.another import Another

        return Another(self._models, self.config.llm)

    @cached_property
    def _writer(self) -> Entry | None:
        """What is known of the local LLM, or what its own file says; None for a server's, or none at all."""
        c = self.config.llm
        if c.base_url or c.model == "none":
            return None
        if not c.model.endswith(".gguf"):
            return self._models.entry(c.model, "llm")
        from rag.models.own import own

        return own(Path(c.model))

    def _style(self) -> str:
        """How the LLM is asked: the catalogue knows which of its models can only word one sentence."""
        if self.config.llm.style != "auto":
            return self.config.llm.style
        return self._writer.style if self._writer is not None else "prose"

    def _weigh(self, stems: Sequence[str]) -> Mapping[str, float]:
        return dict(zip(stems, self._index.idf(stems), strict=True))

    def _fingerprints(self, reader: Reader, llm: LLM | None) -> Callable[[], Mapping[str, str]]:
        def now() -> Mapping[str, str]:
            return {
                "index": self._index.fingerprint,
                "embedder": self._embedder.fingerprint,
                "reader": reader.fingerprint,
                "llm": llm.fingerprint if llm is not None else "none",
            }

        return now


def _begin(llm: LLM) -> None:
    """Let it load while the passages are found and read. What fails, as a model too big for the memory, will be said by
    its draft, and the quotes answer without it. Raises Busy."""
    try:
        llm.warm()
    except Busy:
        raise
    except Exception:  # an LLM is not ours, and may raise anything
        pass


def _narrowed(where: Filter | None, sources: Collection[str] | None) -> Filter | None:
    """The filter that passes what both pass."""
    if sources is None:
        return where
    if where is None or where.sources is None:
        return replace(where or Filter(), sources=tuple(sources))
    return replace(where, sources=tuple(s for s in where.sources if s in set(sources)))
