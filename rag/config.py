"""Every setting, with its range, in one frozen value that is read once.

    defaults  <  rag.toml  <  RAG_* in the environment  <  flags

`[llm] model = "none"` in rag.toml is `RAG_LLM_MODEL=none` in the environment and `{"llm.model": "none"}` as a flag.
An unknown key names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import ConfigError

Flags = Mapping[str, Any]
SECRETS = ("RAG_MILVUS_TOKEN", "RAG_PASSWORD", "RAG_RECEIPT_KEY", "RAG_TOKEN")
"""Read from the environment where they are used, never from a file, and never shown among the settings."""


def _int(default: int, low: int, high: int, says: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": says})


def _float(default: float, low: float, high: float, says: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": says})


def _text(default: str, says: str, *choices: str) -> Any:
    return field(default=default, metadata={"choices": choices, "help": says})


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """Where the index is."""

    folder: str = _text("index", "of the index, and of what stays on this machine: conversations, uploads")
    place: str = _text(
        "", "of the documents, if not the folder: milvus://host:19530/name, milvus+tls://..., milvus:x.db"
    )
    database: str = _text("", "of a Milvus server; '': its default one")
    tls_ca: str = _text("", "PEM file of the authority that signed the Milvus server's certificate; '': the system's")
    timeout_s: float = _float(30.0, 0.1, 3600.0, "seconds after which a request to a Milvus server is given up")


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How documents are cut into passages."""

    max_tokens: int = _int(160, 32, 8192, "tokens of one passage, its heading included")


@dataclass(frozen=True, slots=True)
class EmbedConfig:
    """Which model turns texts into vectors."""

    model: str = _text("all-minilm-l6-v2", "a name of models/catalogue.toml, or a sentence-transformers folder")
    threads: int = _int(0, 0, 1024, "of the embedder; 0: as many as there are cores")


@dataclass(frozen=True, slots=True)
class RetrieveConfig:
    """How many passages are found, and how two rankings become one."""

    k: int = _int(8, 1, 1000, "passages handed to the reader")
    depth: int = _int(40, 1, 10_000, "passages asked of each retriever: what dense ranks 15th, lexical may rank 1st")
    # rag.evals.retrieval, scifact train (809 queries): nDCG@10 0.717, 0.727, 0.726 at 0.4, 0.5, 0.6; ends 0.667, 0.679
    dense_weight: float = _float(0.5, 0.0, 1.0, "share of the dense scores in the fused ones; the rest is lexical")
    rerank: int = _int(0, 0, 200, "passages that the reader puts in order anew when you search; 0: none")
    # rag.evals.rerank at 0, 0.3, 0.5: nDCG@10 0.937, 0.957, 0.960 (questions), 0.756, 0.759, 0.755 (claims)
    rerank_weight: float = _float(0.3, 0.0, 10.0, "weight of what the reader says beside the fused score")


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """Which reader looks for the answer."""

    model: str = _text(
        "auto",
        "joint: the trained reader and the other; overlap: without training; auto: joint where it is there",
        "auto",
        "joint",
        "overlap",
    )
    threads: int = _int(0, 0, 1024, "of the reader; 0: as many as there are cores")


@dataclass(frozen=True, slots=True)
class LLMConfig:
    """Which model writes the answer."""

    model: str = _text("smollm2-135m-instruct", "a catalogue name, a .gguf file, or none: quotes alone")
    base_url: str = _text(
        "", "of an OpenAI-compatible server, for example http://127.0.0.1:8080/v1; model is then its name"
    )
    key_env: str = _text("OPENAI_API_KEY", "the environment variable that holds the server's key")
    window: int = _int(2048, 256, 1_048_576, "tokens of prompt and answer together")
    max_tokens: int = _int(96, 1, 65_536, "tokens of one answer")
    deadline_s: float = _float(120.0, 0.1, 86_400.0, "seconds of one draft, from its turn on; then the quotes answer")
    timeout_s: float = _float(60.0, 0.1, 3600.0, "seconds of silence after which a server is given up")
    retries: int = _int(2, 0, 20, "times that a server is asked again while nothing of its answer has come")
    threads: int = _int(0, 0, 1024, "of the LLM; 0: the number of physical cores")
    style: str = _text(
        "auto",
        "sentence: word the short answer; prose: answer from several sentences; auto: as the model can",
        "auto",
        "sentence",
        "prose",
    )
    seed: int = _int(0, 0, 2**31 - 1, "same prompt and seed, same answer")


@dataclass(frozen=True, slots=True)
class AnswerConfig:
    """When an answer is given, and how much of it is shown."""

    strictness: str = _text("balanced", "how sure an answer must be", "strict", "balanced", "lenient")
    sentences: int = _int(4, 1, 32, "evidence sentences given to the model")
    quotes: int = _int(3, 1, 32, "nearest passages shown when no answer is confirmed")
    supported: float = _float(0.8, 0.0, 1.0, "of the judge, from which a claim of the model is shown")
    partial: float = _float(0.55, 0.0, 1.0, "of the judge, from which it is shown where strictness is lenient")


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """What `rag serve` lets through its door."""

    waiting: int = _int(8, 0, 1000, "questions that wait behind the one that is answered; one more hears 429")
    per_minute: int = _int(120, 1, 1_000_000, "requests a minute of one token (or address); more hear 429")
    body_mb: int = _int(100, 1, 4096, "MB of one uploaded request; other requests: 1 MB")
    body_s: float = _float(30.0, 0.1, 3600.0, "seconds in which a request's body must arrive")
    answer_s: float = _float(300.0, 1.0, 86_400.0, "seconds after which an answer is given up")
    hosts: str = _text("", "names under which a balancer or proxy before it is known, with spaces: docs.example.org")
    name: str = _text("", "of this server among several: the ids of its uploads begin with it, for the balancer")


