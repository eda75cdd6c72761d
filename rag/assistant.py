"""The assistant: the rooms of the house, built once from a `Config`, and the few verbs that everybody uses.

Every door (Python, command line, chat page) calls these and nothing else. Models load when they are first needed, so
that opening costs milliseconds; `warm()` loads them in the background.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rag.config import Config
from rag.errors import IndexBusy, IndexDamaged, IndexMissing, ModelMissing, RagError, UsageError
from rag.types import Answer, Citation, Document, Hit, Source

if TYPE_CHECKING:
    from rag.add import Adder, Progress, Report
    from rag.answer import Rooms, Stream
    from rag.embed import Embedder
    from rag.gate import Gate
    from rag.index import CheckReport, Index, SourceRow
    from rag.llm import LLM
    from rag.models import Models
    from rag.read import Reader


def open(
    index: str | Path | None = None, *, documents: str | Path | Iterable[str | Path] | None = None, **settings: Any
) -> Assistant:
    """An assistant over the index at `index`; `documents` are added first, if they are named.

    With `documents` alone the index is a temporary one, gone when the assistant is closed. `settings` are those of
    `Config`, with `_` for the dot: `rag.open("index", llm_model="none")`. Raises IndexMissing where there is no index
    and no documents are named.
    """
    config = Config.load({key.replace("_", ".", 1): value for key, value in settings.items()})
    temporary = index is None and documents is not None
    folder = (
        Path(tempfile.mkdtemp(prefix="rag-")) if temporary else Path(config.index.folder if index is None else index)
    )
    if documents is None and not (folder / "FORMAT").is_file():
        raise IndexMissing(f"there is no index in {folder}", f"rag add PATH --index {folder}")
    assistant = Assistant(folder, config, temporary=temporary)
    try:
        if documents is not None:
            paths = [documents] if isinstance(documents, str | Path) else documents
            report = assistant.add(paths)
            if report.refused and not len(assistant):
                raise UsageError(f"nothing could be read: {report.refused[0][1]}", "name other documents")
    except BaseException:
        assistant.close()
        raise
    return assistant


class _Maker(TypedDict):
    embedder: str
    dim: int
    rules: str


class Assistant:
    """Answers questions from one index. Safe to use from several threads; one answer is worded at a time."""

    def __init__(
        self, folder: Path, config: Config | None = None, *, write: bool | None = None, temporary: bool = False
    ) -> None:
        """`write`: True to change the index (one process at a time), False to read only; None: as far as it is free."""
        self.folder, self.config = folder, Config() if config is None else config
        self._write, self._temporary = write, temporary
        self._lock = threading.RLock()
        self._closed = False

    # -- documents ---------------------------------------------------------------------------------------------------

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        mirror: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Bring the index in step with files and folders; a report of what was added, changed, left and refused."""
        return self._adder.add([Path(p) for p in paths], progress, mirror)

    def add_text(self, text: str, *, title: str, uri: str) -> int:
        """Add a text that is in no file; its number of passages. The same `uri` again replaces it."""
        from rag.load import clean

        return self._adder.put(Document(Source.at(uri, title), clean(text)))

    def remove(self, source: str) -> bool:
        """Forget a source, named by its id or uri, at once; False if it is not there."""
        known = next((r.source.id for r in self.sources() if source in (r.source.id, r.source.uri)), None)
        return known is not None and self._index.remove(known)

    def sources(self) -> list[SourceRow]:
        """What the index holds, one row per document."""
        return self._index.sources()

    def document(self, source_id: str) -> Document:
        """A document as it was indexed. Raises KeyError if it is not there."""
        return self._index.document(source_id)

    def check(self) -> CheckReport:
        """Prove every passage against its document and every vector against its row; rebuild what can be rebuilt. An
        index too damaged to open is mended: what does not hold is taken out and named, for you to add again."""
        from rag.index import Index

        try:
            return self._index.check()
        except IndexDamaged:
            if self._write is False:
                raise
            return Index.mend(self.folder, **self._maker())

    def holds(self, citation: Citation) -> bool:
        """True if the quote still stands, character for character, where the citation says."""
        try:
            return citation.holds_in(self.document(citation.source.id))
        except KeyError:
            return False

    def __len__(self) -> int:
        """Passages in the index."""
        return len(self._index)

    # -- questions ---------------------------------------------------------------------------------------------------

    def search(self, query: str, k: int = 8, sources: Collection[str] | None = None) -> list[Hit]:
        """The `k` passages most worth reading, best first; `sources` are ids to look in."""
        from rag.retrieve import checked

        if k < 1:
            raise UsageError(f"k = {k}", "ask for at least one passage")
        return list(self._rooms.retriever.retrieve(checked(query), k, sources))

    def ask(
        self, question: str, *, history: Sequence[tuple[str, str]] = (), sources: Collection[str] | None = None
    ) -> Answer:
        """The last event of `stream`."""
        *_, answer = self.stream(question, history=history, sources=sources)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self, question: str, *, history: Sequence[tuple[str, str]] = (), sources: Collection[str] | None = None
    ) -> Stream:
        """`Found`, then `Quoted`, then pieces of text, then one `Answer`. Its `close`, from any thread, frees the model
        within 1 s. `history`: the (question, answer) pairs before this one, oldest first.
        """
        from rag.answer import stream

        rooms = self._rooms
        if rooms.llm is not None:
            rooms.llm.warm()  # it loads while the passages are found and read
        return stream(rooms, question, history, sources)

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
            if self._closed:
                return
            self._closed = True
            rooms = self.__dict__.get("_rooms")
            if rooms is not None and rooms.llm is not None:
                rooms.llm.close()
            if "_index" in self.__dict__:
                self._index.close()
            if self._temporary:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Assistant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the rooms, each built when first asked for --------------------------------------------------------------------

    @cached_property
    def _models(self) -> Models:
        from rag.models import Models

        return Models(Path(self.config.models.folder) if self.config.models.folder else None)

    @cached_property
    def _embedder(self) -> Embedder:
        name, threads = self.config.embed.model, self.config.embed.threads
        if Path(name).is_dir():
            from rag.embed.sentence import SentenceEmbedder
            from rag.files import sha256_of

            weights = next(iter(sorted(Path(name).rglob("*.safetensors"))), None)
            if weights is None:
                raise ModelMissing(f"{name} holds no .safetensors weights", "name a sentence-transformers folder")
            return SentenceEmbedder(name, Path(name), f"{Path(name).name}@{sha256_of(weights)[:12]}", threads)
        from rag.embed.onnx import OnnxEmbedder

        entry = self._models.entry(name, "embedder")
        model = self._models.exported(entry)
        return OnnxEmbedder(name, model, self._models.locate(entry), entry.fingerprint, threads)

    @cached_property
    def _index(self) -> Index:
        from rag.index import Index

        with self._lock:
            maker = self._maker()
            try:
                return Index.open(self.folder, **maker, write=self._write is not False)
            except IndexBusy:
                if self._write:
                    raise
                return Index.open(self.folder, **maker, write=False)

    def _maker(self) -> _Maker:
        """What an index of this assistant is made with."""
        from rag.split import RULES

        rules = f"{RULES}:{self.config.split.max_tokens}"
        return {"embedder": self._embedder.fingerprint, "dim": self._embedder.dim, "rules": rules}

    @cached_property
    def _adder(self) -> Adder:
        from rag.add import Adder

        return Adder(self._index, self._embedder, self.config.split.max_tokens)

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

            return OpenAILLM(c.base_url, c.model, key_env=c.key_env, window=c.window)
        if c.model == "none":
            return None
        from rag.llm.llama import LlamaLLM

        threads = c.threads if c.threads > 0 else None
        if c.model.endswith(".gguf"):
            return LlamaLLM(Path(c.model), window=c.window, threads=threads)
        entry = self._models.entry(c.model, "llm")
        name, file = next(iter(entry.files.items()))
        path, window = self._models.verified(entry) / name, min(c.window, entry.window)
        return LlamaLLM(path, template=entry.template, window=window, threads=threads, sha256=file.sha256)

    def _style(self) -> str:
        """How the LLM is asked: the catalogue knows which of its models can only word one sentence."""
        c = self.config.llm
        if c.style != "auto":
            return c.style
        known = None if c.base_url else self._models.catalogue.get(c.model)
        return known.style if known is not None else "prose"

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
