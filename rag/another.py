"""One more LLM beside that of the settings: whoever asks again may ask another model that is installed.

At most one at a time: what was loaded for the last such question makes room for the next, so that trying out five
models never takes the memory of five. Who is still being answered is not cut off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from rag.config import LLMConfig
from rag.errors import Busy, ModelError
from rag.llm import LLM
from rag.models import Entry, Models

Build = Callable[[Models, Entry, LLMConfig], LLM]


def local(models: Models, entry: Entry, config: LLMConfig) -> LLM:
    """The local LLM of `entry`, its file proven; it loads when it is first used. Raises ModelMissing, ModelDamaged."""
    from rag.llm.llama import LlamaLLM

    name, file = next(iter(entry.files.items()))
    path, window = models.verified(entry) / name, min(config.window, entry.window)
    threads = config.threads if config.threads > 0 else None
    return LlamaLLM(path, template=entry.template, window=window, threads=threads, sha256=file.sha256)


def installed(models: Models) -> list[str]:
    """The names of the LLMs whose files are here, by name: a look, no proof."""
    found = []
    for name, entry in sorted(models.catalogue.items()):
        with suppress(ModelError):
            if entry.role == "llm" and models.present(entry):
                found.append(name)
    return found


class Another:
    """Keeps the LLM that was asked for last. Safe to use from several threads."""

    def __init__(self, models: Models, config: LLMConfig, build: Build = local) -> None:
        self._models, self._config, self._build = models, config, build
        self._lock = threading.Lock()
        self._held: tuple[str, LLM] | None = None

    def get(self, name: str) -> tuple[LLM, str]:
        """The LLM called `name`, and how it is asked ('sentence' or 'prose'). Raises ModelMissing for one that is not
        installed, Busy while another one than that still answers, ModelDamaged."""
        entry = self._models.entry(name, "llm")
        with self._lock:
            if self._held is None or self._held[0] != name:
                self._models.present(entry)
                self._let_go(name)
                self._held = name, self._build(self._models, entry, self._config)
            return self._held[1], entry.style if self._config.style == "auto" else self._config.style

    def close(self) -> None:
        """Free it; closing twice is fine."""
        with self._lock:
            if self._held is not None:
                self._held[1].close()
            self._held = None

    def _let_go(self, wanted: str) -> None:
        if self._held is None:
            return
        last, llm = self._held
        if getattr(llm, "waiting", 0):
            raise Busy(f"{last} is still answering, and must end before {wanted} is loaded", "ask again in a moment", 5)
        llm.close()
        self._held = None