@dataclass(frozen=True, slots=True)
class UIConfig:
    """How the chat page speaks."""

    language: str = _text("en", "of the chat page's own words (rag/chat/texts)", "de", "en")


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What `rag add --cluster tls://...` shows, and asks of others; '': what Dask's own configuration says."""

    tls_ca: str = _text("", "PEM file of the authority that signed the cluster's certificates")
    tls_cert: str = _text("", "PEM file of our certificate")
    tls_key: str = _text("", "PEM file of its key; '': it is in the certificate's file")


@dataclass(frozen=True, slots=True)
class ModelsConfig:
    """Where models live."""

    folder: str = _text("", "of downloaded and exported models; '': models/ of a checkout, else the user's data folder")
    host: str = _text(
        "https://huggingface.co", "where `rag models fetch` looks: a model hub, a mirror of it, or a folder of files"
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, one section per room."""

    index: IndexConfig = IndexConfig()
    split: SplitConfig = SplitConfig()
    embed: EmbedConfig = EmbedConfig()
    retrieve: RetrieveConfig = RetrieveConfig()
    read: ReadConfig = ReadConfig()
    llm: LLMConfig = LLMConfig()
    answer: AnswerConfig = AnswerConfig()
    serve: ServeConfig = ServeConfig()
    ui: UIConfig = UIConfig()
    cluster: ClusterConfig = ClusterConfig()
    models: ModelsConfig = ModelsConfig()

    @staticmethod
    def load(
        flags: Flags | None = None, *, file: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Config:
        """The settings in force: defaults, then `file` (rag.toml here, if there is one), `environ`, and `flags`.

        Raises ConfigError on an unknown key, a wrong type or a value out of range.
        """
        chosen = dict(_from_file(file))
        chosen |= dict(_from_environment(os.environ if environ is None else environ))
        chosen |= {key: value for key, value in dict(flags if flags is not None else {}).items() if value is not None}
        return Config().replace(chosen)

    def replace(self, changes: Flags) -> Config:
        """A copy with some settings changed; keys as 'section.name'."""
        config = self
        for key, value in changes.items():
            section, _, name = key.partition(".")
            field_ = _known(key)
            room = dataclasses.replace(getattr(config, section), **{name: _checked(key, field_, value)})
            config = dataclasses.replace(config, **{section: room})
        return config


def index_at(index: str | Path | None) -> dict[str, str]:
    """The setting that an index is, as a person names it: a folder, or a place on Milvus.

    >>> index_at("papers"), index_at("milvus:papers.db"), index_at(None)
    ({'index.folder': 'papers', 'index.place': ''}, {'index.place': 'milvus:papers.db'}, {})
    """
    if index is None:
        return {}
    named = str(index)
    if named.startswith(("milvus:", "milvus+tls:")):
        return {"index.place": named}
    return {"index.folder": named, "index.place": ""}


def settings() -> Iterator[tuple[str, Any, str]]:
    """Every setting: key, default, what it means with its range."""
    for section in dataclasses.fields(Config):
        for f in dataclasses.fields(getattr(Config(), section.name)):
            m = f.metadata
            limits = f" ({m['low']} to {m['high']})" if "low" in m else ""
            yield f"{section.name}.{f.name}", f.default, m["help"] + limits


def _known(key: str) -> dataclasses.Field[Any]:
    section, _, name = key.partition(".")
    room = getattr(Config(), section, None)
    if room is not None:
        for f in dataclasses.fields(room):
            if f.name == name:
                return f
    nearest = difflib.get_close_matches(key, [k for k, _, _ in settings()], n=1, cutoff=0.0)
    raise ConfigError(f"there is no setting {key!r}", f"did you mean {nearest[0]!r}?")


def _checked(key: str, field_: dataclasses.Field[Any], value: Any) -> Any:
    kind: type[Any] = type(field_.default)
    try:
        if isinstance(value, bool) or ((kind is str) != isinstance(value, str) and not isinstance(value, str)):
            raise ValueError
        value = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(
            f"{key} = {value!r} is not of type {kind.__name__}", f"for example {key} = {field_.default!r}"
        ) from None
    limits = field_.metadata
    if "low" in limits and not limits["low"] <= value <= limits["high"]:
        raise ConfigError(f"{key} = {value!r} is out of range", f"{limits['low']} to {limits['high']}")
    if limits.get("choices") and value not in limits["choices"]:
        raise ConfigError(f"{key} = {value!r} is not known", "one of " + ", ".join(limits["choices"]))
    return value


def _from_file(file: Path | None) -> Iterator[tuple[str, Any]]:
    path = Path("rag.toml") if file is None else file
    if file is None and not path.is_file():
        return
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}", "check the path") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} is not TOML: {e}", "mend that line") from e
    for section, values in data.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: {section!r} stands outside a section", "write it under [llm], [answer], ...")
        yield from ((f"{section}.{name}", value) for name, value in values.items())


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {"RAG_" + key.replace(".", "_").upper(): key for key, _, _ in settings()}
    for name in sorted(environ):
        if name in known:
            yield known[name], environ[name]
        elif name.startswith("RAG_") and name not in SECRETS:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ConfigError(f"the environment variable {name} is no setting", f"did you mean {nearest[0]}?")
